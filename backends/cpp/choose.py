"""Which algorithm a dense convolution takes, by a count of vector steps.

The unit is one multiply-add of 16 lanes. The constants were measured on Zen 4 with AVX-512 at 224 to 7 pixels and 16 to
512 channels; there the estimate picks the faster one or one within 5 % of it.
"""

from __future__ import annotations

from typing import Literal

from .packing import BLOCK, blocks_of, winograd_plan

# Steps that the transforms of one tile of one 16-channel block cost, input and output alike, by the tile's side.
TRANSFORM_STEPS = {2: 100, 4: 240, 5: 400, 6: 550}
# Of the cost, since larger tiles round more, one of five a side twice and one of six four times what one of four does:
# they are taken where they save a twentieth and a tenth.
RELUCTANCE = {2: 1.0, 4: 1.0, 5: 1.05, 6: 1.1}
# Steps in which a float of weights arrives from memory, and from the cache that comes before memory. That goes on
# behind the arithmetic, and the longer of the two is what is waited for: of a small image's weights, which are read for
# few pixels, more than for its arithmetic.
STEPS_A_WEIGHT, STEPS_A_WEIGHT_AGAIN = 0.65, 0.4


def direct_steps(inputs: int, outputs: int, result: tuple[int, int], kernel: tuple[int, int]) -> float:
    """Steps of the direct sum."""
    taps = kernel[0] * kernel[1]
    stream = STEPS_A_WEIGHT * taps * inputs * outputs
    return max(stream, taps * result[0] * result[1] * inputs * blocks_of(outputs))


def winograd_steps(tile: int, inputs: int, outputs: int, result: tuple[int, int]) -> float:
    """Steps of ``winograd<tile>``."""
    points = (tile + 2) ** 2
    high, wide = -(-result[0] // tile), -(-result[1] // tile)
    plan = winograd_plan(tile, inputs, outputs, result)
    blocks = -(-high // plan.band) * -(-wide // plan.chunk)
    weights = points * inputs * outputs
    stream = max(STEPS_A_WEIGHT * weights, STEPS_A_WEIGHT_AGAIN * weights * blocks)
    transforms = TRANSFORM_STEPS[tile] * high * wide * (blocks_of(inputs) + blocks_of(outputs))
    return max(stream, points * high * wide * inputs * blocks_of(outputs)) + transforms


def winograd_tile(
    inputs: int,
    outputs: int,
    result: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> int:
    """Results on a side of the tiles of the algorithm for a blocked input, 0 for the direct sum: the cheapest one, or a
    dearer one that rounds less. ``result`` is rows, columns of the result.
    """
    if kernel != (3, 3) or stride != (1, 1) or dilation != (1, 1) or inputs < 8:
        return 0
    costs = {tile: more * winograd_steps(tile, inputs, outputs, result) for tile, more in RELUCTANCE.items()}
    costs[0] = direct_steps(inputs, outputs, result, kernel)
    return min(costs, key=lambda tile: costs[tile])


def is_stem(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> bool:
    """Whether a planar image's convolution is cheaper by F(4x4, 4x4) on the pixels of even and odd rows and columns.

    A result takes 49 / 16 products of four times the channels, a quarter of their time for what they are short, and 14
    steps for the transforms, of which a result of one block bears more.
    """
    if stride != (2, 2) or dilation != (1, 1) or max(kernel) > 8 or outputs <= BLOCK:
        return False
    return 49 / 16 * 4 * inputs * 1.25 + 14 < kernel[0] * kernel[1] * inputs


def pointwise_algorithm(inputs: int, outputs: int, pixels: int) -> Literal["plain", "strassen"]:
    """Whether a 1x1 convolution or Linear saves more arithmetic by Strassen's seven products than their sums cost.

    Per vector of results the eighth saved is ``inputs / 8`` steps, the sums of results cost 7 and those of inputs 9
    for each vector of them (measured). Less than a gain of 5 % is not worth the larger weights,
    which a small image does not read often enough.
    """
    if inputs % 32 or outputs % 32 or pixels < 128:
        return "plain"
    gain = inputs / 8 - 7 - 9 * inputs / outputs
    return "strassen" if gain > 0.05 * inputs else "plain"
