"""Activations in terms of simpler ones and arithmetic."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import (
    Abs,
    Affine,
    Celu,
    Clip,
    Div,
    Elu,
    Erf,
    Exp,
    Gelu,
    Greater,
    HardSigmoid,
    HardSwish,
    Less,
    Log,
    Max,
    Mish,
    Mul,
    Neg,
    PRelu,
    Reciprocal,
    Relu,
    Rsqrt,
    Selu,
    Shrink,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Sqrt,
    Square,
    Sub,
    Tanh,
    ThresholdedRelu,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


def _number(add: Add, x: Value, number: float) -> Value:
    return add.constant(number, like=x)


@decompose(Gelu)
def gelu_from_erf(m: Match, add: Add) -> Value:
    """Gelu(x) is x/2 (1 + erf(x / sqrt 2))."""
    x = m["x"]
    m.require(m.op(Gelu).approximate == "none", "the tanh form")
    erf = add(Erf(), add(Mul(), x, _number(add, x, 1 / math.sqrt(2))))
    return add(Mul(), add(Mul(), x, _number(add, x, 0.5)), add(AddOp(), erf, _number(add, x, 1)))


@decompose(Gelu)
def gelu_from_tanh(m: Match, add: Add) -> Value:
    """Gelu(x) in its tanh form is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    x = m["x"]
    m.require(m.op(Gelu).approximate == "tanh", "the erf form")
    inner = add(AddOp(), add(Mul(), add(Mul(), x, x), _number(add, x, 0.044715)), _number(add, x, 1))
    tanh = add(Tanh(), add(Mul(), add(Mul(), x, inner), _number(add, x, math.sqrt(2 / math.pi))))
    return add(Mul(), add(Mul(), x, _number(add, x, 0.5)), add(AddOp(), tanh, _number(add, x, 1)))


@decompose(HardSwish)
def hard_swish_from_hard_sigmoid(m: Match, add: Add) -> Value:
    """HardSwish(x) is x HardSigmoid(x)."""
    return add(Mul(), m["x"], add(HardSigmoid(1 / 6, 0.5), m["x"]))


@decompose(HardSigmoid)
def hard_sigmoid_from_clip(m: Match, add: Add) -> Value:
    """HardSigmoid(x) is Clip(alpha x + beta, 0, 1)."""
    x, op = m["x"], m.op(HardSigmoid)
    line = add(AddOp(), add(Mul(), x, _number(add, x, op.alpha)), _number(add, x, op.beta))
    return add(Clip(0.0, 1.0), line)


@decompose(Silu)
def silu_from_sigmoid(m: Match, add: Add) -> Value:
    """Silu(x) is x Sigmoid(beta x)."""
    x, beta = m["x"], m.op(Silu).beta
    return add(Mul(), x, add(Sigmoid(), x if beta == 1 else add(Mul(), x, _number(add, x, beta))))


@decompose(Mish)
def mish_from_exp(m: Match, add: Add) -> Value:
    """Mish(x) is x n / (n + 2 d), where u = e^-|x|, and n, d are 1 + 2u, u^2 for x >= 0, else u^2 + 2u, 1."""
    x = m["x"]
    m.require(add.target is not None and add.target.casts_around, "the target has no Where on all types")
    u = add(Exp(), add(Neg(), add(Abs(), x)))
    square, twice = add(Mul(), u, u), add(AddOp(), u, u)
    negative = add(Less(), x, _number(add, x, 0))
    one = _number(add, x, 1)
    top = add(AddOp(), twice, add(Where(), negative, square, one))
    rest = add(Where(), negative, one, square)
    return add(Mul(), x, add(Div(), top, add(AddOp(), top, add(AddOp(), rest, rest))))


@decompose(Mish)
def mish_from_softplus(m: Match, add: Add) -> Value:
    """Mish(x) is x tanh(Softplus(x))."""
    return add(Mul(), m["x"], add(Tanh(), add(Softplus(), m["x"])))


