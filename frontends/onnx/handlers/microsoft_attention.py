"""The attention operators that onnxruntime's transformer optimizer writes."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, DType, Value, ops

from ..errors import RE_EXPORT, form, needs_static, unreadable
from ..node import OnnxNode
from ..registry import microsoft
from .attention import heads, merged
from .microsoft_quantized import plus
from .quantization import real

HIDDEN = -10000.0
"""What onnxruntime adds where a mask hides, unless `mask_filter_value` says otherwise; its schema has no default."""


def _mask(n: OnnxNode, g: Builder, mask: Value | None, dtype: DType) -> Value | None:
    """A mask of ones and zeros, [B, T] or [B, S, T], as numbers to be added to the scores."""
    filler = n.maybe_number("mask_filter_value")
    if mask is None:
        return None
    if mask.type.rank not in (2, 3) or not (mask.type.dtype.is_integer or mask.type.dtype is DType.BOOL):
        raise form(f"{n.op_type} with a mask of {mask.type}")
    axes = (1, 2) if mask.type.rank == 2 else (1,)
    kept = g.add(ops.Cast(dtype), g.add(ops.Unsqueeze(axes), mask))
    hidden = g.add(ops.Sub(), g.constant(1, dtype), kept)
    return g.add(ops.Mul(), hidden, g.constant(HIDDEN if filler is None else filler, dtype))


def _sum(g: Builder, *terms: Value | None) -> Value | None:
    total: Value | None = None
    for term in terms:
        if term is not None:
            total = term if total is None else g.add(ops.Add(), total, term)
    return total


def _packed(n: OnnxNode, g: Builder, qkv: Value) -> list[Value]:
    """Queries, keys and values side by side on the last axis, cut apart."""
    width = qkv.type.shape[-1]
    if not isinstance(width, int):
        raise needs_static(f"the width '{width}' that {n.op_type} cuts into three")
    sizes = n.integers("qkv_hidden_sizes") if "qkv_hidden_sizes" in n.schema.attributes else None
    return list(g.add_all(ops.Split(qkv.type.rank - 1, sizes or (width // 3,) * 3), qkv))


def _refuse_rotation(n: OnnxNode) -> None:
    for name in ("do_rotary", "past_present_share_buffer"):
        if name in n.schema.attributes and n.maybe_integer(name):
            raise form(f"{n.op_type} with {name}")


@microsoft("Attention", ignores={"rotary_embedding_dim": "do_rotary is refused"})
def attention(n: OnnxNode, g: Builder) -> Sequence[Value | None]:
    """Attention: one product makes queries, keys and values, then attention over heads."""
    _refuse_rotation(n)
    if n.get(6) is not None:
        raise form("Attention with a shared buffer for past and present")
    qkv = plus(g, g.add(ops.MatMul(), n[0], n[1]), n.get(2))
    mask = _sum(g, _mask(n, g, n.get(3), qkv.type.dtype), n.get(5))
    return _over_heads(n, g, qkv, mask, n.get(4))


@microsoft("QAttention")
def quantized_attention(n: OnnxNode, g: Builder) -> Sequence[Value | None]:
    """QAttention: Attention of quantized operands."""
    _refuse_rotation(n)
    x = real(g, n[0], n[3], n.get(6))
    w = real(g, n[1], n[4], n.get(7), 1)
    qkv = plus(g, g.add(ops.MatMul(), x, w), n[2])
    return _over_heads(n, g, qkv, _mask(n, g, n.get(5), qkv.type.dtype), n.get(8))


def _over_heads(n: OnnxNode, g: Builder, qkv: Value, mask: Value | None, past: Value | None) -> Sequence[Value | None]:
    causal, count = n.boolean("unidirectional"), n.integer("num_heads")
    q, k, v = (heads(n, g, part, count) for part in _packed(n, g, qkv))
    if past is not None:
        if causal:
            raise form(f"{n.op_type} that is causal and continues a past")
        before = [g.add(ops.Squeeze((0,)), part) for part in g.add_all(ops.Split(0, (1, 1)), past)]
        k, v = g.add(ops.Concat(2), before[0], k), g.add(ops.Concat(2), before[1], v)
    y = g.add(ops.Attention(n.maybe_number("scale") or None, causal), q, k, v, mask)
    present = None
    if n.wants(1):
        present = g.add(ops.Concat(0), g.add(ops.Unsqueeze((0,)), k), g.add(ops.Unsqueeze((0,)), v))
    return merged(g, y), present


@microsoft("MultiHeadAttention")
def multi_head_attention(n: OnnxNode, g: Builder) -> Sequence[Value | None]:
    """MultiHeadAttention of separate or packed queries, keys and values."""
    if n.get(8) is not None or n.get(9) is not None or n.wants(3):
        raise form("MultiHeadAttention with beam search, a shared buffer or its scores returned")
    count, causal = n.integer("num_heads"), n.boolean("unidirectional")
    q, k, v = _three(n, g, count)
    past = n.get(6)
    if past is not None:
        if causal:
            raise form("MultiHeadAttention that is causal and continues a past")
        k, v = g.add(ops.Concat(2), past, k), g.add(ops.Concat(2), n[7], v)
    mask = _sum(g, _mask(n, g, n.get(4), q.type.dtype), n.get(5))
    y = g.add(ops.Attention(n.maybe_number("scale") or None, causal), q, k, v, mask)
    return merged(g, y), k, v


def _three(n: OnnxNode, g: Builder, count: int) -> list[Value]:
    """Queries, keys and values [N, heads, L, E], with their biases."""
    query, key, value = n[0], n.get(1), n.get(2)
    if query.type.rank == 5:  # [N, L, heads, 3, E]
        parts = g.add_all(ops.Split(3, (1, 1, 1)), query)
        three = [g.add(ops.Transpose((0, 2, 1, 3)), g.add(ops.Squeeze((3,)), part)) for part in parts]
    elif key is not None and key.type.rank == 5:  # [N, L, heads, 2, E]
        parts = g.add_all(ops.Split(3, (1, 1)), key)
        pair = [g.add(ops.Transpose((0, 2, 1, 3)), g.add(ops.Squeeze((3,)), part)) for part in parts]
        three = [heads(n, g, query, count), *pair]
    elif key is None or value is None:
        raise unreadable("MC218", "MultiHeadAttention has no keys or no values", RE_EXPORT)
    else:
        three = [heads(n, g, part, count) for part in (query, key, value)]
    return three if n.get(3) is None else _biased(n, g, three, count)


def _biased(n: OnnxNode, g: Builder, three: Sequence[Value], count: int) -> list[Value]:
    """Each with its stretch of the bias, which is one number for each head's each element."""
    widths = [part.type.shape[3] for part in three]
    sizes = tuple(count * width for width in widths if isinstance(width, int))
    if len(sizes) != 3:
        raise needs_static(f"the width of {n.op_type}'s heads")
    if n[1].type.rank == 4 if n.get(1) is not None else False:
        raise form("MultiHeadAttention with a bias and keys that are cut into heads already")
    stretches = g.add_all(ops.Split(0, sizes), n[3])
    rows = [g.add(ops.Reshape((count, 1, size // count)), b) for b, size in zip(stretches, sizes, strict=True)]
    return [g.add(ops.Add(), part, row) for part, row in zip(three, rows, strict=True)]


@microsoft("RotaryEmbedding")
def rotary_embedding(n: OnnxNode, g: Builder) -> Value:
    """RotaryEmbedding: pairs of elements turned by angles that grow with the position."""
    if n.maybe_integer("is_packed_batching") or (n.maybe_number("scale") or 1.0) != 1.0:
        raise form("RotaryEmbedding with packed batches or a scale")
    x, half = n[0], n[2].type.shape[-1]
    width = n.maybe_integer("rotary_embedding_dim") or 0
    if not isinstance(half, int):
        raise needs_static("the width of RotaryEmbedding's cache")
    flat = x.type.rank == 3
    if flat:
        x = heads(n, g, x, n.maybe_integer("num_heads") or _heads_by_width(n, half))
    else:
        n.maybe_integer("num_heads")
    if width and width != x.type.shape[3]:
        raise form("RotaryEmbedding of a part of each head")
    cos, sin = (_angles(n, g, n[index]) for index in (2, 3))
    y = _rotated(g, x, cos, sin, half, bool(n.maybe_integer("interleaved")))
    return merged(g, y) if flat else y


def _heads_by_width(n: OnnxNode, half: int) -> int:
    width = n[0].type.shape[-1]
    return width // (2 * half) if isinstance(width, int) else 0


def _angles(n: OnnxNode, g: Builder, cache: Value) -> Value:
    """Rows of the cache for the positions, [N or 1, 1, L, E / 2]; one position is that of the first token."""
    positions, length = n[1], n[0].type.shape[-2]
    if positions.type.rank == 1:
        if not isinstance(length, int):
            raise needs_static(f"the length '{length}' of RotaryEmbedding")
        positions = g.add(ops.Add(), positions, g.constant([list(range(length))]))
    return g.add(ops.Unsqueeze((1,)), g.add(ops.Gather(0), cache, positions))


def _rotated(g: Builder, x: Value, cos: Value, sin: Value, half: int, interleaved: bool) -> Value:
    """The pairs (a, b) as (a cos - b sin, a sin + b cos); pairs are neighbours, or stand half a width apart."""
    if interleaved:
        starts, step = (0, 1), 2
        parts = [g.add(ops.Slice((start,), (2 * half,), (3,), (step,)), x) for start in starts]
    else:
        parts = list(g.add_all(ops.Split(3, (half, half)), x))
    a, b = parts
    first = g.add(ops.Sub(), g.add(ops.Mul(), a, cos), g.add(ops.Mul(), b, sin))
    second = g.add(ops.Add(), g.add(ops.Mul(), a, sin), g.add(ops.Mul(), b, cos))
    if not interleaved:
        return g.add(ops.Concat(3), first, second)
    pairs = g.add(ops.Concat(4), g.add(ops.Unsqueeze((4,)), first), g.add(ops.Unsqueeze((4,)), second))
    return g.add(ops.Reshape((0, 0, 0, -1)), pairs)
