"""Reading and writing by index in terms of Gather and ScatterND; what makes indices."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Value
from mconv.ir.op import numel
from mconv.ir.ops import (
    Abs,
    ArgMax,
    ArgMin,
    BitwiseNot,
    Cast,
    Compress,
    Expand,
    EyeLike,
    Gather,
    GatherElements,
    GatherND,
    GreaterOrEqual,
    Hardmax,
    Less,
    LessOrEqual,
    Linear,
    MaxUnpool,
    Mod,
    Mul,
    Neg,
    NonZero,
    OneHot,
    ReduceSum,
    Relu,
    Reshape,
    ScatterElements,
    ScatterND,
    Slice,
    Sub,
    TensorScatter,
    TopK,
    Transpose,
    Trilu,
    Unsqueeze,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

SIZES = "sizes are known only at run time"


def from_the_front(add: Add, indices: Value, size: int) -> Value:
    """i64 indices along an axis of ``size`` elements, none of them negative."""
    if indices.data is not None:
        data = indices.data.astype(np.int64)
        return add.constant(np.where(data < 0, data + size, data))
    wide = indices if indices.type.dtype is DType.I64 else add(Cast(DType.I64), indices)
    zero, whole = add.constant(np.int64(0)), add.constant(np.int64(size))
    return add(Where(), add(Less(), wide, zero), add(AddOp(), wide, whole), wide)


def strides_of(shape: tuple[int, ...]) -> list[int]:
    """Elements between neighbours along each axis of a row-major array."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def flat_places(add: Add, indices: Value, axis: int, shape: tuple[int, ...]) -> Value:
    """Where in a flattened array of ``shape`` the elements stand that ``indices`` name along an axis; i64."""
    steps = strides_of(shape)
    own = indices.type.static_shape
    found = add(Mul(), from_the_front(add, indices, shape[axis]), add.constant(np.int64(steps[axis])))
    base = np.zeros([1] * len(own), np.int64)
    for other, count in enumerate(own):
        if other != axis:
            line = np.arange(count, dtype=np.int64) * steps[other]
            base = base + line.reshape([-1 if a == other else 1 for a in range(len(own))])
    return add(AddOp(), found, add.constant(base))


MOST_ONES = 1 << 24
"""Elements of a matrix that stands for a lookup."""


@decompose(Gather)
def product_for_lookup(m: Match, add: Add) -> Value:
    """Gather of rows of a constant table is a product with ones at the places of the indices."""
    x, indices = m["x"], m["indices"]
    table = m.const("x")
    m.require(m.op(Gather).axis == 0 and x.type.dtype is DType.F32, "it is no table of floats")
    m.require(indices.data is None and indices.type.is_static, SIZES)
    rows, *rest = x.type.static_shape
    m.require(numel(indices.type) * rows <= MOST_ONES, f"{numel(indices.type)} lookups among {rows} rows")
    place = add(Cast(DType.F32), indices)
    zero, whole, one = (add.constant(np.float32(v)) for v in (0, rows, 1))
    place = add(Where(), add(Less(), place, zero), add(AddOp(), place, whole), place)
    apart = add(Sub(), add(Unsqueeze((indices.type.rank,)), place), add.constant(np.arange(rows, dtype=np.float32)))
    ones = add(Relu(), add(Sub(), one, add(Abs(), apart)))
    found = add(Linear(), ones, add.constant(table.reshape(rows, -1).T))
    return found if len(rest) == 1 else add(Reshape((*indices.type.static_shape, *rest)), found)


@decompose(GatherElements)
def gather_of_flat_places(m: Match, add: Add) -> Value:
    """GatherElements is a Gather from x flattened."""
    x, indices, axis = m["x"], m["indices"], m.op(GatherElements).axis
    m.require(add.target is not None and add.target.casts_around, "the target's indices are floats")
    m.require(x.type.is_static and indices.type.is_static, SIZES)
    flat = add(Reshape((-1,)), x)
    return add(Gather(0), flat, flat_places(add, indices, axis, x.type.static_shape))


