"""Scaled dot-product attention written as two products and a softmax."""

from __future__ import annotations

from math import prod

import numpy as np

from mconv.ir import Shape, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import Attention, MatMul, Mul, Reshape, Softmax, Transpose
from mconv.ir.record import Record

from ..canonicalize.movement import reshape_to
from ..pattern import Match, pat
from ..rewrite import Add, rule

MAX_STEPS = 8
"""Nodes between the product and the softmax: scales, masks, and reshapes that add or drop a leading one."""


class _Scores(Record):
    """The product that the softmax takes, what it is scaled by, and the masks added to it (as [.., L, S])."""

    product: tuple[Value, Value]
    scale: float
    masks: list[Value]


@rule(pat(MatMul, pat(Softmax, "scores"), "v"))
def recognize_attention(m: Match, add: Add) -> Value:
    """Softmax(scale q k' + mask) v is Attention(q, k, v, mask).

    But for a row of which a mask hides all: the softmax gives NaN there, Attention zeros. A known mask that does so is
    left alone; a computed one is taken, as nobody means the NaN.
    """
    rank = m["scores"].type.rank
    m.require(rank >= 3 and m.op(Softmax).axis == rank - 1, "not a softmax over the last of 3 or more axes")
    m.require(m.only_reader(Softmax), "the weights are read elsewhere")
    found = _scores(m, add, m["scores"])
    q, before = _unscaled(m, found.product[0])
    k, after = _keys(m, add, found.product[1])
    v = m["v"]
    m.require(q.type.rank == k.type.rank == v.type.rank == rank, "operands of different rank")
    lead = q.type.shape[:-2]
    m.require(lead == k.type.shape[:-2] == v.type.shape[:-2], "heads broadcast")
    m.require(not any(map(hides_a_row, found.masks)), "a mask hides a whole row, which is NaN here")
    mask: Value | None = None
    for each in found.masks:
        mask = each if mask is None else add(AddOp(), mask, each)
    scale = found.scale * before * after
    if rank == 4:
        return add(Attention(scale=scale), q, k, v, mask)
    m.require(all(isinstance(d, int) for d in lead), "batches are known only at run time")
    merged = _four(lead)
    if mask is not None:
        mask = _mask_of_four(m, add, mask, lead, merged)
    result = add(Attention(scale=scale), *(add(Reshape((*merged, *_tail(x))), x) for x in (q, k, v)), mask)
    return add(reshape_to(result.type, m.root.result.type.shape), result)


def hides_a_row(mask: Value) -> bool:
    """True for a known mask of numbers that is minus infinity all along a row."""
    if mask.data is None or not mask.data.size:
        return False
    return bool(np.isneginf(np.atleast_1d(mask.data).max(axis=-1)).any())


def _four(lead: Shape) -> tuple[int, int]:
    """Batch and heads: the heads are the last of the leading axes, a single leading axis is all heads."""
    dims = [d for d in lead if isinstance(d, int)]
    return prod(dims[:-1]), dims[-1]


def _tail(x: Value) -> tuple[int, int]:
    length, size = x.type.static_shape[-2:]
    return length, size


def _mask_of_four(m: Match, add: Add, mask: Value, lead: Shape, merged: tuple[int, int]) -> Value:
    m.require(mask.type.is_static, "the mask's sizes are known only at run time")
    shape = mask.type.static_shape
    if len(shape) <= 3:
        return mask
    outer = shape[:-3]
    m.require(
        all(d == 1 for d in outer) or outer == lead[len(lead) - 1 - len(outer) : -1], "the mask broadcasts batches"
    )
    m.require(len(outer) == len(lead) - 1 or prod(outer) == 1, "the mask broadcasts batches")
    return add(Reshape((prod(outer), *shape[-3:])), mask)


