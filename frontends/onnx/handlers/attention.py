"""Attention, kept whole where the operator of the intermediate representation has the form."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Value, ops

from ..errors import RE_EXPORT, needs_static, unreadable
from ..node import OnnxNode
from ..registry import onnx


@onnx("Attention", ignores={"softmax_precision": "float32 is never less than what is asked for"})
def attention(n: OnnxNode, g: Builder) -> Sequence[Value | None]:
    """Attention; with scores to return, lengths of padded caches, or a
    window, by the specification's own definition."""
    causal, past = n.boolean("is_causal"), n.get(4)
    sides = [side for side in ("left_window_size", "right_window_size") if side in n.schema.attributes]
    windowed = any(n.integer(side) >= 0 for side in sides)
    if n.wants(3) or n.get(6) is not None or windowed or (causal and past is not None):
        return n.expanded()
    n.maybe_integer("qk_matmul_output_mode")  # of an output that nobody wants
    flat = n[0].type.rank == 3
    q = heads(n, g, n[0], n.maybe_integer("q_num_heads"))
    k = heads(n, g, n[1], n.maybe_integer("kv_num_heads"))
    v = heads(n, g, n[2], n.maybe_integer("kv_num_heads"))
    if past is not None:
        k = g.add(ops.Concat(2), past, k)
        v = g.add(ops.Concat(2), n[5], v)
    op = ops.Attention(n.maybe_number("scale"), causal, n.number("softcap"))
    y = g.add(op, q, k, v, n.get(3))
    return (merged(g, y) if flat else y, k, v)


def heads(n: OnnxNode, g: Builder, x: Value, count: int | None) -> Value:
    """[N, L, heads * E] as [N, heads, L, E]; what has four axes already stays."""
    if x.type.rank == 4:
        return x
    width = x.type.shape[-1]
    if not isinstance(width, int):
        raise needs_static(f"the width '{width}' that {n.op_type} cuts into heads")
    if x.type.rank != 3 or not count or width % count:
        raise unreadable("MC219", f"{n.op_type} cannot cut {x.type} into {count} heads", RE_EXPORT)
    y = g.add(ops.Reshape((0, 0, count, width // count)), x)
    return g.add(ops.Transpose((0, 2, 1, 3)), y)


def merged(g: Builder, y: Value) -> Value:
    """[N, heads, L, E] as [N, L, heads * E]."""
    return g.add(ops.Reshape((0, 0, -1)), g.add(ops.Transpose((0, 2, 1, 3)), y))
