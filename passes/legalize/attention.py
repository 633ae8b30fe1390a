"""Attention in simpler forms, and in products."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Array, DType, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import And, Attention, Equal, Gather, MatMul, Mul, Not, ReduceMax, Softmax, Tanh, Transpose, Where

from ..pattern import Match
from ..recognize.attention import hides_a_row
from ..rewrite import Add
from .decompose import decompose


def _hidden(visible: Array) -> Array:
    """The mask that is added: nothing where a score is seen, minus infinity where it is not."""
    return np.where(visible, np.float32(0), np.float32(-np.inf)).astype(np.float32)


@decompose(Attention)
def lowest_for_hidden(m: Match, add: Add) -> Value:
    """Attention with a computed mask of truth values, or besides a causal one, adds the lowest number where it hides.

    Rows of which all is hidden become zeros.
    """
    op, mask = m.op(Attention), m.get("mask")
    m.require(add.target is not None and add.target.casts_around, "the target has no Where on all types")
    m.require(mask is not None and mask.data is None, "the mask is known, or there is none")
    assert mask is not None
    of_truth = mask.type.dtype is DType.BOOL
    m.require(of_truth or op.causal, "a mask of numbers")
    rows, columns = m["q"].type.shape[2], m["k"].type.shape[2]
    m.require(isinstance(rows, int) and isinstance(columns, int), "lengths are known only at run time")
    m.require(mask.type.shape[-1:] == (columns,) and mask.type.rank > 1, "the mask has fewer columns or one axis")
    m.require(m["q"].type.dtype is DType.F32, "not of 32-bit floats")
    seen = mask if of_truth else add(Not(), add(Equal(), mask, add.constant(-np.inf, like=mask)))
    if op.causal:
        seen = add(And(), seen, add.constant(np.tril(np.ones((int(str(rows)), int(str(columns))), bool))))
    q = m["q"]
    lowest = add.constant(np.finfo(np.float32).min, like=q)
    bias = add(Where(), seen, add.constant(0.0, like=q) if of_truth else mask, lowest)
    made = add(op.replace(causal=False), q, m["k"], m["v"], bias)
    some = add(ReduceMax((seen.type.rank - 1,), True), seen)
    return add(Where(), some, made, add.constant(0.0, like=q))


@decompose(Attention)
def mask_for_causal(m: Match, add: Add) -> Value:
    """Attention that hides what comes later is Attention with a triangular mask."""
    op, mask = m.op(Attention), m.get("mask")
    m.require(op.causal, "nothing is hidden by place")
    rows, columns = m["q"].type.shape[2], m["k"].type.shape[2]
    m.require(isinstance(rows, int) and isinstance(columns, int), "lengths are known only at run time")
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    seen = np.tril(np.ones((rows, columns), bool))
    dtype = m["q"].type.dtype.numpy
    plain = op.replace(causal=False)
    if mask is None:
        return add(plain, m["q"], m["k"], m["v"], add.constant(_hidden(seen).astype(dtype)))
    m.require(mask.type.shape[-1:] == (columns,), "the mask has fewer columns")
    if mask.type.dtype is DType.BOOL:
        data = m.const("mask") & seen
        return add(plain, m["q"], m["k"], m["v"], add.constant(_hidden(data).astype(dtype)))
    m.require(mask.data is None or np.isfinite(mask.data).all(), "the mask hides by itself")
    m.require(mask.data is not None, "the mask may hide by itself")
    both = add(AddOp(), mask, add.constant(_hidden(seen), like=mask))
    return add(plain, m["q"], m["k"], m["v"], both)


@decompose(Attention)
def numbers_for_mask(m: Match, add: Add) -> Value:
    """Attention with a known mask of truth values is Attention with a mask of numbers."""
    mask = m.get("mask")
    m.require(mask is not None and mask.type.dtype is DType.BOOL, "no mask of truth values")
    seen = m.const("mask")
    m.require(seen.shape[-1:] == m["k"].type.shape[2:3], "the mask has fewer columns")
    data = add.constant(_hidden(seen).astype(m["q"].type.dtype.numpy))
    return add(m.op(Attention), m["q"], m["k"], m["v"], data)


@decompose(Attention)
def keys_for_each_head(m: Match, add: Add) -> Value:
    """Attention whose heads share keys is Attention with the keys and values repeated."""
    q, k, v = m["q"], m["k"], m["v"]
    heads, served = q.type.shape[1], k.type.shape[1]
    m.require(isinstance(heads, int) and isinstance(served, int), "the heads are known only at run time")
    assert isinstance(heads, int)
    assert isinstance(served, int)
    m.require(heads != served, "every head has keys of its own")
    which = add.constant(np.repeat(np.arange(served), heads // served))
    return add(m.op(Attention), q, add(Gather(1), k, which), add(Gather(1), v, which), m.get("mask"))


@decompose(Attention)
def attention_from_products(m: Match, add: Add) -> Value:
    """Attention(q, k, v) is Softmax(scale q k' + mask) v, the scores bent by tanh where they are capped."""
    q, k, v, op = m["q"], m["k"], m["v"], m.op(Attention)
    mask = m.get("mask")
    m.require(not op.causal, "what comes later is hidden")
    m.require(mask is None or mask.type.dtype.is_float, "a mask of truth values")
    m.require(mask is None or mask.type.shape[-1:] in (k.type.shape[2:3], (1,)), "the mask has fewer columns")
    m.require(q.type.shape[1] == k.type.shape[1], "heads share keys")
    m.require(op.scale is not None or isinstance(q.type.shape[-1], int), "the width is known only at run time")
    scale = op.scale if op.scale is not None else 1 / math.sqrt(float(str(q.type.shape[-1])))
    scores = add(MatMul(), add(Mul(), q, add.constant(scale, like=q)), add(Transpose((0, 1, 3, 2)), k))
    if op.softcap:
        bent = add(Tanh(), add(Mul(), scores, add.constant(1 / op.softcap, like=q)))
        scores = add(Mul(), bent, add.constant(op.softcap, like=q))
    if mask is None:
        return add(MatMul(), add(Softmax(3), scores), v)
    if not hides_a_row(mask):
        return add(MatMul(), add(Softmax(3), add(AddOp(), scores, mask)), v)
    hidden = np.isneginf(np.atleast_1d(mask.constant)).all(axis=-1, keepdims=True)
    known = add.constant(np.where(hidden, 0, mask.constant), like=mask)  # no NaN; what comes is multiplied by zero
    return add(Mul(), add(MatMul(), add(Softmax(3), add(AddOp(), scores, known)), v), add.constant(~hidden, like=q))