@decompose(GatherND)
def gather_of_rows(m: Match, add: Add) -> Value:
    """GatherND is a Gather from x with the axes of the index flattened."""
    x, indices, batch = m["x"], m["indices"], m.op(GatherND).batch_dims
    m.require(add.target is not None and add.target.casts_around, "the target's indices are floats")
    m.require(x.type.is_static and indices.type.is_static, SIZES)
    shape, depth = x.type.static_shape, indices.type.static_shape[-1]
    reached = shape[: batch + depth]
    steps = np.array(strides_of(reached), np.int64)
    own = indices.type.static_shape[:-1]
    base = np.zeros([1] * len(own), np.int64)
    for axis in range(batch):
        line = np.arange(own[axis], dtype=np.int64) * steps[axis]
        base = base + line.reshape([-1 if a == axis else 1 for a in range(len(own))])
    m.require(depth > 0, "an index without numbers")
    sizes = np.array(reached[batch:], np.int64)
    if indices.data is not None:
        data = indices.data.astype(np.int64)
        places = add.constant((np.where(data < 0, data + sizes, data) * steps[batch:]).sum(-1) + base)
    else:
        wide = indices if indices.type.dtype is DType.I64 else add(Cast(DType.I64), indices)
        below = add(Less(), wide, add.constant(np.int64(0)))
        positive = add(Where(), below, add(AddOp(), wide, add.constant(sizes)), wide)
        moved = add(Mul(), positive, add.constant(steps[batch:]))
        places = add(AddOp(), add(ReduceSum((len(own),), False), moved), add.constant(base))
    rows = add(Reshape((math.prod(reached), *shape[batch + depth :])), x)
    return add(Gather(0), rows, places)


@decompose(ScatterElements)
def scatter_of_flat_places(m: Match, add: Add) -> Value:
    """ScatterElements is a ScatterND into x flattened."""
    x, indices, updates, op = m["x"], m["indices"], m["updates"], m.op(ScatterElements)
    m.require(add.target is not None and add.target.casts_around, "the target's indices are floats")
    m.require(all(v.type.is_static for v in (x, indices, updates)), SIZES)
    places = flat_places(add, indices, op.axis, x.type.static_shape)
    count = numel(indices.type)
    flat = add(Reshape((numel(x.type),)), x)
    written = add(
        ScatterND(op.reduction), flat, add(Reshape((count, 1)), places), add(Reshape((count,)), updates)
    )  # fmt: skip
    return add(Reshape(x.type.static_shape), written)


@decompose(TensorScatter)
def scatter_for_cache(m: Match, add: Add) -> Value:
    """TensorScatter is ScatterElements along the axis."""
    past, update, op = m["past"], m["update"], m.op(TensorScatter)
    m.require(past.type.is_static and update.type.is_static, SIZES)
    shape, axis = update.type.static_shape, op.axis
    line = np.arange(shape[axis], dtype=np.int64).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    begins = m.get("write_indices")
    places = add.constant(line)
    if begins is not None:
        column = add(Reshape((shape[0], *(1,) * (len(shape) - 1))), add(Cast(DType.I64), begins))
        places = add(AddOp(), column, places)
    if op.mode == "circular":
        places = add(Mod(False), places, add.constant(np.int64(past.type.static_shape[axis])))
    return add(ScatterElements(axis, "none"), past, add(Expand(shape), places), update)


@decompose(MaxUnpool)
def scatter_for_unpool(m: Match, add: Add) -> Value:
    """MaxUnpool is a ScatterND into zeros, and a Pad where a larger result is asked for."""
    from mconv.ir.ops import Pad
    from mconv.ir.ops.window import spread

    x, indices, op = m["x"], m["indices"], m.op(MaxUnpool)
    m.require(x.type.is_static and m.root.result.type.is_static, SIZES)
    shape, count = x.type.static_shape, numel(x.type)
    axes = len(shape) - 2
    sizes = spread(shape[2:], op.kernel, op.strides, op.pads, (1,) * axes, (0,) * axes)
    natural = (*shape[:2], *(int(str(s)) for s in sizes))
    zeros = add.constant(np.zeros(math.prod(natural), x.type.dtype.numpy))
    flat = add(ScatterND("none"), zeros, add(Reshape((count, 1)), indices), add(Reshape((count,)), x))
    value = add(Reshape(natural), flat)
    ends = [w - n for w, n in zip(m.root.result.type.static_shape, natural, strict=True)]
    return value if not any(ends) else add(Pad("constant", (*(0 for _ in ends), *ends)), value)


