"""Quantisation as arithmetic: ncnn's floats hold the integers exactly."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Dequantize, Quantize
from mconv.ir.types import Array, Shape

from ..backend import ncnn
from ..net import Blob, Net, Param
from .binary import ADD, DIV, MUL, SUB, binary_layer, scalar_layer
from .conditions import bounds, constant
from .elementwise import unary_layer
from .reduction import axis_form

_ROUND = 18
_RANGES = {DType.U8: (0, 255), DType.I8: (-128, 127), DType.U16: (0, 65535), DType.I16: (-32768, 32767)}


def whole_blocks(node: Node) -> bool:
    """one scale holds for the whole tensor, or for a slice along an axis (no blocks)."""
    assert isinstance(node.op, Quantize | Dequantize)
    return node.op.block_size == 0


def narrow(node: Node) -> bool | str:
    """the integers are of 8 or 16 bits (or known to be small)."""
    if isinstance(node.op, Quantize):
        return node.op.dtype in _RANGES
    value = node.inputs[0]
    low, high = bounds(value)
    return low is not None and high is not None and max(-low, high) <= 1 << 24


def _by(net: Net, x: Blob, kind: int, value: Value, axis: int, *, suffix: str) -> Blob:
    """x (kind) the scale or the zero point."""
    data: Array = value.constant.astype(np.float32)
    if data.size == 1:
        return scalar_layer(net, x, kind, float(data.reshape(-1)[0]), suffix=suffix)
    shape: Shape = tuple(data.size if i == axis else 1 for i in range(len(x.shape)))
    return binary_layer(net, x, net.data(data, shape, value.name), kind, x.shape, suffix=suffix)


def _form(node: Node, net: Net) -> tuple[Blob, int]:
    assert isinstance(node.op, Quantize | Dequantize)
    x = node.inputs[0]
    if node.op.axis is None or node.inputs[1].constant.size == 1:
        return net.blob(x), 0
    form, axis = axis_form(net, x, node.op.axis)
    return net.shaped(x, form), axis


@ncnn.emits(Quantize, where=(constant("scale", "zero_point"), whole_blocks, narrow))
def quantize(node: Node, net: Net) -> None:
    """clamp(round(x / scale) + zero point)."""
    assert isinstance(node.op, Quantize)
    x, axis = _form(node, net)
    x = _by(net, x, DIV, node.inputs[1], axis, suffix="scaled")
    x = unary_layer(net, x, _ROUND, suffix="rounded")
    zero = node.operand("zero_point")
    if zero is not None and zero.constant.any():
        x = _by(net, x, ADD, zero, axis, suffix="shifted")
    low, high = _RANGES[node.op.dtype]
    params: dict[int, Param] = {0: float(low), 1: float(high)}
    net.give(node.result, net.layer("Clip", [x], x.shape, params))


@ncnn.emits(Dequantize, where=(constant("scale", "zero_point"), whole_blocks, narrow))
def dequantize(node: Node, net: Net) -> None:
    """(x - zero point) * scale."""
    x, axis = _form(node, net)
    zero = node.operand("zero_point")
    if zero is not None and zero.constant.any():
        x = _by(net, x, SUB, zero, axis, suffix="shifted")
    net.give(node.result, _by(net, x, MUL, node.inputs[1], axis, suffix=""))
