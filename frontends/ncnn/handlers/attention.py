"""Attention."""

from __future__ import annotations

import math

from mconv.ir import Value
from mconv.ir.ops import Attention, Linear, Reshape, Transpose

from ..param import Layer
from ..translate import Translation, layer, mat
from .conv import float_weights


@layer("SDPA")
def sdpa(t: Translation, each: Layer) -> Value:
    """Attention of q, k, v [heads, length, size], with a mask if it has one."""
    masked, scale = each.whole(5, 0), each.real(6, 0.0)
    each.require(not each.whole(7, 0), "it keeps keys and values")
    float_weights(each, 18)
    q, k, v, *mask = t.inputs(3 + bool(masked))
    return t.add(Attention(scale or 1 / math.sqrt(mat(q)[2])), q, k, v, _mask(t, mask[0]) if mask else None)


def _mask(t: Translation, mask: Value) -> Value:
    """[L, S] or [heads, L, S] with the axes of q."""
    return mask if len(mat(mask)) == 3 else t.add(Reshape((1, 1, *mat(mask))), mask)


@layer("MultiHeadAttention")
def multi_head_attention(t: Translation, each: Layer) -> Value:
    """Projections of q, k, v, attention head by head, and a projection of the result."""
    width, heads, count = each.whole(0, 0), each.whole(1, 1), each.whole(2, 0)
    sizes = {"q": count // width if width else 0, "k": each.whole(3, width), "v": each.whole(4, width)}
    masked, scale = each.whole(5, 0), each.real(6, 1 / math.sqrt(max(1, width // max(1, heads))))
    each.require(not each.whole(7, 0), "it keeps keys and values")
    each.require(heads > 0 and width > 0 and width % heads == 0 and count % width == 0, f"{heads} heads of {width}")
    float_weights(each, 18)
    blobs = t.inputs(1 + bool(masked), 3 + bool(masked))
    mask = _mask(t, blobs.pop()) if masked else None
    q = blobs[0]
    k = blobs[1] if len(blobs) > 1 else q
    v = blobs[2] if len(blobs) > 2 else k
    parts = []
    for value, name in ((q, "q"), (k, "k"), (v, "v")):
        part = t.add(Linear(), value, t.tagged(width, sizes[name]), t.raw(width))
        part = t.add(Reshape((1, mat(value)[0], heads, width // heads)), part)
        parts.append(t.add(Transpose((0, 2, 1, 3)), part))
    result = t.add(Transpose((0, 2, 1, 3)), t.add(Attention(scale), *parts, mask))
    result = t.add(Reshape((1, mat(q)[0], width)), result)
    return t.add(Linear(), result, t.tagged(sizes["q"], width), t.raw(sizes["q"]))
