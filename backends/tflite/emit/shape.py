"""Shapes and the movement of data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import DType, Node, TensorType, Value
from mconv.ir.ops import (
    Concat,
    Expand,
    Flatten,
    Pad,
    Reshape,
    Shape,
    Size,
    Slice,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from mconv.ir.ops.kernels.movement import python_slice
from mconv.ir.ops.shape import length

from ..backend import tflite
from ..model import TYPES
from ..net import Net
from .conditions import rank_at_most, takes


def one_size_unknown(node: Node) -> bool | str:
    """of the result's sizes at most one is known only at run time, or the shape is an operand."""
    op = node.op
    if isinstance(op, Reshape) and node.operand("shape") is not None:
        return not op.allow_zero or "a size of zero known only at run time"
    unknown = sum(not isinstance(d, int) for d in node.result.type.shape)
    return unknown <= 1 or f"{unknown} sizes of %{node.result.name}: {node.result.type} are known only at run time"


def cast(net: Net, value: Value, dtype: DType) -> int:
    """The tensor of ``value`` as another element type: CAST, unless it has it."""
    if value.type.dtype is dtype:
        return net.tensor(value)
    if value.data is not None:
        return net.constant(value.data.astype(dtype.numpy), value.name)
    result = net.scratch(value.type.with_dtype(dtype), f"{value.name}_{dtype.value}")
    net.add("CAST", [value], [result], "CastOptions", **cast_types(value.type.dtype, dtype))
    return result


def cast_to(net: Net, value: Value, result: Value) -> None:
    """CAST of ``value`` to the element type of ``result``."""
    net.add("CAST", [value], [result], "CastOptions", **cast_types(value.type.dtype, result.type.dtype))


def cast_types(before: DType, after: DType) -> dict[str, int]:
    """The fields of CastOptions."""
    from tflite import TensorType as Kind

    return {"InDataType": getattr(Kind, TYPES[before]), "OutDataType": getattr(Kind, TYPES[after])}


def as_sizes(net: Net, value: Value) -> int:
    """A vector of numbers known at run time as i32, those beyond its range as its ends."""
    dtype = value.type.dtype
    if dtype is DType.I32:
        return net.tensor(value)
    bounds = {"MAXIMUM": -(2**31) + 1, "MINIMUM": 2**31 - 1}
    current = cast(net, value, DType.I64)
    wide = value.type.with_dtype(DType.I64)
    for name, bound in bounds.items():
        made = net.scratch(wide, f"{value.name}_bounded")
        net.add(name, [current, net.constant(np.array(bound, np.int64), "bound")], [made], "MaximumMinimumOptions")
        current = made
    result = net.scratch(value.type.with_dtype(DType.I32), f"{value.name}_i32")
    net.add("CAST", [current], [result], "CastOptions", **cast_types(DType.I64, DType.I32))
    return result


def reshape(net: Net, x: Value | int, result: Value | int, shape: Sequence[object]) -> None:
    """RESHAPE to ``shape``, whose one unknown size is -1."""
    wanted = tuple(d if isinstance(d, int) else -1 for d in shape)
    net.add("RESHAPE", [x, net.integers(wanted)], [result], "ReshapeOptions", NewShape=wanted)


@tflite.emits(Reshape, Squeeze, Unsqueeze, Flatten, where=(one_size_unknown,))
def reshaped(node: Node, net: Net) -> None:
    """RESHAPE."""
    wanted = node.operand("shape") if isinstance(node.op, Reshape) else None
    if wanted is None or sum(not isinstance(d, int) for d in node.result.type.shape) <= 1:
        reshape(net, node.inputs[0], node.result, node.result.type.shape)
        return
    sizes = _with_own_sizes(net, node.inputs[0], wanted)
    net.add("RESHAPE", [node.inputs[0], sizes], [node.result], "ReshapeOptions", NewShape=())


