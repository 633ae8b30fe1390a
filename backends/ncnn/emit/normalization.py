"""Normalisations. ncnn normalises inner dimensions (LayerNorm) or outer ones (GroupNorm), without a batch."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import (
    LRN,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LpNormalize,
    MeanVarianceNormalize,
    RMSNorm,
)
from mconv.ir.types import Array, Shape, product

from ...base import Refused
from ..backend import ncnn
from ..net import Blob, Net, Param, Weight, numbers
from ..shapes import around, default_form, merge
from .binary import ADD, DIV, MAX, MUL, binary_layer, scalar_layer
from .conditions import constant, floats
from .elementwise import unary_layer
from .reduction import L1, SUM_OF_SQUARES, reduction_layer

_TINY = 1.1754943508222875e-38  # the least normal float: a zero norm divides by it, and zero stays zero


@ncnn.emits(BatchNorm, where=(floats, constant("gamma", "beta", "mean", "var")))
def batch_norm(node: Node, net: Net) -> None:
    """BatchNorm; with a batch a product and a sum that broadcast."""
    op = node.op
    assert isinstance(op, BatchNorm)
    x = node.inputs[0]
    gamma, beta, mean, var = (v.constant for v in node.inputs[1:])
    if x.type.shape[0] == 1 and x.type.rank >= 2:
        blob = net.blob(x)
        if blob.shape[0] != gamma.size:
            blob = net.held(x)
        weights = [numbers(a, tagged=False) for a in (gamma, mean, var, beta)]
        params: dict[int, Param] = {0: int(gamma.size), 1: float(op.epsilon)}
        net.give(node.result, net.layer("BatchNorm", [blob], blob.shape, params, weights))
        return
    scale = gamma.astype(np.float64) / np.sqrt(var.astype(np.float64) + op.epsilon)
    shift = (beta - mean * scale).astype(np.float32)
    batch, channels, *rest = x.type.shape
    blob = net.shaped(x, (batch, channels, product(rest)))
    scales = net.data(scale.astype(np.float32), (1, int(gamma.size), 1), f"{node.name}/scale")
    shifts = net.data(shift, (1, int(gamma.size), 1), f"{node.name}/shift")
    scaled = binary_layer(net, blob, scales, MUL, blob.shape, suffix="scaled")
    net.give(node.result, binary_layer(net, scaled, shifts, ADD, blob.shape))


def inner_sizes(node: Node) -> bool | str:
    """the normalised sizes are known."""
    axis: int = node.op.axis  # type: ignore[attr-defined]
    inner = node.inputs[0].type.shape[axis:]
    return True if all(isinstance(d, int) for d in inner) else "the normalised sizes must be known (--input-shape)"


@ncnn.emits(LayerNorm, RMSNorm, where=(floats, inner_sizes, constant("gamma", "beta")))
def layer_norm(node: Node, net: Net) -> None:
    """LayerNorm or RMSNorm over the innermost dimension, into which the normalised axes are merged."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, LayerNorm | RMSNorm)
    inner = x.type.shape[op.axis :]
    size = math.prod(d for d in inner if isinstance(d, int))
    blob = net.blob(x)
    if blob.shape[-1] != size:
        outer = product(x.type.shape[: op.axis])
        blob = net.shaped(x, (size,) if outer == 1 else (outer, size))
    gamma, beta = node.operand("gamma"), node.operand("beta") if isinstance(op, LayerNorm) else None
    affine = gamma is not None or beta is not None
    weights: list[Weight] = []
    if affine:
        weights.append(_broadcast(gamma, inner, 1.0))
        if isinstance(op, LayerNorm):
            weights.append(_broadcast(beta, inner, 0.0))
    params: dict[int, Param] = {0: size, 1: float(op.epsilon), 2: int(affine)}
    net.give(node.result, net.layer(type(op).__name__, [blob], blob.shape, params, weights))


def _broadcast(value: Value | None, shape: Shape, absent: float) -> Weight:
    """gamma or beta over the whole of the normalised axes."""
    sizes = tuple(d for d in shape if isinstance(d, int))
    array: Array = np.full(1, absent, np.float32) if value is None else value.constant
    return numbers(np.ascontiguousarray(np.broadcast_to(array, sizes)), tagged=False)


