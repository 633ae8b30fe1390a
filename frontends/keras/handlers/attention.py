"""Attention layers, each of them the operator Attention between projections."""

from __future__ import annotations

from functools import reduce

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from .. import errors
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..weights import Slots, SlotsOf, slots

TRAINED = {"dropout": "of training; it tells how masks are applied", "seed": "of training",
           "query_shape": "the tensor's", "key_shape": "the tensor's", "value_shape": "the tensor's",
           "flash_attention": "how it is computed"}  # fmt: skip


def _projected_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    each = slots("kernel", "bias") if layer.config.get("use_bias", True) else slots("kernel")
    names = ["query_dense", "key_dense", *(["gate_dense"] if layer.config.get("use_gate") else []), "value_dense"]
    return Slots((), tuple((name, each) for name in (*names, "output_dense")))


@keras("MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention", weights=_projected_slots, mask="read",
       ignores=TRAINED)  # fmt: skip
def multi_head_attention(n: KerasNode, g: Builder) -> Value | list[Value | None]:
    """MultiHeadAttention over any axes, and GroupedQueryAttention."""
    return _MultiHead(n, g).result()


class _MultiHead:
    """One call: query, value and key, projected, attending, and projected back."""

    def __init__(self, n: KerasNode, g: Builder) -> None:
        self.n, self.g = n, g
        self.query = n.x
        self.value = n.value(n.argument(1, "value"))
        key = n.argument(2, "key")
        self.key = self.value if key is None else n.value(key)
        self.own_key = key is not None
        s = n.settings
        self.grouped = n.cls != "MultiHeadAttention"
        self.width = s.integer("head_dim" if self.grouped else "key_dim")
        self.heads = s.integer("num_query_heads" if self.grouped else "num_heads")
        self.served = s.integer("num_key_value_heads") if self.grouped else self.heads
        given = None if self.grouped else s.get("value_dim", None)
        self.deep = self.width if given is None else s.integer("value_dim")
        self.gated, self.biased = s.flag("use_gate", False), s.flag("use_bias", True)
        self.scores = bool(n.argument(7 if self.grouped or n.version == 3 else 4, "return_attention_scores", False))
        if min(self.width, self.heads, self.served, self.deep) < 1:
            raise errors.misfit(f"{s.what} with {self.heads} heads of {self.width}")

    def result(self) -> Value | list[Value | None]:
        """The attended query; with the scores where the call asks for them."""
        n, g = self.n, self.g
        axes = self._axes()
        mask = self._mask(len(axes))
        q, k, v = (
            self._headed(x, name, heads, width, axes)
            for x, name, heads, width in (
                (self.query, "query", self.heads, self.width),
                (self.key, "key", self.served, self.width),
                (self.value, "value", self.served, self.deep),
            )
        )
        scale = 1 / float(np.sqrt(self.width))
        if self.scores:
            if len(axes) != 1 or self.query.type.rank != 3 or self.grouped:
                raise errors.form(f"{n.settings.what} that returns its scores, over several axes or in groups")
            y, found = scored(n, g, q, k, v, mask, scale)
            return [self._returned(y, axes), found]
        return self._returned(g.add(ops.Attention(scale), q, k, v, mask), axes)

    def _axes(self) -> tuple[int, ...]:
        """The axes attended over."""
        rank = self.query.type.rank
        given = None if self.grouped else self.n.settings.get("attention_axes", None)
        inner = tuple(range(1, rank - 1))
        if rank < 3 or self.value.type.rank != rank or self.key.type.rank != rank:
            raise errors.misfit(f"{self.n.settings.what} of {self.query.type} and {self.value.type}")
        axes = inner if given is None else self.n.axes(given, rank)
        if not set(axes) <= set(inner):
            raise errors.misfit(f"{self.n.settings.what} over axes {axes} of {self.query.type}")
        return axes

    # Projections ---------------------------------------------------------------------------------------------

    def _project(self, x: Value, name: str, heads: int, width: int) -> Value:
        """x [B, *S, D] as [B, *S, heads, width]."""
        n, g = self.n, self.g
        size = n.static(x, -1, "the last axis")
        kernel = n.weight(f"{name}_dense/kernel", size, heads, width).reshape(size, heads * width)
        b = n.weight(f"{name}_dense/bias", heads, width).reshape(-1) if self.biased else None
        y = g.add(ops.Linear(), x, n.constant(kernel.T, name), None if b is None else n.constant(b, f"{name}_bias"))
        return n.sizes((*x.type.shape[:-1], heads, width), y)

    def _headed(self, x: Value, name: str, heads: int, width: int, axes: tuple[int, ...]) -> Value:
        """x projected, as [batch, heads, attended places, width]."""
        y = self._project(x, name, heads, width)
        rank = x.type.rank
        others = [a for a in range(1, rank - 1) if a not in axes]
        y = self.g.add(ops.Transpose((0, *others, rank - 1, *axes, rank)), y)
        if rank == 3:
            return y
        places = self._count(x, axes)
        batch = x.type.shape[0] if not others else self._times(x, others)
        return self.n.sizes((batch, heads, places, width), y)

    def _count(self, x: Value, axes: tuple[int, ...] | list[int]) -> int:
        return int(np.prod([self.n.static(x, a, "a size attended over") for a in axes], dtype=np.int64))

    def _times(self, x: Value, others: list[int]) -> object:
        return x.type.shape[0] * self._count(x, others)

    def _returned(self, y: Value, axes: tuple[int, ...]) -> Value:
        """y [batch, heads, places, width] in the query's form, gated and projected to the output."""
        n, g, x = self.n, self.g, self.query
        rank = x.type.rank
        others = [a for a in range(1, rank - 1) if a not in axes]
        if rank > 3:
            shape = (x.type.shape[0], *(x.type.shape[a] for a in others), self.heads, *(x.type.shape[a] for a in axes))
            y = n.sizes((*shape, self.deep), y)
        order = [0, *others, rank - 1, *axes, rank]
        y = g.add(ops.Transpose(tuple(order.index(a) for a in range(rank + 1))), y)
        if self.gated:
            gate = g.add(ops.Sigmoid(), self._project(x, "gate", self.heads, self.deep))
            y = g.add(ops.Mul(), y, gate)
        y = n.sizes((*x.type.shape[:-1], self.heads * self.deep), y)
        kernel = n.weight("output_dense/kernel")
        made = kernel.shape[2:]
        if kernel.shape[:2] != (self.heads, self.deep) or not made:
            raise errors.bad_weights(f"output_dense/kernel of {n.settings.what} has shape {list(kernel.shape)}")
        flat = kernel.reshape(self.heads * self.deep, -1)
        b = n.constant(n.weight("output_dense/bias", *made).reshape(-1), "output_bias") if self.biased else None
        n.settings.get("output_shape", None)
        y = g.add(ops.Linear(), y, n.constant(flat.T, "output"), b)
        return y if len(made) == 1 else n.sizes((*x.type.shape[:-1], *made), y)

    # Masks ---------------------------------------------------------------------------------------------------

    def _mask(self, axes: int) -> Value | None:
        """All masks as one that broadcasts to [B, heads, T, S]: what of them the layer would add to its scores."""
        n, g = self.n, self.g
        masks = n.translation.masks
        query_mask = masks.get(self.query)
        n.mask_out = query_mask
        parts = list[Value]()
        if query_mask is not None:
            parts.append(g.add(ops.Unsqueeze((2,)), n.cast(query_mask, DType.BOOL)))
        sides = [(self.value, "value_mask")] + ([(self.key, "key_mask")] if self.own_key else [])
        for tensor, name in sides:
            given = n.argument(-1, name)
            mask = n.value(given) if given is not None else masks.get(tensor)
            if mask is not None:
                parts.append(g.add(ops.Unsqueeze((1,)), n.cast(mask, DType.BOOL)))
        n.argument(-1, "query_mask")
        if n.argument(9 if n.version == 3 else 6, "use_causal_mask", False):
            parts.append(self._band(lambda rows, columns: rows >= columns))
        window = n.settings.get("sliding_window", None)
        if window is not None:
            size = n.settings.integer("sliding_window")
            parts.append(self._band(lambda rows, columns: abs(rows - columns) < size))
        given = n.argument(6 if n.version == 3 else 3, "attention_mask")
        if given is not None:
            parts.append(n.cast(n.value(given), DType.BOOL))
        robust = n.settings.get("softmax_robust_masking", False)
        if not parts:
            return None
        if robust:
            raise errors.form(f"{n.settings.what} with softmax_robust_masking and a mask")
        if axes != 1 or self.query.type.rank != 3:
            raise errors.masked(f"a mask reaches {n.settings.what}, which attends over {axes} axes")
        whole = reduce(lambda a, b: g.add(ops.And(), a, b), parts)
        whole = g.add(ops.Unsqueeze((1,)), whole) if whole.type.rank == 3 else whole
        soft = n.version == 3 and (n.settings.number("dropout", 0.0) > 0 or self.scores)
        if soft:  # Keras masks in its Softmax layer, which gives zeros where all is hidden
            return whole
        least = -1e9 if n.version < 3 else float(np.finfo(np.float32).max) * -0.7
        return hiding(n, g, whole, self.query.type.dtype, least)

    def _band(self, rule: object) -> Value:
        n = self.n
        rows, columns = (n.static(x, 1, "the length") for x in (self.query, self.value))
        assert callable(rule)
        shown = rule(np.arange(rows)[:, None], np.arange(columns)[None, :])
        return n.constant(np.asarray(shown)[None], "band")


