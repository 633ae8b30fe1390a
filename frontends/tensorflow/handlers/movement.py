"""Shapes, and the movement of elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Value, ops
from mconv.ir.ops.shape import END
from mconv.ir.types import Array

from ...forms import Bounds, Masks, batch_to_space, reverse_sequence, space_to_batch, strided_slice, symmetric_pad
from .. import errors
from ..node import TfNode
from ..registry import tensorflow

# Sizes -------------------------------------------------------------------------------------------------------


@tensorflow("Shape", "ShapeN")
def shape(n: TfNode, g: Builder) -> Sequence[Value]:
    """Shape, and ShapeN of each operand."""
    dtype = n.dtype("out_type")
    return [n.cast(g.add(ops.Shape(), v), dtype) for v in n.all()]


@tensorflow("Size")
def size(n: TfNode, g: Builder) -> Value:
    """Size."""
    return n.cast(g.add(ops.Size(), n[0]), n.dtype("out_type"))


@tensorflow("Rank")
def rank(n: TfNode, g: Builder) -> Value:
    """Rank, which is known."""
    return g.constant(np.int32(n.rank))


@tensorflow("ZerosLike", "OnesLike")
def like(n: TfNode, g: Builder) -> Value:
    """A zero, or a one, broadcast."""
    return g.add(ops.Expand(), n.like(int(n.op == "OnesLike"), n[0]), g.add(ops.Shape(), n[0]))


@tensorflow("Fill", ignores={"index_type": "the operand has it"})
def fill(n: TfNode, g: Builder) -> Value:
    """Fill: the value in operand 1, broadcast to the shape in operand 0."""
    return g.add(ops.Expand(), n[1], n.wide(0))


@tensorflow("Empty")
def empty(n: TfNode, g: Builder) -> Value:
    """Empty: zeros, which is what ``init`` promises and what may stand there without it."""
    n.flag("init")
    return g.add(ops.Expand(), g.constant(np.zeros((), n.dtype("dtype").numpy)), n.wide(0))


@tensorflow("Range")
def range_(n: TfNode, g: Builder) -> Value:
    """Range from a start to before a limit."""
    dtype = n[0].type.dtype
    narrow = dtype.is_integer and dtype is not DType.I64
    scalars = [n.cast(v, DType.I64) if narrow else v for v in n.all()]
    return n.cast(g.add(ops.Range(), *scalars), dtype)


@tensorflow("LinSpace")
def lin_space(n: TfNode, g: Builder) -> Value:
    """LinSpace with known ends."""
    start, stop, count = n.number(0, "start"), n.number(1, "stop"), n.integer(2, "number of points")
    if not 0 < count <= 1 << 24:
        raise errors.misfit(f"{n.op} of {count} points")
    return g.constant(np.linspace(start, stop, count).astype(n[0].type.dtype.numpy))


# Shapes ------------------------------------------------------------------------------------------------------


@tensorflow("Reshape")
def reshape(n: TfNode, g: Builder) -> Value:
    """Reshape to the shape in operand 1. A 0 is no element, not a copy."""
    content = n.content(1)
    zero = content is None or any(isinstance(d, int) and d == 0 for d in content.astype(object).flat)
    wanted = n.wide(1)
    return g.add(ops.Reshape(None, zero), n[0], wanted if wanted.type.rank == 1 else g.add(ops.Reshape((-1,)), wanted))


@tensorflow("Transpose", "ConjugateTranspose")
def transpose(n: TfNode, g: Builder) -> Value:
    """Transpose."""
    perm = tuple(n.axis(a) for a in n.integers(1, "order of axes"))
    return g.add(ops.Transpose(perm), n[0])


@tensorflow("ExpandDims")
def expand_dims(n: TfNode, g: Builder) -> Value:
    """ExpandDims."""
    return g.add(ops.Unsqueeze((n.axis(n.integer(1, "axis"), n.rank + 1),)), n[0])


@tensorflow("Squeeze")
def squeeze(n: TfNode, g: Builder) -> Value:
    """Squeeze of the given axes, without any of all that have size one."""
    given = n.wholes("squeeze_dims")
    if not given and not n[0].type.is_static:
        raise errors.needs_static(f"which axes of {n[0].type} have size one")
    axes = {n.axis(a) for a in given} or {i for i, d in enumerate(n[0].type.shape) if d == 1}
    return g.add(ops.Squeeze(tuple(sorted(axes))), n[0])


# Joining and cutting -----------------------------------------------------------------------------------------


@tensorflow("Concat", "ConcatV2")
def concat(n: TfNode, g: Builder) -> Value:
    """Concat: the axis is the first operand, of ConcatV2 the last."""
    at = 0 if n.op == "Concat" else len(n) - 1
    values = [n[i] for i in range(len(n)) if i != at]
    if not values:
        raise errors.misfit(f"{n.op} of nothing")
    axis = n.axis(n.integer(at, "axis"), values[0].type.rank)
    return values[0] if len(values) == 1 else g.add(ops.Concat(axis), *values)


@tensorflow("Pack")
def pack(n: TfNode, g: Builder) -> Value:
    """Pack: stacked along a new axis."""
    axis = n.axis(n.whole("axis"), n.rank + 1)
    return g.add(ops.Concat(axis), *(g.add(ops.Unsqueeze((axis,)), v) for v in n.all()))


@tensorflow("ParallelConcat", ignores={"shape": "the operands tell it"})
def parallel_concat(n: TfNode, g: Builder) -> Value:
    """ParallelConcat along the first axis."""
    return g.add(ops.Concat(0), *n.all())


@tensorflow("Unpack")
def unpack(n: TfNode, g: Builder) -> list[Value]:
    """Unpack: an axis's elements apart."""
    axis, count = n.axis(n.whole("axis")), n.whole("num")
    found = n[0].type.shape[axis] if n.rank else None
    if found != count:
        raise errors.misfit(f"Unpack of {n[0].type} into {count} results")
    if not count:
        return []
    pieces = g.add_all(ops.Split(axis, (1,) * count), n[0])
    return [g.add(ops.Squeeze((axis,)), piece) for piece in pieces]


