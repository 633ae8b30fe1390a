"""Pools, what moves between channels and space, and resampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from ...forms import to_first, to_last
from .. import errors
from ..node import TfNode
from ..registry import tensorflow
from .conv import Layout


@tensorflow("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D")
def pool(n: TfNode, g: Builder) -> Value:
    """Pools, whose windows are in attributes. Averages count no padding."""
    return _pooled(n, g, n.wholes("ksize"), n.wholes("strides"))


@tensorflow("MaxPoolV2")
def pool_v2(n: TfNode, g: Builder) -> Value:
    """MaxPoolV2, whose windows are in operands."""
    return _pooled(n, g, n.integers(1, "window"), n.integers(2, "strides"))


def _pooled(n: TfNode, g: Builder, window: Sequence[int], steps: Sequence[int]) -> Value:
    layout = Layout(n, g)
    x = layout.first(n[0])
    kernel, strides = layout.numbers(window, "ksize"), layout.numbers(steps, "strides")
    if "explicit_paddings" in n.schema.attributes:
        n.wholes("explicit_paddings")
    ones = (1,) * len(kernel)
    pads = layout.pads(x, kernel, strides, ones)
    op: Op = ops.MaxPool(kernel, strides, pads, ones) if n.op.startswith("Max") else (
        ops.AveragePool(kernel, strides, pads, ones))  # fmt: skip
    return layout.back(g.add(op, x))


@tensorflow("MaxPoolWithArgmax", ignores={
    "include_batch_in_index": "of the indices", "Targmax": "of the indices"})  # fmt: skip
def pool_with_argmax(n: TfNode, g: Builder) -> Sequence[Value | None]:
    """MaxPoolWithArgmax, whose indices are not made."""
    x = to_first(g, n[0])
    n.expect_rank(4)
    window, steps = n.wholes("ksize"), n.wholes("strides")
    if len(window) != 4 or len(steps) != 4 or {window[0], window[3], steps[0], steps[3]} != {1}:
        raise errors.form(f"{n.op} with ksize {list(window)} and strides {list(steps)}")
    kernel, strides = tuple(window[1:3]), tuple(steps[1:3])
    from ...forms import same_pads

    same = n.text("padding") == "SAME"
    pads = same_pads(n.op, x.type.shape[2:], kernel, strides, (1, 1)) if same else (0, 0, 0, 0)
    return [to_last(g, g.add(ops.MaxPool(kernel, strides, pads, (1, 1)), x)), None]


@tensorflow("DepthToSpace", "SpaceToDepth")
def blocks(n: TfNode, g: Builder) -> Value:
    """Channels in the order [row, column, channel] become blocks, or the other way round."""
    layout = Layout(n, g)
    block = n.whole("block_size")
    if block < 1:
        raise errors.misfit(f"{n.op} with blocks of {block}")
    op: Op = ops.DepthToSpace(block) if n.op == "DepthToSpace" else ops.SpaceToDepth(block)
    return layout.back(g.add(op, layout.first(n[0])))


# Resampling --------------------------------------------------------------------------------------------------


@tensorflow("ResizeBilinear")
def resize_bilinear(n: TfNode, g: Builder) -> Value:
    """ResizeBilinear to the sizes in operand 1; always to 32-bit floats."""
    coordinates, _ = _coordinates(n)
    return _resized(n, g, n.cast(n[0], DType.F32), ops.Resize("linear", (2, 3), coordinates))


@tensorflow("ResizeNearestNeighbor")
def resize_nearest_neighbor(n: TfNode, g: Builder) -> Value:
    """ResizeNearestNeighbor: rounded down, or with either alignment to the nearest (halves up)."""
    coordinates, aligned = _coordinates(n)
    return _resized(n, g, n[0], ops.Resize("nearest", (2, 3), coordinates, "round_prefer_ceil" if aligned else "floor"))


@tensorflow("ResizeBicubic")
def resize_bicubic(n: TfNode, g: Builder) -> Value:
    """ResizeBicubic: Keys' kernel with -0.75, or with half-pixel centers with -0.5 and no weight outside."""
    coordinates, _ = _coordinates(n)
    centers = coordinates == "half_pixel"
    op = ops.Resize("cubic", (2, 3), coordinates, cubic_coeff=-0.5 if centers else -0.75, exclude_outside=centers)
    return _resized(n, g, n.cast(n[0], DType.F32), op)


def _coordinates(n: TfNode) -> tuple[str, bool]:
    """The IR's name of the alignment, and whether it is one of the two newer ones."""
    corners, centers = n.flag("align_corners"), n.flag("half_pixel_centers")
    if corners and centers:
        raise errors.form(f"{n.op} with align_corners and half_pixel_centers")
    return "align_corners" if corners else "half_pixel" if centers else "asymmetric", corners or centers


def _resized(n: TfNode, g: Builder, x: Value, op: ops.Resize) -> Value:
    n.expect_rank(4)
    if n.known(1) is None:
        return to_last(g, g.add(op, to_first(g, x), None, None, n.wide(1)))
    sizes = n.integers(1, "sizes")
    if len(sizes) != 2 or min(sizes) < 1:
        raise errors.misfit(f"{n.op} to {list(sizes)}")
    return to_last(g, g.add(op.replace(sizes=sizes), to_first(g, x)))


@tensorflow("CropAndResize")
def crop_and_resize(n: TfNode, g: Builder) -> Value:
    """CropAndResize: boxes [B, 4] (y1, x1, y2, x2, in parts of the image), the image of each, the result's sizes.

    The places of each crop are read with linear interpolation; those outside of the image give extrapolation_value.
    """
    n.expect_rank(4)
    if n.text("method") != "bilinear":
        raise errors.form(f"{n.op} with method '{n.text('method')}'")
    sizes = n.integers(3, "sizes")
    if len(sizes) != 2 or min(sizes) < 1:
        raise errors.misfit(f"{n.op} to {list(sizes)}")
    axes, outside = [], list[Value]()
    for axis, count in enumerate(sizes):
        low, high = (g.add(ops.Slice((i,), (i + 1,), (1,), (1,)), n[1]) for i in (axis, axis + 2))
        steps = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        part = g.add(ops.Mul(), g.add(ops.Sub(), high, low), g.constant(steps.astype(np.float32)))
        place = g.add(ops.Add(), low, part)  # [B, count], 0 and 1 at the centres of the end elements
        below, above = (g.add(ops.Less(), *pair) for pair in ((place, n.like(0, place)), (n.like(1, place), place)))
        outside.append(g.add(ops.Unsqueeze((2 - axis,)), g.add(ops.Or(), below, above)))
        scaled = g.add(ops.Sub(), g.add(ops.Mul(), place, n.like(2, place)), n.like(1, place))
        axes.append(g.add(ops.Unsqueeze((2 - axis,)), scaled))
    zero = g.add(ops.Mul(), g.add(ops.Add(), axes[0], axes[1]), n.like(0, axes[0]))
    grid = g.add(ops.Concat(3), *(g.add(ops.Unsqueeze((3,)), g.add(ops.Add(), a, zero)) for a in axes[::-1]))
    images = g.add(ops.Gather(0), to_first(g, n.cast(n[0], DType.F32)), n[2])
    y = to_last(g, g.add(ops.GridSample("linear", "border", True), images, grid))
    mask = g.add(ops.Unsqueeze((3,)), g.add(ops.Or(), outside[0], outside[1]))
    return g.add(ops.Where(), mask, n.like(n.real("extrapolation_value"), y), y)
