"""Reductions over axes, and what runs along one axis: arg-extremes, top k, running sums, softmax.

Axes in attributes are not negative. ``axes=()`` reduces nothing; all axes are written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import Op, Types, expect, numel, operator
from ..types import UNKNOWN, Array, DType, TensorType
from .forms import Results, Unary, expect_axis, expect_float, given, in_f32


class _Reduction(Op):
    """``keepdims`` leaves the reduced axes with size one."""

    signature = "x, [axes]"
    axes: tuple[int, ...] | None = None
    keepdims: bool = True

    def infer(self, x: TensorType, axes: TensorType | None) -> Results:
        """x without (or with ones for) the reduced axes."""
        if self.axes is None:
            return (self._unknown(x, axes),)
        for axis in self.axes:
            expect_axis(axis, x.rank)
        if self.keepdims:
            return (x.with_shape(1 if i in self.axes else d for i, d in enumerate(x.shape)),)
        return (x.with_shape(d for i, d in enumerate(x.shape) if i not in self.axes),)

    def _unknown(self, x: TensorType, axes: TensorType | None) -> TensorType:
        expect(axes is not None, "the axes are not given")
        count = axes.shape[0] if axes is not None and axes.rank else 1
        if self.keepdims:
            return x.with_shape((UNKNOWN,) * x.rank)
        expect(isinstance(count, int), "how many axes are reduced is known only at run time")
        return x.with_shape((UNKNOWN,) * (x.rank - int(str(count))))

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """Axes, counted from the front."""
        x = types[0]
        if x is None or content.dtype.kind not in "iuO":
            return None
        return self.replace(axes=tuple(sorted({int(a) % max(x.rank, 1) for a in content.ravel()})))

    def over(self, x: Array, axes: Array | None) -> tuple[int, ...]:
        """The axes to reduce, from the attribute or the operand."""
        chosen = given(self.axes, None if axes is None else axes.ravel())
        return tuple(a % x.ndim for a in chosen) if x.ndim else ()

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One for each element of x."""
        x = operands[0]
        return 0 if x is None else numel(x)


@operator
class ReduceSum(_Reduction):
    """The sum over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """numpy's sum, in x's type."""
        return np.asarray(x.sum(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype))


@operator
class ReduceMean(_Reduction):
    """The mean over ``axes``; of integers truncated."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """numpy's mean."""
        return np.asarray(x.mean(axis=self.over(x, axes), keepdims=self.keepdims)).astype(x.dtype, copy=False)


@operator
class ReduceMax(_Reduction):
    """The greatest over ``axes``; of nothing the least value of the type. NaN where there is one."""

    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """numpy's max."""
        return np.asarray(np.max(x, axis=self.over(x, axes), keepdims=self.keepdims, initial=least(x.dtype)))


@operator
class ReduceMin(_Reduction):
    """The least over ``axes``; of nothing the greatest value of the type. NaN where there is one."""

    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """numpy's min."""
        return np.asarray(np.min(x, axis=self.over(x, axes), keepdims=self.keepdims, initial=greatest(x.dtype)))


@operator
class ReduceProd(_Reduction):
    """The product over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """numpy's prod, in x's type."""
        return np.asarray(x.prod(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype))


@operator
class ReduceL1(_Reduction):
    """The sum of abs(x) over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """By the formula."""
        return np.asarray(np.abs(x).sum(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype))


@operator
class ReduceL2(_Reduction):
    """sqrt(the sum of x^2) over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """By the formula."""
        total = (x * x).sum(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype)
        return np.asarray(np.sqrt(total).astype(x.dtype, copy=False))


@operator
class ReduceLogSum(_Reduction):
    """ln(the sum of x) over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """By the formula."""
        total = x.sum(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype)
        return np.asarray(np.log(total).astype(x.dtype, copy=False))


@operator
class ReduceLogSumExp(_Reduction):
    """ln(the sum of e^x) over ``axes``, without overflow."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """The greatest element is taken out before, and put back after."""
        over = self.over(x, axes)
        wide = x if x.dtype.kind == "f" else x.astype(np.float64)
        top = np.maximum.reduce(wide, axis=over, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0).astype(wide.dtype)
        total = np.exp(wide - top).sum(axis=over, keepdims=True)
        y = (np.log(total) + top).astype(x.dtype, copy=False)
        return np.asarray(y if self.keepdims else np.squeeze(y, axis=over))


@operator
class ReduceSumSquare(_Reduction):
    """The sum of x^2 over ``axes``."""

    @in_f32
    def evaluate(self, x: Array, axes: Array | None) -> Array:
        """By the formula."""
        return np.asarray((x * x).sum(axis=self.over(x, axes), keepdims=self.keepdims, dtype=x.dtype))


def least(dtype: np.dtype[Any]) -> Any:
    """The least value of an element type (minus infinity of floats)."""
    return False if dtype.kind == "b" else np.iinfo(dtype).min if dtype.kind in "iu" else dtype.type(-np.inf)


def greatest(dtype: np.dtype[Any]) -> Any:
    """The greatest value of an element type (infinity of floats)."""
    return True if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind in "iu" else dtype.type(np.inf)


# Along one axis ------------------------------------------------------------------------------------------


class _ArgExtreme(Op):
    """i64 indices along ``axis``."""

    signature = "x"
    axis: int
    keepdims: bool = True
    select_last: bool = False

    def infer(self, x: TensorType) -> Results:
        """x with 1 for (or without) the axis."""
        expect_axis(self.axis, x.rank)
        rest = x.shape[self.axis + 1 :]
        return (TensorType(DType.I64, (*x.shape[: self.axis], *((1,) if self.keepdims else ()), *rest)),)

    def found(self, x: Array, extreme: Any) -> Array:
        """The first (or last) index of the extreme."""
        if self.select_last:
            index = x.shape[self.axis] - 1 - extreme(np.flip(x, self.axis), axis=self.axis)
        else:
            index = extreme(x, axis=self.axis)
        index = np.asarray(index, dtype=np.int64)
        return np.expand_dims(index, self.axis) if self.keepdims else index

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One for each element of x."""
        x = operands[0]
        return 0 if x is None else numel(x)


