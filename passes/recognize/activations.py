"""Activations written out in arithmetic."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import (
    Abs,
    Clip,
    Div,
    Elu,
    Erf,
    Exp,
    Gelu,
    Greater,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Max,
    Mish,
    Mul,
    Neg,
    Pow,
    PRelu,
    Reciprocal,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Square,
    Sub,
    Tanh,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match, Pat, pat
from ..rewrite import Add, rule

ROOT_HALF = 1 / math.sqrt(2)
ROOT_2_PI = math.sqrt(2 / math.pi)


def _unary(m: Match) -> Value:
    m.require(m["x"].type == m.root.result.type, "a constant broadcasts x")
    return m["x"]


def _products(x: str, factor: Pat, number: float) -> tuple[Pat, ...]:
    """x * factor * number, in any order of multiplication."""
    return (
        pat(Mul, pat(Mul, x, factor), number),
        pat(Mul, pat(Mul, x, number), factor),
        pat(Mul, x, pat(Mul, factor, number)),
    )


_ERF = pat(AddOp, pat(Erf, pat(Mul, "x", ROOT_HALF)), 1)
_CUBES = (
    pat(Pow, "x", 3),
    pat(Mul, pat(Square, "x"), "x"),
)


def _tanh_factors() -> list[Pat]:
    arguments = [
        pat(Mul, pat(AddOp, "x", pat(Mul, cube, 0.044715)), ROOT_2_PI) for cube in _CUBES
    ] + [
        pat(Mul, pat(Mul, "x", pat(AddOp, pat(Mul, pat(Square, "x"), 0.044715), 1)), ROOT_2_PI),
        pat(Mul, pat(Mul, "x", ROOT_2_PI), pat(AddOp, pat(Mul, pat(Square, "x"), 0.044715), 1)),
    ]  # fmt: skip
    return [pat(AddOp, pat(Tanh, argument), 1) for argument in arguments]


@rule(*_products("x", _ERF, 0.5), pat(Mul, "x", pat(AddOp, pat(Mul, pat(Erf, pat(Mul, "x", ROOT_HALF)), 0.5), 0.5)))
def recognize_gelu(m: Match, add: Add) -> Value:
    """x * (1 + erf(x / sqrt 2)) / 2 is Gelu(x)."""
    return add(Gelu("none"), _unary(m))


@rule(*(p for factor in _tanh_factors() for p in _products("x", factor, 0.5)))
def recognize_gelu_tanh(m: Match, add: Add) -> Value:
    """x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2 is Gelu(x) in its tanh form."""
    return add(Gelu("tanh"), _unary(m))


@rule(pat(Mul, pat(Clip, pat(AddOp, "x", "shift"), label="clip"), "scale"))
def recognize_hard_sigmoid(m: Match, add: Add) -> Value:
    """Clip(x + b, 0, c) * (1 / c) is HardSigmoid(x)."""
    clip = m.op(Clip)
    shift, scale = m.scalar("shift"), m.scalar("scale")
    m.require(clip.min == 0 and clip.max is not None, "not clipped from zero up to a bound")
    m.require(clip.max is not None and abs(clip.max * scale - 1) < 1e-6, "its upper bound is not one")
    return add(HardSigmoid(scale, shift * scale), _unary(m))


_HARD = pat(Clip, pat(AddOp, "x", 3), label="clip")


@rule(pat(Mul, "x", pat(HardSigmoid, "x")), *_products("x", _HARD, 1 / 6))
def recognize_hard_swish(m: Match, add: Add) -> Value:
    """x * HardSigmoid(x) with slope 1/6 and offset 1/2 is HardSwish(x)."""
    if len(m.nodes) == 2:
        op = m.op(HardSigmoid)
        m.require(abs(op.alpha - 1 / 6) < 1e-6 and abs(op.beta - 0.5) < 1e-6, "other slope or offset")
    else:
        op_ = m.op(Clip)
        m.require(op_.min == 0 and op_.max == 6, "not clipped to 0 .. 6")
    return add(HardSwish(), _unary(m))


@rule(pat(Mul, "x", pat(Sigmoid, "x")), pat(Mul, "x", pat(Sigmoid, pat(Mul, "x", "beta"))))
def recognize_silu(m: Match, add: Add) -> Value:
    """x * Sigmoid(beta x) is Silu(x)."""
    beta = m.scalar("beta") if m.has("beta") else 1.0
    return add(Silu(beta), _unary(m))


@rule(pat(Div, "x", pat(AddOp, pat(Exp, pat(Neg, "x")), 1)))
def recognize_silu_from_exp(m: Match, add: Add) -> Value:
    """x / (1 + exp(-x)) is Silu(x)."""
    return add(Silu(1.0), _unary(m))


@rule(pat(Reciprocal, pat(AddOp, pat(Exp, pat(Neg, "x")), 1)))
def recognize_sigmoid(m: Match, add: Add) -> Value:
    """1 / (1 + exp(-x)) is Sigmoid(x)."""
    return add(Sigmoid(), _unary(m))


@rule(pat(Mul, "x", pat(Tanh, pat(Softplus, "x"))))
def recognize_mish(m: Match, add: Add) -> Value:
    """x * tanh(Softplus(x)) is Mish(x)."""
    return add(Mish(), _unary(m))


@rule(pat(Log, pat(AddOp, pat(Exp, "x"), 1)))
def recognize_softplus(m: Match, add: Add) -> Value:
    """log(1 + exp(x)) is Softplus(x)."""
    return add(Softplus(), _unary(m))


@rule(pat(Div, "x", pat(AddOp, pat(Abs, "x"), 1)))
def recognize_softsign(m: Match, add: Add) -> Value:
    """x / (1 + |x|) is Softsign(x)."""
    return add(Softsign(), _unary(m))


@rule(pat(Max, "x", pat(Mul, "x", "alpha")))
def recognize_leaky_relu(m: Match, add: Add) -> Value:
    """Max(x, alpha x) with alpha in 0 .. 1 is LeakyRelu(x)."""
    alpha = m.scalar("alpha")
    m.require(0 <= alpha <= 1, "the slope is outside 0 .. 1")
    return add(LeakyRelu(alpha), _unary(m))


@rule(pat(Where, pat(Greater, "x", 0), "x", pat(Mul, "x", "alpha")))
def recognize_leaky_relu_from_where(m: Match, add: Add) -> Value:
    """Where(x > 0, x, alpha x) is LeakyRelu(x)."""
    return add(LeakyRelu(m.scalar("alpha")), _unary(m))


@rule(pat(Where, pat(Greater, "x", 0), "x", pat(Mul, pat(AddOp, pat(Exp, "x"), -1), "alpha")))
def recognize_elu(m: Match, add: Add) -> Value:
    """Where(x > 0, x, alpha (exp(x) - 1)) is Elu(x)."""
    return add(Elu(m.scalar("alpha")), _unary(m))


@rule(
    pat(AddOp, pat(Relu, "x"), pat(Mul, pat(Sub, "x", pat(Abs, "x")), "half")),
    pat(Sub, pat(Relu, "x"), pat(Mul, pat(Relu, pat(Neg, "x")), "half")),
)
def recognize_prelu(m: Match, add: Add) -> Value:
    """Relu(x) + alpha (x - |x|) / 2, and Relu(x) - alpha Relu(-x), are PRelu(x, alpha)."""
    half = m.const("half")
    slope = half * 2 if isinstance(m.root.op, AddOp) else half
    m.require(m["x"].type == m.root.result.type, "the slope broadcasts x")
    return add(PRelu(), m["x"], slope.astype(half.dtype))


@rule(pat(PRelu, "x", "slope"))
def name_leaky_relu(m: Match, add: Add) -> Value:
    """PRelu(x) with one slope for all is LeakyRelu(x)."""
    slope = m.const("slope")
    m.require(slope.size and np.all(slope == slope.flat[0]), "more than one slope")
    return add(LeakyRelu(float(slope.flat[0])), m["x"])


ACTIVATIONS = (
    recognize_gelu,
    recognize_gelu_tanh,
    recognize_hard_sigmoid,
    recognize_hard_swish,
    recognize_silu,
    recognize_silu_from_exp,
    recognize_sigmoid,
    recognize_mish,
    recognize_softplus,
    recognize_softsign,
    recognize_leaky_relu,
    recognize_leaky_relu_from_where,
    recognize_elu,
    recognize_prelu,
    name_leaky_relu,
)
