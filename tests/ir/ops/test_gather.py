"""Reading and writing by index, and what makes indices."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    Compress,
    Gather,
    GatherElements,
    GatherND,
    NonMaxSuppression,
    NonZero,
    OneHot,
    ScatterElements,
    ScatterND,
    TensorScatter,
    Unique,
)
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import booleans, integers, rand, uniform
from .oracle import Case, check

X = rand(3, 4, 5)


def _scatter(x, axis, indices, reduction="none"):
    indices = np.asarray(indices)
    operands = [x, indices, rand(*indices.shape, seed=4).astype(x.dtype)]
    return Case(ScatterElements(axis, reduction), operands, "ScatterElements", {"axis": axis, "reduction": reduction})


def _scatter_nd(x, indices, reduction="none"):
    indices = np.asarray(indices)
    updates = rand(*indices.shape[:-1], *x.shape[indices.shape[-1] :], seed=4).astype(x.dtype)
    return Case(ScatterND(reduction), [x, indices, updates], "ScatterND", {"reduction": reduction})


def _one_hot(indices, axis, depth, values=(0.0, 1.0)):
    on_off = np.array(values, np.float32)
    op = OneHot(axis, depth)
    return Case(op, [indices, None, on_off], "OneHot", {"axis": axis}, [indices, np.array(depth), on_off])


def _boxes(n=20, seed=0):
    low = uniform(2, n, 2, high=10, seed=seed)
    return np.concatenate([low, low + uniform(2, n, 2, high=5, seed=seed + 1)], axis=2)


def _nms(boxes, scores, limit=None, overlap=None, least=None, center=False):
    operands = [
        boxes,
        scores,
        None if limit is None else np.array([limit]),
        None if overlap is None else np.array([overlap], np.float32),
        None if least is None else np.array([least], np.float32),
    ]
    return Case(NonMaxSuppression(center), operands, "NonMaxSuppression", {"center_point_box": int(center)})


def _unique(x, axis=None, in_order=True):
    attributes = {"sorted": int(in_order)} | ({} if axis is None else {"axis": axis})
    return Case(Unique(axis, in_order), [x], "Unique", attributes)


def _cache(mode, axis, starts):
    past, update = rand(2, 3, 6, 4), rand(2, 3, 2, 4, seed=1)
    if axis == 1:
        past, update = rand(2, 6, 4), rand(2, 2, 4, seed=1)
    operands = [past, update] + ([np.array(starts)] if starts else [])
    attributes = {"mode": mode, "axis": axis}
    return Case(TensorScatter(mode, axis), operands, "TensorScatter", attributes, oracle="reference", opset=24)


SCORES = uniform(2, 3, 20)
SAME = np.tile(np.array([[[0, 0, 1, 1]]], np.float32), (1, 10, 1))
TURNED = np.array([[[1, 1, 0, 0], [0, 0.1, 1, 1.1], [0, 1, 1, 0], [0, 10, 1, 11]]], np.float32)
LIST = np.array([2, 1, 1, 3, 4, 3], np.float32)
ROWS = np.array([[1, 0, 0], [1, 0, 0], [2, 3, 4]], np.float32)

CASES = [
    Case(Gather(1), [X, integers(2, 3, low=-4, high=4)], "Gather", {"axis": 1}),
    Case(Gather(0), [X, np.array(1)], "Gather"),
    Case(Gather(2), [X, np.array([0, -1], np.int32)], "Gather", {"axis": 2}),
    Case(Gather(0), [X, np.zeros((0,), np.int64)], "Gather"),
    Case(GatherElements(1), [X, integers(3, 2, 5, low=-4, high=4)], "GatherElements", {"axis": 1}),
    Case(GatherElements(2), [X, integers(2, 4, 7, low=0, high=5)], "GatherElements", {"axis": 2}),
    Case(GatherND(0), [X, integers(2, 6, 2, low=-3, high=3)], "GatherND"),
    Case(GatherND(0), [X, integers(6, 3, low=0, high=3)], "GatherND"),
    Case(GatherND(1), [X, integers(3, 2, 1, low=0, high=4)], "GatherND", {"batch_dims": 1}),
    Case(GatherND(2), [rand(2, 3, 4, 5), integers(2, 3, 6, 1, low=0, high=4)], "GatherND", {"batch_dims": 2}),
    _scatter(X, 1, integers(2, 3, 5, low=0, high=1) + np.arange(3).reshape(1, 3, 1)),
    _scatter(X, 0, [[[0, 2, 1]]]),
    _scatter(X, 1, [[[-1, 0, -2]]]),
    *(_scatter(X, 1, integers(3, 6, 5, low=-4, high=4), r) for r in ("add", "mul", "max", "min")),
    _scatter(integers(3, 4), 0, integers(2, 4, low=0, high=3), "add"),
    _scatter_nd(X, [[0], [2]]),
    _scatter_nd(X, [[0, 1], [2, -1]]),
    _scatter_nd(X, [[0, 1, 2]]),
    *(_scatter_nd(X, [[0], [2], [0], [0]], r) for r in ("add", "mul", "max", "min")),
    _one_hot(integers(2, 3, low=0, high=5), 2, 5),
    _one_hot(integers(2, 3, low=-4, high=4), 0, 4, (2.0, 7.0)),
    _one_hot(np.array([0, 5, -9, 1]), 1, 4),
    Case(NonZero(), [booleans(3, 4)], "NonZero"),
    Case(NonZero(), [integers(2, 3, 2, low=0, high=2)], "NonZero"),
    Case(NonZero(), [np.zeros((2, 2), np.float32)], "NonZero"),
    _unique(LIST),
    _unique(LIST, None, False),
    _unique(ROWS, 0),
    _unique(ROWS, 1, False),
    _unique(ROWS.T.copy(), 1),
    _unique(ROWS),
    _unique(integers(9, low=0, high=3)),
    Case(Compress(1), [X, np.array([True, False, True])], "Compress", {"axis": 1}),
    Case(Compress(), [X, booleans(40)], "Compress"),
    Case(Compress(0), [X, booleans(3)], "Compress", {"axis": 0}),
    _nms(_boxes(), SCORES, 5, 0.3, 0.2),
    _nms(_boxes(), SCORES, 3, 0.5),
    _nms(_boxes(), SCORES),
    _nms(_boxes(), SCORES, 4),
    _nms(TURNED, uniform(1, 1, 4), 4, 0.4, 0.0),
    _nms(_boxes(), SCORES, 9, 0.4, 0.1, True),
    _nms(SAME, np.full((1, 1, 10), 0.9, np.float32), 3, 0.5, 0.0),
    _nms(_boxes(), SCORES, 3, 0.5, 2.0),
    _cache("linear", 2, (1, 4)),
    _cache("circular", 2, (5, 0)),
    _cache("linear", 1, None),
    _cache("circular", 1, (1, 5)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_16_bit_scatter():
    x, updates = np.ones(3, ml_dtypes.bfloat16), np.array([2, 3], ml_dtypes.bfloat16)
    (y,) = evaluate(ScatterND("add"), [x, np.array([[0], [0]]), updates])
    assert y.dtype == ml_dtypes.bfloat16
    assert y.astype(np.float32).tolist() == [6, 1, 1]


def test_index_of_no_axes_writes_all():
    x, updates = np.ones(2, np.float32), np.array([[1, 2], [3, 4]], np.float32)
    indices = np.zeros((2, 0), np.int64)
    assert evaluate(ScatterND(), [x, indices, updates])[0].tolist() == [3, 4]
    assert evaluate(ScatterND("add"), [x, indices, updates])[0].tolist() == [5, 7]
    assert evaluate(GatherND(), [x, indices])[0].tolist() == [[1, 1], [1, 1]]


def test_scalar_has_no_axis_of_indices():
    assert evaluate(NonZero(), [np.array(3.0)])[0].shape == (0, 1)


def test_one_hot_of_a_scalar():
    assert evaluate(OneHot(0, 4), [np.array(-2), None, np.array([5, 6])])[0].tolist() == [5, 5, 6, 5]


def test_symbols():
    n, m = Symbol("n"), Symbol("m")
    x, i = TensorType(DType.F32, (n, 3)), TensorType(DType.I64, (m, 1))
    assert Gather(0).infer(x, i)[0].shape == (m, 1, 3)
    assert GatherND().infer(x, i)[0].shape == (m, 3)
    assert NonZero().infer(x)[0].shape == (2, UNKNOWN)


F, INDEX = DType.F32, DType.I64


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (Gather(2), [(F, 2, 3), (INDEX, 1)]),
        (Gather(0), [(F, 2, 3), (F, 1)]),
        (GatherElements(0), [(F, 2, 3), (INDEX, 1)]),
        (GatherND(), [(F, 2), (INDEX, 3, 2)]),
        (GatherND(1), [(F, 2), (INDEX, 3)]),
        (GatherND(), [(F,), (INDEX, 3)]),
        (ScatterElements(0), [(F, 2, 3), (INDEX, 1), (F, 1)]),
        (ScatterElements(0, "sum"), [(F, 2), (INDEX, 1), (F, 1)]),
        (ScatterND(), [(F, 2, 3), (INDEX, 4, 3), (F, 4)]),
        (ScatterND(), [(F, 2, 3), (INDEX, 4, 1), (F, 4)]),
        (OneHot(3), [(INDEX, 2), None, (F, 2)]),
        (OneHot(0), [(INDEX, 2), None, (F,)]),
        (Unique(2), [(F, 2)]),
        (Compress(0), [(F, 2), (INDEX, 2)]),
        (NonMaxSuppression(), [(F, 1, 2, 3), (F, 1, 1, 2), None, None, None]),
        (NonMaxSuppression(), [(F, 1, 2, 4), (F, 1, 1, 3), None, None, None]),
        (TensorScatter("linear", 0), [(F, 2, 3), (F, 2, 3), None]),
    ],
)
def test_refuses(op, types):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if t is None else TensorType(t[0], t[1:]) for t in types))
