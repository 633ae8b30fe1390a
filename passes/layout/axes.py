"""Orders of axes, and how they pass through operators that rename, merge or drop axes.

An order of a value's axes is a permutation P: stored in that order, the value is ``value.transpose(P)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mconv.ir import Dim, Node, Value
from mconv.ir.ops import ArgMax, ArgMin, Reshape, Transpose
from mconv.ir.ops import reduction as reductions

Order = tuple[int, ...]

DROPPING = (
    ArgMax, ArgMin, reductions.ReduceSum, reductions.ReduceMean, reductions.ReduceMax, reductions.ReduceMin,
    reductions.ReduceProd, reductions.ReduceL1, reductions.ReduceL2, reductions.ReduceLogSum,
    reductions.ReduceLogSumExp, reductions.ReduceSumSquare,
)  # fmt: skip
"""Operators that drop axes where they do not keep them with size one."""


def identity(rank: int) -> Order:
    """The order as written."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """[N, C, *S] stored as [N, *S, C]."""
    return (0, *range(2, rank), 1)


def same(a: Order, b: Order, shape: Sequence[Dim]) -> bool:
    """True where both orders store the same bytes: they differ only in where axes of size one stand."""
    return a == b or [i for i in a if shape[i] != 1] == [i for i in b if shape[i] != 1]


def between(a: Order, b: Order) -> Order:
    """The perm of the Transpose that turns a value stored in order ``a`` into order ``b``."""
    return tuple(a.index(axis) for axis in b)


def reduced(node: Node) -> tuple[int, ...] | None:
    """The axes that the node drops from its first operand; None where it drops none (or it is not known which)."""
    op: Any = node.op
    if not isinstance(op, DROPPING) or op.keepdims:
        return None
    axes = (op.axis,) if isinstance(op, ArgMax | ArgMin) else op.axes
    return None if axes is None or len(node.inputs) > 1 else tuple(axes)


def renames(node: Node) -> bool:
    """True for operators whose result has other axes than the first operand, in a way that orders pass through."""
    if isinstance(node.op, Transpose | Reshape):
        return len(node.inputs) == 1
    return reduced(node) is not None


def down(node: Node, order: Order) -> Order | None:
    """The order of the result when the first operand is stored in ``order``; None where there is none."""
    x = node.inputs[0].type.shape
    if isinstance(node.op, Transpose):
        return between(node.op.perm, order)
    if isinstance(node.op, Reshape):
        return _regrouped(x, node.result.type.shape, order)
    dropped = reduced(node)
    if dropped is None:
        return None
    kept = [axis for axis in range(len(x)) if axis not in dropped]
    return tuple(kept.index(axis) for axis in order if axis in kept)


def up(node: Node, order: Order) -> Order | None:
    """The order of the first operand when the result is stored in ``order``; None where there is none, or several."""
    if isinstance(node.op, Transpose):
        return tuple(node.op.perm[axis] for axis in order)
    if isinstance(node.op, Reshape):
        return _regrouped(node.result.type.shape, node.inputs[0].type.shape, order)
    return None


def _regrouped(x: Sequence[Dim], y: Sequence[Dim], order: Order) -> Order | None:
    """The order of y's axes that a Reshape of x, stored in ``order``, gives without moving an element."""
    groups = _groups(x, y)
    if groups is None:
        return None
    places = {axis: place for place, axis in enumerate(a for a in order if x[a] != 1)}
    starts: list[tuple[int, tuple[int, ...]]] = []
    loose: list[tuple[int, ...]] = []
    for left, right in groups:
        long = [places[axis] for axis in left if axis in places]
        if long != list(range(long[0], long[0] + len(long))) if long else False:
            return None
        if long:
            starts.append((long[0], right))
        else:
            loose.append(right)
    made = [axis for _, right in sorted(starts) for axis in right]
    for right in loose:  # axes of size one stand where they were written: after the axis before them
        for axis in right:
            made.insert(made.index(axis - 1) + 1 if axis - 1 in made else 0, axis)
    return tuple(made)


def _groups(x: Sequence[Dim], y: Sequence[Dim]) -> list[tuple[tuple[int, ...], tuple[int, ...]]] | None:
    """The shortest runs of x's and y's axes that hold the same elements. Axes of size one beside none stand alone."""
    groups: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    i = j = 0
    while i < len(x) or j < len(y):
        if i < len(x) and j < len(y) and x[i] == y[j]:
            groups.append(((i,), (j,)))
            i, j = i + 1, j + 1
        elif j < len(y) and y[j] == 1:
            groups.append(((), (j,)))
            j += 1
        elif i < len(x) and x[i] == 1:
            groups.append(((i,), ()))
            i += 1
        else:
            found = _run(x, y, i, j)
            if found is None:
                return None
            groups.append((tuple(range(i, found[0])), tuple(range(j, found[1]))))
            i, j = found
    return groups


def _run(x: Sequence[Dim], y: Sequence[Dim], i: int, j: int) -> tuple[int, int] | None:
    """Where the runs that begin at i and j have the same number of elements; None where none do."""
    if i >= len(x) or j >= len(y):
        return None
    left, right, i, j = x[i], y[j], i + 1, j + 1
    while left != right:
        if not isinstance(left, int) or not isinstance(right, int) or not left or not right:
            return None
        if left < right and i < len(x):
            left, i = left * x[i], i + 1
        elif right < left and j < len(y):
            right, j = right * y[j], j + 1
        else:
            return None
    return i, j


def value_bytes(value: Value) -> int:
    """Bytes of a value, a size that only running tells counted as one."""
    count = 1
    for dim in value.type.shape:
        count *= dim if isinstance(dim, int) else 1
    return count * value.type.dtype.size
