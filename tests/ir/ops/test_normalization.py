"""Normalisations."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    LRN,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LpNormalize,
    MeanVarianceNormalize,
    RMSNorm,
)
from mconv.ir.types import DType, Symbol, TensorType

from .data import rand, uniform
from .oracle import Case, check

X = rand(2, 6, 4, 5) + 1
VECTORS = [uniform(6, low=0.5, seed=i) for i in range(4)]
ONES, ZEROS = np.ones(6, np.float32), np.zeros(6, np.float32)

CASES = [
    Case(BatchNorm(1e-3), [X, *VECTORS], "BatchNormalization", {"epsilon": 1e-3}),
    Case(BatchNorm(), [rand(3, 6), *VECTORS], "BatchNormalization"),
    Case(BatchNorm(), [X.astype(np.float16), *(v.astype(np.float16) for v in VECTORS)], "BatchNormalization"),
    Case(BatchNorm(), [X.astype(np.float16), *VECTORS], "BatchNormalization", oracle="reference", why="mixed types"),
    Case(LayerNorm(3), [X, rand(5), rand(5, seed=1)], "LayerNormalization", {"axis": 3}),
    Case(LayerNorm(1, 1e-2), [X, rand(6, 4, 5)], "LayerNormalization", {"axis": 1, "epsilon": 1e-2}),
    Case(LayerNorm(2), [X, rand(4, 5), rand(4, 5, seed=1)], "LayerNormalization", {"axis": -2}),
    Case(LayerNorm(3), [X.astype(np.float16), rand(5, dtype=np.float16)], "LayerNormalization", {"axis": 3}),
    Case(LayerNorm(1), [rand(3, 8), rand(8)], "LayerNormalization"),
    Case(RMSNorm(3), [X, rand(5)], "RMSNormalization", {"axis": 3}, opset=23),
    Case(RMSNorm(2, 1e-2), [X, rand(4, 5)], "RMSNormalization", {"axis": 2, "epsilon": 1e-2}, opset=23),
    Case(GroupNorm(3), [X, VECTORS[0], VECTORS[1]], "GroupNormalization", {"num_groups": 3}, rtol=5e-6),
    Case(
        GroupNorm(6, 1e-2),
        [rand(2, 6, 9), VECTORS[0], VECTORS[1]],
        "GroupNormalization",
        {"num_groups": 6, "epsilon": 1e-2},
    ),
    Case(InstanceNorm(1e-2), [X, VECTORS[0], VECTORS[1]], "InstanceNormalization", {"epsilon": 1e-2}),
    Case(InstanceNorm(), [rand(2, 6, 7), VECTORS[0], VECTORS[1]], "InstanceNormalization"),
    Case(LRN(3), [X], "LRN", {"size": 3}),
    Case(LRN(5, 0.2, 0.5, 2.0), [X], "LRN", {"size": 5, "alpha": 0.2, "beta": 0.5, "bias": 2.0}),
    Case(LpNormalize(1), [X], "LpNormalization", {"axis": 1}),
    Case(LpNormalize(3, 1), [X], "LpNormalization", {"axis": -1, "p": 1}),
    Case(LpNormalize(1), [np.zeros((2, 3), np.float32)], "LpNormalization", {"axis": 1}),
    Case(MeanVarianceNormalize((0, 2, 3)), [X], "MeanVarianceNormalization", rtol=5e-6),
    Case(
        MeanVarianceNormalize((1,)),
        [X],
        "MeanVarianceNormalization",
        {"axes": (1,)},
        oracle="reference",
        why="onnxruntime has two settings only",
        rtol=5e-6,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


@pytest.mark.parametrize(
    ("bare", "full"),
    [
        (LayerNorm(3), [np.ones(5, np.float32), np.zeros(5, np.float32)]),
        (RMSNorm(3), [np.ones(5, np.float32)]),
        (GroupNorm(2), [ONES, ZEROS]),
        (InstanceNorm(), [ONES, ZEROS]),
    ],
)
def test_scale_and_shift_may_be_absent(bare, full):
    np.testing.assert_allclose(evaluate(bare, [X])[0], evaluate(bare, [X, *full])[0])


def test_divisor_of_lp_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    assert evaluate(LpNormalize(1, 2, 10.0), [x])[0].tolist()[0] == pytest.approx([0.3, 0.4])
    added = evaluate(LpNormalize(1, 2, 11.0, "add"), [x])[0]
    np.testing.assert_allclose(added, x / 6 * np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(evaluate(LpNormalize(1, 1, 1.0, "add"), [x])[0][0], x[0] / 8)


def test_16_bit_scale_of_wide_numbers():
    (y,) = evaluate(BatchNorm(), [X, *(v.astype(np.float16) for v in VECTORS)])
    assert y.dtype == np.float32


def test_neighbours_of_an_even_number():
    squares = np.pad(X.astype(np.float64) ** 2, ((0, 0), (1, 2), (0, 0), (0, 0)))
    total = sum(squares[:, i : i + 6] for i in range(4))
    np.testing.assert_allclose(evaluate(LRN(4, 0.3), [X])[0], X / (1 + 0.3 / 4 * total) ** 0.75, rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (BatchNorm(), [(1, 3, 4), (2,), (3,), (3,), (3,)]),
        (LayerNorm(4), [(1, 2, 3), None, None]),
        (LayerNorm(2), [(1, 2, 3), (4,), None]),
        (LayerNorm(2), [(1, 2, 3), (2, 3), None]),
        (GroupNorm(2), [(1, 3, 4), None, None]),
        (InstanceNorm(), [(3,), None, None]),
        (LpNormalize(3), [(2, 2)]),
        (MeanVarianceNormalize((2,)), [(2, 2)]),
        (LRN(3), [(3,)]),
    ],
)
def test_refuses(op, shapes):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if s is None else TensorType(DType.F32, s) for s in shapes))


def test_integers_are_refused():
    with pytest.raises(TypeMismatch):
        RMSNorm(1).infer(TensorType(DType.I32, (2, Symbol("n"))), None)
