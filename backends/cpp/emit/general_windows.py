"""Convolutions and pools of any number of axes and any element type, on planar values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mconv.ir import DType, Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import C_TYPES, Net
from ..view import View, transposed
from .activate import finished
from .common import braced, floats, is_empty, truth, wide
from .epilogue import EPILOGUES


def few_spatial_axes(node: Node) -> bool | str:
    """at most six axes are spatial"""
    rank = node.inputs[0].type.rank
    return rank <= 8 or f"{rank - 2} axes are spatial"


def f32_or_f64(node: Node) -> bool | str:
    """tensors are of f32 or f64"""
    return floats(node)


def window(
    node: Node, sizes: Sequence[int], channels: Sequence[int], spatial: tuple[Sequence[int], Sequence[int]]
) -> str:
    """C++ for the sizes: (images), (channels in, channels out, groups), sizes (of x, of y)."""
    op = node.op
    rank = len(spatial[0])
    pads: tuple[int, ...] = op.pads  # type: ignore[attr-defined]
    kernel: Sequence[int] = op.kernel if hasattr(op, "kernel") else sizes[1:]
    lists = (*spatial, kernel, op.strides, getattr(op, "dilations", (1,) * rank), pads[:rank], pads[rank:])  # type: ignore[attr-defined]
    numbers = [rank, sizes[0], *channels, *(braced(x) for x in lists)]
    return f"static const Window s{{{', '.join(map(str, numbers))}}};"


def _first(net: Net, value: Value, *, last: bool) -> View:
    """The operand with its channels as axis 1, dense."""
    view = net.planar(value)
    if not last:
        return view
    turned = transposed(view, (0, len(view.shape) - 1, *range(1, len(view.shape) - 1)))
    target = net.fresh(view.dtype, turned.shape)
    reorder.copy(net, turned, target)
    return target


def _made(node: Node, net: Net, *, last: bool) -> View:
    """Memory for the result, with its channels as axis 1."""
    if not last:
        return net.result(node.result)
    shape = node.result.type.static_shape
    return net.fresh(node.result.type.dtype, (shape[0], shape[-1], *shape[1:-1]))


def _give(node: Node, net: Net, y: View, *, last: bool) -> None:
    if last:
        net.give(node.result, transposed(y, (0, *range(2, len(y.shape)), 1)))


@cpp.emits(o.Conv, where=(f32_or_f64, few_spatial_axes), activation=EPILOGUES)
def conv(node: Node, net: Net) -> None:
    """Row by row, a tap at a time."""
    general_conv(node, net)


def general_conv(node: Node, net: Net) -> None:
    """Conv of planar values, f32 or f64, with any number of axes."""
    kind = C_TYPES[node.result.type.dtype]
    _by_taps(node, net, f"convolve<{', '.join([kind] * 4)}>")


@cpp.emits(o.ConvInteger, where=(few_spatial_axes,))
def conv_integer(node: Node, net: Net) -> None:
    """Sums of 32 bits."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.ConvInteger)
    x, w = (net.planar(v) for v in node.inputs[:2])
    y = net.result(node.result)
    zeros = [node.operand("x_zero_point"), node.operand("w_zero_point")]
    views = [x, w, *(net.planar(v) for v in zeros if v is not None)]
    head = window(node, (x.shape[0], *w.shape[2:]), (x.shape[1], w.shape[0], op.groups), (x.shape[2:], y.shape[2:]))
    points = ", ".join("nullptr" if v is None else net.ptr(net.planar(v)) for v in zeros)
    step = int(zeros[1] is not None and (zeros[1].type.numel or 1) > 1)
    kinds = f"int32_t, {C_TYPES[x.dtype]}, {C_TYPES[w.dtype]}, int32_t"
    arguments = f"{net.ptr(x)}, {net.ptr(w)}, nullptr, {net.ptr(y)}, {points}, {step}"
    net.step(f"{head}\nconvolve<{kinds}>(r, s, {arguments});", views, [y], needs=["windows"])


@cpp.emits(o.ConvTranspose, where=(f32_or_f64, few_spatial_axes))
def conv_transpose(node: Node, net: Net) -> None:
    """Rows added into the result, a tap at a time."""
    general_conv_transpose(node, net)


def general_conv_transpose(node: Node, net: Net) -> None:
    """ConvTranspose of planar values, f32 or f64."""
    _by_taps(node, net, f"convolve_transposed<{C_TYPES[node.result.type.dtype]}>")


