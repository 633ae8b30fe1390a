"""Resampling, grids, and transforms of signals."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, Value, ops
from mconv.ir.types import Array

from ..errors import RE_EXPORT, needs_constant, unreadable
from ..node import OnnxNode
from ..registry import onnx

COORDINATES = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
    *("align_corners", "asymmetric", "tf_crop_and_resize"),
)
ROUNDING = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@onnx("Upsample", since=1)
def upsample_attribute(n: OnnxNode, g: Builder) -> Value:
    """Upsample before opset 9: the scales are an attribute."""
    return _old_resize(n, g, np.array(n.numbers("scales") or (), np.float32))


@onnx("Upsample", since=9)
@onnx("Resize", since=1)
def resize_by_scales(n: OnnxNode, g: Builder) -> Value:
    """Upsample, and Resize before opset 11: by scales, with asymmetric coordinates."""
    scales = n.known(n[1])
    if scales is not None:
        return _old_resize(n, g, scales)
    mode = n.choice("mode", "nearest", "linear")
    if n.op_type == "Resize" and mode == "nearest":
        raise needs_constant("Resize's scales")  # how it rounds depends on whether they are above one
    return g.add(ops.Resize(mode, tuple(range(n.rank)), "asymmetric", "floor"), n[0], None, n[1])


def _old_resize(n: OnnxNode, g: Builder, scales: Array) -> Value:
    if scales.size != n.rank:
        raise unreadable("MC219", f"{n.op_type} has {scales.size} scales for {n[0].type}", RE_EXPORT)
    mode, y = n.choice("mode", "nearest", "linear"), n[0]
    # Nearest neighbours were rounded down where an axis grows, up where it shrinks: so say onnx's tests of that time.
    grows = tuple(axis for axis in range(n.rank) if scales[axis] > 1)
    shrinks = tuple(axis for axis in range(n.rank) if scales[axis] < 1)
    groups = [(grows, "floor"), (shrinks, "ceil")] if mode == "nearest" else [(tuple(sorted(grows + shrinks)), "floor")]
    for axes, rounding in groups:
        if axes:
            chosen = tuple(float(scales[axis]) for axis in axes)
            y = g.add(ops.Resize(mode, axes, "asymmetric", rounding, scales=chosen), y)
    return y


@onnx("Resize", since=11)
def resize(n: OnnxNode, g: Builder) -> Value:
    """Resize by scales or to sizes, over the axes that change."""
    has = n.schema.attributes
    given = n.integers("axes") if "axes" in has else None
    axes = tuple(range(n.rank)) if given is None else n.axes(given)
    coordinates = n.choice("coordinate_transformation_mode", *COORDINATES)
    mode = n.choice("mode", "nearest", "linear", "cubic")
    op = ops.Resize(
        mode,
        axes,
        coordinates,
        n.choice("nearest_mode", *ROUNDING),
        n.number("cubic_coeff_a"),
        n.boolean("exclude_outside"),
        n.number("extrapolation_value"),
        "antialias" in has and n.boolean("antialias"),
        n.text("keep_aspect_ratio_policy") if "keep_aspect_ratio_policy" in has else "stretch",
    )
    roi = _present(n, 1) if coordinates == "tf_crop_and_resize" else None
    return _sized(n, g, op, roi, _present(n, 2), _present(n, 3))


def _present(n: OnnxNode, index: int) -> Value | None:
    """An operand, which by custom is also absent when it is empty."""
    value = n.get(index)
    return None if value is None or value.type.numel == 0 else value


def _sized(
    n: OnnxNode, g: Builder, op: ops.Resize, roi: Value | None, scales: Value | None, sizes: Value | None
) -> Value:
    """The Resize with what is known as attributes, without the axes that keep their size."""
    by_scale, to_size = n.known(scales), n.known(sizes)
    plain = roi is None and op.keep_aspect == "stretch"
    if (scales is None) == (sizes is None):
        raise unreadable("MC219", "Resize needs either scales or sizes", RE_EXPORT)
    if by_scale is not None and plain and by_scale.size == len(op.axes):
        kept = [i for i in range(len(op.axes)) if by_scale[i] != 1]
        chosen = tuple(float(by_scale[i]) for i in kept)
        return g.add(op.replace(axes=tuple(op.axes[i] for i in kept), scales=chosen), n[0])
    if to_size is not None and plain and to_size.size == len(op.axes):
        kept = [i for i in range(len(op.axes)) if to_size[i] != n[0].type.shape[op.axes[i]]]
        wanted = tuple(int(to_size[i]) for i in kept)
        return g.add(op.replace(axes=tuple(op.axes[i] for i in kept), sizes=wanted), n[0])
    return g.add(op, n[0], roi, scales, sizes)


@onnx("GridSample")
def grid_sample(n: OnnxNode, g: Builder) -> Value:
    """GridSample; opset 16 called its modes bilinear and bicubic."""
    mode = n.choice("mode", "linear", "bilinear", "nearest", "cubic", "bicubic").removeprefix("bi")
    padding = n.choice("padding_mode", "zeros", "border", "reflection")
    return g.add(ops.GridSample(mode, padding, n.boolean("align_corners")), n[0], n[1])


@onnx("AffineGrid")
def affine_grid(n: OnnxNode, g: Builder) -> Value:
    """AffineGrid."""
    return g.add(ops.AffineGrid(n.boolean("align_corners")), n[0], n[1])


@onnx("DFT", since=17)
def dft_attribute(n: OnnxNode, g: Builder) -> Value:
    """DFT before opset 20: the axis is an attribute."""
    op = ops.DFT(n.axis(n.integer("axis")), n.boolean("inverse"), n.boolean("onesided"))
    return g.add(op, n[0], n.get(1))


@onnx("DFT", since=20)
def dft(n: OnnxNode, g: Builder) -> Value:
    """DFT; without an axis, the one before the pair of real and imaginary parts."""
    axis = -2 if n.get(2) is None else n.constants(2, "axis")[0]
    return g.add(ops.DFT(n.axis(axis), n.boolean("inverse"), n.boolean("onesided")), n[0], n.get(1))


@onnx("STFT")
def stft(n: OnnxNode, g: Builder) -> Value:
    """STFT."""
    return g.add(ops.STFT(n.boolean("onesided")), n[0], n[1], n.get(2), n.get(3))


@onnx("Det")
def determinant(n: OnnxNode, g: Builder) -> Value:
    """Det."""
    return g.add(ops.Det(), n[0])
