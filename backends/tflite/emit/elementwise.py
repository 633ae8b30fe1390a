"""Elementwise operators that are one builtin operation, in two tables."""

from __future__ import annotations

from dataclasses import dataclass

from mconv.ir import Node, Op, ops

from ...base import Emitter
from ..backend import tflite
from ..net import Net
from .activation import carried
from .conditions import broadcasts, takes


@dataclass(frozen=True)
class _Kernel:
    """A builtin operator, the element types that its kernel takes, its options table."""

    name: str
    takes: str = "f32"
    options: str = ""
    fuses: bool = False


UNARY: dict[type[Op], _Kernel] = {
    ops.Abs: _Kernel("ABS", "f32 i16 i32", "AbsOptions"),
    ops.Ceil: _Kernel("CEIL"),
    ops.Cos: _Kernel("COS", "f32", "CosOptions"),
    ops.Exp: _Kernel("EXP", "f32", "ExpOptions"),
    ops.Floor: _Kernel("FLOOR"),
    ops.HardSwish: _Kernel("HARD_SWISH", "f32", "HardSwishOptions"),
    ops.Log: _Kernel("LOG"),
    ops.Neg: _Kernel("NEG", "f32 i8 i16 i32 i64", "NegOptions"),
    ops.Not: _Kernel("LOGICAL_NOT", "bool", "LogicalNotOptions"),
    ops.Relu: _Kernel("RELU"),
    ops.Round: _Kernel("ROUND"),
    ops.Rsqrt: _Kernel("RSQRT"),
    ops.Sigmoid: _Kernel("LOGISTIC"),
    ops.Sign: _Kernel("SIGN", "f32 f64 i32", "SignOptions"),
    ops.Sin: _Kernel("SIN"),
    ops.Sqrt: _Kernel("SQRT"),
    ops.Square: _Kernel("SQUARE", "f32", "SquareOptions"),
    ops.Tanh: _Kernel("TANH"),
}

BINARY: dict[type[Op], _Kernel] = {
    ops.Add: _Kernel("ADD", "f32 i16 i32 i64", "AddOptions", fuses=True),
    ops.Sub: _Kernel("SUB", "f32 i32 i64", "SubOptions", fuses=True),
    ops.Mul: _Kernel("MUL", "f32 i16 i32 u32 i64", "MulOptions", fuses=True),
    ops.Max: _Kernel("MAXIMUM", "f32 i8 u8 i16 i32 i64", "MaximumMinimumOptions"),
    ops.Min: _Kernel("MINIMUM", "f32 i8 u8 i16 i32 i64", "MaximumMinimumOptions"),
    ops.Equal: _Kernel("EQUAL", "f32 i16 i32 i64 bool", "EqualOptions"),
    ops.Greater: _Kernel("GREATER", "f32 i16 i32 i64", "GreaterOptions"),
    ops.GreaterOrEqual: _Kernel("GREATER_EQUAL", "f32 i16 i32 i64", "GreaterEqualOptions"),
    ops.Less: _Kernel("LESS", "f32 i16 i32 i64", "LessOptions"),
    ops.LessOrEqual: _Kernel("LESS_EQUAL", "f32 i16 i32 i64", "LessEqualOptions"),
    ops.And: _Kernel("LOGICAL_AND", "bool", "LogicalAndOptions"),
    ops.Or: _Kernel("LOGICAL_OR", "bool", "LogicalOrOptions"),
    ops.Xor: _Kernel("NOT_EQUAL", "bool", "NotEqualOptions"),
    ops.BitwiseXor: _Kernel("BITWISE_XOR", "i8 u8 i16 u16 i32 u32", "BitwiseXorOptions"),
}


def _register() -> None:
    for op, kernel in (*UNARY.items(), *BINARY.items()):
        conditions = [takes(kernel.takes)]
        if op in BINARY:
            conditions += [takes(kernel.takes, at=1), broadcasts]
        tflite.emits(op, where=conditions)(_fusing(kernel) if kernel.fuses else _plain(kernel))


def _plain(kernel: _Kernel) -> Emitter:
    def emit(node: Node, net: Net) -> None:
        net.add(kernel.name, node.inputs, node.results, kernel.options)

    return emit


def _fusing(kernel: _Kernel) -> Emitter:
    def emit(node: Node, net: Net) -> None:
        if not node.result.type.dtype.is_float:
            net.add(kernel.name, node.inputs, node.results, kernel.options, FusedActivationFunction=0)
            return
        result, activation = carried(node, net)
        net.add(kernel.name, node.inputs, [result], kernel.options, FusedActivationFunction=activation)

    return emit


_register()


@tflite.emits(ops.Div, where=(takes("f32 i32"), broadcasts))
def div(node: Node, net: Net) -> None:
    """DIV."""
    result, activation = carried(node, net) if node.result.type.dtype.is_float else (node.result, 0)
    net.add("DIV", node.inputs, [result], "DivOptions", FusedActivationFunction=activation)


@tflite.emits(ops.Identity)
def identity(node: Node, net: Net) -> None:
    """The same tensor."""
    net.alias(node.result, node.inputs[0])


def one_type(node: Node) -> bool:
    """both operands have one element type."""
    return node.inputs[0].type.dtype is node.inputs[1].type.dtype


@tflite.emits(ops.Pow, where=(takes("f32 i32"), one_type, broadcasts))
def power(node: Node, net: Net) -> None:
    """POW; a negative exponent of integers is an error when the model runs."""
    net.add("POW", node.inputs, node.results, "PowOptions")
