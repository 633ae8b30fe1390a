"""Reductions, and what runs along one axis."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    ArgMax,
    ArgMin,
    CumProd,
    CumSum,
    Hardmax,
    LogSoftmax,
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
    Softmax,
    TopK,
)
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import booleans, integers, rand, uniform
from .oracle import Case, check

X = rand(3, 4, 5)
KINDS = [ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSumExp, ReduceSumSquare]


def _reduce(kind, x, axes, keepdims=True, **more):
    inputs = [x, np.array(axes, np.int64)]
    attributes = {"keepdims": int(keepdims)} | ({"noop_with_empty_axes": 1} if axes == () else {})
    return Case(kind(axes, keepdims), [x], kind.__name__, attributes, inputs, rtol=5e-6, **more)


def _along(kind, x, axis, **options):
    attributes = {"axis": axis} | {k: int(v) for k, v in options.items()}
    names = {"select_last": "select_last_index"}
    return Case(kind(axis, **options), [x], kind.__name__, {names.get(k, k): v for k, v in attributes.items()})


def _running(kind, x, axis, exclusive=False, reverse=False):
    attributes = {"exclusive": int(exclusive), "reverse": int(reverse)}
    more = {} if kind is CumSum else {"oracle": "reference", "opset": 26}
    return Case(kind(axis, exclusive, reverse), [x], kind.__name__, attributes, [x, np.int64(axis)], **more)


def _top(x, axis, k, largest=True, **more):
    attributes = {"axis": axis, "largest": int(largest)}
    return Case(TopK(axis, largest, True, k), [x], "TopK", attributes, [x, np.array([k])], **more)


TIES = integers(4, 6, low=0, high=3).astype(np.float32)
CASES = [
    *(
        _reduce(kind, X, axes, keep)
        for kind in KINDS
        for axes, keep in (((1,), True), ((0, 2), False), ((0, 1, 2), False))
    ),
    _reduce(ReduceLogSum, np.abs(X), (1,)),
    _reduce(ReduceLogSum, np.abs(X), (0, 1), False),
    _reduce(ReduceSum, integers(3, 4), (1,)),
    _reduce(ReduceMax, integers(3, 4, dtype=np.int8), (1,)),
    _reduce(ReduceMin, integers(3, 4, dtype=np.uint8, low=0), (0,)),
    _reduce(ReduceMean, integers(3, 4, dtype=np.int32), (1,)),
    _reduce(ReduceMax, booleans(3, 4), (1,)),
    _reduce(ReduceMin, booleans(3, 4), (1,)),
    _reduce(ReduceSum, X, ()),
    _reduce(ReduceSum, np.zeros((2, 0, 3), np.float32), (1,)),
    _reduce(ReduceProd, np.zeros((2, 0, 3), np.float32), (1,)),
    _reduce(ReduceSum, np.float32(3), (), False),
    _reduce(ReduceMax, np.zeros((2, 0, 3), np.float32), (1,), oracle="reference", why="onnxruntime refuses nothing"),
    _reduce(ReduceMin, np.zeros((2, 0), np.int32), (1,), oracle="reference", why="onnxruntime refuses nothing"),
    _reduce(ReduceLogSumExp, np.zeros((2, 0, 3), np.float32), (1,)),
    _reduce(ReduceLogSumExp, X * 100, (1,)),
    _reduce(ReduceL2, np.zeros((2, 0, 3), np.float32), (1,)),
    _reduce(ReduceSum, X.astype(np.float16), (0, 1)),
    _reduce(ReduceMean, X.astype(np.float16), (0, 1, 2)),
    _along(ArgMax, X, 1),
    _along(ArgMax, X, 2, keepdims=False),
    _along(ArgMin, X, 0),
    _along(ArgMax, TIES, 1),
    _along(ArgMax, TIES, 1, select_last=True),
    _along(ArgMin, TIES, 0, select_last=True, keepdims=False),
    _along(ArgMin, integers(3, 4, dtype=np.int32), 1),
    _top(X, 2, 3),
    _top(X, 1, 2, False),
    _top(TIES, 1, 4),
    _top(TIES, 1, 4, False),
    _top(X, 0, 0),
    _top(integers(3, 5, low=0, dtype=np.uint64), 1, 3, oracle="reference", why="not in onnxruntime"),
    _top(integers(3, 5, low=0), 1, 5, False),
    _running(CumSum, X, 1),
    _running(CumSum, X, 2, True),
    _running(CumSum, X, 0, False, True),
    _running(CumSum, X, 1, True, True),
    _running(CumSum, integers(5, dtype=np.int32), 0),
    _running(CumProd, X, 1),
    _running(CumProd, X, 2, True),
    _running(CumProd, X, 0, True, True),
    _along(Softmax, X, 1),
    _along(Softmax, X * 100, 2),
    _along(Softmax, X.astype(np.float16), 0),
    _along(LogSoftmax, X, 1),
    _along(LogSoftmax, X * 100, 0),
    _along(Hardmax, X, 2),
    _along(Hardmax, TIES, 0),
    _along(Softmax, np.zeros((0, 3), np.float32), 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_axes_of_an_operand_are_counted_from_the_front():
    x = TensorType(DType.F32, (2, Symbol("n"), 3))
    op = ReduceSum(keepdims=False).absorb("axes", np.array([-1, 0]), (x, TensorType(DType.I64, (2,))))
    assert op.axes == (0, 2)
    assert CumSum().absorb("axis", np.array(-1), (x, None)).axis == 2
    assert TopK(0).absorb("k", np.array([3]), (x, None)).k == 3
    assert ReduceSum(keepdims=False).infer(x, TensorType(DType.I64, (2,)))[0].shape == (UNKNOWN,)


def test_16_bit_sums_are_taken_in_32():
    x = np.full(3000, 1.0, ml_dtypes.bfloat16)
    assert float(evaluate(ReduceSum((0,), False), [x])[0]) == pytest.approx(3000, rel=5e-3)


def test_nan_wins_in_extremes():
    x = np.array([1, np.nan, 3], np.float32)
    assert all(np.isnan(evaluate(kind((0,)), [x])[0]).all() for kind in (ReduceMax, ReduceMin))


def test_order_of_equal_elements_in_top_k():
    values, indices = evaluate(TopK(0, True, True, 3), [uniform(1)[[0, 0, 0, 0]]])
    assert indices.tolist() == [0, 1, 2]
    assert len(set(values.tolist())) == 1


@pytest.mark.parametrize(
    ("op", "absent"),
    [
        (ReduceSum((3,)), 1),
        (ReduceSum(), 1),
        (ArgMax(3), 0),
        (TopK(3, k=1), 1),
        (TopK(0, k=9), 1),
        (CumSum(), 1),
        (CumSum(3), 1),
        (Softmax(3), 0),
    ],
)
def test_refuses(op, absent):
    with pytest.raises(TypeMismatch):
        op.infer(TensorType(DType.F32, (3, 4, 5)), *[None] * absent)
