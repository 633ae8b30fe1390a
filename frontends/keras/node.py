"""One call of a layer as a handler sees it: its tensors, settings, weights and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mconv.ir import Builder, DType, Symbol, Value, ops
from mconv.ir.types import Array

from . import errors
from .config import Constant, Layer, flat
from .settings import DTYPES, Settings

if TYPE_CHECKING:
    from .translate import Translation


class KerasNode:
    """A call to be translated. ``n.x`` is the first tensor, ``n.xs`` are all tensors of the first argument."""

    def __init__(self, layer: Layer, args: Sequence[Any], kwargs: dict[str, Any], translation: Translation) -> None:
        self.layer, self.args, self.kwargs = layer, list(args), dict(kwargs)
        self.translation = translation
        self.builder: Builder = translation.builder
        self.name, self.cls = layer.name, layer.cls
        self.settings = Settings(f"{layer.cls} '{layer.name}'", layer.config)
        self.version = translation.version
        self.xs: list[Value] = list(flat(self.args[:1], Value))
        self.mask_out: Value | None = None
        self.function = ""
        """The function that a TFOpLambda calls."""
        self._used: set[int | str] = {0}

    # Arguments -----------------------------------------------------------------------------------------------

    @property
    def x(self) -> Value:
        """The first tensor."""
        return self[0]

    def __getitem__(self, index: int) -> Value:
        if index >= len(self.xs):
            raise errors.misfit(f"{self.settings.what} is called with {len(self.xs)} tensors")
        return self.xs[index]

    def only(self) -> Value:
        """The one tensor that the layer is called with."""
        if len(self.xs) != 1:
            raise errors.misfit(f"{self.settings.what} is called with {len(self.xs)} tensors")
        return self.xs[0]

    def value(self, item: Any) -> Value:
        """A tensor, number or constant of the arguments as a value."""
        if isinstance(item, Value):
            return item
        if isinstance(item, Constant):
            return self.builder.constant(array_of(item, self.settings.what))
        if isinstance(item, bool | int | float):
            kind = np.bool_ if isinstance(item, bool) else np.int32 if isinstance(item, int) else np.float32
            return self.builder.constant(np.array(item, kind))
        raise errors.misfit(f"{self.settings.what} is called with {str(item)[:60]!r}, which is no tensor")

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by place or name, as it stands in the configuration."""
        self._used |= {index, name}
        if 0 <= index < len(self.args):
            return self.args[index]
        return self.kwargs.get(name, default)

    def unread(self) -> list[str]:
        """Arguments that were given, and that nobody read."""
        skipped = (None, False)
        late = [f"argument {i}" for i, a in enumerate(self.args) if i not in self._used and a not in skipped]
        return late + [
            name
            for name, value in self.kwargs.items()
            if name not in self._used and name not in ("training", "mask", "name") and _given(value)
        ]

    @property
    def rank(self) -> int:
        """Rank of the first tensor."""
        return self.x.type.rank

    def expect_rank(self, rank: int) -> None:
        """MC296 unless the first tensor has that many axes."""
        if self.rank != rank:
            raise errors.misfit(f"{self.settings.what} of {self.x.type}, which should have {rank} axes")

    def axis(self, axis: Any, rank: int | None = None) -> int:
        """An axis counted from the front, of the first tensor unless ``rank`` says otherwise."""
        rank = self.rank if rank is None else rank
        if type(axis) is not int or not -rank <= axis < rank:
            raise errors.misfit(f"{self.settings.what}: axis {axis} of a tensor of rank {rank}")
        return axis % rank

    def axes(self, axes: Any, rank: int | None = None) -> tuple[int, ...]:
        """Axes counted from the front, in order; one number is one axis."""
        items = axes if isinstance(axes, list | tuple) else [axes]
        found = sorted(self.axis(a, rank) for a in items)
        if len(set(found)) != len(found):
            raise errors.misfit(f"{self.settings.what}: an axis is named twice in {axes}")
        return tuple(found)

    def static(self, value: Value, axis: int, what: str) -> int:
        """A size that has to be a number."""
        dim = value.type.shape[axis]
        if not isinstance(dim, int):
            raise errors.needs_static(f"{what} of {self.settings.what}")
        return dim

    # Weights -------------------------------------------------------------------------------------------------

    def weight(self, path: str, *shape: int | None) -> Array:
        """A variable, in the type that the layer computes in; MC294 unless it has that shape (None: any size)."""
        own = self.translation.slots_of(self.layer)
        array = self.translation.weights.array(self.layer, own, path)
        fits = array.ndim == len(shape) and all(w in (None, d) for w, d in zip(shape, array.shape, strict=True))
        if shape and not fits:
            wanted = ",".join("?" if d is None else str(d) for d in shape)
            what = f"{path} of {self.settings.what} has shape {list(array.shape)}, not [{wanted}]"
            raise errors.bad_weights(what)
        return self.typed(array)

    def typed(self, array: Array) -> Array:
        """A variable's array in the type that the layer computes in."""
        if array.dtype.kind == "V":
            array = array.view(DType.BF16.numpy)
        wanted = self.settings.dtype
        if not wanted.is_float:
            wanted = DType.F32
        return array.astype(wanted.numpy) if array.dtype.kind not in "biu" and array.dtype != wanted.numpy else array

    # Masks ---------------------------------------------------------------------------------------------------

    def mask(self, index: int = 0, name: str = "mask") -> Value | None:
        """The mask of a tensor: given to the call, or made by a layer before. bool, of the tensor's first axes."""
        given = self.argument(-1, name)
        if isinstance(given, list):
            given = given[index] if index < len(given) else None
        if given is not None:
            return self.value(given)
        return self.translation.masks.get(self.xs[index]) if index < len(self.xs) else None

    # Building ------------------------------------------------------------------------------------------------

    def constant(self, array: Array, name: str = "") -> Value:
        """A constant under the layer's name."""
        return self.builder.constant(np.asarray(array), name=f"{self.name}_{name}" if name else self.name)

    def scalar(self, number: float, like: Value) -> Value:
        """A constant of one number, of ``like``'s element type."""
        return self.builder.constant(np.array(number, like.type.dtype.numpy))

    def cast(self, value: Value, dtype: DType) -> Value:
        """``value`` in another element type."""
        return value if value.type.dtype is dtype else self.builder.add(ops.Cast(dtype), value)

    def sizes(self, shape: Sequence[Any], value: Value) -> Value:
        """``value`` reshaped to ``shape``, in which Symbols may stand."""
        free = [i for i, d in enumerate(shape) if isinstance(d, Symbol)]
        own = value.type.shape
        wanted = [d if isinstance(d, int) else 0 if i < len(own) and own[i] == d else -1 for i, d in enumerate(shape)]
        if wanted.count(-1) > 1:
            raise errors.needs_static(f"all but one of the sizes that {self.settings.what} makes")
        if not free and 0 in wanted:
            return self.builder.add(ops.Reshape(tuple(wanted), allow_zero=True), value)
        return self.builder.add(ops.Reshape(tuple(wanted)), value)


def _given(value: Any) -> bool:
    if value is None or value is False:
        return False
    return not (isinstance(value, list | dict) and all(not _given(v) for v in _items(value)))


def _items(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def array_of(constant: Constant, what: str) -> Array:
    """The array of a constant in a configuration."""
    if constant.dtype not in DTYPES:
        raise errors.element_type(f"{what} has a constant of type {constant.dtype[:60]}")
    try:
        return np.asarray(constant.value, DTYPES[constant.dtype].numpy)
    except (ValueError, TypeError, OverflowError) as error:
        raise errors.misfit(f"{what} has a constant that is no array: {error}") from None
