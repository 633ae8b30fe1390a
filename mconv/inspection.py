"""What ``mconv inspect`` tells of a model: inputs, operators, parameters, work, and memory while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .frontends import Reading
from .ir import Graph, Value
from .ir.record import Record
from .report import Relocation, transposes_left


class OperatorTotal(Record):
    """All nodes of one operator: how many, their operations, and the share of all."""

    operator: str
    nodes: int
    flops: int


class Inspection(Record):
    """``flops`` counts a multiply-add as two. ``peak_activation_bytes`` is the largest sum of values alive at once.

    Both are None where a size is known only at run time.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    nodes: int
    parameters: int
    parameter_bytes: int
    flops: int | None
    peak_activation_bytes: int | None
    operators: tuple[OperatorTotal, ...]
    transposes: tuple[Relocation, ...] | None = None
    """What the layout pass leaves for a target that pins a layout; None without such a target."""


def load(
    model: str | Path, *, raw: bool = False, target: str | None = None, reading: Reading | None = None
) -> tuple[Graph, dict[str, str] | None]:
    """A model as it is read, simplified, or fitted to a target; then with the reasons of the transposes left."""
    from . import backends, stages

    options = stages.Options(target or "", reading=reading or Reading())
    backend = None if target is None else backends.get(target)
    graph = stages.read(model, options)
    if raw and backend is None:
        return graph, None
    if backend is not None:
        graph, _ = stages.bind_batch(graph, options, backend)
    context = stages.context_for(backend, options)
    stages.rewrite(graph, context, channels_last=stages.is_channels_last(model))
    return graph, context.layout.reasons if backend is not None and backend.layout else None


def inspect(graph: Graph, reasons: Mapping[str, str] | None = None) -> Inspection:
    """Look at a graph; see Inspection. ``reasons`` are the layout pass's, by the transposed value."""
    counts: dict[str, list[int]] = {}
    total: int | None = 0
    for node in graph.nodes:
        cost = node.op.cost(node.operand_types, [v.type for v in node.results])
        entry = counts.setdefault(type(node.op).__name__, [0, 0])
        entry[0] += 1
        entry[1] += cost.flops if cost else 0
        total = None if total is None or cost is None else total + cost.flops
    operators = sorted(
        (OperatorTotal(name, n, f) for name, (n, f) in counts.items()), key=lambda o: (-o.flops, o.operator)
    )
    constants = [v.constant for v in graph.constants]
    return Inspection(
        inputs={v.name: str(v.type) for v in graph.inputs},
        outputs={n: str(v.type) for n, v in zip(graph.output_names, graph.outputs, strict=True)},
        nodes=len(graph),
        parameters=sum(c.size for c in constants),
        parameter_bytes=sum(c.nbytes for c in constants),
        flops=total,
        peak_activation_bytes=peak_activation(graph),
        operators=tuple(operators),
        transposes=None if reasons is None else transposes_left(graph, reasons),
    )


def peak_activation(graph: Graph) -> int | None:
    """Bytes of the values alive at the worst moment, in the graph's order; None where a size is not known.

    A value lives from the node that makes it (an input: from the start) to its last reader; outputs live to the end.
    """
    left: dict[Value, int] = {v: graph.use_count(v) for v in graph.inputs}
    sizes: dict[Value, int] = {}
    for value in (*graph.inputs, *(v for node in graph.nodes for v in node.results)):
        size = value.type.nbytes
        if size is None:
            return None
        sizes[value] = size
        left[value] = graph.use_count(value)
    alive = sum(sizes[v] for v in graph.inputs)
    peak = alive
    for node in graph.nodes:
        alive += sum(sizes[v] for v in node.results)
        peak = max(peak, alive)
        for value in node.inputs:
            if not value.is_constant:
                left[value] -= 1
        done = {v for v in (*node.inputs, *node.results) if not v.is_constant and not left[v] and v in sizes}
        alive -= sum(sizes.pop(v) for v in done)
    return peak
