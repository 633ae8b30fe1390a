"""Reductions over axes, and what runs along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, DType, Value, ops

from ..node import TfNode
from ..registry import tensorflow

REDUCTIONS = {
    "Sum": ops.ReduceSum, "Mean": ops.ReduceMean, "Prod": ops.ReduceProd, "Max": ops.ReduceMax, "Min": ops.ReduceMin,
    "EuclideanNorm": ops.ReduceL2, "Any": ops.ReduceMax, "All": ops.ReduceMin,
}  # fmt: skip


@tensorflow(*REDUCTIONS)
def reduce(n: TfNode, g: Builder) -> Value:
    """Reductions over the axes in operand 1; whether any, or all, are true is a maximum, or minimum, of 0 and 1."""
    x = n[0]
    truth = x.type.dtype is DType.BOOL
    if truth:
        x = n.cast(x, DType.I32)
    op, keep = REDUCTIONS[n.op], n.flag("keep_dims")
    if n.known(1) is None:
        y = g.add(op(None, keep), x, n.wide(1))
    else:
        axes = {n.axis(a) for a in n.integers(1, "axes")} if n.rank else set[int]()
        y = g.add(op(tuple(sorted(axes)), keep), x)
    return n.cast(y, DType.BOOL) if truth else y


@tensorflow("ArgMax", "ArgMin")
def arg_extreme(n: TfNode, g: Builder) -> Value:
    """ArgMax and ArgMin: the first of the greatest, or least."""
    axis = n.axis(n.integer(1, "axis"))
    op = ops.ArgMax(axis, False) if n.op == "ArgMax" else ops.ArgMin(axis, False)
    x = n.cast(n[0], DType.I32) if n[0].type.dtype is DType.BOOL else n[0]
    return n.cast(g.add(op, x), n.dtype("output_type"))


@tensorflow("TopK", "TopKV2", ignores={"sorted": "they come in order in any case"})
def top_k(n: TfNode, g: Builder) -> Sequence[Value]:
    """TopK: the greatest of the last axis, in order, and their places."""
    axis = n.axis(-1)
    if n.op == "TopK":
        values, places = g.add_all(ops.TopK(axis, k=n.whole("k")), n[0])
        return [values, n.cast(places, DType.I32)]
    k = n.wide(1)
    values, places = g.add_all(ops.TopK(axis), n[0], k if k.type.rank else g.add(ops.Unsqueeze((0,)), k))
    return [values, n.cast(places, n.dtype("index_type"))]


@tensorflow("Cumsum", "Cumprod")
def cumulative(n: TfNode, g: Builder) -> Value:
    """Cumsum and Cumprod along the axis in operand 1."""
    axis = n.axis(n.integer(1, "axis"))
    op = ops.CumSum if n.op == "Cumsum" else ops.CumProd
    return g.add(op(axis, n.flag("exclusive"), n.flag("reverse")), n[0])
