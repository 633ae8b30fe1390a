"""Normalisations and softmax over the channels of blocked values in f32."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LogSoftmax, RMSNorm, Softmax

from .. import packing
from ..backend import cpp
from ..net import Net
from ..step import Rows
from ..view import View
from . import epilogue
from .common import at_image, each_image
from .conditions import f32
from .conv import CHANNELS, images
from .epilogue import number
from .reduction import general_softmax


def last_axis(node: Node) -> bool:
    """over the last axis, with constant gamma and beta"""
    op, value = node.op, node.inputs[0]
    assert isinstance(op, LayerNorm | RMSNorm)
    return value.type.rank > 1 and op.axis == value.type.rank - 1 and _constant_parameters(node)


def _constant_parameters(node: Node) -> bool:
    return all(v.is_constant and v.type.rank == 1 for v in node.inputs[1:])


def _parameter(value: Value | None, net: Net) -> View | None:
    return None if value is None else net.constant(packing.pack_vector(value.constant).reshape(-1))


@cpp.faster(LayerNorm, RMSNorm, where=(f32, last_axis))
def over_channels(node: Node, net: Net) -> None:
    """Each pixel's channels."""
    op = node.op
    assert isinstance(op, LayerNorm | RMSNorm)
    value, axis = node.inputs[0], node.inputs[0].type.rank - 1
    x = net.blocked(value, axis)
    parameters = [_parameter(node.operand(name), net) for name in ("gamma", "beta")]
    y = net.result(node.result, axis, over=[value])
    gamma, beta = ("nullptr" if p is None else net.ptr(p) for p in parameters)
    name = "layer_norm" if isinstance(op, LayerNorm) else "rms_norm"
    found = x.images()
    assert found is not None
    call = each_image(
        found[0],
        f"{name}(r, {x.channels}, {found[2]}, {number(op.epsilon)}, {x.block_stride}, {y.block_stride}, "
        f"{at_image(net, x, found[0])}, {gamma}, {beta}, {at_image(net, y, found[0])});",
    )
    net.step(call, [x, *(p for p in parameters if p is not None)], [y], needs=["norm"])


def constant_parameters(node: Node) -> bool:
    """gamma and beta are constant"""
    return _constant_parameters(node)


@cpp.faster(GroupNorm, InstanceNorm, where=(images, f32, constant_parameters))
def over_groups(node: Node, net: Net) -> None:
    """Groups of channels with all their pixels."""
    op = node.op
    assert isinstance(op, GroupNorm | InstanceNorm)
    x = net.blocked(node.inputs[0], CHANNELS)
    parameters = [_parameter(node.operand(name), net) for name in ("gamma", "beta")]
    y = net.result(node.result, CHANNELS, over=[node.inputs[0]])
    gamma, beta = ("nullptr" if p is None else net.ptr(p) for p in parameters)
    groups = op.groups if isinstance(op, GroupNorm) else x.channels
    shape = node.inputs[0].type.static_shape
    count, pixels = shape[0], math.prod(shape[2:])  # images of one block lie together, and are not one image
    call = each_image(
        count,
        f"group_norm(r, {x.channels}, {groups}, {pixels}, {number(op.epsilon)}, {x.block_stride}, {y.block_stride}, "
        f"{at_image(net, x, count)}, {gamma}, {beta}, {at_image(net, y, count)});",
    )
    scratch = 4 * 32 * x.blocks
    net.step(call, [x, *(p for p in parameters if p is not None)], [y], needs=["norm"], scratch=scratch)


@cpp.faster(Softmax, LogSoftmax, where=(f32,))
def softmax(node: Node, net: Net) -> None:
    """Over blocked channels where x is so blocked; else over planar rows."""
    op, value = node.op, node.inputs[0]
    assert isinstance(op, Softmax | LogSoftmax)
    axis = op.axis % value.type.rank
    x = next((v for v in net.views(value) if v.block == axis and v.images() is not None), None)
    if x is None:
        general_softmax(node, net)
        return
    found = x.images()
    assert found is not None
    y = net.result(node.result, axis, over=[value])
    call = each_image(
        found[0],
        f"softmax_channels(r, {x.channels}, {found[2]}, {str(isinstance(op, LogSoftmax)).lower()}, {x.block_stride}, "
        f"{y.block_stride}, {at_image(net, x, found[0])}, {at_image(net, y, found[0])});",
    )
    net.step(call, [x], [y], needs=["norm"])


def constant_statistics(node: Node) -> bool:
    """gamma, beta, mean and var are constant"""
    return all(v.is_constant for v in node.inputs[1:])


@cpp.faster(BatchNorm, where=(images, f32, constant_statistics))
def batch_norm(node: Node, net: Net) -> None:
    """Channels scaled and shifted, with the activation that follows."""
    op = node.op
    assert isinstance(op, BatchNorm)
    gamma, beta, mean, var = (v.constant.astype(np.float64) for v in node.inputs[1:])
    factor = gamma / np.sqrt(var + op.epsilon)
    scale, shift = (
        net.constant(packing.pack_vector(a.astype(np.float32)).reshape(-1)) for a in (factor, beta - mean * factor)
    )
    after = epilogue.activation_only(node, net, CHANNELS)
    x = net.blocked(node.inputs[0], CHANNELS)
    y = net.result(after.value, CHANNELS, over=[node.inputs[0]])
    found = x.images()
    assert found is not None
    slope = "nullptr" if after.slope is None else net.ptr(after.slope)
    call = each_image(
        found[0],
        f"affine(r, {x.channels}, {found[2]}, {x.block_stride}, {y.block_stride}, {at_image(net, x, found[0])}, "
        f"{net.ptr(scale)}, {net.ptr(shift)}, post, {slope}, {at_image(net, y, found[0])});",
    )
    text = f"static const Post post{after.post()};\n{call}"
    rows = Rows(1, y, x)
    net.step(text, [x, scale, shift, *after.reads], [y], needs=["affine"], covers=after.covers, stream=rows)
