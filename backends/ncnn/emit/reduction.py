"""Reductions, softmax, running sums, and ArgMax built of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Node, Op, Value
from mconv.ir.ops import (
    ArgMax,
    ArgMin,
    CumSum,
    LogSoftmax,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    Softmax,
)
from mconv.ir.types import Dim, Shape

from ...base import Refused
from ..backend import ncnn
from ..net import Blob, Net, Param
from ..shapes import around, fits, mat_shape, merge
from .binary import ADD, MUL, SUB, binary_layer, scalar_layer
from .conditions import exact, floats, floats_or_bounded
from .elementwise import unary_layer
from .logic import threshold
from .movement import cut, flip, pad
from .pool import AVERAGE, global_pool
from .pool import MAX as POOL_MAX

SUM, SUM_OF_SQUARES, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP = 0, 2, 3, 4, 5, 6, 7, 8, 9, 10
_KINDS: dict[type[Op], int] = {
    ReduceSum: SUM, ReduceMean: MEAN, ReduceMax: MAX, ReduceMin: MIN, ReduceProd: PROD, ReduceL1: L1, ReduceL2: L2,
    ReduceLogSum: LOG_SUM, ReduceSumSquare: SUM_OF_SQUARES,
}  # fmt: skip
_POOLS: dict[type[Op], int] = {ReduceMean: AVERAGE, ReduceMax: POOL_MAX}


def reduction_layer(net: Net, x: Blob, kind: int, axes: Sequence[int], *, keepdims: bool, suffix: str = "") -> Blob:
    """A Reduction over Mat dimensions."""
    if keepdims:
        shape: Shape = tuple(1 if axis in axes else dim for axis, dim in enumerate(x.shape))
    else:
        shape = tuple(dim for axis, dim in enumerate(x.shape) if axis not in axes) or (1,)
    everything = len(axes) == len(x.shape)
    params: dict[int, Param] = {0: kind, 1: int(everything), 2: 1.0, 3: () if everything else tuple(axes)}
    params |= {4: int(keepdims), 5: 1}
    return net.layer("Reduction", [x], shape, params, suffix=suffix)


def axis_form(net: Net, x: Value, axis: int) -> tuple[Shape, int]:
    """A Mat shape in which ``axis`` is a dimension of its own, and that dimension; best the one in which x is held."""
    current = net.current(x, [axis])
    if current is not None:
        return current[0], current[1][0]
    shape = x.type.shape
    held = mat_shape(shape)
    dropped = x.type.rank - len(held)
    if fits(held) and axis >= dropped:
        return held, axis - dropped
    return around(shape, axis), 1


def reduced_form(node: Node) -> tuple[Shape, tuple[int, ...]]:
    """The operand's Mat shape and the dimensions to reduce."""
    x = node.inputs[0]
    axes: tuple[int, ...] = node.op.axes or ()  # type: ignore[attr-defined]
    held = mat_shape(x.type.shape)
    dropped = x.type.rank - len(held)
    if fits(held) and all(axis >= dropped for axis in axes):
        return held, tuple(sorted(axis - dropped for axis in axes))
    form, kinds = merge(x.type.shape, [axis in axes for axis in range(x.type.rank)])
    return form, tuple(i for i, reduced in enumerate(kinds) if reduced)


def axes_known(node: Node) -> bool | str:
    """the axes are known, and merge into four at most."""
    if node.op.axes is None:  # type: ignore[attr-defined]
        return "its axes are computed"
    form, _ = reduced_form(node)
    return True if fits(form) else f"its axes alternate so that {len(form)} dimensions remain"


@ncnn.emits(*_KINDS, ReduceLogSumExp, where=(axes_known, exact))
def reduce(node: Node, net: Net) -> None:
    """Reduction; the mean or maximum of whole channels is a global Pooling."""
    x, kind = node.inputs[0], _KINDS.get(type(node.op), LOG_SUM_EXP)
    form, axes = net.current(x, sorted(node.op.axes)) or reduced_form(node)  # type: ignore[attr-defined]
    blob = net.shaped(x, form)
    if not axes or (all(form[axis] == 1 for axis in axes) and type(node.op) in (ReduceSum, ReduceMean, ReduceMax)):
        _reduce_nothing(node, net, blob)
    elif type(node.op) in _POOLS and axes == tuple(range(1, len(form))) and len(form) in (3, 4):
        net.give(node.result, global_pool(net, _POOLS[type(node.op)], blob))
    elif kind == LOG_SUM_EXP:
        net.give(node.result, _log_sum_exp(net, blob, axes))
    else:
        keepdims = bool(node.op.keepdims)  # type: ignore[attr-defined]
        net.give(node.result, reduction_layer(net, blob, kind, axes, keepdims=keepdims))


def _reduce_nothing(node: Node, net: Net, x: Blob) -> None:
    """Over no axes only the part that acts on each element remains."""
    kinds: dict[type[Op], int] = {ReduceL1: 0, ReduceL2: 0, ReduceSumSquare: 4, ReduceLogSum: 8}
    kind = kinds.get(type(node.op))
    net.give(node.result, x if kind is None else unary_layer(net, x, kind))


