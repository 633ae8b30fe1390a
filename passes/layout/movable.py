"""Operators that run in any order of axes: which of their operands hold data, and what they become in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from mconv.ir import Node, Op, Value
from mconv.ir.graph import padded
from mconv.ir.ops import (
    ArgMax,
    ArgMin,
    Concat,
    CumProd,
    CumSum,
    Dequantize,
    Expand,
    Gather,
    Hardmax,
    LogSoftmax,
    LpNormalize,
    MeanVarianceNormalize,
    Pad,
    Quantize,
    Quantized,
    Resize,
    Slice,
    Softmax,
    Split,
    Tile,
    TopK,
)  # fmt: skip
from mconv.ir.ops import reduction as reductions

from .axes import Order

Moved = Callable[[Any, Order], "Op | None"]

_MOVED: dict[type[Op], Moved] = {}


def _moves(*ops: type[Op]) -> Callable[[Moved], Moved]:
    def register(function: Moved) -> Moved:
        _MOVED.update(dict.fromkeys(ops, function))
        return function

    return register


@_moves(Concat, Split, Softmax, LogSoftmax, Hardmax, LpNormalize, CumSum, CumProd, TopK, Gather)
def _one_axis(op: Any, order: Order) -> Op | None:
    return None if op.axis is None else cast(Op, op.replace(axis=order.index(op.axis)))


@_moves(ArgMax, ArgMin)
def _kept_axis(op: Any, order: Order) -> Op | None:
    return _one_axis(op, order) if op.keepdims else None


@_moves(
    reductions.ReduceSum, reductions.ReduceMean, reductions.ReduceMax, reductions.ReduceMin, reductions.ReduceProd,
    reductions.ReduceL1, reductions.ReduceL2, reductions.ReduceLogSum, reductions.ReduceLogSumExp,
    reductions.ReduceSumSquare,
)  # fmt: skip
def _reduction(op: Any, order: Order) -> Op | None:
    return _axes(op, order) if op.keepdims else None


@_moves(MeanVarianceNormalize)
def _axes(op: Any, order: Order) -> Op | None:
    return None if op.axes is None else cast(Op, op.replace(axes=tuple(sorted(order.index(a) for a in op.axes))))


@_moves(Resize, Slice)
def _axes_in_step(op: Any, order: Order) -> Op | None:
    """Other attributes run along with ``axes``, so these keep their order."""
    if op.axes is None or (isinstance(op, Slice) and None in (op.starts, op.ends, op.steps)):
        return None
    return cast(Op, op.replace(axes=tuple(order.index(a) for a in op.axes)))


@_moves(Pad)
def _pad(op: Pad, order: Order) -> Op | None:
    if op.pads is None:
        return None
    ends = len(op.pads) // 2
    return cast(Op, op.replace(pads=(*(op.pads[a] for a in order), *(op.pads[a + ends] for a in order))))


@_moves(Tile)
def _tile(op: Tile, order: Order) -> Op | None:
    return None if op.repeats is None else Tile(tuple(op.repeats[a] for a in order))


@_moves(Expand)
def _expand(op: Expand, order: Order) -> Op | None:
    if op.shape is None or len(op.shape) > len(order):
        return None
    full = (1,) * (len(order) - len(op.shape)) + op.shape
    return Expand(tuple(full[a] for a in order))


@_moves(Quantize, Dequantize)
def _scaled(op: Any, order: Order) -> Op | None:
    if op.block_size:
        return None
    return cast(Op, op if op.axis is None else op.replace(axis=order.index(op.axis)))


@_moves(Quantized)
def _quantized(op: Quantized, order: Order) -> Op | None:
    inner = moved(op.inner, order)
    if inner is None or (_shares_axes(op.inner) and any(axis is not None for axis in op.axes)):
        return None  # an operand of lower rank counts its scale's axis otherwise
    data = len(op.axes) if _shares_axes(op.inner) else 1
    axes = tuple(_along(axis, order) if index < data else axis for index, axis in enumerate(op.axes))
    return cast(Op, op.replace(inner=inner, axes=axes, axis=_along(op.axis, order)))


def _along(axis: int | None, order: Order) -> int | None:
    return None if axis is None else order.index(axis)


def _shares_axes(op: Op) -> bool:
    """True where all operands have the axes of the result; else only the first has."""
    return op.elementwise or isinstance(op, Concat)


def moved(op: Op, order: Order) -> Op | None:
    """What ``op`` is on data stored in ``order``; None where it cannot run so."""
    if op.elementwise:
        return op
    change = _MOVED.get(type(op))
    return None if change is None else change(op, order)


def data_operands(node: Node) -> tuple[int, ...]:
    """Indices of the operands whose axes are those of the result; the others are scales, indices, counts."""
    op = node.op
    first, step = (2, 3) if isinstance(op, Quantized) else (0, 1)  # a Quantized has scale and zero point beside each
    if _shares_axes(op.inner if isinstance(op, Quantized) else op):
        return tuple(i for i in range(first, len(node.operands), step) if node.operands[i] is not None)
    return (first,)


def participants(node: Node) -> tuple[Value, ...] | None:
    """The values that share the node's order of axes; None where the node has to run as it is written.

    Constants and single numbers take any order and are not among them.
    """
    rank = node.results[0].type.rank
    if rank < 3 or moved(node.op, tuple(range(rank))) is None or any(v.type.rank != rank for v in node.results):
        return None
    places = data_operands(node)
    if any(
        not v.is_constant for i, v in enumerate(padded(node.op, node.operands)) if v is not None and i not in places
    ):
        return None
    values = [node.operands[i] for i in places]
    sharing = [v for v in values if v is not None and not v.is_constant and v.type.numel != 1]
    if not sharing or any(v.type.rank != rank for v in sharing):
        return None
    if any(v is not None and v.is_constant and v.type.rank > rank for v in values):
        return None
    return (*sharing, *node.results)
