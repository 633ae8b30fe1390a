"""The graph's inputs: their types as the model declares them, with the sizes that the caller gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mconv.ir import Dim, DType, Problem, Shape, Symbol, TensorType
from mconv.ir.errors import UsageError
from mconv.ir.record import Record

from . import errors

BATCH = "batch"
"""The name of a first axis of unknown size."""
MOST_ELEMENTS = 1 << 31
MAX_RANK = 32


class Declared(Record):
    """An input as the model declares it; ``shape`` None where it does not say."""

    name: str
    dtype: DType
    shape: tuple[int | None, ...] | None


class InputTypes(Record):
    """What the caller says about inputs."""

    shapes: Mapping[str, Shape]
    dims: Mapping[str, int]

    def types(self, inputs: Sequence[Declared]) -> list[TensorType]:
        """The type of each input. A shape that is given replaces the declared one, whose rank must stay.

        UsageError where an input or dimension is named that the model does not have.
        """
        names = [each.name for each in inputs]
        for name in self.shapes:
            if name not in names:
                there = f"the inputs are: {', '.join(names) or '(none)'}"
                raise UsageError(Problem("MC111", f"the model has no input '{name}'", hint=there))
        present = {str(d) for each in inputs for d in self._dims(each) if isinstance(d, Symbol)}
        for name, size in self.dims.items():
            if name not in present:
                there = f"its inputs have: {', '.join(sorted(present)) or '(numbers only)'}"
                raise UsageError(Problem("MC112", f"no input has a dimension named '{name}'", hint=there))
            if size < 0:
                raise UsageError(Problem("MC117", f"dimension '{name}' cannot be {size}", hint="a number from 0 on"))
        return [self._type(each) for each in inputs]

    def _type(self, each: Declared) -> TensorType:
        given = self.shapes.get(each.name)
        if given is None and each.shape is None:
            raise errors.needs_static(f"the shape of input '{each.name}', which the model does not tell,")
        declared = tuple(self.dims.get(str(d), d) if isinstance(d, Symbol) else d for d in self._dims(each))
        if given is not None and each.shape is not None and len(given) != len(declared):
            theirs, ours = (",".join(map(str, shape)) for shape in (declared, given))
            what = f"input '{each.name}' has shape [{theirs}], not [{ours}]"
            raise UsageError(Problem("MC117", what, hint="another value for --input-shape"))
        return TensorType(each.dtype, declared if given is None else tuple(given))

    @staticmethod
    def _dims(each: Declared) -> tuple[Dim, ...]:
        plain = re.sub(r"[^\w.]", "_", each.name)
        return tuple(
            d if d is not None else Symbol(BATCH if axis == 0 else f"{plain}.{axis}")
            for axis, d in enumerate(each.shape or ())
        )


def declared_shape(shape: object, name: str) -> tuple[int | None, ...] | None:
    """A shape of a configuration: numbers, and None for sizes that are not known."""
    if shape is None:
        return None
    if isinstance(shape, dict):  # a TensorShape of tf.keras
        shape = shape.get(
            "items", shape.get("config", {}).get("shape") if isinstance(shape.get("config"), dict) else None
        )
    if not isinstance(shape, list | tuple) or len(shape) > MAX_RANK:
        raise errors.no_config(f"input '{name}' has no sound shape")
    if any(d is not None and (type(d) is not int or d < 0) for d in shape):
        raise errors.no_config(f"input '{name}' has shape {list(shape)}")
    return tuple(shape)


def check_size(type: TensorType, what: str) -> None:
    """MC309 for a tensor beyond the bound."""
    known = 1
    for dim in type.shape:
        known *= dim if isinstance(dim, int) else 1
    if known > MOST_ELEMENTS:
        raise errors.too_large(f"{what} has {known} elements ({type})")
