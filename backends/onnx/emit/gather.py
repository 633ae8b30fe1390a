"""Gathering with operands of other forms: OneHot, Unique, NonMaxSuppression."""

from __future__ import annotations

from mconv.ir import Node
from mconv.ir import ops as o

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
