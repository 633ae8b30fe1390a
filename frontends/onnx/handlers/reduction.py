"""Reductions, positions of extremes, running sums."""

from __future__ import annotations

from mconv.ir import Builder, Op, Value, ops

from ..node import OnnxNode
from ..registry import Function, onnx

_REDUCTIONS: dict[str, tuple[type[Op], int]] = {
    f"Reduce{name}": (getattr(ops, f"Reduce{name}"), 13 if name == "Sum" else 18)
    for name in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
}


def _with_attribute(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        axes = n.axes(n.integers("axes") or ()) or tuple(range(n.rank))
        return g.add(op(axes, n.boolean("keepdims")), n[0])

    return handler


def _with_operand(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        keep, nothing = n.boolean("keepdims"), n.boolean("noop_with_empty_axes")
        given = n.get(1)
        content = n.known(given)
        if given is not None and content is None and given.type.numel != 0:
            return g.add(op(None, keep), n[0], given)
        axes = n.axes([int(axis) for axis in content.ravel()] if content is not None else ())
        if not axes and not nothing:
            axes = tuple(range(n.rank))
        return g.add(op(axes, keep), n[0])

    return handler


for _name, (_op, _since) in _REDUCTIONS.items():
    onnx(_name, since=1)(_with_attribute(_op))
    onnx(_name, since=_since)(_with_operand(_op))


@onnx("ArgMax", "ArgMin")
def arg_extreme(n: OnnxNode, g: Builder) -> Value:
    """ArgMax and ArgMin."""
    op = ops.ArgMax if n.op_type == "ArgMax" else ops.ArgMin
    last = "select_last_index" in n.schema.attributes and n.boolean("select_last_index")
    return g.add(op(n.axis(n.integer("axis")), n.boolean("keepdims"), last), n[0])


@onnx("TopK", since=1)
def top_k_attribute(n: OnnxNode, g: Builder) -> tuple[Value, ...]:
    """TopK before opset 10: k is an attribute."""
    return g.add_all(ops.TopK(n.axis(n.integer("axis")), k=n.integer("k")), n[0])


@onnx("TopK", since=10)
def top_k(n: OnnxNode, g: Builder) -> tuple[Value, ...]:
    """TopK, of the greatest or the least."""
    largest = sorted_ = True
    if "largest" in n.schema.attributes:
        largest, sorted_ = n.boolean("largest"), n.boolean("sorted")
    axis, content = n.axis(n.integer("axis")), n.known(n[1])
    if content is None:
        return g.add_all(ops.TopK(axis, largest, sorted_), n[0], n[1])
    return g.add_all(ops.TopK(axis, largest, sorted_, int(content.reshape(()))), n[0])


@onnx("CumSum", "CumProd")
def cumulative(n: OnnxNode, g: Builder) -> Value:
    """CumSum and CumProd."""
    op = ops.CumSum if n.op_type == "CumSum" else ops.CumProd
    exclusive, reverse, content = n.boolean("exclusive"), n.boolean("reverse"), n.known(n[1])
    if content is None:
        return g.add(op(None, exclusive, reverse), n[0], n[1])
    return g.add(op(n.axis(int(content.reshape(()))), exclusive, reverse), n[0])
