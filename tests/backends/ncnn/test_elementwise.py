"""Elementwise operators in the real runtime: every operator, every way to broadcast."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import DType, Op
from mconv.ir.ops import (
    Abs,
    Acos,
    Acosh,
    Add,
    Affine,
    And,
    Asin,
    Asinh,
    Atan,
    Atan2,
    Atanh,
    Cast,
    Ceil,
    Celu,
    Clip,
    Cos,
    Cosh,
    Div,
    Elu,
    Equal,
    Erf,
    Exp,
    Floor,
    Gelu,
    Greater,
    GreaterOrEqual,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyRelu,
    Less,
    LessOrEqual,
    Log,
    Max,
    Min,
    Mish,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Pow,
    PRelu,
    Reciprocal,
    Relu,
    Round,
    Rsqrt,
    ScaledTanh,
    Selu,
    Shrink,
    Sigmoid,
    Sign,
    Silu,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    Square,
    Sub,
    Tan,
    Tanh,
    ThresholdedRelu,
    Where,
    Xor,
)  # fmt: skip

from .nets import emit, graph_of, numbers, refused, same

SHAPES = [(1, 8, 6, 5), (1, 16, 5), (3, 4), (7,), (), (2, 3, 4, 5), (1, 4), (1, 2, 3, 4, 5)]
UNARY: list[Op] = [
    Abs(), Neg(), Floor(), Ceil(), Square(), Exp(), Sin(), Cos(), Atan(), Round(), Sign(), Sinh(), Asinh(), Cosh(),
    Tanh(), Erf(), Tan(), Relu(), LeakyRelu(0.1), Sigmoid(), Elu(0.5), Selu(), Celu(0.7), Gelu(), Gelu("tanh"),
    HardSigmoid(0.3, 0.4), HardSwish(), Mish(), Softplus(), Shrink(0.3, 0.1), Shrink(0.5, 0.0), Clip(-0.5, 0.5),
    Clip(0, None), Clip(None, 0.1), Silu(), Silu(1.7), Softsign(), ThresholdedRelu(0.3), Affine(2, 0.5),
    ScaledTanh(1.7, 0.6), Identity(),
]  # fmt: skip


@pytest.mark.parametrize("op", UNARY, ids=str)
def test_one_operand(op: Op) -> None:
    for shape in SHAPES:
        same(op, shape)


@pytest.mark.parametrize("op", [Sqrt(), Log(), Rsqrt(), Reciprocal(), Acosh()], ids=str)
def test_one_positive_operand(op: Op) -> None:
    for shape in SHAPES:
        same(op, np.abs(numbers(*shape)) + 1.1)


@pytest.mark.parametrize("op", [Asin(), Acos(), Atanh()], ids=str)
def test_one_operand_below_one(op: Op) -> None:
    for shape in SHAPES:
        same(op, np.tanh(numbers(*shape)))


def test_softplus_of_large_numbers_is_finite() -> None:
    same(Softplus(), np.array([[-200, -50, 0, 20], [35, 88, 95, 1e4]], np.float32))


def test_logarithm_of_zero() -> None:
    same(Log(), np.array([0, 0.5, 1, 2], np.float32))


def test_round_takes_halves_to_even() -> None:
    same(Round(), np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.4, 0.6, 3.5] * 2, np.float32))


PAIRS = [
    ((1, 8, 6, 5), (1, 8, 6, 5)), ((1, 8, 6, 5), (8, 1, 1)), ((1, 8, 6, 5), (5,)), ((1, 8, 6, 5), (6, 5)),
    ((1, 8, 6, 5), (1, 8, 6, 1)), ((8, 1, 1), (1, 8, 6, 5)), ((1, 8, 6, 5), ()), ((3, 4), (4,)), ((3, 4), (3, 1)),
    ((2, 3, 4, 5), (2, 1, 4, 1)), ((2, 3, 4, 5), (3, 1, 1)), ((1, 3, 4), (3, 1)), ((1, 1, 4), (3, 1)), ((5,), (1,)),
    ((4, 1), (1, 5)), ((1, 4), (5, 1)), ((2, 1, 4), (1, 3, 1)), ((), ()), ((1, 1, 1, 1), (1, 8, 6, 5)),
    ((1, 2, 3, 4, 5), (2, 1, 4, 1)), ((1, 2, 3, 4, 5), (1, 2, 1, 1, 1)), ((8, 1, 6), (8, 4, 1)), ((1,), (3,)),
    ((1, 4, 4, 4), (4,)), ((1, 4, 4, 4), (4, 1, 1)), ((1, 4, 4, 4), (4, 1)), ((2, 1, 1), (4, 5)),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_arithmetic_broadcasts_as_numpy_does(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = pair
    for op in (Add(), Sub(), Mul(), Div(), Max(), Min(), Atan2()):
        for constants in ((), (0,), (1,)):
            same(op, a, b, constants=constants)
    same(Pow(), np.abs(numbers(*a)) + 0.1, b, constants=(0,))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_logic_broadcasts_as_numpy_does(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = np.round(numbers(*pair[0])), np.round(numbers(*pair[1], seed=5))
    for compare in (Greater(), Less(), GreaterOrEqual(), LessOrEqual(), Equal()):
        same(compare, a, b)
    for logic in (And(), Or(), Xor()):
        same(logic, a > 0, b > 0)
    same(Where(), a > 0, b, a)
    same(Where(), a > 0, b, np.float32(0), constants=(2,))


@pytest.mark.parametrize("infinity", [-np.inf, np.inf])
def test_where_with_an_infinite_branch(infinity: float) -> None:
    condition = numbers(3, 4) > 0
    same(Where(), condition, (3, 4), np.float32(infinity), constants=(2,))
    same(Where(), condition, np.float32(infinity), (3, 4), constants=(1,))
    same(Where(), condition, np.float32(0), np.float32(infinity), constants=(1, 2))
    same(Where(), condition, np.full((1, 4), infinity, np.float32), (4,), constants=(1,))


def test_where_with_nans_is_refused() -> None:
    nans = np.array([np.nan, 1], np.float32)
    assert "infinities or NaNs" in refused(Where(), np.array([True, False]), nans, (2,), constants=(1,))


@pytest.mark.parametrize("exponent", [2.0, 0.5, 3.0, -1.0, 1.0, 0.0])
def test_powers(exponent: float) -> None:
    base = np.abs(numbers(3, 4)) + 0.1 if exponent != int(exponent) else numbers(3, 4)
    same(Pow(), base, np.float32(exponent), constants=(1,))


def test_power_of_zero_and_constant_bases() -> None:
    same(Pow(), np.array([0, 1, 2], np.float32), np.float32(1.7), constants=(1,))
    same(Pow(), np.float32(10000), (3, 4), constants=(0,))
    same(Pow(), np.array([[2], [3], [4]], np.float32), (3, 4), constants=(0,))
    assert "zero or negative" in refused(Pow(), (3, 4), (3, 4))


def test_not_and_casts() -> None:
    same(Not(), numbers(2, 3) > 0)
    for to in (DType.F64, DType.I64, DType.I32, DType.BOOL):
        same(Cast(to), numbers(2, 3) * 10)
    same(Cast(DType.F32), numbers(2, 3) > 0)
    same(Cast(DType.F32), (np.abs(numbers(2, 3)) * 50).astype(np.uint8))
    same(Cast(DType.BOOL), (np.abs(numbers(2, 3)) * 3).astype(np.uint8))
    assert "may not fit" in refused(Cast(DType.U8), (2, 3))


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 47, 100])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_integer_quotients_are_exact(dtype: type, divisor: int) -> None:
    every = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype).reshape(2, 128)
    for op in (Div(), Mod(), Mod(fmod=True)):
        same(op, every, np.array(divisor, dtype), constants=(1,))
        same(op, every, (np.arange(128) % 9 + 1).astype(dtype), constants=(1,))


def test_integers_that_floats_cannot_hold_are_refused() -> None:
    wide = np.arange(6).reshape(2, 3)
    assert "might not be exact" in refused(Add(), wide, wide)
    assert "wrap around" in refused(Add(), wide.astype(np.uint8), wide.astype(np.uint8))
    assert "multiples" in refused(Mod(fmod=True), (2, 3), (3,))
    with pytest.raises(Exception, match="MC324"):
        emit(graph_of(Identity(), [np.array([1 << 25])], (0,))[0])


@pytest.mark.parametrize(
    ("x", "slope"),
    [((1, 8, 6, 5), (8, 1, 1)), ((1, 8, 6, 5), (1,)), ((1, 8), (8,)), ((4, 8), (8,)), ((1, 8, 5), (8, 1)),
     ((2, 8, 6, 5), (8, 1, 1)), ((1, 8, 6, 5), (8, 6, 5))],
)  # fmt: skip
def test_prelu(x: tuple[int, ...], slope: tuple[int, ...]) -> None:
    same(PRelu(), x, slope, constants=(1,))
    same(PRelu(), x, slope)
