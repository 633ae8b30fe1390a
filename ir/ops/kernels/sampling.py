"""GridSample: reading a space at given places; and the grid of an affine map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ...types import Array


def grid_sample(x: Array, grid: Array, mode: str, padding: str, align_corners: bool) -> Array:
    """x [N, C, *S] at grid [N, *O, d] -> [N, C, *O]."""
    n, c, *sizes = x.shape
    made = grid.shape[1:-1]
    places = [_place(grid[..., -1 - i].reshape(n, -1), size, align_corners) for i, size in enumerate(sizes)]
    if mode == "nearest":
        places = [np.rint(p) for p in places]
    # a cubic kernel reads its own elements beyond a border, so its places are not moved (as PyTorch has it)
    kept = "zeros" if mode == "cubic" and padding == "border" else padding
    places = [_kept(p, size, kept, align_corners) for p, size in zip(places, sizes, strict=True)]
    axes = [_taps(p, mode) for p in places]
    flat = x.reshape(n, c, -1)
    y = np.zeros((n, c, places[0].shape[1]), x.dtype)
    for corner in product(*axes):
        index = np.zeros(places[0].shape, np.int64)
        weight = np.ones(places[0].shape, x.dtype)
        for (at, factor), size in zip(corner, sizes, strict=True):
            inside, position = _inside(at, size, padding, align_corners)
            index = index * size + position
            weight = weight * np.where(inside, factor, 0).astype(x.dtype)
        y += np.take_along_axis(flat, index[:, None, :], axis=2) * weight[:, None, :]
    return y.reshape(n, c, *made)


def _place(coordinate: Array, size: int, align_corners: bool) -> Array:
    """From -1 ... 1 to elements."""
    kind = coordinate.dtype.type
    if align_corners:
        return np.asarray((coordinate + 1) / kind(2) * kind(size - 1))
    return np.asarray(((coordinate + 1) * kind(size) - 1) / kind(2))


def _kept(place: Array, size: int, padding: str, align_corners: bool) -> Array:
    """Places brought back into the space, as the padding says (NaN goes to its begin)."""
    place = np.where(np.isnan(place), -1, place).astype(place.dtype)
    if padding == "border":
        return np.clip(place, 0, size - 1)
    if padding == "reflection":
        return _reflected(place, size, align_corners)
    return np.clip(place, -4, size + 4)  # all of it outside; keeps the conversion to integers sound


def _reflected(place: Array, size: int, align_corners: bool) -> Array:
    """Mirrored at the centres of the end elements, or at their outer edges, until it lies between."""
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    width = high - low
    if width <= 0:
        return np.full_like(place, low)
    beyond = np.abs(place - low)
    turns = np.floor(beyond / width)
    rest = beyond - turns * width
    mirrored = np.where(turns % 2 == 0, low + rest, high - rest)
    return np.where((place < low) | (place > high), mirrored, place).astype(place.dtype)


def _taps(place: Array, mode: str) -> list[tuple[Array, Array]]:
    """The elements that a place reads along one axis, each with its weight."""
    if mode == "nearest":
        return [(place.astype(np.int64), np.ones_like(place))]
    base = np.floor(place)
    t = place - base
    first = base.astype(np.int64)
    if mode == "linear":
        return [(first, 1 - t), (first + 1, t)]
    return [(first + i, _keys(np.abs(t - i))) for i in (-1, 0, 1, 2)]


def _keys(d: Array, a: float = -0.75) -> Array:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far).astype(d.dtype)


def _inside(at: Array, size: int, padding: str, align_corners: bool) -> tuple[Array, Array]:
    """Which elements there are, and where to read (somewhere, for those that there are not)."""
    if padding == "reflection":
        at = _reflected(at.astype(np.float64), size, align_corners).astype(np.int64)
    inside = (at >= 0) & (at < size) if padding == "zeros" else np.ones(at.shape, np.bool_)
    return inside, np.clip(at, 0, size - 1)


def affine_grid(theta: Array, size: Sequence[int], align_corners: bool) -> Array:
    """theta [N, d, d + 1] times the homogeneous positions of a space -> [N, *S, d]."""
    spatial = size[2:]
    lines = []
    for n in spatial:
        line = np.linspace(-1, 1, n) if align_corners and n > 1 else (np.arange(n) * 2 + 1) / max(n, 1) - 1
        lines.append(line)
    axes = np.meshgrid(*lines, indexing="ij")
    positions = np.stack([*reversed(axes), np.ones(tuple(spatial))], axis=-1).reshape(-1, len(spatial) + 1)
    grid = np.matmul(positions, np.swapaxes(theta.astype(np.float64), 1, 2))
    return np.asarray(grid.reshape(theta.shape[0], *spatial, len(spatial)).astype(theta.dtype))
