"""Arrays in the order the kernels read them, and the sizes the kernels are told.

A *block* is 16 channels, a *panel* two blocks of output channels (the last one has one block where their number is
odd). All results are flat float32 arrays. The kernels never read the lanes beyond an input's channels, so weights carry rows
of real input channels only; lanes beyond the output channels are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mconv.ir.types import Array

BLOCK = 16
PANEL = 2 * BLOCK
L2_FLOATS = 1 << 18  # 1 MB, the smallest second-level cache of today's servers and laptops


def blocks_of(channels: int) -> int:
    """16-channel blocks that hold ``channels``."""
    return -(-channels // BLOCK)


def padded(array: Array, axis: int = 0, multiple: int = BLOCK) -> Array:
    """``array`` with zeros behind ``axis`` up to a multiple."""
    missing = -array.shape[axis] % multiple
    if not missing:
        return array
    width = [(0, 0)] * array.ndim
    width[axis] = (0, missing)
    return np.pad(array, width)


def pack_vector(values: Array) -> Array:
    """A number per channel (bias, scale, slope): ``[K/16][16]``."""
    return np.ascontiguousarray(padded(values.reshape(-1)), np.float32)


def pack_image(image: Array) -> Array:
    """``[C, ...]`` as ``[C/16][pixels][16]``."""
    flat = padded(image.reshape(image.shape[0], -1))
    return np.ascontiguousarray(flat.reshape(-1, BLOCK, flat.shape[1]).transpose(0, 2, 1), np.float32).reshape(-1)


def unpack_image(flat: Array, shape: tuple[int, ...]) -> Array:
    """The ``[C, ...]`` that ``pack_image`` made ``flat`` of."""
    blocked = flat.reshape(blocks_of(shape[0]), -1, BLOCK).transpose(0, 2, 1)
    return np.ascontiguousarray(blocked.reshape(-1, blocked.shape[2])[: shape[0]]).reshape(shape)


def pack_panels(rows: Array) -> Array:
    """``[R, K]`` (a row per step of the product) as ``[K/32][R][2][16]``."""
    wide = padded(np.asarray(rows, np.float32), 1)
    count, outputs = wide.shape
    whole = outputs // PANEL * PANEL
    body = wide[:, :whole].reshape(count, -1, PANEL).transpose(1, 0, 2)
    return np.concatenate([body.reshape(-1), wide[:, whole:].reshape(-1)])


def pack_pointwise(weight: Array) -> Array:
    """``[K, C]`` of a 1x1 convolution or Linear: ``[K/32][C][2][16]``."""
    return pack_panels(weight.reshape(weight.shape[0], -1).T)


def pack_dense(weight: Array) -> Array:
    """``[K, C, kh, kw]`` for ``conv2d``: ``[K/32][C/16][kh * kw][16][2][16]``."""
    outputs, inputs = weight.shape[:2]
    taps = weight.reshape(outputs, inputs, -1)
    rows = [taps[:, first : first + BLOCK].transpose(2, 1, 0).reshape(-1, outputs) for first in range(0, inputs, BLOCK)]
    return pack_panels(np.concatenate(rows))


def pack_planar(weight: Array) -> Array:
    """``[K, C, kh, kw]`` for ``conv2d_planar``: ``[K/32][C][kh * kw][2][16]``."""
    return pack_pointwise(weight)


def pack_depthwise(weight: Array) -> Array:
    """``[C, 1, kh, kw]`` for ``depthwise``: ``[C/16][kh * kw][16]``."""
    return pack_image(weight.reshape(weight.shape[0], -1))


@dataclass(frozen=True)
class Plan:
    """What a dense convolution is told: ``Conv2d.band``, ``Conv2d.chunk`` and the floats of scratch per worker."""

    band: int
    chunk: int
    scratch: int


def conv2d_plan(
    inputs: int,
    result: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    planar: bool = False,
) -> Plan:
    """Result rows a strip and input blocks a pass of ``conv2d`` (``planar``: of ``conv2d_planar``).

    A strip keeps a quarter of the second-level cache, the weights of a panel and pass about as much.
    """
    taps = kernel[0] * kernel[1]
    units = inputs if planar else blocks_of(inputs)
    lanes = 1 if planar else BLOCK
    columns = -(-((result[1] - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1) // stride[1])
    row = units * columns * stride[1] * lanes

    def rows(band: int) -> int:
        return (band - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1

    band = result[0]
    while band > 1 and rows(band) * row > L2_FLOATS // 4:
        band -= 1
    parts = -(-result[0] // band)
    band = -(-result[0] // parts)
    chunk = max(1, L2_FLOATS // 4 // (taps * PANEL * lanes))
    passes = -(-units // chunk)
    table = -(-taps * 8 // 64) * BLOCK
    return Plan(band, -(-units // passes), table + rows(band) * row)


def gemm_block(inputs: int, outputs: int, pixels: int) -> int:
    """Pixels of a cache block of ``pointwise``: x of a block keeps half of the second-level cache."""
    most = max(2 * 14, L2_FLOATS // 2 // (blocks_of(inputs) * BLOCK))
    parts = max(1, -(-pixels // most))
    return -(-pixels // parts)
