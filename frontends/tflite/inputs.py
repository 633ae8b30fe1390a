"""The graph's inputs: their types as the file declares them, with the sizes that the caller gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mconv.ir import Dim, Problem, Shape, Symbol, TensorType
from mconv.ir.errors import UsageError
from mconv.ir.record import Record

from .decode import Tensor
from .tensors import dtype_of

BATCH = "batch"
"""The name of a first axis of unknown size: the format has no names, and the first axis is the batch."""


class InputTypes(Record):
    """What the caller says about inputs."""

    shapes: Mapping[str, Shape]
    dims: Mapping[str, int]

    def check(self, inputs: Iterable[tuple[str, Tensor]]) -> None:
        """UsageError where an input or dimension is named that the model does not have."""
        found = list(inputs)
        names = [name for name, _ in found]
        for name in self.shapes:
            if name not in names:
                there = f"the inputs are: {', '.join(names) or '(none)'}"
                raise UsageError(Problem("MC111", f"the model has no input '{name}'", hint=there))
        declared = (d for name, tensor in found for d in _declared(name, tensor))
        present = {str(d) for d in declared if isinstance(d, Symbol)}
        for name, size in self.dims.items():
            if name not in present:
                there = f"its inputs have: {', '.join(sorted(present)) or '(numbers only)'}"
                raise UsageError(Problem("MC112", f"no input has a dimension named '{name}'", hint=there))
            if size < 0:
                raise UsageError(Problem("MC117", f"dimension '{name}' cannot be {size}", hint="a number from 0 on"))

    def type_of(self, name: str, tensor: Tensor) -> TensorType:
        """The type of an input; every dimension is a number or a symbol.

        A shape that is given replaces the declared one, as a runtime resizes its inputs; the rank must stay.
        """
        declared = tuple(self.dims.get(str(d), d) if isinstance(d, Symbol) else d for d in _declared(name, tensor))
        given = self.shapes.get(name)
        if given is None:
            return TensorType(dtype_of(tensor), declared)
        if len(given) != len(declared) and declared:
            theirs, ours = (",".join(map(str, shape)) for shape in (declared, given))
            what = f"input '{name}' has shape [{theirs}], not [{ours}]"
            raise UsageError(Problem("MC117", what, hint="another value for --input-shape"))
        return TensorType(dtype_of(tensor), given)

    @property
    def given(self) -> bool:
        """Whether the caller changes any size: then the sizes in the file say nothing of those inside."""
        return bool(self.shapes or self.dims)


def _declared(name: str, tensor: Tensor) -> tuple[Dim, ...]:
    plain = re.sub(r"[^\w.]", "_", name)
    return tuple(
        d if d >= 0 else Symbol(BATCH if axis == 0 else f"{plain}.{axis}") for axis, d in enumerate(tensor.declared)
    )
