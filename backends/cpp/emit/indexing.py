"""Reading and writing by index, and what makes indices."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import Net
from ..view import View, row_major
from .common import around, braced, is_empty, not_empty, truth
from .conditions import known

HOW = {"none": "Last", "add": "Plus", "mul": "Times", "max": "Most", "min": "Least"}
"""Names of the kernels' combinations."""


@cpp.emits(o.Gather, where=(not_empty,))
def gather(node: Node, net: Net) -> None:
    """Rows copied."""
    op, (table, indices) = node.op, node.inputs
    assert isinstance(op, o.Gather)
    x, i, y = net.planar(table), net.planar(indices), net.result(node.result)
    sizes = ", ".join(map(str, (*around(x.shape, op.axis), math.prod(i.shape))))
    net.step(f"gather(r, {net.ptr(x)}, {net.ptr(i)}, {net.ptr(y)}, {sizes});", [x, i], [y], needs=["indexing"])


def _elements(indices: View, tensor: View, axis: int) -> str:
    rank = len(indices.shape)
    numbers = [rank, axis, braced(indices.shape), braced(row_major(tensor.shape)), tensor.shape[axis]]
    return f"static const Elements s{{{', '.join(map(str, numbers))}}};"


@cpp.emits(o.GatherElements)
def gather_elements(node: Node, net: Net) -> None:
    """One read a result element."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.GatherElements)
    x, i = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    call = f"gather_elements(r, s, {net.ptr(x)}, {net.ptr(i)}, {net.ptr(y)});"
    net.step(f"{_elements(i, x, op.axis)}\n{call}", [x, i], [y], needs=["indexing"])


def _copied(node: Node, net: Net, value: Value) -> View:
    """The result with the operand's content, in its memory where that is free."""
    source = net.planar(value)
    y = net.result(node.result, over=[value])
    if y.buffer is not source.buffer:
        reorder.copy(net, source, y)
    return y


@cpp.emits(o.ScatterElements)
def scatter_elements(node: Node, net: Net) -> None:
    """One write an update, in order."""
    if is_empty(node, net):
        return
    op, (table, indices, updates) = node.op, node.inputs
    assert isinstance(op, o.ScatterElements)
    i, u = net.planar(indices), net.planar(updates)
    y = _copied(node, net, table)
    if 0 in i.shape:
        return
    call = f"scatter_elements<{HOW[op.reduction]}>(r, s, {net.ptr(i)}, {net.ptr(u)}, {net.ptr(y)});"
    net.step(f"{_elements(i, y, op.axis)}\n{call}", [y, i, u], [y], needs=["indexing"])


def _slices(tensor: tuple[int, ...], indices: tuple[int, ...], batch: int) -> str:
    depth = indices[-1]
    rest = tensor[batch:]
    batches = math.prod(tensor[:batch])
    heads = math.prod(indices[:-1]) // max(batches, 1)
    inner, strides = math.prod(rest[depth:]), row_major(rest)
    numbers = [batches, heads, depth, inner, math.prod(rest), braced(rest[:depth]), braced(strides[:depth])]
    return f"static const Slices s{{{', '.join(map(str, numbers))}}};"


@cpp.emits(o.GatherND, where=(not_empty,))
def gather_slices(node: Node, net: Net) -> None:
    """Slices copied."""
    op = node.op
    assert isinstance(op, o.GatherND)
    x, i = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    call = f"gather_slices(r, s, {net.ptr(x)}, {net.ptr(i)}, {net.ptr(y)});"
    net.step(f"{_slices(x.shape, i.shape, op.batch_dims)}\n{call}", [x, i], [y], needs=["indexing"])


@cpp.emits(o.ScatterND)
def scatter_slices(node: Node, net: Net) -> None:
    """Slices written or combined, in order."""
    if is_empty(node, net):
        return
    op, (table, indices, updates) = node.op, node.inputs
    assert isinstance(op, o.ScatterND)
    i, u = net.planar(indices), net.planar(updates)
    y = _copied(node, net, table)
    if 0 in i.shape or 0 in u.shape:
        return
    call = f"scatter_slices<{HOW[op.reduction]}>(r, s, {net.ptr(i)}, {net.ptr(u)}, {net.ptr(y)});"
    net.step(f"{_slices(y.shape, i.shape, 0)}\n{call}", [y, i, u], [y], needs=["indexing"])


