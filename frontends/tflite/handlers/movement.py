"""Shapes, and the movement of elements. Stored integers move as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Value, ops
from mconv.ir.ops.shape import END
from mconv.ir.types import Array

from ... import forms
from .. import errors
from ..node import TfliteNode
from ..registry import tflite


@tflite("RESHAPE", options="ReshapeOptions")
def reshape(n: TfliteNode, g: Builder) -> Value:
    """RESHAPE to the shape in operand 1, or without one to that of the options. A 0 is no element, not a copy."""
    told = n.option_integers("NewShape")
    if n.absent(1):
        if told is None:
            raise errors.misfit("RESHAPE without a shape")
        return g.add(ops.Reshape(told, 0 in told), n[0])
    content = n.content(1)
    zero = content is None or any(d == 0 for d in content.flat)
    wanted = n.wide(1)
    return g.add(ops.Reshape(None, zero), n[0], wanted if wanted.type.rank == 1 else g.add(ops.Reshape((-1,)), wanted))


@tflite("TRANSPOSE", options="TransposeOptions")
def transpose(n: TfliteNode, g: Builder) -> Value:
    """TRANSPOSE."""
    perm = tuple(n.axis(a) for a in n.integers(1, "order of axes"))
    return g.add(ops.Transpose(perm), n[0])


@tflite("EXPAND_DIMS", options="ExpandDimsOptions")
def expand_dims(n: TfliteNode, g: Builder) -> Value:
    """EXPAND_DIMS."""
    return g.add(ops.Unsqueeze((n.axis(n.integer(1, "axis"), n.rank + 1),)), n[0])


@tflite("SQUEEZE", options="SqueezeOptions")
def squeeze(n: TfliteNode, g: Builder) -> Value:
    """SQUEEZE of the given axes, without any of all that have size one."""
    given = n.option_integers("SqueezeDims") or ()
    if not given and not n[0].type.is_static:
        raise errors.needs_static(f"which axes of {n[0].type} have size one")
    axes = {n.axis(a) for a in given} or {i for i, d in enumerate(n[0].type.shape) if d == 1}
    return g.add(ops.Squeeze(tuple(sorted(axes))), n[0])


@tflite("CONCATENATION", options="ConcatenationOptions")
def concatenation(n: TfliteNode, g: Builder) -> Value:
    """CONCATENATION: of stored integers where all have the result's scale."""
    if not len(n):
        raise errors.misfit("CONCATENATION of nothing")
    out = n.scope.quantization(n.operator.outputs[0]) if n.operator.outputs else None
    same = all(n.quantization(i) == out for i in range(len(n)))
    values = n.all() if same else [n.real(i) for i in range(len(n))]
    return n.activation(g.add(ops.Concat(n.axis(n.option("Axis"))), *values))


@tflite("PACK", options="PackOptions", ignores={"ValuesCount": "the operands tell it"})
def pack(n: TfliteNode, g: Builder) -> Value:
    """PACK: stacked along a new axis."""
    axis = n.axis(n.option("Axis"), n.rank + 1)
    return g.add(ops.Concat(axis), *(g.add(ops.Unsqueeze((axis,)), v) for v in n.all()))


@tflite("UNPACK", options="UnpackOptions", ignores={"Num": "the axis's size tells it"})
def unpack(n: TfliteNode, g: Builder) -> list[Value]:
    """UNPACK: an axis's elements apart."""
    axis = n.axis(n.option("Axis"))
    size = n[0].type.shape[axis] if n.rank else None
    if not isinstance(size, int) or size != len(n.operator.outputs):
        raise errors.misfit(f"UNPACK of {n[0].type} into {len(n.operator.outputs)} results")
    pieces = g.add_all(ops.Split(axis, (1,) * size), n[0])
    return [g.add(ops.Squeeze((axis,)), piece) for piece in pieces]


