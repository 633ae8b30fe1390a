"""An ncnn net in the making: blobs, layers, weights, and which blob holds which value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mconv.ir import Graph, Node, Value
from mconv.ir.record import Record
from mconv.ir.types import Array, Shape, Symbol

from ..base import Refused
from .shapes import apart, default_form, fits, mat_shape

Param = int | float | tuple[int, ...] | tuple[float, ...]
EXACT_INTEGERS = 1 << 24
"""Integers up to this magnitude are exact in the floats that a Mat holds."""


class Blob:
    """What a layer gives or reads. ``shape`` is the Mat's, outermost dimension first."""

    __slots__ = ("name", "shape")

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.shape = name, shape


class Weight(Record):
    """Numbers for the .bin file: an array, or how to make it when its turn to be written has come.

    ``tagged`` blobs begin with a word that tells how they are stored; only they may be stored as fp16.
    """

    source: Array | Callable[[], Array]
    count: int
    tagged: bool

    @property
    def array(self) -> Array:
        """The numbers."""
        return self.source() if callable(self.source) else self.source


class Layer:
    """One line of the .param file, and its part of the .bin file."""

    __slots__ = ("inputs", "name", "outputs", "params", "type", "weights")

    def __init__(
        self,
        type: str,
        name: str,
        inputs: list[Blob],
        outputs: list[Blob],
        params: dict[int, Param],
        weights: tuple[Weight, ...] = (),
    ) -> None:
        self.type, self.name, self.inputs, self.outputs = type, name, inputs, outputs
        self.params, self.weights = params, weights


class Net:
    """Collects layers in the order in which they run. Emitters ask for blobs, add layers, and give results."""

    def __init__(self, graph: Graph, fp16: bool = False) -> None:
        self.graph, self.fp16 = graph, fp16
        self.layers: list[Layer] = []
        self.notes: dict[str, None] = {}
        self._held: dict[Value, Blob] = {}
        self._shaped: dict[tuple[object, Shape], Blob] = {}
        self._stem = ""

    # What emitters ask -----------------------------------------------------------------------------------

    def begin(self, node: Node) -> None:
        """The layers that follow are of ``node``."""
        self._stem = node.name

    def blob(self, value: Value) -> Blob:
        """The value as it is held at the moment, whatever its form."""
        blob = self._held.get(value)
        return self.shaped(value, default_form(value.type.shape)) if blob is None else blob

    def held(self, value: Value) -> Blob:
        """The value in the shape that the rule gives it."""
        shape = mat_shape(value.type.shape)
        if not fits(shape):
            raise Refused(f"%{value.name} has {len(shape)} axes, a Mat four at most", code="MC322")
        return self.shaped(value, shape)

    def current(self, value: Value, axes: Sequence[int]) -> tuple[Shape, tuple[int, ...]] | None:
        """The form in which a computed value is held, and which dimensions these axes are; None if merged."""
        blob = self._held.get(value)
        places = None if blob is None else apart(value.type.shape, blob.shape, axes)
        return None if blob is None or places is None else (blob.shape, places)

    def shaped(self, value: Value, shape: Shape) -> Blob:
        """The value as a Mat of that shape (of as many elements), through a Reshape layer where it must be."""
        if value.data is not None and value not in self._held:
            key: tuple[object, Shape] = (value, shape)
            if key not in self._shaped:
                self._shaped[key] = self.data(value.data, shape, value.name)
            return self._shaped[key]
        blob = self._held[value]
        return self.reshaped(blob, shape)

    def reshaped(self, blob: Blob, shape: Shape) -> Blob:
        """The blob's elements in another shape."""
        if blob.shape == shape:
            return blob
        key = (blob, shape)
        if key not in self._shaped:
            params = reshape_params(shape, blob.shape)
            self._shaped[key] = self.layer("Reshape", [blob], shape, params, suffix="reshape")
        return self._shaped[key]

    def data(self, array: Array, shape: Shape, name: str) -> Blob:
        """A MemoryData layer that gives the numbers in that shape."""
        weight = numbers(array, tagged=self.fp16 or array.dtype == np.float16)
        sizes = dict(zip((0, 1, 11, 2) if len(shape) == 4 else (0, 1, 2), reversed(_static(shape)), strict=False))
        params: dict[int, Param] = {key: sizes.get(key, 0) for key in (0, 1, 11, 2)}
        params[21] = 0 if weight.tagged else 1
        return self._add("MemoryData", name, [], [Blob(name, shape)], params, (weight,))[0]

    # What emitters give ----------------------------------------------------------------------------------

    def layer(
        self,
        type: str,
        inputs: Sequence[Blob],
        shape: Shape,
        params: Mapping[int, Param],
        weights: Sequence[Weight] = (),
        *,
        suffix: str = "",
    ) -> Blob:
        """Add a layer with one result of that Mat shape."""
        return self.layers_of(type, inputs, [shape], params, weights, suffix=suffix)[0]

    def layers_of(
        self,
        type: str,
        inputs: Sequence[Blob],
        shapes: Sequence[Shape],
        params: Mapping[int, Param],
        weights: Sequence[Weight] = (),
        *,
        suffix: str = "",
    ) -> list[Blob]:
        """Add a layer with several results."""
        name = f"{self._stem}/{suffix}" if suffix else self._stem
        return self._add(type, name, inputs, [Blob(name, shape) for shape in shapes], params, weights)

    def give(self, value: Value, blob: Blob) -> None:
        """``value`` is held in ``blob``, whose elements are the value's in the value's order."""
        if blob.name == self._stem:
            blob.name = value.name
        self._held[value] = blob

    def alias(self, value: Value, of: Value) -> None:
        """``value`` has the very elements of another, in the same order."""
        if of.data is not None and of not in self._held:
            self._held[value] = self.shaped(of, default_form(value.type.shape))
        else:
            self._held[value] = self._held[of]

    def input(self, value: Value) -> None:
        """Add the Input layer of a graph's input."""
        shape = mat_shape(value.type.shape)
        self._held[value] = self._add("Input", value.name, [], [Blob(value.name, shape)], input_params(shape), ())[0]

    def note(self, text: str) -> None:
        """Something that the person who converts should know."""
        self.notes[text] = None

    def blobs(self) -> dict[Value, Blob]:
        """Which blob holds which value."""
        return dict(self._held)

    def _add(
        self,
        type: str,
        name: str,
        inputs: Sequence[Blob],
        outputs: list[Blob],
        params: Mapping[int, Param],
        weights: Sequence[Weight],
    ) -> list[Blob]:
        for key, param in params.items():
            numbers = param if isinstance(param, tuple) else (param,)
            if any(isinstance(n, int) and not -(2**31) <= n < 2**31 for n in numbers):
                raise Refused(f"parameter {key} of {type} would be {param}; ncnn holds 32 bits", code="MC324")
        self.layers.append(Layer(type, name, list(inputs), outputs, dict(params), tuple(weights)))
        return outputs


