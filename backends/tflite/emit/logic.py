"""Element types and bits: Cast, tests of numbers, shifts; remainders; angles."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import DType, Node, Value, ops

from ..backend import tflite
from ..net import Net
from .conditions import broadcasts, takes
from .shape import cast as as_type
from .shape import cast_to

CASTABLE = "f32 f16 f64 i8 u8 i16 u16 i32 u32 i64 bool"


def castable(node: Node) -> bool | str:
    """neither type is u64."""
    assert isinstance(node.op, ops.Cast)
    return DType.U64 not in (node.op.to, node.inputs[0].type.dtype) or "TFLite casts no u64"


@tflite.emits(ops.Cast, where=(castable,))
def cast(node: Node, net: Net) -> None:
    """CAST. Floats beyond an integer type become its end, about which ONNX says nothing."""
    cast_to(net, node.inputs[0], node.result)


@tflite.emits(ops.BitCast)
def bit_cast(node: Node, net: Net) -> None:
    """BITCAST."""
    net.add("BITCAST", node.inputs, node.results, "BitcastOptions")


@tflite.emits(ops.IsNaN, where=(takes("f32"),))
def is_nan(node: Node, net: Net) -> None:
    """NOT_EQUAL of x and itself."""
    net.add("NOT_EQUAL", [node.inputs[0], node.inputs[0]], node.results, "NotEqualOptions")


def sign_of_divisor(node: Node) -> bool:
    """the remainder has the sign of the divisor."""
    return not getattr(node.op, "fmod", False)


@tflite.emits(ops.Mod, where=(sign_of_divisor, takes("f32 i32 i64"), broadcasts))
def remainder(node: Node, net: Net) -> None:
    """FLOOR_MOD."""
    net.add("FLOOR_MOD", node.inputs, node.results, "FloorModOptions")


def to_the_right(node: Node) -> bool:
    """it shifts to the right."""
    return getattr(node.op, "direction", "") == "right"


@tflite.emits(ops.BitShift, where=(to_the_right, takes("i8 u8 i16 u16 i32 u32"), broadcasts))
def shift(node: Node, net: Net) -> None:
    """RIGHT_SHIFT; a negative count moves all bits out, as one that is too large."""
    a, count = node.inputs
    dtype = count.type.dtype
    given: Value | int = count
    if dtype.numpy.kind == "i":
        below, given = net.scratch(count.type.with_dtype(DType.BOOL), "below"), net.scratch(count, "count")
        net.add("LESS", [_as_i32(net, count), net.constant(np.array(0, np.int32), "zero")], [below], "LessOptions")
        bits = net.constant(np.array(8 * dtype.size, dtype.numpy), "bits")
        net.add("SELECT_V2", [below, bits, count], [given], "SelectV2Options")
    net.add("RIGHT_SHIFT", [a, given], node.results, "RightShiftOptions")


def _as_i32(net: Net, value: Value) -> int:
    return as_type(net, value, DType.I32)


def sized_to_broadcast(node: Node) -> bool | str:
    """the operands have one shape, or the result's sizes are known."""
    shapes = {value.type.shape for value in node.inputs}
    return len(shapes) == 1 or node.result.type.is_static


def spread(net: Net, value: Value, like: Value) -> Value | int:
    """``value`` in the shape of ``like``, by BROADCAST_TO where it has another."""
    if value.type.shape == like.type.shape:
        return value
    shape = like.type.static_shape
    if value.data is not None:
        return net.constant(np.ascontiguousarray(np.broadcast_to(value.data, shape)), value.name)
    result = net.scratch(value.type.with_shape(shape), f"{value.name}_spread")
    net.add("BROADCAST_TO", [value, net.integers(shape)], [result], "BroadcastToOptions")
    return result


@tflite.emits(ops.BitwiseAnd, where=(takes("i8 u8 i16 u16 i32 u32 i64 u64"), sized_to_broadcast, broadcasts))
def bitwise_and(node: Node, net: Net) -> None:
    """STABLEHLO_AND."""
    net.add("STABLEHLO_AND", [spread(net, v, node.result) for v in node.inputs], node.results)


@tflite.emits(ops.Atan2, where=(takes("f32"), sized_to_broadcast, broadcasts))
def atan2(node: Node, net: Net) -> None:
    """ATAN2."""
    net.add("ATAN2", [spread(net, v, node.result) for v in node.inputs], node.results, "ATan2Options")


@tflite.emits(ops.Atan, where=(takes("f32"),))
def atan(node: Node, net: Net) -> None:
    """ATAN2 of x and one."""
    x = node.inputs[0]
    zeros, ones = net.scratch(x, "zeros"), net.scratch(x, "ones")
    net.add("ZEROS_LIKE", [x], [zeros], "ZerosLikeOptions")
    one: dict[str, Any] = {"FusedActivationFunction": 0}
    net.add("ADD", [zeros, net.constant(np.array(1, np.float32), "one")], [ones], "AddOptions", **one)
    net.add("ATAN2", [x, ones], node.results, "ATan2Options")


def unit(node: Node) -> bool:
    """alpha is one."""
    assert isinstance(node.op, ops.Elu)
    return node.op.alpha == 1


@tflite.emits(ops.Elu, where=(takes("f32"), unit))
def elu(node: Node, net: Net) -> None:
    """ELU."""
    net.add("ELU", node.inputs, node.results)


def counts_exactly(node: Node) -> bool | str:
    """floats start at a known whole number, and go by one."""
    start, _, delta = node.inputs
    if not start.type.dtype.is_float:
        return True
    if start.data is None or delta.data is None:
        return "the kernel adds its step to floats again and again, which rounds each time"
    return all(float(v.constant) == int(v.constant) for v in (start, delta)) and abs(float(delta.constant)) == 1


@tflite.emits(ops.Range, where=(takes("f32 i32 i64"), counts_exactly))
def counting(node: Node, net: Net) -> None:
    """RANGE, to a limit that lies in its direction."""
    start, limit, delta = node.inputs
    dtype = start.type.dtype.numpy
    low, high, end = (net.scratch(start, stem) for stem in ("least", "greatest", "limit"))
    backwards = net.scratch(start.type.with_dtype(DType.BOOL), "backwards")
    net.add("MINIMUM", [start, limit], [low], "MaximumMinimumOptions")
    net.add("MAXIMUM", [start, limit], [high], "MaximumMinimumOptions")
    net.add("LESS", [delta, net.constant(np.array(0, dtype), "zero")], [backwards], "LessOptions")
    net.add("SELECT_V2", [backwards, low, high], [end], "SelectV2Options")
    net.add("RANGE", [start, end, delta], node.results, "RangeOptions")
