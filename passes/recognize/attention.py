"""Scaled dot-product attention written as two products and a softmax."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import Attention, MatMul, Mul, Softmax, Transpose

from ..canonicalize.movement import reshape_to
from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(MatMul, pat(Softmax, "scores"), "v"))
def recognize_attention(m: Match, add: Add) -> Value:
    """Softmax(scale q k' + mask) v is Attention(q, k, v, mask)."""
    softmax = m.op(Softmax)
    rank = m["scores"].type.rank
    m.require(rank in (3, 4) and softmax.axis == rank - 1, "not a softmax over the last of 3 or 4 axes")
    m.require(m.only_reader(Softmax), "the weights are read elsewhere")
    mask, scale, product = _scores(m, m["scores"])
    q, keys = product
    q, before = _unscaled(m, q)
    keys, after = _unscaled(m, keys)
    v = m["v"]
    m.require(q.type.rank == keys.type.rank == v.type.rank == rank, "operands of different rank")
    m.require(q.type.shape[:-2] == keys.type.shape[:-2] == v.type.shape[:-2], "heads broadcast")
    m.require(mask is None or rank == 4 or mask.type.rank <= 2 or mask.type.shape[0] == 1, "a mask a head of rank 3")
    swap = (*range(rank - 2), rank - 1, rank - 2)
    k = _transposed(add, keys, swap)
    if rank == 3:  # [B, L, E] is taken as B heads
        q, k, v = (add(reshape_to(x.type, (1, *x.type.shape)), x) for x in (q, k, v))
        if mask is not None and mask.type.rank == 3:
            mask = add(reshape_to(mask.type, (1, *mask.type.shape)), mask)
    result = add(Attention(scale=scale * before * after), q, k, v, mask)
    return result if rank == 4 else add(reshape_to(result.type, m.root.result.type.shape), result)


def _scores(m: Match, scores: Value) -> tuple[Value | None, float, tuple[Value, Value]]:
    """Mask, scale and the two factors of the product that the softmax takes."""
    mask: Value | None = None
    scale = 1.0
    value = scores
    for _ in range(3):
        node = value.producer
        m.require(
            node is not None and (value is scores or m.graph.use_count(value) == 1), "the scores are read elsewhere"
        )
        assert node is not None
        if isinstance(node.op, MatMul):
            a, b = node.inputs
            return mask, scale, (a, b)
        a, b = node.inputs if len(node.inputs) == 2 else (value, value)
        if isinstance(node.op, Mul) and (number := _number(b) or _number(a)) is not None:
            value = a if _number(b) is not None else b
            scale *= number
            continue
        m.require(
            isinstance(node.op, AddOp) and mask is None and scale == 1.0, "the scores are no scaled, masked product"
        )
        mask = b if _leads_to_product(a) else a
        value = a if mask is b else b
        m.require(value.type.shape == scores.type.shape, "the mask broadcasts the scores")
    m.require(False, "the scores are no scaled, masked product")
    raise AssertionError


def _leads_to_product(value: Value) -> bool:
    node = value.producer
    return node is not None and (
        isinstance(node.op, MatMul)
        or (isinstance(node.op, Mul) and any(isinstance(v.producer.op, MatMul) for v in node.inputs if v.producer))
    )


def _number(value: Value) -> float | None:
    return float(value.data.flat[0]) if value.data is not None and value.data.size == 1 else None


def _unscaled(m: Match, value: Value) -> tuple[Value, float]:
    """The factor without the number it is multiplied by, and that number."""
    node = value.producer
    if node is None or not isinstance(node.op, Mul) or m.graph.use_count(value) != 1:
        return value, 1.0
    a, b = node.inputs
    number = _number(b)
    if number is not None and a.type.shape == value.type.shape:
        return a, number
    return value, 1.0


def _transposed(add: Add, keys: Value, swap: tuple[int, ...]) -> Value:
    """k [.., S, E] of k' [.., E, S]; what already turned k is undone."""
    node = keys.producer
    if node is not None and isinstance(node.op, Transpose):
        inner = node.inputs[0]
        perm = tuple(node.op.perm[axis] for axis in swap)
        return inner if perm == tuple(range(len(perm))) else add(Transpose(perm), inner)
    return add(Transpose(swap), keys)


ATTENTION = (recognize_attention,)
