"""Arrays in the order the kernels read them, and the sizes the kernels are told.

A *block* is 16 channels, a *panel* two blocks of output channels (the last one has one block where their number is
odd). All results are flat float32 arrays. The kernels never read the lanes beyond an input's channels, so weights
carry rows of real input channels only; lanes beyond the output channels are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

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
    body = wide[:, :whole].reshape(count, whole // PANEL, PANEL).transpose(1, 0, 2)
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


def winograd_plan(tile: int, inputs: int, outputs: int, result: tuple[int, int]) -> Plan:
    """Tile rows (``band``) and columns (``chunk``) a block of ``winograd<tile>``.

    What a block keeps in scratch fits beside its part of the images into the second-level cache; large weights, which
    are read once a block, make blocks of at least two micro-tiles.
    """
    points = (tile + 2) ** 2
    high, wide = -(-result[0] // tile), -(-result[1] // tile)
    inner = blocks_of(inputs)
    row = points * wide * BLOCK * (inner + 2)
    budget = L2_FLOATS * 3 // 8
    columns = -(-row // budget)
    if points * inputs * outputs > 2 * L2_FLOATS:
        columns = min(columns, max(1, wide // 28))
    chunk = -(-wide // columns)
    band = 1
    if columns == 1:
        band = min(high, max(1, budget // row))
        if points * inputs * outputs > 4 * L2_FLOATS:
            band = min(high, max(band, -(-28 // wide)))
        parts = -(-high // band)
        band = -(-high // parts)
    tiles = band * chunk * BLOCK
    return Plan(band, chunk, points * (tiles * (inner + 2) + 2 * BLOCK))


def pack_winograd(weight: Array) -> Array:
    """``[K, C, 3, 3]`` for ``winograd_weights``: ``[K/32][C][9][2][16]``, not transformed yet."""
    return pack_pointwise(weight)


STEM_POINTS, STEM_TILE, STEM_RING = 49, 4, 16


def stem_plan(inputs: int, result: tuple[int, int]) -> Plan:
    """Result rows (``band``) an item and tile columns (``chunk``) of ``stem``: products of a row of tiles, for a panel
    of outputs, keep half of the second-level cache.
    """
    wide = -(-result[1] // STEM_TILE)
    parts = -(-wide * STEM_POINTS * PANEL // (L2_FLOATS // 2))
    chunk = -(-wide // parts)
    lanes = -(-chunk // BLOCK) * BLOCK
    rows = (inputs * STEM_RING + 7) * 8 * (lanes + BLOCK)
    products = STEM_POINTS * (4 * inputs * lanes + PANEL * chunk + BLOCK)
    table = -(-4 * inputs * 8 // 64) * BLOCK
    return Plan(-(-result[0] // STEM_TILE) * STEM_TILE, chunk, table + rows + products)


def pack_lanes(weight: Array) -> Array:
    """``[C, CG, kh, kw]`` with C outputs for ``conv2d_lanes``: ``[C/16][kh][CG][kw][16]``."""
    return pack_image(weight.transpose(0, 2, 1, 3))


def pack_groups(weight: Array, groups: int) -> Array:
    """``[K, CG, kh, kw]`` for ``conv2d_groups``: the weights of ``conv2d``, group after group."""
    return np.concatenate([pack_dense(part) for part in np.split(weight, groups)])


def grouped_plan(
    inputs: int,
    outputs: int,
    groups: int,
    result: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Plan:
    """``band`` and ``chunk`` (channels a step) of ``conv2d_grouped``."""
    plan = conv2d_plan(inputs, result, kernel, stride, dilation)
    step = gcd(inputs // groups, BLOCK)
    width = max(end - first for first, end in _touched(inputs, outputs, groups))
    table = -(-(width // step) * kernel[0] * kernel[1] * 8 // 64) * BLOCK
    return Plan(plan.band, step, plan.scratch + table)


def pack_grouped(weight: Array, groups: int) -> Array:
    """``[K, CG, kh, kw]`` for ``conv2d_grouped``: a block of outputs after the other, zeros between the groups."""
    outputs, width = weight.shape[:2]
    each = outputs // groups
    step = gcd(width, BLOCK)
    taps = np.asarray(weight, np.float32).reshape(outputs, width, -1)
    parts = []
    for block, (first, end) in enumerate(_touched(width * groups, outputs, groups)):
        dense = np.zeros((end - first, taps.shape[2], BLOCK), np.float32)
        for lane in range(min(BLOCK, outputs - block * BLOCK)):
            output = block * BLOCK + lane
            start = output // each * width - first
            dense[start : start + width, :, lane] = taps[output]
        parts.append(dense.reshape(-1, step, taps.shape[2], BLOCK).transpose(0, 2, 1, 3).reshape(-1))
    return np.concatenate(parts)


def _touched(inputs: int, outputs: int, groups: int) -> list[tuple[int, int]]:
    """The input channels of the groups that each block of outputs touches."""
    each, width = outputs // groups, inputs // groups
    return [
        (first // each * width, (min(first + BLOCK, outputs) - 1) // each * width + width)
        for first in range(0, outputs, BLOCK)
    ]


def pack_transposed(weight: Array, stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Array:
    """``[C, K, kh, kw]`` for ``conv2d_transposed``: a dense convolution for each remainder by the stride."""
    dense = weight.transpose(1, 0, 2, 3)
    rows, columns = np.arange(weight.shape[2]) * dilation[0], np.arange(weight.shape[3]) * dilation[1]
    parts = [
        pack_dense(dense[:, :, rows % stride[0] == y][:, :, :, columns % stride[1] == x])
        for y in range(stride[0])
        for x in range(stride[1])
    ]
    return np.concatenate(parts)


def transposed_plan(
    inputs: int,
    result: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Plan:
    """``band`` (result rows) of ``conv2d_transposed``; ``chunk`` is unused."""
    reach = [(kernel[i] - 1) * dilation[i] // stride[i] + 2 for i in range(2)]
    columns = (result[1] - 1) // stride[1] + 1 + reach[1]
    row = blocks_of(inputs) * columns * BLOCK

    def rows(band: int) -> int:
        return (band - 1) // stride[0] + 1 + reach[0]

    band = result[0]
    while band > stride[0] and rows(band) * row > L2_FLOATS // 4:
        band -= stride[0]
    out = 2 * -(-result[1] // stride[1]) * BLOCK
    table = -(-kernel[0] * kernel[1] * 8 // 64) * BLOCK
    return Plan(band, 0, rows(band) * row + out + table)


def matmul_scratch(rows: int, inner: int, outputs: int) -> int:
    """Floats per worker of ``matmul`` (``[m, k] x [k, n]``)."""
    packed = inner * blocks_of(outputs) * BLOCK
    return packed + 8 * 14 * BLOCK * (blocks_of(inner) + blocks_of(outputs))


def attention_plan(queries: int, keys: int, width: int, value_width: int) -> tuple[int, int]:
    """``Attention.rows`` and the floats of scratch per worker: a block of scores keeps a quarter of the cache."""
    lanes = blocks_of(keys) * BLOCK
    most = max(14, L2_FLOATS // 4 // lanes // 14 * 14)
    parts = -(-queries // most)
    rows = -(-queries // parts)
    return rows, lanes * width + blocks_of(value_width) * BLOCK * keys + rows * lanes


STRASSEN_PIXELS = 84
"""Pixels of a block of ``pointwise_strassen``: its halves are whole tiles of 14 pixels and of 6."""


def strassen_plan(inputs: int, pixels: int) -> tuple[int, int]:
    """``Pointwise.block`` of ``pointwise_strassen`` and the floats of scratch: six sums of quarters beside x."""
    block = min(pixels, STRASSEN_PIXELS)
    return block, 6 * (inputs // 2) * -(-block // 2)
