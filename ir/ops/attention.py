"""Attention, whole: what it is made of is in its docstring; a target that lacks it gets it decomposed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, broadcast, expect, numel, operator, same_dtype
from ..types import Array, TensorType
from .forms import Results, common_dim, expect_dim, in_f32


@operator
class Attention(Op):
    """y = softmax(scale q k^T + mask) v for each head: q [N,H,L,E], k [N,G,S,E], v [N,G,S,F] -> [N,H,L,F].

    ``scale`` None is 1 / sqrt(E). Where G < H, each of the G heads of k and v serves H / G consecutive heads of q.
    mask broadcasts to [N,H,L,S]: a float one is added, a bool one keeps where it is true; one with fewer than S columns
    hides the rest. ``causal`` hides s > l. ``softcap`` c > 0 bends scores to c tanh(score / c) before the mask.
    A row of which all is hidden gives zeros, as ONNX's Attention of opset 25 (the bare formula would give NaN).
    https://arxiv.org/abs/1706.03762
    """

    signature = "q, k, v, mask?"
    scale: float | None = None
    causal: bool = False
    softcap: float = 0.0

    def infer(self, q: TensorType, k: TensorType, v: TensorType, mask: TensorType | None) -> Results:
        """[N, H, L, F]."""
        expect(q.rank == k.rank == v.rank == 4, f"q {q}, k {k}, v {v} should be [N, heads, length, width]")
        n = common_dim(q.shape[0], k.shape[0], v.shape[0], what="batch")
        heads, served = q.shape[1], common_dim(k.shape[1], v.shape[1], what="number of head")
        if isinstance(heads, int) and isinstance(served, int):
            expect(served > 0 and heads % served == 0, f"{heads} heads do not divide among {served}")
        expect_dim(k.shape[3], q.shape[3], "the width of k")
        length = common_dim(k.shape[2], v.shape[2], what="length")
        if mask is not None:
            expect(mask.rank <= 4, f"mask {mask} has more than four axes")
            expect(not mask.dtype.is_integer, f"mask {mask} is neither bool nor float")
            full = (n, heads, q.shape[2], length)
            if mask.rank and _shorter(mask.shape[-1], length):
                broadcast(mask.shape[:-1], full[:-1])
            else:
                broadcast(mask.shape, full)
        return (TensorType(same_dtype(q, k), (n, heads, q.shape[2], v.shape[3])),)

    @in_f32
    def evaluate(self, q: Array, k: Array, v: Array, mask: Array | None) -> Array:
        """By the formula."""
        groups = q.shape[1] // k.shape[1]
        if groups > 1:
            k, v = np.repeat(k, groups, axis=1), np.repeat(v, groups, axis=1)
        # the square root of the scale on both sides, as ONNX says: products stay in range
        scale = 1 / math.sqrt(q.shape[3]) if self.scale is None else self.scale
        root = q.dtype.type(math.sqrt(abs(scale)))
        scores = np.matmul(q * root, np.swapaxes(k, 2, 3) * (root if scale >= 0 else -root))
        if self.softcap:
            cap = q.dtype.type(self.softcap)
            scores = cap * np.tanh(scores / cap)
        bias = self.bias(scores.shape[2], scores.shape[3], mask, scores.dtype)
        if bias is not None:
            scores = scores + bias
        return np.asarray(np.matmul(_weights(scores, bias), v).astype(q.dtype, copy=False))

    def bias(self, rows: int, columns: int, mask: Array | None, dtype: np.dtype[np.generic]) -> Array | None:
        """What is added to the scores: 0 where a score counts, minus infinity where it is hidden, or a float mask."""
        total: Array | None = None
        if mask is not None:
            total = np.where(mask, 0, -np.inf).astype(dtype) if mask.dtype == np.bool_ else mask.astype(dtype)
            if total.ndim and 1 < total.shape[-1] < columns:
                missing = [(0, 0)] * (total.ndim - 1) + [(0, columns - total.shape[-1])]
                total = np.pad(total, missing, constant_values=-np.inf)
        if self.causal:
            hidden = np.where(np.tri(rows, columns, dtype=np.bool_), 0, -np.inf).astype(dtype)
            total = hidden if total is None else total + hidden
        return total

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Both products, and about five for each score."""
        q, k = operands[0], operands[1]
        if q is None or k is None or not q.is_static or not k.is_static:
            return 0
        width, length = q.static_shape[3], k.static_shape[2]
        scores = math.prod(q.static_shape[:3]) * length
        return scores * (2 * width + 5) + 2 * numel(results[0]) * length


def _weights(scores: Array, bias: Array | None) -> Array:
    """Softmax along the last axis; zeros in a row of which all is hidden."""
    top = scores.max(axis=3, keepdims=True, initial=-np.inf)
    powers = np.exp(scores - np.where(np.isneginf(top), 0, top))
    if bias is not None:
        powers = np.where(np.isneginf(bias).all(axis=-1, keepdims=True), 0, powers)
    total = powers.sum(axis=3, keepdims=True)
    return np.asarray(powers / np.where(total == 0, 1, total))


def _shorter(size: object, full: object) -> bool:
    return isinstance(size, int) and isinstance(full, int) and 1 < size < full
