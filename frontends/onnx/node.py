"""One ONNX node as a handler sees it: operands already translated, attributes typed and with their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mconv.ir import DType, Value
from mconv.ir.types import Array

from .errors import RE_EXPORT, form, needs_constant, needs_static, unreadable
from .package import onnx
from .schema import Schema
from .tensors import PACKED, element_type

if TYPE_CHECKING:
    from .scope import Scope
    from .translate import Translation

KINDS: dict[int, str] = {
    onnx.AttributeProto.INT: "an integer",
    onnx.AttributeProto.FLOAT: "a float",
    onnx.AttributeProto.STRING: "a string",
    onnx.AttributeProto.INTS: "integers",
    onnx.AttributeProto.FLOATS: "floats",
    onnx.AttributeProto.STRINGS: "strings",
    onnx.AttributeProto.TENSOR: "a tensor",
    onnx.AttributeProto.GRAPH: "a graph",
    onnx.AttributeProto.SPARSE_TENSOR: "a sparse tensor",
}


class OnnxNode:
    """A node to be translated.

    ``operands`` holds None where an optional operand is absent; ``outputs`` the tensor names, "" where one is not
    wanted.  The attribute readers (`integer`, `integers`, …) give the specification's default where the node says
    nothing, and remember what was read: an attribute that nobody reads is an error.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        schema: Schema,
        operands: Sequence[Value | None],
        attributes: dict[str, onnx.AttributeProto],
        opset: int,
        translation: Translation,
        scope: Scope,
    ) -> None:
        self.proto = proto
        self.schema = schema
        self.name = proto.name
        self.op_type = proto.op_type
        self.operands = tuple(operands)
        self.outputs = tuple(proto.output)
        self.opset = opset
        self.read: set[str] = set()
        self.attributes = attributes
        self.translation = translation
        self.scope = scope

    # Operands ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.operands)

    def __getitem__(self, index: int) -> Value:
        """An operand that must be there."""
        value = self.operands[index] if index < len(self.operands) else None
        if value is None:
            raise unreadable("MC218", f"{self.op_type} has no operand {index}", RE_EXPORT)
        return value

    def get(self, index: int) -> Value | None:
        """An operand, or None where it is absent."""
        return self.operands[index] if index < len(self.operands) else None

    def wants(self, index: int) -> bool:
        """Whether output ``index`` is read by anyone."""
        return index < len(self.outputs) and bool(self.outputs[index])

    @property
    def rank(self) -> int:
        """Rank of the first operand."""
        return self[0].type.rank

    def axis(self, axis: int, rank: int | None = None) -> int:
        """``axis`` counted from the front, of the first operand unless ``rank`` says otherwise."""
        rank = self.rank if rank is None else rank
        if not -rank <= axis < max(rank, 1):
            raise unreadable("MC219", f"{self.op_type}: axis {axis} of a tensor of rank {rank}", RE_EXPORT)
        return axis + rank if axis < 0 else axis

    def axes(self, axes: Sequence[int], rank: int | None = None) -> tuple[int, ...]:
        """Axes counted from the front, checked to be different."""
        found = tuple(self.axis(axis, rank) for axis in axes)
        if len(set(found)) != len(found):
            raise unreadable("MC219", f"{self.op_type}: an axis is named twice in {list(axes)}", RE_EXPORT)
        return found

    def known(self, value: Value | None) -> Array | None:
        """The content of a value that only depends on constants, else None."""
        return None if value is None else self.scope.body.known(value)

    def constant(self, index: int, what: str) -> Array:
        """The content of operand ``index``, which must be known; ``what`` names it in the error."""
        found = self.known(self[index])
        if found is None:
            raise needs_constant(f"{self.op_type}'s {what}")
        return found

    def constants(self, index: int, what: str) -> tuple[int, ...]:
        """The integers in operand ``index``, which must be known."""
        return tuple(int(item) for item in self.constant(index, what).ravel())

    def static_shape(self, value: Value, what: str) -> tuple[int, ...]:
        """The shape of ``value``, which must be numbers."""
        if not value.type.is_static:
            raise needs_static(f"the shape of {self.op_type}'s {what} ({value.type})")
        return value.type.static_shape

    # Attributes ----------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether the node itself gives the attribute."""
        return name in self.attributes

    def integer(self, name: str) -> int:
        """An integer attribute."""
        return int(self._required(name, onnx.AttributeProto.INT))

    def boolean(self, name: str) -> bool:
        """An integer attribute that is 0 or 1."""
        return bool(self.integer(name))

    def number(self, name: str) -> float:
        """A floating-point attribute."""
        return float(self._required(name, onnx.AttributeProto.FLOAT))

    def text(self, name: str) -> str:
        """A string attribute."""
        return str(self._required(name, onnx.AttributeProto.STRING))

    def choice(self, name: str, *choices: str) -> str:
        """A string attribute with one of the values that are understood."""
        found = self.text(name)
        if found not in choices:
            raise form(f"{self.op_type} with {name} '{found}'")
        return found

    def maybe_integer(self, name: str) -> int | None:
        """An integer attribute, None where neither the node nor the specification gives one."""
        value: int | None = self._value(name, onnx.AttributeProto.INT)
        return value

    def maybe_number(self, name: str) -> float | None:
        """A floating-point attribute, None where neither the node nor the specification gives one."""
        value: float | None = self._value(name, onnx.AttributeProto.FLOAT)
        return value

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute of integers, None where neither the node nor the specification gives any."""
        value: tuple[int, ...] | None = self._value(name, onnx.AttributeProto.INTS)
        return value

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """An attribute of floats, None where neither the node nor the specification gives any."""
        value: tuple[float, ...] | None = self._value(name, onnx.AttributeProto.FLOATS)
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """An attribute of strings, None where neither the node nor the specification gives any."""
        value: tuple[str, ...] | None = self._value(name, onnx.AttributeProto.STRINGS)
        return value

    def dtype(self, name: str) -> DType:
        """An integer attribute that stands for an element type."""
        return element_type(self.integer(name), f"{self.op_type}'s {name}")

    def tensor(self, name: str) -> Array:
        """The content of a tensor attribute."""
        proto = self._required(name, onnx.AttributeProto.TENSOR)
        return self.translation.model.tensors.read(proto, f"{self.op_type}'s {name}")

    def graph(self, name: str) -> onnx.GraphProto:
        """A graph attribute (a body), not translated yet."""
        proto: onnx.GraphProto = self._required(name, onnx.AttributeProto.GRAPH)
        return proto

    def is_packed(self, name: str) -> bool:
        """Whether a tensor attribute holds 4-bit or 2-bit integers (which `tensor` unpacks)."""
        return self._required(name, onnx.AttributeProto.TENSOR).data_type in PACKED

    def sparse_tensor(self, name: str) -> Array:
        """The content of a sparse tensor attribute, made dense."""
        proto = self._required(name, onnx.AttributeProto.SPARSE_TENSOR)
        return self.translation.model.tensors.read_sparse(proto, f"{self.op_type}'s {name}")

    def expanded(self) -> Sequence[Value | None]:
        """The results by the function with which the specification defines the operator."""
        self.read.update(self.attributes)
        return self.translation.by_definition(self)

    def unread(self) -> list[str]:
        """Attributes the node gives that nobody has read."""
        return [name for name in self.attributes if name not in self.read]

    def _required(self, name: str, kind: int) -> Any:
        value = self._value(name, kind)
        if value is None:
            raise unreadable("MC217", f"{self.op_type} has no attribute '{name}'", RE_EXPORT)
        return value

    def _value(self, name: str, kind: int) -> Any:
        self.read.add(name)
        proto = self.attributes.get(name)
        if proto is None:
            specified = self.schema.attributes.get(name)
            return specified.default if specified is not None else None
        if proto.type != kind:
            raise unreadable("MC217", f"{self.op_type}'s attribute '{name}' is not {KINDS[kind]}", RE_EXPORT)
        return _decoded(proto)


def _decoded(proto: onnx.AttributeProto) -> Any:
    if proto.type == onnx.AttributeProto.INT:
        return proto.i
    if proto.type == onnx.AttributeProto.FLOAT:
        return proto.f
    if proto.type == onnx.AttributeProto.STRING:
        return _text(proto.s)
    if proto.type == onnx.AttributeProto.INTS:
        return tuple(proto.ints)
    if proto.type == onnx.AttributeProto.FLOATS:
        return tuple(proto.floats)
    if proto.type == onnx.AttributeProto.STRINGS:
        return tuple(_text(item) for item in proto.strings)
    if proto.type == onnx.AttributeProto.TENSOR:
        return proto.t
    return proto.sparse_tensor if proto.type == onnx.AttributeProto.SPARSE_TENSOR else proto.g


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