def _with_own_sizes(net: Net, x: Value, wanted: Value) -> int:
    """A shape in which 0 stands for x's own size, written out."""
    given = as_sizes(net, wanted)
    places = wanted.type.static_shape[0]
    vector = TensorType(DType.I32, (places,))
    own = net.scratch(TensorType(DType.I32, (x.type.rank,)), f"{x.name}_sizes")
    net.add("SHAPE", [x], [own], "ShapeOptions", OutType=cast_types(DType.I32, DType.I32)["OutDataType"])
    kept = net.scratch(vector, f"{x.name}_kept")
    at = net.integers([min(i, x.type.rank - 1) for i in range(places)], "places")
    net.add("GATHER", [own, at], [kept], "GatherOptions", Axis=0, BatchDims=0)
    zero = net.scratch(vector.with_dtype(DType.BOOL), f"{wanted.name}_is_zero")
    net.add("EQUAL", [given, net.constant(np.array(0, np.int32), "zero")], [zero], "EqualOptions")
    result = net.scratch(vector, f"{wanted.name}_sizes")
    net.add("SELECT_V2", [zero, kept, given], [result], "SelectV2Options")
    return result


def some_axis(node: Node) -> bool:
    """there is an axis."""
    return node.inputs[0].type.rank > 0


@tflite.emits(Transpose, where=(some_axis, rank_at_most(6)))
def transposed(node: Node, net: Net) -> None:
    """TRANSPOSE."""
    assert isinstance(node.op, Transpose)
    net.add("TRANSPOSE", [node.inputs[0], net.integers(node.op.perm, "perm")], node.results, "TransposeOptions")


@tflite.emits(Concat, where=(takes("f32 f16 i8 u8 i16 i32 u32 i64 bool"), rank_at_most(6)))
def concatenation(node: Node, net: Net) -> None:
    """CONCATENATION."""
    assert isinstance(node.op, Concat)
    net.add("CONCATENATION", node.inputs, node.results, "ConcatenationOptions", Axis=node.op.axis,
            FusedActivationFunction=0)  # fmt: skip


@tflite.emits(Split, where=(takes("f32 i8 u8 i16 i32 i64"), rank_at_most(6)))
def split(node: Node, net: Net) -> None:
    """SPLIT into equal parts, SPLIT_V into others."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Split)
    axis = net.constant(np.array(op.axis, np.int32), "axis")
    if len(set(op.sizes)) == 1:
        net.add("SPLIT", [axis, x], node.results, "SplitOptions", NumSplits=len(op.sizes))
    else:
        sizes = net.integers(op.sizes, "sizes")
        net.add("SPLIT_V", [x, sizes, axis], node.results, "SplitVOptions", NumSplits=len(op.sizes))


def _bounds_known(node: Node) -> bool:
    op = node.op
    assert isinstance(op, Slice)
    if op.starts is None or op.ends is None or len(node.inputs) > 1:
        return False  # also where axes or steps are operands
    axes = op.axes if op.axes is not None else tuple(range(len(op.starts)))
    return all(isinstance(node.inputs[0].type.shape[a], int) for a in axes)


@tflite.emits(Slice, where=(some_axis, rank_at_most(5)))
def sliced(node: Node, net: Net) -> None:
    """SLICE, or STRIDED_SLICE with steps."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Slice)
    if not _bounds_known(node):
        _sliced_at_run_time(node, op, net)
        return
    assert op.starts is not None
    assert op.ends is not None
    rank = x.type.rank
    axes = op.axes if op.axes is not None else tuple(range(len(op.starts)))
    cuts: dict[int, range] = {}
    for index, axis in enumerate(axes):
        size = x.type.shape[axis]
        assert isinstance(size, int)
        step = op.steps[index] if op.steps is not None else 1
        cuts[axis] = range(size)[python_slice(size, op.starts[index], op.ends[index], step)]
    begins = net.integers([cuts[a].start if a in cuts else 0 for a in range(rank)], "begin")
    if all(cut.step == 1 for cut in cuts.values()):
        sizes = net.integers([len(cuts[a]) if a in cuts else -1 for a in range(rank)], "size")
        net.add("SLICE", [x, begins, sizes], node.results, "SliceOptions")
        return
    ends = net.integers([max(cuts[a].stop, 0) if a in cuts else 0 for a in range(rank)], "end")
    steps = net.integers([cuts[a].step if a in cuts else 1 for a in range(rank)], "strides")
    whole = [a for a in range(rank) if a not in cuts]
    to_the_end = [a for a, cut in cuts.items() if cut.stop < 0]
    net.add(
        "STRIDED_SLICE",
        [x, begins, ends, steps],
        node.results,
        "StridedSliceOptions",
        BeginMask=sum(1 << a for a in whole),
        EndMask=sum(1 << a for a in (*whole, *to_the_end)),
        EllipsisMask=0,
        NewAxisMask=0,
        ShrinkAxisMask=0,
        Offset=False,
    )


