"""The reference meaning of a graph: every operator's own ``evaluate``, in order, on numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .errors import InternalError, Problem, UsageError
from .graph import Graph, Node, Value, padded
from .op import Op
from .types import Array, Symbol

Observer = Callable[[Node, tuple[Array, ...]], None]


def run(graph: Graph, feeds: Mapping[str, Array], *, observe: Observer | None = None) -> dict[str, Array]:
    """The graph's outputs by name, for ``feeds`` (an array for each input's name).

    ``observe`` is called with each node and its results, in order. An array is let go after its last reader. Raises
    UsageError for feeds that do not fit the inputs, InternalError where a result is not of its inferred type.
    """
    _check_feeds(graph, feeds)
    results = call(graph, [np.asarray(feeds[v.name]) for v in graph.inputs], observe=observe)
    return dict(zip(graph.output_names, results, strict=True))


def call(graph: Graph, arguments: Sequence[Array], *, observe: Observer | None = None) -> tuple[Array, ...]:
    """The graph's outputs for its inputs, both in order."""
    values: dict[Value, Array] = dict(zip(graph.inputs, arguments, strict=True))
    left = {v: graph.use_count(v) for node in graph.nodes for v in (*node.inputs, *node.results)}
    for node in graph.nodes:
        arrays = [None if v is None else v.data if v.data is not None else values[v] for v in node.operands]
        results = _evaluate_node(node, arrays)
        values.update(zip(node.results, results, strict=True))
        if observe is not None:
            observe(node, results)
        for value in (v for v in node.operands if v is not None):
            left[value] -= 1
        for value in (*node.inputs, *node.results):
            if not left[value]:
                values.pop(value, None)
    return tuple(v.data if v.data is not None else values[v] for v in graph.outputs)


def evaluate(op: Op, arrays: Sequence[Array | None]) -> tuple[Array, ...]:
    """The results of one operator as arrays; absent trailing operands may be left out. Overflow and 0 / 0 pass."""
    with np.errstate(all="ignore"):
        found = op.evaluate(*padded(op, arrays))
    return tuple(map(np.asarray, found)) if isinstance(found, tuple) else (np.asarray(found),)


def _evaluate_node(node: Node, arrays: Sequence[Array | None]) -> tuple[Array, ...]:
    results = evaluate(node.op, arrays)
    if len(results) != len(node.results):
        raise _disagreement(node, f"{len(results)} results came for {len(node.results)}")
    for value, array in zip(node.results, results, strict=True):
        if array.dtype != value.type.dtype.numpy:
            raise _disagreement(node, f"%{value.name} came as {array.dtype}, not {value.type.dtype.value}")
        fits = len(array.shape) == value.type.rank and all(
            isinstance(d, Symbol) or d == n for d, n in zip(value.type.shape, array.shape, strict=True)
        )
        if not fits:
            raise _disagreement(node, f"%{value.name} came with shape {list(array.shape)}, not as {value.type}")
    return results


def _disagreement(node: Node, what: str) -> InternalError:
    types = ", ".join("_" if t is None else str(t) for t in node.operand_types)
    return InternalError(Problem("MC510", f"{type(node.op).__name__}: {what}", f"{node.name} ({node.origin})", types))


def _check_feeds(graph: Graph, feeds: Mapping[str, Array]) -> None:
    names = {v.name for v in graph.inputs}
    hint = f"one of {', '.join(sorted(names))}"
    problems = [Problem("MC113", f"there is no input '{name}'", hint=hint) for name in sorted(feeds.keys() - names)]
    sizes: dict[Symbol, int] = {}
    for value in graph.inputs:
        if value.name not in feeds:
            problems.append(Problem("MC113", f"input '{value.name}' is not given", types=str(value.type)))
            continue
        array = np.asarray(feeds[value.name])
        if array.dtype != value.type.dtype.numpy or array.ndim != value.type.rank:
            what = f"input '{value.name}' is {array.dtype}{list(array.shape)}"
            problems.append(Problem("MC113", what, types=str(value.type)))
            continue
        for dim, size in zip(value.type.shape, array.shape, strict=True):
            if size != (sizes.setdefault(dim, size) if isinstance(dim, Symbol) else dim):
                what = f"input '{value.name}' has shape {list(array.shape)}"
                problems.append(Problem("MC113", what, types=str(value.type)))
                break
    if problems:
        raise UsageError(problems)
