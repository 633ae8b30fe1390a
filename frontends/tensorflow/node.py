"""One node as a handler sees it: operands already translated, attributes with TensorFlow's own defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mconv.ir import DType, Symbol, Value, ops
from mconv.ir.types import Array

from . import errors
from .decode import dtype_of, shape_of
from .graph import GNode
from .items import Item, Text, Variable
from .schema import ANY, REQUIRED, Schema, schema_of

if TYPE_CHECKING:
    from .scope import Scope
    from .translate import Translation

_T = TypeVar("_T")
_FIELD = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape", "tensor": "tensor",
          "func": "func"}  # fmt: skip
_EMPTY = Schema((), ANY, (), {})


class TfNode:
    """A node to be translated. ``n[i]`` is an operand, ``n.flag``, ``n.text`` and so on read attributes."""

    def __init__(self, node: GNode, scope: Scope, translation: Translation) -> None:
        self.node, self.scope, self.translation = node, scope, translation
        self.op = node.op
        self.schema = schema_of(node.op) or _EMPTY
        self.read: set[str] = set()
        if self.schema.operands not in (ANY, len(self)):
            raise errors.misfit(f"{self.op} takes {self.schema.operands} operands, {len(self)} are given")

    # Operands ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.node.inputs)

    def item(self, index: int) -> Item:
        """An operand, whatever it is."""
        if not -len(self) <= index < len(self):
            raise errors.misfit(f"{self.op} has {len(self)} operands")
        return self.scope.item(self.node.inputs[index])

    def items(self) -> list[Item]:
        """All operands, whatever they are."""
        return [self.scope.item(ref) for ref in self.node.inputs]

    def __getitem__(self, index: int) -> Value:
        """An operand that is a tensor."""
        item = self.item(index)
        if isinstance(item, Value):
            return item
        if isinstance(item, Variable):  # a reference of TensorFlow 1, or a resource that is read in passing
            return self.scope.variable(item)
        what = "strings" if isinstance(item, Text) else "a list of tensors"
        raise errors.form(f"{self.op} of {what}")

    def all(self) -> list[Value]:
        """All operands, each a tensor."""
        return [self[i] for i in range(len(self))]

    @property
    def rank(self) -> int:
        """Rank of the first operand."""
        return self[0].type.rank

    def expect_rank(self, rank: int, index: int = 0) -> None:
        """MC245 unless an operand has that many axes."""
        if self[index].type.rank != rank:
            raise errors.misfit(f"{self.op} of {self[index].type}, which should have {rank} axes")

    def axis(self, axis: int, rank: int | None = None) -> int:
        """``axis`` counted from the front, of the first operand unless ``rank`` says otherwise."""
        rank = self.rank if rank is None else rank
        if not -rank <= axis < max(rank, 1):
            raise errors.misfit(f"{self.op}: axis {axis} of a tensor of rank {rank}")
        return axis + rank if axis < 0 else axis

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
            raise errors.needs_constant(f"{self.op}'s {what}")
        return found

    def integers(self, index: int, what: str) -> tuple[int, ...]:
        """The integers in an operand, which must be known."""
        return tuple(int(i) for i in self.constant(index, what).ravel())

    def integer(self, index: int, what: str) -> int:
        """The one integer in an operand, which must be known."""
        found = self.integers(index, what)
        if len(found) != 1:
            raise errors.misfit(f"{self.op}'s {what} is {list(found)}, not one number")
        return found[0]

    def number(self, index: int, what: str) -> float:
        """The one number in an operand, which must be known."""
        found = self.constant(index, what).ravel()
        if found.size != 1:
            raise errors.misfit(f"{self.op}'s {what} has {found.size} elements")
        return float(found[0])

    def wide(self, index: int) -> Value:
        """An operand that holds sizes, axes or indices, as i64."""
        value = self[index]
        if not value.type.dtype.is_integer:
            raise errors.misfit(f"{self.op}'s operand {index} is {value.type}, not integers")
        return self.scope.cast(value, DType.I64)

    # Attributes ----------------------------------------------------------------------------------------------

    def attribute(self, name: str, kind: str) -> Any:
        """An attribute's plain value; TensorFlow's default where the node does not give it."""
        self.read.add(name)
        declared, default = self.schema.attributes.get(name, (kind, REQUIRED))
        if declared != kind:
            raise TypeError(f"{self.op}'s {name} is of kind {declared}, not {kind}")
        if name not in self.node.attributes:
            if isinstance(default, str) and default == REQUIRED:
                raise errors.misfit(f"{self.op} has no attribute '{name}'")
            return default
        return self.plain(name, kind)

    def plain(self, name: str, kind: str) -> Any:
        """The value that the node gives for an attribute, as Python's own types."""
        value = self.node.attributes[name]
        several = kind.startswith("list(")
        field = _FIELD[kind[5:-1] if several else kind]
        if value.HasField("placeholder"):
            raise errors.form(f"{self.op}'s attribute '{name}', which a function leaves open")
        if not value.HasField("list" if several else field):
            raise errors.misfit(f"{self.op}'s attribute '{name}' is not of kind {kind}")
        if several:
            return tuple(self._one(item, field, name) for item in getattr(value.list, field))
        return self._one(getattr(value, field), field, name)

    def _one(self, item: Any, field: str, name: str) -> Any:
        if field == "s":
            return item.decode("utf-8", errors="replace")
        return shape_of(item, f"{self.op}'s attribute '{name}'") if field == "shape" else item

    def flag(self, name: str) -> bool:
        """A truth value."""
        return bool(self.attribute(name, "bool"))

    def text(self, name: str) -> str:
        """A string."""
        return str(self.attribute(name, "string"))

    def whole(self, name: str) -> int:
        """An integer."""
        return int(self.attribute(name, "int"))

    def real(self, name: str) -> float:
        """A floating-point number."""
        return float(self.attribute(name, "float"))

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of integers."""
        return tuple(int(i) for i in self.attribute(name, "list(int)"))

    def dtype(self, name: str) -> DType:
        """An element type."""
        return dtype_of(self.attribute(name, "type"), f"{self.op}'s '{name}'")

    def shape(self, name: str) -> tuple[int, ...] | None:
        """A shape, -1 for a size that is not known; None where the rank is not."""
        found = self.attribute(name, "shape")
        return found if found is None else tuple(found)

    def function(self, name: str) -> str:
        """The name of a function."""
        return str(self.attribute(name, "func").name)

    def unread(self, ignored: Any) -> list[str]:
        """Attributes of the node that nobody has read and that differ from their default, or that nobody knows."""
        left = []
        for name in self.node.attributes:
            if name.startswith("_") or name in self.read or name in ignored or name in self.schema.told:
                continue  # what begins with a line are notes of tools
            known = self.schema.attributes.get(name)
            if known is None or self.plain(name, known[0]) != known[1]:
                left.append(name)
        return sorted(left)

    # What handlers build with ---------------------------------------------------------------------------------

    def like(self, number: float, value: Value) -> Value:
        """A constant of one number, of ``value``'s element type."""
        return self.scope.builder.constant(np.array(number, value.type.dtype.numpy))

    def cast(self, value: Value, dtype: DType) -> Value:
        """``value`` as another element type."""
        return self.scope.cast(value, dtype)

    def turned(self, index: int, perm: tuple[int, ...]) -> Value:
        """An operand transposed; of a constant a view."""
        value = self[index]
        if value.type.rank != len(perm):
            raise errors.misfit(f"{self.op} with {value.type}, which should have {len(perm)} axes")
        b = self.scope.builder
        if value.data is not None:
            return b.graph.add_constant(value.data.transpose(perm), value.name)
        return b.add(ops.Transpose(perm), value)