def _scores(m: Match, add: Add, scores: Value) -> _Scores:
    masks: list[Value] = []
    scale = 1.0
    value = scores
    for _ in range(MAX_STEPS):
        node = value.producer
        m.require(node is not None and m.graph.use_count(value) == 1, "the scores are no product, or read elsewhere")
        assert node is not None
        if isinstance(node.op, MatMul):
            a, b = node.inputs
            return _Scores((a, b), scale, masks[::-1])
        if isinstance(node.op, Mul):
            value, number = _number_and_other(m, node.inputs)
            scale *= number
        elif isinstance(node.op, Reshape):
            value, masks = _through_reshape(m, add, node.inputs[0], value, masks)
        else:
            m.require(isinstance(node.op, AddOp) and scale == 1.0, "the scores are no scaled, masked product")
            value, mask = _scores_and_mask(m, node.inputs, value)
            masks.append(mask)
    m.require(False, "too many steps between product and softmax")
    raise AssertionError


def _number_and_other(m: Match, operands: tuple[Value, ...]) -> tuple[Value, float]:
    for this, other in (operands, operands[::-1]):
        number = _number(other)
        if number is not None:
            return this, number
    m.require(False, "the scores are multiplied by a tensor")
    raise AssertionError


def _scores_and_mask(m: Match, operands: tuple[Value, ...], total: Value) -> tuple[Value, Value]:
    for this, other in (operands, operands[::-1]):
        if _leads_to_product(this) and this.type.shape == total.type.shape:
            return this, other
    m.require(False, "no operand of the addition is the scaled product")
    raise AssertionError


def _leads_to_product(value: Value) -> bool:
    for _ in range(MAX_STEPS):
        node = value.producer
        if node is None or isinstance(node.op, MatMul):
            return node is not None
        if not isinstance(node.op, Mul | AddOp | Reshape):
            return False
        candidates = [v for v in node.inputs if v.data is None]
        if len(candidates) != 1:
            return False
        value = candidates[0]
    return False


def _through_reshape(m: Match, add: Add, inner: Value, outer: Value, masks: list[Value]) -> tuple[Value, list[Value]]:
    """The value above a Reshape that adds or drops a leading one, and the masks as seen from there."""
    a, b = inner.type.shape, outer.type.shape
    if a == (1, *b):
        return inner, masks
    m.require((1, *a) == b, "the scores change shape")
    seen = []
    for mask in masks:
        if mask.type.rank == len(b):
            m.require(mask.type.shape[0] == 1, "a mask with a batch of its own")
            mask = add(reshape_to(mask.type, mask.type.shape[1:]), mask)
        seen.append(mask)
    return inner, seen


def _number(value: Value) -> float | None:
    return float(value.data.flat[0]) if value.data is not None and value.data.size == 1 else None


def _unscaled(m: Match, value: Value) -> tuple[Value, float]:
    """The factor without the number it is multiplied by, and that number."""
    node = value.producer
    if node is None or not isinstance(node.op, Mul) or m.graph.use_count(value) != 1:
        return value, 1.0
    for this, other in (node.inputs, node.inputs[::-1]):
        number = _number(other)
        if number is not None and this.type.shape == value.type.shape:
            return this, number
    return value, 1.0


def _keys(m: Match, add: Add, turned: Value) -> tuple[Value, float]:
    """k [.., S, E] of k' [.., E, S], and the number it is multiplied by; what already turned k is undone."""
    rank = turned.type.rank
    swap = (*range(rank - 2), rank - 1, rank - 2)
    turned, scale = _unscaled(m, turned)
    node = turned.producer
    if node is None or not isinstance(node.op, Transpose):
        return add(Transpose(swap), turned), scale
    inner = node.inputs[0]
    if m.graph.use_count(turned) == 1:
        inner, more = _unscaled(m, inner)
        scale *= more
    perm = tuple(node.op.perm[axis] for axis in swap)
    return (inner if perm == tuple(range(rank)) else add(Transpose(perm), inner)), scale


ATTENTION = (recognize_attention,)
