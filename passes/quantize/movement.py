"""Stored integers move as the real numbers that they stand for."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, Op, Value
from mconv.ir.ops import (
    Concat,
    Dequantize,
    Expand,
    Flatten,
    Gather,
    MaxPool,
    Pad,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)

from ..pattern import Match, pat
from ..rewrite import Add, rule

MOVES: tuple[type[Op], ...] = (Concat, Expand, Flatten, Gather, Reshape, Slice, Squeeze, Tile, Transpose, Unsqueeze)
MOVES_BYTES: tuple[type[Op], ...] = (MaxPool, Pad, Resize)
"""Of these, runtimes have the forms for integers of 8 bits alone."""
MAX_STEPS = 16
"""Movements that are followed from one Dequantize."""


def moves(node: Node) -> bool:
    """True for operators whose result holds elements of their first operand (of all, a Concat), and zeros."""
    op = node.op
    if isinstance(op, Resize):
        return op.mode == "nearest" and not op.antialias and op.coordinates != "tf_crop_and_resize"
    if isinstance(op, Pad):
        return op.mode != "constant" or op.value == 0
    return isinstance(op, MOVES + MOVES_BYTES)


def moves_one(node: Node) -> bool:
    """True for movements of a single tensor."""
    return moves(node) and not isinstance(node.op, Concat)


def source(value: Value) -> Node | None:
    """The Dequantize that ``value`` comes from, by way of movements alone; None where there is none."""
    for _ in range(MAX_STEPS):
        node = value.producer
        if node is None:
            return None
        if isinstance(node.op, Dequantize):
            return node if node.op.block_size == 0 else None
        if not moves(node):
            return None
        value = node.inputs[0]
    return None


def integers(m: Match, add: Add, value: Value, scale: Value, zero: Value | None) -> tuple[Value, int | None]:
    """The integers of which ``value`` is the Dequantize with this scale and zero point, and the scale's axis.

    A refusal where some part of it is not, or where a movement would be done twice.
    """
    node = value.producer
    m.require(node is not None and (isinstance(node.op, Dequantize) or moves(node)), "an operand is not dequantized")
    assert node is not None
    if isinstance(node.op, Dequantize):
        point = node.operand("zero_point")
        m.require(node.op.block_size == 0, "a scale for each block")
        m.require(_same(node.inputs[1], scale) and _same_point(point, zero), "another scale or zero point")
        return node.inputs[0], node.op.axis if scale.type.numel != 1 else None
    m.require(m.graph.use_count(value) == 1, "what is moved is read elsewhere")
    count = len(node.operands) if isinstance(node.op, Concat) else 1
    parts = [integers(m, add, v, scale, zero) for v in node.inputs[:count]]
    stored, axis = parts[0]
    moved = on_integers(m, node, stored.type.dtype, scale, zero)
    if axis is not None:
        m.require(isinstance(node.op, Transpose), "a scale for each element of an axis that is moved")
        assert isinstance(node.op, Transpose)
        axis = node.op.perm.index(axis)
    return add(moved, *(v for v, _ in parts), *node.operands[count:]), axis


def on_integers(m: Match, node: Node, dtype: DType, scale: Value, zero: Value | None) -> Op:
    """The movement's operator as it is for integers stored so: a Pad's zeros are the zero point."""
    op = node.op
    m.require(dtype.size == 1 or not isinstance(op, MOVES_BYTES), "runtimes do this with integers of 8 bits alone")
    m.require(not isinstance(op, MaxPool) or _positive(scale), "a scale that is not known to be positive")
    if not isinstance(op, Pad) or op.mode != "constant" or zero is None:
        return op
    m.require(zero.data is not None and zero.data.size == 1, "padding with a zero point that is not known")
    padded: Op = op.replace(value=zero.constant.item())
    return padded


def replacement(m: Match, y: Value) -> Value:
    """``y``, where as much is known of its sizes as of the root's."""
    m.require(y.type == m.root.result.type, "sizes are known only at run time")
    return y


def _same(a: Value, b: Value) -> bool:
    if a is b:
        return True
    if a.data is None or b.data is None or a.type.dtype is not b.type.dtype:
        return False
    return np.array_equal(a.data.reshape(-1), b.data.reshape(-1))


def _same_point(a: Value | None, b: Value | None) -> bool:
    if a is None or b is None:
        other = a if b is None else b
        return other is None or (other.data is not None and not other.data.any())
    return _same(a, b)


def _positive(scale: Value) -> bool:
    return scale.data is not None and bool(np.all(scale.data > 0))


def _distinct(scale: Value, dtype: DType) -> bool:
    """True where every integer of ``dtype`` is found again after Dequantize: its step is far above the rounding."""
    if scale.data is None or scale.data.size != 1 or scale.type.dtype not in (DType.F32, DType.F16):
        return False
    info, number = np.finfo(scale.type.dtype.numpy), float(scale.data.reshape(()))
    span = float(1 << 8 * dtype.size)
    return span * float(info.eps) <= 0.25 and float(info.tiny) <= number <= float(info.max) / span


@rule(pat(Quantize, "x", "scale", "zero_point"))
def move_integers(m: Match, add: Add) -> Value:
    """Quantize(move(Dequantize(q))) with one scale and zero point is move(q), and Quantize(Dequantize(q)) is q."""
    op = m.op(Quantize)
    m.require(source(m["x"]) is not None, "its operand is not moved from a Dequantize")
    m.require(_distinct(m["scale"], op.dtype), "integers that may not be found again")
    q, _ = integers(m, add, m["x"], m["scale"], m.get("zero_point"))
    m.require(q.type.dtype is op.dtype, "the integers change their type")
    return replacement(m, q)


MOVEMENT = (move_integers,)
