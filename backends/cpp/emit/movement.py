"""What moves elements, or only renames axes: views where strides can say it, copies when somebody needs them dense."""

from __future__ import annotations

from mconv.ir import Node, Value
from mconv.ir.ops import (
    Concat,
    Expand,
    Flatten,
    Identity,
    Reshape,
    Slice,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)

from .. import channels, reorder
from ..backend import cpp
from ..net import Net
from ..view import View, part, reshaped, transposed
from . import sized
from .conditions import known


@cpp.emits(Identity, Reshape, Flatten, Squeeze, Unsqueeze)
def rename_axes(node: Node, net: Net) -> None:
    """The same memory, where the view's strides allow it; a copy where not."""
    if not node.result.type.is_static:
        sized.reshape(node, net)
        return
    value, shape = node.inputs[0], node.result.type.static_shape
    for view in net.views(value):
        renamed = reshaped(view, shape)
        if renamed is not None:
            net.give(node.result, renamed)
            return
    dense = reshaped(net.planar(value), shape)
    assert dense is not None or 0 in shape
    net.give(node.result, dense or net.fresh(value.type.dtype, shape))


@cpp.emits(Transpose)
def transpose(node: Node, net: Net) -> None:
    """The same memory with its strides in another order."""
    assert isinstance(node.op, Transpose)
    for view in net.views(node.inputs[0]):
        net.give(node.result, transposed(view, node.op.perm))


@cpp.emits(Expand, where=(known("shape"),))
def expand(node: Node, net: Net) -> None:
    """Axes that are repeated get a stride of zero."""
    shape = node.result.type.static_shape
    view = next((v for v in net.views(node.inputs[0]) if v.block is None), None) or net.planar(node.inputs[0])
    missing = len(shape) - len(view.shape)
    pairs = [(1, 0)] * missing + list(zip(view.shape, view.strides, strict=True))
    strides = tuple(0 if size == 1 else stride for size, stride in pairs)
    net.give(node.result, view.replace(shape=shape, strides=strides))


@cpp.emits(Slice)
def slices(node: Node, net: Net) -> None:
    """A part of the memory; of blocked channels whole blocks."""
    assert isinstance(node.op, Slice)
    op, shape = node.op, node.inputs[0].type.static_shape
    unknown = [n for n in ("axes", "steps") if node.operand(n) is not None]
    if op.starts is None or op.ends is None or unknown:
        sized.slices(node, net)
        return
    count = len(op.starts)
    axes, steps = op.axes or tuple(range(count)), op.steps or (1,) * count
    cuts = {}
    for axis, begin, end, step in zip(axes, op.starts, op.ends, steps, strict=True):
        cuts[axis] = range(shape[axis])[_python_slice(shape[axis], begin, end, step)]
    if list(cuts) == [channels.AXIS] and _pick(net, node.inputs[0], node.result, cuts[channels.AXIS]):
        return
    for view in net.views(node.inputs[0]):
        cut = _cut(view, cuts)
        if cut is not None:
            net.give(node.result, cut)
            return
    cut = _cut(net.planar(node.inputs[0]), cuts)
    assert cut is not None
    net.give(node.result, cut)


def _pick(net: Net, value: Value, result: Value, taken: range) -> bool:
    """Some channels of a value whose channels lie apart, or that are no whole blocks of it."""
    if value.is_constant or not taken or not channels.fits(value):
        return False
    if net.is_apart(value):
        whole: channels.Channels | None = net.apart[value]
    else:
        views = net.views(value)
        if any(v.block is None for v in views) or any(_cut(v, {channels.AXIS: taken}) is not None for v in views):
            return False
        whole = net.channels_of(value)
    if whole is None:
        return False
    net.give_channels(result, whole.picked(taken))
    return True


def _cut(view: View, cuts: dict[int, range]) -> View | None:
    for axis, taken in cuts.items():
        if not taken:
            shape = tuple(0 if a == axis else s for a, s in enumerate(view.shape))
            view = view.replace(shape=shape)
            continue
        if axis == view.block:
            if taken.step != 1:
                return None
            found = part(view, axis, taken.start, len(taken))
            if found is None:
                return None
            view = found
            continue
        stride = view.strides[axis]
        view = view.replace(
            shape=tuple(len(taken) if a == axis else s for a, s in enumerate(view.shape)),
            strides=tuple(stride * taken.step if a == axis else s for a, s in enumerate(view.strides)),
            offset=view.offset + taken.start * stride,
        )
    return view