@decompose(Compress)
def gather_of_places_that_hold(m: Match, add: Add) -> Value:
    """Compress is a Gather of the indices that NonZero finds in the condition."""
    x, axis = m["x"], m.op(Compress).axis
    if axis is None:
        x, axis = add(Reshape((-1,)), x), 0
    return add(Gather(axis), x, add(Reshape((-1,)), add(NonZero(), m["condition"])))


@decompose(Hardmax)
def one_hot_for_hardmax(m: Match, add: Add) -> Value:
    """Hardmax is OneHot of ArgMax."""
    x, axis = m["x"], m.op(Hardmax).axis
    depth = x.type.shape[axis]
    m.require(isinstance(depth, int), SIZES)
    values = add.constant(np.array([0, 1], x.type.dtype.numpy))
    return add(OneHot(axis, int(str(depth))), add(ArgMax(axis, False), x), None, values)


@decompose(ArgMax, ArgMin)
def last_of_equals_backwards(m: Match, add: Add) -> Value:
    """The last of equal extremes is the first of x reversed."""
    x = m["x"]
    op = m.root.op
    assert isinstance(op, ArgMax | ArgMin)
    size = x.type.shape[op.axis]
    m.require(op.select_last, "the first of equals is asked for")
    m.require(isinstance(size, int), SIZES)
    turned = add(Slice((-1,), (-(2**31),), (op.axis,), (-1,)), x)
    found = add(op.replace(select_last=False), turned)
    return add(Sub(), add.constant(np.int64(int(str(size)) - 1)), found)


@decompose(TopK)
def top_of_turned(m: Match, add: Add) -> tuple[Value, ...]:
    """TopK along another axis is TopK along the last one, between Transposes."""
    x, op = m["x"], m.op(TopK)
    last = x.type.rank - 1
    m.require(op.axis != last, "it goes along the last axis")
    perm = list(range(x.type.rank))
    perm[op.axis], perm[last] = last, op.axis
    turn = Transpose(tuple(perm))
    values, places = add.all(op.replace(axis=last), add(turn, x), *m.root.operands[1:])
    return add(turn, values), add(turn, places)


@decompose(TopK)
def least_by_turning_over(m: Match, add: Add) -> tuple[Value, ...]:
    """The k least elements are the k greatest of -x (of integers of -1 - x, which has no overflow)."""
    x, op = m["x"], m.op(TopK)
    m.require(not op.largest, "the greatest are asked for")
    over = Neg() if x.type.dtype.is_float else BitwiseNot()
    values, places = add.all(op.replace(largest=True), add(over, x), *m.root.operands[1:])
    return add(over, values), places


@decompose(EyeLike)
def known_diagonal(m: Match, add: Add) -> Value:
    """EyeLike of known sizes is a constant."""
    m.require(m["x"].type.is_static, SIZES)
    return add.constant(m.op(EyeLike).evaluate(np.empty(m["x"].type.static_shape, np.bool_)))


@decompose(Trilu)
def where_for_trilu(m: Match, add: Add) -> Value:
    """Trilu chooses x on one side of a diagonal, and zero on the other."""
    x, op = m["x"], m.op(Trilu)
    m.require(add.target is not None and add.target.casts_around, "the target has no Where on all types")
    m.require(all(isinstance(d, int) for d in x.type.shape[-2:]), SIZES)
    rows, columns = (int(str(d)) for d in x.type.shape[-2:])
    distance = np.arange(columns, dtype=np.int64)[None, :] - np.arange(rows, dtype=np.int64)[:, None]
    if op.k is not None:
        kept = add.constant(distance >= op.k if op.upper else distance <= op.k)
    else:
        bound = add(Reshape((1, 1)), m["k"])
        kept = add(GreaterOrEqual() if op.upper else LessOrEqual(), add.constant(distance), bound)
    return add(Where(), kept, x, add.constant(np.zeros((), x.type.dtype.numpy)))
