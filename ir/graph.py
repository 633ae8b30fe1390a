"""Graph, Node and Value. Only ``Graph``'s own methods change anything; the rest is read-only.

The graph keeps its own use index (a lookup is a dictionary access, and importing networkx costs more than
converting a small model); ``Graph.networkx()`` gives the same structure as a ``networkx.MultiDiGraph``
for the algorithms: dominators, minimum cut, longest path.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import InternalError, Problem
from .op import Op, TypeMismatch
from .record import Record
from .types import UNKNOWN, Array, Symbol, TensorType

if TYPE_CHECKING:
    import networkx


class Origin(Record):
    """Where in the source something stands: ``model.onnx: node 'conv1'``, ``deploy.prototxt:118``."""

    file: str = ""
    place: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.place}" if self.file and self.place else self.file or self.place


NOWHERE = Origin()


class Value:
    """A tensor: a result of a node, an input of the graph, or a constant (then ``data`` holds the array)."""

    __slots__ = ("_uses", "data", "index", "name", "producer", "type")

    name: str
    type: TensorType
    producer: Node | None
    index: int
    data: Array | None

    def __init__(self, name: str, type: TensorType, *, data: Array | None = None) -> None:
        self.name = name
        self.type = type
        self.producer = None
        self.index = 0
        self.data = data
        self._uses: dict[tuple[Node, int], None] = {}

    @property
    def uses(self) -> tuple[tuple[Node, int], ...]:
        """The readers: pairs of node and operand index. Graph outputs do not count (``Graph.is_output``)."""
        return tuple(self._uses)

    @property
    def readers(self) -> tuple[Node, ...]:
        """The nodes that read this value, each once."""
        return tuple(dict.fromkeys(node for node, _ in self._uses))

    @property
    def is_constant(self) -> bool:
        """True when ``data`` holds the content."""
        return self.data is not None

    @property
    def constant(self) -> Array:
        """The content of a constant; ValueError where it is none."""
        if self.data is None:
            raise ValueError(f"%{self.name} is not a constant")
        return self.data

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


class Node:
    """One application of an operator. ``operands`` holds None where an optional operand is absent."""

    __slots__ = ("_order", "name", "op", "operands", "origin", "results")

    op: Op
    name: str
    operands: tuple[Value | None, ...]
    results: tuple[Value, ...]
    origin: Origin

    def __init__(self, op: Op, name: str, operands: tuple[Value | None, ...], origin: Origin) -> None:
        self.op = op
        self.name = name
        self.operands = operands
        self.results = ()
        self.origin = origin
        self._order: tuple[float, int] = (0, 0)

    @property
    def result(self) -> Value:
        """The only (or first) result."""
        return self.results[0]

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The operands that are present."""
        return tuple(v for v in self.operands if v is not None)

    @property
    def operand_types(self) -> tuple[TensorType | None, ...]:
        """Types of the operands, None where absent."""
        return tuple(None if v is None else v.type for v in self.operands)

    def operand(self, name: str) -> Value | None:
        """The operand of that name in the operator's signature, or None."""
        for place, value in zip(self.op.operands(), self.operands, strict=False):
            if place.name == name:
                return value
        return None

    def __repr__(self) -> str:
        left = ", ".join(f"%{v.name}" for v in self.results)
        return f"{left} = {self.op!r} {', '.join('_' if v is None else '%' + v.name for v in self.operands)}"