@decompose(Softplus)
def softplus_from_log(m: Match, add: Add) -> Value:
    """Softplus(x) is Max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    x = m["x"]
    small = add(Exp(), add(Neg(), add(Abs(), x)))
    return add(AddOp(), add(Relu(), x), add(Log(), add(AddOp(), small, _number(add, x, 1))))


@decompose(Softsign)
def softsign_from_abs(m: Match, add: Add) -> Value:
    """Softsign(x) is x / (1 + |x|)."""
    x = m["x"]
    return add(Div(), x, add(AddOp(), add(Abs(), x), _number(add, x, 1)))


@decompose(Elu)
def elu_from_unit_elu(m: Match, add: Add) -> Value:
    """Elu(x) is Max(x, 0) + alpha times the Elu with alpha 1 of Min(x, 0)."""
    x = m["x"]
    low = add(Elu(1.0), add(Clip(None, 0.0), x))
    m.require(m.op(Elu).alpha != 1 and add.takes(low), "the target has no such Elu")
    return add(AddOp(), add(Relu(), x), add(Mul(), low, _number(add, x, m.op(Elu).alpha)))


@decompose(Celu)
def celu_from_unit_elu(m: Match, add: Add) -> Value:
    """Celu(x) is Max(x, 0) + alpha times the Elu of Min(x, 0) / alpha."""
    x, alpha = m["x"], m.op(Celu).alpha
    low = add(Elu(1.0), add(Mul(), add(Clip(None, 0.0), x), _number(add, x, 1 / alpha)))
    m.require(add.takes(low), "the target has no such Elu")
    return add(AddOp(), add(Relu(), x), add(Mul(), low, _number(add, x, alpha)))


@decompose(Elu)
def elu_from_exp(m: Match, add: Add) -> Value:
    """Elu(x) is Max(x, 0) + alpha (exp(Min(x, 0)) - 1)."""
    x = m["x"]
    low = add(AddOp(), add(Exp(), add(Clip(None, 0.0), x)), _number(add, x, -1))
    return add(AddOp(), add(Relu(), x), add(Mul(), low, _number(add, x, m.op(Elu).alpha)))


@decompose(Selu)
def selu_from_elu(m: Match, add: Add) -> Value:
    """Selu(x) is gamma Elu(x)."""
    op = m.op(Selu)
    return add(Mul(), add(Elu(op.alpha), m["x"]), _number(add, m["x"], op.gamma))


@decompose(Celu)
def celu_from_exp(m: Match, add: Add) -> Value:
    """Celu(x) is Max(x, 0) + alpha (exp(Min(x, 0) / alpha) - 1)."""
    x, alpha = m["x"], m.op(Celu).alpha
    low = add(Exp(), add(Mul(), add(Clip(None, 0.0), x), _number(add, x, 1 / alpha)))
    low = add(Mul(), add(AddOp(), low, _number(add, x, -1)), _number(add, x, alpha))
    return add(AddOp(), add(Relu(), x), low)


@decompose(PRelu)
def prelu_from_relu(m: Match, add: Add) -> Value:
    """PRelu(x) is Relu(x) - slope Relu(-x)."""
    x = m["x"]
    return add(Sub(), add(Relu(), x), add(Mul(), add(Relu(), add(Neg(), x)), m["slope"]))


@decompose(Shrink)
def shrink_from_relu(m: Match, add: Add) -> Value:
    """Shrink(x) with bias = lambd is Relu(x - lambd) - Relu(-x - lambd)."""
    x, op = m["x"], m.op(Shrink)
    m.require(op.bias == op.lambd and op.lambd >= 0, "bias and lambd differ")
    high = add(Relu(), add(AddOp(), x, _number(add, x, -op.lambd)))
    low = add(Relu(), add(AddOp(), add(Neg(), x), _number(add, x, -op.lambd)))
    return add(Sub(), high, low)


@decompose(Shrink)
def where_for_shrink(m: Match, add: Add) -> Value:
    """Shrink(x) is x + bias below -lambd, x - bias above lambd, else zero."""
    x, op = m["x"], m.op(Shrink)
    m.require(add.target is not None and add.target.casts_around, "the target has no Where on all types")
    zero = _number(add, x, 0)
    low = add(Where(), add(Less(), x, _number(add, x, -op.lambd)), add(AddOp(), x, _number(add, x, op.bias)), zero)
    return add(Where(), add(Greater(), x, _number(add, x, op.lambd)), add(Sub(), x, _number(add, x, op.bias)), low)


@decompose(Affine)
def line_for_affine(m: Match, add: Add) -> Value:
    """Affine(x) is alpha x + beta."""
    x, op = m["x"], m.op(Affine)
    return add(AddOp(), add(Mul(), x, _number(add, x, op.alpha)), _number(add, x, op.beta))


@decompose(Square)
def square_from_product(m: Match, add: Add) -> Value:
    """Square(x) is x x."""
    return add(Mul(), m["x"], m["x"])


@decompose(Rsqrt)
def rsqrt_from_sqrt(m: Match, add: Add) -> Value:
    """Rsqrt(x) is 1 / Sqrt(x)."""
    return add(Reciprocal(), add(Sqrt(), m["x"]))


@decompose(Relu)
def relu_from_max(m: Match, add: Add) -> Value:
    """Relu(x) is Max(x, 0)."""
    return add(Max(), m["x"], add.constant(np.zeros((), m["x"].type.dtype.numpy)))


@decompose(ThresholdedRelu)
def thresholded_relu_at_zero(m: Match, add: Add) -> Value:
    """ThresholdedRelu(x) with threshold zero is Relu(x)."""
    m.require(m.op(ThresholdedRelu).alpha == 0, "the threshold is not zero")
    return add(Relu(), m["x"])


@decompose(ThresholdedRelu)
def where_for_thresholded_relu(m: Match, add: Add) -> Value:
    """ThresholdedRelu(x) is x above the threshold, else zero."""
    x = m["x"]
    m.require(add.target is not None and add.target.casts_around, "the target has no Where on all types")
    above = add(Greater(), x, _number(add, x, m.op(ThresholdedRelu).alpha))
    return add(Where(), above, x, _number(add, x, 0))
