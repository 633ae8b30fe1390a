"""How often a Loop turns, and what its counters hold in each turn, where both can be known before it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Array, Graph, Node, Value
from mconv.ir.interpreter import evaluate
from mconv.ir.ops import Loop
from mconv.ir.record import Record

MAX_TURNS = 10_000
"""A loop that turns more often is left alone."""
MAX_SIZE = 64
"""Elements of a state that may be a counter."""


class Turns(Record):
    """``count`` turns of ``body``. ``values`` maps the body's inputs that are counters, or known beforehand, to what
    they hold in each turn, and ``last`` the states among them, by index, to what they hold after the last.
    """

    body: Graph
    count: int
    values: dict[Value, list[Array]]
    last: dict[int, Array]

    def each(self, value: Value) -> list[Array] | None:
        """What a value of the body is in each turn; None where that hangs on more than counters."""
        nodes = _nodes([value], set(self.values))
        if nodes is None:
            return None
        order = [node for node in self.body.nodes if node in nodes]
        found = []
        for turn in range(self.count):
            values = {known: arrays[turn] for known, arrays in self.values.items()}
            _evaluate(order, values)
            found.append(_of(value, values))
        return found


def turns_of(node: Node) -> Turns | None:
    """The turns of a Loop whose condition hangs only on counters: states that begin as constants and of which each
    turn computes the next values from nothing but each other. None where it hangs on more, or turns too often.
    """
    op = node.op
    assert isinstance(op, Loop)
    limit, going, *values = node.operands
    if any(v is not None and v.data is None for v in (limit, going)):
        return None
    count = None if limit is None else int(limit.constant.reshape(()))
    body = op.body
    fixed = {
        inner: outer.constant
        for inner, outer in zip(body.inputs[2 + op.states :], values[op.states :], strict=True)
        if outer is not None and outer.data is not None
    }
    counters = _counters(op, values, fixed)
    begin = True if going is None else bool(going.constant.reshape(()))
    needed = _control(body, counters, fixed)
    if needed is None:
        return None
    return _run(op, needed, counters, fixed, count, begin)


def _counters(op: Loop, values: Sequence[Value | None], fixed: dict[Value, Array]) -> dict[int, Array]:
    """The largest set of states, by index, that are computed from nothing but each other; what they begin with."""
    found: dict[int, Array] = {}
    for index, value in enumerate(values[: op.states]):
        if value is not None and value.data is not None and value.data.size <= MAX_SIZE:
            found[index] = value.data
    while True:
        known = {*op.body.inputs[:2], *fixed, *(op.body.inputs[2 + i] for i in found)}
        wrong = [i for i in found if not _known(op.body.outputs[1 + i], known)]
        if not wrong:
            return found
        for index in wrong:
            del found[index]


def _known(value: Value, known: set[Value]) -> bool:
    return _nodes([value], known) is not None


def _nodes(wanted: Sequence[Value], known: set[Value]) -> set[Node] | None:
    """The nodes that make the values from ``known`` ones and constants; None where that is not enough."""
    nodes: set[Node] = set()
    queue = list(wanted)
    while queue:
        value = queue.pop()
        if value.data is not None or value in known:
            continue
        if value.producer is None:
            return None
        if value.producer not in nodes:
            nodes.add(value.producer)
            queue.extend(value.producer.inputs)
    return nodes


def _control(body: Graph, counters: dict[int, Array], fixed: dict[Value, Array]) -> list[Node] | None:
    """The nodes that compute the condition and the counters, in order; None where other values are needed."""
    known = {*body.inputs[:2], *fixed, *(body.inputs[2 + i] for i in counters)}
    nodes = _nodes([body.outputs[0], *(body.outputs[1 + i] for i in counters)], known)
    return None if nodes is None else [node for node in body.nodes if node in nodes]


def _run(
    op: Loop, nodes: list[Node], counters: dict[int, Array], fixed: dict[Value, Array], limit: int | None, going: bool
) -> Turns | None:
    body = op.body
    seen: dict[Value, list[Array]] = {body.inputs[0]: [], **{body.inputs[2 + i]: [] for i in counters}}
    now, count = dict(counters), 0
    while going and (limit is None or count < limit):
        if count >= MAX_TURNS:
            return None
        values = {**fixed, body.inputs[0]: np.array(count, np.int64), body.inputs[1]: np.array(going)}
        values.update((body.inputs[2 + i], array) for i, array in now.items())
        for value, arrays in seen.items():
            arrays.append(values[value])
        _evaluate(nodes, values)
        going = bool(_of(body.outputs[0], values).reshape(()))
        now = {i: _of(body.outputs[1 + i], values) for i in now}
        count += 1
    seen.update((value, [array] * count) for value, array in fixed.items())
    return Turns(body, count, seen, now)


def _evaluate(nodes: Sequence[Node], values: dict[Value, Array]) -> None:
    for node in nodes:
        arrays = [None if v is None else v.data if v.data is not None else values[v] for v in node.operands]
        values.update(zip(node.results, evaluate(node.op, arrays), strict=True))


def _of(value: Value, values: dict[Value, Array]) -> Array:
    return value.constant if value.data is not None else values[value]
