"""Arithmetic: neutral constants vanish, constants meet, powers and reciprocals get their own names."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import Div, Erf, Mul, Neg, Pow, Reciprocal, Rsqrt, Sqrt, Square, Sub, Tanh

from ..pattern import Match, pat
from ..rewrite import Add, rule

ODD = (Erf, Tanh)
"""Functions of which f(-x) is -f(x)."""


def _float(m: Match) -> None:
    m.require(m.root.result.type.dtype.is_float, "integer arithmetic rounds")


def _neutral(m: Match, number: float) -> Value:
    m.require(np.all(m.const("c") == number), f"the constant is not {number}")
    m.require(m["x"].type.shape == m.root.result.type.shape, "the constant broadcasts x")
    return m["x"]


@rule(pat(AddOp, "x", "c"), pat(Sub, "x", "c"))
def drop_adding_zero(m: Match, add: Add) -> Value:
    """x + 0 and x - 0 are x."""
    return _neutral(m, 0)


@rule(pat(Mul, "x", "c"), pat(Div, "x", "c"), pat(Pow, "x", "c"))
def drop_multiplying_by_one(m: Match, add: Add) -> Value:
    """x * 1, x / 1 and x ** 1 are x."""
    return _neutral(m, 1)


@rule(pat(Sub, "x", "c"))
def subtract_constant_by_adding(m: Match, add: Add) -> Value:
    """x - c is x + (-c)."""
    _float(m)
    return add(AddOp(), m["x"], -m.const("c"))


@rule(pat(Div, "x", "c"))
def divide_by_constant_by_multiplying(m: Match, add: Add) -> Value:
    """x / c is x * (1 / c)."""
    _float(m)
    data = m.const("c")
    m.require(np.all(data != 0) and np.all(np.isfinite(data)), "a divisor is zero or not finite")
    inverse = (1.0 / data.astype(np.float64)).astype(data.dtype)
    m.require(np.all(np.isfinite(inverse)), "a reciprocal overflows")
    return add(Mul(), m["x"], inverse)


@rule(pat(AddOp, pat(AddOp, "x", "a"), "b"))
def merge_constant_additions(m: Match, add: Add) -> Value:
    """(x + a) + b is x + (a + b)."""
    return _merged(m, add, AddOp(), m.const("a") + m.const("b"))


@rule(pat(Mul, pat(Mul, "x", "a"), "b"))
def merge_constant_multiplications(m: Match, add: Add) -> Value:
    """(x * a) * b is x * (a * b)."""
    _float(m)
    return _merged(m, add, Mul(), m.const("a") * m.const("b"))


def _merged(m: Match, add: Add, op: AddOp | Mul, data: Array) -> Value:
    m.require(m["x"].data is None, "nothing but constants: folding's business")
    m.require(m.inner_unshared(), "the inner result is read elsewhere")
    m.require(data.size <= max(m["a"].constant.size, m["b"].constant.size), "the constants broadcast each other")
    return add(op, m["x"], data)


@rule(pat(Mul, "x", "x"), pat(Pow, "x", 2))
def name_square(m: Match, add: Add) -> Value:
    """x * x and x ** 2 are Square(x)."""
    m.require(
        m["x"].type.dtype == m.root.result.type.dtype and m["x"].type.shape == m.root.result.type.shape, "broadcast"
    )
    return add(Square(), m["x"])


@rule(pat(Pow, "x", 0.5))
def name_square_root(m: Match, add: Add) -> Value:
    """x ** 0.5 is Sqrt(x)."""
    _float(m)
    m.require(m["x"].type.shape == m.root.result.type.shape, "the exponent broadcasts x")
    return add(Sqrt(), m["x"])


@rule(pat(Pow, "x", -0.5), pat(Reciprocal, pat(Sqrt, "x")), pat(Div, 1, pat(Sqrt, "x")))
def name_reciprocal_square_root(m: Match, add: Add) -> Value:
    """1 / Sqrt(x) and x ** -0.5 are Rsqrt(x)."""
    _float(m)
    m.require(m["x"].type.shape == m.root.result.type.shape, "the constant broadcasts x")
    return add(Rsqrt(), m["x"])


@rule(pat(Div, 1, "x"), pat(Pow, "x", -1))
def name_reciprocal(m: Match, add: Add) -> Value:
    """1 / x is Reciprocal(x)."""
    _float(m)
    m.require(m["x"].type.shape == m.root.result.type.shape, "the constant broadcasts x")
    return add(Reciprocal(), m["x"])


@rule(pat(Div, "x", pat(Sqrt, "y")))
def divide_by_root_by_multiplying(m: Match, add: Add) -> Value:
    """x / Sqrt(y) is x * Rsqrt(y)."""
    _float(m)
    m.require(m.only_reader(Sqrt), "the root is read elsewhere")
    return add(Mul(), m["x"], add(Rsqrt(), m["y"]))


@rule(pat(Mul, "x", pat(Reciprocal, "y")))
def multiply_by_reciprocal_by_dividing(m: Match, add: Add) -> Value:
    """x * (1 / y) is x / y."""
    _float(m)
    m.require(m.only_reader(Reciprocal), "the reciprocal is read elsewhere")
    return add(Div(), m["x"], m["y"])


@rule(pat(Neg, pat(Neg, "x")))
def drop_double_negation(m: Match, add: Add) -> Value:
    """-(-x) is x."""
    return m["x"]


@rule(pat(ODD, pat(Neg, "x")), pat(ODD, pat(Mul, pat(Neg, "x"), "c")))
def negate_after_odd_function(m: Match, add: Add) -> Value:
    """f(-x) is -f(x), and f(-x * c) is -f(x * c), for odd functions."""
    m.require(m.only_reader(Neg), "the negative is read elsewhere")
    x = m["x"]
    if m.has("c"):
        m.const("c")
        x = add(Mul(), x, m["c"])
    return add(Neg(), add(m.root.op, x))


@rule(pat(Sub, "a", pat(Neg, "b")))
def subtract_negative_by_adding(m: Match, add: Add) -> Value:
    """a - (-b) is a + b."""
    return add(AddOp(), m["a"], m["b"])


@rule(pat(AddOp, "x", pat(Neg, "y")))
def add_negative_by_subtracting(m: Match, add: Add) -> Value:
    """x + (-y) is x - y."""
    m.require(m.only_reader(Neg), "the negative is read elsewhere")
    return add(Sub(), m["x"], m["y"])


ARITHMETIC = (
    drop_adding_zero,
    drop_multiplying_by_one,
    subtract_constant_by_adding,
    divide_by_constant_by_multiplying,
    merge_constant_additions,
    merge_constant_multiplications,
    name_square,
    name_square_root,
    name_reciprocal_square_root,
    name_reciprocal,
    divide_by_root_by_multiplying,
    multiply_by_reciprocal_by_dividing,
    drop_double_negation,
    negate_after_odd_function,
    subtract_negative_by_adding,
    add_negative_by_subtracting,
)
