"""Control flow. A body is a closed Graph: what it reads of the graph around it comes in as its last inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph import Graph
from ..interpreter import call
from ..op import Op, Types, expect, operator
from ..types import UNKNOWN, Array, Dim, DType, TensorType
from .forms import Results, expect_axis, expect_length


def _merged(a: TensorType, b: TensorType, what: str) -> TensorType:
    expect(a.dtype is b.dtype and a.rank == b.rank, f"{what} is {a} or {b}")
    return a.with_shape(x if x == y else UNKNOWN for x, y in zip(a.shape, b.shape, strict=True))


def _outward(t: TensorType, known: Sequence[TensorType]) -> TensorType:
    """A body's result type as it stands outside: symbols that only the body has are unknown there."""
    named = {d for k in known for d in k.shape}
    return t.with_shape(d if isinstance(d, int) or d in named else UNKNOWN for d in t.shape)


def _work(body: Graph) -> int:
    return sum(n.op.flops(n.operand_types, [r.type for r in n.results]) for n in body.nodes)


@operator
class If(Op):
    """The results of ``then_branch`` where the condition (one bool) holds, else those of ``else_branch``.

    Both branches take the captures as inputs.
    """

    signature = "condition, *captures"
    then_branch: Graph
    else_branch: Graph

    def infer(self, condition: TensorType, *captures: TensorType) -> Results:
        """What both branches give; a size in which they differ is unknown."""
        expect(condition.dtype is DType.BOOL, f"the condition is {condition}, not bool")
        for branch in (self.then_branch, self.else_branch):
            expect_length(branch.inputs, len(captures), f"inputs of {branch.name}")
        pairs = zip(self.then_branch.outputs, self.else_branch.outputs, strict=True)
        return tuple(_outward(_merged(a.type, b.type, f"result {i}"), captures) for i, (a, b) in enumerate(pairs))

    def evaluate(self, condition: Array, *captures: Array) -> tuple[Array, ...]:
        """One branch only."""
        return call(self.then_branch if bool(condition.reshape(())) else self.else_branch, captures)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """The costlier branch's."""
        return max(_work(self.then_branch), _work(self.else_branch))


