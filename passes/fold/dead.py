"""Remove dead: a node whose results nobody reads is nothing."""

from __future__ import annotations

from mconv.ir import Graph
from mconv.ir.record import Record

from ..base import Context


class RemoveDead(Record):
    """Remove nodes and constants that lead to no output."""

    name: str = "remove dead nodes"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset({"no dead nodes"})

    def run(self, graph: Graph, context: Context) -> int:
        """Remove in place; the number of nodes removed."""
        count = 0
        for node in reversed(graph.nodes):
            if not any(graph.use_count(v) for v in node.results):
                graph.remove(node)
                context.record(self.name, node)
                count += 1
        graph.drop_unread_constants()
        return count
