"""Loops of either kind as the IR's Loop.

A loop that counts (its condition is that counters, which begin somewhere and grow by one, stay below numbers that do
not change) has a trip count, and its counters are the iteration. Lists of tensors that each turn writes one element
of, at the place of its counter, are scans; lists that are only read are tensors that the body reads with Gather. What
a turn leaves as it is, is no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mconv.ir import Builder, DType, Graph, Symbol, TensorType, Value, ops
from mconv.ir.record import Record

from . import errors
from .capture import Captures
from .items import Item, ListIsRead, LoopList, TensorList

if TYPE_CHECKING:
    from .scope import Scope

_ROUNDS = 8
"""Times a loop's body is read again with looser types of its states."""
_MAX_STATES = 10_000


class LoopParts(Record):
    """A loop to be built.

    ``initial`` are the items before the first turn, ``invariant`` tells which of them no turn changes. ``body`` gives
    the items after a turn, ``going`` whether another turn follows, both from the items before; what they read beside
    these comes in through Captures (None: in the outer graph itself).
    """

    initial: Sequence[Item]
    invariant: Sequence[bool]
    body: Callable[[Builder, Sequence[Item], Captures], list[Item]]
    going: Callable[[Builder, Sequence[Item], Captures | None], Value]


class _Limit(Record):
    """One conjunct of a counting loop's condition: counter (a state's index) < value (of the outer graph)."""

    counter: int
    value: Value


class _Turn:
    """A body that has been read: its graph, what it captured, the items it began with and those it gave."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.captures = Captures(builder)
        self.given: list[Item] = []
        self.results: list[Item] = []


def built(scope: Scope, parts: LoopParts) -> list[Item]:
    """The items after a loop, which is added to the scope's graph."""
    if len(parts.initial) > _MAX_STATES:
        raise errors.loop(f"a loop with {len(parts.initial)} values")
    loop = _Loop(scope, parts)
    for _ in range(len(parts.initial) + 1):
        try:
            return loop.build()
        except ListIsRead as error:
            if loop.stacked[error.index]:
                raise errors.loop("a list of tensors is handled in a way that is not read") from None
            loop.stacked[error.index] = True
    raise errors.loop("a list of tensors is handled in a way that is not read")


