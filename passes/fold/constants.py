"""Fold constants: a node whose operands are all known becomes its result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mconv.ir import Array, Graph, Node, Op, TensorType, Value
from mconv.ir.contents import LIMIT, as_objects, follow, is_number
from mconv.ir.graph import infer_types, padded
from mconv.ir.infer import refresh_types
from mconv.ir.record import Record

from ..base import Context

MAX_BYTES = 1 << 28
"""No constant larger than this is made from nothing (a 10^12-element Expand is a hostile model)."""
MAX_GROWTH = 8 << 20
"""A result may be larger than its operands together by at most this many bytes, else the file would swell."""


def _none(graph: Graph, node: Node) -> bool:
    return False


class FoldConstants(Record):
    """Evaluate nodes with constant operands; follow shape arithmetic; turn known operands into attributes.

    ``keep`` tells of nodes that stay although their operands are known (weights that are stored as integers).
    """

    name: str = "fold constants"
    keep: Callable[[Graph, Node], bool] = _none
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Fold in place until no type gets more exact; the number of nodes folded."""
        total = 0
        while True:
            count = self._sweep(graph, context)
            total += count
            if not count or not refresh_types(graph):
                return total

    def _sweep(self, graph: Graph, context: Context) -> int:
        contents: dict[Value, Array] = {}
        count = 0
        for node in graph.nodes:
            if self.keep(graph, node):
                continue
            found = _evaluate(node) or _follow(node, contents)
            if found is not None and all(is_number(c) if c.dtype == object else True for c in found):
                _replace(graph, node, found)
                context.record(self.name, node)
                count += 1
                continue
            if found is not None:
                contents.update(zip(node.results, found, strict=True))
            if _absorb(graph, node, contents):
                context.record("absorb known operands", node)
                count += 1
        return count


def _evaluate(node: Node) -> tuple[Array, ...] | None:
    if not node.op.foldable or not all(v.is_constant for v in node.inputs):
        return None
    sizes = [v.type.nbytes for v in node.results]
    if any(size is None for size in sizes):
        if sum(v.constant.nbytes for v in node.inputs) > MAX_GROWTH:
            return None
    else:
        size = sum(s for s in sizes if s is not None)
        known = sum(v.constant.nbytes for v in node.inputs)
        if size > MAX_BYTES + 2 * known or size > 4 * known + MAX_GROWTH:
            return None
    arrays = padded(node.op, (None if v is None else v.data for v in node.operands))
    with np.errstate(all="ignore"):
        result = node.op.evaluate(*arrays)
    return result if isinstance(result, tuple) else (result,)


def _follow(node: Node, contents: dict[Value, Array]) -> tuple[Array, ...] | None:
    known = [None if v is None else _content(v, contents) for v in node.operands]
    return follow(node.op, node.operand_types, known)


def _content(value: Value, contents: dict[Value, Array]) -> Array | None:
    if value.data is None:
        return contents.get(value)
    return as_objects(value.data) if value.data.size <= LIMIT and value.data.dtype.kind in "iub" else None


def _replace(graph: Graph, node: Node, found: tuple[Array, ...]) -> None:
    for result, array in zip(node.results, found, strict=True):
        plain = np.array(array.tolist()).reshape(array.shape) if array.dtype == object else np.asarray(array)
        graph.replace(result, graph.add_constant(plain.astype(result.type.dtype.numpy, copy=False), result.name))
    graph.prune(node)


def _absorb(graph: Graph, node: Node, contents: dict[Value, Array]) -> bool:
    op: Op = node.op
    operands = list(node.operands)
    types: tuple[TensorType | None, ...] = node.operand_types
    for index, place in enumerate(op.operands()):
        value = operands[index] if index < len(operands) else None
        if not place.attribute or value is None:
            continue
        content = value.data if value.data is not None else contents.get(value)
        absorbed = None if content is None else op.absorb(place.name, content, types)
        if absorbed is not None:
            op, operands[index] = absorbed, None
    if op == node.op:
        return False
    infer_types(op, tuple(None if v is None else v.type for v in operands))
    new = graph.add(op, operands, name=node.name, origin=node.origin, at=node)
    for old, fresh in zip(node.results, new.results, strict=True):
        graph.replace(old, fresh)
    graph.prune(node)
    return True