@cpp.emits(o.TensorScatter)
def tensor_scatter(node: Node, net: Net) -> None:
    """Runs of steps copied into their places."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.TensorScatter)
    past, update, starts = node.operands[0], node.operands[1], node.operand("write_indices")
    assert past is not None
    assert update is not None
    u = net.planar(update)
    views = [u] if starts is None else [u, net.planar(starts)]
    y = _copied(node, net, past)
    outer, n, inner = around(y.shape, op.axis)
    first = "(const int64_t*)nullptr" if starts is None else net.ptr(views[1])
    sizes = f"{outer}, {outer // y.shape[0]}, {n}, {u.shape[op.axis]}, {inner}"
    call = f"write_steps(r, {net.ptr(u)}, {first}, {net.ptr(y)}, {sizes}, {truth(op.mode == 'circular')});"
    net.step(call, [y, *views], [y], needs=["indexing"])


@cpp.emits(o.OneHot, where=(known("depth"),))
def one_hot(node: Node, net: Net) -> None:
    """The whole off, then one element a line on."""
    if is_empty(node, net):
        return
    op, (indices, values) = node.op, (node.inputs[0], node.inputs[-1])
    assert isinstance(op, o.OneHot)
    i, v, y = net.planar(indices), net.planar(values), net.result(node.result)
    sizes = ", ".join(map(str, around(y.shape, op.axis)))
    net.step(f"one_hot(r, {net.ptr(i)}, {net.ptr(v)}, {net.ptr(y)}, {sizes});", [i, v], [y], needs=["indexing"])


@cpp.emits(o.Trilu)
def triangle(node: Node, net: Net) -> None:
    """Rows with their parts zeroed; the diagonal may be computed by the model."""
    if is_empty(node, net):
        return
    op, value, k = node.op, node.inputs[0], node.operand("k")
    assert isinstance(op, o.Trilu)
    x, y = net.planar(value), net.result(node.result, over=[value])
    rows, columns = x.shape[-2:]
    views = [x] if k is None else [x, net.planar(k)]
    shift = str(op.k) if k is None else f"int64_t(*{net.ptr(views[1])})"
    sizes = f"{math.prod(x.shape[:-2])}, {rows}, {columns}, {shift}, {truth(op.upper)}"
    net.step(f"triangle(r, {net.ptr(x)}, {net.ptr(y)}, {sizes});", views, [y], needs=["indexing"])


@cpp.emits(o.EyeLike)
def diagonal(node: Node, net: Net) -> None:
    """A constant."""
    op = node.op
    assert isinstance(op, o.EyeLike)
    net.give(node.result, net.constant(op.evaluate(np.zeros(node.inputs[0].type.static_shape, np.int8))))


@cpp.emits(o.Shape, o.Size)
def sizes(node: Node, net: Net) -> None:
    """A constant."""
    shape = node.inputs[0].type.static_shape
    made = np.array(shape if isinstance(node.op, o.Shape) else math.prod(shape), np.int64)
    net.give(node.result, net.constant(made))


@cpp.emits(o.ReverseSequence)
def reverse_sequence(node: Node, net: Net) -> None:
    """Runs copied."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.ReverseSequence)
    x, lengths = (net.planar(v) for v in node.inputs)
    y = net.result(node.result)
    low, high = sorted((op.time_axis, op.batch_axis))
    shape = x.shape
    parts = (
        math.prod(shape[:low]), shape[low], math.prod(shape[low + 1 : high]), shape[high], math.prod(shape[high + 1 :]),
    )  # fmt: skip
    numbers = f"{', '.join(map(str, parts))}, {truth(op.time_axis == low)}"
    call = f"reverse_sequence(r, {net.ptr(x)}, {net.ptr(lengths)}, {net.ptr(y)}, {numbers});"
    net.step(call, [x, lengths], [y], needs=["indexing"])
