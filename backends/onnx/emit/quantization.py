"""Quantization: QuantizeLinear and DequantizeLinear, also around what works on integers.

That is the form that ONNX recommends, and that runtimes turn into their integer kernels
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, Graph, Node, Op, Value
from mconv.ir import ops as o
from mconv.ir.types import DType

from ..backend import no_bfloat, onnx_backend
from ..model import Model


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


def _explicit(node: Node) -> tuple[Graph, dict[Value, Value]]:
    """The graph of a Quantized's explicit form, and what its inputs stand for; an activation is a node of its own."""
    op = node.op
    assert isinstance(op, o.Quantized)
    g = Builder()
    outer: dict[Value, Value] = {}
    twin: dict[Value, Value] = {}
    for value in dict.fromkeys(node.inputs):
        if value.data is not None:
            twin[value] = g.constant(value.data, name=value.name)
        else:
            twin[value] = g.input(value.name, value.type.dtype, value.type.shape)
            outer[twin[value]] = value

    def apply(inner: Op, *operands: Value | None) -> Value:
        activation: Op | None = getattr(inner, "activation", None)
        if activation is None:
            return g.add(inner, *operands)
        return g.add(activation, g.add(inner.replace(activation=None), *operands))

    given = [None if v is None else twin[v] for v in node.operands]
    scale = given[0]
    assert scale is not None
    g.output(op.explicit(apply, scale, *given[1:]), "y")
    return g.graph, outer


def explicit_form_too(node: Node) -> bool | str:
    """its explicit form can be written."""
    for each in _explicit(node)[0].nodes:
        why = onnx_backend.refusal(each)
        if why is not None:
            return f"{type(each.op).__name__} in it: {why}"
    return True


@onnx_backend.emits(o.Quantized, where=(no_bfloat, explicit_form_too))
def quantized(node: Node, model: Model) -> None:
    """DequantizeLinear of each operand, the operator, QuantizeLinear."""
    graph, outer = _explicit(node)
    for inside, value in outer.items():
        model.bind(inside, model.name_of(value))
    model.bind(graph.outputs[0], model.name_of(node.result))
    for each in graph.nodes:
        onnx_backend.emitter(each)(each, model)
