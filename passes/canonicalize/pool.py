"""A pool over the whole picture is a reduction."""

from __future__ import annotations

from mconv.ir import Op, Value
from mconv.ir.ops import AveragePool, MaxPool, ReduceMax, ReduceMean

from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat((AveragePool, MaxPool), "x"))
def name_global_pool(m: Match, add: Add) -> Value:
    """A pool whose kernel covers the picture is a reduction over the spatial axes."""
    op = m.root.op
    assert isinstance(op, AveragePool | MaxPool)
    spatial = m["x"].type.shape[2:]
    m.require(tuple(op.kernel) == spatial, "the kernel is smaller than the picture")
    m.require(not any(op.pads) and all(d == 1 for d in op.dilations), "padded or dilated")
    m.require(all(d == 1 for d in m.root.result.type.shape[2:]), "more than one window")
    axes = tuple(range(2, m["x"].type.rank))
    new: Op = ReduceMean(axes, True) if isinstance(op, AveragePool) else ReduceMax(axes, True)
    return add(new, m["x"])


@rule(pat((AveragePool, MaxPool), "x"))
def drop_pool_of_one(m: Match, add: Add) -> Value:
    """A pool with a kernel of one element and steps of one is its operand."""
    op = m.root.op
    assert isinstance(op, AveragePool | MaxPool)
    m.require(all(k == 1 for k in (*op.kernel, *op.strides)) and not any(op.pads), "it pools, steps or pads")
    return m["x"]


POOL = (drop_pool_of_one, name_global_pool)
