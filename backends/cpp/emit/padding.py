"""Pads of all modes, and what else moves elements by a pattern: views where strides can say it."""

from __future__ import annotations

from mconv.ir import Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import C_TYPES, Net
from ..view import row_major, transposed
from .common import braced, is_empty
from .conditions import known
from .formulas import literal


@cpp.emits(o.Pad, where=(known("pads"),))
def pad(node: Node, net: Net) -> None:
    """Row by row; what negative pads take away is left out by the view."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.Pad)
    assert op.pads is not None
    x = next((v for v in net.views(value) if v.block is None), None) or net.planar(value)
    rank = len(x.shape)
    if rank == 0:
        net.give(node.result, x)
        return
    begins, ends = op.pads[:rank], op.pads[rank:]
    for axis in range(rank):
        low, high = max(-begins[axis], 0), max(-ends[axis], 0)
        shape = tuple(n - low - high if a == axis else n for a, n in enumerate(x.shape))
        x = x.replace(shape=shape, offset=x.offset + low * x.strides[axis])
    before = [max(b, 0) for b in begins]
    y = net.result(node.result)
    table = ", ".join(braced(t) for t in (x.shape, x.strides, before, y.shape))
    head = f"static const Pads s{{{rank}, {table}}};"
    fill = literal(op.value, x.dtype)
    call = f"pad(r, s, PAD_{op.mode.upper()}, {net.ptr(x)}, {net.ptr(y)}, {C_TYPES[x.dtype]}({fill}));"
    net.step(f"{head}\n{call}", [x], [y], needs=["indexing"])


def _rearranged(node: Node, net: Net, split: tuple[int, ...], perm: tuple[int, ...]) -> None:
    """Reshape to ``split``, transpose by ``perm``, reshape to the result: one copy."""
    if is_empty(node, net):
        return
    x = net.planar(node.inputs[0])
    y = net.result(node.result)
    source = transposed(x.replace(shape=split, strides=row_major(split)), perm)
    reorder.copy(net, source, y.replace(shape=source.shape, strides=row_major(source.shape)))


def _first(value: Value, *, last: bool) -> tuple[int, int, int, int]:
    shape = value.type.static_shape
    n, c, h, w = (shape[0], shape[3], shape[1], shape[2]) if last else shape
    return n, c, h, w


@cpp.emits(o.DepthToSpace)
def depth_to_space(node: Node, net: Net) -> None:
    """One copy."""
    op = node.op
    assert isinstance(op, o.DepthToSpace)
    n, c, h, w = _first(node.inputs[0], last=op.channels_last)
    b, out = op.blocksize, c // op.blocksize**2
    groups = (b, b, out) if op.mode == "DCR" else (out, b, b)
    channel, row, column = (2, 0, 1) if op.mode == "DCR" else (0, 1, 2)
    if op.channels_last:
        perm = (0, 1, 3 + row, 2, 3 + column, 3 + channel)
        _rearranged(node, net, (n, h, w, *groups), perm)
    else:
        perm = (0, 1 + channel, 4, 1 + row, 5, 1 + column)
        _rearranged(node, net, (n, *groups, h, w), perm)


@cpp.emits(o.SpaceToDepth)
def space_to_depth(node: Node, net: Net) -> None:
    """One copy."""
    op = node.op
    assert isinstance(op, o.SpaceToDepth)
    n, c, h, w = _first(node.inputs[0], last=op.channels_last)
    b = op.blocksize
    if op.channels_last:
        _rearranged(node, net, (n, h // b, b, w // b, b, c), (0, 1, 3, 2, 4, 5))
    else:
        _rearranged(node, net, (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4))


@cpp.emits(o.ChannelShuffle)
def channel_shuffle(node: Node, net: Net) -> None:
    """One copy."""
    op = node.op
    assert isinstance(op, o.ChannelShuffle)
    n, c, *rest = node.inputs[0].type.static_shape
    whole = net.channels_of(node.inputs[0])
    if whole is not None and not net.graph.is_output(node.result):
        each = c // op.groups
        net.give_channels(node.result, whole.picked(g * each + i for i in range(each) for g in range(op.groups)))
        return
    perm = (0, 2, 1, *range(3, 3 + len(rest)))
    _rearranged(node, net, (n, op.groups, c // op.groups, *rest), perm)


@cpp.emits(o.Unfold)
def unfold(node: Node, net: Net) -> None:
    """The same memory, each element in several windows."""
    op = node.op
    assert isinstance(op, o.Unfold)
    x = net.planar(node.inputs[0])
    strides = [s * op.step if a == op.axis else s for a, s in enumerate(x.strides)]
    shape = node.result.type.static_shape
    net.give(node.result, x.replace(shape=shape, strides=(*strides, x.strides[op.axis])))
