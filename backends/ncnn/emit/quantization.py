"""Quantisation as arithmetic: ncnn's floats hold the integers exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Dequantize, Quantize
from mconv.ir.types import Array, Shape

from ..backend import ncnn
from ..net import Blob, Net, Param
from .binary import ADD, MUL, SUB, binary_layer, scalar_layer
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


def _by(
    net: Net, x: Blob, kind: int, value: Value, axis: int, *, suffix: str, make: Callable[[Array], Array] | None = None
) -> Blob:
    """x (kind) the scale or the zero point, or what ``make`` makes of it."""
    if value.data is None:
        count = value.type.static_shape[0] if value.type.rank else 1
        place = tuple(count if i == axis and count > 1 else 1 for i in range(len(x.shape)))
        return binary_layer(net, x, net.shaped(value, place), kind, x.shape, suffix=suffix)
    data: Array = value.constant.astype(np.float32)
    if make is not None:
        data = make(data.astype(np.float64)).astype(np.float32)
    if data.size == 1:
        return scalar_layer(net, x, kind, float(data.reshape(-1)[0]), suffix=suffix)
    shape: Shape = tuple(data.size if i == axis else 1 for i in range(len(x.shape)))
    return binary_layer(net, x, net.data(data, shape, value.name), kind, x.shape, suffix=suffix)


def _shifts(zero: Value | None) -> bool:
    """True unless the zero point is known to be zero."""
    return zero is not None and (zero.data is None or bool(zero.data.any()))


def known_scales(node: Node) -> bool | str:
    """the numbers of scales and zero points are known."""
    return all(value.type.is_static and value.type.rank < 2 for value in node.inputs[1:])


def _form(node: Node, net: Net) -> tuple[Blob, int]:
    assert isinstance(node.op, Quantize | Dequantize)
    x = node.inputs[0]
    if node.op.axis is None or node.inputs[1].type.numel == 1:
        return net.blob(x), 0
    form, axis = axis_form(net, x, node.op.axis)
    return net.shaped(x, form), axis


@ncnn.emits(Quantize, where=(constant("scale"), known_scales, whole_blocks, narrow))
def quantize(node: Node, net: Net) -> None:
    """clamp(round(x / scale) + zero point); the scale is inverted here, as ncnn's division is approximate."""
    assert isinstance(node.op, Quantize)
    x, axis = _form(node, net)
    scale = node.inputs[1]
    x = _by(net, x, MUL, scale, axis, suffix="scaled", make=lambda numbers: 1 / numbers)
    x = unary_layer(net, x, _ROUND, suffix="rounded")
    zero = node.operand("zero_point")
    if _shifts(zero):
        assert zero is not None
        x = _by(net, x, ADD, zero, axis, suffix="shifted")
    low, high = _RANGES[node.op.dtype]
    params: dict[int, Param] = {0: float(low), 1: float(high)}
    net.give(node.result, net.layer("Clip", [x], x.shape, params))


@ncnn.emits(Dequantize, where=(known_scales, whole_blocks, narrow))
def dequantize(node: Node, net: Net) -> None:
    """(x - zero point) * scale."""
    x, axis = _form(node, net)
    zero = node.operand("zero_point")
    if _shifts(zero):
        assert zero is not None
        x = _by(net, x, SUB, zero, axis, suffix="shifted")
    net.give(node.result, _by(net, x, MUL, node.inputs[1], axis, suffix=""))
