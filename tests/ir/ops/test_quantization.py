"""Quantization."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mconv.ir import Builder
from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Conv, Dequantize, MatMul, Quantize, Quantized, Relu, Softmax, TopK, Where
from mconv.ir.parse import parse_graph
from mconv.ir.text import format_graph
from mconv.ir.types import DType, TensorType

from .data import integers, rand, uniform
from .oracle import Case, check, operand_types

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


def _conv(bias=None, activation=None, **more):
    """QLinearConv: w with a scale for each filter, the bias in i32 with the scale of x times that of w."""
    x = integers(1, 2, 5, 6, low=0, high=256, dtype=np.uint8)
    w = integers(4, 2, 3, 3, low=-64, high=64, dtype=np.int8)  # 7 bits: onnxruntime saturates pairs of larger products
    sx, zx, sy, zy = np.float32(0.02), np.uint8(120), np.float32(0.11), np.uint8(90)
    sw, zw = uniform(4, low=0.01) * np.float32(0.02), np.zeros(4, np.int8)
    op = Conv((1, 1), (1, 1, 1, 1), (1, 1), activation=activation)
    operands, inputs = [sy, zy, x, sx, zx, w, sw, zw], [x, sx, zx, w, sw, zw, sy, zy]
    if bias is not None:
        operands, inputs = [*operands, bias, sx * sw], [*inputs, bias]
    axes = (None, 0) if bias is None else (None, 0, 0)
    return Case(Quantized(op, axes), operands, "QLinearConv", {"pads": [1] * 4}, inputs, **more)


def _matmul():
    a, b = BYTES, integers(4, 5, low=-64, high=64, dtype=np.int8)
    sa, za, sb, zb = np.float32(0.02), np.uint8(100), np.float32(0.01), np.int8(3)
    sy, zy = np.float32(0.05), np.uint8(128)
    op = Quantized(MatMul(), (None, None))
    return Case(op, [sy, zy, a, sa, za, b, sb, zb], "QLinearMatMul", {}, [a, sa, za, b, sb, zb, sy, zy])


def _softmax():
    operands = [np.float32(1 / 256), np.uint8(0), BYTES, np.float32(0.03), np.uint8(7)]
    inputs = [BYTES, operands[3], operands[4], operands[0], operands[1]]
    attributes, domain = {"axis": 2, "opset": 13}, "com.microsoft"
    return Case(Quantized(Softmax(2), (None,)), operands, "QLinearSoftmax", attributes, inputs, domain=domain)


def _where():
    """Of the three operands the condition is no number."""
    condition, a, b = X > 0, BYTES, BYTES[::-1].copy()
    sa, za, sb, zb, sy, zy = (
        np.float32(0.02),
        np.uint8(3),
        np.float32(0.05),
        np.uint8(9),
        np.float32(0.04),
        np.uint8(5),
    )
    operands = [sy, zy, condition, None, None, a, sa, za, b, sb, zb]
    inputs, domain = [condition, a, sa, za, b, sb, zb, sy, zy], "com.microsoft"
    return Case(Quantized(Where(), (None, None, None)), operands, "QLinearWhere", {}, inputs, domain=domain)


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
    _conv(),
    _conv(integers(4, low=-5000, high=5000, dtype=np.int32)),
    _matmul(),
    _softmax(),
    _where(),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_scale_of_bfloat16():
    scale = np.array(0.5, ml_dtypes.bfloat16)
    (y,) = evaluate(Dequantize(), [np.array([4], np.int8), scale])
    assert y.dtype == scale.dtype
    assert float(y[0]) == 2


def test_an_activation_is_applied_before_the_result_is_stored():
    case = _conv()
    (plain,) = evaluate(case.op, case.operands)
    (clipped,) = evaluate(case.op.replace(inner=case.op.inner.replace(activation=Relu())), case.operands)
    assert plain.min() < 90
    np.testing.assert_array_equal(clipped, np.maximum(plain, 90))


def test_work_is_that_of_the_operator_inside():
    case = _conv(np.zeros(4, np.int32))
    types = operand_types(case.operands)
    real = (TensorType(F, (1, 2, 5, 6)), TensorType(F, (4, 2, 3, 3)), TensorType(F, (4,)))
    assert case.op.flops(types, case.op.infer(*types)) == case.op.inner.flops(real, case.op.inner.infer(*real)) > 0


def test_text_of_an_operator_in_an_operator():
    b = Builder()
    scale, x = b.constant(np.float32(0.5)), b.input("x", DType.U8, (1, 2, 4, 4))
    w = b.constant(np.ones((3, 2, 1, 1), np.int8))
    conv = Conv((1, 1), (0, 0, 0, 0), (1, 1), activation=Relu())
    op = Quantized(conv, (None, 0), DType.I8)
    b.output(b.add(op, scale, None, x, scale, None, w, b.constant(np.ones(3, np.float32))), "y")
    text = format_graph(b.graph, constants="full")
    assert "Quantized(inner=Conv(" in text
    again = parse_graph(text)
    assert format_graph(again, constants="full") == text
    assert again.nodes[0].op == op
    assert hash(again.nodes[0].op) == hash(op)


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
        (Quantized(Relu(), ()), [(F,), None, (U, 2), (F,)]),
        (Quantized(Relu(), (None,)), [(F,), None, (F, 2)]),
        (Quantized(Relu(), (None,)), [(F,), (DType.I8,), (U, 2), (F,)]),
        (Quantized(Relu(), (0,)), [(F,), None, (U, 2), (F, 3)]),
        (Quantized(MatMul(), (None, None)), [(F,), None, (U, 2, 3), (F,), None, (U, 2, 3), (F,)]),
        (Quantized(Where(), (None, None, None)), [(F,), None, (U, 2), None, (U,), (U, 2), (F,), None, (U, 2), (F,)]),
        (Quantized(Where(), (None, None, None)), [(F,), None, None, (F,), None, (U, 2), (F,), None, (U, 2), (F,)]),
        (Quantized(Quantize(), (None, None)), [(F,), None, (U, 2), (F,), None, (U,), (F,)]),
        (Quantized(TopK(0), (None, None)), [(F,), None, (U, 2), (F,), None, (DType.I64, 1)]),
    ],
)
def test_refuses(op, types):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if t is None else TensorType(t[0], t[1:]) for t in types))
