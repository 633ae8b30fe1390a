"""Attention on blocked heads, and products of two computed matrices, in f32."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import Attention, MatMul

from .. import packing, reorder
from ..backend import cpp
from ..net import Net
from ..view import BLOCK, View, reshaped, transposed
from .common import at_image, each_image
from .conditions import f32
from .epilogue import number

WIDTH = 3
"""The axis of a head's channels in [N, heads, tokens, width]."""


def plain_scores(node: Node) -> bool | str:
    """scores are not bent, and no row is hidden whole"""
    op = node.op
    assert isinstance(op, Attention)
    q, k = node.inputs[0].type.static_shape, node.inputs[1].type.static_shape
    if op.softcap or (op.causal and q[2] != k[2]):
        return False
    mask = node.operand("mask")
    if mask is None:
        return True
    full = (q[0], q[1], q[2], k[2])
    shape = (1,) * (4 - mask.type.rank) + mask.type.static_shape
    fits = shape[2:] == full[2:] and all(a in (1, b) for a, b in zip(shape, full, strict=True))
    return fits and mask.is_constant and bool(np.isfinite(mask.constant).all())


@cpp.faster(Attention, where=(f32, plain_scores))
def attention(node: Node, net: Net) -> None:
    """Two products a head, with a softmax of rows between."""
    op = node.op
    assert isinstance(op, Attention)
    q, k, v = (_heads(value, net) for value in node.inputs[:3])
    count, heads, tokens, width = q.shape
    keys, value_width = k.shape[2], v.shape[3]
    y = _result(node.result, net)
    mask = node.operand("mask")
    mask_view = None if mask is None else net.planar(mask)
    mask_image = mask_head = 0
    if mask_view is not None:
        shape = (1,) * (4 - len(mask_view.shape)) + mask_view.shape
        mask_head = tokens * keys if shape[1] > 1 else 0
        mask_image = shape[1] * tokens * keys if shape[0] > 1 else 0
    rows, scratch = packing.attention_plan(tokens, keys, width, value_width)
    scale = 1 / math.sqrt(width) if op.scale is None else op.scale
    shape_text = (
        f"static const Attention s{{{heads}, {heads // k.shape[1]}, {tokens}, {keys}, {width}, {value_width}, "
        f"{q.strides[1]}, {k.strides[1]}, {v.strides[1]}, {y.strides[1]}, "
        f"{q.block_stride}, {k.block_stride}, {v.block_stride}, {y.block_stride}, "
        f"{number(scale)}, {int(op.causal)}, {mask_head}, {rows}}};"
    )
    pointers = [at_image(net, x, count) for x in (q, k, v, y)]
    mask_at = "nullptr" if mask_view is None else at_image(net, mask_view, count, mask_image)
    pointers.insert(3, mask_at)
    call = each_image(count, f"attention(r, s, {', '.join(pointers)});")
    reads = [q, k, v, *([mask_view] if mask_view is not None else [])]
    net.step(f"{shape_text}\n{call}", reads, [y], needs=["attention"], scratch=scratch * 4)


def _heads(value: Value, net: Net) -> View:
    """[N, heads, tokens, width] with the width blocked and tokens one behind the other."""
    for view in net.views(value):
        if view.block == WIDTH and (view.strides[2] == BLOCK or view.shape[2] == 1):
            return view
    source = net.view(value)
    result = net.fresh(source.dtype, source.shape, WIDTH)
    reorder.copy(net, source, result)
    net.give(value, result)
    return result


def _result(value: Value, net: Net) -> View:
    """Memory in which [N, heads, tokens, width] is [N, tokens, heads * width], as it is read next, without a copy."""
    count, heads, tokens, width = value.type.static_shape
    if width % BLOCK:
        return net.result(value, WIDTH)
    whole = net.fresh(value.type.dtype, (count, tokens, heads * width), 2)
    split = reshaped(whole, (count, tokens, heads, width))
    assert split is not None
    view = transposed(split, (0, 2, 1, 3))
    net.give(value, view)
    return view


def one_batch(node: Node) -> bool:
    """both are matrices, or stacks of equally many"""
    left, right = (v.type for v in node.inputs)
    if left.rank < 2 or right.rank < 2:
        return False
    batches = [math.prod(t.static_shape[:-2]) for t in (left, right)]
    whole = math.prod(node.result.type.static_shape[:-2])
    return all(b in (1, whole) for b in batches) and 0 not in (*left.static_shape, *right.static_shape)


@cpp.faster(MatMul, where=(f32, one_batch))
def matmul(node: Node, net: Net) -> None:
    """A product of planar matrices, packed on the way."""
    x, z = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    m, k, n = x.shape[-2], x.shape[-1], z.shape[-1]
    batch = math.prod(y.shape[:-2])
    step_x, step_z = (0 if math.prod(v.shape[:-2]) == 1 else v.shape[-2] * v.shape[-1] for v in (x, z))
    text = (
        f"static const MatMul s{{{m}, {n}, {k}, {batch}, {step_x}, {step_z}, {m * n}, {k}, {n}, {n}, 0, {{}}}};\n"
        f"matmul(r, s, {net.ptr(x)}, {net.ptr(z)}, {net.ptr(y)});"
    )
    net.step(text, [x, z], [y], needs=["matmul"], scratch=4 * packing.matmul_scratch(m, k, n))
