"""Functions of real numbers in terms of simpler ones, each accurate to a few units of a 32-bit float."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import DType, Value
from mconv.ir.ops import (
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan2,
    Atanh,
    Cast,
    Clip,
    Cos,
    Cosh,
    Div,
    Elu,
    Erf,
    Exp,
    Less,
    Log,
    Mul,
    Neg,
    Pow,
    ScaledTanh,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Sub,
    Tan,
    Tanh,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

ERF_NUMERATOR = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_DENOMINATOR = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02,
)  # fmt: skip
"""erf(x) / x as a quotient of polynomials in x^2 for |x| <= 4, the highest power first.

Source: https://gitlab.com/libeigen/eigen/-/blob/3.4/unsupported/Eigen/src/SpecialFunctions/SpecialFunctionsImpl.h
"""


def _number(add: Add, like: Value, number: float) -> Value:
    return add.constant(number, like=like)


def _floats(m: Match, add: Add) -> Value:
    """x, where it is of 32-bit floats and the target takes few functions of them."""
    x = m["x"]
    m.require(x.type.dtype is DType.F32, "not of 32-bit floats")
    return x


def polynomial(add: Add, x: Value, coefficients: Sequence[float]) -> Value:
    """The polynomial with these coefficients, the highest power first, by Horner's rule."""
    value = add(AddOp(), add(Mul(), x, _number(add, x, coefficients[0])), _number(add, x, coefficients[1]))
    for coefficient in coefficients[2:]:
        value = add(AddOp(), add(Mul(), value, x), _number(add, x, coefficient))
    return value


@decompose(Erf)
def erf_from_polynomials(m: Match, add: Add) -> Value:
    """Erf(x) is x P(x^2) / Q(x^2) on [-4, 4], beyond which it is one to the last bit."""
    x = _floats(m, add)
    bounded = add(Clip(-4.0, 4.0), x)
    square = add(Mul(), bounded, bounded)
    top = add(Mul(), bounded, polynomial(add, square, ERF_NUMERATOR))
    return add(Div(), top, polynomial(add, square, ERF_DENOMINATOR))


@decompose(Tan)
def tan_from_sin_and_cos(m: Match, add: Add) -> Value:
    """Tan(x) is Sin(x) / Cos(x)."""
    x = _floats(m, add)
    return add(Div(), add(Sin(), x), add(Cos(), x))


def _other_leg(add: Add, x: Value) -> Value:
    """sqrt(1 - x^2), as sqrt((1 - x) (1 + x)), which loses nothing near one."""
    one = _number(add, x, 1)
    return add(Sqrt(), add(Mul(), add(Sub(), one, x), add(AddOp(), x, one)))


@decompose(Asin)
def asin_from_atan2(m: Match, add: Add) -> Value:
    """Asin(x) is Atan2(x, sqrt(1 - x^2))."""
    x = _floats(m, add)
    return add(Atan2(), x, _other_leg(add, x))


@decompose(Acos)
def acos_from_atan2(m: Match, add: Add) -> Value:
    """Acos(x) is Atan2(sqrt(1 - x^2), x)."""
    x = _floats(m, add)
    return add(Atan2(), _other_leg(add, x), x)


@decompose(Sinh)
def sinh_from_elu(m: Match, add: Add) -> Value:
    """Sinh(x) is the half of u + u e^|x| with the sign of x, u = 1 - e^-|x| = -Elu(-|x|), exact also near zero."""
    x = _floats(m, add)
    size = add(Abs(), x)
    u = add(Neg(), add(Elu(1.0), add(Neg(), size)))
    m.require(add.takes(u.producer.inputs[0]) if u.producer else False, "the target has no Elu")
    twice = add(AddOp(), u, add(Mul(), u, add(Exp(), size)))
    return add(Mul(), add(Sign(), x), add(Mul(), twice, _number(add, x, 0.5)))


@decompose(Cosh)
def cosh_from_exp(m: Match, add: Add) -> Value:
    """Cosh(x) is (e^x + e^-x) / 2."""
    x = _floats(m, add)
    both = add(AddOp(), add(Exp(), x), add(Exp(), add(Neg(), x)))
    return add(Mul(), both, _number(add, x, 0.5))


def _small_or(add: Add, x: Value, series: Sequence[float], large: Value) -> Value:
    """x times a polynomial in x^2 for |x| < 1/4, where a logarithm near one has lost digits; else ``large``."""
    small = add(Mul(), x, polynomial(add, add(Mul(), x, x), series))
    return add(Where(), add(Less(), add(Abs(), x), _number(add, x, 0.25)), small, large)


@decompose(Asinh)
def asinh_from_log(m: Match, add: Add) -> Value:
    """Asinh(x) is log(|x| + sqrt(x^2 + 1)) with the sign of x; near zero its series."""
    x = _floats(m, add)
    size = add(Abs(), x)
    root = add(Sqrt(), add(AddOp(), add(Mul(), x, x), _number(add, x, 1)))
    large = add(Mul(), add(Sign(), x), add(Log(), add(AddOp(), size, root)))
    return _small_or(add, x, (35 / 1152, -5 / 112, 3 / 40, -1 / 6, 1), large)


@decompose(Acosh)
def acosh_from_log(m: Match, add: Add) -> Value:
    """Acosh(x) is log(x + sqrt((x - 1) (x + 1)))."""
    x = _floats(m, add)
    one = _number(add, x, 1)
    root = add(Sqrt(), add(Mul(), add(Sub(), x, one), add(AddOp(), x, one)))
    return add(Log(), add(AddOp(), x, root))


@decompose(Atanh)
def atanh_from_log(m: Match, add: Add) -> Value:
    """Atanh(x) is log((1 + x) / (1 - x)) / 2; near zero its series."""
    x = _floats(m, add)
    one = _number(add, x, 1)
    ratio = add(Div(), add(AddOp(), x, one), add(Sub(), one, x))
    large = add(Mul(), add(Log(), ratio), _number(add, x, 0.5))
    return _small_or(add, x, (1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1), large)


@decompose(ScaledTanh)
def scaled_tanh_from_tanh(m: Match, add: Add) -> Value:
    """ScaledTanh(x) is alpha Tanh(beta x)."""
    x, op = m["x"], m.op(ScaledTanh)
    return add(Mul(), add(Tanh(), add(Mul(), x, _number(add, x, op.beta))), _number(add, x, op.alpha))


@decompose(Pow)
def exponent_of_the_same_type(m: Match, add: Add) -> Value:
    """Pow(a, b) of two element types is Pow of one: of a's, or of floats where b has a part after the point."""
    a, b = m["a"], m["b"]
    m.require(add.target is not None and add.target.casts_around, "the target has such types in its own way")
    m.require(a.type.dtype is not b.type.dtype, "of one type")
    kinds = (DType.F32, DType.I32)
    if a.type.dtype is DType.F32:
        m.require(b.type.dtype in (DType.I8, DType.U8, DType.I16, DType.U16, DType.I32, DType.I64, DType.U32), "f64")
        return add(Pow(), a, add(Cast(DType.F32), b))
    m.require(a.type.dtype in kinds and b.type.dtype in (DType.I8, DType.U8, DType.I16, DType.U16), "wider exponents")
    return add(Pow(), a, add(Cast(a.type.dtype), b))
