"""Pools, and what moves between channels and space: each between transposes."""

from __future__ import annotations

from mconv.ir import Builder, Op, Value, ops

from ...forms import to_first, to_last
from .. import errors
from ..node import TfliteNode
from ..registry import tflite
from .conv import pads_of


@tflite("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D", options="Pool2DOptions")
def pool(n: TfliteNode, g: Builder) -> Value:
    """Pools over [N, H, W, C]. Averages count no padding; a maximum of integers is the integers' maximum."""
    n.expect_rank(4)
    maximum = n.name == "MAX_POOL_2D"
    kernel = n.option("FilterHeight"), n.option("FilterWidth")
    strides = n.option("StrideH"), n.option("StrideW")
    plain = maximum and n.choice("FusedActivationFunction", "ActivationFunctionType") == "NONE"
    if n.name == "AVERAGE_POOL_2D" and n.quantization(0) is not None:
        return n.activation(_average_of_integers(n, g, kernel, strides))
    x = to_first(g, n.movable() if plain else n.real(0))
    window = (kernel, strides, pads_of(n, x, kernel, strides, (1, 1)), (1, 1))
    if n.name == "L2_POOL_2D":
        mean = g.add(ops.AveragePool(*window), g.add(ops.Square(), x))
        return n.activation(to_last(g, g.add(ops.Sqrt(), mean)))
    op: Op = ops.MaxPool(*window) if maximum else ops.AveragePool(*window)
    return n.activation(to_last(g, g.add(op, x)))


NUDGE = 2.0**-10
"""Part of a step, far above what rounding of float32 makes, and below half of 1 / elements for up to 500 elements."""


def _average_of_integers(n: TfliteNode, g: Builder, kernel: tuple[int, int], strides: tuple[int, int]) -> Value:
    """The mean of stored integers, of which the kernel rounds halves away from zero (of 64 elements each 64th is one).

    Quantize rounds halves to even; so the mean is moved a little, away from the real number that is stored as zero.
    """
    quantization = n.quantization(0)
    assert quantization is not None
    scale, zero = quantization.scale[0], quantization.zero_point[0]
    x = to_first(g, n.real(0))
    mean = g.add(ops.AveragePool(kernel, strides, pads_of(n, x, kernel, strides, (1, 1)), (1, 1)), x)
    side = g.add(ops.Sign(), g.add(ops.Add(), mean, n.number(zero * scale, mean)))
    return to_last(g, g.add(ops.Add(), mean, g.add(ops.Mul(), side, n.number(NUDGE * scale, mean))))


@tflite("DEPTH_TO_SPACE", options="DepthToSpaceOptions")
def depth_to_space(n: TfliteNode, g: Builder) -> Value:
    """DEPTH_TO_SPACE: channels in the order [row, column, channel]."""
    n.expect_rank(4)
    return to_last(g, g.add(ops.DepthToSpace(_block(n)), to_first(g, n.real(0))))


@tflite("SPACE_TO_DEPTH", options="SpaceToDepthOptions")
def space_to_depth(n: TfliteNode, g: Builder) -> Value:
    """SPACE_TO_DEPTH: channels in the order [row, column, channel]."""
    n.expect_rank(4)
    return to_last(g, g.add(ops.SpaceToDepth(_block(n)), to_first(g, n.real(0))))


def _block(n: TfliteNode) -> int:
    block = int(n.option("BlockSize"))
    if block < 1:
        raise errors.misfit(f"{n.name} with blocks of {block}")
    return block


@tflite("RESIZE_BILINEAR", options="ResizeBilinearOptions", ignores={"NewHeight": "unused", "NewWidth": "unused"})
def resize_bilinear(n: TfliteNode, g: Builder) -> Value:
    """RESIZE_BILINEAR to the sizes in operand 1."""
    return _resized(n, g, n.real(0), "linear", "round_prefer_floor")


@tflite("RESIZE_NEAREST_NEIGHBOR", options="ResizeNearestNeighborOptions")
def resize_nearest_neighbor(n: TfliteNode, g: Builder) -> Value:
    """RESIZE_NEAREST_NEIGHBOR: rounded down, or with either option to the nearest (halves up)."""
    rounded = n.option("AlignCorners") or n.option("HalfPixelCenters")
    return _resized(n, g, n.movable(), "nearest", "round_prefer_ceil" if rounded else "floor")


def _resized(n: TfliteNode, g: Builder, x: Value, mode: str, nearest: str) -> Value:
    n.expect_rank(4)
    corners, centers = bool(n.option("AlignCorners")), bool(n.option("HalfPixelCenters"))
    if corners and centers:
        raise errors.form(f"{n.name} with align_corners and half_pixel_centers")
    coordinates = "align_corners" if corners else "half_pixel" if centers else "asymmetric"
    op = ops.Resize(mode, (2, 3), coordinates, nearest)
    if n.known(1) is None:
        return to_last(g, g.add(op, to_first(g, x), None, None, n.wide(1)))
    sizes = n.integers(1, "sizes")
    if len(sizes) != 2 or min(sizes) < 1:
        raise errors.misfit(f"{n.name} to {list(sizes)}")
    return to_last(g, g.add(op.replace(sizes=sizes), to_first(g, x)))


@tflite("LOCAL_RESPONSE_NORMALIZATION", options="LocalResponseNormalizationOptions")
def local_response_normalization(n: TfliteNode, g: Builder) -> Value:
    """LOCAL_RESPONSE_NORMALIZATION over 2 radius + 1 channels, whose alpha is of each square and not of their mean."""
    n.expect_rank(4)
    size = 2 * int(n.option("Radius")) + 1
    if size < 1:
        raise errors.misfit(f"{n.name} with radius {n.option('Radius')}")
    op = ops.LRN(size, n.option("Alpha") * size, n.option("Beta"), n.option("Bias"))
    return to_last(g, g.add(op, to_first(g, n.real(0))))