class _Loop:
    def __init__(self, scope: Scope, parts: LoopParts) -> None:
        self.scope, self.parts = scope, parts
        self.outer = scope.builder
        count = len(parts.initial)
        self.invariant = list(parts.invariant)
        self.stacked = [False] * count
        self.elements: dict[int, TensorType] = {}
        """Types of what is written to lists, by state."""

    def build(self) -> list[Item]:
        for i, item in enumerate(self.parts.initial):
            if not isinstance(item, Value | TensorList):
                self.invariant[i] = True
        turn, types = self._stable({})
        for i, item in enumerate(turn.results):
            if isinstance(item, LoopList) and item.written is None:
                self.invariant[i] = True
        starts, limits = self._counting(turn, types)
        if limits is None:
            for i in range(len(turn.results)):
                if isinstance(turn.given[i], LoopList) and not self.invariant[i]:
                    raise ListIsRead(i)
            return self._plain(turn, types)
        turn, types = self._stable(starts)
        return self._counted(turn, starts, limits)

    # The body -------------------------------------------------------------------------------------------------

    def _stable(self, counters: dict[int, Value]) -> tuple[_Turn, dict[int, TensorType]]:
        """The body, read with types of its states that hold before and after every turn."""
        types = {i: self._start(i).type for i in self._states(counters)}
        for _ in range(_ROUNDS):
            turn = self._turn(types, counters)
            after = {i: self._after(i, turn) for i in types}
            looser = {i: _looser(t, after[i], i) for i, t in types.items()}
            changed = [i for i, item in enumerate(turn.results) if isinstance(item, LoopList) and item.index != i]
            if changed:
                raise errors.loop("a loop whose lists change places")
            if looser == types:
                return turn, types
            types = looser
        raise errors.loop("a loop whose values take ever other shapes")

    def _states(self, counters: dict[int, Value]) -> list[int]:
        """Indices of the items that go round as tensors."""
        return [
            i for i, item in enumerate(self.parts.initial)
            if not self.invariant[i] and i not in counters and (isinstance(item, Value) or self.stacked[i])
        ]  # fmt: skip

    def _start(self, i: int) -> Value:
        """The value that a state begins with; of a list the tensor of its elements."""
        item = self.parts.initial[i]
        if isinstance(item, Value):
            return item
        assert isinstance(item, TensorList)
        if item.stack is None:
            item.stack = self._zeros(i, item)
        return item.stack

    def _zeros(self, i: int, item: TensorList) -> Value:
        shape = self.elements[i].shape if i in self.elements else item.element
        if shape is None:
            raise errors.needs_static("the shape of the tensors in a loop's list")
        g = self.outer
        near = [v for v in self.parts.initial if isinstance(v, Value)]
        near += [v.stack for v in self.parts.initial if isinstance(v, TensorList) and v.stack is not None]
        sizes = [_size(g, d, near) for d in shape]
        wanted = g.add(ops.Concat(0), *(g.add(ops.Reshape((1,)), size) for size in (item.size, *sizes)))
        return g.add(ops.Expand(), g.constant(np.zeros((), item.dtype.numpy)), wanted)

    def _turn(self, types: dict[int, TensorType], counters: dict[int, Value]) -> _Turn:
        builder = self.scope.translation.closed("body")
        graph = builder.graph
        turn = _Turn(builder)
        iteration = graph.add_input("iteration", TensorType(DType.I64, ()))
        graph.add_input("going", TensorType(DType.BOOL, ()))
        inputs = {i: graph.add_input(f"state_{i}", type) for i, type in types.items()}
        counts: dict[tuple[Value, DType], Value] = {}
        for i, item in enumerate(self.parts.initial):
            if self.invariant[i]:
                turn.given.append(turn.captures.take(item))
            elif i in counters:
                start = turn.captures.value(counters[i])
                kind = (iteration if _is_number(builder, start, 0) else start), start.type.dtype
                if kind not in counts:
                    counts[kind] = _count(builder, iteration, start)
                turn.given.append(counts[kind])
            elif isinstance(item, Value):
                turn.given.append(inputs[i])
            elif self.stacked[i]:
                assert isinstance(item, TensorList)
                size = turn.captures.value(item.size)
                turn.given.append(TensorList(item.dtype, item.element, size, inputs[i]))
            else:
                turn.given.append(LoopList(i))
        turn.results = self.parts.body(builder, turn.given, turn.captures)
        for i, result in enumerate(turn.results):
            if isinstance(result, LoopList) and result.written is not None:
                self.elements[i] = result.written[1].type
        return turn

    def _after(self, i: int, turn: _Turn) -> TensorType:
        return self._result(i, turn).type

    @staticmethod
    def _result(i: int, turn: _Turn) -> Value:
        item = turn.results[i]
        if isinstance(item, TensorList):
            item = item.stack if item.stack is not None else item
        if not isinstance(item, Value):
            raise errors.loop("a turn of a loop gives something that is no tensor")
        return item

    # Counting -------------------------------------------------------------------------------------------------

    def _counting(self, turn: _Turn, types: dict[int, TensorType]) -> tuple[dict[int, Value], list[_Limit] | None]:
        """Where counters begin, by state, and their limits; None where the loop does not just count."""
        starts = {}
        for i in types:
            item, initial = turn.given[i], self.parts.initial[i]
            if isinstance(item, Value) and isinstance(initial, Value) and _is_next(turn.results[i], item):
                starts[i] = initial
        builder = self.scope.translation.closed("condition")
        captures = Captures(builder)
        inputs: dict[Value, int] = {}
        items: list[Item] = []
        for i, item in enumerate(self.parts.initial):
            if i in types and isinstance(item, Value):
                value = builder.graph.add_input(f"state_{i}", types[i])
                inputs[value] = i
                items.append(value)
            else:
                items.append(captures.take(item))
        condition = self.parts.going(builder, items, captures)
        outer = {captures.value(v): v for v in captures.values}
        limits: list[_Limit] = []
        leaves = [condition]
        while leaves:
            value = leaves.pop()
            op = None if value.producer is None else value.producer.op
            if isinstance(op, ops.And) and value.producer is not None:
                leaves.extend(value.producer.inputs)
            elif isinstance(op, ops.Less) and value.producer is not None:
                counter, limit = value.producer.inputs
                place = inputs.get(counter, -1)
                known = outer.get(limit)
                if known is None and limit.data is not None:
                    known = self.outer.graph.add_constant(limit.data, "limit")
                if place not in starts or known is None or known.type.rank or limit.type.rank:
                    return starts, None
                limits.append(_Limit(place, known))
            elif value.data is None or not bool(value.data.all()):
                return starts, None
        used = {i: v for i, v in starts.items() if v.type.rank == 0}
        return used, limits or None

    def _trips(self, starts: dict[int, Value], limits: Sequence[_Limit]) -> Value:
        g, trips = self.outer, list[Value]()
        for limit in limits:
            value = self.scope.cast(limit.value, DType.I64)
            start = starts[limit.counter]
            if not _is_number(g, start, 0):
                value = g.add(ops.Sub(), value, self.scope.cast(start, DType.I64))
            if not any(_same(g, value, t) for t in trips):
                trips.append(value)
        found = trips[0]
        for value in trips[1:]:
            found = g.add(ops.Min(), found, value)
        return found

    # The loop -------------------------------------------------------------------------------------------------

    def _counted(self, turn: _Turn, starts: dict[int, Value], limits: Sequence[_Limit]) -> list[Item]:
        trips = self._trips(starts, limits)
        states = self._states(starts)
        scans, lasts = self._scans(turn, starts, trips, states)
        going = turn.builder.constant(np.array(True))
        made = self._node(turn, states, going, scans, trips, None)
        after = dict(zip([*states, *scans], made, strict=True))
        results: list[Item] = []
        for i, item in enumerate(self.parts.initial):
            if self.invariant[i]:
                results.append(item)
            elif i in starts:
                results.append(self._counter_after(starts[i], trips))
            elif isinstance(item, TensorList):
                stack = self.outer.add(ops.Unsqueeze((0,)), after[lasts[i]]) if i in lasts else after[i]
                results.append(TensorList(item.dtype, item.element, item.size, stack))
            else:
                results.append(after[i])
        return results

    def _counter_after(self, start: Value, trips: Value) -> Value:
        g = self.outer
        ran = self.scope.cast(g.add(ops.Max(), trips, g.constant(0)), start.type.dtype)
        return ran if _is_number(g, start, 0) else g.add(ops.Add(), start, ran)

    def _scans(
        self, turn: _Turn, starts: dict[int, Value], trips: Value, states: Sequence[int]
    ) -> tuple[dict[int, Value], dict[int, int]]:
        """What lists are written with, by state: each turn one element, at the turn's own place.

        And lists of one place, which every turn writes anew with what is also the next value of a state: that state.
        """
        g = self.outer
        places = {turn.given[i] for i, start in starts.items() if _is_number(g, start, 0)}
        ran = g.content(trips)
        runs = ran is not None and isinstance(ran.item(), int) and ran.item() > 0
        scans, lasts = dict[int, Value](), dict[int, int]()
        for i, item in enumerate(turn.results):
            if not isinstance(item, LoopList) or self.invariant[i] or item.written is None:
                continue
            place, element = item.written
            initial = self.parts.initial[i]
            assert isinstance(initial, TensorList)
            twin = next((j for j in states if turn.results[j] is element), None)
            if initial.stack is None and place in places and _same(g, initial.size, trips):
                scans[i] = element
            elif runs and twin is not None and _is_number(g, initial.size, 1) and _is_number(turn.builder, place, 0):
                lasts[i] = twin
            else:
                raise ListIsRead(i)
        return scans, lasts

    def _plain(self, turn: _Turn, types: dict[int, TensorType]) -> list[Item]:
        states = list(types)
        after = [i if n is None else n for i, n in zip(turn.given, turn.results, strict=True)]
        going = self.parts.going(turn.builder, after, turn.captures)
        first = self.parts.going(self.outer, self.parts.initial, None)
        made = self._node(turn, states, _scalar(going, turn.builder), {}, None, _scalar(first, self.outer))
        found = dict(zip(states, made, strict=True))
        results: list[Item] = []
        for i, item in enumerate(self.parts.initial):
            if i not in found:
                results.append(item)
            elif isinstance(item, TensorList):
                results.append(TensorList(item.dtype, item.element, item.size, found[i]))
            else:
                results.append(found[i])
        return results

    def _node(
        self, turn: _Turn, states: Sequence[int], going: Value, scans: dict[int, Value], trips: Value | None,
        first: Value | None,
    ) -> tuple[Value, ...]:  # fmt: skip
        builder = turn.builder
        builder.output(going, "going_on")
        for i in states:
            builder.output(self._result(i, turn), f"next_{i}")
        for i, value in scans.items():
            builder.output(value, f"scan_{i}")
        graph: Graph = builder.graph
        for node in reversed(graph.nodes):
            if not any(v.uses or graph.is_output(v) for v in node.results):
                graph.remove(node)
        initial = [self._start(i) for i in states]
        if not states and not scans:
            return ()
        return self.outer.add_all(ops.Loop(graph, len(states)), trips, first, *initial, *turn.captures.values)


