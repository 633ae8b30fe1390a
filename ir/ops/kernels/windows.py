"""Pools: windows that slide over the spatial axes, one axis after the other where that is possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...types import Array

Ints = Sequence[int]


def _out(size: int, span: int, stride: int, begin: int, end: int, ceil_mode: bool) -> int:
    places = (size + begin + end - span + (stride - 1 if ceil_mode else 0)) // stride + 1
    return places - 1 if ceil_mode and (places - 1) * stride >= size + begin else places


def least(dtype: np.dtype[Any]) -> Any:
    """The least value of an element type (minus infinity of floats)."""
    return False if dtype.kind == "b" else np.iinfo(dtype).min if dtype.kind in "iu" else dtype.type(-np.inf)


class _Axis:
    """How a window slides along one axis: its taps, its places, the padding that all of them reach."""

    def __init__(self, size: int, k: int, stride: int, begin: int, end: int, dilation: int, ceil_mode: bool) -> None:
        span = dilation * (k - 1) + 1
        self.k, self.stride, self.dilation = k, stride, dilation
        self.size, self.begin, self.end = size, begin, end
        self.out = _out(size, span, stride, begin, end, ceil_mode)
        self.reach = max(0, (self.out - 1) * stride + span - size - begin)  # elements beyond the axis's end

    def tap(self, at: int) -> slice:
        """What tap ``at`` sees of the padded axis."""
        first = at * self.dilation
        return slice(first, first + (self.out - 1) * self.stride + 1, self.stride)

    def positions(self, at: int) -> Array:
        """Which elements of the axis tap ``at`` sees; outside of it in the padding."""
        return np.arange(self.out) * self.stride + at * self.dilation - self.begin

    def counts(self, include_pad: bool) -> Array:
        """How many elements each place counts: those of the axis, or of its padding too."""
        low, high = (-self.begin, self.size + self.end) if include_pad else (0, self.size)
        seen = np.stack([self.positions(at) for at in range(self.k)])
        return np.asarray(((seen >= low) & (seen < high)).sum(axis=0))


def _axes(x: Array, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, ceil_mode: bool) -> list[_Axis]:
    rank = x.ndim - 2
    return [
        _Axis(x.shape[2 + i], kernel[i], strides[i], pads[i], pads[rank + i], dilations[i], ceil_mode)
        for i in range(rank)
    ]


def _slid(x: Array, axes: Sequence[_Axis], fill: Any, combine: Callable[..., Array]) -> Array:
    """``combine`` over the taps, one axis after the other."""
    for i, axis in enumerate(axes, start=2):
        width = [(0, 0)] * x.ndim
        width[i] = (axis.begin, axis.reach)
        wide = np.pad(x, width, constant_values=fill) if axis.begin or axis.reach else x
        before = (slice(None),) * i
        y = wide[(*before, axis.tap(0))].copy()
        for at in range(1, axis.k):
            combine(y, wide[(*before, axis.tap(at))], out=y)
        x = y
    return x


def max_pool(x: Array, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, ceil_mode: bool) -> Array:
    """The greatest element of each window."""
    return _slid(x, _axes(x, kernel, strides, pads, dilations, ceil_mode), least(x.dtype), np.maximum)


def sum_pool(x: Array, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, ceil_mode: bool) -> Array:
    """The sum of each window."""
    return _slid(x, _axes(x, kernel, strides, pads, dilations, ceil_mode), x.dtype.type(0), np.add)


def average_pool(
    x: Array, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, ceil_mode: bool, include_pad: bool
) -> Array:
    """The mean of each window over what counts."""
    axes = _axes(x, kernel, strides, pads, dilations, ceil_mode)
    y = _slid(x, axes, x.dtype.type(0), np.add)
    for i, axis in enumerate(axes):
        shape = [1] * len(axes)
        shape[i] = axis.out
        y = y / axis.counts(include_pad).reshape(shape).astype(x.dtype)
    return y


def max_pool_indices(
    x: Array, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, ceil_mode: bool, storage_order: int
) -> tuple[Array, Array]:
    """The greatest element of each window and its index in the flattened x."""
    axes = _axes(x, kernel, strides, pads, dilations, ceil_mode)
    width = [(0, 0), (0, 0), *((a.begin, a.reach) for a in axes)]
    wide = np.pad(x, width, constant_values=least(x.dtype))
    out = tuple(a.out for a in axes)
    best = np.full((*x.shape[:2], *out), least(x.dtype), x.dtype)
    found = np.zeros(best.shape, np.int64)
    chosen = np.zeros(best.shape, np.bool_)
    weights = _weights(x.shape[2:], storage_order)
    for at in np.ndindex(*kernel):
        index: tuple[Any, ...] = (..., *(a.tap(t) for a, t in zip(axes, at, strict=True)))
        seen = wide[index]
        grid = np.meshgrid(*(a.positions(t) for a, t in zip(axes, at, strict=True)), indexing="ij", sparse=True)
        inside, flat = np.array(True), np.array(0)
        for position, axis, weight in zip(grid, axes, weights, strict=True):
            inside = inside & (position >= 0) & (position < axis.size)
            flat = flat + position * weight
        better = inside & (~chosen | (seen > best))
        best, found = np.where(better, seen, best), np.where(better, flat, found)
        chosen |= inside
    first = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * len(axes))
    return best, found + first * math.prod(x.shape[2:])


def _weights(sizes: Ints, storage_order: int) -> list[int]:
    """How many elements of the flattened space one step along each axis is."""
    if storage_order:
        return [math.prod(sizes[:i]) for i in range(len(sizes))]
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
