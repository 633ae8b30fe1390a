"""Constants that hold one number a channel, whatever shape they broadcast with."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, Value

from ..pattern import Match


def per_channel(m: Match, name: str, x: Value, axis: int) -> Array:
    """The constant ``name``, which is broadcast against ``x``, as a vector of one number per element of ``axis``.

    A refusal where it varies along another axis, or broadcasts x itself to a larger shape.
    """
    data = m.const(name)
    rank = x.type.rank
    m.require(data.ndim <= rank, "the constant has more axes than the value")
    full = (1,) * (rank - data.ndim) + data.shape
    m.require(all(d == 1 for i, d in enumerate(full) if i != axis), "the constant varies along another axis")
    m.require(m.root.result.type.shape == x.type.shape, "the constant broadcasts the value")
    channels = x.type.shape[axis]
    m.require(isinstance(channels, int), "the number of channels is known only at run time")
    return np.broadcast_to(data.reshape(-1), (channels,))  # type: ignore[arg-type]


def along(vector: Array, axis: int, rank: int) -> Array:
    """The vector with the shape that broadcasts it along ``axis`` of a tensor of ``rank`` axes."""
    return vector.reshape([-1 if i == axis else 1 for i in range(rank)])


def scaled(weight: Array, scale: Array, axis: int) -> Array:
    """``weight`` times ``scale`` along ``axis``, computed in the weight's own element type."""
    result: Array = weight * along(scale, axis, weight.ndim).astype(weight.dtype)
    return result.astype(weight.dtype, copy=False)
