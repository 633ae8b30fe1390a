"""Attention as SDPA. Batch and heads are one dimension; each head's scores never leave the layer."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Attention
from mconv.ir.types import Array, Shape, product

from ..backend import ncnn
from ..net import Blob, Net, Param
from .binary import ADD, MUL, binary_layer, scalar_layer
from .conditions import static
from .logic import threshold
from .movement import tile
from .reduction import MAX, reduction_layer

_HIDDEN = -1e38  # added to a score that is hidden
_LARGEST = 3.4028234663852886e38


def no_softcap(node: Node) -> bool:
    """the scores are not capped."""
    assert isinstance(node.op, Attention)
    return node.op.softcap == 0


def float_operands(node: Node) -> bool | str:
    """q, k and v are floating-point."""
    return all(v.type.dtype.is_float for v in node.inputs[:3])


def whole_mask(node: Node) -> bool | str:
    """a computed mask has a number for each score (it may be the same for all heads)."""
    mask = node.operand("mask")
    if mask is None or mask.data is not None:
        return True
    q, k = node.inputs[0].type, node.inputs[1].type
    wanted = (q.shape[2], k.shape[2])
    return True if mask.type.shape[-2:] == wanted else f"its computed mask {mask.type} leaves rows or columns out"


@ncnn.emits(Attention, where=(float_operands, static, no_softcap, whole_mask))
def attention(node: Node, net: Net) -> None:
    """SDPA; rows of which all is hidden are multiplied by zero."""
    op = node.op
    assert isinstance(op, Attention)
    q, k, v = node.inputs[:3]
    blobs = [net.shaped(x, (product(x.type.shape[:2]), *x.type.shape[2:])) for x in (q, k, v)]
    mask, seen = _mask(node, net)
    scale = op.scale if op.scale is not None else 1 / math.sqrt(q.type.static_shape[3])
    inputs = blobs if mask is None else [*blobs, mask]
    shape: Shape = (blobs[0].shape[0], blobs[0].shape[1], blobs[2].shape[2])
    params: dict[int, Param] = {5: int(mask is not None), 6: float(scale), 7: 0, 18: 0}
    result = net.layer("SDPA", inputs, shape, params, suffix="" if seen is None else "blind")
    net.give(node.result, result if seen is None else binary_layer(net, result, seen, MUL, shape))


def _mask(node: Node, net: Net) -> tuple[Blob | None, Blob | None]:
    """What is added to the scores, and 0 for the rows of which all is hidden (None where there are none)."""
    op, mask = node.op, node.operand("mask")
    assert isinstance(op, Attention)
    rows, columns = node.inputs[0].type.static_shape[2], node.inputs[1].type.static_shape[2]
    if mask is not None and mask.data is None:
        blob = _computed_mask(node, net, mask)
        if op.causal:
            blob = _causal(node, net, blob)
        return _finite(net, blob), _seen(net, blob, mask.type.dtype)
    added = op.bias(rows, columns, None if mask is None else mask.constant, np.dtype(np.float32))
    if added is None:
        return None, None
    whole: Array = np.zeros((1, 1, rows, columns), np.float32) + added
    numbers: Array = _by_head(node, whole)
    hidden = np.isneginf(numbers).all(axis=-1, keepdims=True)
    alive: Array = (~hidden).astype(np.float32).reshape((-1, rows, 1))
    seen = net.data(alive, alive.shape, f"{node.name}/seen") if hidden.any() else None
    finite: Array = np.maximum(numbers, np.float32(_HIDDEN))
    return net.data(finite, numbers.shape, f"{node.name}/mask"), seen


def _by_head(node: Node, numbers: Array) -> Array:
    """[L, S] where all heads have the same mask, else [batch and heads, L, S]."""
    if numbers.shape[:2] == (1, 1):
        return numbers.reshape(numbers.shape[2:])
    batch, heads = node.inputs[0].type.static_shape[:2]
    full = np.broadcast_to(numbers, (batch, heads, *numbers.shape[2:]))
    return np.ascontiguousarray(full).reshape(batch * heads, *numbers.shape[2:])


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
        blob = scalar_layer(net, blob, MUL, -_HIDDEN, suffix="added")
    return blob


def _causal(node: Node, net: Net, mask: Blob) -> Blob:
    rows, columns = mask.shape[-2:]
    later = np.where(np.tri(int(str(rows)), int(str(columns)), dtype=np.bool_), 0, _HIDDEN).astype(np.float32)
    ones = (1,) * (len(mask.shape) - 2)
    blob = net.data(later, (*ones, *later.shape), f"{node.name}/later")
    return binary_layer(net, mask, blob, ADD, mask.shape, suffix="causal")


def _finite(net: Net, mask: Blob) -> Blob:
    """Infinities in a softmax make NaNs; numbers far below all scores do not."""
    return net.layer("Clip", [mask], mask.shape, {0: _HIDDEN, 1: -_HIDDEN}, suffix="mask")


def _seen(net: Net, mask: Blob, dtype: DType) -> Blob:
    """1 for the rows (of [L, S] or [heads, L, S]) of which something counts."""
    last = len(mask.shape) - 1
    if dtype is DType.BOOL:
        counts = threshold(net, mask, _HIDDEN / 2, suffix="counts")
    else:  # of a float mask only minus infinity hides; all that is finite is above this when halved
        counts = threshold(net, scalar_layer(net, mask, MUL, 0.5, suffix="half"), -_LARGEST * 0.75, suffix="counts")
    seen = reduction_layer(net, counts, MAX, (last,), keepdims=True, suffix="seen")
    return seen if last == 2 else net.reshaped(seen, (1, *seen.shape))
