"""Arithmetic of integers, bits and truth values in terms of simpler operations. All of it is exact."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Value
from mconv.ir.ops import (
    Abs,
    BitShift,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    CumProd,
    Div,
    Equal,
    Expand,
    Gather,
    Greater,
    GreaterOrEqual,
    IsInf,
    Less,
    LessOrEqual,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Not,
    Pad,
    Reciprocal,
    Round,
    Sign,
    Slice,
    Sub,
    Where,
    Xor,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

INTEGERS_ONLY = "not of integers"


def _number(add: Add, like: Value, number: float) -> Value:
    return add.constant(number, like=like)


def _typed_integers(m: Match, add: Add, name: str = "x") -> Value:
    """The operand, on targets whose integers are of the IR's types (others hold them in floats)."""
    x = m[name]
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    m.require(x.type.dtype.is_integer, INTEGERS_ONLY)
    return x


@decompose(Abs)
def max_for_abs(m: Match, add: Add) -> Value:
    """Abs(x) of integers is Max(x, -x)."""
    x = _typed_integers(m, add)
    m.require(x.type.dtype in (DType.I32, DType.I64), "unsigned, or narrow")
    return add(Max(), x, add(Neg(), x))


@decompose(Sign)
def comparisons_for_sign(m: Match, add: Add) -> Value:
    """Sign(x) of integers is (x > 0) - (x < 0)."""
    x = _typed_integers(m, add)
    zero = _number(add, x, 0)
    above, below = add(Greater(), x, zero), add(Less(), x, zero)
    return add(Sub(), add(Cast(x.type.dtype), above), add(Cast(x.type.dtype), below))


@decompose(Mod)
def remainder_of_sizes(m: Match, add: Add) -> Value:
    """Mod(a, b) with the sign of a is Mod(|a|, |b|), negative where a is."""
    a, b = m["a"], m["b"]
    m.require(m.op(Mod).fmod, "it has the sign of b")
    m.require(add.target is not None and add.target.casts_around, "the target's integers are floats")
    if a.type.dtype in (DType.U8, DType.U16, DType.U32):
        return add(Mod(False), a, b)
    if a.type.dtype in (DType.I8, DType.I16):
        return add(Cast(a.type.dtype), add(Mod(True), add(Cast(DType.I32), a), add(Cast(DType.I32), b)))
    m.require(a.type.dtype in (DType.F32, DType.I32, DType.I64), "of another type")
    rest = add(Mod(False), add(Abs(), a), add(Abs(), b))
    return add(Where(), add(Less(), a, _number(add, a, 0)), add(Neg(), rest), rest)


@decompose(Div)
def division_by_estimates(m: Match, add: Add) -> Value:
    """Div(a, b) of 64-bit integers is found by three quotients in 32-bit floats, each of what the last left over.

    What a leaves as remainder is taken away first, so the quotient is whole, and each estimate is right to 22 bits.
    """
    a = _typed_integers(m, add, "a")
    b = m["b"]
    m.require(a.type.dtype is DType.I64, "not of 64 bits")
    rest = add(Sub(), a, add(Mod(True), a, b))
    divisor = add(Cast(DType.F32), b)
    quotient: Value | None = None
    for step in range(3):
        estimate = add(Cast(DType.I64), add(Round(), add(Div(), add(Cast(DType.F32), rest), divisor)))
        quotient = estimate if quotient is None else add(AddOp(), quotient, estimate)
        if step < 2:
            rest = add(Sub(), rest, add(Mul(), estimate, b))
    assert quotient is not None
    return quotient


@decompose(BitShift)
def powers_for_shift(m: Match, add: Add) -> Value:
    """BitShift(a, b) to the left is a times a power of two, read from a table."""
    a, b = _typed_integers(m, add, "a"), m["b"]
    dtype, bits = a.type.dtype, 8 * a.type.dtype.size
    m.require(dtype is not DType.U64, "of another type")
    m.require(m.op(BitShift).direction == "left", "to the right")
    table = np.array([1 << i for i in range(bits)] + [0], np.uint64).astype(np.int64)
    count, out = add(Cast(DType.I64), b), add.constant(np.int64(bits))
    if dtype.numpy.kind == "i":
        count = add(Where(), add(Less(), count, add.constant(np.int64(0))), out, count)
    count = add(Min(), count, out)
    product = add(Mul(), add(Cast(DType.I64), a), add(Gather(0), add.constant(table), count))
    return add(Cast(dtype), product)


