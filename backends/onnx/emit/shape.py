"""Shape and movement: attributes of the IR that are operands in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node
from mconv.ir import ops as o

from ..backend import no_bfloat, onnx_backend
from ..model import Model


def integers(model: Model, node: Node, name: str) -> str:
    """The attribute ``name`` as an i64 vector, or the operand that stands for it while it is not known."""
    value = getattr(node.op, name)
    if value is not None:
        return model.constant(np.array(value, np.int64), name)
    operand = node.operand(name)
    return "" if operand is None else model.name_of(operand)


def _emit(node: Node, model: Model, kind: str, *names: str, **attributes: Any) -> None:
    inputs = [model.name_of(node.inputs[0]), *(integers(model, node, name) for name in names)]
    model.node(kind, inputs, [model.name_of(v) for v in node.results], **attributes)


@onnx_backend.emits(o.Reshape, where=(no_bfloat,))
def reshape(node: Node, model: Model) -> None:
    """Reshape."""
    assert isinstance(node.op, o.Reshape)
    _emit(node, model, "Reshape", "shape", allowzero=int(node.op.allow_zero))


@onnx_backend.emits(o.Expand, where=(no_bfloat,))
def expand(node: Node, model: Model) -> None:
    """Expand."""
    _emit(node, model, "Expand", "shape")


@onnx_backend.emits(o.Tile, where=(no_bfloat,))
def tile(node: Node, model: Model) -> None:
    """Tile."""
    _emit(node, model, "Tile", "repeats")


@onnx_backend.emits(o.Squeeze, o.Unsqueeze, where=(no_bfloat,))
def squeeze(node: Node, model: Model) -> None:
    """Squeeze and Unsqueeze."""
    _emit(node, model, type(node.op).__name__, "axes")


@onnx_backend.emits(o.Slice, where=(no_bfloat,))
def slice(node: Node, model: Model) -> None:
    """Slice."""
    _emit(node, model, "Slice", "starts", "ends", "axes", "steps")


@onnx_backend.emits(o.Split, where=(no_bfloat,))
def split(node: Node, model: Model) -> None:
    """Split into parts of given sizes."""
    assert isinstance(node.op, o.Split)
    _emit(node, model, "Split", "sizes", axis=node.op.axis)


@onnx_backend.emits(o.Trilu, where=(no_bfloat,))
def trilu(node: Node, model: Model) -> None:
    """Trilu."""
    assert isinstance(node.op, o.Trilu)
    _emit(node, model, "Trilu", "k", upper=int(node.op.upper))


@onnx_backend.emits(o.Pad, where=(no_bfloat,))
def pad(node: Node, model: Model) -> None:
    """Pad; the number is of the tensor's element type."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, o.Pad)
    value = model.constant(np.array(op.value, x.type.dtype.numpy), "value") if op.mode == "constant" else ""
    inputs = [model.name_of(x), integers(model, node, "pads"), value]
    model.node("Pad", inputs, [model.name_of(node.result)], mode=op.mode)


@onnx_backend.emits(o.Clip, where=(no_bfloat,))
def clip(node: Node, model: Model) -> None:
    """Clip; the bounds are of the tensor's element type."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, o.Clip)
    bounds = [
        "" if bound is None else model.constant(np.array(bound, x.type.dtype.numpy), name)
        for name, bound in (("min", op.min), ("max", op.max))
    ]
    model.node("Clip", [model.name_of(x), *bounds], [model.name_of(node.result)])


@onnx_backend.emits(o.Col2Im, where=(no_bfloat,))
def col2im(node: Node, model: Model) -> None:
    """Col2Im."""
    op = node.op
    assert isinstance(op, o.Col2Im)
    inputs = [
        model.name_of(node.inputs[0]),
        model.constant(np.array(op.image, np.int64), "image"),
        model.constant(np.array(op.block, np.int64), "block"),
    ]
    attributes = {"dilations": op.dilations, "pads": op.pads, "strides": op.strides}
    model.node("Col2Im", inputs, [model.name_of(node.result)], **attributes)
