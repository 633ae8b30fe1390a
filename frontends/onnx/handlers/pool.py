"""Pooling: sliding windows, whole images, and regions."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Dim, Value, ops

from ..errors import form
from ..node import OnnxNode
from ..registry import onnx
from .conv import pads_of, per_axis

Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def window(n: OnnxNode, sizes: Sequence[Dim] | None = None) -> Window:
    """Kernel, strides, pads and dilations of a pooling node, over ``sizes`` or else the operand's spatial ones."""
    kernel = n.integers("kernel_shape") or ()
    rank = len(kernel)
    strides = per_axis(n, "strides", rank)
    dilations = per_axis(n, "dilations", rank) if "dilations" in n.schema.attributes else (1,) * rank
    return (
        kernel,
        strides,
        pads_of(n, n[0].type.shape[2:] if sizes is None else sizes, kernel, strides, dilations),
        dilations,
    )


def _ceil(n: OnnxNode) -> bool:
    return "ceil_mode" in n.schema.attributes and n.boolean("ceil_mode")


@onnx("MaxPool")
def max_pool(n: OnnxNode, g: Builder) -> Value | tuple[Value, ...]:
    """MaxPool, with the indices where they are wanted."""
    column_major = "storage_order" in n.schema.attributes and n.integer("storage_order")
    if n.wants(1):
        return g.add_all(ops.MaxPoolIndices(*window(n), ceil_mode=_ceil(n), storage_order=int(column_major)), n[0])
    return g.add(ops.MaxPool(*window(n), ceil_mode=_ceil(n)), n[0])


@onnx("AveragePool")
def average_pool(n: OnnxNode, g: Builder) -> Value:
    """AveragePool."""
    counted = n.boolean("count_include_pad")
    return g.add(ops.AveragePool(*window(n), ceil_mode=_ceil(n), count_include_pad=counted), n[0])


@onnx("LpPool")
def lp_pool(n: OnnxNode, g: Builder) -> Value:
    """LpPool."""
    return g.add(ops.LpPool(*window(n), ceil_mode=_ceil(n), p=n.integer("p")), n[0])


def _spatial(n: OnnxNode) -> tuple[int, ...]:
    return tuple(range(2, n.rank))


@onnx("GlobalAveragePool")
def global_average_pool(n: OnnxNode, g: Builder) -> Value:
    """The mean over all spatial axes."""
    return g.add(ops.ReduceMean(_spatial(n)), n[0])


@onnx("GlobalMaxPool")
def global_max_pool(n: OnnxNode, g: Builder) -> Value:
    """The maximum over all spatial axes."""
    return g.add(ops.ReduceMax(_spatial(n)), n[0])


@onnx("GlobalLpPool")
def global_lp_pool(n: OnnxNode, g: Builder) -> Value:
    """The p-norm over all spatial axes."""
    p = n.integer("p")
    if p in (1, 2):
        return g.add(ops.ReduceL1(_spatial(n)) if p == 1 else ops.ReduceL2(_spatial(n)), n[0])
    kernel = n.static_shape(n[0], "operand")[2:]
    ones = (1,) * len(kernel)
    return g.add(ops.LpPool(kernel, ones, (0,) * (2 * len(kernel)), ones, p=p), n[0])


@onnx("MaxUnpool")
def max_unpool(n: OnnxNode, g: Builder) -> Value:
    """MaxUnpool."""
    kernel = n.integers("kernel_shape") or ()
    rank = len(kernel)
    pads = n.integers("pads") or (0,) * (2 * rank)
    return g.add(ops.MaxUnpool(kernel, per_axis(n, "strides", rank), pads), n[0], n[1], n.get(2))


@onnx("MaxRoiPool")
def max_roi_pool(n: OnnxNode, g: Builder) -> Value:
    """MaxRoiPool."""
    return g.add(ops.MaxRoiPool(n.integers("pooled_shape") or (), n.number("spatial_scale")), n[0], n[1])


@onnx("RoiAlign")
def roi_align(n: OnnxNode, g: Builder) -> Value:
    """RoiAlign; before opset 16 its coordinates were those of `output_half_pixel`."""
    half = False
    if "coordinate_transformation_mode" in n.schema.attributes:
        half = n.choice("coordinate_transformation_mode", "half_pixel", "output_half_pixel") == "half_pixel"
    ratio = n.integer("sampling_ratio")
    if ratio < 0:
        raise form(f"RoiAlign with sampling_ratio {ratio}")
    op = ops.RoiAlign(
        n.choice("mode", "avg", "max"),
        n.integer("output_height"),
        n.integer("output_width"),
        ratio,
        n.number("spatial_scale"),
        half,
    )
    return g.add(op, n[0], n[1], n[2])
