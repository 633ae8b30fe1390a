"""Types of a whole graph, anew: after inputs or constants have become more exact."""

from __future__ import annotations

from .graph import Graph, infer_types
from .types import UNKNOWN


def refresh_types(graph: Graph) -> int:
    """Infer every result's type again, in order; the number of values whose type changed.

    A dimension that inference leaves open keeps what was known of it.
    """
    changed = 0
    for node in graph.nodes:
        for value, type in zip(node.results, infer_types(node.op, node.operand_types), strict=True):
            dims = [old if new == UNKNOWN else new for old, new in zip(value.type.shape, type.shape, strict=True)]
            better = type.with_shape(dims)
            if better != value.type:
                graph.set_type(value, better)
                changed += 1
    return changed
