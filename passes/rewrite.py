"""The rule engine: rules indexed by their root operator, driven by a worklist with a budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mconv.ir import Array, Builder, Graph, InternalError, Node, Op, Problem, Value
from mconv.ir.op import TypeMismatch
from mconv.ir.record import Record
from mconv.ir.verify import compatible

from .base import Context, Target
from .pattern import Match, Pat, Refusal, matches

REWRITES_PER_NODE = 40
"""A graph that takes more rewrites than this times its nodes is being rewritten in a circle."""


class Add:
    """What a rule builds its right side with: ``add(op, *operands)``; arrays among the operands become constants."""

    def __init__(self, graph: Graph, root: Node, context: Context) -> None:
        self.builder = Builder(graph)
        self.builder.origin = root.origin
        self.builder.at = root
        self.context = context
        self.made: list[Value] = []

    def __call__(self, op: Op, *operands: Value | Array | np.generic | None) -> Value:
        """Add an operator and return its first result."""
        return self.all(op, *operands)[0]

    def all(self, op: Op, *operands: Value | Array | np.generic | None) -> tuple[Value, ...]:
        """Add an operator and return all its results."""
        values = [self.constant(x) if isinstance(x, np.ndarray | np.generic) else x for x in operands]
        results = self.builder.add_all(op, *values)
        self.made.extend(results)
        return results

    def constant(self, data: Any, like: Value | None = None) -> Value:
        """A constant; of ``like``'s element type where given."""
        array = np.asarray(data, dtype=None if like is None else like.type.dtype.numpy)
        return self.builder.constant(array)

    @property
    def target(self) -> Target | None:
        """What the graph is being fitted to."""
        return self.context.target

    def takes(self, value: Value) -> bool:
        """True when the target can run the operator that makes ``value`` as it stands."""
        target = self.context.target
        return target is not None and (value.producer is None or target.refusal(value.producer) is None)

    def accepts_activation(self, op: Op, activation: Op) -> bool:
        """True when the target can run ``activation`` as the epilogue of ``op`` (never while there is no target)."""
        target = self.context.target
        return target is not None and target.accepts_activation(op, activation)


RuleBody = Callable[[Match, Add], Value | tuple[Value, ...] | None]


class Rule(Record):
    """Patterns (any of which may fit) and the function that builds what replaces the root."""

    patterns: tuple[Pat, ...]
    body: RuleBody

    @property
    def name(self) -> str:
        """The function's name: a verb phrase."""
        return self.body.__name__

    @property
    def doc(self) -> str:
        """One sentence: left side is right side."""
        return (self.body.__doc__ or "").strip()


def rule(*patterns: Pat) -> Callable[[RuleBody], Rule]:
    """Make a rule of a function ``(match, add) -> replacement``.

    The replacement takes the place of the root's results: a value, a tuple of them, or None for "leave it".
    ``match.require`` refuses with a reason.
    """
    return lambda body: Rule(patterns, body)


class Rewrite(Record):
    """A pass that applies rules until none fits."""

    name: str
    rules: tuple[Rule, ...]
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite ``graph`` in place; the number of rewrites. InternalError (MC506) when it does not end."""
        index = _index(self.rules)
        budget = REWRITES_PER_NODE * (len(graph) + 25)
        queue = deque(graph.nodes)
        queued = set(queue)
        count = 0
        while queue:
            node = queue.popleft()
            queued.discard(node)
            if node not in graph:
                continue
            touched = _rewrite_node(graph, node, index.get(type(node.op), ()), context)
            if touched is None:
                continue
            count += 1
            if count > budget:
                raise InternalError(Problem("MC506", f"'{self.name}' does not come to an end", where=str(node.origin)))
            for each in touched:
                if each in graph and each not in queued:
                    queued.add(each)
                    queue.append(each)
        return count


def _index(rules: Sequence[Rule]) -> dict[type[Op], list[tuple[Rule, Pat]]]:
    """By the operator at the root, the patterns in the order of the rules that they belong to."""
    index: dict[type[Op], list[tuple[Rule, Pat]]] = {}
    for each in rules:
        for pattern in each.patterns:
            for op in pattern.ops:
                index.setdefault(op, []).append((each, pattern))
    return index


def _rewrite_node(graph: Graph, node: Node, rules: Sequence[tuple[Rule, Pat]], context: Context) -> list[Node] | None:
    """The nodes to look at again, or None where no rule was applied."""
    for each, pattern in rules:
        for match in matches(pattern, graph, node):
            add = Add(graph, node, context)
            try:
                new = each.body(match, add)
            except Refusal as refusal:
                context.record(each.name, node, str(refusal))
                discard(graph, add)
                continue
            except TypeMismatch as error:
                raise at_fault(each.name, node, f"built an operator that does not fit: {error}") from error
            if new is None:
                discard(graph, add)
                continue
            results = new if isinstance(new, tuple) else (new,)
            context.record(each.name, node)
            return _replace(graph, node, each, results, add)
    return None


def _replace(graph: Graph, node: Node, by: Rule, results: tuple[Value, ...], add: Add) -> list[Node]:
    unread = all(graph.use_count(v) == 0 for v in node.results[len(results) :])
    if len(results) > len(node.results) or not unread:
        raise at_fault(by.name, node, f"gave {len(results)} values for {len(node.results)}")
    touched = [v.producer for v in add.made if v.producer is not None]
    for old, new in zip(node.results, results, strict=False):
        if old.type.dtype != new.type.dtype or not compatible(old.type, new.type):
            raise at_fault(by.name, node, f"turned {old.type} into {new.type}")
        touched += old.readers
        graph.replace(old, new)
        if new.producer is not None:
            touched += [new.producer, *new.readers]
    touched += [v.producer for v in node.inputs if v.producer is not None]
    graph.prune(node)
    discard(graph, add)
    return touched


def discard(graph: Graph, add: Add) -> None:
    """Remove what was added and is not read."""
    for value in reversed(add.made):
        if value.producer is not None and value.producer in graph:
            graph.prune(value.producer)


def at_fault(rule_name: str, node: Node, what: str) -> InternalError:
    """The error for a rule that built something wrong."""
    return InternalError(Problem("MC507", f"rule '{rule_name}' {what}", where=str(node.origin), types=repr(node)))
