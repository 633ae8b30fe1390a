"""What several emitters share: C++ texts for numbers and types, conditions, and a tensor seen as [outer, n, inner]."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mconv.ir import DType, Node, Value

from ..net import C_TYPES, Net
from ..view import View


def braced(numbers: Iterable[object]) -> str:
    """{1, 2, 3}."""
    return "{" + ", ".join(map(str, numbers)) + "}"


def ctype(value: Value) -> str:
    """The C++ type of a value's elements."""
    return C_TYPES[value.type.dtype]


def truth(value: object) -> str:
    """C++ for a truth value."""
    return "true" if value else "false"


def around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Elements before the axis, along it, and behind it."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def pointer(net: Net, value: Value | None) -> str:
    """The pointer to a planar operand; nullptr for one that is absent."""
    return "nullptr" if value is None else net.ptr(net.planar(value))


def planar(net: Net, *values: Value | None) -> list[View]:
    """Planar views of the operands that are there."""
    return [net.planar(v) for v in values if v is not None]


def is_empty(node: Node, net: Net) -> bool:
    """Whether no result has an element; then their memory is given."""
    if any(v.type.numel for v in node.results):
        return False
    for value in node.results:
        net.result(value)
    return True


def wide(node: Node) -> bool | str:
    """tensors are not of 16-bit floats"""
    narrow = [v for v in (*node.inputs, *node.results) if v.type.dtype in (DType.F16, DType.BF16)]
    return f"%{narrow[0].name} is of {narrow[0].type.dtype.value}" if narrow else True


def floats(node: Node) -> bool | str:
    """tensors are of f32 or f64"""
    other = [v for v in (*node.inputs, *node.results) if v.type.dtype not in (DType.F32, DType.F64)]
    return f"%{other[0].name} is of {other[0].type.dtype.value}" if other else True


def not_empty(node: Node) -> bool | str:
    """no operand is empty"""
    empty = [v for v in node.inputs if v.type.numel == 0]
    return f"%{empty[0].name} has no element" if empty else True


def each_image(count: int, call: str) -> str:
    """The call for every image; ``n`` counts them."""
    return call if count == 1 else f"for (int64_t n = 0; n < {count}; n++) {call}"


def at_image(net: Net, view: View, count: int, step: int | None = None) -> str:
    """The pointer to image ``n`` of ``count``; ``step`` elements lead to the next, by default the view's own."""
    step = view.strides[0] if step is None else step
    return net.ptr(view) + (f" + n * {step}" if count > 1 and step else "")