class Graph:
    """A dataflow graph of nodes and values. Names of values, and of nodes, are unique in it."""

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self._nodes: dict[Node, None] = {}
        self._values: dict[str, Value] = {}
        self._node_names: set[str] = set()
        self._inputs: list[Value] = []
        self._outputs: list[tuple[str, Value]] = []
        self._counter = 0
        self._suffixes: dict[tuple[bool, str], int] = {}
        self._sorted: tuple[Node, ...] | None = None
        self.notes: list[str] = []
        """What the person should know of how the source was read."""

    # Reading ---------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The inputs, in the model's order."""
        return tuple(self._inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that are returned, in the model's order."""
        return tuple(value for _, value in self._outputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The model's own names of the outputs; a contract that no pass changes."""
        return tuple(name for name, _ in self._outputs)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, operands before their readers, otherwise in the order they were added."""
        if self._sorted is None:
            self._sorted = self._sort()
        return self._sorted

    @property
    def constants(self) -> tuple[Value, ...]:
        """Constants that are read by a node or returned."""
        returned = {id(v) for v in self.outputs}
        return tuple(v for v in self._values.values() if v.is_constant and (v._uses or id(v) in returned))

    def value(self, name: str) -> Value:
        """The value of that name; KeyError where there is none."""
        return self._values[name]

    def __contains__(self, item: object) -> bool:
        if isinstance(item, Node):
            return item in self._nodes
        return isinstance(item, Value) and self._values.get(item.name) is item

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def is_output(self, value: Value) -> bool:
        """True when the graph returns the value."""
        return any(v is value for _, v in self._outputs)

    def use_count(self, value: Value) -> int:
        """How often the value is read, by nodes and as an output."""
        return len(value._uses) + sum(v is value for _, v in self._outputs)

    def networkx(self) -> networkx.MultiDiGraph[Node]:
        """A snapshot: nodes are Node objects, an edge's key is the reader's operand index."""
        import networkx as nx  # a quarter of a second to import: only for those who need an algorithm

        view: nx.MultiDiGraph[Node] = nx.MultiDiGraph()
        view.add_nodes_from(self.nodes)
        for node in self.nodes:
            for index, value in enumerate(node.operands):
                if value is not None and value.producer is not None:
                    view.add_edge(value.producer, node, key=index, value=value)
        return view

    def __str__(self) -> str:
        from .text import format_graph

        return format_graph(self)

    # Changing --------------------------------------------------------------------------------------------

    def add_input(self, name: str, type: TensorType) -> Value:
        """Append an input of that name and type."""
        value = self._enter(Value(name, type), exact=True)
        self._inputs.append(value)
        return value

    def add_constant(self, data: Array, name: str = "c") -> Value:
        """A constant holding ``data`` (which must not change afterwards)."""
        if data.flags.writeable:
            data = data.view()
            data.flags.writeable = False
        return self._enter(Value(name, TensorType.of(data), data=data))

    def add(
        self,
        op: Op,
        operands: Sequence[Value | None],
        *,
        name: str = "",
        result_names: Sequence[str] = (),
        origin: Origin = NOWHERE,
        at: Node | None = None,
    ) -> Node:
        """Add a node; its results get the types that the operator infers.

        ``at`` is the node in whose place it stands when independent nodes are put in order.
        Raises TypeMismatch where the operands do not fit the operator.
        """
        values = list(operands)
        while values and values[-1] is None:
            values.pop()
        _check_arity(op, values)
        types = infer_types(op, tuple(None if v is None else v.type for v in values))
        stem = type(op).__name__.lower()
        node = Node(op, self._unique(name or stem, self._node_names), tuple(values), origin)
        self._node_names.add(node.name)
        self._counter += 1
        node._order = (at._order[0] if at is not None else self._counter, self._counter)
        node.results = tuple(
            self._result(node, index, result_type, result_names[index] if index < len(result_names) else name or stem)
            for index, result_type in enumerate(types)
        )
        self._nodes[node] = None
        for index, value in enumerate(values):
            if value is not None:
                self._own(value)
                value._uses[node, index] = None
        self._sorted = None
        return node

    def add_output(self, value: Value, name: str) -> None:
        """Return ``value`` under ``name``, after the outputs there are."""
        self._own(value)
        self._outputs.append((name, value))

    def replace(self, old: Value, new: Value) -> None:
        """Let every reader of ``old``, and the graph's outputs, read ``new``.

        A fresh result (of a node) takes over the old value's name, so that names survive rewriting.
        """
        if old is new:
            return
        self._own(old)
        self._own(new)
        for node, index in old.uses:
            operands = list(node.operands)
            operands[index] = new
            node.operands = tuple(operands)
            new._uses[node, index] = None
        old._uses.clear()
        self._outputs = [(name, new if value is old else value) for name, value in self._outputs]
        if new.producer is not None and old.producer is not None:
            self._swap_names(old, new)
        self._sorted = None

    def set_operand(self, node: Node, index: int, value: Value) -> None:
        """Let one operand of ``node`` be ``value``."""
        self._own(value)
        old = node.operands[index]
        if old is not None:
            del old._uses[node, index]
        operands = list(node.operands)
        operands[index] = value
        node.operands = tuple(operands)
        value._uses[node, index] = None
        self._sorted = None

    def set_type(self, value: Value, type: TensorType) -> None:
        """Give ``value`` a more exact type."""
        self._own(value)
        value.type = type

    def rename(self, value: Value, name: str, *, evict: bool = True) -> None:
        """Give ``value`` this very name. Another value that has it gets a new one, or keeps it without ``evict``."""
        self._own(value)
        if value.name == name or (name in self._values and not evict):
            return
        holder = self._values.pop(name, None)
        del self._values[value.name]
        value.name = name
        self._values[name] = value
        if holder is not None:
            holder.name = self._unique(name, self._values)
            self._values[holder.name] = holder

    def remove(self, node: Node) -> None:
        """Remove a node whose results nobody reads."""
        for value in node.results:
            if value._uses or self.is_output(value):
                raise InternalError(Problem("MC501", f"removing {node!r}, whose result is still read"))
        for index, operand in enumerate(node.operands):
            if operand is not None:
                del operand._uses[node, index]
        for value in node.results:
            del self._values[value.name]
        del self._nodes[node]
        self._node_names.discard(node.name)
        self._sorted = None

    def prune(self, node: Node) -> int:
        """Remove ``node``, and what only it read, as far as nobody else reads it; the number removed."""
        removed, stack = 0, [node]
        while stack:
            current = stack.pop()
            if current not in self._nodes or any(v._uses or self.is_output(v) for v in current.results):
                continue
            above = [v.producer for v in current.inputs if v.producer is not None]
            self.remove(current)
            removed += 1
            stack.extend(above)
        return removed

    def drop_unread_constants(self) -> None:
        """Forget constants that nobody reads (their arrays may be large)."""
        kept = {id(v) for v in self.constants}
        self._values = {n: v for n, v in self._values.items() if not v.is_constant or id(v) in kept}

    def copy(self) -> Graph:
        """An independent graph that shares only the constants' arrays."""
        clone = Graph(self.name)
        twin = {id(v): clone.add_input(v.name, v.type) for v in self._inputs}
        for value in self._values.values():
            if value.data is not None:
                twin[id(value)] = clone._enter(Value(value.name, value.type, data=value.data), exact=True)
        for node in self.nodes:
            self._copy_node(node, clone, twin)
        clone._outputs = [(name, twin[id(value)]) for name, value in self._outputs]
        clone._counter = self._counter
        clone._suffixes = dict(self._suffixes)
        clone.notes = list(self.notes)
        return clone

    # Inside ----------------------------------------------------------------------------------------------

    def _copy_node(self, node: Node, clone: Graph, twin: dict[int, Value]) -> None:
        operands = tuple(None if v is None else twin[id(v)] for v in node.operands)
        made = Node(node.op, node.name, operands, node.origin)
        made._order = node._order
        results = []
        for result in node.results:
            value = clone._enter(Value(result.name, result.type), exact=True)
            value.producer, value.index = made, result.index
            twin[id(result)] = value
            results.append(value)
        made.results = tuple(results)
        clone._nodes[made] = None
        clone._node_names.add(made.name)
        for index, operand in enumerate(operands):
            if operand is not None:
                operand._uses[made, index] = None

    def _sort(self) -> tuple[Node, ...]:
        waiting: dict[Node, int] = {}
        ready: list[tuple[tuple[float, int], Node]] = []
        for node in self._nodes:
            waiting[node] = sum(v is not None and v.producer is not None for v in node.operands)
            if not waiting[node]:
                ready.append((node._order, node))
        heapq.heapify(ready)
        result: list[Node] = []
        while ready:
            _, node = heapq.heappop(ready)
            result.append(node)
            for value in node.results:
                for reader, _ in value._uses:
                    waiting[reader] -= 1
                    if not waiting[reader]:
                        heapq.heappush(ready, (reader._order, reader))
        if len(result) != len(self._nodes):
            stuck = next(n for n in self._nodes if waiting[n])
            raise InternalError(Problem("MC502", "the graph has a cycle", where=f"{stuck.origin or stuck.name}"))
        return tuple(result)

    def _result(self, node: Node, index: int, type: TensorType, stem: str) -> Value:
        value = Value(stem or "v", type)
        self._enter(value)
        if UNKNOWN in type.shape:
            dims = [Symbol(f"{value.name}.{axis}") if d == UNKNOWN else d for axis, d in enumerate(type.shape)]
            value.type = type.with_shape(dims)
        value.producer, value.index = node, index
        return value

    def _enter(self, value: Value, *, exact: bool = False) -> Value:
        if exact and value.name in self._values:
            raise InternalError(Problem("MC503", f"two values are named '{value.name}'"))
        value.name = self._unique(value.name, self._values)
        self._values[value.name] = value
        return value

    def _unique(self, name: str, taken: Mapping[str, Any] | set[str]) -> str:
        if name not in taken:
            return name
        kind = taken is self._values, name
        count = self._suffixes.get(kind, 0)
        while True:
            count += 1
            if f"{name}_{count}" not in taken:
                self._suffixes[kind] = count
                return f"{name}_{count}"

    def _swap_names(self, old: Value, new: Value) -> None:
        old.name, new.name = new.name, old.name
        self._values[old.name], self._values[new.name] = old, new

    def _own(self, value: Value) -> None:
        if self._values.get(value.name) is not value:
            raise InternalError(Problem("MC504", f"%{value.name} is not of this graph"))


def infer_types(op: Op, types: tuple[TensorType | None, ...]) -> tuple[TensorType, ...]:
    """Types of an operator's results; absent trailing operands may be left out."""
    places = op.operands()
    if not (places and places[-1].variadic):
        types = types + (None,) * (len(places) - len(types))
    results = op.infer(*types)
    for result in results:
        for dim in result.shape:
            if isinstance(dim, int) and not 0 <= dim < 2**63:
                raise TypeMismatch(f"{type(op).__name__} makes {result}, and no dimension can be {dim}")
    return results


def padded(op: Op, items: Iterable[Any]) -> tuple[Any, ...]:
    """Operands (or their arrays) with None for the trailing optional ones that were left out."""
    given = tuple(items)
    places = op.operands()
    if places and places[-1].variadic:
        return given + (None,) * (len(places) - 1 - len(given))
    return given + (None,) * (len(places) - len(given))


def _check_arity(op: Op, values: Sequence[Value | None]) -> None:
    places = op.operands()
    variadic = bool(places) and places[-1].variadic
    if len(values) > len(places) and not variadic:
        raise TypeMismatch(f"{type(op).__name__} takes {len(places)} operands, {len(values)} were given")
    for index, place in enumerate(places):
        if not place.optional and (index >= len(values) or values[index] is None):
            raise TypeMismatch(f"{type(op).__name__} needs operand '{place.name}'")
