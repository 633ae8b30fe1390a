"""Quantization."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Dequantize, Quantize
from mconv.ir.types import DType, TensorType

from .data import integers, rand, uniform
from .oracle import Case, check

X = rand(2, 3, 4, scale=50)
SCALES = uniform(3, low=0.2)
BLOCKS = uniform(2, 3, 2, low=0.2)
HALVES = np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 300, -300], np.float32)


def _quantize(x, dtype, scale, zero=None, axis=None, block_size=0, **more):
    zero = np.zeros((), dtype.numpy) if zero is None else np.asarray(zero, dtype.numpy)
    zero = np.broadcast_to(zero, np.shape(scale)).copy()
    attributes = ({} if axis is None else {"axis": axis}) | ({"block_size": block_size} if block_size else {})
    op = Quantize(dtype, axis, block_size)
    return Case(op, [x, np.asarray(scale), zero], "QuantizeLinear", attributes, **more)


def _dequantize(x, scale, zero=None, axis=None, block_size=0, **more):
    zero = None if zero is None else np.broadcast_to(np.asarray(zero, x.dtype), np.shape(scale)).copy()
    attributes = ({} if axis is None else {"axis": axis}) | ({"block_size": block_size} if block_size else {})
    return Case(Dequantize(axis, block_size), [x, np.asarray(scale), zero], "DequantizeLinear", attributes, **more)


BYTES = integers(2, 3, 4, low=0, high=256, dtype=np.uint8)
CASES = [
    _quantize(X, DType.U8, np.float32(0.7), 100),
    _quantize(X, DType.I8, np.float32(0.3)),
    _quantize(X, DType.I16, np.float32(0.01), 5),
    _quantize(X, DType.U16, np.float32(0.01), 500),
    _quantize(X, DType.U8, SCALES, [1, 2, 3], 1),
    _quantize(X, DType.I8, BLOCKS, 2, 2, 2),
    _quantize(HALVES, DType.I8, np.float32(1)),
    _quantize(X.astype(np.float16), DType.U8, np.float16(0.5), 9),
    _dequantize(BYTES, np.float32(0.7), 100),
    _dequantize(BYTES.astype(np.int8), SCALES, [1, 2, 3], 1),
    _dequantize(integers(5, low=-(2**30), high=2**30, dtype=np.int32), np.float32(0.001)),
    _dequantize(BYTES, BLOCKS, 3, 2, 2),
    _dequantize(BYTES, np.float16(0.5), 9),
    _dequantize(BYTES, np.float32(0.5)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_scale_of_bfloat16():
    scale = np.array(0.5, ml_dtypes.bfloat16)
    (y,) = evaluate(Dequantize(), [np.array([4], np.int8), scale])
    assert y.dtype == scale.dtype
    assert float(y[0]) == 2


F, U = DType.F32, DType.U8


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (Quantize(F), [(F, 2), (F,), None]),
        (Quantize(U), [(F, 2), (F,), (DType.I8,)]),
        (Quantize(U), [(F, 2), (F, 2), None]),
        (Quantize(U, 0), [(F, 2), (F, 3), None]),
        (Quantize(U, 1), [(F, 2), (F, 2), None]),
        (Quantize(U, 0, 2), [(F, 2, 2), (F, 2), None]),
        (Dequantize(), [(U, 2), (F,), (DType.I8,)]),
        (Dequantize(), [(U, 2), (U,), None]),
        (Dequantize(0), [(U, 2), (F, 2), (U,)]),
    ],
)
def test_refuses(op, types):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if t is None else TensorType(t[0], t[1:]) for t in types))