def hiding(n: KerasNode, g: Builder, mask: Value, dtype: DType, least: float) -> Value:
    """A mask as numbers to add: 0 where it is true, ``least`` where it is not."""
    zero, low = (n.builder.constant(np.array(v, dtype.numpy)) for v in (0, least))
    return g.add(ops.Where(), mask, zero, low)


def scored(
    n: KerasNode, g: Builder, q: Value, k: Value, v: Value, mask: Value | None, scale: float
) -> tuple[Value, Value]:
    """Attention of q [B, H, T, E], k and v, with its weights [B, H, T, S]: zeros where a bool mask hides all."""
    q = g.add(ops.Mul(), q, n.scalar(scale, q))
    scores = g.add(ops.MatMul(), q, g.add(ops.Transpose((0, 1, 3, 2)), k))
    if mask is not None and mask.type.dtype is DType.BOOL:
        scores = g.add(ops.Where(), mask, scores, n.scalar(-1e9, scores))
    elif mask is not None:
        scores = g.add(ops.Add(), scores, mask)
    weights = g.add(ops.Softmax(3), scores)
    if mask is not None and mask.type.dtype is DType.BOOL:
        weights = g.add(ops.Where(), mask, weights, n.scalar(0, weights))
    return g.add(ops.MatMul(), weights, v), weights


