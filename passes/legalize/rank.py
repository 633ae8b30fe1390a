"""Tensors of more axes than the target holds: neighbouring axes that stay together are merged by Reshape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from mconv.ir import TensorType, Value
from mconv.ir.op import OPERATORS
from mconv.ir.ops import (
    Attention,
    Concat,
    Expand,
    LogSoftmax,
    MatMul,
    ReduceL1,
    ReduceL2,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reshape,
    Slice,
    Softmax,
    Split,
    Transpose,
)

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


def _static(m: Match) -> tuple[int, ...]:
    values = (*m.root.inputs, *m.root.results)
    m.require(all(v.type.is_static for v in values), "sizes are known only at run time")
    m.require(all(v.type.numel for v in values), "an empty tensor")
    return m.root.inputs[0].type.static_shape


def _back(m: Match, add: Add, value: Value, index: int = 0) -> Value:
    return add(reshape_to(value.type, m.root.results[index].type.shape), value)


@decompose(Transpose)
def merge_axes_that_move_together(m: Match, add: Add) -> Value:
    """Transpose(x) is a Transpose of fewer axes: units left out, axes that stay neighbours merged."""
    shape, perm = _static(m), m.op(Transpose).perm
    moved = [axis for axis in perm if shape[axis] != 1]
    runs: list[list[int]] = []
    kept = sorted(moved)
    following = dict(pairwise(kept))
    for axis in moved:
        if runs and following.get(runs[-1][-1]) == axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    m.require(len(runs) < len(shape), "every axis moves on its own")
    order = sorted(range(len(runs)), key=lambda i: runs[i][0])
    merged = add(Reshape(tuple(prod(shape[a] for a in runs[i]) for i in order)), m["x"])
    turned = add(Transpose(tuple(order.index(i) for i in range(len(runs)))), merged)
    return _back(m, add, turned)


@decompose(Transpose)
def transpose_in_two(m: Match, add: Add) -> Value:
    """A Transpose of many axes is two: one axis is moved to its place at the end, then the others are ordered."""
    shape, perm = _static(m), m.op(Transpose).perm
    m.require(len(shape) > 4, "few axes")
    place = max(i for i, axis in enumerate(perm) if i != axis)
    rest = [axis for axis in range(len(shape)) if axis != perm[place]]
    first = (*rest[:place], perm[place], *rest[place:])  # moving one axis merges to three groups at most
    m.require(first != perm, "one axis moves")
    halfway = add(Transpose(first), m["x"])
    return add(Transpose(tuple(first.index(a) for a in perm)), halfway)


def _merged(shape: Sequence[int], axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """The shape with axes outside ``axes`` merged into runs, and the places of ``axes`` in it."""
    result: list[int] = []
    places: list[int] = []
    open_run = False
    for axis, dim in enumerate(shape):
        if axis in axes:
            places.append(len(result))
            result.append(dim)
            open_run = False
        elif open_run:
            result[-1] *= dim
        else:
            result.append(dim)
            open_run = True
    return result, places


@decompose(Softmax, LogSoftmax, Concat, Split)
def merge_axes_beside_one(m: Match, add: Add) -> tuple[Value, ...]:
    """An operator along one axis acts on [before, axis, after]."""
    _static(m)
    axis: int = m.root.op.axis  # type: ignore[attr-defined]
    m.require(all(v.type.rank > 3 for v in m.root.inputs), "few axes")
    operands = []
    for value in m.root.inputs:
        shape = value.type.static_shape
        operands.append(add(Reshape((prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]))), value))
    results = add.all(m.root.op.replace(axis=1), *operands)
    return tuple(_back(m, add, value, index) for index, value in enumerate(results))


@decompose(Slice)
def merge_axes_beside_slice(m: Match, add: Add) -> Value:
    """A Slice acts on x with the uncut axes merged."""
    shape, op = _static(m), m.op(Slice)
    m.require(op.axes is not None and op.starts is not None, "bounds are known only at run time")
    merged, places = _merged(shape, sorted(op.axes or ()))
    m.require(len(merged) < len(shape), "no two uncut axes are neighbours")
    axes = tuple(places[sorted(op.axes or ()).index(a)] for a in op.axes or ())
    return _back(m, add, add(op.replace(axes=axes), add(Reshape(tuple(merged)), m["x"])))


@decompose(ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2)
def merge_axes_of_reduction(m: Match, add: Add) -> Value:
    """A reduction acts on x with the neighbours among the kept, and among the reduced axes, merged."""
    shape = _static(m)
    axes: tuple[int, ...] | None = m.root.op.axes  # type: ignore[attr-defined]
    m.require(axes, "the axes are known only at run time, or there are none")
    runs: list[tuple[bool, int]] = []
    for axis, dim in enumerate(shape):
        reduced = axis in (axes or ())
        if runs and runs[-1][0] == reduced:
            runs[-1] = (reduced, runs[-1][1] * dim)
        else:
            runs.append((reduced, dim))
    m.require(len(runs) < len(shape), "no two neighbours are both reduced or both kept")
    merged = add(Reshape(tuple(dim for _, dim in runs)), m["x"])
    op = m.root.op.replace(axes=tuple(i for i, (reduced, _) in enumerate(runs) if reduced), keepdims=True)
    return _back(m, add, add(op, merged))


@decompose(MatMul)
def merge_batches_of_matmul(m: Match, add: Add) -> Value:
    """MatMul of many equal batch axes has one batch axis."""
    a, b = m["a"].type, m["b"].type
    _static(m)
    m.require(a.rank == b.rank > 3 and a.shape[:-2] == b.shape[:-2] and b.is_static, "batches differ, or few axes")
    batch = prod(a.static_shape[:-2])
    left = add(Reshape((batch, *a.static_shape[-2:])), m["a"])
    right = add(Reshape((batch, *b.static_shape[-2:])), m["b"])
    return _back(m, add, add(MatMul(), left, right))


@decompose(Attention)
def merge_batches_of_attention(m: Match, add: Add) -> Value:
    """Attention of a batch is Attention of one sample with batch times heads; the mask is repeated to match."""
    _static(m)
    q = m["q"].type.static_shape
    operands = [m[name] for name in "qkv"]
    m.require(q[0] > 1 and all(v.type.shape[:2] == q[:2] for v in operands), "one sample, or heads share keys")
    mask = m.get("mask")
    if mask is not None:
        m.require(mask.type.is_static and mask.type.rank == 4, "the mask has few axes")
        full = (*q[:2], *mask.type.static_shape[2:])
        if mask.type.static_shape != full:
            mask = add(Expand(full), mask)
        mask = add(Reshape((1, q[0] * q[1], *full[2:])), mask)
    flat = [add(Reshape((1, q[0] * q[1], *v.type.static_shape[2:])), v) for v in operands]
    return _back(m, add, add(m.root.op, *flat, mask))


def _broadcast_runs(types: Sequence[TensorType], rank: int) -> list[list[int]]:
    """Axes in runs: neighbours on which the same operands are broadcast."""
    shapes = [(1,) * (rank - t.rank) + t.static_shape for t in types]
    runs: list[list[int]] = []
    last: tuple[bool, ...] | None = None
    for axis in range(rank):
        dims = [s[axis] for s in shapes]
        kind = last if all(d == 1 for d in dims) else tuple(d == 1 for d in dims)  # ones belong anywhere
        if runs and (kind == last or last is None):
            runs[-1].append(axis)
        else:
            runs.append([axis])
        last = kind
    return runs


@decompose(*(op for op in OPERATORS.values() if op.elementwise))
def merge_axes_of_elementwise(m: Match, add: Add) -> Value:
    """An elementwise operator acts on operands with the axes merged along which they broadcast alike."""
    _static(m)
    types = [v.type for v in m.root.inputs]
    rank = m.root.result.type.rank
    runs = _broadcast_runs(types, rank)
    m.require(len(runs) < rank and rank > 3, "no neighbours broadcast alike, or few axes")
    operands: list[Value | None] = []
    for value in m.root.operands:
        if value is None:
            operands.append(None)
            continue
        shape = (1,) * (rank - value.type.rank) + value.type.static_shape
        merged = tuple(prod(shape[a] for a in run) for run in runs)
        operands.append(value if value.type.rank == 0 else add(Reshape(merged), value))
    return _back(m, add, add(m.root.op, *operands))
