"""Reductions over axes, and what runs along one axis."""

from __future__ import annotations

from mconv.ir import Builder, DType, Value, ops

from ..node import TfliteNode
from ..registry import tflite
from .movement import as_type

REDUCTIONS = {
    "SUM": ops.ReduceSum, "MEAN": ops.ReduceMean, "REDUCE_PROD": ops.ReduceProd, "REDUCE_MAX": ops.ReduceMax,
    "REDUCE_MIN": ops.ReduceMin, "REDUCE_ANY": ops.ReduceMax, "REDUCE_ALL": ops.ReduceMin,
}  # fmt: skip


@tflite(*REDUCTIONS, options="ReducerOptions")
def reduce(n: TfliteNode, g: Builder) -> Value:
    """Reductions over the axes in operand 1; whether any, or all, are true is a maximum, or minimum, of 0 and 1."""
    x = n.real(0)
    truth = x.type.dtype is DType.BOOL
    if truth:
        x = n.scope.cast(x, DType.I32)
    op = REDUCTIONS[n.name]
    keep = bool(n.option("KeepDims"))
    if n.known(1) is None:
        y = g.add(op(None, keep), x, n.wide(1))
    else:
        axes = {n.axis(a) for a in n.integers(1, "axes")} if n.rank else set[int]()
        y = g.add(op(tuple(sorted(axes)), keep), x)
    return n.scope.cast(y, DType.BOOL) if truth else y


@tflite("ARG_MAX", options="ArgMaxOptions", ignores={"OutputType": "the result's tensor tells it"})
def arg_max(n: TfliteNode, g: Builder) -> Value:
    """ARG_MAX: the first of the greatest."""
    return as_type(n, g.add(ops.ArgMax(n.axis(n.integer(1, "axis")), False), n.real(0)))


@tflite("ARG_MIN", options="ArgMinOptions", ignores={"OutputType": "the result's tensor tells it"})
def arg_min(n: TfliteNode, g: Builder) -> Value:
    """ARG_MIN: the first of the least."""
    return as_type(n, g.add(ops.ArgMin(n.axis(n.integer(1, "axis")), False), n.real(0)))


@tflite("TOPK_V2", options="TopKV2Options")
def top_k(n: TfliteNode, g: Builder) -> list[Value]:
    """TOPK_V2: the greatest of the last axis, in order, and their places."""
    k = n.wide(1)
    values, places = g.add_all(ops.TopK(n.axis(-1)), n.real(0), k if k.type.rank else g.add(ops.Unsqueeze((0,)), k))
    return [values, n.scope.cast(places, DType.I16 if n.out(1).type == "INT16" else DType.I32)]


@tflite("CUMSUM", options="CumsumOptions")
def cumsum(n: TfliteNode, g: Builder) -> Value:
    """CUMSUM along the axis in operand 1."""
    axis = n.axis(n.integer(1, "axis"))
    return g.add(ops.CumSum(axis, bool(n.option("Exclusive")), bool(n.option("Reverse"))), n.real(0))
