"""Loops that are recurrent layers: LSTM, GRU and RNN given back."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Expand, Gather, Loop, Squeeze, Unsqueeze

from ..pattern import Match, Refusal, pat
from ..rewrite import Add, rule
from .cells import Cell, cells
from .turns import Turns, turns_of


@rule(pat(Loop))
def recognize_recurrent_layer(m: Match, add: Add) -> tuple[Value, ...]:
    """A Loop whose turns are a cell's steps over the slices of a sequence is LSTM, GRU or RNN."""
    op = m.op(Loop)
    turns = turns_of(m.root)
    m.require(turns is not None, "how often it turns hangs on more than counters")
    assert turns is not None
    m.require(turns.count > 0, "it never turns")
    free = [i for i in range(op.states) if i not in turns.last]
    states = {op.body.inputs[2 + i]: op.body.outputs[1 + i] for i in free if op.body.inputs[2 + i].type.rank == 2}
    reasons = ["a turn is not the step of a cell"]
    for cell in cells(states):
        try:
            return _layer(m, add, cell, turns)
        except (Refusal, TypeMismatch) as refusal:  # another element type, or sizes that only broadcasting joins
            reasons.append(str(refusal))
    raise Refusal(reasons[-1])


def _layer(m: Match, add: Add, cell: Cell, turns: Turns) -> tuple[Value, ...]:
    op = m.op(Loop)
    _check_readers(m, cell, turns)
    x = _sequence(m, add, cell, turns)
    begin = [m.root.inputs[-_from_end(m, state)] for state in cell.states]
    rows = [None if _is_zero(value) else add(Unsqueeze((0,)), value) for value in begin]
    assert cell.w is not None
    y, *last = add.all(cell.op, x, cell.w[None], cell.r[None], cell.b[None], None, *rows)
    after = dict(zip(cell.states, last, strict=True))
    results: list[Value] = []
    for i in range(op.states):
        state = op.body.inputs[2 + i]
        if state in after:
            results.append(add(Squeeze((0,)), after[state]))
        elif i in turns.last:
            results.append(add.constant(turns.last[i]))
        else:
            results.append(m.root.inputs[-_from_end(m, state)])  # nobody reads it
    steps = add(Squeeze((1,)), y)
    return (*results, *(steps for _ in op.body.outputs[1 + op.states :]))


def _is_zero(value: Value) -> bool:
    """Whether a state begins as zeros, maybe spread over a batch that only the run tells."""
    node = value.producer
    if node is not None and isinstance(node.op, Expand):
        value = node.inputs[0]
    return value.data is not None and not value.data.any()


def _from_end(m: Match, inner: Value) -> int:
    """Where the operand for a state or capture of the body stands, counted from the end: optional ones lead."""
    inputs = m.op(Loop).body.inputs
    return len(inputs) - inputs.index(inner)


def _check_readers(m: Match, cell: Cell, turns: Turns) -> None:
    """What is read of the loop must be what a layer gives."""
    op = m.op(Loop)
    for index, result in enumerate(m.root.results):
        if index >= op.states:
            m.require(op.body.outputs[1 + index] is cell.new[0], "it collects something else than h")
        elif op.body.inputs[2 + index] not in cell.states and index not in turns.last:
            m.require(m.graph.use_count(result) == 0, "another state is read after it")


def _sequence(m: Match, add: Add, cell: Cell, turns: Turns) -> Value:
    """The slices that the turns take, as one value [L, N, I]."""
    m.require(cell.x is not None, "the cell takes nothing")
    node = cell.x.producer if cell.x is not None else None
    m.require(node is not None and isinstance(node.op, Gather) and node.op.axis == 0, "a turn takes no slice")
    assert node is not None
    source, index = node.inputs
    m.require(index.type.rank == 0, "a turn takes several slices")
    places = turns.each(index)
    m.require(places is not None, "which slice a turn takes hangs on more than counters")
    if source.data is None:
        m.require(source in m.op(Loop).body.inputs[2 + m.op(Loop).states :], "the slices change from turn to turn")
        outer = m.root.inputs[-_from_end(m, source)]
    else:
        outer = add.constant(source.constant)
    taken = [int(place) for place in places or ()]
    if outer.type.shape[0] == len(taken) and taken == list(range(len(taken))):
        return outer
    return add(Gather(0), outer, np.array(taken, np.int64))


RECURRENT = (recognize_recurrent_layer,)
