"""Attention of any form, and Einsum where it does not come apart into products."""

from __future__ import annotations

import math

from mconv.ir import DType, Node
from mconv.ir import ops as o
from mconv.ir.ops.kernels import products

from ..backend import cpp
from ..net import C_TYPES, Net
from .common import braced, is_empty, not_empty, truth, wide
from .formulas import literal


def f32_heads(node: Node) -> bool | str:
    """q, k and v are of f32"""
    other = [v for v in node.inputs[:3] if v.type.dtype is not DType.F32]
    return f"%{other[0].name} is of {other[0].type.dtype.value}" if other else True


@cpp.emits(o.Attention, where=(f32_heads, not_empty))
def attention(node: Node, net: Net) -> None:
    """Row by row."""
    general(node, net)


def general(node: Node, net: Net) -> None:
    """Attention on planar values, with whatever mask."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.Attention)
    q, k, v = (net.planar(x) for x in node.inputs[:3])
    mask = node.operand("mask")
    n, heads, rows, width = q.shape
    length = k.shape[2]
    views, strides, columns = [q, k, v], [0, 0, 0, 0], length
    pointer = "(const float*)nullptr"
    if mask is not None:
        view = net.planar(mask)
        views.append(view)
        pointer = net.ptr(view)
        pairs = [(1, 0)] * (4 - len(view.shape)) + list(zip(view.shape, view.strides, strict=True))
        strides = [0 if size == 1 else stride for size, stride in pairs]
        columns = pairs[3][0]
    scale = 1 / math.sqrt(width) if op.scale is None else op.scale
    numbers = [n, heads, k.shape[1], rows, length, width, v.shape[3], *strides, columns]
    texts = [*map(str, numbers), literal(scale, DType.F32), literal(op.softcap, DType.F32), truth(op.causal)]
    y = net.result(node.result)
    call = f"attention(r, s, {', '.join(map(net.ptr, (q, k, v)))}, {pointer}, {net.ptr(y)});"
    net.step(f"static const Heads s{braced(texts)};\n{call}", views, [y], needs=["general"], scratch=4 * length)


@cpp.emits(o.Einsum, where=(wide, not_empty))
def einsum(node: Node, net: Net) -> None:
    """A loop over the letters of the result, one over the others."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.Einsum)
    views = [net.planar(v) for v in node.inputs]
    terms, right = products._terms(op.equation, len(views))
    hidden = [len(v.shape) - len(t.replace(".", "")) if "." in t else 0 for v, t in zip(views, terms, strict=True)]
    dots = max(hidden, default=0)
    sizes: dict[str, int] = {}
    strides: list[dict[str, int]] = []
    for view, term, count in zip(views, terms, hidden, strict=True):
        letters: list[str] = []
        for letter in term:
            letters += [f".{dots - count + i}" for i in range(count)] if letter == "." else [letter]
        own: dict[str, int] = {}
        for letter, size, stride in zip(letters, view.shape, view.strides, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
            own[letter] = own.get(letter, 0) + (stride if size != 1 else 0)
        strides.append(own)
    kept: list[str] = []
    for letter in right:
        kept += [f".{i}" for i in range(dots)] if letter == "." else [letter]
    gone = [letter for letter in sizes if letter not in kept]
    y = net.result(node.result)
    tables = [
        braced(sizes[letter] for letter in kept), braced(sizes[letter] for letter in gone),
        braced([braced(s.get(letter, 0) for letter in kept) for s in strides]),
        braced([braced(s.get(letter, 0) for letter in gone) for s in strides]),
    ]  # fmt: skip
    count, kind = len(views), C_TYPES[y.dtype]
    total = "double" if y.dtype.is_float else "uint64_t"
    head = f"static const Sum<{count}> s{{{len(kept)}, {len(gone)}, {', '.join(tables)}}};"
    pointers = braced(map(net.ptr, views))
    call = f"const {kind}* const xs[] = {pointers};\nsum_of_products<{total}>(r, s, xs, {net.ptr(y)});"
    net.step(f"{head}\n{call}", views, [y], needs=["general"])
