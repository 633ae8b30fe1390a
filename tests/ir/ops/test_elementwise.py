"""Arithmetic, comparison, logic and bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    Abs,
    Acos,
    Acosh,
    Add,
    And,
    Asin,
    Asinh,
    Atan,
    Atan2,
    Atanh,
    BitCast,
    BitShift,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    Ceil,
    Clip,
    Cos,
    Cosh,
    Div,
    Equal,
    Erf,
    Exp,
    Floor,
    Greater,
    GreaterOrEqual,
    Identity,
    IsInf,
    IsNaN,
    Less,
    LessOrEqual,
    Log,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Pow,
    Reciprocal,
    Round,
    Rsqrt,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Square,
    Sub,
    Tan,
    Tanh,
    Where,
    Xor,
)
from mconv.ir.types import DType, Symbol, TensorType

from .data import SPECIAL, booleans, integers, rand, uniform
from .oracle import Case, check

X = rand(2, 3, 4)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999, 1e9], np.float32)
UNIT = uniform(2, 5, low=-0.99, high=0.99)
SMALL = integers(3, 4, dtype=np.int32)

UNARY = [
    (Abs(), X),
    (Abs(), integers(4, dtype=np.int8)),
    (Neg(), X),
    (Neg(), integers(4)),
    (Ceil(), HALVES),
    (Floor(), HALVES),
    (Floor(), rand(3, dtype=np.float16)),
    (Round(), HALVES),
    (Sqrt(), np.abs(X)),
    (Reciprocal(), X),
    (Exp(), X),
    (Exp(), rand(3, dtype=np.float16)),
    (Log(), np.abs(X)),
    (Sin(), X),
    (Cos(), X),
    (Tan(), UNIT),
    (Asin(), UNIT),
    (Acos(), UNIT),
    (Atan(), X),
    (Sinh(), X),
    (Cosh(), X),
    (Tanh(), X),
    (Asinh(), X),
    (Acosh(), 1 + np.abs(X)),
    (Atanh(), UNIT),
    (Erf(), rand(50, scale=2)),
    (Sign(), SPECIAL),
    (Sign(), integers(5)),
    (Not(), booleans(3, 2)),
    (BitwiseNot(), integers(5, dtype=np.int16)),
    (IsNaN(), SPECIAL),
    (Identity(), X),
    (Tanh(), SPECIAL),
    (Sqrt(), SPECIAL),
    (Exp(), np.float32(0.5)),
    (Abs(), np.zeros((0, 3), np.float32)),
]
BINARY = [
    (Add(), X, rand(4)),
    (Add(), integers(3), integers(3, seed=1)),
    (Sub(), X, rand(3, 1)),
    (Mul(), X, np.float32(2)),
    (Add(), rand(3, dtype=np.float16), rand(3, dtype=np.float16, seed=1)),
    (Div(), X, rand(2, 1, 4)),
    (Div(), integers(40, dtype=np.int32), np.array([3, -3, 4, -4] * 10, np.int32)),
    (Div(), integers(6, low=0, dtype=np.uint8), np.array([2, 3, 1, 4, 5, 7], np.uint8)),
    (Add(), np.array([2**63], np.uint64), np.array([5], np.uint64)),
    (Add(), np.zeros((0, 3), np.float32), rand(3)),
    (Pow(), np.abs(X), rand(4)),
    (Pow(), X, np.float32(2)),
    (Pow(), X, np.array(3, np.int64)),
    (Pow(), SMALL, np.array(2, np.int32)),
    (Pow(), SMALL, np.float32(2)),
    (Pow(), np.abs(X), np.float64(0.5)),
    (Mod(), SMALL, np.array([3, -3, 5, -5], np.int32)),
    (Mod(fmod=True), SMALL, np.array([3, -3, 5, -5], np.int32)),
    (Mod(fmod=True), X, rand(4)),
    (Max(), X, rand(4)),
    (Max(), SPECIAL, SPECIAL[::-1].copy()),
    (Min(), X, rand(4)),
    (Min(), integers(3), integers(3, seed=1)),
    (And(), booleans(3, 1), booleans(4)),
    (Or(), booleans(3), booleans(3, seed=1)),
    (Xor(), booleans(3), booleans(3, seed=1)),
    (BitwiseAnd(), SMALL, integers(4, dtype=np.int32)),
    (BitwiseOr(), SMALL, integers(4, dtype=np.int32)),
    (BitwiseXor(), SMALL, integers(4, dtype=np.int32)),
    (BitShift("left"), integers(5, low=0, dtype=np.uint32), integers(5, low=0, high=8, dtype=np.uint32)),
    (BitShift("right"), integers(5, low=0, high=200, dtype=np.uint8), integers(5, low=0, high=8, dtype=np.uint8)),
    (Equal(), integers(9, low=0, high=3), integers(9, low=0, high=3, seed=1)),
    (Equal(), booleans(4), booleans(4, seed=1)),
    (Greater(), X, rand(4)),
    (GreaterOrEqual(), integers(5), integers(5)),
    (Less(), X, rand(3, 4)),
    (LessOrEqual(), SPECIAL, SPECIAL),
    (Greater(), SPECIAL, np.float32(1)),
]
ATTRIBUTES = {Mod: lambda op: {"fmod": int(op.fmod)}, BitShift: lambda op: {"direction": op.direction.upper()}}


def _case(op, *operands):
    attributes = ATTRIBUTES.get(type(op), lambda op: {})(op)
    return Case(op, operands, type(op).__name__, attributes)


CASES = [_case(*row) for row in (*UNARY, *BINARY)] + [
    Case(IsInf(), [SPECIAL], "IsInf"),
    Case(IsInf(detect_negative=False), [SPECIAL], "IsInf", {"detect_negative": 0}),
    Case(IsInf(detect_positive=False), [SPECIAL], "IsInf", {"detect_positive": 0}),
    Case(Where(), [booleans(3, 1), rand(4), rand(2, 1, 1)], "Where"),
    Case(Where(), [booleans(3), integers(3), integers(3, seed=1)], "Where"),
    Case(Clip(-0.5, 0.5), [X], "Clip", inputs=[X, np.float32(-0.5), np.float32(0.5)]),
    Case(Clip(None, 0.5), [X], "Clip", inputs=[X, None, np.float32(0.5)]),
    Case(Clip(1.0, -1.0), [X], "Clip", inputs=[X, np.float32(1), np.float32(-1)]),
    Case(Clip(-2, 2), [integers(9)], "Clip", inputs=[integers(9), np.int64(-2), np.int64(2)]),
    Case(Clip(-1, 1), [SPECIAL], "Clip", inputs=[SPECIAL, np.float32(-1), np.float32(1)]),
    Case(Cast(DType.I32), [np.array([1.9, -1.9, 0.0, 2e4], np.float32)], "Cast", {"to": 6}),
    Case(Cast(DType.F16), [X], "Cast", {"to": 10}),
    Case(Cast(DType.BOOL), [SPECIAL], "Cast", {"to": 9}),
    Case(Cast(DType.F32), [booleans(4)], "Cast", {"to": 1}),
    Case(Cast(DType.F32), [rand(5, dtype=ml_dtypes.bfloat16)], "Cast", {"to": 1}, oracle="reference", why="binding"),
    Case(Cast(DType.BF16), [X], "Cast", {"to": 16}, oracle="reference", why="binding lacks bfloat16 results"),
    Case(Cast(DType.U8), [integers(5, low=0, high=250)], "Cast", {"to": 2}),
    Case(BitCast(DType.I32), [X], "BitCast", {"to": 6}, oracle="reference", why="newer than onnxruntime", opset=26),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


@pytest.mark.parametrize(
    ("op", "x", "wanted"),
    [
        (Rsqrt(), [4.0, 0.25], [0.5, 2.0]),
        (Square(), [3.0, -2.0], [9.0, 4.0]),
        (Mod(), [5.5, -5.5], [0.5, 0.5]),
    ],
)
def test_what_onnx_lacks(op, x, wanted):
    operands = [np.array(x, np.float32)] + ([np.float32(1)] if isinstance(op, Mod) else [])
    np.testing.assert_allclose(evaluate(op, operands)[0], wanted)


def test_angle_of_all_quadrants():
    y, x = np.array([1, 1, -1, -1], np.float32), np.array([1, -1, 1, -1], np.float32)
    np.testing.assert_allclose(evaluate(Atan2(), [y, x])[0], np.pi * np.array([0.25, 0.75, -0.25, -0.75]), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    "op", [Exp(), Erf(), Sqrt(), Tanh(), Floor(), Round(), Neg(), Abs(), Sign(), Square(), Clip(-1, 1)]
)
def test_16_bit_floats_stay(op, dtype):
    x = np.abs(rand(20)).astype(dtype)
    (y,) = evaluate(op, [x])
    assert y.dtype == dtype
    (wide,) = evaluate(op, [x.astype(np.float32)])
    np.testing.assert_allclose(y.astype(np.float32), wide, rtol=1e-2)


@pytest.mark.parametrize("op", [Add(), Sub(), Mul(), Div(), Max(), Min(), Pow(), Mod(fmod=True)])
def test_bfloat16_pairs_stay(op):
    a, b = (np.abs(rand(9, seed=i)).astype(ml_dtypes.bfloat16) for i in range(2))
    assert evaluate(op, [a, b])[0].dtype == ml_dtypes.bfloat16


def test_floats_that_do_not_fit_wrap_the_same_everywhere():
    x = np.array([300.7, -1.2, 255.0], np.float32)
    assert evaluate(Cast(DType.U8), [x])[0].tolist() == [44, 255, 255]


def test_division_by_zero_and_integer_minimum():
    a = np.array([7, -128, -7], np.int8)
    assert evaluate(Div(), [a, np.array([0, -1, 2], np.int8)])[0].tolist()[2] == -3


def test_broadcast_of_symbols():
    n = Symbol("n")
    (y,) = Add().infer(TensorType(DType.F32, (n, 1, 4)), TensorType(DType.F32, (3, 1)))
    assert y.shape == (n, 3, 4)


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (Add(), [TensorType(DType.F32, (2,)), TensorType(DType.F32, (3,))]),
        (Add(), [TensorType(DType.F32, (2,)), TensorType(DType.F16, (2,))]),
        (Where(), [TensorType(DType.F32, (2,))] * 3),
        (BitCast(DType.I64), [TensorType(DType.F32, (2,))]),
    ],
)
def test_refuses(op, types):
    with pytest.raises(TypeMismatch):
        op.infer(*types)
