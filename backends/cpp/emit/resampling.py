"""Resize and GridSample: the places and weights of a Resize are computed here, and stand in the weights."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Node
from mconv.ir import ops as o
from mconv.ir.ops.kernels import resample
from mconv.ir.types import Array

from ..backend import cpp
from ..net import C_TYPES, Net
from ..view import View
from .common import around, braced, floats, is_empty, not_empty, truth, wide
from .conditions import known
from .formulas import literal

Taps = tuple[Array, Array | None]
"""Places [made, taps] (i32; -1 outside), and their weights (None: one place each, taken as it is)."""


def axis_taps(op: o.Resize, n: int, made: int, scale: float, part: tuple[float, float]) -> Taps:
    """What each element along an axis reads; after ``ir.ops.kernels.resample``, by resampling a unit matrix."""
    where = resample._positions(op, n, made, scale, part)
    if op.mode == "nearest":
        places, weights = np.clip(resample._nearest(where, op.nearest), 0, n - 1)[:, None], None
    else:
        support = 2 if op.mode == "cubic" else 1
        narrow = min(scale, 1.0) if op.antialias else 1.0
        first = int(np.floor(-support / narrow)) + 1
        places = (np.ceil(where).astype(np.int64) - 1)[:, None] + np.arange(first, 2 - first)
        distance = np.abs(places - where[:, None]) * narrow
        weights = resample._keys(distance, op.cubic_coeff) if op.mode == "cubic" else np.maximum(1 - distance, 0)
        if op.exclude_outside:
            weights = np.where((places >= 0) & (places < n), weights, 0)
        if op.exclude_outside or op.antialias:
            weights = weights / weights.sum(axis=1, keepdims=True)
        places = np.clip(places, 0, n - 1)
    if op.coordinates == "tf_crop_and_resize":
        outside = (where < 0) | (where > n - 1)
        places = np.where(outside[:, None], -1, places)
    return places.astype(np.int32), weights


def plan(op: o.Resize, shape: tuple[int, ...]) -> list[tuple[int, int, float, tuple[float, float]]]:
    """(axis, size, scale, part) of each axis that changes, in order."""
    own = [shape[a] for a in op.axes]
    crop = resample._crops(op, op.roi)
    factors: list[float]
    if op.sizes is not None:
        made = list(op.sizes)
        factors = [w / n for w, n in zip(made, own, strict=True)]
        if op.keep_aspect != "stretch":
            factors, made = resample.kept_aspect(own, op.sizes, op.keep_aspect)
    else:
        assert op.scales is not None
        factors = list(op.scales)
        made = [resample.scaled_size(n, s * (e - b)) for n, s, (b, e) in zip(own, factors, crop, strict=True)]
    items = zip(op.axes, made, factors, crop, strict=True)
    return [item for item in items if item[1] != shape[item[0]] or item[2] != 1 or item[3] != (0.0, 1.0)]


def numbers_that_resample(node: Node) -> bool | str:
    """integers are resampled by nearest neighbours only"""
    assert isinstance(node.op, o.Resize)
    return node.op.mode == "nearest" or node.inputs[0].type.dtype.is_float


@cpp.emits(o.Resize, where=(known("roi", "scales", "sizes"), wide, numbers_that_resample))
def resize(node: Node, net: Net) -> None:
    """An image at once where both axes are known to be read as sums, else one axis after the other."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.Resize)
    steps = plan(op, value.type.static_shape)
    view = next((v for v in net.views(value) if v.block == 1 and _is_image(v)), None)
    if view is None or [s[0] for s in steps] not in ([2, 3], [2], [3]) or op.coordinates == "tf_crop_and_resize":
        view = net.planar(value)
    if not steps:
        net.give(node.result, view)
    elif view.dtype is DType.F32 and [s[0] for s in steps] == [2, 3] and op.coordinates != "tf_crop_and_resize":
        _resize_image(node, net, view, steps)
    else:
        _resize_axes(node, net, net.planar(value), steps)


