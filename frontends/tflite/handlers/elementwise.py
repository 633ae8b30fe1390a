"""Arithmetic, comparisons and choices, element by element; operands broadcast."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from .. import errors, schema
from ..node import TfliteNode
from ..registry import tflite

UNARY: dict[str, Op] = {
    "ABS": ops.Abs(), "NEG": ops.Neg(), "SIGN": ops.Sign(), "CEIL": ops.Ceil(), "FLOOR": ops.Floor(),
    "ROUND": ops.Round(), "SQRT": ops.Sqrt(), "RSQRT": ops.Rsqrt(), "SQUARE": ops.Square(), "EXP": ops.Exp(),
    "LOG": ops.Log(), "SIN": ops.Sin(), "COS": ops.Cos(), "LOGICAL_NOT": ops.Not(),
}  # fmt: skip
_UNARY_OPTIONS = {
    "ABS": "AbsOptions", "NEG": "NegOptions", "SIGN": "SignOptions", "SQUARE": "SquareOptions", "EXP": "ExpOptions",
    "COS": "CosOptions", "LOGICAL_NOT": "LogicalNotOptions",
}  # fmt: skip
BINARY: dict[str, tuple[Op, str]] = {
    "POW": (ops.Pow(), "PowOptions"), "ATAN2": (ops.Atan2(), "ATan2Options"),
    "MAXIMUM": (ops.Max(), "MaximumMinimumOptions"), "MINIMUM": (ops.Min(), "MaximumMinimumOptions"),
    "LOGICAL_AND": (ops.And(), "LogicalAndOptions"), "LOGICAL_OR": (ops.Or(), "LogicalOrOptions"),
    "BITWISE_XOR": (ops.BitwiseXor(), "BitwiseXorOptions"),
}  # fmt: skip
COMPARISONS: dict[str, tuple[Op, str]] = {
    "EQUAL": (ops.Equal(), "EqualOptions"), "GREATER": (ops.Greater(), "GreaterOptions"),
    "GREATER_EQUAL": (ops.GreaterOrEqual(), "GreaterEqualOptions"), "LESS": (ops.Less(), "LessOptions"),
    "LESS_EQUAL": (ops.LessOrEqual(), "LessEqualOptions"),
}  # fmt: skip
ARITHMETIC: dict[str, tuple[Op, str]] = {
    "ADD": (ops.Add(), "AddOptions"), "SUB": (ops.Sub(), "SubOptions"), "MUL": (ops.Mul(), "MulOptions"),
    "DIV": (ops.Div(), "DivOptions"),
}  # fmt: skip


def _unary(n: TfliteNode, g: Builder) -> Value:
    """One operand."""
    return g.add(UNARY[n.name], n.real(0))


def _binary(n: TfliteNode, g: Builder) -> Value:
    """Two operands."""
    return g.add(BINARY[n.name][0], n.real(0), n.real(1))


def _arithmetic(n: TfliteNode, g: Builder) -> Value:
    """Two operands, and an activation. (Scales that are powers of two or not are the kernel's affair.)"""
    return n.activation(g.add(ARITHMETIC[n.name][0], n.real(0), n.real(1)))


def _comparison(n: TfliteNode, g: Builder) -> Value:
    """Two operands; stored integers are compared as they are where both have one scale."""
    return g.add(COMPARISONS[n.name][0], *_compared(n))


def _compared(n: TfliteNode) -> tuple[Value, Value]:
    if n.quantization(0) == n.quantization(1):
        return n[0], n[1]
    return n.real(0), n.real(1)


for _name in UNARY:
    tflite(_name, options=_UNARY_OPTIONS.get(_name, ""))(_unary)
for _name, (_, _options) in BINARY.items():
    tflite(_name, options=_options)(_binary)
for _name, (_, _options) in COMPARISONS.items():
    tflite(_name, options=_options)(_comparison)
for _name, (_, _options) in ARITHMETIC.items():
    tflite(_name, options=_options, ignores={"PotScaleInt16": "a matter of the kernel"})(_arithmetic)


@tflite("NOT_EQUAL", options="NotEqualOptions")
def not_equal(n: TfliteNode, g: Builder) -> Value:
    """NOT_EQUAL."""
    return g.add(ops.Not(), g.add(ops.Equal(), *_compared(n)))


@tflite("SQUARED_DIFFERENCE", options="SquaredDifferenceOptions")
def squared_difference(n: TfliteNode, g: Builder) -> Value:
    """SQUARED_DIFFERENCE."""
    return g.add(ops.Square(), g.add(ops.Sub(), n.real(0), n.real(1)))


@tflite("FLOOR_DIV", options="FloorDivOptions")
def floor_div(n: TfliteNode, g: Builder) -> Value:
    """FLOOR_DIV: rounded down; of integers what is left over goes first, and the rest divides exactly."""
    a, b = n.real(0), n.real(1)
    if a.type.dtype.is_float:
        return g.add(ops.Floor(), g.add(ops.Div(), a, b))
    return g.add(ops.Div(), g.add(ops.Sub(), a, g.add(ops.Mod(), a, b)), b)


@tflite("FLOOR_MOD", options="FloorModOptions")
def floor_mod(n: TfliteNode, g: Builder) -> Value:
    """FLOOR_MOD: with the sign of the divisor."""
    return g.add(ops.Mod(), n.real(0), n.real(1))


@tflite("RIGHT_SHIFT", options="RightShiftOptions")
def right_shift(n: TfliteNode, g: Builder) -> Value:
    """RIGHT_SHIFT of unsigned integers."""
    if n[0].type.dtype.is_integer and n[0].type.dtype not in (DType.U8, DType.U16, DType.U32):
        raise errors.form("RIGHT_SHIFT of signed integers")
    return g.add(ops.BitShift("right"), n[0], n[1])


@tflite("ADD_N", options="AddNOptions")
def add_n(n: TfliteNode, g: Builder) -> Value:
    """ADD_N: a sum of any number of tensors."""
    total = n.real(0)
    for index in range(1, len(n)):
        total = g.add(ops.Add(), total, n.real(index))
    return total


@tflite("CAST", options="CastOptions", ignores={"InDataType": "the tensors tell it", "OutDataType": "the tensors too"})
def cast(n: TfliteNode, g: Builder) -> Value:
    """CAST to the element type of the result's tensor."""
    name = n.out().type
    if name not in schema.TYPES or "INT4" in (name, n.tensor(0).type):
        raise errors.element_type(f"CAST from {n.tensor(0).type} to {name}")
    return n.scope.cast(n[0], schema.TYPES[name])


@tflite("BITCAST", options="BitcastOptions")
def bitcast(n: TfliteNode, g: Builder) -> Value:
    """BITCAST between types of one size."""
    to = schema.TYPES.get(n.out().type)
    if to is None or to.size != n[0].type.dtype.size:
        raise errors.form(f"BITCAST from {n[0].type.dtype.value} to {n.out().type}, which differ in size")
    return g.add(ops.BitCast(to), n[0])


@tflite("SELECT", options="SelectOptions")
def select(n: TfliteNode, g: Builder) -> Value:
    """SELECT: the condition is of the operands' shape, a scalar, or has one truth value for each row."""
    condition, rank = n[0], n[1].type.rank
    if condition.type.rank == 1 and rank > 1:
        condition = g.add(ops.Unsqueeze(tuple(range(1, rank))), condition)
    return _chosen(n, g, condition)


@tflite("SELECT_V2", options="SelectV2Options")
def select_v2(n: TfliteNode, g: Builder) -> Value:
    """SELECT_V2: all three broadcast."""
    return _chosen(n, g, n[0])


def _chosen(n: TfliteNode, g: Builder, condition: Value) -> Value:
    return g.add(ops.Where(), condition, n.real(1), n.real(2))


@tflite("SHAPE", options="ShapeOptions", ignores={"OutType": "the result's tensor tells it"})
def shape(n: TfliteNode, g: Builder) -> Value:
    """SHAPE."""
    return n.scope.cast(g.add(ops.Shape(), n[0]), DType.I64 if n.out().type == "INT64" else DType.I32)


@tflite("RANK", options="RankOptions")
def rank_of(n: TfliteNode, g: Builder) -> Value:
    """RANK, which is known."""
    return g.constant(np.int32(n.rank))


@tflite("ZEROS_LIKE", options="ZerosLikeOptions")
def zeros_like(n: TfliteNode, g: Builder) -> Value:
    """ZEROS_LIKE: a zero, broadcast."""
    if n.quantization(0) is not None:
        raise errors.form("ZEROS_LIKE of a quantized tensor")
    return g.add(ops.Expand(), n.number(0, n[0]), g.add(ops.Shape(), n[0]))


@tflite("FILL", options="FillOptions")
def fill(n: TfliteNode, g: Builder) -> Value:
    """FILL: the value in operand 1, broadcast to the shape in operand 0."""
    return g.add(ops.Expand(), n[1], n.wide(0))


@tflite("RANGE", options="RangeOptions")
def range_(n: TfliteNode, g: Builder) -> Value:
    """RANGE from a start to before a limit."""
    scalars = [v if v.type.rank == 0 else g.add(ops.Reshape(()), v) for v in n.all()]
    if len(scalars) != 3:
        raise errors.misfit(f"RANGE with {len(scalars)} operands")
    return g.add(ops.Range(), *scalars)


@tflite("BUCKETIZE", options="BucketizeOptions")
def bucketize(n: TfliteNode, g: Builder) -> Value:
    """BUCKETIZE: how many of the boundaries are not above the element (for NaN all)."""
    boundaries = n.option_integers("Boundaries") or ()
    x = n.scope.cast(n.real(0), DType.F32)
    below = g.add(ops.Less(), g.add(ops.Unsqueeze((x.type.rank,)), x), g.constant(np.array(boundaries, np.float32)))
    reached = n.scope.cast(g.add(ops.Not(), below), DType.I32)
    return g.add(ops.ReduceSum((x.type.rank,), False), reached)
