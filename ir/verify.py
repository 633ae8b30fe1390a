"""Checks a graph's own rules. Run after every pass in tests, and with ``--check-passes``."""

from __future__ import annotations

from .errors import InternalError, Problem
from .graph import Graph, Node, Value, infer_types
from .op import TypeMismatch
from .types import TensorType


def verify(graph: Graph) -> None:
    """Raise InternalError (MC505) listing every broken rule.

    The rules: the graph has no cycle; every value a node reads is of this graph and lists that use; results
    know their producer; a constant's array is read-only and of the value's type; types agree with what the
    operator infers (a symbol agrees with any size); output names are unique.
    """
    problems: list[Problem] = []
    nodes = graph.nodes  # raises on a cycle
    for node in nodes:
        problems += (Problem("MC505", text, where=str(node.origin) or node.name) for text in _broken(graph, node))
    for value in graph.constants:
        if value.constant.flags.writeable or TensorType.of(value.constant) != value.type:
            problems.append(Problem("MC505", f"constant {value!r} is writeable or not of its type"))
    if len(set(graph.output_names)) != len(graph.output_names):
        problems.append(Problem("MC505", "two outputs have the same name"))
    problems += (Problem("MC505", f"output {v!r} is not of this graph") for v in graph.outputs if v not in graph)
    if problems:
        raise InternalError(problems)


def _broken(graph: Graph, node: Node) -> list[str]:
    found = []
    for index, value in enumerate(node.operands):
        if value is None:
            continue
        if value not in graph:
            found.append(f"{node!r} reads %{value.name}, which is not of this graph")
        elif (node, index) not in value.uses:
            found.append(f"%{value.name} does not know that {node!r} reads it")
    found += [f"%{v.name} does not know its producer" for v in node.results if v.producer is not node]
    try:
        inferred = infer_types(node.op, node.operand_types)
    except TypeMismatch as error:
        return [*found, f"{node!r}: {error}"]
    if len(inferred) != len(node.results):
        return [*found, f"{node!r} has {len(node.results)} results, its operator {len(inferred)}"]
    found += [
        f"%{value.name} is {value.type}, but {node.op!r} gives {type}"
        for value, type in zip(node.results, inferred, strict=True)
        if not agree(value, type)
    ]
    return found


def agree(value: Value, type: TensorType) -> bool:
    """True when the value's type and ``type`` can be the same at run time."""
    return value.type.dtype == type.dtype and compatible(value.type, type)


def compatible(left: TensorType, right: TensorType) -> bool:
    """True when the shapes can be equal: same rank, and no two different numbers on an axis."""
    return left.rank == right.rank and all(
        a == b or not (isinstance(a, int) and isinstance(b, int)) for a, b in zip(left.shape, right.shape, strict=True)
    )
