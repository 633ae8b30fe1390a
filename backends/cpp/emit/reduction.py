"""Reductions over axes, and what runs along one axis."""

from __future__ import annotations

from mconv.ir import DType, Node, Op
from mconv.ir import ops as o

from ..backend import cpp
from ..net import C_TYPES, Net
from ..reorder import joined
from ..view import BLOCK, View
from . import sized
from .common import around, braced, ctype, floats, is_empty, not_empty, truth, wide
from .formulas import literal

FOLDS: dict[type[Op], str] = {
    o.ReduceSum: "SumOf", o.ReduceMean: "MeanOf", o.ReduceMax: "MaxOf", o.ReduceMin: "MinOf", o.ReduceProd: "ProductOf",
    o.ReduceL1: "L1Of", o.ReduceL2: "L2Of", o.ReduceLogSum: "LogSumOf", o.ReduceLogSumExp: "LogSumExpOf",
    o.ReduceSumSquare: "SquaresOf",
}  # fmt: skip
"""Names of the kernels' functions."""


@cpp.emits(*FOLDS, where=(wide,))
def reduce(node: Node, net: Net) -> None:
    """One loop nest over the axes that stay, one over those that go; blocked values stay blocked."""
    fold(node, net)


def fold(node: Node, net: Net) -> None:
    """The step of a reduction, also for the owners of faster forms."""
    axes: tuple[int, ...] | None = node.op.axes  # type: ignore[attr-defined]
    if axes is None:
        sized.reduce(node, net, FOLDS[type(node.op)])
        return
    if is_empty(node, net):
        return
    keepdims: bool = node.op.keepdims  # type: ignore[attr-defined]
    x = _operand(node, net, axes)
    block = None
    if x.block is not None:
        block = x.block if keepdims else x.block - sum(a < x.block for a in axes)
    y = net.result(node.result, block)
    places = [a if keepdims else a - sum(b < a for b in axes) for a in range(len(x.shape))]
    kept = [(x.shape[a], x.strides[a], y.strides[places[a]]) for a in range(len(x.shape)) if a not in axes]
    if x.block is not None:
        place = sum(a not in axes for a in range(x.block))
        kept[place] = (x.blocks, x.block_stride, y.block_stride)
        kept.append((BLOCK, 1, 1))
    gone = [(x.shape[a], x.strides[a], 0) for a in axes]
    stay, go = joined(kept), joined(gone)
    table = ", ".join(
        braced(a[k] for a in axes) for axes, ks in ((stay, (0, 1, 2)), (go, (0, 1))) for k in ks
    )  # fmt: skip
    head = f"static const Fold s{{{len(stay)}, {len(go)}, {table}}};"
    call = f"reduce<{FOLDS[type(node.op)]}<{C_TYPES[x.dtype]}>>(r, s, {net.ptr(x)}, {net.ptr(y)});"
    net.step(f"{head}\n{call}", [x], [y], needs=["reduce"])


def _operand(node: Node, net: Net, axes: tuple[int, ...]) -> View:
    """A blocked view where the blocked axis stays, else a planar one."""
    views = net.views(node.inputs[0])
    for view in views:
        if view.block is not None and view.block not in axes and view.dtype is DType.F32:
            return view
    return next((v for v in views if v.block is None), None) or net.planar(node.inputs[0])


@cpp.emits(o.ArgMax, o.ArgMin, where=(wide, not_empty))
def arg_extreme(node: Node, net: Net) -> None:
    """Lines that lie side by side are walked together."""
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.ArgMax | o.ArgMin)
    x, y = net.planar(value), net.result(node.result)
    outer, n, inner = around(x.shape, op.axis)
    kind = f"{ctype(value)}, {truth(isinstance(op, o.ArgMax))}, {truth(op.select_last)}"
    call = f"arg_extreme<{kind}>(r, {net.ptr(x)}, {net.ptr(y)}, {outer}, {n}, {inner});"
    net.step(call, [x], [y], needs=["lines"])


@cpp.emits(o.TopK, where=(wide,))
def top_k(node: Node, net: Net) -> None:
    """A heap of the best for each line."""
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.TopK)
    if op.k is None:
        sized.top_k(node, net)
        return
    if is_empty(node, net):
        return
    x, values, places = net.planar(value), net.result(node.results[0]), net.result(node.results[1])
    outer, n, inner = around(x.shape, op.axis)
    pointers = ", ".join(map(net.ptr, (x, values, places)))
    call = f"top_k<{ctype(value)}, {truth(op.largest)}>(r, {pointers}, {outer}, {n}, {inner}, {op.k});"
    net.step(call, [x], [values, places], needs=["lines"], scratch=8 * n)


@cpp.emits(o.CumSum, o.CumProd, where=(wide,))
def running(node: Node, net: Net) -> None:
    """Lines that lie side by side are walked together."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.CumSum | o.CumProd)
    x, y = net.planar(value), net.result(node.result, over=[value])
    views = [x]
    if op.axis is None:
        views.append(net.planar(node.inputs[1]))
        head = f"const Around a = around({len(x.shape)}, Sizes{braced([braced(x.shape)])}, *{net.ptr(views[1])});\n"
        sizes = "a.outer, a.n, a.inner"
    else:
        head, sizes = "", ", ".join(map(str, around(x.shape, op.axis)))
    kind = f"{ctype(value)}, {truth(isinstance(op, o.CumProd))}"
    options = f"{truth(op.exclusive)}, {truth(op.reverse)}"
    call = f"running<{kind}>(r, {net.ptr(x)}, {net.ptr(y)}, {sizes}, {options});"
    net.step(head + call, views, [y], needs=["lines"])


@cpp.emits(o.Softmax, o.LogSoftmax, where=(floats,))
def softmax(node: Node, net: Net) -> None:
    """Along rows, or along an axis with what lies side by side together."""
    general_softmax(node, net)


def general_softmax(node: Node, net: Net) -> None:
    """On planar values, f32 or f64."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.Softmax | o.LogSoftmax)
    x, y = net.planar(value), net.result(node.result, over=[value])
    sizes = ", ".join(map(str, around(x.shape, op.axis)))
    kind = f"{ctype(value)}, {truth(isinstance(op, o.LogSoftmax))}"
    net.step(f"softmax<{kind}>(r, {net.ptr(x)}, {net.ptr(y)}, {sizes});", [x], [y], needs=["lines"])


@cpp.emits(o.LRN, where=(floats,))
def local_response(node: Node, net: Net) -> None:
    """Sums of squares of neighbouring channels."""
    if is_empty(node, net):
        return
    op, value = node.op, node.inputs[0]
    assert isinstance(op, o.LRN)
    x, y = net.planar(value), net.result(node.result)
    sizes = ", ".join(map(str, around(x.shape, len(x.shape) - 1 if op.channels_last else 1)))
    numbers = ", ".join(literal(n, x.dtype) for n in (op.alpha / op.size, op.beta, op.bias))
    call = f"neighbours<{ctype(value)}>(r, {net.ptr(x)}, {net.ptr(y)}, {sizes}, {op.size}, {numbers});"
    net.step(call, [x], [y], needs=["lines"])