def _sliced_at_run_time(node: Node, op: Slice, net: Net) -> None:
    """STRIDED_SLICE, which counts from the end and clamps as Slice does."""
    x, axes_given = node.inputs[0], node.operand("axes")
    rank = x.type.rank
    masks = {"EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0, "Offset": False}
    if op.axes is None and axes_given is not None:
        bounds = _scattered_bounds(node, op, net, axes_given)
        net.add("STRIDED_SLICE", [x, *bounds], node.results, "StridedSliceOptions", BeginMask=0, EndMask=0, **masks)
        return
    known = op.starts if op.starts is not None else op.ends
    bound = node.operand("starts") or node.operand("ends")
    count = len(known) if known is not None else length(None if bound is None else bound.type, "starts")
    axes = op.axes if op.axes is not None else tuple(range(count))
    in_order = axes == tuple(range(count))
    entries = count if in_order else rank

    def vector(name: str, attribute: tuple[int, ...] | None, rest: int) -> int:
        operand = node.operand(name)
        if attribute is not None or operand is None:
            numbers = np.clip(np.array(attribute or (1,) * count, object), -(2**31) + 1, 2**31 - 1)
            full = dict(zip(axes, numbers.tolist(), strict=True))
            return net.integers([full.get(a, rest) for a in (axes if in_order else range(rank))], name)
        given = as_sizes(net, operand)
        if in_order:
            return given
        longer = net.scratch(TensorType(DType.I32, (count + 1,)), f"{name}_and_rest")
        net.add("CONCATENATION", [given, net.integers([rest])], [longer], "ConcatenationOptions", Axis=0,
                FusedActivationFunction=0)  # fmt: skip
        spread = net.scratch(TensorType(DType.I32, (rank,)), name)
        places = net.integers([axes.index(a) if a in axes else count for a in range(rank)], "places")
        net.add("GATHER", [longer, places], [spread], "GatherOptions", Axis=0, BatchDims=0)
        return spread

    bounds = [vector("starts", op.starts, 0), vector("ends", op.ends, 0), vector("steps", op.steps, 1)]
    whole = sum(1 << a for a in range(entries) if a not in axes)
    net.add("STRIDED_SLICE", [x, *bounds], node.results, "StridedSliceOptions", BeginMask=whole, EndMask=whole,
            **masks)  # fmt: skip


def _scattered_bounds(node: Node, op: Slice, net: Net, axes: Value) -> list[int]:
    """Starts, ends and steps of all axes, where running tells which of them are cut."""
    rank, count = node.inputs[0].type.rank, length(axes.type, "axes")
    few, all_of = TensorType(DType.I32, (count,)), TensorType(DType.I32, (rank,))

    def added(name: str, options: str, inputs: list[int], kind: TensorType, **values: int) -> int:
        result = net.scratch(kind, name.lower())
        net.add(name, inputs, [result], options, **values)
        return result

    def spread(numbers: int) -> int:
        return added("SCATTER_ND", "ScatterNdOptions", [column, numbers, net.integers([rank])], all_of)

    given, zero = as_sizes(net, axes), net.constant(np.array(0, np.int32), "zero")
    below = added("LESS", "LessOptions", [given, zero], few.with_dtype(DType.BOOL))
    size = net.constant(np.array(rank, np.int32), "rank")
    moved = added("ADD", "AddOptions", [given, size], few, FusedActivationFunction=0)
    places = added("SELECT_V2", "SelectV2Options", [below, moved, given], few)
    column = net.scratch(TensorType(DType.I32, (count, 1)), "places")
    reshape(net, places, column, (count, 1))
    cut = added("GREATER", "GreaterOptions", [spread(net.integers([1] * count)), zero], all_of.with_dtype(DType.BOOL))
    bounds = []
    for name, known, rest in (("starts", op.starts, 0), ("ends", op.ends, 2**31 - 1), ("steps", op.steps, 1)):
        operand = node.operand(name)
        numbers = np.clip(np.array(known or (1,) * count, object), -(2**31) + 1, 2**31 - 1).tolist()
        own = net.integers(numbers, name) if known is not None or operand is None else as_sizes(net, operand)
        otherwise = net.constant(np.array(rest, np.int32), "rest")
        bounds.append(added("SELECT_V2", "SelectV2Options", [cut, spread(own), otherwise], all_of))
    return bounds


def mode_and_pads(node: Node) -> bool | str:
    """the mode is constant or reflect, and no pad is negative."""
    op = node.op
    assert isinstance(op, Pad)
    if op.mode not in ("constant", "reflect"):
        return f"TFLite has no mode '{op.mode}'"
    if op.pads is None:
        return True
    if min(op.pads, default=0) < 0:
        return "a pad is negative"
    if op.mode == "reflect":
        sizes, rank = node.inputs[0].type.shape, node.inputs[0].type.rank
        for axis in range(rank):
            size, pads = sizes[axis], (op.pads[axis], op.pads[axis + rank])
            if any(pads) and (not isinstance(size, int) or max(pads) >= size):
                return "it reflects more elements than there are"
    return True


@tflite.emits(
    Pad,
    where=(mode_and_pads, some_axis, rank_at_most(5), takes("f32 i8 u8 i16 i32 i64 bool")),
)
def pad(node: Node, net: Net) -> None:
    """PAD with zeros, PADV2 with another number, MIRROR_PAD."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Pad)
    rank, given = x.type.rank, node.operand("pads")
    if op.pads is None and given is not None:
        halves, table = (net.scratch(TensorType(DType.I32, s), "paddings") for s in ((2, rank), (rank, 2)))
        reshape(net, as_sizes(net, given), halves, (2, rank))
        net.add("TRANSPOSE", [halves, net.integers([1, 0], "perm")], [table], "TransposeOptions")
    else:
        assert op.pads is not None
        table = net.constant(np.array(list(zip(op.pads[:rank], op.pads[rank:], strict=True)), np.int32), "paddings")
    if op.mode == "reflect":
        net.add("MIRROR_PAD", [x, table], node.results, "MirrorPadOptions", Mode=0)
    elif op.value == _zero(net, x):
        net.add("PAD", [x, table], node.results, "PadOptions")
    else:
        fill = net.constant(np.array(op.value, x.type.dtype.numpy), "fill")
        net.add("PADV2", [x, table, fill], node.results, "PadV2Options")


def _zero(net: Net, x: Value) -> int:
    """What PAD fills with: the stored number that stands for zero."""
    quantization = net.quantization(x)
    return 0 if quantization is None else quantization.zero_point[0]


@tflite.emits(Expand, where=(rank_at_most(6),))
def expand(node: Node, net: Net) -> None:
    """BROADCAST_TO; where sizes are known only at run time, to what BROADCAST_ARGS makes of both shapes."""
    op, x, y = node.op, node.inputs[0], node.result
    assert isinstance(op, Expand)
    given = node.operand("shape")
    if y.type.is_static:
        shape = net.integers(y.type.static_shape)
    else:
        wanted = as_sizes(net, given) if given is not None else net.integers(op.shape or ())
        shape = wanted
        if x.type.rank:
            own = net.scratch(TensorType(DType.I32, (x.type.rank,)), f"{x.name}_sizes")
            net.add("SHAPE", [x], [own], "ShapeOptions", OutType=cast_types(DType.I32, DType.I32)["OutDataType"])
            shape = net.scratch(TensorType(DType.I32, (y.type.rank,)), f"{y.name}_sizes")
            net.add("BROADCAST_ARGS", [own, wanted], [shape])
    net.add("BROADCAST_TO", [x, shape], [y], "BroadcastToOptions")


@tflite.emits(Tile, where=(some_axis,))
def tile(node: Node, net: Net) -> None:
    """TILE."""
    assert isinstance(node.op, Tile)
    given = node.operand("repeats")
    times = as_sizes(net, given) if given is not None else net.integers(node.op.repeats or (), "multiples")
    net.add("TILE", [node.inputs[0], times], node.results, "TileOptions")


def _sizes(net: Net, x: Value, result: Value | int) -> None:
    net.add("SHAPE", [x], [result], "ShapeOptions", OutType=cast_types(DType.I64, DType.I64)["OutDataType"])


@tflite.emits(Shape)
def shape_of(node: Node, net: Net) -> None:
    """SHAPE."""
    _sizes(net, node.inputs[0], node.result)


@tflite.emits(Size)
def size_of(node: Node, net: Net) -> None:
    """REDUCE_PROD of SHAPE."""
    x = node.inputs[0]
    sizes = net.scratch(TensorType(DType.I64, (x.type.rank,)), f"{x.name}_sizes")
    _sizes(net, x, sizes)
    net.add("REDUCE_PROD", [sizes, net.integers([0], "axes")], node.results, "ReducerOptions", KeepDims=False)
