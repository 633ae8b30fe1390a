"""Values whose sizes only running tells: how many elements they have at most, where that is known.

Such a value lies flat in memory for the most elements it can have, with its sizes beside it; it may go out, and
elementwise operators of one operand may work on it.
"""

from __future__ import annotations

import math

from mconv.ir import Node, Op, Value
from mconv.ir import ops as o

REDUCTIONS: tuple[type[Op], ...] = (
    o.ReduceSum, o.ReduceMean, o.ReduceMax, o.ReduceMin, o.ReduceProd, o.ReduceL1, o.ReduceL2, o.ReduceLogSum,
    o.ReduceLogSumExp, o.ReduceSumSquare,
)  # fmt: skip


def capacity(value: Value) -> int | None:
    """The most elements that a value can have; None where there is no bound."""
    if value.type.is_static:
        return value.type.numel
    node = value.producer
    if node is None:
        return None
    if is_flat(node):
        return capacity(next(v for v in node.inputs if not v.type.is_static))
    if not all(v.type.is_static for v in node.inputs):
        return None
    return _bound(node, node.results.index(value))


def _bound(node: Node, index: int) -> int | None:
    op, types = node.op, [v.type for v in node.inputs]
    own = types[0].static_shape if types else ()
    count = math.prod(own)
    if isinstance(op, REDUCTIONS):
        return math.prod(max(n, 1) for n in own)
    if isinstance(op, o.Reshape | o.Slice | o.TopK | o.Compress | o.Unique):
        return count
    if isinstance(op, o.NonZero):
        return len(own) * count
    if isinstance(op, o.NonMaxSuppression):
        return 3 * math.prod(types[1].static_shape)
    if isinstance(op, o.DetectionOutput):
        boxes = types[2].static_shape[2] // 4 * op.classes
        return 7 * own[0] * (boxes if op.keep_top_k < 0 else min(boxes, op.keep_top_k))
    if isinstance(op, o.Proposal):
        total = count // 2
        return (5, 1)[index] * (min(total, op.after) if op.after > 0 else total)
    return None


def is_flat(node: Node) -> bool:
    """Whether the operator works element by element on one value whose sizes only running tells."""
    loose = [v for v in node.inputs if not v.type.is_static]
    if len(loose) != 1 or not node.op.elementwise or len(node.results) != 1:
        return False
    rank = loose[0].type.rank
    others = [v.type for v in node.inputs if v is not loose[0]]
    return node.result.type.rank == rank and all(t.numel == 1 and t.rank <= rank for t in others)
