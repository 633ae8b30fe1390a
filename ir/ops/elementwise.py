"""Arithmetic, element by element. The operands of binary operators broadcast as numpy's do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import Op, Types, broadcast, expect, numel, operator
from ..types import Array, DType, TensorType
from .forms import Binary, Results, Unary, in_f32, widen

# One operand ---------------------------------------------------------------------------------------------


@operator
class Identity(Unary):
    """y = x."""

    def evaluate(self, x: Array) -> Array:
        """The operand."""
        return x

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """None: it moves nothing."""
        return 0


@operator
class Abs(Unary):
    """y = abs(x). The least signed integer stays what it is (two's complement)."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.abs(x)


@operator
class Neg(Unary):
    """y = -x."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.negative(x)


@operator
class Ceil(Unary):
    """y = the least integer >= x."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.ceil(x).astype(x.dtype, copy=False)


@operator
class Floor(Unary):
    """y = the greatest integer <= x."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.floor(x).astype(x.dtype, copy=False)


@operator
class Round(Unary):
    """y = the integer nearest to x; halves go to the even one."""

    def evaluate(self, x: Array) -> Array:
        """numpy's rint."""
        return np.rint(x).astype(x.dtype, copy=False)


@operator
class Sqrt(Unary):
    """y = the square root of x (NaN below zero)."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.sqrt(x)


@operator
class Rsqrt(Unary):
    """y = 1 / sqrt(x)."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By numpy's sqrt."""
        return np.reciprocal(np.sqrt(x))


@operator
class Reciprocal(Unary):
    """y = 1 / x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.reciprocal(x)


@operator
class Square(Unary):
    """y = x * x."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return x * x


@operator
class Exp(Unary):
    """y = e to the x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.exp(x)


@operator
class Log(Unary):
    """y = the natural logarithm of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.log(x)


@operator
class Sin(Unary):
    """y = sin(x), x in radians."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.sin(x)


@operator
class Cos(Unary):
    """y = cos(x), x in radians."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.cos(x)


@operator
class Tan(Unary):
    """y = tan(x), x in radians."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.tan(x)


@operator
class Asin(Unary):
    """y = the angle in radians whose sine is x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arcsin(x)


@operator
class Acos(Unary):
    """y = the angle in radians whose cosine is x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arccos(x)


@operator
class Atan(Unary):
    """y = the angle in radians whose tangent is x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arctan(x)


@operator
class Sinh(Unary):
    """y = the hyperbolic sine of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.sinh(x)


@operator
class Cosh(Unary):
    """y = the hyperbolic cosine of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.cosh(x)


@operator
class Tanh(Unary):
    """y = the hyperbolic tangent of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.tanh(x)


@operator
class Asinh(Unary):
    """y = the inverse hyperbolic sine of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arcsinh(x)


@operator
class Acosh(Unary):
    """y = the inverse hyperbolic cosine of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arccosh(x)


@operator
class Atanh(Unary):
    """y = the inverse hyperbolic tangent of x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.arctanh(x)


@operator
class Erf(Unary):
    """y = the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """To the last bit or two of the element type."""
        from .special import erf

        return erf(x)


@operator
class Sign(Unary):
    """y = -1, 0 or 1 as x is negative, zero or positive (NaN for NaN)."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.sign(x)


@operator
class Cast(Unary):
    """y = x as another element type.

    Floats are truncated toward zero to integers, and wrap where they do not fit; to bool, all but zero is true.
    """

    to: DType

    def infer(self, x: TensorType) -> Results:
        """The shape stays."""
        return (x.with_dtype(self.to),)

    def evaluate(self, x: Array) -> Array:
        """numpy's astype; through int64 from floats, so that what does not fit wraps the same on any machine."""
        if self.to.is_integer and x.dtype.kind in "fV" and self.to.size < 8:
            return widen(x).astype(np.int64).astype(self.to.numpy)
        if self.to is DType.BOOL:
            return np.asarray(x != 0)
        return x.astype(self.to.numpy)


@operator
class BitCast(Unary):
    """y = the bits of x read as an element type of the same size."""

    to: DType

    def infer(self, x: TensorType) -> Results:
        """The shape stays."""
        expect(x.dtype.size == self.to.size, f"{x.dtype.value} and {self.to.value} differ in size")
        return (x.with_dtype(self.to),)

    def evaluate(self, x: Array) -> Array:
        """A view."""
        return np.ascontiguousarray(x).view(self.to.numpy).reshape(x.shape)


@operator
class Clip(Unary):
    """y = min(max(x, self.min), self.max); a bound that is None does not bind. NaN stays NaN."""

    min: float | None = None
    max: float | None = None

    def evaluate(self, x: Array) -> Array:
        """The maximum first, so that ``max`` wins where the bounds cross."""
        if self.min is not None:
            x = np.maximum(x, _bound(self.min, x.dtype))
        if self.max is not None:
            x = np.minimum(x, _bound(self.max, x.dtype))
        return x


def _bound(value: float, dtype: np.dtype[Any]) -> Array:
    """``value`` as an element; one outside an integer type's range becomes the end of the range."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        value = info.max if value >= info.max else info.min if value <= info.min else int(value)
    return np.asarray(value, dtype=dtype)


# Two operands --------------------------------------------------------------------------------------------


@operator
class Add(Binary):
    """y = a + b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.add(a, b)


@operator
class Sub(Binary):
    """y = a - b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.subtract(a, b)


@operator
class Mul(Binary):
    """y = a * b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.multiply(a, b)


@operator
class Div(Binary):
    """y = a / b; of integers the quotient is truncated toward zero (and 0 where b is 0)."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's floor division, put right where it rounds away from zero."""
        if a.dtype.kind not in "iu":
            return np.divide(a, b)
        quotient = np.floor_divide(a, b)
        if a.dtype.kind == "u":
            return quotient
        inexact = (quotient * b != a) & (b != 0)
        return np.asarray(quotient + (inexact & ((a < 0) != (b < 0))).astype(a.dtype))


@operator
class Pow(Op):
    """y = a to the b. The element types may differ; the result has a's."""

    signature = "a, b"
    elementwise = True

    def infer(self, a: TensorType, b: TensorType) -> Results:
        """The broadcast shape, a's element type."""
        return (TensorType(a.dtype, broadcast(a.shape, b.shape)),)

    def evaluate(self, a: Array, b: Array) -> Array:
        """In the integers where both are and no exponent is negative, else in floating point."""
        if a.dtype.kind in "iu":
            if b.dtype.kind == "u" or (b.dtype.kind == "i" and not (b < 0).any()):
                return np.asarray(np.power(a, b.astype(a.dtype)))
            return np.power(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)
        wide = widen(a)
        exponent = widen(b).astype(np.float64 if b.dtype == np.float64 else wide.dtype)
        return np.asarray(np.power(wide, exponent).astype(a.dtype))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One an element."""
        return numel(results[0])


@operator
class Mod(Binary):
    """The remainder of a / b: with the sign of b (floor), or with ``fmod`` that of a (truncation), as C's fmod."""

    fmod: bool = False

    @in_f32
    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.fmod(a, b) if self.fmod else np.mod(a, b)


@operator
class Max(Binary):
    """y = the greater of a and b; NaN where either is."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.maximum(a, b)


@operator
class Min(Binary):
    """y = the lesser of a and b; NaN where either is."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.minimum(a, b)


@operator
class Atan2(Binary):
    """y = the angle in radians of the point (b, a), in [-pi, pi]."""

    @in_f32
    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.arctan2(a, b)
