"""Operators whose results have sizes that only running tells, but a bound that is known."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir import ops as o

from ..backend import cpp
from ..net import Net
from ..view import View
from .common import around, braced, ctype, truth, wide


def _sizes(net: Net, numbers: tuple[int, ...]) -> str:
    return f"static const int64_t n[] = {braced(numbers or (1,))};"


def reduce(node: Node, net: Net, name: str) -> None:
    """A reduction over axes that come as numbers."""
    value, numbers = node.inputs[0], node.inputs[1]
    x, axes = net.planar(value), net.planar(numbers)
    keepdims: bool = node.op.keepdims  # type: ignore[attr-defined]
    y, sizes = net.sized(node.result)
    rank, count = len(x.shape), math.prod(axes.shape)
    arguments = f"{net.ptr(axes)}, {count}, {truth(keepdims)}, {net.ptr(y)}, {net.ptr(sizes)}"
    call = f"reduce_sized<{name}<{ctype(value)}>>(r, {rank}, n, {net.ptr(x)}, {arguments});"
    net.step(f"{_sizes(net, x.shape)}\n{call}", [x, axes], [y, sizes], needs=["sized"])


def reshape(node: Node, net: Net) -> None:
    """The same memory; the sizes are computed."""
    op, (value, wanted) = node.op, node.inputs
    assert isinstance(op, o.Reshape)
    x, shape = net.planar(value), net.planar(wanted)
    net.give(node.result, x.replace(shape=(math.prod(x.shape),), strides=(1,)))
    net.sizes[node.result] = sizes = net.fresh(DType.I64, (8,))
    arguments = f"{net.ptr(shape)}, {math.prod(shape.shape)}, {truth(op.allow_zero)}, {net.ptr(sizes)}"
    call = f"reshape_sized(n, {len(x.shape)}, {arguments});"
    net.step(f"{_sizes(net, x.shape)}\n{call}", [shape], [sizes], needs=["sized"])


def slices(node: Node, net: Net) -> None:
    """A copy of what starts, ends and steps say."""
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.Slice)
    x = net.planar(value)
    parts = [_numbers(net, node.operand(n), getattr(op, n)) for n in ("starts", "ends", "axes", "steps")]
    assert parts[0] is not None
    y, sizes = net.sized(node.result)
    pointers = ", ".join("(const int64_t*)nullptr" if p is None else net.ptr(p) for p in parts)
    arguments = f"{pointers}, {math.prod(parts[0].shape)}, {net.ptr(y)}, {net.ptr(sizes)}"
    call = f"slice_sized(r, {len(x.shape)}, n, {net.ptr(x)}, {arguments});"
    views = [x, *(p for p in parts if p is not None)]
    net.step(f"{_sizes(net, x.shape)}\n{call}", views, [y, sizes], needs=["sized"])


def _numbers(net: Net, value: Value | None, known: tuple[int, ...] | None) -> View | None:
    """Numbers from an attribute, or computed by the model."""
    if known is not None:
        return net.constant(np.array(known, np.int64))
    return None if value is None else net.planar(value)


def top_k(node: Node, net: Net) -> None:
    """As with a known k; more than there are is what there is."""
    op, (value, number) = node.op, node.inputs
    assert isinstance(op, o.TopK)
    x, k = net.planar(value), net.planar(number)
    made = [net.sized(v) for v in node.results]
    outer, n, inner = around(x.shape, op.axis)
    lines = [
        f"int64_t k = int64_t(*{net.ptr(k)});",
        f"k = k < 0 ? 0 : k < {n} ? k : {n};",
        *(_set(net, sizes, [str(s) if a != op.axis else "k" for a, s in enumerate(x.shape)]) for _, sizes in made),
        f"top_k<{ctype(value)}, {truth(op.largest)}>(r, {net.ptr(x)}, {net.ptr(made[0][0])}, {net.ptr(made[1][0])}, "
        f"{outer}, {n}, {inner}, k);",
    ]
    views = [v for pair in made for v in pair]
    net.step("\n".join(lines), [x, k], views, needs=["sized"], scratch=8 * n)


def _set(net: Net, sizes: View, items: list[str]) -> str:
    """C++ that writes sizes."""
    name = net.ptr(sizes)
    return " ".join(f"{name}[{axis}] = {item};" for axis, item in enumerate(items))


@cpp.emits(o.NonZero)
def non_zero(node: Node, net: Net) -> None:
    """Counted first, then written."""
    x = net.planar(node.inputs[0])
    y, sizes = net.sized(node.result)
    call = f"non_zero(r, {net.ptr(x)}, {len(x.shape)}, n, {net.ptr(y)}, {net.ptr(sizes)});"
    net.step(f"{_sizes(net, x.shape)}\n{call}", [x], [y, sizes], needs=["sized"])


@cpp.emits(o.Compress)
def compress(node: Node, net: Net) -> None:
    """Counted first, then copied."""
    op = node.op
    assert isinstance(op, o.Compress)
    x, condition = (net.planar(v) for v in node.inputs)
    y, sizes = net.sized(node.result)
    outer, n, inner = (1, math.prod(x.shape), 1) if op.axis is None else around(x.shape, op.axis)
    shape = (0,) if op.axis is None else x.shape
    at = op.axis or 0
    arguments = f"{condition.shape[0]}, {outer}, {n}, {inner}, {net.ptr(y)}, &size"
    lines = [
        "int64_t size;",
        f"compress(r, {net.ptr(x)}, {net.ptr(condition)}, {arguments});",
        _set(net, sizes, ["size" if a == at else str(s) for a, s in enumerate(shape)]),
    ]
    net.step("\n".join(lines), [x, condition], [y, sizes], needs=["sized"])


@cpp.emits(o.Unique)
def unique(node: Node, net: Net) -> None:
    """Sorted by a heap."""
    op = node.op
    assert isinstance(op, o.Unique)
    x = net.planar(node.inputs[0])
    outer, n, inner = (1, math.prod(x.shape), 1) if op.axis is None else around(x.shape, op.axis)
    y, sizes = net.sized(node.results[0])
    first, first_sizes = net.sized(node.results[1])
    inverse = net.result(node.results[2])
    counts, counts_sizes = net.sized(node.results[3])
    pointers = ", ".join(map(net.ptr, (y, first, inverse, counts)))
    shape = (0,) if op.axis is None else x.shape
    at = op.axis or 0
    lines = [
        "int64_t size;",
        f"unique(r, {net.ptr(x)}, {outer}, {n}, {inner}, {truth(op.sorted)}, {pointers}, &size);",
        _set(net, sizes, ["size" if a == at else str(s) for a, s in enumerate(shape)]),
        _set(net, first_sizes, ["size"]),
        _set(net, counts_sizes, ["size"]),
    ]
    views = [y, sizes, first, first_sizes, inverse, counts, counts_sizes]
    net.step("\n".join(lines), [x], views, needs=["sized"], scratch=32 * max(n, 1))


@cpp.emits(o.NonMaxSuppression, where=(wide,))
def non_max_suppression(node: Node, net: Net) -> None:
    """Class by class, by falling score."""
    op = node.op
    assert isinstance(op, o.NonMaxSuppression)
    boxes, scores = (net.planar(v) for v in node.inputs[:2])
    images, classes, n = scores.shape
    y, sizes = net.sized(node.result)
    views, numbers = [boxes, scores], []
    for name, kind, absent in (
        ("max_output", "int64_t", "0"),
        ("iou_threshold", "float", "0.f"),
        ("score_threshold", "float", "-INF"),
    ):
        value = node.operand(name)
        if value is not None:
            views.append(net.planar(value))
        numbers.append(absent if value is None else f"{kind}(*{net.ptr(views[-1])})")
    arguments = f"{images}, {classes}, {n}, {', '.join(numbers)}, {truth(op.center_point_box)}"
    ends = f"{net.ptr(y)}, {net.ptr(sizes)}"
    call = f"non_max_suppression(r, {net.ptr(boxes)}, {net.ptr(scores)}, {arguments}, {ends});"
    net.step(call, views, [y, sizes], needs=["sized"], scratch=8 * max(n, 1))
