"""Whether a model treats the samples of a batch each by itself, so that a batch may be run as a loop over them.

A value carries the batch when its axis 0 does. A node keeps samples apart when its operator is one of those below,
works along other axes than that, and its results carry the batch on axis 0 and nowhere else. Anything not known to do
so is taken to mix samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mconv.ir import Dim, Graph, Node, Op, Symbol, Value, ops


def mixing(graph: Graph, batch: Symbol) -> str | None:
    """Why the samples of ``batch`` (a symbol on axis 0 of inputs) cannot be run one by one; None where they can."""
    for value in graph.inputs:
        if _carries(value, batch) and not _in_front(value, batch):
            return f"the input '{value.name}' is {value.type}"
    for node in graph.nodes:
        carriers = [v for v in node.inputs if _carries(v, batch)]
        if not carriers:
            continue
        if not all(_in_front(v, batch) for v in (*carriers, *node.results)):
            return f"{node.name} makes {', '.join(str(v.type) for v in node.results)}"
        if not _keeps_apart(node, batch):
            return f"{type(node.op).__name__} '{node.name}' may mix the samples"
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        if not _in_front(value, batch):
            return f"the output '{name}' is {value.type}"
    return None


def _mentions(dim: Dim, batch: Symbol) -> bool:
    return isinstance(dim, Symbol) and re.search(rf"(?<!\w){re.escape(batch.name)}(?!\w)", dim.name) is not None


def _carries(value: Value, batch: Symbol) -> bool:
    return any(_mentions(dim, batch) for dim in value.type.shape)


def _in_front(value: Value, batch: Symbol) -> bool:
    """The batch is on axis 0 (maybe times a number: several rows a sample), and nowhere else."""
    shape = value.type.shape
    if not shape or any(_mentions(dim, batch) for dim in shape[1:]):
        return False
    return shape[0] == batch or (
        isinstance(shape[0], Symbol)
        and re.fullmatch(rf"\(*{re.escape(batch.name)}\)*(\*\d+\)*)+", shape[0].name) is not None
    )


def _elsewhere(*axes: int) -> bool:
    return all(axis > 0 for axis in axes)


_WAYS: dict[type[Op], Callable[..., bool]] = {
    ops.Transpose: lambda op: op.perm[0] == 0,
    ops.Squeeze: lambda op: _elsewhere(*op.axes),
    ops.Unsqueeze: lambda op: _elsewhere(*op.axes),
    ops.Flatten: lambda op: op.axis > 0,
    ops.Concat: lambda op: op.axis > 0,
    ops.Split: lambda op: op.axis > 0,
    ops.Slice: lambda op: op.axes is not None and _elsewhere(*op.axes),
    ops.Pad: lambda op: op.pads is not None and op.pads[0] == op.pads[len(op.pads) // 2] == 0,
    ops.Tile: lambda op: op.repeats is not None and op.repeats[0] == 1,
    ops.TopK: lambda op: op.axis > 0,
    ops.ArgMax: lambda op: op.axis > 0,
    ops.ArgMin: lambda op: op.axis > 0,
    ops.Softmax: lambda op: op.axis > 0,
    ops.LogSoftmax: lambda op: op.axis > 0,
    ops.Hardmax: lambda op: op.axis > 0,
    ops.LayerNorm: lambda op: op.axis > 0,
    ops.RMSNorm: lambda op: op.axis > 0,
    ops.LpNormalize: lambda op: op.axis > 0,
    ops.Quantize: lambda op: op.axis != 0,
    ops.Dequantize: lambda op: op.axis != 0,
    ops.MeanVarianceNormalize: lambda op: _elsewhere(*op.axes),
    **dict.fromkeys(
        (
            ops.ReduceL1, ops.ReduceL2, ops.ReduceLogSum, ops.ReduceLogSumExp, ops.ReduceMax, ops.ReduceMean,
            ops.ReduceMin, ops.ReduceProd, ops.ReduceSum, ops.ReduceSumSquare,
        ),
        lambda op: op.axes is not None and bool(op.axes) and _elsewhere(*op.axes),
    ),
}  # fmt: skip
"""What an operator's attributes must say for it to leave axis 0 alone."""

_ALWAYS: tuple[type[Op], ...] = (
    ops.Conv, ops.ConvTranspose, ops.MaxPool, ops.AveragePool, ops.LpPool, ops.Linear, ops.BatchNorm, ops.InstanceNorm,
    ops.GroupNorm, ops.LRN, ops.Reshape, ops.Expand, ops.Resize, ops.DepthToSpace, ops.SpaceToDepth, ops.ChannelShuffle,
    ops.Attention, ops.GridSample,
)  # fmt: skip
"""Operators that take each sample by itself, with the batch on axis 0 of x and of the result."""


def _keeps_apart(node: Node, batch: Symbol) -> bool:
    op = node.op
    if isinstance(op, ops.Quantized):
        stored = [v for v, _, _ in op.triples(node.operands[2:]) if v is not None]
        return op.axis != 0 and _apart(op.inner, stored, node.result.type.rank, batch)
    return _apart(op, node.inputs, node.result.type.rank, batch)


def _apart(op: Op, inputs: Sequence[Value], rank: int, batch: Symbol) -> bool:
    if op.elementwise or isinstance(op, ops.Where | ops.PRelu | ops.Pow):
        # an operand without the batch must not have rows of its own along axis 0
        others = [v for v in inputs if not _carries(v, batch)]
        return all(v.type.rank < rank or v.type.shape[0] == 1 for v in others)
    if isinstance(op, ops.MatMul):
        left, right = inputs
        return (left.type.rank > 2 or not _carries(right, batch)) and (right.type.rank > 2 or _carries(left, batch))
    if isinstance(op, ops.Gather):
        data, indices = inputs
        if _carries(data, batch):
            return op.axis > 0 and not _carries(indices, batch)
        return op.axis == 0
    if isinstance(op, ops.OneHot):
        return True
    if isinstance(op, _ALWAYS):
        return all(not _carries(v, batch) or v is inputs[0] or isinstance(op, ops.Attention) for v in inputs)
    way = _WAYS.get(type(op))
    return way is not None and way(op)
