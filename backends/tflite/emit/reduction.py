"""Reductions, and what runs along one axis."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, TensorType, ops
from mconv.ir.op import Op

from ...base import Emitter
from ..backend import tflite
from ..net import Net
from .conditions import floats, rank_at_most, takes
from .shape import as_sizes, reshape

_REDUCERS: dict[type[Op], tuple[str, str]] = {
    ops.ReduceSum: ("SUM", "f32 i32 i64"),
    ops.ReduceMean: ("MEAN", "f32"),
    ops.ReduceMax: ("REDUCE_MAX", "f32 i8 u8 i16 i32 i64 bool"),
    ops.ReduceMin: ("REDUCE_MIN", "f32 i8 u8 i16 i32 i64 bool"),
    ops.ReduceProd: ("REDUCE_PROD", "f32 i32 i64"),
}


_OF_TRUTH = {"REDUCE_MAX": "REDUCE_ANY", "REDUCE_MIN": "REDUCE_ALL"}
"""The extremes of truth values."""


def _reducer(name: str) -> Emitter:
    def emit(node: Node, net: Net) -> None:
        x, given = node.inputs[0], node.operand("axes")
        axes: tuple[int, ...] | None = node.op.axes  # type: ignore[attr-defined]
        if axes is None and given is not None:
            places = as_sizes(net, given)
        else:
            places = net.integers(range(x.type.rank) if axes is None else axes, "axes")
        keep: bool = node.op.keepdims  # type: ignore[attr-defined]
        kind = _OF_TRUTH[name] if x.type.dtype is DType.BOOL else name
        net.add(kind, [x, places], node.results, "ReducerOptions", KeepDims=keep)

    return emit


def of_something(node: Node) -> bool | str:
    """x is not empty, where the extremes of nothing are asked for."""
    extreme = isinstance(node.op, ops.ReduceMax | ops.ReduceMin)
    return not extreme or node.inputs[0].type.numel != 0 or "the extreme of nothing is not the same on all delegates"


for _op, (_name, _kinds) in _REDUCERS.items():
    tflite.emits(_op, where=(takes(_kinds), of_something, rank_at_most(6)))(_reducer(_name))


def last_axis(node: Node) -> bool | str:
    """it goes along the last axis."""
    last = node.inputs[0].type.rank - 1
    axis: int = node.op.axis  # type: ignore[attr-defined]
    return axis == last or "TFLite goes along the last axis only"


@tflite.emits(ops.Softmax, where=(floats, last_axis, rank_at_most(6)))
def softmax(node: Node, net: Net) -> None:
    """SOFTMAX."""
    net.add("SOFTMAX", node.inputs, node.results, "SoftmaxOptions", Beta=1.0)


@tflite.emits(ops.LogSoftmax, where=(floats, last_axis))
def log_softmax(node: Node, net: Net) -> None:
    """LOG_SOFTMAX."""
    net.add("LOG_SOFTMAX", node.inputs, node.results, "LogSoftmaxOptions")


def first_of_equals(node: Node) -> bool:
    """of equal elements the first counts."""
    return not node.op.select_last  # type: ignore[attr-defined]


@tflite.emits(ops.ArgMax, ops.ArgMin, where=(takes("f32 i8 u8 i32"), first_of_equals))
def arg_extreme(node: Node, net: Net) -> None:
    """ARG_MAX and ARG_MIN, to i64; a kept axis comes back by RESHAPE."""
    from tflite import TensorType as Kind

    op, y = node.op, node.result
    assert isinstance(op, ops.ArgMax | ops.ArgMin)
    name, options = ("ARG_MAX", "ArgMaxOptions") if isinstance(op, ops.ArgMax) else ("ARG_MIN", "ArgMinOptions")
    made = net.tensor(y)
    if op.keepdims:
        shape = [d for axis, d in enumerate(y.type.shape) if axis != op.axis]
        made = net.scratch(TensorType(DType.I64, tuple(shape)), f"{y.name}_flat")
    axis = net.constant(np.array(op.axis, np.int32), "axis")
    net.add(name, [node.inputs[0], axis], [made], options, OutputType=Kind.INT64)
    if op.keepdims:
        reshape(net, made, y, y.type.shape)


@tflite.emits(ops.CumSum, where=(takes("f32 i32 i64"),))
def cumulative_sum(node: Node, net: Net) -> None:
    """CUMSUM."""
    op = node.op
    assert isinstance(op, ops.CumSum)
    given = node.operand("axis")
    if op.axis is None and given is not None:
        axis = net.scratch(TensorType(DType.I32, ()), "axis")
        reshape(net, as_sizes(net, given), axis, ())
    else:
        axis = net.constant(np.array(op.axis, np.int32), "axis")
    net.add("CUMSUM", [node.inputs[0], axis], node.results, "CumsumOptions", Exclusive=op.exclusive, Reverse=op.reverse)
