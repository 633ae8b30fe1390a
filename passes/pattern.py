"""Patterns over the operators that make a value, and what a match gives to a rule.

A pattern is a tree: ``pat(Mul, pat(Sigmoid, "x"), "x")``. A string binds the operand (a value, or None where an
optional one is absent) under that name, and a name that occurs twice must be the same value; a number matches a
constant of which every element is that number; ``ANY`` matches anything. Operators that commute are tried both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, cast

import numpy as np

from mconv.ir import Array, Graph, Node, Op, Value
from mconv.ir.graph import padded
from mconv.ir.ops import Add, Equal, Max, Min, Mul
from mconv.ir.record import Record

COMMUTATIVE: tuple[type[Op], ...] = (Add, Mul, Max, Min, Equal)
NUMBER_TOLERANCE = 2e-5
"""Relative difference up to which a constant is a number that no float is (sqrt(2) is written with few digits).

A number that a float is, as 0.5 or 3, must be met exactly: x ** 2.0001 is no square.
"""


class Refusal(Exception):
    """A pattern fits, but the rule must not be applied; the message says why."""


class Pat(Record):
    """Operator classes, patterns of the operands, and an optional label for ``Match.node``.

    ``asked`` are the operands, by their places, that not every value fits: patterns and numbers.
    """

    ops: tuple[type[Op], ...]
    operands: tuple[Any, ...]
    label: str
    asked: tuple[tuple[int, Any], ...]


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


def pat(op: type[Op] | tuple[type[Op], ...], *operands: Any, label: str = "") -> Pat:
    """A pattern whose root is one of the given operators. Operands left out at the end are not looked at."""
    asked = tuple((i, each) for i, each in enumerate(operands) if not (each is ANY or isinstance(each, str)))
    return Pat(op if isinstance(op, tuple) else (op,), operands, label, asked)


_O = TypeVar("_O", bound=Op)


class Match:
    """The nodes and values that a pattern found, with what rules ask of them."""

    def __init__(self, graph: Graph, root: Node, values: dict[str, Value | None], nodes: tuple[tuple[str, Node], ...]):
        self.graph = graph
        self.root = root
        self._values = values
        self._nodes = nodes

    def __getitem__(self, name: str) -> Value:
        """The value bound to ``name``; KeyError where the operand is absent (ask ``has`` first)."""
        value = self._values[name]
        if value is None:
            raise KeyError(f"operand {name!r} is absent")
        return value

    def get(self, name: str) -> Value | None:
        """The value bound to ``name``, or None where the operand is absent."""
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """True when the operand is present."""
        return self._values.get(name) is not None

    def node(self, which: type[Op] | str) -> Node:
        """The first matched node with that operator or label."""
        for label, node in self._nodes:
            if label == which if isinstance(which, str) else isinstance(node.op, which):
                return node
        raise KeyError(f"no matched node {which!r}")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All matched nodes, the root first."""
        return tuple(node for _, node in self._nodes)

    def op(self, which: type[_O]) -> _O:
        """The operator of the first matched node of that class."""
        return cast(_O, self.node(which).op)

    def const(self, name: str, default: float | None = None) -> Array:
        """The array of a constant operand; ``default`` where it is absent; a refusal where it is no constant."""
        value = self._values.get(name)
        if value is None:
            self.require(default is not None, f"operand '{name}' is absent")
            return np.array(default)
        self.require(value.data is not None, f"operand '{name}' is not a constant")
        return value.constant

    def scalar(self, name: str) -> float:
        """The one number that fills a constant operand; a refusal where it is none."""
        data = self.const(name)
        self.require(data.size >= 1 and np.all(data == data.flat[0]), f"constant '{name}' is not one number")
        return float(data.flat[0])

    def require(self, condition: object, reason: str) -> None:
        """Refuse the rewrite, with ``reason``, unless ``condition`` holds."""
        if not condition:
            raise Refusal(reason)

    def only_reader(self, *which: type[Op] | str) -> bool:
        """True when the results of these matched nodes are read once, and are not outputs of the graph."""
        return all(
            sum(self.graph.use_count(v) for v in node.results) == 1 for node in (self.node(each) for each in which)
        )

    def inner_unshared(self) -> bool:
        """True when everything matched below the root is read only inside the match."""
        inside = set(self.nodes)
        return all(
            reader in inside and not self.graph.is_output(value)
            for node in self.nodes[1:]
            for value in node.results
            for reader in (*value.readers, *(() if value.uses else (node,)))
        )


def matches(pattern: Pat, graph: Graph, root: Node) -> Iterator[Match]:
    """Every way in which ``pattern`` fits at ``root``."""
    if _may_fit(pattern, root):
        for values, nodes in _node(pattern, root, {}, ()):
            yield Match(graph, root, values, nodes)


def _may_fit(pattern: Pat, node: Node) -> bool:
    """False where the operators alone tell that the pattern does not fit: so quick, and so nearly every time."""
    if not isinstance(node.op, pattern.ops):
        return False
    if not pattern.asked or _may_fit_operands(pattern.asked, node.operands):
        return True
    turned = len(pattern.operands) == 2 and isinstance(node.op, COMMUTATIVE)
    return turned and _may_fit_operands(pattern.asked, node.operands[::-1])


def _may_fit_operands(asked: tuple[tuple[int, Any], ...], operands: tuple[Value | None, ...]) -> bool:
    for index, wanted in asked:
        value = operands[index] if index < len(operands) else None
        if value is None:
            return False
        if not isinstance(wanted, Pat):
            if value.data is None:
                return False
        elif value.producer is None or value.index or not _may_fit(wanted, value.producer):
            return False
    return True


_State = tuple[dict[str, Value | None], tuple[tuple[str, Node], ...]]


def _node(
    pattern: Pat, node: Node, values: dict[str, Value | None], nodes: tuple[tuple[str, Node], ...]
) -> Iterator[_State]:
    if not isinstance(node.op, pattern.ops):
        return
    operands = padded(node.op, node.operands)
    if len(pattern.operands) > len(operands):
        return
    orders = [operands]
    if isinstance(node.op, COMMUTATIVE) and len(pattern.operands) == 2:
        orders.append(operands[::-1])
    for order in orders:
        yield from _operands(pattern.operands, order, values, (*nodes, (pattern.label, node)))


def _operands(
    patterns: tuple[Any, ...],
    operands: tuple[Value | None, ...],
    values: dict[str, Value | None],
    nodes: tuple[tuple[str, Node], ...],
) -> Iterator[_State]:
    if not patterns:
        yield values, nodes
        return
    for found_values, found_nodes in _operand(patterns[0], operands[0], values, nodes):
        yield from _operands(patterns[1:], operands[1:], found_values, found_nodes)


def _operand(
    pattern: Any, value: Value | None, values: dict[str, Value | None], nodes: tuple[tuple[str, Node], ...]
) -> Iterator[_State]:
    if pattern is ANY:
        yield values, nodes
    elif isinstance(pattern, str):
        if pattern not in values:
            yield {**values, pattern: value}, nodes
        elif values[pattern] is value:
            yield values, nodes
    elif isinstance(pattern, Pat):
        if value is not None and value.producer is not None and value.index == 0:
            yield from _node(pattern, value.producer, values, nodes)
    elif value is not None and value.data is not None and _is_number(value.data, pattern):
        yield values, nodes


def _is_number(data: Array, number: float) -> bool:
    slack = 0.0 if float(np.float32(number)) == number else NUMBER_TOLERANCE * abs(number)
    return data.size > 0 and bool(np.all(np.abs(data - number) <= slack))
