"""Merge equal: two nodes with the same operator and operands are one."""

from __future__ import annotations

from typing import Any

from mconv.ir import Graph, Value
from mconv.ir.record import Record

from ..base import Context

SMALL = 4096
"""Constants up to this many bytes are compared by content, larger ones by identity of their memory."""


class MergeEqual(Record):
    """Common subexpressions: keep the first of equal nodes, and the first of equal small constants."""

    name: str = "merge equal nodes"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Merge in place; the number of nodes merged away."""
        _merge_constants(graph)
        seen: dict[Any, tuple[Value, ...]] = {}
        count = 0
        for node in graph.nodes:
            key = (node.op, tuple(None if v is None else id(v) for v in node.operands))
            first = seen.setdefault(key, node.results)
            if first is node.results or any(graph.is_output(v) for v in node.results):
                continue  # an output keeps a node of its own: its name is a contract
            for result, kept in zip(node.results, first, strict=True):
                for reader, index in result.uses:
                    graph.set_operand(reader, index, kept)
            graph.remove(node)
            context.record(self.name, node)
            count += 1
        return count


def _merge_constants(graph: Graph) -> None:
    seen: dict[Any, Value] = {}
    for value in graph.constants:
        data = value.constant
        if data.nbytes > SMALL or graph.is_output(value):
            continue
        first = seen.setdefault((value.type, data.tobytes()), value)
        if first is not value:
            for reader, index in value.uses:
                graph.set_operand(reader, index, first)
