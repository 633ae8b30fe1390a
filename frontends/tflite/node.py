"""One TFLite operator as a handler sees it: operands already translated, options with the schema's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mconv.ir import DType, Symbol, Value, ops
from mconv.ir.types import Array

from . import errors, schema
from .bounds import sound
from .decode import Operator, Quantization, Tensor
from .tensors import spread

if TYPE_CHECKING:
    from .scope import Scope
    from .translate import Translation

FLOATS = (DType.F32, DType.F64)


class TfliteNode:
    """An operator to be translated.

    ``n[i]`` is an operand as it is stored (the integers of a quantized tensor), ``n.real(i)`` the real numbers that it
    stands for. A handler returns results of either kind: what is real is quantized where the result's tensor is.
    """

    def __init__(self, operator: Operator, scope: Scope, table: str, translation: Translation) -> None:
        self.operator = operator
        self.scope = scope
        self.translation = translation
        self.name = operator.name
        self.table = table
        self.read: set[str] = set()
        if operator.options_type not in ("NONE", table):
            raise errors.misfit(f"{self.name} has options of {operator.options_type}")

    # Operands ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.operator.inputs)

    def __getitem__(self, index: int) -> Value:
        """An operand that must be there, as it is stored."""
        value = self.get(index)
        if value is None:
            raise errors.misfit(f"{self.name} has no operand {index}")
        return value

    def get(self, index: int) -> Value | None:
        """An operand as it is stored, or None where it is absent."""
        return None if self.absent(index) else self.scope.value(self.operator.inputs[index])

    def absent(self, index: int) -> bool:
        """Whether an optional operand is left out."""
        return index >= len(self) or self.operator.inputs[index] == -1

    def real(self, index: int) -> Value:
        """An operand as real numbers: dequantized where its tensor is quantized, 16-bit floats widened."""
        if self.absent(index):
            raise errors.misfit(f"{self.name} has no operand {index}")
        return self.scope.real(self.operator.inputs[index])

    def all(self) -> list[Value]:
        """All operands as they are stored."""
        return [self[i] for i in range(len(self))]

    def tensor(self, index: int) -> Tensor:
        """The tensor of an operand that is there."""
        if self.absent(index):
            raise errors.misfit(f"{self.name} has no operand {index}")
        return self.scope.subgraph.tensor(self.operator.inputs[index])

    def out(self, index: int = 0) -> Tensor:
        """The tensor of a result."""
        if index >= len(self.operator.outputs):
            raise errors.misfit(f"{self.name} has no result {index}")
        return self.scope.subgraph.tensor(self.operator.outputs[index])

    def quantization(self, index: int) -> Quantization | None:
        """How an operand's integers stand for real numbers, where they do."""
        return self.scope.quantization(self.operator.inputs[index]) if not self.absent(index) else None

    @property
    def rank(self) -> int:
        """Rank of the first operand."""
        return self[0].type.rank

    def expect_rank(self, rank: int, index: int = 0) -> None:
        """MC284 unless an operand has that many axes."""
        if self[index].type.rank != rank:
            raise errors.misfit(f"{self.name} of {self[index].type}, which should have {rank} axes")

    def axis(self, axis: int, rank: int | None = None) -> int:
        """``axis`` counted from the front, of the first operand unless ``rank`` says otherwise."""
        rank = self.rank if rank is None else rank
        if not -rank <= axis < max(rank, 1):
            raise errors.misfit(f"{self.name}: axis {axis} of a tensor of rank {rank}")
        return axis + rank if axis < 0 else axis

    def moves_integers(self, index: int = 0) -> bool:
        """Whether an operand holds plain elements, or integers of 8 bits: runtimes move these in every way."""
        return self.quantization(index) is None or self[index].type.dtype.size == 1

    def movable(self, index: int = 0) -> Value:
        """An operand for an operator that only moves elements: stored where `moves_integers` says so, else real."""
        return self[index] if self.moves_integers(index) else self.real(index)

    # Contents ------------------------------------------------------------------------------------------------

    def content(self, index: int) -> Array | None:
        """What is known of an operand: numbers and Symbols in an object array, or the numbers of a constant."""
        value = self[index]
        found = self.scope.builder.content(value)
        return value.data if found is None else found

    def known(self, index: int) -> Array | None:
        """The numbers in an operand that only depends on constants, else None."""
        found = self.content(index)
        if found is None or found.dtype != object:
            return found
        if any(isinstance(item, Symbol) for item in found.flat):
            return None
        return np.array(found.tolist(), self[index].type.dtype.numpy).reshape(found.shape)

    def constant(self, index: int, what: str) -> Array:
        """The numbers in an operand, which must be known; ``what`` names it in the error."""
        found = self.known(index)
        if found is None:
            raise errors.needs_constant(f"{self.name}'s {what}")
        return found

    def integers(self, index: int, what: str) -> tuple[int, ...]:
        """The integers in an operand, which must be known."""
        return tuple(int(i) for i in self.constant(index, what).ravel())

    def integer(self, index: int, what: str) -> int:
        """The one integer in an operand, which must be known."""
        found = self.integers(index, what)
        if len(found) != 1:
            raise errors.misfit(f"{self.name}'s {what} is {list(found)}, not one number")
        return found[0]

    def wide(self, index: int) -> Value:
        """An operand that holds sizes, axes or indices, as i64."""
        value = self[index]
        if not value.type.dtype.is_integer:
            raise errors.misfit(f"{self.name}'s operand {index} is {value.type}, not integers")
        return self.scope.cast(value, DType.I64)

    # Options -------------------------------------------------------------------------------------------------

    def option(self, name: str) -> Any:
        """An option's number, the schema's default where the file does not give it."""
        self.read.add(name)
        with sound(f"option {name}"):
            return getattr(self._options, name)()

    def choice(self, name: str, enumeration: str) -> str:
        """An option that is one of an enumeration, by its name."""
        number = self.option(name)
        found = schema.names(enumeration).get(number)
        if found is None:
            raise errors.misfit(f"{self.name}: {name} is {number}, which means nothing")
        return found

    def option_integers(self, name: str) -> tuple[int, ...] | None:
        """An option that is a list, None where it is absent."""
        self.read.add(name)
        if self.operator.options is None:
            return None
        with sound(f"option {name}"):
            found = self.scope.model.bounds.numbers(self.operator.options, name)
        return None if found is None else tuple(found.tolist())

    @property
    def _options(self) -> Any:
        return schema.empty(self.table) if self.operator.options is None else self.operator.options

    def unread(self) -> list[str]:
        """Options that differ from the schema's default and that nobody has read."""
        if self.operator.options is None:
            return []
        default = schema.empty(self.table)
        return [name for name in schema.fields(self.table) if name not in self.read and self._set(name, default)]

    def _set(self, name: str, default: Any) -> bool:
        if hasattr(default, f"{name}IsNone"):
            return not getattr(self.operator.options, f"{name}IsNone")()
        return bool(getattr(self.operator.options, name)() != getattr(default, name)())

    # What handlers build with ---------------------------------------------------------------------------------

    def turned(self, index: int, perm: Sequence[int]) -> Value:
        """An operand as real numbers, transposed; of a constant a view, its scales along with their axis."""
        return self.scope.turned(self.operator.inputs[index], tuple(perm))

    def number(self, number: float, like: Value) -> Value:
        """A constant of one number, of ``like``'s element type."""
        return self.scope.builder.constant(np.array(number, like.type.dtype.numpy))

    def activation(self, value: Value) -> Value:
        """``value`` after the operator's fused activation."""
        return activated(self, value, self.choice("FusedActivationFunction", "ActivationFunctionType"))

    def quantized_bias(self, index: int, scale: Sequence[float]) -> Value:
        """A bias of 32 or 64-bit integers in units of ``scale``, a number each or one for all, as real numbers."""
        value, factor = self[index], spread(scale, DType.F32)
        if value.type.dtype is DType.I32:
            b = self.scope.builder
            axis = 0 if factor.ndim else None
            return b.add(ops.Dequantize(axis), value, b.constant(factor, name=f"{value.name}_scale"))
        stored = self.constant(index, "bias of 64-bit integers")
        return self.scope.builder.constant((stored * factor.astype(np.float64)).astype(np.float32))


def activated(n: TfliteNode, value: Value, name: str) -> Value:
    """``value`` after an activation of the schema's enumeration."""
    if name == "NONE":
        return value
    op = {"RELU": ops.Relu(), "RELU_N1_TO_1": ops.Clip(-1.0, 1.0), "RELU6": ops.Clip(0.0, 6.0)}.get(name)
    if op is None:  # runtimes leave these out without a word, so nobody knows what was meant
        raise errors.form(f"{n.name} with a fused {name}", "a separate operator for the activation")
    return n.scope.builder.add(op, value)
