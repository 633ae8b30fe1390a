"""Attention as SDPA. Batch and heads are one dimension; each head's scores never leave the layer."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Attention
from mconv.ir.types import Array, Shape, product

from ..backend import ncnn
from ..net import Blob, Net
from .binary import ADD, MUL, scalar_layer
from .conditions import static
from .movement import tile

_HIDDEN = 1e38  # taken from a score that a computed mask hides


def no_softcap(node: Node) -> bool:
    """the scores are not capped."""
    assert isinstance(node.op, Attention)
    return node.op.softcap == 0


def float_operands(node: Node) -> bool | str:
    """q, k and v are floating-point."""
    return all(v.type.dtype.is_float for v in node.inputs[:3])


def whole_mask(node: Node) -> bool | str:
    """a mask has a number for each score (it may be the same for all heads)."""
    mask = node.operand("mask")
    if mask is None or mask.data is not None:
        return True
    q, k = node.inputs[0].type, node.inputs[1].type
    wanted = (q.shape[2], k.shape[2])
    return True if mask.type.shape[-2:] == wanted else f"its computed mask {mask.type} leaves rows or columns out"


def causal_without_computed_mask(node: Node) -> bool:
    """it is not causal besides having a computed mask."""
    assert isinstance(node.op, Attention)
    mask = node.operand("mask")
    return not node.op.causal or mask is None or mask.data is not None


@ncnn.emits(Attention, where=(float_operands, static, no_softcap, whole_mask, causal_without_computed_mask))
def attention(node: Node, net: Net) -> None:
    """SDPA."""
    op = node.op
    assert isinstance(op, Attention)
    q, k, v = node.inputs[:3]
    blobs = [net.shaped(x, (product(x.type.shape[:2]), *x.type.shape[2:])) for x in (q, k, v)]
    mask = _mask(node, net)
    scale = op.scale if op.scale is not None else 1 / math.sqrt(q.type.static_shape[3])
    inputs = blobs if mask is None else [*blobs, mask]
    shape: Shape = (blobs[0].shape[0], blobs[0].shape[1], blobs[2].shape[2])
    params = {5: int(mask is not None), 6: float(scale), 7: 0, 18: 0}
    net.give(node.result, net.layer("SDPA", inputs, shape, params))


def _mask(node: Node, net: Net) -> Blob | None:
    op, mask = node.op, node.operand("mask")
    assert isinstance(op, Attention)
    if mask is not None and mask.data is None:
        return _computed_mask(node, net, mask)
    if mask is None and not op.causal:
        return None
    batch, heads, rows, _ = node.inputs[0].type.static_shape
    columns = node.inputs[1].type.static_shape[2]
    numbers: Array = np.zeros((1, 1, rows, columns), np.float32)
    if mask is not None:
        numbers = numbers + _added(mask.constant, columns)
    if op.causal:
        numbers = np.where(np.tri(rows, columns, dtype=bool), numbers, np.float32(-np.inf))
    if numbers.shape[:2] != (1, 1):
        numbers = np.broadcast_to(numbers, (batch, heads, rows, columns))
        numbers = np.ascontiguousarray(numbers).reshape(batch * heads, rows, columns)
    else:
        numbers = numbers.reshape(rows, columns)
    return net.data(numbers, numbers.shape, f"{node.name}/mask")


def _added(mask: Array, columns: int) -> Array:
    """What a constant mask adds to the scores, in four axes and all columns."""
    if mask.dtype == bool:
        mask = np.where(mask, np.float32(0), np.float32(-np.inf))
    mask = mask.astype(np.float32).reshape((1,) * (4 - mask.ndim) + mask.shape)
    missing = columns - mask.shape[-1]
    if missing > 0:
        mask = np.pad(mask, [(0, 0)] * 3 + [(0, missing)], constant_values=-np.inf)
    return mask


def _computed_mask(node: Node, net: Net, mask: Value) -> Blob:
    batch, heads = node.inputs[0].type.static_shape[:2]
    shape = (1,) * (4 - mask.type.rank) + mask.type.static_shape
    if shape[:2] == (1, 1):
        blob = net.shaped(mask, shape[2:])
    else:
        blob = net.shaped(mask, shape)
        if shape[:2] != (batch, heads):
            blob = tile(net, blob, (batch // shape[0], heads // shape[1], 1, 1), suffix="heads")
        blob = net.reshaped(blob, (batch * heads, *shape[2:]))
    if mask.type.dtype is DType.BOOL:  # 1 and 0 become 0 and a number far below all scores
        blob = scalar_layer(net, blob, ADD, -1.0, suffix="hide")
        blob = scalar_layer(net, blob, MUL, _HIDDEN, suffix="mask")
    return blob
