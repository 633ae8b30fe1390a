"""From decoded layers to nodes: the registry of handlers, and what they work with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mconv.ir import Builder, DType, Graph, Op, Origin, Value
from mconv.ir.errors import MconvError, UnsupportedError
from mconv.ir.op import TypeMismatch
from mconv.ir.types import Array

from . import errors
from .param import Layer
from .weights import Weights

MOST_ELEMENTS = 1 << 40
Handler = Callable[["Translation", Layer], "Value | Sequence[Value]"]
HANDLERS: dict[str, Handler] = {}


def layer(*kinds: str) -> Callable[[Handler], Handler]:
    """Register the handler of layer types."""

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            HANDLERS[kind] = handler
        return handler

    return register


class Translation:
    """Goes through the layers in order; handlers ask it for inputs and weights, and add operators."""

    def __init__(
        self, layers: Sequence[Layer], weights: Weights, shapes: Mapping[str, tuple[int, ...]], file: str
    ) -> None:
        self._layers, self._weights, self._file = layers, weights, file
        self.shapes = dict(shapes)
        self.integers = integer_inputs(layers)
        self._values: dict[str, Value] = {}
        self._read: set[str] = set()
        self._layer = layers[0] if layers else Layer("", "", [], [], {}, file)
        self.b = Builder()

    def graph(self) -> Graph:
        """The graph; its outputs are the blobs that no layer reads."""
        from . import handlers  # noqa: F401  registers them; they import this module

        names = {name for each in self._layers if each.kind == "Input" for name in each.outputs}
        for name in self.shapes:
            if name not in names:
                raise errors.no_such_input(name, ", ".join(sorted(names)) or "none")
        refusals = [
            problem
            for each in self._layers
            if each.kind not in HANDLERS
            for problem in errors.no_such_layer(each.kind, each.where).problems
        ]
        if refusals:
            raise UnsupportedError(refusals)
        for each in self._layers:
            self._translate(each)
        outputs = [name for name in self._values if name not in self._read]
        for name in outputs:
            self.b.output(self._values[name], name)
        return self.b.graph

    def _translate(self, layer: Layer) -> None:
        self._layer = layer
        self.b.origin = Origin(self._file, layer.where.rpartition(":")[2] + f" {layer.kind} '{layer.name}'")
        try:
            found = HANDLERS[layer.kind](self, layer)
        except MconvError:
            raise
        except (TypeMismatch, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
            raise errors.misfit(f"{layer.kind}: {error}", layer.where) from error
        values = [found] if isinstance(found, Value) else list(found)
        if layer.unread():
            raise errors.form(f"{layer.kind}: parameter {layer.unread()[0]} is not understood", layer.where)
        if len(values) < len(layer.outputs):
            raise errors.bad_blob(f"{layer.kind} makes {len(values)} blobs, not {len(layer.outputs)}", layer.where)
        for name, value in zip(layer.outputs, values, strict=False):
            if name in self._values:
                raise errors.bad_blob(f"blob '{name}' is made twice", layer.where)
            size = value.type.numel
            if size is not None and size > MOST_ELEMENTS:
                raise errors.too_large(f"blob '{name}' has {size} elements", layer.where)
            self._values[name] = value

    # What handlers use -----------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The line that is translated."""
        return self._layer.where

    def inputs(self, least: int = 1, most: int | None = None) -> list[Value]:
        """The values that the layer reads; MC266 where there are too few or too many."""
        names = self._layer.inputs
        if not least <= len(names) <= (least if most is None else most):
            raise errors.bad_blob(f"{self._layer.kind} reads {len(names)} blobs", self.where)
        values = []
        for name in names:
            if name not in self._values:
                raise errors.bad_blob(f"nobody makes blob '{name}' before it is read", self.where)
            self._read.add(name)
            values.append(self._values[name])
        return values

    def input(self) -> Value:
        """The one value that the layer reads."""
        return self.inputs(1)[0]

    def add(self, op: Op, *operands: Value | None) -> Value:
        """Add an operator, under the name of the layer's first blob."""
        name = self._layer.outputs[0] if self._layer.outputs else self._layer.name
        return self.b.add(op, *operands, name=name)

    def add_all(self, op: Op, *operands: Value | None) -> tuple[Value, ...]:
        """Add an operator with several results."""
        return self.b.add_all(op, *operands, name=self._layer.name, result_names=self._layer.outputs)

    def constant(self, array: Array, name: str = "") -> Value:
        """A constant, as float32 unless it is stored in less or holds integers."""
        return self.b.constant(array, name=name or self._layer.name)

    def number(self, number: float) -> Value:
        """A float32 constant of one number, which broadcasts."""
        return self.b.constant(np.float32(number), DType.F32)

    def tagged(self, *shape: int) -> Value:
        """Weights with a tag, as a float32 constant of that shape."""
        array = self._weights.tagged(self._count(shape), self.where)
        return self.constant(_as_f32(array).reshape(shape))

    def raw(self, *shape: int) -> Value:
        """Weights without a tag."""
        return self.constant(self._weights.raw(self._count(shape), self.where).reshape(shape))

    def raw_array(self, count: int) -> Array:
        """Weights without a tag, as an array."""
        return self._weights.raw(self._count((count,)), self.where)

    def tagged_array(self, *shape: int) -> Array:
        """Weights with a tag, as an array."""
        return _as_f32(self._weights.tagged(self._count(shape), self.where)).reshape(shape)

    def _count(self, shape: Sequence[int]) -> int:
        if any(d < 0 for d in shape):
            raise errors.misfit(f"a weight of sizes {list(shape)}", self.where)
        return math.prod(shape)


_PASSED_ON = {"Split", "Reshape", "Noop", "Flatten", "Squeeze", "ExpandDims"}


def integer_inputs(layers: Sequence[Layer]) -> set[str]:
    """Inputs that an Embed reads: they hold int32."""
    holders: dict[str, str] = {}
    result = set()
    for each in layers:
        if each.kind == "Input":
            holders.update((name, name) for name in each.outputs)
        elif each.inputs and each.inputs[0] in holders:
            if each.kind == "Embed":
                result.add(holders[each.inputs[0]])
            elif each.kind in _PASSED_ON:
                holders.update((name, holders[each.inputs[0]]) for name in each.outputs)
    return result


def _as_f32(array: Array) -> Array:
    """fp16 storage is widened: ncnn computes in float32."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def mat(value: Value) -> tuple[int, ...]:
    """The Mat's shape: the value's without the batch."""
    return value.type.static_shape[1:]
