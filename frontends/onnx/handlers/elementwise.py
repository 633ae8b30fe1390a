"""Arithmetic, comparison, logic and bits, element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from mconv.ir import Builder, Op, Value, ops

from ..errors import form
from ..node import OnnxNode
from ..registry import Function, onnx

_UNARY: dict[str, type[Op]] = {
    name: getattr(ops, name)
    for name in (
        *("Abs", "Neg", "Ceil", "Floor", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sign", "IsNaN"),
        *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh"),
        *("Not", "BitwiseNot"),
    )
}

_BINARY: dict[str, type[Op]] = {
    name: getattr(ops, name)
    for name in (
        *("Add", "Sub", "Mul", "Div", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Pow"),
        *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    )
}


def _unary(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        return g.add(op(), n[0])

    return handler


def _binary(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        return g.add(op(), n[0], n[1])

    return handler


for _name, _op in _UNARY.items():
    onnx(_name)(_unary(_op))
for _name, _op in _BINARY.items():
    onnx(_name)(_binary(_op))


def folded(n: OnnxNode, join: Callable[[Value, Value], Value]) -> Value:
    """The operands joined two by two, from the left."""
    return reduce(join, (n[index] for index in range(len(n))))


@onnx("Max")
def maximum(n: OnnxNode, g: Builder) -> Value:
    """Max of any number of operands."""
    return folded(n, lambda a, b: g.add(ops.Max(), a, b))


@onnx("Min")
def minimum(n: OnnxNode, g: Builder) -> Value:
    """Min of any number of operands."""
    return folded(n, lambda a, b: g.add(ops.Min(), a, b))


@onnx("Sum")
def total(n: OnnxNode, g: Builder) -> Value:
    """Sum of any number of operands."""
    return folded(n, lambda a, b: g.add(ops.Add(), a, b))


@onnx("Mean")
def mean(n: OnnxNode, g: Builder) -> Value:
    """Mean of any number of operands."""
    y = total(n, g)
    assert isinstance(y, Value)
    return y if len(n) == 1 else g.add(ops.Div(), y, g.constant(len(n), y.type.dtype))


@onnx("Mod")
def modulo(n: OnnxNode, g: Builder) -> Value:
    """Mod by either rule of sign."""
    return g.add(ops.Mod(n.boolean("fmod")), n[0], n[1])


@onnx("BitShift")
def bit_shift(n: OnnxNode, g: Builder) -> Value:
    """BitShift to the left or right."""
    return g.add(ops.BitShift(n.choice("direction", "LEFT", "RIGHT").lower()), n[0], n[1])


@onnx("IsInf")
def is_infinite(n: OnnxNode, g: Builder) -> Value:
    """IsInf of both signs or one."""
    return g.add(ops.IsInf(n.boolean("detect_positive"), n.boolean("detect_negative")), n[0])


@onnx("Where")
def where(n: OnnxNode, g: Builder) -> Value:
    """Where."""
    return g.add(ops.Where(), n[0], n[1], n[2])


FLOAT8_ONLY = {
    "saturate": "only conversions to float8 saturate by choice, and there is no float8 here",
    "round_mode": "only conversions to float8e8m0 round by choice",
}


@onnx("Cast", ignores=FLOAT8_ONLY)
def cast(n: OnnxNode, g: Builder) -> Value:
    """Cast to the type an attribute names."""
    return g.add(ops.Cast(n.dtype("to")), n[0])


@onnx("CastLike", ignores=FLOAT8_ONLY)
def cast_like(n: OnnxNode, g: Builder) -> Value:
    """Cast to another operand's type."""
    return g.add(ops.Cast(n[1].type.dtype), n[0])


@onnx("BitCast")
def bit_cast(n: OnnxNode, g: Builder) -> Value:
    """The same bits as another type."""
    return g.add(ops.BitCast(n.dtype("to")), n[0])


@onnx("Clip", since=1)
def clip_attributes(n: OnnxNode, g: Builder) -> Value:
    """Clip before opset 11: the bounds are attributes; the specification's default ones are the type's own."""
    low = n.number("min") if n.has("min") else None
    high = n.number("max") if n.has("max") else None
    return g.add(ops.Clip(low, high), n[0])


@onnx("Clip", since=11)
def clip(n: OnnxNode, g: Builder) -> Value:
    """Clip to bounds that are operands: attributes where they are known, else Max and Min."""
    bounds = [_bound(n, index) for index in (1, 2)]
    if None not in bounds:
        low, high = (bound[0] if bound else None for bound in bounds if bound is not None)
        return g.add(ops.Clip(low, high), n[0])
    y, low_value, high_value = n[0], n.get(1), n.get(2)
    if low_value is not None:
        y = g.add(ops.Max(), y, low_value)
    return y if high_value is None else g.add(ops.Min(), y, high_value)


def _bound(n: OnnxNode, index: int) -> tuple[float, ...] | None:
    """() where there is no bound, the bound where it is known and a float can hold it, else None."""
    value = n.get(index)
    if value is None:
        return ()
    content = n.known(value)
    if content is None or content.size != 1:
        return None
    item = content.item()
    return (item,) if not isinstance(item, int) or abs(item) <= 2**53 else None


@onnx("Dropout", ignores={"ratio": "nothing is dropped at inference", "seed": "nothing is dropped at inference"})
def dropout(n: OnnxNode, g: Builder) -> tuple[Value, Value | None]:
    """Dropout at inference: its operand, and a mask that is true everywhere."""
    training, ratio = n.get(2), n.get(1)
    if training is not None:
        mode, share = n.known(training), n.known(ratio)
        drops_nothing = share is not None and not np.any(share)
        if mode is None or (np.any(mode) and not drops_nothing):
            raise form("Dropout in training mode", "exporting the model in eval mode")
    mask = None
    if n.wants(1):
        old = n.schema.since < 10
        true = g.constant(1, n[0].type.dtype) if old else g.constant(np.array(True))
        mask = g.add(ops.Expand(), true, g.add(ops.Shape(), n[0]))
    return n[0], mask