@decompose(BitwiseNot)
def complement_for_not(m: Match, add: Add) -> Value:
    """BitwiseNot(x) is Xor with all bits, or -1 - x where no Xor is taken."""
    x = _typed_integers(m, add)
    if x.type.dtype is DType.I64:
        return add(Sub(), _number(add, x, -1), x)
    ones = np.array(np.iinfo(x.type.dtype.numpy).max if x.type.dtype.numpy.kind == "u" else -1, x.type.dtype.numpy)
    return add(BitwiseXor(), x, add.constant(ones))


@decompose(BitwiseOr)
def sum_for_or(m: Match, add: Add) -> Value:
    """BitwiseOr(a, b) is Xor of (a Xor b) and (a And b); of 64 bits a + b - (a And b)."""
    a, b = _typed_integers(m, add, "a"), m["b"]
    both = add(BitwiseAnd(), a, b)
    if a.type.dtype is DType.I64:
        return add(Sub(), add(AddOp(), a, b), both)
    return add(BitwiseXor(), add(BitwiseXor(), a, b), both)


@decompose(BitwiseXor)
def sum_for_xor(m: Match, add: Add) -> Value:
    """BitwiseXor(a, b) of 64 bits is a + b - 2 (a And b)."""
    a, b = _typed_integers(m, add, "a"), m["b"]
    m.require(a.type.dtype is DType.I64, "not of 64 bits")
    both = add(BitwiseAnd(), a, b)
    return add(Sub(), add(AddOp(), a, b), add(AddOp(), both, both))


@decompose(Reciprocal)
def quotient_for_reciprocal(m: Match, add: Add) -> Value:
    """Reciprocal(x) is 1 / x."""
    return add(Div(), _number(add, m["x"], 1), m["x"])


@decompose(IsInf)
def comparison_for_isinf(m: Match, add: Add) -> Value:
    """IsInf(x) compares x, or |x|, with infinity."""
    x, op = m["x"], m.op(IsInf)
    m.require(add.target is not None and add.target.casts_around, "the target compares by differences")
    m.require(x.type.dtype.is_float, "not of floating point")
    if not (op.detect_positive or op.detect_negative):
        m.require(x.type.is_static, "sizes are known only at run time")
        return add.constant(np.zeros(x.type.static_shape, bool))
    if op.detect_positive and op.detect_negative:
        return add(Equal(), add(Abs(), x), _number(add, x, np.inf))
    return add(Equal(), x, _number(add, x, np.inf if op.detect_positive else -np.inf))


@decompose(Equal)
def truth_values_alike(m: Match, add: Add) -> Value:
    """Equal(a, b) of truth values is not (a xor b)."""
    m.require(m["a"].type.dtype is DType.BOOL, "not of truth values")
    return add(Not(), add(Xor(), m["a"], m["b"]))


@decompose(Greater, GreaterOrEqual, Less, LessOrEqual)
def truth_values_in_order(m: Match, add: Add) -> Value:
    """Truth values compare as the integers 0 and 1 do."""
    m.require(m["a"].type.dtype is DType.BOOL, "not of truth values")
    return add(m.root.op, add(Cast(DType.I32), m["a"]), add(Cast(DType.I32), m["b"]))


@decompose(CumProd)
def products_by_doubling(m: Match, add: Add) -> Value:
    """CumProd(x) multiplies x by itself moved by 1, 2, 4, ... places."""
    op, x = m.op(CumProd), m["x"]
    m.require(op.axis is not None and x.type.is_static, "the axis or sizes are known only at run time")
    assert op.axis is not None
    size, rank = x.type.static_shape[op.axis], x.type.rank

    def moved(value: Value, by: int) -> Value:
        starts, ends = ((by,), (size,)) if op.reverse else ((0,), (size - by,))
        kept = add(Slice(starts, ends, (op.axis,), (1,)), value)  # type: ignore[arg-type]
        pads = [0] * (2 * rank)
        pads[op.axis + (rank if op.reverse else 0)] = by  # type: ignore[operator]
        return add(Pad("constant", tuple(pads), 1), kept)

    value = moved(x, 1) if op.exclusive and size > 0 else x
    shift = 1
    while shift < size:
        value = add(Mul(), value, moved(value, shift))
        shift *= 2
    return value if value is not x else add(Expand(x.type.static_shape), x)