def _count(builder: Builder, iteration: Value, start: Value) -> Value:
    """A counter in the body: start + iteration, in the counter's own type."""
    value = iteration if start.type.dtype is DType.I64 else builder.add(ops.Cast(start.type.dtype), iteration)
    return value if start.data is not None and not start.data.any() else builder.add(ops.Add(), start, value)


def _is_next(after: Item, before: Value) -> bool:
    """Whether a turn adds one to an integer."""
    if not isinstance(after, Value) or not before.type.dtype.is_integer or before.type.rank:
        return False
    maker = after.producer
    if maker is None or not isinstance(maker.op, ops.Add) or len(maker.inputs) != 2:
        return False
    a, b = maker.inputs
    step = b if a is before else a if b is before else None
    return step is not None and step.data is not None and step.data.size == 1 and step.data.item() == 1


def _is_number(g: Builder, value: Value, number: int) -> bool:
    content = g.content(value)
    return content is not None and content.size == 1 and content.item() == number


def _same(g: Builder, a: Value, b: Value) -> bool:
    """Whether two numbers are known to be equal."""
    if a is b:
        return True
    x, y = g.content(a), g.content(b)
    return x is not None and y is not None and x.size == y.size == 1 and bool(x.item() == y.item())


def _size(g: Builder, dim: object, near: Sequence[Value]) -> Value:
    """A dimension as an i64 scalar: read off a tensor near by that has it, where only running tells it."""
    if isinstance(dim, int):
        return g.constant(np.int64(dim))
    for value in (*near, *g.graph.inputs):
        if dim in value.type.shape:
            index = g.constant(np.int64(value.type.shape.index(dim)))
            return g.add(ops.Gather(0), g.add(ops.Shape(), value), index)
    raise errors.needs_static("the shape of the tensors in a loop's list")


def _scalar(value: Value, builder: Builder) -> Value:
    if value.type.dtype is not DType.BOOL:
        value = builder.add(ops.Cast(DType.BOOL), value)
    return value if value.type.rank == 0 else builder.add(ops.Reshape(()), value)


def _looser(before: TensorType, after: TensorType, index: int) -> TensorType:
    """A type that both are of."""
    if before.dtype is not after.dtype or before.rank != after.rank:
        raise errors.loop(f"a loop's value {index} is first {before}, then {after}")
    dims = (
        a if a == b else Symbol(f"state.{index}.{axis}")
        for axis, (a, b) in enumerate(zip(before.shape, after.shape, strict=True))
    )
    return before.with_shape(dims)
