"""Pools and regions of interest."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.op import TypeMismatch
from mconv.ir.ops import AveragePool, LpPool, MaxPool, MaxPoolIndices, MaxRoiPool, MaxUnpool, RoiAlign
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import integers, rand, uniform
from .oracle import Case, check


def _pool(kind, x, kernel, strides=None, pads=None, dilations=None, ceil_mode=False, **more):
    rank = len(kernel)
    x = rand(*x) if isinstance(x, tuple) else x
    oracle = {k: more.pop(k) for k in ("oracle", "why") if k in more}
    op = kind(kernel, strides or (1,) * rank, pads or (0,) * 2 * rank, dilations or (1,) * rank, ceil_mode, **more)
    node = "MaxPool" if kind is MaxPoolIndices else kind.__name__
    attributes = {
        "kernel_shape": op.kernel,
        "strides": op.strides,
        "pads": op.pads,
        "dilations": op.dilations,
        "ceil_mode": int(op.ceil_mode),
        **{k: int(v) for k, v in more.items()},
    }
    return Case(op, [x], node, attributes, **oracle)


NAN = rand(1, 1, 5, 5)
NAN[0, 0, 2, 2] = np.nan
BOXES = np.array([[0, 0, 9, 9], [1.3, 2.2, 5.1, 7.9], [3, 3, 3.5, 3.6], [-2, -3, 4, 12]], np.float32)
IMAGES = np.array([0, 1, 1, 0], np.int64)


def _align(mode, ratio, scale, half, x=(2, 3, 10, 11)):
    op = RoiAlign(mode, 4, 5, ratio, scale, half)
    attributes = {
        "mode": mode,
        "output_height": 4,
        "output_width": 5,
        "sampling_ratio": ratio,
        "spatial_scale": scale,
        "coordinate_transformation_mode": "half_pixel" if half else "output_half_pixel",
    }
    return Case(op, [uniform(*x), BOXES, IMAGES], "RoiAlign", attributes, rtol=1e-5, opset=16)


INDEXED = integers(2, 3, 2, 2, low=0, high=16) + np.arange(6).reshape(2, 3, 1, 1) * 16

CASES = [
    _pool(MaxPool, (1, 2, 7, 8), (3, 3), (2, 2), (1, 1, 1, 1)),
    _pool(MaxPool, (2, 2, 7, 8), (2, 3), (2, 2), None, None, True),
    _pool(MaxPool, (1, 2, 9, 9), (3, 3), (2, 1), (1, 0, 2, 1), (2, 2)),
    _pool(MaxPool, (1, 1, 6, 6), (2, 2), (3, 3), (0, 0, 1, 1), None, True),
    _pool(MaxPool, (1, 2, 11), (3,), (2,), (1, 1)),
    _pool(MaxPool, (1, 2, 5, 6, 7), (2, 3, 2), (2, 1, 2), None, None, True),
    _pool(MaxPool, integers(1, 2, 6, 6, low=-128, high=127, dtype=np.int8), (3, 3), None, (1, 1, 1, 1)),
    _pool(MaxPool, integers(1, 2, 6, 6, low=0, high=255, dtype=np.uint8), (2, 2), (2, 2)),
    _pool(MaxPool, rand(1, 2, 6, 6, dtype=np.float16), (2, 2), (2, 2)),
    _pool(MaxPool, -10 - np.abs(rand(1, 1, 4, 4)), (3, 3), None, (1, 1, 1, 1)),
    _pool(MaxPoolIndices, (2, 3, 7, 8), (3, 2), (2, 2), (1, 0, 1, 1)),
    _pool(MaxPoolIndices, (1, 2, 6, 6), (2, 2), (2, 2), storage_order=1),
    _pool(MaxPoolIndices, (1, 2, 7), (3,), (2,), (1, 1), None, True),
    _pool(MaxPoolIndices, integers(1, 1, 6, 6, low=0, high=3).astype(np.float32), (3, 3), (1, 1), None, (2, 2)),
    _pool(AveragePool, (1, 2, 7, 8), (3, 3), (2, 2), (1, 1, 1, 1)),
    _pool(AveragePool, (1, 2, 7, 8), (3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=True),
    _pool(AveragePool, (1, 2, 7, 8), (3, 3), (2, 2), (0, 0, 1, 1), None, True),
    _pool(
        AveragePool,
        (1, 2, 7, 8),
        (3, 3),
        (2, 2),
        (1, 1, 1, 1),
        None,
        True,
        count_include_pad=True,
        oracle="reference",
        why="onnxruntime counts beyond the padding",
    ),
    _pool(AveragePool, (1, 2, 6), (2,), (3,), None, None, True),
    _pool(AveragePool, (1, 1, 9, 9), (3, 2), (1, 2), (1, 1, 1, 1), (2, 2)),
    _pool(AveragePool, (1, 2, 5, 6, 7), (2, 2, 2), (2, 2, 2), (1, 0, 1, 0, 1, 0)),
    _pool(AveragePool, rand(1, 2, 6, 6, dtype=np.float16), (2, 2)),
    _pool(LpPool, (1, 2, 7, 8), (3, 3), (2, 2), (1, 1, 1, 1)),
    _pool(LpPool, (1, 2, 7, 8), (2, 3), (1, 2), None, None, p=3),
    _pool(LpPool, (1, 2, 9), (2,), (2,), None, None, p=1),
    Case(
        MaxUnpool((2, 2), (2, 2), (0,) * 4),
        [rand(2, 3, 2, 2), INDEXED],
        "MaxUnpool",
        {"kernel_shape": (2, 2), "strides": (2, 2)},
    ),
    Case(
        MaxUnpool((2, 2), (2, 2), (0,) * 4, (2, 3, 5, 6)),
        [rand(2, 3, 2, 2), INDEXED],
        "MaxUnpool",
        {"kernel_shape": (2, 2), "strides": (2, 2)},
        [rand(2, 3, 2, 2), INDEXED, np.array([2, 3, 5, 6])],
        oracle="reference",
        why="onnxruntime reads the indices in the larger shape",
    ),
    Case(
        MaxRoiPool((3, 2), 0.5),
        [rand(2, 3, 8, 9), np.array([[0, 1, 1, 9, 12], [1, 0, 3, 17, 15]], np.float32)],
        "MaxRoiPool",
        {"pooled_shape": (3, 2), "spatial_scale": 0.5},
        opset=16,
    ),
    _align("avg", 2, 1.0, False),
    _align("avg", 0, 1.0, True),
    _align("avg", 3, 0.5, True),
    _align("max", 2, 1.0, False),
    _align("max", 0, 0.8, True),
    _align("avg", 0, 0.3, False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_nan_wins():
    op = MaxPool((3, 3), (1, 1), (0,) * 4, (1, 1))
    assert np.isnan(op.evaluate(NAN)).sum() == 9


def test_ceil_mode_of_a_symbol():
    x = TensorType(DType.F32, (1, 2, Symbol("h"), 7))
    op = MaxPool((3, 3), (2, 2), (0,) * 4, (1, 1), True)
    assert op.infer(x)[0].shape == (1, 2, Symbol("h//2"), 3)


def test_ceil_mode_of_a_symbol_whose_last_window_may_not_count():
    x = TensorType(DType.F32, (1, 2, Symbol("h"), 7))
    assert MaxPool((2, 2), (3, 3), (0,) * 4, (1, 1), True).infer(x)[0].shape == (1, 2, UNKNOWN, 3)


def test_unpooled_shape_of_an_operand():
    x, i = TensorType(DType.F32, (1, 2, 3, 3)), TensorType(DType.I64, (1, 2, 3, 3))
    op = MaxUnpool((2, 2), (2, 2), (0,) * 4)
    assert op.infer(x, i, TensorType(DType.I64, (4,)))[0].shape == (UNKNOWN,) * 4


@pytest.mark.parametrize("op", [MaxPool((3,), (1, 1), (0,) * 4, (1, 1)), MaxPool((9, 9), (1, 1), (0,) * 4, (1, 1))])
def test_refuses(op):
    with pytest.raises(TypeMismatch):
        op.infer(TensorType(DType.F32, (1, 2, 5, 5)))
