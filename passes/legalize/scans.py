"""Loops of a known number of turns, written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Graph, Value
from mconv.ir.ops import Concat, Gather, Loop, Scan

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..recognize.turns import turns_of
from ..rewrite import Add
from .decompose import decompose

MAX_TURNS = 128
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
        stacked.append(_stacked(add, items[::-1] if backwards else items, axis))
    return (*states, *stacked)


@decompose(Loop)
def counted_turns_written_out(m: Match, add: Add) -> tuple[Value, ...]:
    """Loop that hangs on counters alone is its body once a turn."""
    op = m.op(Loop)
    turns = turns_of(m.root)
    m.require(turns is not None, "how often it turns hangs on more than counters")
    assert turns is not None
    m.require(0 < turns.count <= MAX_TURNS, f"more than {MAX_TURNS} turns, or none")
    m.require(turns.count * len(op.body.nodes) <= MAX_NODES, "the body is long")
    operands = m.root.inputs[-(len(op.body.inputs) - 2) :]
    states, captures = list(operands[: op.states]), operands[op.states :]
    rows: list[list[Value]] = []
    for turn in range(turns.count):
        for index in turns.last:
            states[index] = add.constant(turns.values[op.body.inputs[2 + index]][turn])
        begin = (add.constant(np.array(turn, np.int64)), add.constant(np.array(True)))
        results = inlined(add, op.body, (*begin, *states, *captures))
        states = results[1 : 1 + op.states]
        rows.append(results[1 + op.states :])
    scans = (_stacked(add, [row[index] for row in rows], 0) for index in range(len(op.body.outputs) - 1 - op.states))
    return (*states, *scans)


def _stacked(add: Add, items: Sequence[Value], axis: int) -> Value:
    """Values as slices along a new axis."""
    parts = [add(reshape_to(i.type, (*i.type.shape[:axis], 1, *i.type.shape[axis:])), i) for i in items]
    return parts[0] if len(parts) == 1 else add(Concat(axis), *parts)
