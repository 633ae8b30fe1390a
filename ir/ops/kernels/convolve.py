"""Convolutions: windows unfolded into columns and multiplied as matrices, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...types import Array
from .movement import pad

COLUMN_BYTES = 1 << 26
"""Unfolded columns are made in pieces of about this size."""

Ints = Sequence[int]


def padded(x: Array, pads: Ints, value: float = 0) -> Array:
    """x with spatial pads (all begins, then all ends); negative ones crop."""
    rank = x.ndim - 2
    return pad(x, (0, 0, *pads[:rank], 0, 0, *pads[rank:]), "constant", value) if any(pads) else x


def places(sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints) -> tuple[int, ...]:
    """How often a window fits on each axis of padded sizes."""
    spans = (d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    return tuple(max(0, (n - span) // s + 1) for n, span, s in zip(sizes, spans, strides, strict=True))


def unfolded(x: Array, kernel: Ints, strides: Ints, dilations: Ints) -> Array:
    """A view of x [N, C, *S] as windows [N, C, *K, *S']; read only."""
    out = places(x.shape[2:], kernel, strides, dilations)
    taps = tuple(s * d for s, d in zip(x.strides[2:], dilations, strict=True))
    steps = tuple(s * d for s, d in zip(x.strides[2:], strides, strict=True))
    return as_strided(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *taps, *steps), writeable=False)


def tap(x: Array, at: Ints, out: Ints, strides: Ints, dilations: Ints) -> Array:
    """The view of x [N, C, *S] that tap ``at`` of the window sees, [N, C, *S']."""
    each = zip(at, out, strides, dilations, strict=True)
    index: tuple[Any, ...] = (..., *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in each))
    return np.asarray(x[index])


def conv(x: Array, w: Array, b: Array | None, strides: Ints, pads: Ints, dilations: Ints, groups: int) -> Array:
    """Conv of x [N, C, *S] with w [M, C/groups, *K] and b [M]."""
    x = padded(x, pads)
    kernel = w.shape[2:]
    out = places(x.shape[2:], kernel, strides, dilations)
    if w.shape[1] == 1 and groups == x.shape[1] and groups > 1:
        y = _depthwise(x, w, out, strides, dilations)
    else:
        y = _by_columns(x, w, out, strides, dilations, groups)
    return y if b is None else np.add(y, b.reshape(-1, *[1] * len(out)), out=y)


def _depthwise(x: Array, w: Array, out: Ints, strides: Ints, dilations: Ints) -> Array:
    multiplier = w.shape[0] // x.shape[1]
    x = np.repeat(x, multiplier, axis=1) if multiplier > 1 else x
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    if y.size == 0:
        return y
    product = np.empty_like(y)
    for at in np.ndindex(*w.shape[2:]):
        factor = w[(slice(None), 0, *at)].reshape(-1, *[1] * len(out))
        y += np.multiply(tap(x, at, out, strides, dilations), factor, out=product)
    return y


