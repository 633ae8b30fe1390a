"""Resize: where each result element reads, with which weights, one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...types import Array

if TYPE_CHECKING:
    from ..spatial import Resize


def kept_aspect(sizes: Sequence[int], wanted: Sequence[int], policy: str) -> tuple[list[float], list[int]]:
    """The one scale of all axes, and the sizes it makes: as large as wanted by no axis, or by every axis."""
    ratios = [w / s for w, s in zip(wanted, sizes, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [scale] * len(sizes), [int(np.floor(scale * s + 0.5)) for s in sizes]


def scaled_size(size: int, scale: float) -> int:
    """floor(size * scale), the product in float32 as the scale is."""
    return int(np.floor(np.float32(size) * np.float32(scale)))


def resize(
    op: Resize, x: Array, roi: Sequence[float] | None, scales: Sequence[float] | None, sizes: Sequence[int] | None
) -> Array:
    """x resampled along ``op.axes``; of integers in float64, then rounded."""
    own = [x.shape[a] for a in op.axes]
    crop = _crops(op, roi)
    if sizes is not None:
        made = list(sizes)
        factors = [w / n for w, n in zip(made, own, strict=True)]
        if op.keep_aspect != "stretch":
            factors, made = kept_aspect(own, sizes, op.keep_aspect)
    else:
        assert scales is not None
        factors = list(scales)
        made = [scaled_size(n, s * (e - b)) for n, s, (b, e) in zip(own, factors, crop, strict=True)]
    y = x if x.dtype.kind == "f" or op.mode == "nearest" else x.astype(np.float64)
    for axis, size, factor, part in zip(op.axes, made, factors, crop, strict=True):
        if size != y.shape[axis] or factor != 1 or part != (0.0, 1.0):
            y = _resize_axis(op, y, axis, size, factor, part)
    return y if y.dtype == x.dtype else _saturated(y, x.dtype)


def _crops(op: Resize, roi: Sequence[float] | None) -> list[tuple[float, float]]:
    """The part of each axis that is read."""
    count = len(op.axes)
    if op.coordinates != "tf_crop_and_resize" or not roi:
        return [(0.0, 1.0)] * count
    return list(zip(roi[:count], roi[count:], strict=True))


def _saturated(y: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind not in "iu":
        return y.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(y), info.min, info.max).astype(dtype)


def _positions(op: Resize, n: int, made: int, scale: float, part: tuple[float, float]) -> Array:
    """Where in an axis of ``n`` elements each of the ``made`` ones reads."""
    i = np.arange(made, dtype=np.float64)
    exact = scale * n  # of which ``made`` is the whole part
    if op.coordinates == "align_corners":
        return np.zeros(made) if exact == 1 else i * (n - 1) / (exact - 1)
    if op.coordinates == "asymmetric":
        return i / scale
    if op.coordinates == "tf_crop_and_resize":
        begin, end = part
        if made == 1:
            return np.full(made, (begin + end) * (n - 1) / 2)
        return begin * (n - 1) + i * (end - begin) * (n - 1) / (made - 1)
    if op.coordinates == "pytorch_half_pixel" and made == 1:
        return np.zeros(made)
    centre = n / 2 * (1 - made / exact) if op.coordinates == "half_pixel_symmetric" else 0.0
    return centre + (i + 0.5) / scale - 0.5


def _resize_axis(op: Resize, x: Array, axis: int, made: int, scale: float, part: tuple[float, float]) -> Array:
    n = x.shape[axis]
    where = _positions(op, n, made, scale, part)
    if op.mode == "nearest":
        y = np.take(x, np.clip(_nearest(where, op.nearest), 0, n - 1), axis=axis)
    else:
        y = _weighted(op, x, axis, where, scale)
    if op.coordinates == "tf_crop_and_resize":
        shape = [1] * x.ndim
        shape[axis] = made
        outside = ((where < 0) | (where > n - 1)).reshape(shape)
        y = np.where(outside, np.asarray(op.extrapolation_value).astype(y.dtype), y)
    return y


def _nearest(where: Array, rounding: str) -> Array:
    if rounding == "round_prefer_floor":
        found = np.ceil(where - 0.5)
    elif rounding == "round_prefer_ceil":
        found = np.floor(where + 0.5)
    else:
        found = np.floor(where) if rounding == "floor" else np.ceil(where)
    return found.astype(np.int64)


def _weighted(op: Resize, x: Array, axis: int, where: Array, scale: float) -> Array:
    """The sum of the kernel's taps; beyond the ends the end elements repeat."""
    n, support = x.shape[axis], 2 if op.mode == "cubic" else 1
    narrow = min(scale, 1.0) if op.antialias else 1.0
    first = int(np.floor(-support / narrow)) + 1
    taps = (np.ceil(where).astype(np.int64) - 1)[:, None] + np.arange(first, 2 - first)
    distance = np.abs(taps - where[:, None]) * narrow
    weights = _keys(distance, op.cubic_coeff) if op.mode == "cubic" else np.maximum(1 - distance, 0)
    if op.exclude_outside:
        weights = np.where((taps >= 0) & (taps < n), weights, 0)
    if op.exclude_outside or op.antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    taps = np.clip(taps, 0, n - 1)
    shape = [1] * x.ndim
    shape[axis] = len(where)
    y = np.zeros((*x.shape[:axis], len(where), *x.shape[axis + 1 :]), x.dtype)
    for column, weight in zip(taps.T, weights.T.astype(x.dtype), strict=True):
        y += np.take(x, column, axis=axis) * weight.reshape(shape)
    return y


def _keys(d: Array, a: float) -> Array:
    """Keys' cubic kernel at distances d >= 0."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
