"""Shapes and the movement of data along axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from ..errors import RE_EXPORT, needs_constant, needs_static, unreadable
from ..node import OnnxNode
from ..registry import onnx


@onnx("Identity")
def identity(n: OnnxNode, g: Builder) -> Value:
    """Identity is its operand."""
    return n[0]


@onnx("Reshape")
def reshape(n: OnnxNode, g: Builder) -> Value:
    """Reshape."""
    zero = "allowzero" in n.schema.attributes and n.boolean("allowzero")
    return g.add(ops.Reshape(allow_zero=zero), n[0], n[1])


@onnx("Flatten")
def flatten(n: OnnxNode, g: Builder) -> Value:
    """Flatten to a matrix; its axis may be the rank itself."""
    axis = n.integer("axis")
    return g.add(ops.Flatten(axis if axis == n.rank else n.axis(axis)), n[0])


@onnx("Transpose")
def transpose(n: OnnxNode, g: Builder) -> Value:
    """Transpose; without `perm` the axes are reversed."""
    perm = n.integers("perm")
    return g.add(ops.Transpose(tuple(reversed(range(n.rank))) if perm is None else perm), n[0])


def _axes(n: OnnxNode) -> tuple[int, ...] | None:
    """Axes from the attribute (before opset 13) or the operand, None where neither is given or known."""
    if "axes" in n.schema.attributes:
        return n.integers("axes")
    return n.constants(1, "axes") if n.known(n.get(1)) is not None else None


@onnx("Squeeze")
def squeeze(n: OnnxNode, g: Builder) -> Value:
    """Squeeze; without axes all of size one go."""
    axes = _axes(n)
    if axes is None and n.get(1) is not None:
        named = _named_axes(n, g, n.rank)
        count = n[1].type.static_shape[0]
        # The largest of kept * rank - place are the kept places, in order.
        kept = g.add(ops.Sub(), g.constant(n.rank), g.add(ops.Mul(), named, g.constant(n.rank)))
        order = g.add(ops.Sub(), kept, g.constant(list(range(n.rank))))
        places = g.add_all(ops.TopK(0, k=n.rank - count), order)[1]
        return g.add(ops.Reshape(), n[0], g.add(ops.Gather(0), g.add(ops.Shape(), n[0]), places))
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(n.static_shape(n[0], "operand")) if size == 1)
    return g.add(ops.Squeeze(tuple(sorted(n.axes(axes)))), n[0])


@onnx("Unsqueeze")
def unsqueeze(n: OnnxNode, g: Builder) -> Value:
    """Unsqueeze."""
    axes = _axes(n)
    if axes is not None:
        return g.add(ops.Unsqueeze(tuple(sorted(n.axes(axes, n.rank + len(axes))))), n[0])
    rank = n.rank + n.static_shape(n[1], "axes")[0]
    named = _named_axes(n, g, rank)
    # Place i takes the size of the axis that as many old axes stand before.
    place = g.add(ops.Sub(), g.constant(list(range(rank))), g.add(ops.CumSum(0), named))
    sizes = g.add(ops.Concat(0), g.add(ops.Shape(), n[0]), g.constant([1]))
    old = g.add(ops.Gather(0), sizes, place)
    new = g.add(ops.Where(), g.add(ops.Cast(DType.BOOL), named), g.constant([1]), old)
    return g.add(ops.Reshape(), n[0], new)


def _named_axes(n: OnnxNode, g: Builder, rank: int) -> Value:
    """For each of ``rank`` axes 1 where the operand names it, else 0; for axes that only running tells."""
    n.static_shape(n[1], "axes")
    axes = g.add(ops.Mod(), n[1], g.constant([rank]))
    hot = g.add(ops.OneHot(1, rank), axes, None, g.constant([0, 1]))
    return g.add(ops.ReduceMax((0,), keepdims=False), hot)


@onnx("Concat")
def concat(n: OnnxNode, g: Builder) -> Value:
    """Concat."""
    return g.add(ops.Concat(n.axis(n.integer("axis"))), *n.operands)


@onnx("Split", since=1)
def split_attribute(n: OnnxNode, g: Builder) -> tuple[Value, ...]:
    """Split before opset 13: the sizes are an attribute."""
    axis, sizes = n.axis(n.integer("axis")), n.integers("split")
    return g.add_all(ops.Split(axis, _equal_sizes(n, axis, len(n.outputs)) if sizes is None else sizes), n[0])


@onnx("Split", since=13)
def split(n: OnnxNode, g: Builder) -> tuple[Value, ...]:
    """Split into the sizes of an operand, or into a number of equal pieces."""
    axis = n.axis(n.integer("axis"))
    count = n.maybe_integer("num_outputs") if "num_outputs" in n.schema.attributes else None
    if n.get(1) is not None:
        if n.known(n[1]) is None:
            return _cut_at_run_time(n, g, axis)
        return g.add_all(ops.Split(axis, n.constants(1, "sizes")), n[0])
    return g.add_all(ops.Split(axis, _equal_sizes(n, axis, count or len(n.outputs))), n[0])


def _equal_sizes(n: OnnxNode, axis: int, count: int) -> tuple[int, ...]:
    """``count`` equal sizes, the last one smaller where they do not come out even."""
    size = n[0].type.shape[axis]
    if not isinstance(size, int):
        raise needs_static(f"the size '{size}' that Split cuts into {count} equal pieces")
    each = -(-size // count)
    return (*(each,) * (count - 1), size - each * (count - 1))


def _cut_at_run_time(n: OnnxNode, g: Builder, axis: int) -> tuple[Value, ...]:
    """Split into sizes that only running tells: Slices between the sizes' running sums."""
    sizes = g.add(ops.Cast(DType.I64), n[1])
    ends = g.add(ops.CumSum(0), sizes)
    starts = g.add(ops.Sub(), ends, sizes)
    pieces = []
    for index in range(len(n.outputs)):
        window = ops.Slice((index,), (index + 1,), (0,), (1,))
        pieces.append(g.add(ops.Slice(axes=(axis,), steps=(1,)), n[0], g.add(window, starts), g.add(window, ends)))
    return tuple(pieces)