@tensorflow("Split")
def split(n: TfNode, g: Builder) -> Sequence[Value]:
    """Split into equal parts along the axis in operand 0."""
    axis, count = n.axis(n.integer(0, "axis"), n[1].type.rank), n.whole("num_split")
    found = n[1].type.shape[axis] if n[1].type.rank else None
    if not isinstance(found, int) or count < 1 or found % count:
        raise errors.misfit(f"Split of {n[1].type} into {count} parts along axis {axis}")
    return g.add_all(ops.Split(axis, (found // count,) * count), n[1])


@tensorflow("SplitV")
def split_v(n: TfNode, g: Builder) -> Sequence[Value]:
    """SplitV into parts of the sizes in operand 1, one of which may be -1 for what is left."""
    axis, sizes = n.axis(n.integer(2, "axis")), list(n.integers(1, "sizes"))
    if len(sizes) != n.whole("num_split"):
        raise errors.misfit(f"SplitV into {len(sizes)} parts")
    if -1 in sizes:
        whole, at = n[0].type.shape[axis], sizes.index(-1)
        if not isinstance(whole, int):
            raise errors.needs_static(f"axis {axis} of SplitV's {n[0].type}")
        sizes[at] = whole - sum(sizes) - 1
    if min(sizes, default=-1) < 0:
        raise errors.misfit(f"SplitV into {sizes}")
    return g.add_all(ops.Split(axis, tuple(sizes)), n[0])


@tensorflow("Slice")
def slice_(n: TfNode, g: Builder) -> Value:
    """Slice from begins, as many as sizes say (-1: to the end)."""
    axes = tuple(range(n.rank))
    begins, sizes = n.known(1), n.known(2)
    if begins is not None and sizes is not None:
        starts = tuple(int(b) for b in begins.ravel())
        counts = tuple(int(s) for s in sizes.ravel())
        if len(starts) != n.rank or len(counts) != n.rank or min((*starts, 0)) < 0 or min((*counts, -1)) < -1:
            raise errors.misfit(f"Slice of {n[0].type} from {list(starts)}, {list(counts)} long")
        ends = tuple(END if c == -1 else b + c for b, c in zip(starts, counts, strict=True))
        return g.add(ops.Slice(starts, ends, axes, (1,) * n.rank), n[0])
    start, count = n.wide(1), n.wide(2)
    to_end = g.add(ops.Equal(), count, g.constant(np.int64(-1)))
    end = g.add(ops.Where(), to_end, g.constant(np.int64(END)), g.add(ops.Add(), start, count))
    return g.add(ops.Slice(None, None, axes, (1,) * n.rank), n[0], start, end)


@tensorflow("StridedSlice")
def strided(n: TfNode, g: Builder) -> Value:
    """StridedSlice: numpy's indexing, with bit masks."""
    names = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    masks = Masks(*(n.whole(name) for name in names))
    known = [n.known(i) for i in (1, 2)]
    begins, ends = (None if k is None else tuple(int(i) for i in k.ravel()) for k in known)
    bounds = Bounds((n.wide(1), n.wide(2)), begins, ends)
    return strided_slice(g, n[0], bounds, n.integers(3, "strides"), masks)


# Padding and repeating ---------------------------------------------------------------------------------------


@tensorflow("Pad", "PadV2")
def pad(n: TfNode, g: Builder) -> Value:
    """Pad with zeros, or with the value in operand 2."""
    value = 0.0 if n.op == "Pad" else n.constant(2, "value").ravel().tolist()[0]
    if n.known(1) is None:
        pads = g.add(ops.Reshape((-1,)), g.add(ops.Transpose((1, 0)), n.wide(1)))
        return g.add(ops.Pad("constant", None, value), n[0], pads)
    begins, ends = _pads(n)
    return g.add(ops.Pad("constant", (*begins, *ends), value), n[0])


def _pads(n: TfNode) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pads = n.constant(1, "pads")
    if pads.shape != (n.rank, 2) or (pads.size and pads.min() < 0):
        raise errors.misfit(f"{n.op} of {n[0].type} with pads {pads.tolist()}")
    return tuple(pads[:, 0].tolist()), tuple(pads[:, 1].tolist())


@tensorflow("MirrorPad")
def mirror_pad(n: TfNode, g: Builder) -> Value:
    """MirrorPad: mirrored at the last element, or (SYMMETRIC) behind it."""
    begins, ends = _pads(n)
    symmetric = n.text("mode") == "SYMMETRIC"
    for found, *pads in zip(n[0].type.shape, begins, ends, strict=True):
        if isinstance(found, int) and max(pads) > found - (not symmetric) and max(pads):
            raise errors.misfit(f"MirrorPad of {n[0].type} with pads {list(begins)} and {list(ends)}")
    if symmetric:
        return symmetric_pad(g, n[0], begins, ends)
    return g.add(ops.Pad("reflect", (*begins, *ends)), n[0])


@tensorflow("Tile")
def tile(n: TfNode, g: Builder) -> Value:
    """Tile."""
    return g.add(ops.Tile(), n[0], n.wide(1))


@tensorflow("BroadcastTo")
def broadcast_to(n: TfNode, g: Builder) -> Value:
    """BroadcastTo the shape in operand 1."""
    return g.add(ops.Expand(), n[0], n.wide(1))


@tensorflow("BroadcastArgs")
def broadcast_args(n: TfNode, g: Builder) -> Value:
    """BroadcastArgs: the shape to which two shapes broadcast."""
    sides = [n.wide(0), n.wide(1)]
    lengths = [v.type.shape[0] if v.type.rank == 1 else None for v in sides]
    if not all(isinstance(d, int) for d in lengths):
        raise errors.needs_static("the lengths of BroadcastArgs' shapes")
    numbers = [int(str(d)) for d in lengths]
    most = max(numbers)
    full = [
        v if d == most else g.add(ops.Concat(0), g.constant(np.ones(most - d, np.int64)), v)
        for v, d in zip(sides, numbers, strict=True)
    ]
    alone = g.add(ops.Equal(), full[0], g.constant(np.int64(1)))
    return n.cast(g.add(ops.Where(), alone, full[1], full[0]), n[0].type.dtype)


# Turning round -----------------------------------------------------------------------------------------------


@tensorflow("ReverseV2", "Reverse")
def reverse(n: TfNode, g: Builder) -> Value:
    """ReverseV2 along axes; Reverse where a truth value for each axis says so."""
    if n.op == "ReverseV2":
        axes = tuple(dict.fromkeys(n.axis(a) for a in n.integers(1, "axes")))
    else:
        axes = tuple(i for i, turned in enumerate(n.constant(1, "axes").ravel()) if turned)
    if not axes:
        return g.add(ops.Identity(), n[0])
    return g.add(ops.Slice((-1,) * len(axes), (-END,) * len(axes), axes, (-1,) * len(axes)), n[0])


@tensorflow("ReverseSequence")
def reverse_seq(n: TfNode, g: Builder) -> Value:
    """ReverseSequence: the first elements of each sequence, as many as operand 1 says."""
    return reverse_sequence(g, n[0], n.wide(1), n.axis(n.whole("batch_dim")), n.axis(n.whole("seq_dim")))


@tensorflow("Roll")
def roll(n: TfNode, g: Builder) -> Value:
    """Roll along axes by known numbers: the end comes to the front."""
    y = n[0]
    for by, axis in zip(n.integers(1, "shift"), n.integers(2, "axis"), strict=True):
        axis = n.axis(axis)
        found = y.type.shape[axis]
        if not isinstance(found, int):
            raise errors.needs_static(f"axis {axis} of Roll's {y.type}")
        cut = -by % found if found else 0
        if cut:
            behind = g.add(ops.Slice((cut,), (END,), (axis,), (1,)), y)
            y = g.add(ops.Concat(axis), behind, g.add(ops.Slice((0,), (cut,), (axis,), (1,)), y))
    return y


# Blocks ------------------------------------------------------------------------------------------------------


@tensorflow("SpaceToBatchND", "SpaceToBatch")
def to_batch(n: TfNode, g: Builder) -> Value:
    """SpaceToBatch: blocks of space become images of their own."""
    blocks, pads = _blocks(n)
    return space_to_batch(g, n[0], blocks, pads, 0, n.op)


@tensorflow("BatchToSpaceND", "BatchToSpace")
def to_space(n: TfNode, g: Builder) -> Value:
    """BatchToSpace: the inverse, and then the crops."""
    blocks, crops = _blocks(n)
    return batch_to_space(g, n[0], blocks, crops, n.op)


def _blocks(n: TfNode) -> tuple[tuple[int, ...], Array]:
    several = n.op.endswith("ND")
    blocks = n.integers(1, "blocks") if several else (n.whole("block_size"),) * 2
    edges = n.constant(2 if several else 1, "pads or crops")
    sound = 0 < len(blocks) < n.rank and edges.shape == (len(blocks), 2) and edges.min() >= 0 and min(blocks) > 0
    if not sound:
        raise errors.misfit(f"{n.op} of {n[0].type} with blocks {list(blocks)} and {edges.tolist()}")
    return blocks, edges.astype(np.int64)
