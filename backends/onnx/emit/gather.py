"""Gathering with operands of other forms: OneHot, Unique, NonMaxSuppression; quantization."""

from __future__ import annotations

import numpy as np

from mconv.ir import Node
from mconv.ir import ops as o
from mconv.ir.types import DType

from ..backend import no_bfloat, onnx_backend
from ..model import Model
from .shape import integers


@onnx_backend.emits(o.OneHot, where=(no_bfloat,))
def one_hot(node: Node, model: Model) -> None:
    """OneHot."""
    op = node.op
    assert isinstance(op, o.OneHot)
    values = node.operand("values")
    assert values is not None
    inputs = [model.name_of(node.inputs[0]), integers(model, node, "depth"), model.name_of(values)]
    model.node("OneHot", inputs, [model.name_of(node.result)], axis=op.axis)


@onnx_backend.emits(o.Unique, where=(no_bfloat,))
def unique(node: Node, model: Model) -> None:
    """Unique."""
    op = node.op
    assert isinstance(op, o.Unique)
    axis = {} if op.axis is None else {"axis": op.axis}
    model.simple("Unique", node, sorted=int(op.sorted), **axis)


@onnx_backend.emits(o.NonMaxSuppression, where=(no_bfloat,))
def non_max_suppression(node: Node, model: Model) -> None:
    """NonMaxSuppression."""
    op = node.op
    assert isinstance(op, o.NonMaxSuppression)
    model.simple("NonMaxSuppression", node, center_point_box=int(op.center_point_box))


def whole_axis(node: Node) -> bool | str:
    """there is one scale, or one for each element of an axis."""
    blocks: int = getattr(node.op, "block_size", 0)
    return not blocks or "blocks of scales come with opset 21"


def eight_bits(node: Node) -> bool | str:
    """the integers are of 8 bits (or 32, to be dequantized)."""
    integer = node.result.type.dtype if isinstance(node.op, o.Quantize) else node.inputs[0].type.dtype
    allowed = {DType.I8, DType.U8} | ({DType.I32} if isinstance(node.op, o.Dequantize) else set())
    return integer in allowed or f"{integer.value} comes with opset 21"


@onnx_backend.emits(o.Quantize, where=(no_bfloat, whole_axis, eight_bits))
def quantize(node: Node, model: Model) -> None:
    """QuantizeLinear; the zero point tells the integer type."""
    op = node.op
    assert isinstance(op, o.Quantize)
    inputs = model.operands(node)
    if len(inputs) < 3:
        zeros = np.zeros(node.inputs[1].type.static_shape, op.dtype.numpy)
        inputs.append(model.constant(zeros, "zero_point"))
    model.node("QuantizeLinear", inputs, [model.name_of(node.result)], axis=1 if op.axis is None else op.axis)


@onnx_backend.emits(o.Dequantize, where=(no_bfloat, whole_axis, eight_bits))
def dequantize(node: Node, model: Model) -> None:
    """DequantizeLinear."""
    op = node.op
    assert isinstance(op, o.Dequantize)
    model.simple("DequantizeLinear", node, axis=1 if op.axis is None else op.axis)
