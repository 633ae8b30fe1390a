"""Integer arithmetic in terms of real numbers."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Op, Value
from mconv.ir.interpreter import evaluate
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    Cast,
    Clip,
    Conv,
    ConvInteger,
    Dequantize,
    Div,
    Gather,
    Linear,
    MatMul,
    MatMulInteger,
    Mul,
    Quantize,
    Quantized,
    Relu,
    Reshape,
    Round,
    Slice,
    Sub,
)  # fmt: skip

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


@decompose(Quantized)
def whole_numbers_between_integers(m: Match, add: Add) -> Value:
    """Quantized(x w) is the product of their steps, exact in floats, and Quantize by scale / (scales of x and w)."""
    op = m.op(Quantized)
    inner = op.inner
    m.require(isinstance(inner, Conv | Linear), "it is no product with weights")
    assert isinstance(inner, Conv | Linear)
    m.require(isinstance(inner.activation, Relu | None), f"{inner.activation} is of real numbers")
    (x, of_x, zero_x), (w, of_w, zero_w), *rest = op.triples(m.root.operands[2:])
    b, of_b, _ = rest[0] if rest else (None, None, None)
    point = m.get("zero_point")
    fixed = [m["scale"], of_x, w, of_w, *([b, of_b] if b is not None else [])]
    m.require(x is not None and all(v is not None for v in fixed), "an operand is a real number")
    m.require(all(v is None or v.data is not None for v in (*fixed, zero_w, point)), "they are computed")
    scale, unit_x, weights, unit_w, *biases = [v.constant for v in fixed if v is not None]
    assert x is not None
    m.require(unit_x.size == scale.size == 1 and op.axes[1] in {None, 0}, "the scales lie along another axis")
    m.require(scale.dtype == unit_x.dtype == unit_w.dtype == np.float32, "the scales are no 32-bit floats")
    unit = unit_x.reshape(()) * unit_w.reshape(-1)
    if biases:
        m.require(np.allclose(biases[1].reshape(-1), unit, rtol=1e-5, atol=0), "the bias has a scale of its own")
    zeros = None if zero_w is None else zero_w.constant
    ones = np.ones(() if zeros is None else zeros.shape, np.float32)
    steps = evaluate(Dequantize(0 if ones.size > 1 else None), [weights, ones, zeros])[0]
    real = add(Dequantize(), x, np.ones((), np.float32), zero_x)
    product = add(inner, real, steps, biases[0].astype(np.float32) if biases else None)
    last = isinstance(inner, Linear) or inner.channels_last
    axis = None if unit.size == 1 else product.type.rank - 1 if last else 1
    factor = (1 / (unit / scale.reshape(())).astype(np.float64)).astype(np.float32).reshape(() if axis is None else -1)
    points = None if point is None else np.broadcast_to(point.constant.reshape(()), factor.shape)
    return add(Quantize(op.dtype, axis), product, factor, points)


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


MAX_TERMS = 256
"""Products of 8-bit integers whose sum a 32-bit float holds exactly: 255 * 255 * 256 < 2^24."""
MAX_CHUNKS = 64


def _centred(m: Match, add: Add, name: str, zero: str, column: bool = False) -> Value:
    """An operand of 8-bit integers less its zero point, in 32-bit floats."""
    value = add(Cast(DType.F32), m[name])
    if not m.has(zero):
        return value
    point = add(Cast(DType.F32), m[zero])
    if point.type.rank == 1:
        point = add(Reshape((-1, 1) if column and point.type.numel != 1 else (-1,)), point)
    return add(Sub(), value, point)


@decompose(MatMulInteger)
def sums_of_few_products(m: Match, add: Add) -> Value:
    """MatMulInteger is a MatMul of floats for each run of 256 terms, which is exact, summed in integers."""
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    terms = m["a"].type.shape[-1]
    m.require(isinstance(terms, int), "sizes are known only at run time")
    count = int(str(terms))
    m.require(0 < count <= MAX_TERMS * MAX_CHUNKS and m["b"].type.rank > 1, "many terms, or a vector")
    a, b = _centred(m, add, "a", "a_zero_point", column=True), _centred(m, add, "b", "b_zero_point")
    total: Value | None = None
    for begin in range(0, count, MAX_TERMS):
        end = min(begin + MAX_TERMS, count)
        left, right = a, b
        if count > MAX_TERMS:
            left = add(Slice((begin,), (end,), (a.type.rank - 1,), (1,)), a)
            right = add(Slice((begin,), (end,), (b.type.rank - 2,), (1,)), b)
        part = add(Cast(DType.I32), add(MatMul(), left, right))
        total = part if total is None else add(AddOp(), total, part)
    assert total is not None
    return total


@decompose(ConvInteger)
def convolution_of_few_products(m: Match, add: Add) -> Value:
    """ConvInteger with at most 256 terms is a Conv of floats, which is exact."""
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    op, w = m.op(ConvInteger), m["w"].type
    m.require(w.is_static, "sizes are known only at run time")
    m.require(int(np.prod(w.static_shape[1:])) <= MAX_TERMS, f"more than {MAX_TERMS} terms")
    points = [m.get(name) for name in ("x_zero_point", "w_zero_point")]
    m.require(all(p is None or p.type.numel == 1 for p in points), "a zero point for each filter")
    x, filters = add(Cast(DType.F32), m["x"]), add(Cast(DType.F32), m["w"])
    if points[0] is not None:
        x = add(Sub(), x, add(Reshape(()), add(Cast(DType.F32), points[0])))
    if points[1] is not None:
        filters = add(Sub(), filters, add(Reshape(()), add(Cast(DType.F32), points[1])))
    conv = Conv(op.strides, op.pads, op.dilations, op.groups)
    return add(Cast(DType.I32), add(conv, x, filters))