@onnx("Slice", since=1)
def slice_attributes(n: OnnxNode, g: Builder) -> Value:
    """Slice before opset 10: all is given by attributes."""
    starts, ends = n.integers("starts") or (), n.integers("ends") or ()
    axes = n.integers("axes") or tuple(range(len(starts)))
    return g.add(ops.Slice(starts, ends, n.axes(axes), (1,) * len(starts)), n[0])


@onnx("Slice", since=10)
def slice_operands(n: OnnxNode, g: Builder) -> Value:
    """Slice by operands."""
    count = n[1].type.shape[0]
    axes = steps = None
    operands = [_as_constant(n, g, n[index]) for index in (1, 2)]
    if n.get(3) is None:
        if not isinstance(count, int):
            raise needs_constant("the number of axes that Slice cuts")
        axes = tuple(range(count))
    elif n.known(n[3]) is not None:
        axes = n.axes(n.constants(3, "axes"))
    if n.get(4) is None:
        if not isinstance(count, int):
            raise needs_constant("the number of axes that Slice cuts")
        steps = (1,) * count
    elif n.known(n[4]) is not None:
        steps = n.constants(4, "steps")
    left = (n[3] if axes is None else None, n[4] if steps is None else None)
    return g.add(ops.Slice(None, None, axes, steps), n[0], *operands, *left)


def _as_constant(n: OnnxNode, g: Builder, value: Value) -> Value:
    """The value, or a constant of its content where that can be computed now."""
    content = None if value.data is not None or g.content(value) is not None else n.known(value)
    return value if content is None else g.constant(content)


PAD_MODES = ("constant", "reflect", "edge", "wrap")


@onnx("Pad", since=1)
def pad_attributes(n: OnnxNode, g: Builder) -> Value:
    """Pad before opset 11: all is given by attributes."""
    return g.add(ops.Pad(n.choice("mode", *PAD_MODES), n.integers("pads") or (), n.number("value")), n[0])


@onnx("Pad", since=11)
def pad(n: OnnxNode, g: Builder) -> Value:
    """Pad by operands."""
    mode, value = n.choice("mode", *PAD_MODES), n.get(2)
    pads = _as_constant(n, g, n[1]) if n.get(3) is None else _all_pads(n, g)
    if value is None or value.type.numel == 0 or mode != "constant":
        return g.add(ops.Pad(mode), n[0], pads)
    fill = n.known(value)
    if fill is not None:
        return g.add(ops.Pad(mode, None, fill.reshape(-1)[0].item()), n[0], pads)
    # A value that only running tells goes to wherever padded truth is false.
    true = g.add(ops.Expand(), g.constant(np.array(True)), g.add(ops.Shape(), n[0]))
    inside = g.add(ops.Pad(mode), true, pads)
    return g.add(ops.Where(), inside, g.add(ops.Pad(mode), n[0], pads), value)


def _all_pads(n: OnnxNode, g: Builder) -> Value:
    """Pads of some axes as pads of all: all begins, then all ends, with zeros for the others."""
    given, named = n.known(n[1]), n.known(n[3])
    if given is not None and named is not None:
        axes = n.axes([int(axis) for axis in named])
        if given.size != 2 * len(axes):
            raise unreadable("MC219", f"Pad has {given.size} pads for {len(axes)} axes", RE_EXPORT)
        pads = np.zeros(2 * n.rank, np.int64)
        pads[[*axes, *(axis + n.rank for axis in axes)]] = given
        return g.constant(pads)
    begins = g.add(ops.Mod(), g.add(ops.Cast(DType.I64), n[3]), g.constant([n.rank]))
    places = g.add(ops.Concat(0), begins, g.add(ops.Add(), begins, g.constant([n.rank])))
    return g.add(ops.ScatterElements(0), g.constant([0] * (2 * n.rank)), places, n[1])


