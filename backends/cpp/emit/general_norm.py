"""Normalisations of planar values."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import Net
from ..view import View
from .common import ctype, floats, is_empty, truth


@cpp.emits(o.LayerNorm, o.RMSNorm, o.GroupNorm, o.InstanceNorm, where=(floats,))
def normalize(node: Node, net: Net) -> None:
    """Rows shifted by their mean and scaled by their spread."""
    general(node, net)


def general(node: Node, net: Net) -> None:
    """On planar values, f32 or f64."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    shape = value.type.static_shape
    centred = not isinstance(op, o.RMSNorm)
    vectors: list[View | None]
    if isinstance(op, o.LayerNorm | o.RMSNorm):
        rest = shape[op.axis :]
        groups, channels, inner = 1, math.prod(rest), 1
        names = ("gamma",) if isinstance(op, o.RMSNorm) else ("gamma", "beta")
        vectors = [_whole(net, node.operand(name), rest) for name in names]
    else:
        assert isinstance(op, o.GroupNorm | o.InstanceNorm)
        groups = op.groups if isinstance(op, o.GroupNorm) else shape[1]
        channels, inner = shape[1] // groups, math.prod(shape[2:])
        vectors = [None if v is None else net.planar(v) for v in (node.operand("gamma"), node.operand("beta"))]
    vectors += [None] * (2 - len(vectors))
    x, y = net.planar(value), net.result(node.result, over=[value])
    rows = math.prod(shape) // (channels * inner)
    head = f"static const Standard s{{{groups}, {channels}, {inner}, {op.epsilon!r}, {truth(centred)}}};"
    others = ", ".join("nullptr" if v is None else net.ptr(v) for v in vectors)
    call = f"standardise<{ctype(value)}>(r, {net.ptr(x)}, {net.ptr(y)}, {rows}, s, {others});"
    net.step(f"{head}\n{call}", [x, *(v for v in vectors if v is not None)], [y], needs=["standardise"])


def _whole(net: Net, value: Value | None, shape: tuple[int, ...]) -> View | None:
    """A scale with as many elements as it serves."""
    if value is None or value.type.static_shape == shape:
        return None if value is None else net.planar(value)
    if value.is_constant:
        return net.constant(np.ascontiguousarray(np.broadcast_to(value.constant, shape)))
    source = net.planar(value)
    missing = len(shape) - len(source.shape)
    pairs = [(1, 0)] * missing + list(zip(source.shape, source.strides, strict=True))
    strides = tuple(0 if size == 1 else stride for size, stride in pairs)
    target = net.fresh(source.dtype, shape)
    reorder.copy(net, source.replace(shape=shape, strides=strides), target)
    return target
