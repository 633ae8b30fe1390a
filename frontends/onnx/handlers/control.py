"""Control flow. A body that reads values around it gets them as further operands, its captures."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, DType, Graph, Symbol, TensorType, Value, ops

from ..errors import RE_EXPORT, form, unreadable
from ..node import OnnxNode
from ..package import onnx as protos
from ..registry import onnx

_ROUNDS = 8
"""Times a loop's body is read again with looser types of its states, at most one dimension each."""


@onnx("If")
def branch(n: OnnxNode, g: Builder) -> Sequence[Value | None]:
    """If: the branch itself where the condition is known, else both."""
    then_proto, else_proto = n.graph("then_branch"), n.graph("else_branch")
    condition = n.known(n[0])
    if condition is not None:
        if condition.size != 1:
            raise unreadable("MC219", f"If's condition is {n[0].type}, not one truth value", RE_EXPORT)
        return n.translation.inline(then_proto if condition.item() else else_proto, n)
    captures = n.translation.captures([then_proto, else_proto], n.scope)
    branches = [n.translation.closed(proto, n, (), captures) for proto in (then_proto, else_proto)]
    return g.add_all(ops.If(*branches), n[0], *_values(n, captures))


def _values(n: OnnxNode, names: Sequence[str]) -> list[Value | None]:
    return [n.scope.lookup(name) for name in names]


def _body(
    n: OnnxNode,
    proto: protos.GraphProto,
    before: Sequence[TensorType],
    states: Sequence[TensorType],
    after: Sequence[TensorType],
    captures: Sequence[str],
) -> Graph:
    """The body of a loop, read with types of its states that hold before and after every turn.

    A state that changes its size from turn to turn (a list that grows) has a symbol in that place.
    """
    types = list(states)
    for _ in range(_ROUNDS):
        body = n.translation.closed(proto, n, (*before, *types, *after), captures)
        first = len(body.outputs) - _scans(n, body, len(states)) - len(states)
        results = [value.type for value in body.outputs[first : first + len(states)]]
        looser = [_looser(n, a, b, index) for index, (a, b) in enumerate(zip(types, results, strict=True))]
        if looser == types:
            return body
        types = looser
    raise form(f"{n.op_type} whose states take ever other shapes")


def _scans(n: OnnxNode, body: Graph, states: int) -> int:
    condition = 1 if n.op_type == "Loop" else 0
    scans = len(body.outputs) - condition - states
    if scans < 0:
        what = f"{n.op_type}'s body returns {len(body.outputs)} values for {states} states"
        raise unreadable("MC218", what, RE_EXPORT)
    return scans


def _looser(n: OnnxNode, before: TensorType, after: TensorType, index: int) -> TensorType:
    """A type that both are of."""
    if before.dtype is not after.dtype or before.rank != after.rank:
        raise form(f"{n.op_type} whose state {index} is first {before}, then {after}")
    dims = [
        a if a == b else Symbol(f"{n.name or n.op_type}.{index}.{axis}")
        for axis, (a, b) in enumerate(zip(before.shape, after.shape, strict=True))
    ]
    return before.with_shape(dims)


@onnx("Loop")
def loop(n: OnnxNode, g: Builder) -> Sequence[Value]:
    """Loop."""
    proto = n.graph("body")
    initial = [n[index] for index in range(2, len(n))]
    captures = n.translation.captures([proto], n.scope)
    counters = (TensorType(DType.I64, ()), TensorType(DType.BOOL, ()))
    body = _body(n, proto, counters, [value.type for value in initial], (), captures)
    return g.add_all(ops.Loop(body, len(initial)), n.get(0), n.get(1), *initial, *_values(n, captures))


@onnx("Scan", since=8)
def scan_of_batches(n: OnnxNode, g: Builder) -> Sequence[Value]:
    """Scan of opset 8, with a batch axis in front of everything: taken for a batch of one."""
    if n.get(0) is not None:
        raise form("Scan of opset 8 with sequence_lens", "opset 9 or later")
    values = [n[index] for index in range(1, len(n))]
    scanned = n.integer("num_scan_inputs")
    states, sequences = values[: len(values) - scanned], values[len(values) - scanned :]
    if any(value.type.shape[:1] != (1,) for value in values):
        raise form("Scan of opset 8 with a batch of more than one", "opset 9 or later")
    directions = n.integers("directions") or (0,) * scanned
    bare = [g.add(ops.Squeeze((0,)), value) for value in (*states, *sequences)]
    results = _scan(n, g, bare[: len(states)], bare[len(states) :], (0,) * scanned, directions)
    return [g.add(ops.Unsqueeze((0,)), value) for value in results]


@onnx("Scan", since=9)
def scan(n: OnnxNode, g: Builder) -> Sequence[Value]:
    """Scan."""
    values = [n[index] for index in range(len(n))]
    scanned = n.integer("num_scan_inputs")
    states, sequences = values[: len(values) - scanned], values[len(values) - scanned :]
    axes = n.integers("scan_input_axes") or (0,) * scanned
    axes = tuple(n.axis(axis, value.type.rank) for axis, value in zip(axes, sequences, strict=True))
    directions = n.integers("scan_input_directions") or (0,) * scanned
    return _scan(n, g, states, sequences, axes, directions)


def _scan(
    n: OnnxNode,
    g: Builder,
    states: Sequence[Value],
    sequences: Sequence[Value],
    axes: tuple[int, ...],
    directions: tuple[int, ...],
) -> tuple[Value, ...]:
    proto = n.graph("body")
    captures = n.translation.captures([proto], n.scope)
    slices = [
        value.type.with_shape(dim for index, dim in enumerate(value.type.shape) if index != axis)
        for value, axis in zip(sequences, axes, strict=True)
    ]
    body = _body(n, proto, (), [value.type for value in states], slices, captures)
    scans = body.outputs[len(states) :]
    optional = n.schema.attributes
    out_axes = (n.integers("scan_output_axes") if "scan_output_axes" in optional else None) or (0,) * len(scans)
    out_axes = tuple(n.axis(axis, value.type.rank + 1) for axis, value in zip(out_axes, scans, strict=True))
    reverse = n.integers("scan_output_directions") if "scan_output_directions" in optional else None
    op = ops.Scan(body, len(states), axes, directions, out_axes, reverse or (0,) * len(scans))
    return g.add_all(op, *states, *sequences, *_values(n, captures))