@onnx("CenterCropPad")
def center_crop_pad(n: OnnxNode, g: Builder) -> Value | Sequence[Value | None]:
    """CenterCropPad: on each axis a Slice where it shrinks, a Pad where it grows."""
    given = n.integers("axes")
    axes = tuple(range(n.rank)) if given is None else n.axes(given)
    if n.known(n[1]) is None or not n[0].type.is_static:
        return n.expanded()
    sizes, wanted = n.static_shape(n[0], "operand"), n.constants(1, "shape")
    starts, ends, pads = [], [], [0] * (2 * n.rank)
    for axis, size in zip(axes, wanted, strict=True):
        less, more = max(0, sizes[axis] - size), max(0, size - sizes[axis])
        starts.append(less // 2)
        ends.append(less // 2 + min(size, sizes[axis]))
        pads[axis], pads[axis + n.rank] = more // 2, more - more // 2
    y = g.add(ops.Slice(tuple(starts), tuple(ends), axes, (1,) * len(axes)), n[0])
    return g.add(ops.Pad("constant", tuple(pads)), y) if any(pads) else y


@onnx("Expand")
def expand(n: OnnxNode, g: Builder) -> Value:
    """Expand."""
    return g.add(ops.Expand(), n[0], _as_constant(n, g, n[1]))


@onnx("Tile")
def tile(n: OnnxNode, g: Builder) -> Value:
    """Tile."""
    return g.add(ops.Tile(), n[0], _as_constant(n, g, n[1]))


@onnx("Shape")
def shape(n: OnnxNode, g: Builder) -> Value:
    """Shape, or a stretch of it."""
    y = g.add(ops.Shape(), n[0])
    if "start" not in n.schema.attributes:
        return y
    start, end, rank = n.integer("start"), n.maybe_integer("end"), n.rank
    stop = rank if end is None else min(max(end + rank if end < 0 else end, 0), rank)
    begin = min(max(start + rank if start < 0 else start, 0), rank)
    if (begin, stop) == (0, rank):
        return y
    return g.add(ops.Slice((begin,), (max(begin, stop),), (0,), (1,)), y)


@onnx("Size")
def size(n: OnnxNode, g: Builder) -> Value:
    """Size."""
    return g.add(ops.Size(), n[0])


@onnx("DepthToSpace")
def depth_to_space(n: OnnxNode, g: Builder) -> Value:
    """DepthToSpace."""
    mode = n.choice("mode", "DCR", "CRD") if "mode" in n.schema.attributes else "DCR"
    return g.add(ops.DepthToSpace(n.integer("blocksize"), mode), n[0])


@onnx("SpaceToDepth")
def space_to_depth(n: OnnxNode, g: Builder) -> Value:
    """SpaceToDepth; with the channel first (CRD) its result's channels are then put in that order."""
    block = n.integer("blocksize")
    y = g.add(ops.SpaceToDepth(block), n[0])
    if "mode" not in n.schema.attributes or n.choice("mode", "DCR", "CRD") == "DCR":
        return y
    channels = n[0].type.shape[1]
    if not isinstance(channels, int):
        raise needs_static(f"the number of channels of {n[0].type}")
    return g.add(ops.ChannelShuffle(block * block), y)


@onnx("Trilu")
def trilu(n: OnnxNode, g: Builder) -> Value:
    """Trilu."""
    upper = n.boolean("upper")
    if n.get(1) is None:
        return g.add(ops.Trilu(upper), n[0])
    return g.add(ops.Trilu(upper, None), n[0], _as_constant(n, g, n[1]))


@onnx("ReverseSequence")
def reverse_sequence(n: OnnxNode, g: Builder) -> Value:
    """ReverseSequence."""
    return g.add(ops.ReverseSequence(n.axis(n.integer("batch_axis")), n.axis(n.integer("time_axis"))), n[0], n[1])


@onnx("Col2Im")
def col2im(n: OnnxNode, g: Builder) -> Value:
    """Col2Im."""
    image, block = n.constants(1, "image shape"), n.constants(2, "block shape")
    rank = len(block)
    ones = (1,) * rank
    op = ops.Col2Im(
        block,
        image,
        n.integers("dilations") or ones,
        n.integers("pads") or (0,) * (2 * rank),
        n.integers("strides") or ones,
    )
    return g.add(op, n[0])