def numbers(
    source: Array, *, tagged: bool, make: Callable[[], Array] | None = None, count: int | None = None
) -> Weight:
    """A weight of the numbers of ``source``; ``make`` gives them rearranged, when they are written.

    Raises Refused where float32 cannot hold them: integers beyond 2^24, infinities and doubles that become one.
    """
    if source.dtype.kind in "iu" and source.size and source.dtype.itemsize > 2:
        least, greatest = int(source.min()), int(source.max())
        if max(-least, greatest) > EXACT_INTEGERS:
            raise Refused(f"a constant holds {max(-least, greatest)}; floats are exact up to 2^24", code="MC324")
    if source.dtype == np.float64 and source.size and np.abs(source[np.isfinite(source)]).max(initial=0) > 3.4e38:
        raise Refused("a constant holds numbers beyond the range of float32", code="MC324")
    return Weight(make if make is not None else source, int(source.size) if count is None else count, tagged)


def input_params(shape: Shape) -> dict[int, Param]:
    """Sizes of an Input layer; 0 where a size is known only at run time."""
    sizes = dict(zip((0, 1, 11, 2) if len(shape) == 4 else (0, 1, 2), reversed(shape), strict=False))
    return {key: dim if isinstance(dim := sizes.get(key, 0), int) else 0 for key in (0, 1, 11, 2)}


def reshape_params(shape: Shape, before: Shape) -> dict[int, Param]:
    """Parameters of a Reshape to ``shape``: a size known only at run time is what remains, or what was there."""
    keys = (0, 1, 11, 2) if len(shape) == 4 else (0, 1, 2)[: len(shape)]
    params: dict[int, Param] = {}
    inner = tuple(reversed(before))
    remains = False
    # at equal rank a size may be copied from the same place
    copied = len(before) == len(shape)
    for place, (key, dim) in enumerate(zip(keys, reversed(shape), strict=True)):
        if isinstance(dim, int):
            params[key] = dim
        elif copied and inner[place] == dim:
            params[key] = 0
        elif not remains:
            params[key], remains = -1, True
        else:
            raise Refused(
                "a Reshape to several sizes known only at run time", code="MC323", hint="fix them with --input-shape"
            )
    return {key: params.get(key, -233) for key in (0, 1, 11, 2)}


def _static(shape: Shape) -> tuple[int, ...]:
    dims = tuple(dim for dim in shape if not isinstance(dim, Symbol))
    assert len(dims) == len(shape), "constants have numbers for sizes"
    return dims
