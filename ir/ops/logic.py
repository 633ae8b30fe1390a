"""Truth values: what tests, compares and joins them, and what they choose; and bits, element by element.

The operands of binary operators broadcast as numpy's do.
"""

from __future__ import annotations

import numpy as np

from ..op import Op, broadcast, expect, operator, same_dtype
from ..types import Array, DType, TensorType
from .forms import Binary, Comparison, Predicate, Results, Unary


@operator
class IsNaN(Predicate):
    """y = x is not a number."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.isnan(x)


@operator
class IsInf(Predicate):
    """y = x is infinite, of a sign that is looked for."""

    detect_positive: bool = True
    detect_negative: bool = True

    def evaluate(self, x: Array) -> Array:
        """By numpy's isinf."""
        wanted = (self.detect_positive & (x > 0)) | (self.detect_negative & (x < 0))
        return np.isinf(x) & wanted


@operator
class Equal(Comparison):
    """y = a equals b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.equal(a, b)


@operator
class Greater(Comparison):
    """y = a > b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.greater(a, b)


@operator
class GreaterOrEqual(Comparison):
    """y = a >= b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.greater_equal(a, b)


@operator
class Less(Comparison):
    """y = a < b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.less(a, b)


@operator
class LessOrEqual(Comparison):
    """y = a <= b."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.less_equal(a, b)


@operator
class Not(Unary):
    """y = not x, of truth values."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.logical_not(x)


@operator
class And(Binary):
    """y = a and b, of truth values."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.logical_and(a, b)


@operator
class Or(Binary):
    """y = a or b, of truth values."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.logical_or(a, b)


@operator
class Xor(Binary):
    """y = exactly one of a and b, of truth values."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.logical_xor(a, b)


@operator
class Where(Op):
    """y = a where condition (bool), else b; all three broadcast."""

    signature = "condition, a, b"
    elementwise = True

    def infer(self, condition: TensorType, a: TensorType, b: TensorType) -> Results:
        """The broadcast shape of all three."""
        expect(condition.dtype is DType.BOOL, f"the condition is {condition}, not bool")
        return (TensorType(same_dtype(a, b), broadcast(condition.shape, a.shape, b.shape)),)

    def evaluate(self, condition: Array, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.where(condition, a, b)


@operator
class BitwiseNot(Unary):
    """y = x with all bits turned."""

    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.invert(x)


@operator
class BitwiseAnd(Binary):
    """y = a & b, bit by bit."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.bitwise_and(a, b)


@operator
class BitwiseOr(Binary):
    """y = a | b, bit by bit."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.bitwise_or(a, b)


@operator
class BitwiseXor(Binary):
    """y = a ^ b, bit by bit."""

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.bitwise_xor(a, b)


@operator
class BitShift(Binary):
    """y = a << b or a >> b, by ``direction`` 'left' or 'right'; of unsigned integers."""

    direction: str

    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return np.left_shift(a, b) if self.direction == "left" else np.right_shift(a, b)