def _python_slice(size: int, begin: int, end: int, step: int) -> slice:
    """The slice of an axis; starts and ends beyond it are clamped, negative ones count from the end."""
    if step > 0:
        low, high = 0, size
    else:
        low, high = -1, size - 1
    begin, end = (min(max(n + size if n < 0 else n, low), high) for n in (begin, end))
    return slice(begin, None if step < 0 and end < 0 else end, step)


@cpp.emits(Split)
def split(node: Node, net: Net) -> None:
    """Parts of the memory."""
    assert isinstance(node.op, Split)
    axis = node.op.axis
    begins = [sum(node.op.sizes[:i]) for i in range(len(node.op.sizes))]
    for result, begin, size in zip(node.results, begins, node.op.sizes, strict=True):
        if axis == channels.AXIS and _pick(net, node.inputs[0], result, range(begin, begin + size)):
            continue
        parts = [part(view, axis, begin, size) for view in net.views(node.inputs[0])]
        found = next((p for p in parts if p is not None), None)
        found = found or part(net.planar(node.inputs[0]), axis, begin, size)
        assert found is not None
        net.give(result, found)


@cpp.emits(Concat)
def concat(node: Node, net: Net) -> None:
    """Nothing, where the operands were made in their places; copies of those that were not."""
    assert isinstance(node.op, Concat)
    axis = node.op.axis
    block = net.concat_block(node)
    if block is None and axis == channels.AXIS and _join(node, net):
        return
    whole = _as_it_lies(node, net)
    if whole is not None:
        net.give(node.result, whole)
        return
    target = net.result(node.result, block)
    begin = 0
    for value in node.inputs:
        size = value.type.static_shape[axis]
        place = part(target, axis, begin, size)
        begin += size
        if size == 0 or 0 in value.type.static_shape:
            continue
        assert place is not None
        views = net.views(value)
        if any(_same_place(v, place) for v in views):
            continue
        source = next((v for v in views if v.block == block), views[0])
        reorder.copy(net, source, place)


def _join(node: Node, net: Net) -> bool:
    """A concatenation of channels of which some lie apart, or in blocks that do not meet."""
    if net.graph.is_output(node.result) or not channels.fits(node.result):
        return False
    values = [v for v in node.inputs if v.type.numel]
    if not any(net.channels_of(v) is not None for v in values):
        return False
    if not any(net.is_apart(v) for v in values) and _as_it_lies(node, net) is not None:
        return False
    parts = [net.channels_of(v) or channels.of_view(net.blocked(v, channels.AXIS)) for v in values]
    net.give_channels(node.result, channels.joined(parts))
    return True


def _as_it_lies(node: Node, net: Net) -> View | None:
    """The view of the whole, where the operands lie one behind the other already."""
    assert isinstance(node.op, Concat)
    axis = node.op.axis
    first = next((v for v in net.views(node.inputs[0]) if v.block == axis), None)
    if first is None:
        return None
    whole = first.replace(shape=node.result.type.static_shape)
    begin = 0
    for value in node.inputs:
        size = value.type.static_shape[axis]
        place = part(whole, axis, begin, size)
        if place is None or not any(_same_place(v, place) for v in net.views(value)):
            return None
        begin += size
    return whole


def _same_place(left: View, right: View) -> bool:
    return (
        left.buffer is right.buffer
        and left.offset == right.offset
        and left.block == right.block
        and all(a == b or n == 1 for a, b, n in zip(left.strides, right.strides, left.shape, strict=True))
    )


@cpp.emits(Tile, where=(known("repeats"),))
def tile(node: Node, net: Net) -> None:
    """Copies, each into its place."""
    assert isinstance(node.op, Tile)
    assert node.op.repeats is not None
    source = net.planar(node.inputs[0])
    target = net.result(node.result)
    # every axis becomes (repeats, size), of which the source has no stride along the first
    shape = tuple(n for pair in zip(node.op.repeats, source.shape, strict=True) for n in pair)
    spread = tuple(s for stride in source.strides for s in (0, stride))
    places = reshaped(target, shape)
    if places is None:
        return  # nothing to copy
    reorder.copy(net, source.replace(shape=shape, strides=spread), places)
