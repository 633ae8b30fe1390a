"""Names: which value a tensor name stands for, in the main graph, in a function's body, in a subgraph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import numpy as np

from mconv.ir import Builder, Node, Value
from mconv.ir.contents import is_number
from mconv.ir.interpreter import evaluate
from mconv.ir.types import Array

from .errors import RE_EXPORT, unreadable
from .package import onnx

MAX_KNOWN = 1 << 20
"""Elements up to which a tensor is computed while reading, where an attribute depends on it."""


class Body:
    """One graph under construction, and what has been found out about its values."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.narrow: set[Value] = set()
        """Constants that hold unpacked 4-bit or 2-bit integers: only a Dequantize may read them."""
        self.bound: dict[Value, int] = {}
        """Values that have a name of the model's, and the depth of the scope that gave it."""
        self._known: dict[Value, Array | None] = {}

    def known(self, value: Value) -> Array | None:
        """The content of ``value`` if it depends on constants only and is small, else None."""
        stack = [value]
        while stack:
            current = stack[-1]
            if current in self._known:
                stack.pop()
                continue
            found = self._immediate(current)
            node = current.producer
            if found is not None or node is None or not _is_computable(node):
                self._known[current] = found
                continue
            waiting = [v for v in node.inputs if v not in self._known]
            if waiting:
                stack.append(waiting[0])
                continue
            self._compute(node)
        return self._known[value]

    def _immediate(self, value: Value) -> Array | None:
        if value.data is not None:
            return value.data
        content = self.builder.content(value)
        if content is None or not is_number(content):
            return None
        return np.array(content.tolist(), value.type.dtype.numpy).reshape(content.shape)

    def _compute(self, node: Node) -> None:
        arrays = [None if v is None else self._known[v] for v in node.operands]
        results: tuple[Array | None, ...] = (None,) * len(node.results)
        if all(a is not None for a, v in zip(arrays, node.operands, strict=True) if v is not None):
            # Where that fails it is not known; running the node will tell what is wrong.
            with suppress(ValueError, TypeError, IndexError, ArithmeticError, NotImplementedError):
                results = evaluate(node.op, arrays)
        self._known.update(zip(node.results, results, strict=True))


def _is_computable(node: Node) -> bool:
    sizes = [v.type.numel for v in (*node.inputs, *node.results)]
    return node.op.foldable and bool(node.inputs) and all(s is not None and s <= MAX_KNOWN for s in sizes)


class Scope:
    """The names of one graph or function call.

    ``values`` holds None for a tensor whose node could not be translated: its readers are then left out silently, so
    that one report names every cause and no consequence. ``pending`` holds initializers, which become constants when
    they are first read.
    """

    def __init__(
        self,
        body: Body,
        opsets: Mapping[str, int],
        parent: Scope | None = None,
        prefix: str = "",
        depth: int = 0,
        attributes: Mapping[str, onnx.AttributeProto] | None = None,
    ) -> None:
        self.body, self.opsets, self.parent = body, opsets, parent
        self.prefix, self.depth, self.attributes = prefix, depth, attributes
        self.values: dict[str, Value | None] = {}
        self.pending: dict[str, Callable[[], Value | None]] = {}

    def lookup(self, name: str) -> Value | None:
        """The value of a tensor name; None where it could not be translated."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            if name in scope.pending:
                scope.values[name] = made = scope.pending.pop(name)()
                return made
            scope = scope.parent
        raise unreadable("MC213", f"there is no tensor '{name}'", RE_EXPORT)

    def has(self, name: str) -> bool:
        """Whether the name stands for anything here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values or name in scope.pending:
                return True
            scope = scope.parent
        return False

    def bind(self, name: str, value: Value | None) -> None:
        """Let ``name`` stand for ``value``; a name stands for one thing only."""
        if name in self.values or name in self.pending:
            raise unreadable("MC212", f"two tensors are named '{name}'", RE_EXPORT)
        self.values[name] = value


_WITH_BODIES = frozenset({"If", "Loop", "Scan"})


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of a node of control flow."""
    if node.op_type not in _WITH_BODIES:
        return
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def free_names(graph: onnx.GraphProto) -> list[str]:
    """Names that a body reads and does not define: tensors of the graphs around it."""
    defined = {value.name for value in graph.input}
    defined.update(tensor.name for tensor in graph.initializer)
    defined.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        defined.update(node.output)
    read: dict[str, None] = {}
    for node in graph.node:
        read.update(dict.fromkeys(node.input))
        for inner in subgraphs(node):
            read.update(dict.fromkeys(free_names(inner)))
    read.update(dict.fromkeys(value.name for value in graph.output))
    return [name for name in read if name and name not in defined]


def in_order(nodes: list[onnx.NodeProto], present: Callable[[str], bool]) -> list[onnx.NodeProto]:
    """The nodes, each after those it reads from; a file may hold them in any order as long as there is no cycle."""
    done: set[str] = set()
    for node in nodes:
        if any(name not in done and not present(name) for name in _read_by(node)):
            return _sorted(nodes, present)
        done.update(node.output)
    return nodes


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Names of the tensors that a node and its bodies read."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names += free_names(graph)
    return names


def _sorted(nodes: list[onnx.NodeProto], present: Callable[[str], bool]) -> list[onnx.NodeProto]:
    makers: dict[str, int] = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    needs = [[name for name in _read_by(node) if name in makers and not present(name)] for node in nodes]
    return [nodes[index] for index in _topological(nodes, needs, makers)]


def _topological(nodes: list[onnx.NodeProto], needs: list[list[str]], makers: dict[str, int]) -> list[int]:
    waiting = [len({makers[name] for name in names}) for names in needs]
    readers: dict[int, list[int]] = {}
    for index, names in enumerate(needs):
        for maker in {makers[name] for name in names}:
            readers.setdefault(maker, []).append(index)
    order = [index for index, count in enumerate(waiting) if not count]
    for index in order:  # grows while it is walked
        for reader in readers.get(index, []):
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    if len(order) != len(nodes):
        stuck = nodes[next(index for index, count in enumerate(waiting) if count)]
        raise unreadable("MC214", f"the nodes form a cycle, through '{stuck.name or stuck.op_type}'", RE_EXPORT)
    return order
