"""Reading and writing by index. TFLite's kernels take no negative indices, so these are made positive before."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, TensorType, Value, ops
from mconv.ir.types import Array, Dim

from ..backend import tflite
from ..net import Net
from .conditions import broadcasts, rank_at_most, static, takes
from .shape import cast, cast_types, reshape

NEVER_NEGATIVE = (ops.ArgMax, ops.ArgMin, ops.NonZero, ops.TopK, ops.Shape, ops.Size)


def axis_known(node: Node) -> bool | str:
    """the size of the axis is known, or no index can be negative."""
    indices = node.inputs[1]
    axis: int = node.op.axis  # type: ignore[attr-defined]
    if isinstance(node.inputs[0].type.shape[axis], int) or not _may_be_negative(indices):
        return True
    return f"the size of axis {axis} is known only at run time, and an index may count from its end"


def _may_be_negative(indices: Value) -> bool:
    if indices.data is not None:
        return bool((indices.data < 0).any())
    if indices.type.dtype in (DType.U8, DType.U16, DType.U32):
        return False
    return indices.producer is None or not isinstance(indices.producer.op, NEVER_NEGATIVE)


def from_the_front(net: Net, indices: Value, sizes: tuple[Dim, ...]) -> Value | int:
    """Indices that count from the front, along axes of these sizes (one a number of the last axis, or one for all)."""
    if not _may_be_negative(indices):
        return indices
    dtype = indices.type.dtype.numpy
    whole = np.array(sizes if len(sizes) > 1 else sizes[0], dtype)
    if indices.data is not None:
        return net.constant(np.where(indices.data < 0, indices.data + whole, indices.data).astype(dtype), "indices")
    below = net.scratch(indices.type.with_dtype(DType.BOOL), f"{indices.name}_below")
    moved = net.scratch(indices, f"{indices.name}_moved")
    result = net.scratch(indices, f"{indices.name}_from_front")
    net.add("LESS", [indices, net.constant(np.array(0, dtype), "zero")], [below], "LessOptions")
    net.add("ADD", [indices, net.constant(whole, "sizes")], [moved], "AddOptions", FusedActivationFunction=0)
    net.add("SELECT_V2", [below, moved, indices], [result], "SelectV2Options")
    return result


@tflite.emits(
    ops.Gather,
    where=(takes("f32 f16 i8 u8 i16 i32 i64 bool"), takes("i32 i64", at=1), axis_known, rank_at_most(8)),
)
def gather(node: Node, net: Net) -> None:
    """GATHER."""
    op, x, indices = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, ops.Gather)
    given = from_the_front(net, indices, (x.type.shape[op.axis],))
    net.add("GATHER", [x, given], node.results, "GatherOptions", Axis=op.axis, BatchDims=0)


def no_batch(node: Node) -> bool | str:
    """there is no common batch axis, and the sizes that are indexed are known."""
    op, x, indices = node.op, node.inputs[0].type, node.inputs[1].type
    assert isinstance(op, ops.GatherND)
    if op.batch_dims:
        return "GATHER_ND has no batch axes"
    depth = int(str(indices.shape[-1]))
    return depth > 0 and all(isinstance(d, int) for d in x.shape[:depth])


@tflite.emits(
    ops.GatherND,
    where=(takes("f32 f16 i8 u8 i16 i32 i64 bool"), takes("i32 i64", at=1), no_batch, rank_at_most(8)),
)
def gather_nd(node: Node, net: Net) -> None:
    """GATHER_ND."""
    x, indices = node.inputs
    given = from_the_front(net, indices, x.type.shape[: int(str(indices.type.shape[-1]))])
    net.add("GATHER_ND", [x, given], node.results, "GatherNdOptions")


REDUCTIONS = {
    "add": "STABLEHLO_ADD", "mul": "STABLEHLO_MULTIPLY", "max": "STABLEHLO_MAXIMUM", "min": "STABLEHLO_MINIMUM",
}  # fmt: skip


def indexes_rows(node: Node) -> bool | str:
    """there are no empty tensors."""
    depth = node.inputs[1].type.static_shape[-1]
    empty = any(value.type.numel == 0 for value in node.inputs)
    return not empty and depth > 0


@tflite.emits(
    ops.ScatterND,
    where=(takes("f32 f16 i8 i32 i64 bool"), takes("i32 i64", at=1), static, indexes_rows, rank_at_most(6)),
)
def scatter_nd(node: Node, net: Net) -> None:
    """STABLEHLO_SCATTER of single elements into x flattened, in a subgraph how two of them are combined."""
    op, (x, indices, updates) = node.op, node.inputs
    assert isinstance(op, ops.ScatterND)
    shape, depth = x.type.static_shape, indices.type.static_shape[-1]
    kept = int(np.prod(shape[depth:]))
    size, dtype = int(np.prod(shape)), indices.type.dtype
    rows = int(np.prod(indices.type.static_shape[:-1]))
    given = from_the_front(net, indices, shape[:depth])

    def step(name: str, a: Value | int, b: Array, made: tuple[int, ...], stem: str) -> int:
        result = net.scratch(TensorType(dtype, made), stem)
        options = {"MUL": "MulOptions", "ADD": "AddOptions"}[name]
        net.add(name, [a, net.constant(b, stem)], [result], options, FusedActivationFunction=0)
        return result

    table = net.scratch(TensorType(dtype, (rows, depth)), "indices")
    reshape(net, given, table, (rows, depth))
    steps = np.array([int(np.prod(shape[a + 1 :])) for a in range(depth)], dtype.numpy)
    moved = step("MUL", table, steps, (rows, depth), "scaled")
    starts = net.scratch(TensorType(dtype, (rows, 1)), "starts")
    net.add("SUM", [moved, net.integers([1], "axes")], [starts], "ReducerOptions", KeepDims=True)
    places = step("ADD", starts, np.arange(kept, dtype=dtype.numpy)[None, :], (rows, kept), "places")
    column = net.scratch(TensorType(dtype, (rows * kept, 1)), "column")
    reshape(net, places, column, (rows * kept, 1))
    flat = [net.scratch(TensorType(x.type.dtype, (n,)), stem) for n, stem in ((size, "flat"), (rows * kept, "new"))]
    reshape(net, x, flat[0], (size,))
    reshape(net, updates, flat[1], (rows * kept,))
    written = net.scratch(TensorType(x.type.dtype, (size,)), f"{node.result.name}_flat")
    net.add(
        "STABLEHLO_SCATTER",
        [flat[0], column, flat[1]],
        [written],
        "StablehloScatterOptions",
        IndicesAreSorted=False,
        UpdateWindowDims=(),
        InsertedWindowDims=(0,),
        ScatterDimsToOperandDims=(0,),
        IndexVectorDim=1,
        UniqueIndices=False,
        UpdateComputationSubgraphIndex=net.combination(REDUCTIONS.get(op.reduction), x.type.dtype),
    )
    reshape(net, written, node.result, shape)


@tflite.emits(
    ops.OneHot,
    where=(takes("f32 i32 i64 u8 i8 i16 u16 u32"), takes("f32 i8 u8 i32 i64 bool", at=2)),
)
def one_hot(node: Node, net: Net) -> None:
    """ONE_HOT, whose two values are scalars."""
    op, indices, values = node.op, node.inputs[0], node.inputs[-1]
    assert isinstance(op, ops.OneHot)
    given = node.operand("depth")
    scalars = []
    for place in range(2):
        if values.data is not None:
            scalars.append(net.constant(np.array(values.data[place]), "value"))
            continue
        scalar = net.scratch(TensorType(values.type.dtype, ()), f"{values.name}_{place}")
        at = net.constant(np.array(place, np.int32), "place")
        net.add("GATHER", [values, at], [scalar], "GatherOptions", Axis=0, BatchDims=0)
        scalars.append(scalar)
    off, on = scalars
    whole = cast(net, indices, DType.I64)
    below = net.scratch(indices.type.with_dtype(DType.BOOL), "below")
    moved, places = (net.scratch(indices.type.with_dtype(DType.I64), stem) for stem in ("moved", "places"))
    net.add("LESS", [whole, net.constant(np.array(0, np.int64), "zero")], [below], "LessOptions")
    if op.depth is None and given is not None:
        depth, count = (net.scratch(TensorType(kind, ()), "depth") for kind in (DType.I64, DType.I32))
        reshape(net, cast(net, given, DType.I64), depth, ())
        reshape(net, cast(net, given, DType.I32), count, ())
    else:
        depth = net.constant(np.array(op.depth, np.int64), "depth")
        count = net.constant(np.array(op.depth, np.int32), "depth")
    net.add("ADD", [whole, depth], [moved], "AddOptions", FusedActivationFunction=0)
    net.add("SELECT_V2", [below, moved, whole], [places], "SelectV2Options")
    net.add("ONE_HOT", [places, count, on, off], node.results, "OneHotOptions", Axis=op.axis)


def some_axes(node: Node) -> bool:
    """x is no scalar."""
    return node.inputs[0].type.rank > 0


@tflite.emits(ops.NonZero, where=(takes("f32 i8 u8 i32 u32 i64 bool"), some_axes))
def non_zero(node: Node, net: Net) -> None:
    """WHERE, and a TRANSPOSE of what it finds."""
    found = net.scratch(TensorType(DType.I64, tuple(reversed(node.result.type.shape))), f"{node.result.name}_rows")
    net.add("WHERE", node.inputs, [found], "WhereOptions")
    net.add("TRANSPOSE", [found, net.integers([1, 0], "perm")], node.results, "TransposeOptions")


def along_last_axis(node: Node) -> bool | str:
    """the greatest along the last axis are asked for."""
    op = node.op
    assert isinstance(op, ops.TopK)
    return op.largest and op.axis == node.inputs[0].type.rank - 1


@tflite.emits(ops.TopK, where=(along_last_axis, takes("f32 i8 u8 i16 i32 i64")))
def top_k(node: Node, net: Net) -> None:
    """TOPK_V2, its indices as i64."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, ops.TopK)
    known = op.k is not None
    k = net.constant(np.array(op.k, np.int32), "k") if known else cast(net, node.inputs[1], DType.I32)
    values, places = node.results
    narrow = net.scratch(places.type.with_dtype(DType.I32), f"{places.name}_i32")
    net.add("TOPK_V2", [x, k], [values, narrow], "TopKV2Options")
    net.add("CAST", [narrow], [places], "CastOptions", **cast_types(DType.I32, DType.I64))


@tflite.emits(ops.ReverseSequence, where=(takes("f32 u8 i16 i32 i64"), takes("i32 i64", at=1)))
def reverse_sequence(node: Node, net: Net) -> None:
    """REVERSE_SEQUENCE."""
    op = node.op
    assert isinstance(op, ops.ReverseSequence)
    net.add("REVERSE_SEQUENCE", node.inputs, node.results, "ReverseSequenceOptions", SeqDim=op.time_axis,
            BatchDim=op.batch_axis)  # fmt: skip


@tflite.emits(ops.Where, where=(broadcasts,))
def where(node: Node, net: Net) -> None:
    """SELECT_V2."""
    net.add("SELECT_V2", node.inputs, node.results, "SelectV2Options")
