"""Integer arithmetic in terms of real numbers."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Op, Value
from mconv.ir.interpreter import evaluate
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import Cast, Clip, Dequantize, Div, Gather, Mul, Quantize, Quantized, Reshape, Round, Sub

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


@decompose(Quantized)
def real_between_integers(m: Match, add: Add) -> Value:
    """Quantized(f) is Dequantize of each operand, f, Quantize; stored weights become real ones at once."""

    def apply(op: Op, *operands: Value | None) -> Value:
        arrays = [None if v is None else v.data for v in operands]
        if isinstance(op, Dequantize) and all(v is None or v.data is not None for v in operands):
            return add.constant(evaluate(op, arrays)[0])
        return add(op, *operands)

    return m.op(Quantized).explicit(apply, m["scale"], m.get("zero_point"), *m.root.operands[2:])


def _spread(m: Match, add: Add, value: Value, axis: int | None, block: int) -> Value:
    """A scale or zero point in a shape that broadcasts to x."""
    x = m["x"].type
    if value.type.numel == 1:
        return value if value.type.rank == 0 else add(Reshape(()), value)
    assert axis is not None
    if block:
        size = x.shape[axis]
        m.require(isinstance(size, int), "sizes are known only at run time")
        places = np.arange(int(str(size)), dtype=np.int64) // block
        return add(Gather(axis), value, add.constant(places))
    return add(Reshape((-1, *(1,) * (x.rank - 1 - axis))), value)


@decompose(Dequantize)
def difference_times_scale(m: Match, add: Add) -> Value:
    """Dequantize(x) is (x - zero point) scale, the difference in wider integers."""
    x, op = m["x"], m.op(Dequantize)
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    wide = DType.I32 if x.type.dtype.size <= 2 else DType.I64
    steps = add(Cast(wide), x)
    if m.has("zero_point"):
        steps = add(Sub(), steps, add(Cast(wide), _spread(m, add, m["zero_point"], op.axis, op.block_size)))
    scale = _spread(m, add, m["scale"], op.axis, op.block_size)
    return add(Mul(), add(Cast(scale.type.dtype), steps), scale)


@decompose(Quantize)
def rounded_quotient(m: Match, add: Add) -> Value:
    """Quantize(x) is Clip(Round(x / scale) + zero point), of integers of at most 16 bits."""
    x, op = m["x"], m.op(Quantize)
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    m.require(op.dtype.size <= 2 and x.type.dtype is DType.F32, "of wide integers")
    m.require(m["scale"].type.dtype is DType.F32, "the scale is of another type than x")
    steps = add(Round(), add(Div(), x, _spread(m, add, m["scale"], op.axis, op.block_size)))
    if m.has("zero_point"):
        zero = add(Cast(DType.F32), _spread(m, add, m["zero_point"], op.axis, op.block_size))
        steps = add(AddOp(), steps, zero)
    info = np.iinfo(op.dtype.numpy)
    return add(Cast(op.dtype), add(Clip(float(info.min), float(info.max)), steps))
