"""Pools over boxes, and determinants."""

from __future__ import annotations

import math

from mconv.ir import Node
from mconv.ir import ops as o

from ..backend import cpp
from ..net import Net
from .common import ctype, floats, is_empty, not_empty, truth
from .general_windows import only_f32


def _head(node: Node, channels: int, rows: int, columns: int, scale: float) -> str:
    n, _, h, w = node.inputs[0].type.static_shape
    count = node.inputs[1].type.static_shape[0]
    return f"static const Regions s{{{count}, {n}, {channels}, {h}, {w}, {rows}, {columns}, {scale!r}f}};"


def f32_boxes(node: Node) -> bool | str:
    """x and rois are of f32"""
    other = [v for v in node.inputs[:2] if v.type.dtype.value != "f32"]
    return f"%{other[0].name} is of {other[0].type.dtype.value}" if other else True


@cpp.emits(o.RoiAlign, where=(f32_boxes, not_empty))
def roi_align(node: Node, net: Net) -> None:
    """Points read by interpolation."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.RoiAlign)
    x, rois, images = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    head = _head(node, x.shape[1], op.output_height, op.output_width, float(op.spatial_scale))
    options = f"{op.sampling_ratio}, {truth(op.half_pixel)}, {truth(op.mode == 'max')}"
    pointers = ", ".join(map(net.ptr, (x, rois, images, y)))
    net.step(f"{head}\nroi_align(r, s, {pointers}, {options});", [x, rois, images], [y], needs=["regions"])


@cpp.emits(o.MaxRoiPool, o.PSRoiPool, where=(only_f32, not_empty))
def roi_pool(node: Node, net: Net) -> None:
    """Cells of each region."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.MaxRoiPool | o.PSRoiPool)
    x, rois = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    head = _head(node, y.shape[1], y.shape[2], y.shape[3], float(op.spatial_scale))
    name = "max_roi_pool" if isinstance(op, o.MaxRoiPool) else "ps_roi_pool"
    call = f"{name}(r, s, {net.ptr(x)}, {net.ptr(rois)}, {net.ptr(y)});"
    net.step(f"{head}\n{call}", [x, rois], [y], needs=["regions"])


@cpp.emits(o.Det, where=(floats,))
def determinant(node: Node, net: Net) -> None:
    """By elimination, in double."""
    if is_empty(node, net):
        return
    value = node.inputs[0]
    x, y = net.planar(value), net.result(node.result)
    n = x.shape[-1]
    call = f"determinants<{ctype(value)}>(r, {net.ptr(x)}, {net.ptr(y)}, {math.prod(x.shape[:-2])}, {n});"
    net.step(call, [x], [y], needs=["regions"], scratch=8 * n * n)
