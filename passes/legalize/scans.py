"""Loops of a known number of turns, written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Graph, Value
from mconv.ir.ops import Concat, Gather, Scan

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

MAX_TURNS = 64
MAX_NODES = 4096
"""A loop is not written out with more turns, or into more nodes, than these."""


def inlined(add: Add, body: Graph, arguments: Sequence[Value]) -> list[Value]:
    """The results of ``body`` on these arguments, its nodes added in their order."""
    known = dict(zip(body.inputs, arguments, strict=True))

    def found(value: Value) -> Value:
        if value not in known:
            known[value] = add.constant(value.constant)
        return known[value]

    for node in body.nodes:
        results = add.all(node.op, *(None if v is None else found(v) for v in node.operands))
        known.update(zip(node.results, results, strict=True))
    return [found(value) for value in body.outputs]


@decompose(Scan)
def turns_written_out(m: Match, add: Add) -> tuple[Value, ...]:
    """Scan over a few known slices is its body once a slice."""
    op, values = m.op(Scan), m.root.inputs
    scanned = len(op.input_axes)
    states, sequences = list(values[: op.states]), values[op.states : op.states + scanned]
    captures = values[op.states + scanned :]
    count = sequences[0].type.shape[op.input_axes[0]]
    m.require(isinstance(count, int), "the number of slices is known only at run time")
    assert isinstance(count, int)
    m.require(0 < count <= MAX_TURNS, f"more than {MAX_TURNS} slices, or none")
    m.require(count * len(op.body.nodes) <= MAX_NODES, "the body is long")
    rows: list[list[Value]] = []
    for turn in range(count):
        slices = []
        for value, axis, backwards in zip(sequences, op.input_axes, op.input_directions, strict=True):
            place = count - 1 - turn if backwards else turn
            slices.append(add(Gather(axis), value, add.constant(np.int64(place))))
        results = inlined(add, op.body, (*states, *slices, *captures))
        states = results[: op.states]
        rows.append(results[op.states :])
    stacked = []
    for index, (axis, backwards) in enumerate(zip(op.output_axes, op.output_directions, strict=True)):
        items = [row[index] for row in rows]
        items = items[::-1] if backwards else items
        parts = [add(reshape_to(i.type, (*i.type.shape[:axis], 1, *i.type.shape[axis:])), i) for i in items]
        stacked.append(parts[0] if len(parts) == 1 else add(Concat(axis), *parts))
    return (*states, *stacked)