@operator
class Loop(Op):
    """``body`` again and again, at most trip_count times (if given), while its condition holds.

    values are the ``states`` first states, then the captures. The body takes (iteration i64, condition bool, states,
    captures) and gives (condition, states, scans); the results are the last states, then each scan with its values
    stacked along a new first axis.
    """

    signature = "trip_count?, condition?, *values"
    body: Graph
    states: int

    def infer(
        self, trip_count: TensorType | None = None, condition: TensorType | None = None, *values: TensorType
    ) -> Results:
        """Last states and stacked scans."""
        expect_length(self.body.inputs, 2 + len(values), "inputs of the body")
        outputs = [v.type for v in self.body.outputs]
        expect(len(outputs) > self.states, f"the body gives {len(outputs)} results for {self.states} states")
        found = [
            _outward(_merged(a, b, f"state {i}"), values)
            for i, (a, b) in enumerate(zip(values[: self.states], outputs[1 : 1 + self.states], strict=True))
        ]
        scans = (_outward(t, values) for t in outputs[1 + self.states :])
        return (*found, *(scan.with_shape((UNKNOWN, *scan.shape)) for scan in scans))

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """A loop that only counts makes as many scans as the trip count says."""
        trips = contents[0] if contents else None
        going = self.body.outputs[0]
        counts = going is self.body.inputs[1] or (going.data is not None and bool(going.data.all()))
        if trips is None or not counts or (len(types) > 1 and types[1] is not None):
            return results
        count = trips.ravel().tolist()[0]
        count = max(count, 0) if isinstance(count, int) else count
        scans = (t.with_shape((count, *t.shape[1:])) for t in results[self.states :])
        return (*results[: self.states], *scans)

    def evaluate(self, trip_count: Array | None, condition: Array | None, *values: Array) -> tuple[Array, ...]:
        """One call of the body an iteration."""
        limit = None if trip_count is None else int(trip_count.reshape(()))
        going = np.array(True) if condition is None else condition.reshape(())
        states, captures = values[: self.states], values[self.states :]
        rows: list[tuple[Array, ...]] = []
        while bool(going) and (limit is None or len(rows) < limit):
            results = call(self.body, (np.array(len(rows), np.int64), going, *states, *captures))
            going, states = results[0].reshape(()), results[1 : 1 + self.states]
            rows.append(results[1 + self.states :])
        types = [v.type for v in self.body.outputs[1 + self.states :]]
        return (*states, *(_stacked([row[i] for row in rows], t, 0) for i, t in enumerate(types)))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Those of one iteration: how many there are, running tells."""
        return _work(self.body)


def _stacked(items: list[Array], t: TensorType, axis: int) -> Array:
    if items:
        return np.stack(items, axis=axis)
    shape = [d if isinstance(d, int) else 0 for d in t.shape]
    return np.zeros((*shape[:axis], 0, *shape[axis:]), t.dtype.numpy)


@operator
class Scan(Op):
    """``body`` once for each slice of the scanned values.

    values are the ``states`` first states, one scanned value for each of ``input_axes`` (the axis that is cut), then
    the captures. The body takes (states, slices, captures) and gives (states, scans); results are the last states, and
    the scans stacked along ``output_axes``. A direction of 1 runs, or stacks, from the end.
    """

    signature = "*values"
    body: Graph
    states: int
    input_axes: tuple[int, ...]
    input_directions: tuple[int, ...]
    output_axes: tuple[int, ...]
    output_directions: tuple[int, ...]

    def infer(self, *values: TensorType) -> Results:
        """Last states and stacked scans."""
        expect_length(self.body.inputs, len(values), "inputs of the body")
        expect(len(self.input_axes) > 0, "nothing is scanned")
        expect_length(self.input_directions, len(self.input_axes), "input_directions")
        outputs = [v.type for v in self.body.outputs]
        expect_length(self.output_axes, len(outputs) - self.states, "output_axes")
        count: Dim = UNKNOWN
        for value, axis in zip(values[self.states :], self.input_axes, strict=False):
            expect_axis(axis, value.rank)
            count = value.shape[axis] if not isinstance(count, int) else count
        found = [
            _outward(_merged(a, b, f"state {i}"), values)
            for i, (a, b) in enumerate(zip(values[: self.states], outputs[: self.states], strict=True))
        ]
        for scan, axis in zip(outputs[self.states :], self.output_axes, strict=True):
            outer = _outward(scan, values)
            found.append(scan.with_shape((*outer.shape[:axis], count, *outer.shape[axis:])))
        return tuple(found)

    def evaluate(self, *values: Array) -> tuple[Array, ...]:
        """One call of the body a slice."""
        scanned = len(self.input_axes)
        states = values[: self.states]
        sequences = [
            np.flip(np.moveaxis(v, axis, 0), 0) if backwards else np.moveaxis(v, axis, 0)
            for v, axis, backwards in zip(
                values[self.states : self.states + scanned], self.input_axes, self.input_directions, strict=True
            )
        ]
        captures = values[self.states + scanned :]
        rows: list[tuple[Array, ...]] = []
        for i in range(len(sequences[0])):
            results = call(self.body, (*states, *(s[i] for s in sequences), *captures))
            states = results[: self.states]
            rows.append(results[self.states :])
        found = list(states)
        for i, value in enumerate(self.body.outputs[self.states :]):
            items = [row[i] for row in rows]
            found.append(_stacked(items[::-1] if self.output_directions[i] else items, value.type, self.output_axes[i]))
        return tuple(found)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """The body's, times the number of slices where it is known."""
        first = operands[self.states]
        count = 1 if first is None else first.shape[self.input_axes[0]]
        return _work(self.body) * (count if isinstance(count, int) else 1)
