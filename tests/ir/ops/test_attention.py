"""Attention."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Attention
from mconv.ir.types import DType, Symbol, TensorType

from .data import booleans, rand
from .oracle import Case, check

Q, K, V = rand(2, 4, 5, 8), rand(2, 4, 6, 8, seed=1), rand(2, 4, 6, 3, seed=2)
FEW_K, FEW_V = K[:, :2].copy(), V[:, :2].copy()
KEEP = booleans(5, 6)
KEEP[:, 0] = True
BIAS = rand(2, 1, 5, 6, seed=3)


def _attention(operands, oracle="onnxruntime", **options):
    names = {"causal": "is_causal"}
    attributes = {names.get(k, k): int(v) if isinstance(v, bool) else v for k, v in options.items()}
    why = "" if oracle == "onnxruntime" else "onnxruntime's differs"
    return Case(Attention(**options), operands, "Attention", attributes, opset=23, rtol=1e-5, oracle=oracle, why=why)


CASES = [
    _attention([Q, K, V]),
    _attention([Q, K, V], scale=0.3),
    _attention([Q, K, V], causal=True),
    _attention([Q, FEW_K, FEW_V]),
    _attention([Q, K, V], softcap=0.7),
    _attention([Q, K, V], softcap=2.0, causal=True),
    _attention([Q, K, V, BIAS]),
    _attention([Q, K, V, rand(5, 6)]),
    _attention([Q, K, V, KEEP]),
    _attention([Q, K, V, KEEP], causal=True),
    _attention(
        [
            Q,
            K,
            V,
            rand(1, 4, 5, 6),
        ],
        softcap=1.5,
        scale=0.2,
    ),
    _attention([Q, FEW_K, FEW_V, rand(2, 4, 5, 6)], causal=True),
    _attention([a.astype(np.float16) for a in (Q, K, V)]),
    _attention([Q[:, :, :1], K, V]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_short_mask_hides_the_rest():
    full = np.concatenate([KEEP[:, :4], np.zeros((5, 2), np.bool_)], axis=1)
    a, b = (evaluate(Attention(), [Q, K, V, mask])[0] for mask in (KEEP[:, :4], full))
    np.testing.assert_array_equal(a, b)


def test_row_of_which_all_is_hidden_gives_zeros():
    mask = KEEP.copy()
    mask[2] = False
    (y,) = evaluate(Attention(), [Q, K, V, mask])
    assert not y[:, :, 2].any()
    assert np.isfinite(y).all()


def test_work_and_symbols():
    n = Symbol("n")
    types = [TensorType(DType.F32, s) for s in ((n, 4, 5, 8), (n, 4, 6, 8), (n, 4, 6, 3))]
    assert Attention().infer(*types, None)[0].shape == (n, 4, 5, 3)
    fixed = [TensorType.of(a) for a in (Q, K, V)]
    assert Attention().flops(fixed, Attention().infer(*fixed, None)) == 240 * (16 + 5) + 2 * 120 * 6


@pytest.mark.parametrize(
    ("q", "k", "v", "mask"),
    [
        ((1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4), None),
        ((1, 3, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), None),
        ((1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 4), None),
        ((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 5, 4), None),
        ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4), (9, 5)),
        ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4), (1, 1, 1, 3, 5)),
    ],
)
def test_refuses(q, k, v, mask):
    with pytest.raises(TypeMismatch):
        Attention().infer(*(None if s is None else TensorType(DType.F32, s) for s in (q, k, v, mask)))
