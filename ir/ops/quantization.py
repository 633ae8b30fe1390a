"""Quantization, explicit: real = (stored - zero_point) * scale.

scale and zero_point are scalars (``axis`` None), or hold one number for each element of ``axis``; with ``block_size`` B
they have x's rank, and one number serves B consecutive elements along ``axis``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, expect, numel, operator
from ..types import Array, DType, TensorType
from .forms import Results, expect_axis, expect_dim, expect_float, widen


def _check(x: TensorType, scale: TensorType, zero: TensorType | None, axis: int | None, block_size: int) -> None:
    expect_float(scale)
    expect(zero is None or zero.shape == scale.shape or zero.rank == scale.rank,
           f"zero_point {zero} is not of the shape of scale {scale}")  # fmt: skip
    if axis is None:
        expect(scale.rank == 0 or scale.shape == (1,), f"scale {scale} is no scalar, and there is no axis")
        return
    expect_axis(axis, x.rank)
    if block_size:
        expect(scale.rank == x.rank, f"scale {scale} of blocks should have the rank of {x}")
    elif scale.rank:
        expect(scale.rank == 1, f"scale {scale} should have one axis")
        expect_dim(scale.shape[0], x.shape[axis], "the length of scale")


def spread_along(v: Array, x: Array, axis: int | None, block_size: int) -> Array:
    """A scale or zero point as an array that broadcasts to x."""
    if block_size and axis is not None:
        return np.take(np.repeat(v, block_size, axis=axis), np.arange(x.shape[axis]), axis=axis)
    if axis is None or v.size == 1:
        return v.reshape(())
    return v.reshape(-1, *[1] * (x.ndim - 1 - axis))


@operator
class Quantize(Op):
    """y = clamp(round(x / scale) + zero_point) to the integers of ``dtype``; halves are rounded to even."""

    signature = "x, scale, zero_point?"
    dtype: DType = DType.U8
    axis: int | None = None
    block_size: int = 0

    def infer(self, x: TensorType, scale: TensorType, zero_point: TensorType | None) -> Results:
        """x's shape."""
        expect(self.dtype.is_integer, f"{self.dtype.value} is no integer type")
        expect(
            zero_point is None or zero_point.dtype is self.dtype, f"zero_point {zero_point} is not {self.dtype.value}"
        )
        _check(x, scale, zero_point, self.axis, self.block_size)
        return (x.with_dtype(self.dtype),)

    def evaluate(self, x: Array, scale: Array, zero_point: Array | None) -> Array:
        """By the formula."""
        steps = np.rint(widen(x) / spread_along(widen(scale), x, self.axis, self.block_size))
        if zero_point is not None:
            steps = steps + spread_along(zero_point, x, self.axis, self.block_size).astype(steps.dtype)
        info = np.iinfo(self.dtype.numpy)
        return np.clip(steps.astype(np.float64), info.min, info.max).astype(self.dtype.numpy)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Three an element."""
        return 3 * numel(results[0])


@operator
class Dequantize(Op):
    """y = (x - zero_point) * scale, with the scale's element type."""

    signature = "x, scale, zero_point?"
    axis: int | None = None
    block_size: int = 0

    def infer(self, x: TensorType, scale: TensorType, zero_point: TensorType | None) -> Results:
        """x's shape."""
        expect(zero_point is None or zero_point.dtype is x.dtype, f"zero_point {zero_point} is not {x.dtype.value}")
        _check(x, scale, zero_point, self.axis, self.block_size)
        return (x.with_dtype(scale.dtype),)

    def evaluate(self, x: Array, scale: Array, zero_point: Array | None) -> Array:
        """By the formula; the difference in 64 bits where it may not fit float32."""
        factor = spread_along(widen(scale), x, self.axis, self.block_size)
        steps = x.astype(np.int64) if x.dtype.itemsize > 2 else x.astype(np.int32)
        if zero_point is not None:
            steps = steps - spread_along(zero_point, x, self.axis, self.block_size).astype(steps.dtype)
        return (steps.astype(factor.dtype) * factor).astype(scale.dtype)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two an element."""
        return 2 * numel(results[0])