def _by_columns(x: Array, w: Array, out: Ints, strides: Ints, dilations: Ints, groups: int) -> Array:
    n, c = x.shape[:2]
    kernel, m = w.shape[2:], w.shape[0]
    y = np.empty((n, groups, m // groups, *out), x.dtype)
    matrix = w.reshape(groups, m // groups, -1)
    if y.size == 0 or matrix.shape[2] == 0:
        return np.zeros((n, m, *out), x.dtype)
    windows = unfolded(x, kernel, strides, dilations)
    row_bytes = c * math.prod(kernel) * math.prod(out[1:]) * x.itemsize
    rows = max(1, min(out[0], COLUMN_BYTES // max(row_bytes, 1)))
    before = (slice(None),) * (1 + len(kernel))
    for image in range(n):
        for start in range(0, out[0], rows):
            piece = windows[image][(*before, slice(start, start + rows))]
            columns = piece.reshape(groups, matrix.shape[2], -1)
            made = np.matmul(matrix, columns)
            y[image][:, :, start : start + rows] = made.reshape(groups, m // groups, -1, *out[1:])
    return y.reshape(n, m, *out)


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None,
    strides: Ints,
    pads: Ints,
    dilations: Ints,
    groups: int,
    output_padding: Ints,
) -> Array:
    """ConvTranspose of x [N, C, *S] with w [C, M/groups, *K] and b [M]."""
    n, c, *sizes = x.shape
    kernel, m = w.shape[2:], w.shape[1] * groups
    matrix = w.reshape(groups, c // groups, -1).swapaxes(1, 2)
    columns = np.matmul(matrix, x.reshape(n, groups, c // groups, -1))
    columns = columns.reshape(n, m, *kernel, *sizes)
    full = [
        (size - 1) * s + d * (k - 1) + 1 + more
        for size, s, d, k, more in zip(sizes, strides, dilations, kernel, output_padding, strict=True)
    ]
    y = padded(_added(columns, full, strides, dilations), [-p for p in pads])
    return y if b is None else y + b.reshape(-1, *[1] * len(sizes))


def fold(x: Array, image: Ints, block: Ints, strides: Ints, pads: Ints, dilations: Ints) -> Array:
    """Col2Im: x [N, C * prod(block), L] added into [N, C, *image]."""
    rank = len(image)
    full = [size + pads[i] + pads[i + rank] for i, size in enumerate(image)]
    out = places(full, block, strides, dilations)
    channels = x.shape[1] // math.prod(block)
    y = _added(x.reshape(x.shape[0], channels, *block, *out), full, strides, dilations)
    return padded(y, [-p for p in pads])


def _added(columns: Array, full: Ints, strides: Ints, dilations: Ints) -> Array:
    """Windows [N, C, *K, *P] added into their places in zeros [N, C, *full]."""
    rank = len(full)
    kernel, out = columns.shape[2 : 2 + rank], columns.shape[2 + rank :]
    y = np.zeros((*columns.shape[:2], *(max(f, 0) for f in full)), columns.dtype)
    if columns.size:
        for at in np.ndindex(*kernel):
            view = tap(y, at, out, strides, dilations)
            view += columns[(slice(None), slice(None), *at)]
    return y


def deform_conv(
    x: Array,
    w: Array,
    offset: Array,
    b: Array | None,
    mask: Array | None,
    strides: Ints,
    pads: Ints,
    dilations: Ints,
    groups: int,
    offset_groups: int,
) -> Array:
    """DeformConv with two spatial axes: every tap of every window is sampled, then multiplied as a matrix."""
    n, c = x.shape[:2]
    m, kernel, out = w.shape[0], w.shape[2:], offset.shape[2:]
    taps = math.prod(kernel)
    shift = offset.reshape(n, offset_groups, taps, 2, *out)
    where = []
    for axis in range(2):
        tap_at = np.indices(kernel)[axis].reshape(-1) * dilations[axis]
        place_at = np.indices(out)[axis] * strides[axis] - pads[axis]
        where.append(tap_at[:, None, None] + place_at + shift[:, :, :, axis])
    grouped = x.reshape(n, offset_groups, c // offset_groups, -1)
    columns = _bilinear(grouped, x.shape[2:], where[0], where[1])
    if mask is not None:
        columns = columns * mask.reshape(n, offset_groups, 1, taps, *out)
    columns = columns.reshape(n, groups, c // groups * taps, -1)
    y = np.matmul(w.reshape(groups, m // groups, -1), columns).reshape(n, m, *out).astype(x.dtype, copy=False)
    return np.asarray(y if b is None else y + b.reshape(-1, 1, 1))


def _bilinear(x: Array, sizes: Ints, rows: Array, columns: Array) -> Array:
    """x [N, G, C, H W] read at positions [N, G, *P] -> [N, G, C, *P]; zeros outside."""
    n, g, c = x.shape[:3]
    top, left = np.floor(rows), np.floor(columns)
    y = np.zeros((n, g, c, rows[0, 0].size), x.dtype)
    for down in (0, 1):
        for right in (0, 1):
            row, column = top + down, left + right
            weight = (1 - np.abs(rows - row)) * (1 - np.abs(columns - column))
            inside = (row >= 0) & (row < sizes[0]) & (column >= 0) & (column < sizes[1])
            flat = np.where(inside, row * sizes[1] + column, 0).astype(np.int64).reshape(n, g, 1, -1)
            factor = np.where(inside, weight, 0).astype(x.dtype).reshape(n, g, 1, -1)
            y += np.take_along_axis(x, np.broadcast_to(flat, (n, g, 1, flat.shape[3])), axis=3) * factor
    return y.reshape(n, g, c, *rows.shape[2:])