def _log_sum_exp(net: Net, x: Blob, axes: Sequence[int]) -> Blob:
    """max + ln(sum of e^(x - max)): ncnn's own would overflow."""
    greatest = reduction_layer(net, x, MAX, axes, keepdims=True, suffix="max")
    less = binary_layer(net, x, greatest, SUB, x.shape, suffix="less")
    total = reduction_layer(net, less, LOG_SUM_EXP, axes, keepdims=True, suffix="sum")
    return binary_layer(net, total, greatest, ADD, total.shape)


@ncnn.emits(Softmax, where=(floats,))
def softmax(node: Node, net: Net) -> None:
    """Softmax."""
    assert isinstance(node.op, Softmax)
    x = node.inputs[0]
    form, axis = axis_form(net, x, node.op.axis) if x.type.rank else ((1,), 0)
    net.give(node.result, net.layer("Softmax", [net.shaped(x, form)], form, {0: axis, 1: 1}))


@ncnn.emits(LogSoftmax, where=(floats,))
def log_softmax(node: Node, net: Net) -> None:
    """x - max - ln(sum of e^(x - max))."""
    assert isinstance(node.op, LogSoftmax)
    x = node.inputs[0]
    form, axis = axis_form(net, x, node.op.axis) if x.type.rank else ((1,), 0)
    blob = net.shaped(x, form)
    greatest = reduction_layer(net, blob, MAX, (axis,), keepdims=True, suffix="max")
    less = binary_layer(net, blob, greatest, SUB, form, suffix="less")
    total = reduction_layer(net, less, LOG_SUM_EXP, (axis,), keepdims=True, suffix="sum")
    net.give(node.result, binary_layer(net, less, total, SUB, form))


def axis_size_known(node: Node) -> bool | str:
    """the size along the axis is known, and below 2^22."""
    size: Dim = node.inputs[0].type.shape[node.op.axis] if node.inputs[0].type.rank else 1  # type: ignore[attr-defined]
    return True if isinstance(size, int) and size < 1 << 22 else "the size along its axis must be known"


@ncnn.emits(ArgMax, ArgMin, where=(axis_size_known, floats_or_bounded))
def arg_extreme(node: Node, net: Net) -> None:
    """The least place once all others are moved n away; for the last extreme the greatest, all others moved -n."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, ArgMax | ArgMin)
    form, axis = axis_form(net, x, op.axis)
    size = form[axis]
    if not isinstance(size, int):
        raise Refused("the size along its axis must be known", code="MC323", hint="--input-shape")
    blob = net.shaped(x, form)
    greatest = isinstance(op, ArgMax)
    extreme = reduction_layer(net, blob, MAX if greatest else MIN, (axis,), keepdims=True, suffix="extreme")
    difference = binary_layer(net, blob, extreme, SUB, form, suffix="difference")
    if greatest:
        difference = scalar_layer(net, difference, MUL, -1.0, suffix="distance")
    other = threshold(net, difference, suffix="other")  # 0 at the extremes, else 1
    sign = -1 if op.select_last else 1
    far = scalar_layer(net, other, MUL, float(sign * size), suffix="far")
    places = np.arange(size, dtype=np.float32).reshape([size if i == axis else 1 for i in range(len(form))])
    index = net.data(places, places.shape, f"{node.name}/places")
    keyed = binary_layer(net, far, index, ADD, form, suffix="keyed")
    kind = MAX if op.select_last else MIN
    net.give(node.result, reduction_layer(net, keyed, kind, (axis,), keepdims=op.keepdims))


def axis_is_known(node: Node) -> bool:
    """the axis is known."""
    assert isinstance(node.op, CumSum)
    return node.op.axis is not None


@ncnn.emits(CumSum, where=(floats, axis_is_known))
def running_sum(node: Node, net: Net) -> None:
    """CumulativeSum; backwards between two Flips; exclusively shifted by one place."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, CumSum)
    assert op.axis is not None
    form, axis = axis_form(net, x, op.axis)
    blob = net.shaped(x, form)
    if op.reverse:
        blob = flip(net, blob, (axis,), suffix="flip")
    if op.exclusive:
        size = form[axis]
        if not isinstance(size, int):
            raise Refused("the size along its axis must be known", code="MC323", hint="--input-shape")
        blob = _shifted(net, net.reshaped(blob, around(form, axis)), size)
        blob = net.reshaped(blob, form)
    blob = net.layer("CumulativeSum", [blob], form, {0: axis}, suffix="sum" if op.reverse else "")
    net.give(node.result, flip(net, blob, (axis,)) if op.reverse else blob)


def _shifted(net: Net, x: Blob, size: int) -> Blob:
    """[A, size, B] with a zero first and without the last."""
    if size == 1:
        return scalar_layer(net, x, MUL, 0.0, suffix="zero")
    kept = cut(net, x, 1, 0, size - 1, suffix="kept")
    return pad(net, kept, (0, 1, 0), (0, 0, 0), "constant", 0.0, suffix="shift")
