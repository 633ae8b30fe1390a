"""Cutting: a Gather of neighbours is a Slice, and a Slice moves up to where the data was made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Dim, Graph, Node, Value
from mconv.ir.ops import Gather, Reshape, Slice, Split, Transpose
from mconv.ir.record import Record
from mconv.ir.types import product

from ..base import Context
from ..pattern import Match, pat
from ..rewrite import Add, rule
from .movement import reshape_to


@rule(pat(Gather, "x", "indices"))
def name_slice(m: Match, add: Add) -> Value:
    """Gather with known neighbouring indices is a Slice (and a Reshape where the axis goes)."""
    indices = m.const("indices")
    x, axis = m["x"], m.op(Gather).axis
    size = x.type.shape[axis]
    m.require(x.data is None and indices.ndim <= 1 and indices.size > 0, "a table, or indices of more than one axis")
    m.require(isinstance(size, int), "the size is known only at run time")
    assert isinstance(size, int)
    places = [int(i) % size for i in indices.reshape(-1)]
    m.require(places == list(range(places[0], places[0] + len(places))), "the indices are no neighbours")
    part = add(Slice((places[0],), (places[0] + len(places),), (axis,), (1,)), x)
    return add(reshape_to(part.type, m.root.result.type.shape), part)


def _one_cut(m: Match) -> tuple[int, int, int]:
    """axis, start and end of a Slice along one axis by steps of one."""
    op = m.op(Slice)
    m.require(op.axes is not None and op.starts is not None and len(op.axes) == 1, "not along one known axis")
    m.require(op.steps == (1,), "it steps")
    axis = (op.axes or (0,))[0]
    size, count = m.root.inputs[0].type.shape[axis], m.root.result.type.shape[axis]
    m.require(isinstance(size, int) and isinstance(count, int), "the size is known only at run time")
    assert isinstance(size, int)
    assert isinstance(count, int)
    start = (op.starts or (0,))[0]
    start = max(0, min(size, start + size if start < 0 else start))
    return axis, start, start + count


def _all_cut(m: Match, axis: int) -> None:
    """A refusal unless every reader of what is cut is a Slice along the same axis (else data is moved twice)."""
    value = m.root.inputs[0]
    m.require(not m.graph.is_output(value), "the whole is an output")
    for reader in value.readers:
        m.require(isinstance(reader.op, Slice) and reader.op.axes == (axis,), "the whole is read elsewhere")


@rule(pat(Slice, pat(Transpose, "x")))
def slice_before_transpose(m: Match, add: Add) -> Value:
    """Slice(Transpose(x)) is Transpose(Slice(x)), where slices are all that reads the transposed whole."""
    axis, start, end = _one_cut(m)
    _all_cut(m, axis)
    perm = m.op(Transpose).perm
    part = add(Slice((start,), (end,), (perm[axis],), (1,)), m["x"])
    return add(Transpose(perm), part)


@rule(pat(Slice, pat(Reshape, "x")))
def slice_before_reshape(m: Match, add: Add) -> Value:
    """Slice(Reshape(x)) is Reshape(Slice(x)), where the cut axis is the outermost part of an axis of x."""
    axis, start, end = _one_cut(m)
    _all_cut(m, axis)
    x, whole = m["x"].type.shape, m.root.inputs[0].type.shape
    m.require(m["x"].type.is_static, "sizes are known only at run time")
    source = _same_start(x, whole, axis)
    m.require(source is not None, "the cut axis is not the outermost part of an axis of x")
    assert source is not None
    size, parts = m["x"].type.static_shape[source], whole[axis]
    m.require(isinstance(parts, int) and parts > 0 and size % parts == 0, "no whole parts")
    assert isinstance(parts, int)
    inner = size // parts
    part = add(Slice((start * inner,), (end * inner,), (source,), (1,)), m["x"])
    return add(reshape_to(part.type, m.root.result.type.shape), part)


def _same_start(x: Sequence[Dim], y: Sequence[Dim], axis: int) -> int | None:
    """The axis of x that starts where ``axis`` of y does: equal products before, and of it y's axis is the head."""
    before = product(y[:axis])
    for source in range(len(x)):
        if product(x[:source]) == before and x[source] != 1:
            return source
    return None


class JoinSlices(Record):
    """Slices that cut one value into consecutive parts are one Split."""

    name: str = "join slices"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite in place; the number of Splits made."""
        count = 0
        for value in [v for node in graph.nodes for v in node.results] + list(graph.inputs):
            cuts = _partition(value)
            if cuts is not None:
                self._join(graph, value, *cuts, context)
                count += 1
        return count

    def _join(
        self, graph: Graph, value: Value, axis: int, parts: list[tuple[int, int, Node]], context: Context
    ) -> None:
        first = parts[0][2]
        names = [part.result.name for _, _, part in parts]
        split = graph.add(
            Split(axis, tuple(end - start for start, end, _ in parts)),
            [value],
            origin=first.origin,
            at=first,
            name=names[0],
        )
        for result, (_, _, part) in zip(split.results, parts, strict=True):
            graph.replace(part.result, result)
            graph.remove(part)
        context.record(self.name, split)


def _partition(value: Value) -> tuple[int, list[tuple[int, int, Node]]] | None:
    nodes = [r for r in value.readers if isinstance(r.op, Slice) and r.op.axes is not None and r.op.steps == (1,)]
    if len(nodes) < 2 or len({n.op.axes for n in nodes}) != 1:  # type: ignore[attr-defined]
        return None
    axis = nodes[0].op.axes[0]  # type: ignore[attr-defined]
    size = value.type.shape[axis]
    if not isinstance(size, int):
        return None
    parts = []
    for node in nodes:
        assert isinstance(node.op, Slice)
        count = node.result.type.shape[axis]
        if len(node.op.axes or ()) != 1 or node.op.starts is None or not isinstance(count, int):
            return None
        start = node.op.starts[0]
        start = max(0, min(size, start + size if start < 0 else start))
        parts.append((start, start + count, node))
    parts.sort(key=lambda part: part[0])
    edges = np.array([(start, end) for start, end, _ in parts])
    whole = edges[0, 0] == 0 and edges[-1, 1] == size and bool(np.all(edges[1:, 0] == edges[:-1, 1]))
    return (axis, parts) if whole else None


SLICES = (name_slice, slice_before_transpose, slice_before_reshape)