@operator
class ArgMax(_ArgExtreme):
    """Where along ``axis`` the greatest element stands (i64); the first of equal ones, or with select_last the last."""

    def evaluate(self, x: Array) -> Array:
        """numpy's argmax."""
        return self.found(x, np.argmax)


@operator
class ArgMin(_ArgExtreme):
    """Where along ``axis`` the least element stands (i64); the first of equal ones, or with select_last the last."""

    def evaluate(self, x: Array) -> Array:
        """numpy's argmin."""
        return self.found(x, np.argmin)


@operator
class TopK(Op):
    """The k greatest (or least) elements along ``axis``, and their indices (i64).

    In order of value; of equal ones the lower index comes first. ``sorted=False`` allows any order (the same is used).
    """

    signature = "x, [k]"
    axis: int
    largest: bool = True
    sorted: bool = True
    k: int | None = None

    def infer(self, x: TensorType, k: TensorType | None) -> Results:
        """x with k along the axis, twice."""
        expect_axis(self.axis, x.rank)
        size = x.shape[self.axis]
        expect(self.k is None or not isinstance(size, int) or 0 <= self.k <= size, f"{self.k} of {size} elements")
        shape = (*x.shape[: self.axis], UNKNOWN if self.k is None else self.k, *x.shape[self.axis + 1 :])
        return x.with_shape(shape), TensorType(DType.I64, shape)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The one number."""
        return super().absorb(name, content.reshape(()), types) if content.size == 1 else None

    def evaluate(self, x: Array, k: Array | None) -> tuple[Array, Array]:
        """By a stable sort."""
        count = given(self.k, None if k is None else k.reshape(()))
        if self.largest:  # a stable descending order is the reverse of a stable order of the reverse
            order = np.flip(np.argsort(np.flip(x, self.axis), axis=self.axis, kind="stable"), self.axis)
            order = x.shape[self.axis] - 1 - order
        else:
            order = np.argsort(x, axis=self.axis, kind="stable")
        order = np.take(order, np.arange(count), axis=self.axis)
        return np.take_along_axis(x, order, self.axis), order.astype(np.int64)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One for each element of x."""
        x = operands[0]
        return 0 if x is None else numel(x)


class _Cumulative(Unary):
    """Runs along ``axis``; ``reverse`` from its end; ``exclusive`` leaves each element itself out."""

    signature = "x, [axis]"
    elementwise = False
    axis: int | None = None
    exclusive: bool = False
    reverse: bool = False

    def infer(self, x: TensorType, axis: TensorType | None = None) -> Results:
        """x's type."""
        expect(self.axis is not None or axis is not None, "the axis is not given")
        expect_axis(self.axis or 0, x.rank)
        return (x,)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The axis, counted from the front."""
        x = types[0]
        if x is None or content.size != 1 or content.dtype.kind not in "iuO":
            return None
        return self.replace(axis=int(content.reshape(()).item()) % x.rank)

    def run(self, x: Array, axis: Array | None, accumulate: Any, neutral: int) -> Array:
        """numpy's running function with the two options."""
        along = given(self.axis, None if axis is None else axis.reshape(())) % x.ndim
        y = np.flip(x, along) if self.reverse else x
        if self.exclusive:
            first = np.full_like(np.take(y, [0], axis=along), neutral) if y.shape[along] else y
            y = np.concatenate([first, np.take(y, np.arange(max(y.shape[along] - 1, 0)), axis=along)], axis=along)
        y = accumulate(y, axis=along, dtype=x.dtype)
        return np.flip(y, along) if self.reverse else y


@operator
class CumSum(_Cumulative):
    """The running sum along ``axis``, from its end with ``reverse``, without the element itself with ``exclusive``."""

    @in_f32
    def evaluate(self, x: Array, axis: Array | None) -> Array:
        """numpy's cumsum."""
        return self.run(x, axis, np.cumsum, 0)


@operator
class CumProd(_Cumulative):
    """The running product along ``axis``; ``reverse`` and ``exclusive`` as CumSum's."""

    @in_f32
    def evaluate(self, x: Array, axis: Array | None) -> Array:
        """numpy's cumprod."""
        return self.run(x, axis, np.cumprod, 1)


class _Softmax(Unary):
    """Along ``axis``; x's type comes back."""

    elementwise = False
    axis: int

    def infer(self, x: TensorType) -> Results:
        """x's type."""
        expect_float(x)
        expect_axis(self.axis, x.rank)
        return (x,)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Four an element: maximum, exponential, sum, quotient."""
        return 4 * numel(results[0])


@operator
class Softmax(_Softmax):
    """y = e^x / the sum of e^x along ``axis``."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """Without overflow."""
        powers = np.exp(x - np.max(x, axis=self.axis, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=self.axis, keepdims=True))


@operator
class LogSoftmax(_Softmax):
    """y = x - ln(the sum of e^x along ``axis``)."""

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """Without overflow."""
        shifted = x - np.max(x, axis=self.axis, keepdims=True, initial=-np.inf)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)))


@operator
class Hardmax(_Softmax):
    """y = 1 at the first greatest element along ``axis``, else 0."""

    def evaluate(self, x: Array) -> Array:
        """By argmax."""
        y = np.zeros_like(x)
        np.put_along_axis(y, np.expand_dims(np.argmax(x, axis=self.axis), self.axis), 1, axis=self.axis)
        return y
