"""Convolutions."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Conv, ConvInteger, ConvTranspose, DeformConv, Relu
from mconv.ir.ops.kernels import convolve
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import integers, rand, uniform
from .oracle import Case, check


def _conv(x, w, b=None, strides=None, pads=None, dilations=None, groups=1, **case):
    rank = len(w) - 2
    op = Conv(strides or (1,) * rank, pads or (0,) * 2 * rank, dilations or (1,) * rank, groups)
    attributes = {"strides": op.strides, "pads": op.pads, "dilations": op.dilations, "group": groups}
    operands = [rand(*x), rand(*w, seed=1), None if b is None else rand(b, seed=2)]
    return Case(op, operands, "Conv", attributes, **case)


def _transposed(x, w, b=None, strides=None, pads=None, dilations=None, groups=1, more=()):
    rank = len(w) - 2
    op = ConvTranspose(strides or (1,) * rank, pads or (0,) * 2 * rank, dilations or (1,) * rank, groups, more)
    attributes = {"strides": op.strides, "pads": op.pads, "dilations": op.dilations, "group": groups}
    if more:
        attributes["output_padding"] = more
    operands = [rand(*x), rand(*w, seed=1), None if b is None else rand(b, seed=2)]
    return Case(op, operands, "ConvTranspose", attributes)


def _deformed(x, w, strides=(1, 1), pads=(0,) * 4, dilations=(1, 1), groups=1, offset_groups=1, mask=True, b=True):
    op = DeformConv(strides, pads, dilations, groups, offset_groups)
    plain = Conv(strides, pads, dilations, groups)
    out = plain.infer(TensorType(DType.F32, x), TensorType(DType.F32, w), None)[0].shape[2:]
    taps = w[2] * w[3] * offset_groups
    operands = [
        rand(*x),
        rand(*w, seed=1),
        rand(x[0], taps * 2, *out, seed=2, scale=1.5),
        rand(w[0], seed=3) if b else None,
        uniform(x[0], taps, *out) if mask else None,
    ]
    attributes = {
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "group": groups,
        "offset_group": offset_groups,
        "kernel_shape": w[2:],
    }
    return Case(op, operands, "DeformConv", attributes, oracle="reference", why="not in all builds", rtol=1e-5)


CASES = [
    _conv((1, 3, 8, 9), (4, 3, 3, 3), 4),
    _conv((2, 3, 8, 9), (4, 3, 3, 3), None, (2, 2), (1, 1, 1, 1)),
    _conv((1, 3, 9, 8), (4, 3, 3, 2), 4, (2, 1), (0, 1, 2, 0), (2, 3)),
    _conv((2, 4, 7, 7), (6, 2, 3, 3), 6, None, (1, 1, 1, 1), groups=2),
    _conv((2, 6, 7, 7), (6, 1, 3, 3), 6, (2, 2), (1, 1, 1, 1), groups=6),
    _conv((1, 3, 7, 7), (6, 1, 5, 3), None, None, (2, 1, 2, 1), groups=3),
    _conv((2, 8, 5, 5), (16, 8, 1, 1), 16),
    _conv((2, 8, 5, 5), (16, 8, 1, 1), 16, (2, 2)),
    _conv((2, 3, 20), (5, 3, 4), 5, (3,), (2, 1), (2,)),
    _conv((1, 2, 5, 6, 7), (4, 2, 3, 2, 3), 4, (1, 2, 1), (1, 0, 1, 1, 1, 0)),
    _conv((1, 4, 6, 6, 6), (4, 1, 3, 3, 3), None, None, (1,) * 6, groups=4),
    _conv((0, 3, 8, 8), (4, 3, 3, 3)),
    _transposed((1, 3, 4, 5), (3, 4, 3, 3), 4),
    _transposed((2, 3, 4, 5), (3, 4, 3, 3), 4, (2, 2), (1, 1, 1, 1)),
    _transposed((1, 3, 4, 5), (3, 4, 3, 3), None, (2, 3), (1, 0, 0, 2), more=(1, 2)),
    _transposed((1, 4, 5, 5), (4, 3, 2, 2), 6, (2, 2), groups=2),
    _transposed((1, 4, 5, 5), (4, 1, 4, 4), 4, (2, 2), (1, 1, 1, 1), groups=4),
    _transposed((1, 2, 4, 4), (2, 3, 3, 3), None, (2, 2), (2, 2, 2, 2), (2, 2)),
    _transposed((1, 2, 9), (2, 3, 4), 3, (3,), (1, 2)),
    _transposed((1, 2, 3, 4, 3), (2, 3, 2, 3, 2), 3, (2, 1, 2)),
    _deformed((1, 2, 6, 6), (3, 2, 3, 3)),
    _deformed((2, 4, 7, 6), (6, 2, 3, 2), (2, 1), (1, 1, 1, 0), groups=2, offset_groups=2),
    _deformed((1, 2, 6, 6), (3, 2, 2, 2), dilations=(2, 2), mask=False, b=False),
    Case(
        ConvInteger((1, 1), (1, 1, 1, 1), (1, 1)),
        [
            integers(1, 2, 5, 5, low=0, high=255, dtype=np.uint8),
            integers(3, 2, 3, 3, low=0, high=255, dtype=np.uint8),
            np.uint8(7),
        ],
        "ConvInteger",
        {"pads": (1, 1, 1, 1)},
    ),
    Case(
        ConvInteger((2, 2), (0, 0, 0, 0), (1, 1), 2),
        [
            integers(1, 4, 5, 5, low=0, high=255, dtype=np.uint8),
            integers(4, 2, 3, 3, low=0, high=255, dtype=np.uint8),
            np.uint8(128),
            np.uint8(3),
        ],
        "ConvInteger",
        {"strides": (2, 2), "group": 2},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_columns_in_pieces(monkeypatch):
    case = CASES[1]
    whole = evaluate(case.op, case.operands)[0]
    monkeypatch.setattr(convolve, "COLUMN_BYTES", 500)
    np.testing.assert_allclose(evaluate(case.op, case.operands)[0], whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", [Conv((1, 1), (0,) * 4, (1, 1)), ConvTranspose((1, 1), (0,) * 4, (1, 1))])
def test_activation_is_applied_to_the_result(op):
    operands = [rand(1, 3, 5, 5), rand(3, 3, 3, 3)]
    plain = evaluate(op, operands)[0]
    np.testing.assert_array_equal(evaluate(op.replace(activation=Relu()), operands)[0], np.maximum(plain, 0))


def test_zero_point_of_each_filter():
    x, w = integers(1, 2, 4, 4, low=0, dtype=np.uint8), integers(3, 2, 3, 3, dtype=np.int8)
    zeros = np.array([1, 2, 3], np.int8)
    op = ConvInteger((1, 1), (0,) * 4, (1, 1))
    wide = w.astype(np.int32) - zeros.reshape(3, 1, 1, 1)
    plain = Conv((1, 1), (0,) * 4, (1, 1)).evaluate(x.astype(np.float64), wide.astype(np.float64), None)
    np.testing.assert_array_equal(evaluate(op, [x, w, None, zeros])[0], plain.astype(np.int32))


def test_sizes_with_symbols():
    n, h = Symbol("n"), Symbol("h")
    x, w = TensorType(DType.F32, (n, 3, h, 32)), TensorType(DType.F32, (8, 3, 3, 3))
    assert Conv((1, 1), (1, 1, 1, 1), (1, 1)).infer(x, w, None)[0].shape == (n, 8, h, 32)
    assert Conv((2, 2), (1, 1, 1, 1), (1, 1)).infer(x, w, None)[0].shape == (n, 8, Symbol("(h+1)//2"), 16)


def test_kernel_of_a_symbol():
    x, w = TensorType(DType.F32, (1, 3, 8, 8)), TensorType(DType.F32, (3, 3, Symbol("k"), 3))
    for op in (Conv((1, 1), (0,) * 4, (1, 1)), ConvTranspose((1, 1), (0,) * 4, (1, 1))):
        (y,) = op.infer(x, w, None)
        assert y.shape[2] == UNKNOWN
        assert op.flops((x, w), (y,)) == 0


def test_work_of_a_convolution():
    op = Conv((1, 1), (1, 1, 1, 1), (1, 1))
    x, w = TensorType(DType.F32, (1, 3, 8, 8)), TensorType(DType.F32, (4, 3, 3, 3))
    cost = op.cost((x, w), op.infer(x, w, None))
    assert cost.flops == 2 * 4 * 64 * 27
    assert cost.bytes == 4 * (3 * 64 + 4 * 27 + 4 * 64)


@pytest.mark.parametrize(
    ("x", "w", "b", "op"),
    [
        ((1, 3, 8, 8), (4, 2, 3, 3), None, Conv((1, 1), (0,) * 4, (1, 1))),
        ((1, 3, 8, 8), (4, 3, 3), None, Conv((1, 1), (0,) * 4, (1, 1))),
        ((1, 3, 8, 8), (4, 3, 3, 3), 5, Conv((1, 1), (0,) * 4, (1, 1))),
        ((1, 3, 2, 2), (4, 3, 3, 3), None, Conv((1, 1), (0,) * 4, (1, 1))),
        ((1, 3, 8, 8), (4, 3, 3, 3), None, Conv((1,), (0,) * 4, (1, 1))),
        ((1, 3, 8, 8), (4, 3, 3, 3), None, Conv((0, 1), (0,) * 4, (1, 1))),
        ((1, 4, 8, 8), (3, 2, 3, 3), None, Conv((1, 1), (0,) * 4, (1, 1), 2)),
        ((1, 3, 8, 8), (4, 3, 3, 3), None, ConvTranspose((1, 1), (0,) * 4, (1, 1))),
    ],
)
def test_refuses(x, w, b, op):
    bias = None if b is None else TensorType(DType.F32, (b,))
    with pytest.raises(TypeMismatch):
        op.infer(TensorType(DType.F32, x), TensorType(DType.F32, w), bias)
