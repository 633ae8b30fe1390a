"""Conditions that several emitters ask for. Their docstrings are the support table's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mconv.ir import Node, Value
from mconv.ir.types import DType

from ..net import EXACT_INTEGERS

_RANGES = {
    DType.BOOL: (0, 1),
    DType.U8: (0, 255),
    DType.I8: (-128, 127),
    DType.U16: (0, 65535),
    DType.I16: (-32768, 32767),
}


def floats(node: Node) -> bool | str:
    """the tensors are floating-point."""
    other = [v for v in (*node.inputs, *node.results) if not v.type.dtype.is_float]
    return f"ncnn computes in float32, and %{other[0].name} is {other[0].type.dtype.value}" if other else True


def one_image(node: Node) -> bool | str:
    """the batch is 1."""
    batch = node.inputs[0].type.shape[0]
    return True if batch == 1 else f"ncnn has no batch, and here it is {batch}"


def constant(*names: str) -> Any:
    """A condition: the operands of these names are constants (where they are there)."""

    def holds(node: Node) -> bool | str:
        for name in names:
            value = node.operand(name)
            if value is not None and value.data is None:
                return f"its operand {name} is computed, and ncnn wants it constant"
        return True

    holds.__doc__ = f"{' and '.join(names)} are constant" if len(names) > 1 else f"{names[0]} is constant"
    return holds


def static(node: Node) -> bool | str:
    """all sizes are known."""
    for value in (*node.inputs, *node.results):
        if not value.type.is_static:
            return f"the sizes of %{value.name}: {value.type} must be known; fix them with --input-shape"
    return True


def rank(*allowed: int) -> Any:
    """A condition: the first operand has one of these ranks."""

    def holds(node: Node) -> bool | str:
        found = node.inputs[0].type.rank
        return True if found in allowed else f"it is of rank {found}, and ncnn takes {' or '.join(map(str, allowed))}"

    holds.__doc__ = f"the rank is {' or '.join(map(str, allowed))}"
    return holds


def exact(node: Node) -> bool | str:
    """the tensors are floating-point, or integers so bounded that float32 computes them exactly."""
    for value in node.results:
        if value.type.dtype.is_float:
            continue
        # what it would be if nothing wrapped around
        low, high = _BOUNDS.get(type(node.op).__name__, _unknown)(node, 0)
        if low is None or high is None or max(-low, high) > EXACT_INTEGERS:
            return f"%{value.name} is {value.type.dtype.value}, and might not be exact in float32"
        least, greatest = _RANGES.get(value.type.dtype, (-EXACT_INTEGERS, EXACT_INTEGERS))
        if low < least or high > greatest:
            return f"%{value.name} might wrap around as {value.type.dtype.value} does"
    return floats_or_bounded(node)


def floats_or_bounded(node: Node) -> bool | str:
    """the operands are floating-point, or integers of a known small range."""
    for value in node.inputs:
        if not value.type.dtype.is_float and bounds(value) == (None, None):
            return f"%{value.name} is {value.type.dtype.value}, and might not be exact in float32"
    return True


Bounds = tuple[int | None, int | None]
_DEEPEST = 24  # how far up the graph a bound is looked for


def bounds(value: Value, depth: int = 0) -> Bounds:
    """The least and greatest number that an integer value can hold, as far as the graph tells; else (None, None)."""
    if value.type.dtype.is_float:
        return None, None
    if value.data is not None and value.data.size:
        return int(value.data.min()), int(value.data.max())
    widest = _RANGES.get(value.type.dtype, (None, None))
    node = value.producer
    if node is None or depth > _DEEPEST:
        return widest
    low, high = _BOUNDS.get(type(node.op).__name__, _unknown)(node, depth + 1)
    if low is None or high is None:
        return widest
    fits = widest[0] is None or widest[1] is None or (widest[0] <= low and high <= widest[1])
    return (low, high) if fits else widest


def _unknown(node: Node, depth: int) -> Bounds:
    return None, None


def _same(node: Node, depth: int) -> Bounds:
    """Of operators that move elements about: all operands' together."""
    found = [bounds(v, depth) for v in node.inputs]
    lows, highs = [low for low, _ in found], [high for _, high in found]
    if any(low is None for low in lows) or any(high is None for high in highs):
        return None, None
    return min(low for low in lows if low is not None), max(high for high in highs if high is not None)


def _first(node: Node, depth: int) -> Bounds:
    return bounds(node.inputs[0], depth)


def _corners(node: Node, depth: int) -> Bounds:
    """Of monotonous arithmetic: the extremes are at the corners of the operands' ranges."""
    (a, b), (c, d) = (bounds(v, depth) for v in node.inputs[:2])
    if a is None or b is None or c is None or d is None:
        return None, None
    compute = {"Add": int.__add__, "Sub": int.__sub__, "Mul": int.__mul__}[type(node.op).__name__]
    ends = [compute(left, right) for left in (a, b) for right in (c, d)]
    return min(ends), max(ends)


def _index(node: Node, depth: int) -> Bounds:
    size = node.inputs[0].type.shape[getattr(node.op, "axis", 0)]
    return (0, size - 1) if isinstance(size, int) else (None, None)


_BOUNDS: dict[str, Callable[[Node, int], Bounds]] = {
    **dict.fromkeys(("Concat", "Max", "Min"), _same),
    **dict.fromkeys(
        ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Split", "Slice", "Expand", "Tile",
         "Cast", "Clip", "ReduceMax", "ReduceMin"), _first,
    ),
    **dict.fromkeys(("Add", "Sub", "Mul"), _corners),
    **dict.fromkeys(("ArgMax", "ArgMin"), _index),
}  # fmt: skip
