"""Quantization, explicit: real = (stored - zero_point) * scale.

scale and zero_point are scalars (``axis`` None), or hold one number for each element of ``axis``; with ``block_size`` B
they have x's rank, and one number serves B consecutive elements along ``axis``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from ..graph import infer_types, padded
from ..op import Op, Types, expect, numel, operator
from ..types import Array, DType, TensorType
from .activation import Relu
from .conv import Conv
from .forms import Results, expect_axis, expect_dim, expect_float, widen
from .linear import Linear

_T = TypeVar("_T")


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


@operator
class Quantized(Op):
    """Quantize(inner(Dequantize(operand), ...)): ``inner``, an operator with one result, on integers.

    The operands are scale and zero point of the result, then for each operand of ``inner`` three: the stored integers,
    their scale, their zero point. Where the scale is absent, ``inner`` takes the first of the three as it is (indices,
    a condition, a bias that was left real); where all three are, the operand is absent. ``axes`` holds for each operand
    of ``inner`` the axis of its scale (None for a scalar, or where there is none), ``dtype`` and ``axis`` are those of
    Quantize. A bias is one more operand, of i32 with the scale of x times that of w.

    A convolution and a product with weights are computed as integer runtimes do: the products of integers are summed
    exactly, and the sum is brought to the result's steps by one factor, scale of x times that of w by that of the
    result, in 32 bits. In the explicit form each number is rounded on the way, so that a result half-way between two
    integers may come out one step off. All else is by definition the explicit form.
    """

    signature = "scale, zero_point?, *operands"
    inner: Op
    axes: tuple[int | None, ...]
    dtype: DType = DType.U8
    axis: int | None = None

    def explicit(self, apply: Callable[..., _T], scale: _T, zero_point: _T | None = None, *operands: _T | None) -> _T:
        """The explicit form, of whatever ``apply(op, *operands)`` makes: types, arrays, values of a graph."""
        parts: list[_T | None] = []
        for axis, (stored, factor, point) in zip(self.axes, self.triples(operands), strict=True):
            parts.append(stored if factor is None else apply(Dequantize(axis), stored, factor, point))
        return apply(Quantize(self.dtype, self.axis), apply(self.inner, *parts), scale, zero_point)

    def triples(self, operands: Sequence[_T | None]) -> list[tuple[_T | None, _T | None, _T | None]]:
        """What follows the result's scale and zero point, an operand of ``inner`` each: stored, scale, zero point."""
        full = (*operands, *(None,) * (3 * len(self.axes) - len(operands)))
        return list(zip(full[::3], full[1::3], full[2::3], strict=True))

    def infer(self, scale: TensorType, zero_point: TensorType | None, *operands: TensorType | None) -> Results:
        """Integers in the shape of inner's result."""
        expect(not isinstance(self.inner, Quantize | Dequantize | Quantized), f"{self.inner} is no arithmetic")
        count = -(-len(operands) // 3)
        expect(count <= len(self.axes), f"axes {self.axes} for {count} operands")
        triples = self.triples(operands)
        expect(any(factor is not None for _, factor, _ in triples), "no operand is quantized")
        for stored, factor, point in triples:
            expect(stored is not None or (factor is None and point is None), "a scale or zero point of nothing")
            expect(factor is not None or point is None, "a zero point without a scale")
        return (self.explicit(_inferred, scale, zero_point, *operands),)

    def evaluate(self, scale: Array, zero_point: Array | None, *operands: Array | None) -> Array:
        """Products with weights in integers, other operators as the explicit form."""
        steps = self._summed(scale, operands) if scale.size == 1 else None
        if steps is None:
            return self.explicit(_evaluated, scale, zero_point, *operands)
        return np.asarray(Quantize(self.dtype).evaluate(steps, np.ones((), steps.dtype), zero_point))

    def _summed(self, scale: Array, operands: Sequence[Array | None]) -> Array | None:
        """The result in steps, not yet rounded; None where ``inner`` is no product of integers with weights."""
        if not isinstance(self.inner, Conv | Linear) or not isinstance(self.inner.activation, Relu | None):
            return None
        (x, of_x, zero_x), (w, of_w, zero_w), *rest = self.triples(operands)
        b, of_b, _ = rest[0] if rest else (None, None, None)
        if x is None or w is None or of_x is None or of_w is None or of_x.size != 1 or self.axes[1] not in {None, 0}:
            return None
        unit = widen(of_x).reshape(()) * widen(of_w).reshape(-1)
        if b is not None and (of_b is None or not np.allclose(widen(of_b).reshape(-1), unit, rtol=1e-5, atol=0)):
            return None
        last = isinstance(self.inner, Linear) or self.inner.channels_last
        bias = None if b is None else b.astype(np.float64)
        sums = _evaluated(self.inner, _centred(x, zero_x), _centred(w, zero_w), bias)
        factor = unit / widen(scale).reshape(())
        return sums.astype(unit.dtype) * (factor if last else factor.reshape(-1, *[1] * (x.ndim - 2)))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Those of ``inner``."""
        parts = [t if s is None or t is None else t.with_dtype(s.dtype) for t, s, _ in self.triples(operands[2:])]
        return self.inner.flops(padded(self.inner, parts), results)


def _centred(stored: Array, zero_point: Array | None) -> Array:
    """Stored integers less their zero point (a scalar, or one for each of the first axis), exactly, as float64."""
    steps = stored.astype(np.float64)
    if zero_point is None:
        return steps
    return steps - zero_point.astype(np.float64).reshape(-1, *[1] * (0 if zero_point.size == 1 else stored.ndim - 1))


def _inferred(op: Op, *types: TensorType | None) -> TensorType:
    results = infer_types(op, types)
    expect(len(results) == 1, f"{type(op).__name__} has {len(results)} results")
    return results[0]


def _evaluated(op: Op, *arrays: Array | None) -> Array:
    results = op.evaluate(*padded(op, arrays))
    return np.asarray(results[0] if isinstance(results, tuple) else results)