def _by_taps(node: Node, net: Net, kernel: str) -> None:
    """The window slides over what is larger with a stride: x of a Conv, the result of a ConvTranspose."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.Conv | o.ConvTranspose)
    x = _first(net, node.inputs[0], last=op.channels_last)
    w, bias = net.planar(node.inputs[1]), node.operand("b")
    y = _made(node, net, last=op.channels_last)
    views = [x, w] if bias is None else [x, w, net.planar(bias)]
    spaces = (x.shape[2:], y.shape[2:]) if isinstance(op, o.Conv) else (y.shape[2:], x.shape[2:])
    head = window(node, (x.shape[0], *w.shape[2:]), (x.shape[1], y.shape[1], op.groups), spaces)
    b = "nullptr" if bias is None else net.ptr(views[2])
    net.step(f"{head}\n{kernel}(r, s, {net.ptr(x)}, {net.ptr(w)}, {b}, {net.ptr(y)});", views, [y], needs=["windows"])
    finished(net, y, None, 1, op.activation)
    _give(node, net, y, last=op.channels_last)


def only_f32(node: Node) -> bool | str:
    """tensors are of f32"""
    other = [v for v in (*node.inputs, *node.results) if v.type.dtype is not DType.F32]
    return f"%{other[0].name} is of {other[0].type.dtype.value}" if other else True


@cpp.emits(o.DeformConv, where=(only_f32,))
def deform_conv(node: Node, net: Net) -> None:
    """For each place the elements that its taps see, then their products with the filters."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.DeformConv)
    operands = [node.operand(name) for name in ("x", "w", "offset", "b", "mask")]
    views = [None if v is None else net.planar(v) for v in operands]
    x, w = views[0], views[1]
    assert x is not None
    assert w is not None
    y = net.result(node.result)
    head = window(node, (x.shape[0], *w.shape[2:]), (x.shape[1], w.shape[0], op.groups), (x.shape[2:], y.shape[2:]))
    pointers = ", ".join("nullptr" if v is None else net.ptr(v) for v in (*views, y))
    scratch = 4 * x.shape[1] * math.prod(w.shape[2:])
    call = f"deform(r, s, {op.offset_groups}, {pointers});"
    net.step(f"{head}\n{call}", [v for v in views if v is not None], [y], needs=["windows"], scratch=scratch)


@cpp.emits(o.Col2Im, where=(wide,))
def fold(node: Node, net: Net) -> None:
    """Columns added into the image."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.Col2Im)
    x, y = net.planar(node.inputs[0]), net.result(node.result)
    rank = len(op.image)
    places = []
    for axis in range(rank):
        span = op.dilations[axis] * (op.block[axis] - 1) + 1
        places.append((op.image[axis] + op.pads[axis] + op.pads[axis + rank] - span) // op.strides[axis] + 1)
    head = window(node, (x.shape[0], *op.block), (y.shape[1], y.shape[1], 1), (op.image, places))
    net.step(f"{head}\nfold(r, s, {net.ptr(x)}, {net.ptr(y)});", [x], [y], needs=["windows"])


@cpp.emits(o.MaxPool, where=(wide, few_spatial_axes))
def max_pool(node: Node, net: Net) -> None:
    """Row by row, a tap at a time."""
    general_pool(node, net)


@cpp.emits(o.AveragePool, o.LpPool, where=(f32_or_f64, few_spatial_axes))
def mean_pool(node: Node, net: Net) -> None:
    """Row by row, a tap at a time."""
    general_pool(node, net)


def general_pool(node: Node, net: Net) -> None:
    """MaxPool, AveragePool and LpPool of planar values."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.MaxPool | o.AveragePool | o.LpPool)
    last = getattr(op, "channels_last", False)
    x, y = _first(net, node.inputs[0], last=last), _made(node, net, last=last)
    head = window(node, (x.shape[0],), (x.shape[1], x.shape[1], 1), (x.shape[2:], y.shape[2:]))
    arguments = f"r, s, {net.ptr(x)}, {net.ptr(y)}"
    if isinstance(op, o.MaxPool):
        call = f"max_windows({arguments});"
    elif isinstance(op, o.AveragePool):
        call = f"mean_windows({arguments}, {truth(op.count_include_pad)});"
    else:
        call = f"power_windows({arguments}, {op.p});"
    net.step(f"{head}\n{call}", [x], [y], needs=["windows"])
    _give(node, net, y, last=last)


@cpp.emits(o.MaxPoolIndices, where=(wide, few_spatial_axes))
def max_pool_indices(node: Node, net: Net) -> None:
    """As MaxPool, with places."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.MaxPoolIndices)
    x = net.planar(node.inputs[0])
    y, places = (net.result(v) for v in node.results)
    head = window(node, (x.shape[0],), (x.shape[1], x.shape[1], 1), (x.shape[2:], y.shape[2:]))
    arguments = ", ".join(map(net.ptr, (x, y, places)))
    call = f"max_windows(r, s, {arguments}, {truth(op.storage_order)});"
    net.step(f"{head}\n{call}", [x], [y, places], needs=["windows"])
