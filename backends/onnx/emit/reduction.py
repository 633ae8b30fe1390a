"""Reductions, extremes, running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node
from mconv.ir import ops as o

from ..backend import no_bfloat, onnx_backend
from ..model import Model


@onnx_backend.emits(
    o.ReduceL1, o.ReduceL2, o.ReduceLogSum, o.ReduceLogSumExp, o.ReduceMax, o.ReduceMean, o.ReduceMin, o.ReduceProd,
    o.ReduceSum, o.ReduceSumSquare, where=(no_bfloat,),
)  # fmt: skip
def reduce(node: Node, model: Model) -> None:
    """The reduction of the same name; no axes means none, not all."""
    op: Any = node.op
    axes = model.name_of(node.inputs[1]) if op.axes is None else model.constant(np.array(op.axes, np.int64), "axes")
    attributes = {"keepdims": int(op.keepdims), "noop_with_empty_axes": 1}
    inputs = [model.name_of(node.inputs[0]), axes]
    model.node(type(op).__name__, inputs, [model.name_of(node.result)], **attributes)


@onnx_backend.emits(o.ArgMax, o.ArgMin, where=(no_bfloat,))
def extreme(node: Node, model: Model) -> None:
    """ArgMax and ArgMin."""
    op: Any = node.op
    attributes = {"axis": op.axis, "keepdims": int(op.keepdims), "select_last_index": int(op.select_last)}
    model.simple(type(op).__name__, node, **attributes)


@onnx_backend.emits(o.TopK, where=(no_bfloat,))
def top_k(node: Node, model: Model) -> None:
    """TopK; its k is one number in a vector."""
    op = node.op
    assert isinstance(op, o.TopK)
    k = node.operand("k")
    if op.k is not None:
        count = model.constant(np.array(op.k, np.int64).reshape(1), "k")
    else:
        assert k is not None
        count = model.node("Reshape", [model.name_of(k), model.constant(np.array([1], np.int64), "shape")])
    inputs = [model.name_of(node.inputs[0]), count]
    attributes = {"axis": op.axis, "largest": int(op.largest), "sorted": int(op.sorted)}
    model.node("TopK", inputs, [model.name_of(v) for v in node.results], **attributes)


@onnx_backend.emits(o.CumSum, where=(no_bfloat,))
def cumsum(node: Node, model: Model) -> None:
    """CumSum."""
    op = node.op
    assert isinstance(op, o.CumSum)
    axis = model.name_of(node.inputs[1]) if op.axis is None else model.constant(np.array(op.axis, np.int64), "axis")
    inputs = [model.name_of(node.inputs[0]), axis]
    model.node("CumSum", inputs, [model.name_of(node.result)], exclusive=int(op.exclusive), reverse=int(op.reverse))
