"""Arithmetic between blobs and on their elements."""

from __future__ import annotations

import math
from collections.abc import Callable

from mconv.ir import Op, Value
from mconv.ir.ops import (
    Abs,
    Acos,
    Acosh,
    Add,
    Asin,
    Asinh,
    Atan,
    Atan2,
    Atanh,
    Cast,
    Ceil,
    Cos,
    Cosh,
    Div,
    Exp,
    Floor,
    Greater,
    Log,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Pow,
    Reciprocal,
    Reshape,
    Round,
    Rsqrt,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Square,
    Sub,
    Tan,
    Tanh,
)
from mconv.ir.types import DType

from ..param import Layer
from ..translate import Translation, layer, mat

_BINARY: dict[int, Callable[[], Op]] = {
    0: Add, 1: Sub, 2: Mul, 3: Div, 4: Max, 5: Min, 6: Pow, 10: Atan2, 12: lambda: Mod(fmod=True),
}  # fmt: skip
_REVERSED = {7: 1, 8: 3, 9: 6, 11: 10, 13: 12}
_UNARY: dict[int, Callable[[], Op]] = {
    0: Abs, 1: Neg, 2: Floor, 3: Ceil, 4: Square, 5: Sqrt, 6: Rsqrt, 7: Exp, 8: Log, 9: Sin, 10: Cos, 11: Tan,
    12: Asin, 13: Acos, 14: Atan, 15: Reciprocal, 16: Tanh, 18: Round, 20: Sign, 22: Sinh, 23: Asinh, 24: Cosh,
    25: Acosh, 26: Atanh,
}  # fmt: skip


@layer("BinaryOp")
def binary(t: Translation, each: Layer) -> Value:
    """Two blobs, or a blob and a number."""
    kind, scalar, number = each.whole(0, 0), each.whole(1, 0), each.real(2, 0.0)
    turned = kind in _REVERSED
    each.require(turned or kind in _BINARY, f"op_type {kind}")
    op = _BINARY[_REVERSED.get(kind, kind)]()
    if scalar:
        a, b = t.input(), t.number(number)
    else:
        a, b = aligned(t, *t.inputs(2))
    return t.add(op, b, a) if turned else t.add(op, a, b)


def aligned(t: Translation, a: Value, b: Value) -> tuple[Value, Value]:
    """Operands of equal rank: ncnn aligns the one with fewer dimensions at the outermost, as BinaryOp does."""
    if len(mat(a)) == len(mat(b)):
        return a, b
    if len(mat(a)) < len(mat(b)):
        return widened(t, a, mat(b)), b
    return a, widened(t, b, mat(a))


def widened(t: Translation, value: Value, other: tuple[int, ...]) -> Value:
    """``value`` with as many dimensions as ``other``; a vector as long as no channels go is one row."""
    own, missing = mat(value), len(other) - len(mat(value))
    ones = (1,) * missing
    shape = (*ones, *own) if len(own) == 1 and own[0] != other[0] else (*own, *ones)
    if value.data is not None:
        return t.constant(value.data.reshape((1, *shape)))
    return t.add(Reshape((1, *shape)), value)


@layer("Eltwise")
def eltwise(t: Translation, each: Layer) -> Value:
    """Product, sum with coefficients, or maximum of several blobs."""
    kind, factors = each.whole(0, 0), each.reals(1)
    values = t.inputs(2, 1 << 10)
    each.require(kind in (0, 1, 2), f"op_type {kind}")
    each.require(not factors or len(factors) == len(values), f"{len(factors)} coefficients for {len(values)} blobs")
    if kind == 1 and factors:
        values = [v if f == 1 else t.add(Mul(), v, t.number(f)) for v, f in zip(values, factors, strict=True)]
    result = values[0]
    for value in values[1:]:
        result = t.add((Mul(), Add(), Max())[kind], result, value)
    return result


@layer("UnaryOp")
def unary(t: Translation, each: Layer) -> Value:
    """One operator of one operand; log10, trunc, expm1 and log1p out of others."""
    kind, x = each.whole(0, 0), t.input()
    if kind in _UNARY:
        return t.add(_UNARY[kind](), x)
    if kind == 17:
        return t.add(Mul(), t.add(Log(), x), t.number(1 / math.log(10)))
    if kind == 19:
        return t.add(Mul(), t.add(Floor(), t.add(Abs(), x)), t.add(Sign(), x))
    if kind == 21:
        return t.add(Sub(), t.add(Exp(), x), t.number(1.0))
    each.require(kind == 27, f"op_type {kind}")
    return t.add(Log(), t.add(Add(), x, t.number(1.0)))


def _line(t: Translation, each: Layer, x: Value) -> Value:
    """shift + scale * x, of parameters 1 and 2."""
    scale, shift = each.real(1, 1.0), each.real(2, 0.0)
    if scale != 1:
        x = t.add(Mul(), x, t.number(scale))
    return t.add(Add(), x, t.number(shift)) if shift else x


@layer("Power")
def power(t: Translation, each: Layer) -> Value:
    """(shift + scale x)^power."""
    exponent, x = each.real(0, 1.0), _line(t, each, t.input())
    return x if exponent == 1 and x.producer is not None else t.add(Pow(), x, t.number(exponent))


@layer("Exp")
def exponential(t: Translation, each: Layer) -> Value:
    """base^(shift + scale x); of e with base -1."""
    base, x = each.real(0, -1.0), _line(t, each, t.input())
    return t.add(Exp(), x) if base == -1 else t.add(Pow(), t.number(base), x)


@layer("Log")
def logarithm(t: Translation, each: Layer) -> Value:
    """log(shift + scale x) to the base; natural with base -1."""
    base, x = each.real(0, -1.0), _line(t, each, t.input())
    result = t.add(Log(), x)
    return result if base == -1 else t.add(Mul(), result, t.number(1 / math.log(base)))


@layer("Threshold")
def threshold(t: Translation, each: Layer) -> Value:
    """1 where x exceeds the threshold, else 0."""
    return t.add(Cast(DType.F32), t.add(Greater(), t.input(), t.number(each.real(0, 0.0))))


@layer("Dropout")
def dropout(t: Translation, each: Layer) -> Value:
    """A product with a number."""
    return t.add(Mul(), t.input(), t.number(each.real(0, 1.0)))


def channelwise(t: Translation, x: Value, count: int) -> Value:
    """Raw weights, one for each of x's outermost dimension (or one for all), in a shape that broadcasts."""
    return t.constant(t.raw_array(count).reshape(1, -1, *(1,) * (len(mat(x)) - 1)))


@layer("Bias")
def bias(t: Translation, each: Layer) -> Value:
    """x + bias."""
    x = t.input()
    return t.add(Add(), x, channelwise(t, x, each.whole(0, 0)))


@layer("Scale")
def scale(t: Translation, each: Layer) -> Value:
    """x * scale + bias; the scale may be a second blob."""
    count, has_bias = each.whole(0, 0), each.whole(1, 0)
    if count == -233:
        x, factor = t.inputs(2)
        factor = t.add(Reshape((1, -1, *(1,) * (len(mat(x)) - 1))), factor)
        count = mat(x)[0]
    else:
        x = t.input()
        factor = channelwise(t, x, count)
    result = t.add(Mul(), x, factor)
    return t.add(Add(), result, channelwise(t, x, count)) if has_bias else result