@tflite("SPLIT", options="SplitOptions", ignores={"NumSplits": "the results tell it"})
def split(n: TfliteNode, g: Builder) -> Sequence[Value]:
    """SPLIT into equal parts along the axis in operand 0."""
    axis, count = n.axis(n.integer(0, "axis"), n[1].type.rank), len(n.operator.outputs)
    size = n[1].type.shape[axis] if n[1].type.rank else None
    if not isinstance(size, int) or not count or size % count:
        raise errors.misfit(f"SPLIT of {n[1].type} into {count} parts along axis {axis}")
    return g.add_all(ops.Split(axis, (size // count,) * count), n[1])


@tflite("SPLIT_V", options="SplitVOptions", ignores={"NumSplits": "the sizes tell it"})
def split_v(n: TfliteNode, g: Builder) -> Sequence[Value]:
    """SPLIT_V into parts of the sizes in operand 1, one of which may be -1 for what is left."""
    axis, sizes = n.axis(n.integer(2, "axis")), list(n.integers(1, "sizes"))
    if -1 in sizes:
        whole, at = n[0].type.shape[axis], sizes.index(-1)
        if not isinstance(whole, int):
            raise errors.needs_static(f"axis {axis} of SPLIT_V's {n[0].type}")
        sizes[at] = whole - sum(sizes) - 1
    if min(sizes, default=-1) < 0:
        raise errors.misfit(f"SPLIT_V into {sizes}")
    return g.add_all(ops.Split(axis, tuple(sizes)), n[0])


@tflite("SLICE", options="SliceOptions")
def slice_(n: TfliteNode, g: Builder) -> Value:
    """SLICE from begins, as many as sizes say (-1: to the end)."""
    axes = tuple(range(n.rank))
    begins, sizes = n.known(1), n.known(2)
    if begins is not None and sizes is not None:
        starts = tuple(int(b) for b in begins.ravel())
        counts = tuple(int(s) for s in sizes.ravel())
        if len(starts) != n.rank or len(counts) != n.rank or min((*starts, 0)) < 0 or min((*counts, -1)) < -1:
            raise errors.misfit(f"SLICE of {n[0].type} from {list(starts)}, {list(counts)} long")
        ends = tuple(END if c == -1 else b + c for b, c in zip(starts, counts, strict=True))
        return g.add(ops.Slice(starts, ends, axes, (1,) * n.rank), n[0])
    start, count = n.wide(1), n.wide(2)
    to_end = g.add(ops.Equal(), count, g.constant(np.int64(-1)))
    end = g.add(ops.Where(), to_end, g.constant(np.int64(END)), g.add(ops.Add(), start, count))
    return g.add(ops.Slice(None, None, axes, (1,) * n.rank), n[0], start, end)


@tflite("PAD", options="PadOptions")
def pad(n: TfliteNode, g: Builder) -> Value:
    """PAD with zeros: of stored integers with the zero point."""
    quantization = n.quantization(0)
    raw = quantization is not None and n.moves_integers() and len(quantization.scale) == 1
    value = quantization.zero_point[0] if quantization is not None and raw else 0
    return _padded(n, g, n[0] if raw else n.real(0), "constant", value)


@tflite("PADV2", options="PadV2Options")
def pad_v2(n: TfliteNode, g: Builder) -> Value:
    """PADV2 with the value in operand 2, which is stored as the elements are."""
    value = n.constant(2, "value")
    if value.size != 1:
        raise errors.misfit(f"PADV2 with a value of shape {list(value.shape)}")
    return _padded(n, g, n[0], "constant", value.reshape(()).item())


def _pads(n: TfliteNode) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pads = n.constant(1, "pads")
    if pads.shape != (n.rank, 2) or (pads.size and pads.min() < 0):
        raise errors.misfit(f"{n.name} of {n[0].type} with pads {pads.tolist()}")
    return tuple(pads[:, 0].tolist()), tuple(pads[:, 1].tolist())


def _padded(n: TfliteNode, g: Builder, x: Value, mode: str, value: float) -> Value:
    if n.known(1) is None:
        pads = g.add(ops.Reshape((-1,)), g.add(ops.Transpose((1, 0)), n.wide(1)))
        return g.add(ops.Pad(mode, None, value), x, pads)
    begins, ends = _pads(n)
    return g.add(ops.Pad(mode, (*begins, *ends), value), x)


@tflite("MIRROR_PAD", options="MirrorPadOptions")
def mirror_pad(n: TfliteNode, g: Builder) -> Value:
    """MIRROR_PAD: mirrored at the last element, or (SYMMETRIC) behind it."""
    begins, ends = _pads(n)
    symmetric = n.choice("Mode", "MirrorPadMode") == "SYMMETRIC"
    for size, *pads in zip(n[0].type.shape, begins, ends, strict=True):
        if isinstance(size, int) and max(pads) > size - (not symmetric) and max(pads):
            raise errors.misfit(f"MIRROR_PAD of {n[0].type} with pads {list(begins)} and {list(ends)}")
    if not symmetric:
        return g.add(ops.Pad("reflect", (*begins, *ends)), n.movable())
    return forms.symmetric_pad(g, n[0], begins, ends)


@tflite("TILE", options="TileOptions")
def tile(n: TfliteNode, g: Builder) -> Value:
    """TILE."""
    return g.add(ops.Tile(), n[0], n.wide(1))


@tflite("BROADCAST_TO", options="BroadcastToOptions")
def broadcast_to(n: TfliteNode, g: Builder) -> Value:
    """BROADCAST_TO the shape in operand 1."""
    return g.add(ops.Expand(), n[0], n.wide(1))


@tflite("BROADCAST_ARGS")
def broadcast_args(n: TfliteNode, g: Builder) -> Value:
    """BROADCAST_ARGS: the shape to which two shapes broadcast."""
    sides = [n.wide(0), n.wide(1)]
    lengths = [v.type.shape[0] if v.type.rank == 1 else None for v in sides]
    if not all(isinstance(d, int) for d in lengths):
        raise errors.needs_static("the lengths of BROADCAST_ARGS's shapes")
    most = max(int(str(d)) for d in lengths)
    full = [
        v if d == most else g.add(ops.Concat(0), g.constant(np.ones(most - int(str(d)), np.int64)), v)
        for v, d in zip(sides, lengths, strict=True)
    ]
    alone = g.add(ops.Equal(), full[0], g.constant(np.int64(1)))
    return n.scope.cast(g.add(ops.Where(), alone, full[1], full[0]), n[0].type.dtype)


@tflite("REVERSE_V2", options="ReverseV2Options")
def reverse_v2(n: TfliteNode, g: Builder) -> Value:
    """REVERSE_V2 along axes."""
    axes = tuple(dict.fromkeys(n.axis(a) for a in n.integers(1, "axes")))
    if not axes:
        return g.add(ops.Identity(), n[0])
    return g.add(ops.Slice((-1,) * len(axes), (-END,) * len(axes), axes, (-1,) * len(axes)), n[0])


@tflite("REVERSE_SEQUENCE", options="ReverseSequenceOptions")
def reverse_sequence(n: TfliteNode, g: Builder) -> Value:
    """REVERSE_SEQUENCE: the first elements of each sequence, as many as operand 1 says."""
    batch, time = n.axis(n.option("BatchDim")), n.axis(n.option("SeqDim"))
    return forms.reverse_sequence(g, n[0], n.wide(1), batch, time)


@tflite("SPACE_TO_BATCH_ND", options="SpaceToBatchNDOptions")
def space_to_batch(n: TfliteNode, g: Builder) -> Value:
    """SPACE_TO_BATCH_ND: blocks of space become images of their own, the place in the block running slowest."""
    blocks, pads = _blocks(n)
    quantization = n.quantization(0)
    value = quantization.zero_point[0] if quantization is not None else 0
    return forms.space_to_batch(g, n[0], blocks, pads, value, n.name)


@tflite("BATCH_TO_SPACE_ND", options="BatchToSpaceNDOptions")
def batch_to_space(n: TfliteNode, g: Builder) -> Value:
    """BATCH_TO_SPACE_ND: the inverse, and then the crops."""
    blocks, crops = _blocks(n)
    return forms.batch_to_space(g, n[0], blocks, crops, n.name)


def _blocks(n: TfliteNode) -> tuple[tuple[int, ...], Array]:
    blocks, edges = n.integers(1, "blocks"), n.constant(2, "pads or crops")
    sound = 0 < len(blocks) < n.rank and edges.shape == (len(blocks), 2) and edges.min() >= 0 and min(blocks) > 0
    if not sound:
        raise errors.misfit(f"{n.name} of {n[0].type} with blocks {list(blocks)} and {edges.tolist()}")
    return blocks, edges.astype(np.int64)


@tflite("STRIDED_SLICE", options="StridedSliceOptions")
def strided_slice(n: TfliteNode, g: Builder) -> Value:
    """STRIDED_SLICE: numpy's indexing, with bit masks for open ends, single elements, new axes and an ellipsis."""
    names = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")
    masks = forms.Masks(*(int(n.option(name)) for name in names))
    known = [n.known(i) for i in (1, 2)]
    begins, ends = (None if k is None else tuple(int(i) for i in k.ravel()) for k in known)
    bounds = forms.Bounds((n.wide(1), n.wide(2)), begins, ends)
    relative = bool(n.option("Offset"))
    if relative and (begins is None or ends is None):
        raise errors.form("STRIDED_SLICE with ends that count from begins that are not known")
    return forms.strided_slice(g, n[0], bounds, n.integers(3, "strides"), masks, relative=relative)


def as_type(n: TfliteNode, value: Value, index: int = 0) -> Value:
    """Indices, which the IR has as i64, in the element type that result ``index`` is declared with."""
    return n.scope.cast(value, DType.I64 if n.out(index).type == "INT64" else DType.I32)