@ncnn.emits(GroupNorm, InstanceNorm, where=(floats, constant("gamma", "beta")))
def group_norm(node: Node, net: Net) -> None:
    """GroupNorm over the outermost dimension; a batch multiplies the groups, as each image's are its own."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, GroupNorm | InstanceNorm)
    batch, channels, *rest = x.type.shape
    if not isinstance(batch, int) or not isinstance(channels, int):
        raise Refused("batch and channels must be known", code="MC323", hint="--input-shape")
    groups = op.groups if isinstance(op, GroupNorm) else channels
    count = batch * channels
    blob = net.blob(x)
    if blob.shape[0] != count:
        blob = net.shaped(x, (count, product(rest)))
    gamma, beta = node.operand("gamma"), node.operand("beta")
    affine = gamma is not None or beta is not None
    weights = []
    if affine:
        for value, absent in ((gamma, 1.0), (beta, 0.0)):
            one: Array = np.full(channels, absent, np.float32) if value is None else value.constant
            weights.append(numbers(np.tile(one, batch), tagged=False))
    params: dict[int, Param] = {0: batch * groups, 1: count, 2: float(op.epsilon), 3: int(affine)}
    net.give(node.result, net.layer("GroupNorm", [blob], blob.shape, params, weights))


def odd_size(node: Node) -> bool:
    """the number of neighbouring channels is odd (ncnn takes one more of an even number)."""
    assert isinstance(node.op, LRN)
    return node.op.size % 2 == 1


def batch_is_one(node: Node) -> bool:
    """the batch is 1."""
    return node.inputs[0].type.shape[0] == 1


@ncnn.emits(LRN, where=(floats, odd_size, batch_is_one))
def lrn(node: Node, net: Net) -> None:
    """LRN across channels."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, LRN)
    _, channels, *rest = x.type.shape
    blob = net.shaped(x, (channels, *rest) if len(rest) == 2 else (channels, 1, product(rest)))
    params: dict[int, Param] = {0: 0, 1: op.size, 2: float(op.alpha), 3: float(op.beta), 4: float(op.bias)}
    net.give(node.result, net.layer("LRN", [blob], blob.shape, params))


@ncnn.emits(LpNormalize, where=(floats,))
def lp_normalize(node: Node, net: Net) -> None:
    """A Reduction to the norm, and a division by it."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, LpNormalize)
    form = default_form(x.type.shape)
    dropped = x.type.rank - len(form)
    blob, axis = net.shaped(x, form), op.axis - dropped
    if dropped > 1 or axis < 0:
        blob, axis = net.shaped(x, around(x.type.shape, op.axis)), 1
    if op.p == 1:
        norm = reduction_layer(net, blob, L1, (axis,), keepdims=True, suffix="norm")
    else:
        norm = reduction_layer(net, blob, SUM_OF_SQUARES, (axis,), keepdims=True, suffix="squares")
        if op.epsilon_mode == "add":
            norm = scalar_layer(net, norm, ADD, op.epsilon, suffix="plus")
        norm = unary_layer(net, norm, 5, suffix="norm")
    least = op.epsilon if op.epsilon_mode == "max" else 0.0
    divisor = scalar_layer(net, norm, MAX, max(least, _TINY), suffix="divisor")
    net.give(node.result, binary_layer(net, blob, divisor, DIV, blob.shape))


def inner_axes(node: Node) -> bool:
    """the axes are all after some place: per image, or per channel of one image."""
    op = node.op
    assert isinstance(op, MeanVarianceNormalize)
    _, kinds = merge(node.inputs[0].type.shape, [axis in op.axes for axis in range(node.inputs[0].type.rank)])
    return kinds in ([True], [False, True])


@ncnn.emits(MeanVarianceNormalize, where=(floats, inner_axes))
def mean_variance(node: Node, net: Net) -> None:
    """MVN over each channel."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, MeanVarianceNormalize)
    form, kinds = merge(x.type.shape, [axis in op.axes for axis in range(x.type.rank)])
    outer = (1, *form) if len(kinds) == 1 else form
    blob: Blob = net.shaped(x, (outer[0], 1, outer[1]))
    net.give(node.result, net.layer("MVN", [blob], blob.shape, {0: 1, 1: 0, 2: float(op.epsilon)}))
