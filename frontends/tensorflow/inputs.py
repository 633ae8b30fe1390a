"""The graph's inputs: their types as the graph declares them, with the sizes that the caller gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mconv.ir import Dim, DType, Problem, Shape, Symbol, TensorType
from mconv.ir.errors import UsageError
from mconv.ir.record import Record

from . import errors

BATCH = "batch"
"""The name of a first axis of unknown size: the format has no names, and the first axis is the batch."""


class Declared(Record):
    """An input as the graph declares it: ``shape`` is None where not even the rank is known, -1 stands for a size."""

    name: str
    dtype: DType
    shape: tuple[int, ...] | None

    def dims(self) -> tuple[Dim, ...]:
        """The sizes, symbols for those that are not known."""
        plain = re.sub(r"[^\w.]", "_", self.name)
        names = (BATCH if axis == 0 else f"{plain}.{axis}" for axis in range(len(self.shape or ())))
        return tuple(d if d >= 0 else Symbol(name) for d, name in zip(self.shape or (), names, strict=True))


class InputTypes(Record):
    """What the caller says about inputs."""

    shapes: Mapping[str, Shape]
    sizes: Mapping[str, int]

    def check(self, inputs: Iterable[Declared]) -> None:
        """UsageError where an input or dimension is named that the model does not have."""
        found = list(inputs)
        names = [i.name for i in found]
        for name in self.shapes:
            if name not in names:
                there = f"the inputs are: {', '.join(names) or '(none)'}"
                raise UsageError(Problem("MC111", f"the model has no input '{name}'", hint=there))
        present = {str(d) for i in found for d in i.dims() if isinstance(d, Symbol)}
        for name, size in self.sizes.items():
            if name not in present:
                there = f"its inputs have: {', '.join(sorted(present)) or '(numbers only)'}"
                raise UsageError(Problem("MC112", f"no input has a dimension named '{name}'", hint=there))
            if size < 0:
                raise UsageError(Problem("MC117", f"dimension '{name}' cannot be {size}", hint="a number from 0 on"))

    def type_of(self, declared: Declared) -> TensorType:
        """The type of an input; every dimension is a number or a symbol. A shape that is given fills in the sizes."""
        given = self.shapes.get(declared.name)
        if declared.shape is None:
            if given is None:
                raise errors.rank_unknown(declared.name)
            return TensorType(declared.dtype, given)
        own = tuple(self.sizes.get(str(d), d) if isinstance(d, Symbol) else d for d in declared.dims())
        if given is None:
            return TensorType(declared.dtype, own)
        fits = len(given) == len(own) and all(
            isinstance(d, Symbol) or isinstance(g, Symbol) or d == g for d, g in zip(own, given, strict=True)
        )
        if not fits:
            theirs, ours = (",".join(map(str, shape)) for shape in (own, given))
            what = f"input '{declared.name}' has shape [{theirs}], not [{ours}]"
            raise UsageError(Problem("MC117", what, hint="another value for --input-shape"))
        return TensorType(
            declared.dtype, tuple(d if isinstance(g, Symbol) else g for d, g in zip(own, given, strict=True))
        )