def _is_image(view: View) -> bool:
    """Whether the pixels of each block lie together."""
    return len(view.shape) == 4 and view.strides[3] == 16 and view.strides[2] == 16 * view.shape[3]


def _resize_image(node: Node, net: Net, x: View, steps: list[tuple[int, int, float, tuple[float, float]]]) -> None:
    op = node.op
    assert isinstance(op, o.Resize)
    n, c, h, w = x.shape
    y = net.result(node.result, x.block)
    tables = []
    for axis, made, scale, part in steps:
        places, weights = axis_taps(op, x.shape[axis], made, scale, part)
        weights = np.ones(places.shape) if weights is None else weights
        tables += [net.constant(places), net.constant(weights.astype(np.float32))]
    if x.block is None:
        layout = [(n * c, h * w, y.shape[2] * y.shape[3], 0, 0)]
    elif x.strides[0] == x.blocks * x.block_stride and y.strides[0] == y.blocks * y.block_stride:
        layout = [(n * x.blocks, x.block_stride, y.block_stride, 0, 0)]
    else:
        layout = [(x.blocks, x.block_stride, y.block_stride, i * x.strides[0], i * y.strides[0]) for i in range(n)]
    inner = 1 if x.block is None else 16
    lines = []
    for number, (planes, own, made, x_offset, y_offset) in enumerate(layout):
        sizes = (planes, h, w, y.shape[2], y.shape[3], inner, own, made, tables[0].shape[1], tables[2].shape[1])
        lines.append(f"static const Plane s{number}{braced(sizes)};")
        pointers = ", ".join(map(net.ptr, tables))
        ends = f"{net.ptr(x.replace(offset=x.offset + x_offset))}, {net.ptr(y.replace(offset=y.offset + y_offset))}"
        lines.append(f"resample_plane(r, s{number}, {ends}, {pointers});")
    net.step("\n".join(lines), [x, *tables], [y], needs=["resample"], scratch=4 * w * inner)


def _resize_axes(node: Node, net: Net, x: View, steps: list[tuple[int, int, float, tuple[float, float]]]) -> None:
    op = node.op
    assert isinstance(op, o.Resize)
    for number, (axis, made, scale, part) in enumerate(steps):
        outer, n, inner = around(x.shape, axis)
        shape = tuple(made if a == axis else s for a, s in enumerate(x.shape))
        last = number == len(steps) - 1
        y = net.result(node.result) if last else net.fresh(x.dtype, shape)
        places, weights = axis_taps(op, n, made, scale, part)
        tables = [net.constant(places)]
        if weights is not None:
            tables.append(net.constant(weights.astype(x.dtype.numpy)))
        kind = C_TYPES[x.dtype]
        factors = "nullptr" if weights is None else net.ptr(tables[1])
        head = f"static const Axis s{{{outer}, {n}, {made}, {inner}, {places.shape[1]}}};"
        outside = f"{kind}({literal(op.extrapolation_value, x.dtype)})"
        call = f"resample<{kind}>(r, s, {net.ptr(x)}, {net.ptr(y)}, {net.ptr(tables[0])}, {factors}, {outside});"
        net.step(f"{head}\n{call}", [x, *tables], [y], needs=["resample"])
        x = y


@cpp.emits(o.GridSample, where=(floats, not_empty))
def grid_sample(node: Node, net: Net) -> None:
    """For each place the elements and weights once, then all channels."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.GridSample)
    x, grid = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    n, c, *space = x.shape
    places = math.prod(grid.shape[1:-1])
    options = f"GRID_{op.mode.upper()}, GRID_{op.padding.upper()}, {truth(op.align_corners)}"
    head = f"static const Grid s{{{len(space)}, {n}, {c}, {places}, {braced(space)}, {options}}};"
    call = f"grid_sample(r, s, {net.ptr(x)}, {net.ptr(grid)}, {net.ptr(y)});"
    net.step(f"{head}\n{call}", [x, grid], [y], needs=["resample"])
