"""Reductions in terms of simpler ones; softmaxes; running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import (
    Abs,
    CumSum,
    Div,
    Exp,
    Log,
    LogSoftmax,
    MatMul,
    Mul,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    Reshape,
    Softmax,
    Sqrt,
    Square,
    Sub,
    Transpose,
)
from mconv.ir.ops import Add as AddOp

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

KINDS = (
    ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp,
    ReduceSumSquare,
)  # fmt: skip


UNKNOWN_AXES = "the axes are known only at run time"


def _reduced(m: Match, add: Add, kind: Any, x: Value, keepdims: bool | None = None) -> Value:
    """``kind`` of x over the axes of the node, known or not."""
    op: Any = m.root.op
    axes = m.get("axes")
    operands = (x,) if axes is None else (x, axes)
    return add(kind(op.axes, op.keepdims if keepdims is None else keepdims), *operands)


@decompose(ReduceL1)
def l1_from_sum(m: Match, add: Add) -> Value:
    """ReduceL1(x) is the sum of |x|."""
    return _reduced(m, add, ReduceSum, add(Abs(), m["x"]))


@decompose(ReduceL2)
def l2_from_sum_of_squares(m: Match, add: Add) -> Value:
    """ReduceL2(x) is the root of the sum of squares."""
    m.require(m["x"].type.dtype.is_float, "not of floating point")
    return add(Sqrt(), _reduced(m, add, ReduceSum, add(Square(), m["x"])))


@decompose(ReduceSumSquare)
def sum_of_squares_from_sum(m: Match, add: Add) -> Value:
    """ReduceSumSquare(x) is the sum of squares."""
    return _reduced(m, add, ReduceSum, add(Square(), m["x"]))


@decompose(ReduceLogSum)
def log_sum_from_sum(m: Match, add: Add) -> Value:
    """ReduceLogSum(x) is the logarithm of the sum."""
    return add(Log(), _reduced(m, add, ReduceSum, m["x"]))


@decompose(ReduceLogSumExp)
def log_sum_exp_from_max(m: Match, add: Add) -> Value:
    """ReduceLogSumExp(x) is max + log(sum(exp(x - max)))."""
    x, op = m["x"], m.op(ReduceLogSumExp)
    m.require(op.axes is None or op.axes, "there are no axes")
    top = _reduced(m, add, ReduceMax, x, True)
    logs = add(Log(), _reduced(m, add, ReduceSum, add(Exp(), add(Sub(), x, top)), True))
    result = add(AddOp(), logs, top)
    if op.keepdims:
        return result
    if op.axes is None:
        return _reduced(m, add, ReduceMax, result)
    return add(reshape_to(result.type, m.root.result.type.shape), result)


@decompose(ReduceMean)
def mean_from_sum(m: Match, add: Add) -> Value:
    """ReduceMean(x) is the sum divided by the number of elements."""
    x, op = m["x"], m.op(ReduceMean)
    m.require(op.axes is not None, UNKNOWN_AXES)
    count = int(np.prod([d if isinstance(d := x.type.shape[a], int) else 0 for a in op.axes or ()]))
    m.require(count > 0, "the number of elements is known only at run time, or zero")
    return add(Mul(), add(ReduceSum(op.axes, op.keepdims), x), add.constant(1 / count, like=x))


@decompose(*KINDS)
def reduce_without_keeping(m: Match, add: Add) -> Value:
    """A reduction that drops its axes is one that keeps them, and a Reshape."""
    op = m.root.op
    m.require(not op.keepdims and op.axes, "it keeps its axes")  # type: ignore[attr-defined]
    kept = add(op.replace(keepdims=True), m["x"])
    return add(reshape_to(kept.type, m.root.result.type.shape), kept)


@decompose(LogSoftmax)
def log_softmax_from_log(m: Match, add: Add) -> Value:
    """LogSoftmax(x) is x - max - log(sum(exp(x - max)))."""
    x, axis = m["x"], m.op(LogSoftmax).axis
    shifted = add(Sub(), x, add(ReduceMax((axis,), True), x))
    return add(Sub(), shifted, add(Log(), add(ReduceSum((axis,), True), add(Exp(), shifted))))


@decompose(Softmax)
def softmax_from_exp(m: Match, add: Add) -> Value:
    """Softmax(x) is exp(x - max) divided by its sum."""
    x, axis = m["x"], m.op(Softmax).axis
    powers = add(Exp(), add(Sub(), x, add(ReduceMax((axis,), True), x)))
    return add(Div(), powers, add(ReduceSum((axis,), True), powers))


@decompose(CumSum)
def cumsum_from_product(m: Match, add: Add) -> Value:
    """CumSum(x) is a product with a triangle of ones."""
    x, op = m["x"], m.op(CumSum)
    m.require(op.axis is not None and x.type.is_static and x.type.dtype.is_float, "axis or sizes unknown, or integers")
    assert op.axis is not None
    size, last = x.type.static_shape[op.axis], x.type.rank - 1
    m.require(size <= 4096, "the triangle would be larger than 4096 squared")
    triangle = np.triu(np.ones((size, size)), 1 if op.exclusive else 0)
    if op.reverse:
        triangle = triangle.T
    swap = list(range(x.type.rank))
    swap[op.axis], swap[last] = last, op.axis
    weights = add.constant(triangle, like=x)
    if op.axis == last:
        rows = x if x.type.rank > 1 else add(Reshape((1, size)), x)
        result = add(MatMul(), rows, weights)
        return result if x.type.rank > 1 else add(Reshape((size,)), result)
    turned = add(MatMul(), add(Transpose(tuple(swap)), x), weights)
    return add(Transpose(tuple(swap)), turned)
