"""Regions of interest: pools over boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...types import Array


def _axis_points(start: float, length: float, cells: int, points: int, size: int) -> tuple[Array, Array, Array, Array]:
    """Along one axis, for each cell and point: the two elements to read, their weights (zero outside the axis)."""
    cell, point = np.arange(cells)[:, None], np.arange(points)[None, :]
    where = (start + (cell + (point + 0.5) / max(points, 1)) * (length / cells)).reshape(-1)
    inside = (where >= -1) & (where <= size)
    where = np.clip(where, 0, size - 1)
    low = np.floor(where).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    fraction = where - low
    return low, high, np.where(inside, 1 - fraction, 0), np.where(inside, fraction, 0)


def roi_align(
    x: Array,
    rois: Array,
    batch_indices: Array,
    mode: str,
    output: tuple[int, int],
    sampling_ratio: int,
    spatial_scale: float,
    half_pixel: bool,
) -> Array:
    """RoiAlign: [R, C, *output]."""
    y = np.zeros((len(rois), x.shape[1], *output), x.dtype)
    shift = 0.5 if half_pixel else 0.0
    kind = x.dtype.type  # how many points there are depends on the last bit
    for r, (box, image) in enumerate(zip(rois, batch_indices, strict=True)):
        left, top, right, bottom = box * kind(spatial_scale) - kind(shift)
        axes = []
        counts = []
        for start, length, cells, size in (
            (top, bottom - top, output[0], x.shape[2]),
            (left, right - left, output[1], x.shape[3]),
        ):
            extent = length if half_pixel else max(length, kind(1))
            points = sampling_ratio if sampling_ratio > 0 else max(math.ceil(extent / cells), 0)
            axes.append(_axis_points(start, extent, cells, points, size))
            counts.append(points)
        y[r] = _sampled(x[int(image)], axes, counts, output, mode)
    return y


def _sampled(
    image: Array, axes: Sequence[tuple[Array, Array, Array, Array]], counts: Sequence[int], output: tuple[int, int],
    mode: str,
) -> Array:  # fmt: skip
    """One region's cells [C, *output] from the points of both axes."""
    if 0 in counts:
        return np.zeros((image.shape[0], *output), image.dtype)
    (y0, y1, wy0, wy1), (x0, x1, wx0, wx1) = axes
    corners = [
        image[:, rows[:, None], columns[None, :]] * (wy[:, None] * wx[None, :])
        for rows, wy in ((y0, wy0), (y1, wy1))
        for columns, wx in ((x0, wx0), (x1, wx1))
    ]
    split = (image.shape[0], output[0], counts[0], output[1], counts[1])
    if mode == "max":
        result = np.maximum.reduce(corners).reshape(split).max(axis=(2, 4))
    else:
        result = sum(corners[1:], corners[0]).reshape(split).mean(axis=(2, 4))
    return np.asarray(result.astype(image.dtype))


def max_roi_pool(x: Array, rois: Array, pooled: tuple[int, ...], spatial_scale: float) -> Array:
    """MaxRoiPool: [R, C, *pooled]; an empty cell is zero."""
    y = np.zeros((len(rois), x.shape[1], *pooled), x.dtype)
    for r, roi in enumerate(rois):
        image = x[int(roi[0])]
        corners = [math.floor(abs(float(v) * spatial_scale) + 0.5) * (1 if v >= 0 else -1) for v in roi[1:]]
        rows = _cells(corners[1], corners[3], pooled[0], x.shape[2])
        columns = _cells(corners[0], corners[2], pooled[1], x.shape[3])
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                cell = image[:, row, column]
                if cell.size:
                    y[r, :, i, j] = cell.max(axis=(1, 2))
    return y


def _cells(first: int, last: int, count: int, size: int) -> list[slice]:
    """The elements of each cell of an axis, between first and last included, as far as there are any."""
    width = max(last - first + 1, 1) / count
    result = []
    for i in range(count):
        begin, end = math.floor(i * width) + first, math.ceil((i + 1) * width) + first
        result.append(slice(min(max(begin, 0), size), min(max(end, 0), size)))
    return result
