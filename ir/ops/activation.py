"""Activation functions, element by element. (Tanh is in ``elementwise``; Relu6 is Clip(0, 6).)"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, expect, numel, operator, same_dtype
from ..types import Array, TensorType
from .forms import Results, Unary, in_f32
from .special import erf, sigmoid, softplus


@operator
class Relu(Unary):
    """y = max(x, 0)."""

    def evaluate(self, x: Array) -> Array:
        """NaN stays NaN."""
        return np.maximum(x, np.zeros((), x.dtype))


@operator
class Sigmoid(Unary):
    """y = 1 / (1 + exp(-x))."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """Without overflow."""
        return sigmoid(x)


@operator
class LeakyRelu(Unary):
    """y = x where x >= 0, else alpha * x."""

    alpha: float = 0.01

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.where(x < 0, x * x.dtype.type(self.alpha), x)


@operator
class PRelu(Op):
    """y = x where x >= 0, else slope * x; slope broadcasts to x's shape (and never the other way)."""

    signature = "x, slope"
    elementwise = True

    def infer(self, x: TensorType, slope: TensorType) -> Results:
        """x's type."""
        same_dtype(x, slope)
        expect(slope.rank <= x.rank, f"slope {slope} does not broadcast to {x}")
        for size, wanted in zip(reversed(slope.shape), reversed(x.shape), strict=False):
            expect(size in (1, wanted) or not (isinstance(size, int) and isinstance(wanted, int)),
                   f"slope {slope} does not broadcast to {x}")  # fmt: skip
        return (x,)

    @in_f32
    def evaluate(self, x: Array, slope: Array) -> Array:
        """By the formula."""
        return np.where(x < 0, x * slope, x).astype(x.dtype, copy=False)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One an element."""
        return numel(results[0])


@operator
class Elu(Unary):
    """y = x where x >= 0, else alpha * (exp(x) - 1)."""

    alpha: float = 1.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.where(x < 0, x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0)), x)


@operator
class Selu(Unary):
    """y = gamma * x where x > 0, else gamma * alpha * (exp(x) - 1)."""

    alpha: float = 1.6732632423543772
    gamma: float = 1.0507009873554805

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        kind = x.dtype.type
        return np.asarray(kind(self.gamma) * np.where(x > 0, x, kind(self.alpha) * np.expm1(np.minimum(x, 0))))


@operator
class Celu(Unary):
    """y = max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""

    alpha: float = 1.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        alpha = x.dtype.type(self.alpha)
        return np.asarray(np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)))


@operator
class Gelu(Unary):
    """y = x * Phi(x) with the normal distribution's Phi: exact by erf, or ``approximate`` 'tanh'.

    'none': 0.5 * x * (1 + erf(x / sqrt(2))).
    'tanh': 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))).
    """

    approximate: str = "none"

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        kind = x.dtype.type
        if self.approximate == "tanh":
            inner = kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x * x * x)
            return np.asarray(kind(0.5) * x * (1 + np.tanh(inner)))
        return np.asarray(kind(0.5) * x * (1 + erf(x * kind(math.sqrt(0.5)))))


@operator
class HardSigmoid(Unary):
    """y = max(0, min(1, alpha * x + beta))."""

    alpha: float = 0.2
    beta: float = 0.5

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.asarray(np.clip(x * x.dtype.type(self.alpha) + x.dtype.type(self.beta), 0, 1))


@operator
class HardSwish(Unary):
    """y = x * max(0, min(1, x / 6 + 0.5))."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.asarray(x * np.clip(x / x.dtype.type(6) + x.dtype.type(0.5), 0, 1))


@operator
class Silu(Unary):
    """y = x * sigmoid(beta * x); with beta other than 1 it is also called Swish."""

    beta: float = 1.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return x * sigmoid(x * x.dtype.type(self.beta))


@operator
class Mish(Unary):
    """y = x * tanh(ln(1 + exp(x)))."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return x * np.tanh(softplus(x))


@operator
class Softplus(Unary):
    """y = ln(1 + exp(x))."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """Without overflow."""
        return softplus(x)


@operator
class Softsign(Unary):
    """y = x / (1 + abs(x))."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.asarray(x / (1 + np.abs(x)))


@operator
class ThresholdedRelu(Unary):
    """y = x where x > alpha, else 0."""

    alpha: float = 1.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.where(x > x.dtype.type(self.alpha), x, x.dtype.type(0))


@operator
class Shrink(Unary):
    """y = x + bias where x < -lambd, x - bias where x > lambd, else 0."""

    lambd: float = 0.5
    bias: float = 0.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula; of integers in floating point, and then truncated."""
        wide = x if x.dtype.kind == "f" else x.astype(np.float64)
        y = np.where(wide < -self.lambd, wide + self.bias, np.where(wide > self.lambd, wide - self.bias, 0))
        return y.astype(x.dtype)


@operator
class Affine(Unary):
    """y = alpha * x + beta, with numbers; an activation of recurrent cells."""

    alpha: float = 1.0
    beta: float = 0.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.asarray(x * x.dtype.type(self.alpha) + x.dtype.type(self.beta))


@operator
class ScaledTanh(Unary):
    """y = alpha * tanh(beta * x); an activation of recurrent cells."""

    alpha: float = 1.0
    beta: float = 1.0

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        return np.asarray(x.dtype.type(self.alpha) * np.tanh(x * x.dtype.type(self.beta)))
