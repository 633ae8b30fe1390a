"""Arithmetic, comparisons, bits and choices, element by element; operands broadcast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from .. import errors
from ..node import TfNode
from ..registry import tensorflow

UNARY: dict[str, Op] = {
    "Abs": ops.Abs(), "Neg": ops.Neg(), "Sign": ops.Sign(), "Ceil": ops.Ceil(), "Floor": ops.Floor(),
    "Rint": ops.Round(), "Sqrt": ops.Sqrt(), "Rsqrt": ops.Rsqrt(), "Square": ops.Square(), "Exp": ops.Exp(),
    "Log": ops.Log(), "Sin": ops.Sin(), "Cos": ops.Cos(), "Tan": ops.Tan(), "Asin": ops.Asin(), "Acos": ops.Acos(),
    "Atan": ops.Atan(), "Sinh": ops.Sinh(), "Cosh": ops.Cosh(), "Asinh": ops.Asinh(), "Acosh": ops.Acosh(),
    "Atanh": ops.Atanh(), "Erf": ops.Erf(), "Reciprocal": ops.Reciprocal(), "Inv": ops.Reciprocal(),
    "LogicalNot": ops.Not(), "Invert": ops.BitwiseNot(), "IsNan": ops.IsNaN(), "IsInf": ops.IsInf(),
}  # fmt: skip
BINARY: dict[str, Op] = {
    "Add": ops.Add(), "AddV2": ops.Add(), "Sub": ops.Sub(), "Mul": ops.Mul(), "RealDiv": ops.Div(), "Div": ops.Div(),
    "TruncateDiv": ops.Div(), "FloorMod": ops.Mod(), "Mod": ops.Mod(True), "TruncateMod": ops.Mod(True),
    "Pow": ops.Pow(), "Maximum": ops.Max(), "Minimum": ops.Min(), "Atan2": ops.Atan2(), "LogicalAnd": ops.And(),
    "LogicalOr": ops.Or(), "BitwiseAnd": ops.BitwiseAnd(), "BitwiseOr": ops.BitwiseOr(),
    "BitwiseXor": ops.BitwiseXor(), "Greater": ops.Greater(), "GreaterEqual": ops.GreaterOrEqual(),
    "Less": ops.Less(), "LessEqual": ops.LessOrEqual(),
}  # fmt: skip


@tensorflow(*UNARY)
def unary(n: TfNode, g: Builder) -> Value:
    """One operand."""
    return g.add(UNARY[n.op], n[0])


@tensorflow(*BINARY)
def binary(n: TfNode, g: Builder) -> Value:
    """Two operands."""
    return g.add(BINARY[n.op], n[0], n[1])


def _composed(name: str) -> Callable[[Callable[[Builder, Value, TfNode], Value]], None]:
    def register(make: Callable[[Builder, Value, TfNode], Value]) -> None:
        @tensorflow(name)
        def handler(n: TfNode, g: Builder) -> Value:
            return make(g, n[0], n)

    return register


_composed("Expm1")(lambda g, x, n: g.add(ops.Sub(), g.add(ops.Exp(), x), n.like(1, x)))
_composed("Log1p")(lambda g, x, n: g.add(ops.Log(), g.add(ops.Add(), x, n.like(1, x))))
_composed("Erfc")(lambda g, x, n: g.add(ops.Sub(), n.like(1, x), g.add(ops.Erf(), x)))
_composed("SquaredDifference")(lambda g, x, n: g.add(ops.Square(), g.add(ops.Sub(), x, n[1])))
_composed("DivNoNan")(lambda g, x, n: _unless_zero(g, n, n[1], g.add(ops.Div(), x, _nonzero(g, n, n[1]))))
_composed("Xdivy")(lambda g, x, n: _unless_zero(g, n, x, g.add(ops.Div(), x, n[1])))
_composed("MulNoNan")(lambda g, x, n: _unless_zero(g, n, n[1], g.add(ops.Mul(), x, n[1])))
_composed("Xlogy")(lambda g, x, n: _unless_zero(g, n, x, g.add(ops.Mul(), x, g.add(ops.Log(), n[1]))))


def _unless_zero(g: Builder, n: TfNode, zero: Value, y: Value) -> Value:
    """y, but 0 where ``zero`` is 0."""
    return g.add(ops.Where(), g.add(ops.Equal(), zero, n.like(0, zero)), n.like(0, y), y)


def _nonzero(g: Builder, n: TfNode, x: Value) -> Value:
    return g.add(ops.Where(), g.add(ops.Equal(), x, n.like(0, x)), n.like(1, x), x)


@tensorflow("IsFinite")
def is_finite(n: TfNode, g: Builder) -> Value:
    """IsFinite."""
    return g.add(ops.Not(), g.add(ops.Or(), g.add(ops.IsNaN(), n[0]), g.add(ops.IsInf(), n[0])))


@tensorflow("Round")
def round_(n: TfNode, g: Builder) -> Value:
    """Round: halves to the even one; integers are round already."""
    return g.add(ops.Round() if n[0].type.dtype.is_float else ops.Identity(), n[0])


_SHAPES = {"incompatible_shape_error": "shapes that do not fit are an error"}


@tensorflow("Equal", ignores=_SHAPES)
def equal(n: TfNode, g: Builder) -> Value:
    """Equal."""
    return g.add(ops.Equal(), n[0], n[1])


@tensorflow("NotEqual", ignores=_SHAPES)
def not_equal(n: TfNode, g: Builder) -> Value:
    """NotEqual."""
    return g.add(ops.Not(), g.add(ops.Equal(), n[0], n[1]))


@tensorflow("ApproximateEqual")
def approximate_equal(n: TfNode, g: Builder) -> Value:
    """ApproximateEqual: closer than the tolerance."""
    off = g.add(ops.Abs(), g.add(ops.Sub(), n[0], n[1]))
    return g.add(ops.Less(), off, n.like(n.real("tolerance"), off))


@tensorflow("FloorDiv")
def floor_div(n: TfNode, g: Builder) -> Value:
    """FloorDiv: rounded down; of integers what is left over goes first, and the rest divides exactly."""
    a, b = n[0], n[1]
    if a.type.dtype.is_float:
        return g.add(ops.Floor(), g.add(ops.Div(), a, b))
    if n.known(1) is not None and np.all(n.constant(1, "divisor") > 0) and n.content(0) is not None:
        return g.add(ops.Div(), a, b)  # sizes: the IR divides these with symbols
    return g.add(ops.Div(), g.add(ops.Sub(), a, g.add(ops.Mod(), a, b)), b)


@tensorflow("LeftShift", "RightShift")
def shift(n: TfNode, g: Builder) -> Value:
    """LeftShift and RightShift; of signed integers by way of unsigned ones, right with the sign filled in."""
    x, by, dtype = n[0], n[1], n[0].type.dtype
    op = ops.BitShift("left" if n.op == "LeftShift" else "right")
    unsigned = {DType.I8: DType.U8, DType.I16: DType.U16, DType.I32: DType.U32, DType.I64: DType.U64}.get(dtype)
    if unsigned is None:
        return g.add(op, x, by)
    plain = ops.BitCast(unsigned)
    by = g.add(plain, by)
    if op.direction == "left":
        return g.add(ops.BitCast(dtype), g.add(op, g.add(plain, x), by))
    below = g.add(ops.Less(), x, n.like(0, x))
    turned = g.add(ops.Where(), below, g.add(ops.BitwiseNot(), x), x)
    moved = g.add(ops.BitCast(dtype), g.add(op, g.add(plain, turned), by))
    return g.add(ops.Where(), below, g.add(ops.BitwiseNot(), moved), moved)


@tensorflow("AddN", "AccumulateNV2", ignores={"shape": "the operands tell it"})
def add_n(n: TfNode, g: Builder) -> Value:
    """AddN: a sum of any number of tensors."""
    total = n[0]
    for index in range(1, len(n)):
        total = g.add(ops.Add(), total, n[index])
    return total


@tensorflow("ClipByValue")
def clip_by_value(n: TfNode, g: Builder) -> Value:
    """ClipByValue between operands 1 and 2."""
    return g.add(ops.Min(), g.add(ops.Max(), n[0], n[1]), n[2])


@tensorflow("Cast", ignores={"Truncate": "of types that are narrower than the IR's"})
def cast(n: TfNode, g: Builder) -> Value:
    """Cast."""
    return n.cast(n[0], n.dtype("DstT"))


@tensorflow("Bitcast")
def bitcast(n: TfNode, g: Builder) -> Value:
    """Bitcast between types of one size."""
    to = n.dtype("type")
    if to.size != n[0].type.dtype.size:
        raise errors.form(f"Bitcast from {n[0].type.dtype.value} to {to.value}, which differ in size")
    return g.add(ops.BitCast(to), n[0])


@tensorflow("Select")
def select(n: TfNode, g: Builder) -> Value:
    """Select: the condition is of the operands' shape, a scalar, or has one truth value for each row."""
    condition, rank = n[0], n[1].type.rank
    if condition.type.rank == 1 and rank > 1:
        condition = g.add(ops.Unsqueeze(tuple(range(1, rank))), condition)
    return g.add(ops.Where(), condition, n[1], n[2])


@tensorflow("SelectV2")
def select_v2(n: TfNode, g: Builder) -> Value:
    """SelectV2: all three broadcast."""
    return g.add(ops.Where(), n[0], n[1], n[2])


@tensorflow("Bucketize")
def bucketize(n: TfNode, g: Builder) -> Value:
    """Bucketize: how many of the boundaries are not above the element."""
    boundaries = n.attribute("boundaries", "list(float)")
    x = n.cast(n[0], DType.F32)
    below = g.add(ops.Less(), g.add(ops.Unsqueeze((x.type.rank,)), x), g.constant(np.array(boundaries, np.float32)))
    reached = n.cast(g.add(ops.Not(), below), DType.I32)
    return g.add(ops.ReduceSum((x.type.rank,), False), reached)