# Attention and AdditiveAttention ------------------------------------------------------------------------------


def _scale_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    additive = layer.cls == "AdditiveAttention"
    names = ["scale"] if layer.config.get("use_scale", additive) else []
    return slots(*names, *(["concat_score_weight"] if layer.config.get("score_mode") == "concat" else []))


@keras("Attention", "AdditiveAttention", weights=_scale_slots, mask="read", ignores={**TRAINED, "causal": "read"})
def attention(n: KerasNode, g: Builder) -> Value | list[Value | None]:
    """Attention (dot or concat) and AdditiveAttention over [query, value, key]."""
    if len(n.xs) not in (2, 3):
        raise errors.misfit(f"{n.settings.what} is called with {len(n.xs)} tensors, not 2 or 3")
    q, v = n.xs[0], n.xs[1]
    k = n.xs[2] if len(n.xs) == 3 else v
    if any(x.type.rank != 3 for x in (q, k, v)):
        raise errors.form(f"{n.settings.what} of {q.type}")
    additive = n.cls == "AdditiveAttention"
    concat = not additive and n.settings.text("score_mode", "dot", of=("dot", "concat")) == "concat"
    masks = [n.mask(0), n.mask(1)]
    n.mask_out = masks[0]
    wants_scores = bool(n.argument(-1, "return_attention_scores", False))
    hidden = _score_mask(n, g, q, v, masks[1])
    if additive or concat:
        y, weights = _from_scores(n, g, _bent_scores(n, g, q, k, additive), v, hidden)
    else:
        scale = float(n.weight("scale").reshape(())) if n.settings.flag("use_scale", False) else 1.0
        qs, ks, vs = (g.add(ops.Unsqueeze((1,)), x) for x in (q, k, v))
        if hidden is not None:
            hidden = g.add(ops.Unsqueeze((1,)), hidden)
        if wants_scores:
            y, found = scored(n, g, qs, ks, vs, hidden, scale)
            weights = g.add(ops.Squeeze((1,)), found)
        else:
            y = g.add(ops.Attention(scale), qs, ks, vs, hidden)
            weights = y
        y = g.add(ops.Squeeze((1,)), y)
    if masks[0] is not None:
        shown = n.cast(g.add(ops.Unsqueeze((2,)), n.cast(masks[0], DType.BOOL)), y.type.dtype)
        y = g.add(ops.Mul(), y, shown)
    return [y, weights] if wants_scores else y


def _score_mask(n: KerasNode, g: Builder, q: Value, v: Value, mask: Value | None) -> Value | None:
    """What is added to the scores [B, T, S]: -1e9 where they are hidden."""
    shown = None if mask is None else g.add(ops.Unsqueeze((1,)), n.cast(mask, DType.BOOL))
    if n.argument(-1, "use_causal_mask", False) or n.settings.get("causal", False):
        rows, columns = n.static(q, 1, "the length"), n.static(v, 1, "the length")
        band = n.constant(np.tri(rows, columns, dtype=np.bool_)[None], "band")
        shown = band if shown is None else g.add(ops.And(), shown, band)
    return None if shown is None else hiding(n, g, shown, q.type.dtype, -1e9)


def _bent_scores(n: KerasNode, g: Builder, q: Value, k: Value, additive: bool) -> Value:
    """Scores [B, T, S] that are sums of tanh(q + k)."""
    total = g.add(ops.Add(), g.add(ops.Unsqueeze((2,)), q), g.add(ops.Unsqueeze((1,)), k))
    scaled = n.settings.flag("use_scale", additive)
    if not additive and scaled:
        total = g.add(ops.Mul(), total, n.constant(n.weight("scale").reshape(()), "scale"))
    bent = g.add(ops.Tanh(), total)
    if additive and scaled:
        bent = g.add(ops.Mul(), bent, n.constant(n.weight("scale", n.static(q, -1, "the last axis")), "scale"))
    scores = g.add(ops.ReduceSum((3,), False), bent)
    if additive:
        return scores
    return g.add(ops.Mul(), scores, n.constant(n.weight("concat_score_weight").reshape(()), "weight"))


def _from_scores(n: KerasNode, g: Builder, scores: Value, v: Value, hidden: Value | None) -> tuple[Value, Value]:
    if hidden is not None:
        scores = g.add(ops.Add(), scores, hidden)
    weights = g.add(ops.Softmax(2), scores)
    return g.add(ops.MatMul(), weights, v), weights
