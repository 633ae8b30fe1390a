"""Matrix products of any rank and element type, on planar values."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import C_TYPES, Net
from ..view import View
from .activate import finished
from .common import braced, floats, is_empty, wide

SUMS = {DType.F32: "float", DType.F64: "double"}
"""What sums are kept in; of integers in 64 bits."""


@cpp.emits(o.MatMul, where=(wide,))
def matmul(node: Node, net: Net) -> None:
    """One loop nest for all matrices of a batch."""
    general(node, net)


def general(node: Node, net: Net) -> None:
    """MatMul of whatever rank and type."""
    if is_empty(node, net):
        return
    a, b = (_strided(net, v) for v in node.inputs)
    y = net.result(node.result)
    multiply(net, _matrix(a, 0), _matrix(b, 1), y)


@cpp.emits(o.MatMulInteger)
def matmul_integer(node: Node, net: Net) -> None:
    """Sums of 32 bits."""
    if is_empty(node, net):
        return
    a, b = (_matrix(_strided(net, v), side) for side, v in enumerate(node.inputs[:2]))
    zeros = [node.operand("a_zero_point"), node.operand("b_zero_point")]
    multiply(net, a, b, net.result(node.result), zeros)


@cpp.emits(o.Linear, where=(floats,))
def linear(node: Node, net: Net) -> None:
    """A product with the transposed weight; bias and activation in a second loop."""
    general_linear(node, net)


def general_linear(node: Node, net: Net) -> None:
    """Linear of planar values, f32 or f64."""
    if is_empty(node, net):
        return
    op, (x, w) = node.op, node.inputs[:2]
    assert isinstance(op, o.Linear)
    if w.is_constant:
        weight = net.constant(np.ascontiguousarray(w.constant.T))
    else:
        source = net.planar(w)
        weight = net.fresh(w.type.dtype, (source.shape[1], source.shape[0]))
        turned = source.replace(shape=weight.shape, strides=source.strides[::-1])
        reorder.copy(net, turned, weight)
    view = net.planar(x)
    rows = math.prod(view.shape[:-1])
    matrix = view.replace(shape=(rows, view.shape[-1]), strides=(view.shape[-1], 1))
    y = net.result(node.result)
    flat = y.replace(shape=(rows, y.shape[-1]), strides=(y.shape[-1], 1))
    multiply(net, matrix, weight, flat)
    finished(net, flat, node.operand("b"), 1, op.activation)


def _strided(net: Net, value: Value) -> View:
    """A planar view, dense or not."""
    return next((v for v in net.views(value) if v.block is None), None) or net.planar(value)


def _matrix(view: View, side: int) -> View:
    """A vector as a row or as a column."""
    if len(view.shape) > 1:
        return view
    if side == 0:
        return view.replace(shape=(1, *view.shape), strides=(0, *view.strides))
    return view.replace(shape=(*view.shape, 1), strides=(*view.strides, 0))


def multiply(
    net: Net, a: View, b: View, y: View, zeros: list[Value | None] | None = None, *, sum_type: str = ""
) -> None:
    """A step for y = a b; y is dense, and its last axes are those of the product (one of size 1 may be missing)."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    if k == 0:
        net.step(f"memset({net.ptr(y)}, 0, {math.prod(y.shape) * y.dtype.size});", [], [y], needs=["run"])
        return
    floats = a.dtype is DType.F32 and b.dtype is DType.F32
    if floats and b.strides[-1] != 1 and n > 1:
        b = _dense(net, b)
    axes = list(zip(batch, _batch_strides(a, batch), _batch_strides(b, batch), strict=True))
    if b.is_dense and len(axes) and all(s == 0 or size == 1 for size, _, s in axes):  # all rows by one matrix
        lead = a.shape[:-1]
        if a.is_dense and a.shape[:-2] == batch:
            m, axes = math.prod(lead), []
    axes = reorder.joined(axes)
    numbers = [m, n, k, a.strides[-2], a.strides[-1], b.strides[-2], b.strides[-1], len(axes)]
    table = ", ".join(braced(axis[i] for axis in axes) for i in range(3))
    head = f"static const Product s{{{', '.join(map(str, numbers))}, {table}}};"
    pointers = ", ".join(map(net.ptr, (a, b, y)))
    reads = [a, b]
    if floats:
        text = f"{head}\nproduct(r, s, {pointers});"
    else:
        kinds = [C_TYPES[v.dtype] for v in (a, b, y)]
        kinds.append(sum_type or SUMS.get(y.dtype, "int32_t" if zeros is not None else "uint64_t"))
        points = ""
        for value in zeros or []:
            if value is None:
                points += ", nullptr, 0"
                continue
            reads.append(net.planar(value))
            points += f", {net.ptr(reads[-1])}, {int((value.type.numel or 1) > 1)}"
        text = f"{head}\nproduct_of<{', '.join(kinds)}>(r, s, {pointers}{points});"
    net.step(text, reads, [y], needs=["product"])


def _dense(net: Net, view: View) -> View:
    target = net.fresh(view.dtype, view.shape)
    reorder.copy(net, view, target)
    return target


def _batch_strides(view: View, batch: tuple[int, ...]) -> list[int]:
    sizes, strides = view.shape[:-2], view.strides[:-2]
    missing = len(batch) - len(sizes)
    return [0] * missing + [0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True)]
