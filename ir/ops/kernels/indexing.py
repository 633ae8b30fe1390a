"""Reading and writing by arrays of indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...types import Array

_COMBINE: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def along(indices: Array, axis: int, size: int) -> tuple[Array, ...]:
    """The full index of each element of ``indices``: its own place, but along ``axis`` what it says."""
    wanted = indices.astype(np.int64)
    index: list[Any] = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    index[axis] = np.where(wanted < 0, wanted + size, wanted)
    return tuple(index)


def gather_nd(x: Array, indices: Array, batch_dims: int) -> Array:
    """x at the index heads in the last axis of ``indices``, the first axes being common."""
    heads = np.moveaxis(indices, -1, 0)
    rest = indices.ndim - 1 - batch_dims
    batch = [
        np.arange(x.shape[i]).reshape([-1 if j == i else 1 for j in range(batch_dims)] + [1] * rest)
        for i in range(batch_dims)
    ]
    index = (*batch, *heads)
    return x[index] if index else np.broadcast_to(x, (*indices.shape[:-1], *x.shape))


def scatter(x: Array, index: tuple[Array, ...], updates: Array, reduction: str) -> Array:
    """A copy of x with ``updates`` written at ``index``, or combined with what is there, one after the other."""
    y = x.copy()
    if not index:  # an index of no axes means all of x
        pieces = updates.reshape(-1, *x.shape)
        for piece in pieces:
            y = piece.copy() if reduction == "none" else _COMBINE[reduction](y, piece)
        return y
    if reduction == "none":
        y[index] = updates
    elif x.dtype.kind == "V":  # bfloat16 has no ufunc.at everywhere
        wide = y.astype(np.float32)
        _COMBINE[reduction].at(wide, index, updates.astype(np.float32))
        y = wide.astype(x.dtype)
    else:
        _COMBINE[reduction].at(y, index, updates)
    return y


def unique(x: Array, axis: int | None, in_order: bool) -> tuple[Array, ...]:
    """Distinct elements or slices, where each is met first, the place of each of x's, and how often each is met."""
    y, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.reshape(-1)
    if not in_order:
        order = np.argsort(first, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        y, first, counts = np.take(y, order, axis=0 if axis is None else axis), first[order], counts[order]
        inverse = place[inverse] if len(place) else inverse
    return y, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


def tensor_scatter(past: Array, update: Array, write_indices: Array | None, circular: bool, axis: int) -> Array:
    """``past`` with ``update`` written along ``axis`` from write_indices[b] on."""
    y = past.copy()
    rows = np.moveaxis(y, axis, 1)
    news = np.moveaxis(update, axis, 1)
    for b in range(past.shape[0]):
        start = 0 if write_indices is None else int(write_indices[b])
        at = start + np.arange(update.shape[axis])
        rows[b, at % past.shape[axis] if circular else at] = news[b]
    return y
