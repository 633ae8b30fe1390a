"""GraphDefs and functions as light nodes, whose inputs are resolved to nodes and whose attributes wait to be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mconv.ir.record import NOTHING

from . import errors
from .decode import Source
from .schema import results_of

ARGUMENT = "_Argument"
"""The operator of a function's arguments (and of nothing in a file)."""
MAX_NODES = 5_000_000


class Ref(NamedTuple):
    """A result of a node: which, counted through all of them."""

    node: GNode
    index: int  # type: ignore[assignment]  # tuple's method of that name is not needed


class GNode:
    """A node: name, operator, the results that it reads, the nodes that must run before it, and its attributes.

    A missing input is None; what is wrong with a name is told when the node is needed.
    """

    __slots__ = ("attributes", "controls", "inputs", "missing", "name", "op")

    def __init__(self, name: str, op: str, attributes: Mapping[str, Any] = NOTHING) -> None:
        self.name, self.op, self.attributes = name, op, attributes
        self.inputs: tuple[Ref, ...] = ()
        self.controls: tuple[GNode, ...] = ()
        self.missing = ""


class Body:
    """A graph, or the body of a function: its nodes by name, and for a function its arguments and results."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: dict[str, GNode] = {}
        self.arguments: list[GNode] = []
        self.results: list[Ref] = []


class Library:
    """A GraphDef: its main body, and its functions, each decoded when it is first called."""

    def __init__(self, source: Source) -> None:
        self.source = source
        message = source.message
        self._functions = {f.signature.name: f for f in message.library.function}
        self._bodies: dict[str, Body] = {}
        self.count = len(message.node) + sum(len(f.node_def) for f in message.library.function)
        if self.count > MAX_NODES:
            raise errors.damaged(f"the graph has {self.count} nodes")
        self.main = Body("")
        self._fill(self.main, message.node, _ref)

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def function(self, name: str) -> Body:
        """The body of a function; MC243 where there is none of that name."""
        if name not in self._functions:
            raise errors.no_such(f"there is no function '{name}'")
        if name not in self._bodies:
            self._bodies[name] = self._decoded(self._functions[name])
        return self._bodies[name]

    def _decoded(self, proto: Any) -> Body:
        body = Body(proto.signature.name)
        for argument in proto.signature.input_arg:
            node = body.nodes[argument.name] = GNode(argument.name, ARGUMENT)
            body.arguments.append(node)
        self._fill(body, proto.node_def, self._inner_ref)
        for result in proto.signature.output_arg:
            text = proto.ret.get(result.name, "")
            found = self._inner_ref(text, body.nodes)
            if found is None:
                raise errors.no_such(f"result '{result.name}' of function '{body.name}', '{text}', is not there")
            body.results.append(found)
        return body

    def _fill(self, body: Body, protos: Iterable[Any], ref: Any) -> None:
        made = []
        for proto in protos:
            if proto.name in body.nodes:
                raise errors.no_such(f"two nodes are named '{proto.name}'")
            node = body.nodes[proto.name] = GNode(proto.name, proto.op, proto.attr)
            made.append((node, proto.input))
        for node, texts in made:
            inputs, controls = list[Ref](), list[GNode]()
            for text in texts:
                if text.startswith("^"):
                    if text[1:] in body.nodes:
                        controls.append(body.nodes[text[1:]])
                elif (found := ref(text, body.nodes)) is None:
                    node.missing = text
                else:
                    inputs.append(found)
            node.inputs, node.controls = tuple(inputs), tuple(controls)

    def _inner_ref(self, text: str, nodes: Mapping[str, GNode]) -> Ref | None:
        """``argument`` or ``node:result:index``, as nodes of a function do; the index counts in the named result."""
        node = nodes.get(text)
        if node is not None:
            return Ref(node, 0)
        name, _, rest = text.partition(":")
        result, colon, index = rest.partition(":")
        node = nodes.get(name)
        if node is None or (colon and not (index.isdecimal() and len(index) < 7)):
            return None
        if not colon and result.isdecimal():
            return Ref(node, int(result))
        called = self._functions.get(node.op)
        if called is not None:
            names = [r.name for r in called.signature.output_arg]
            return Ref(node, names.index(result)) if result in names else None
        return Ref(node, results_of(node).get(result, 0) + int(index or 0))


def _ref(text: str, nodes: Mapping[str, GNode]) -> Ref | None:
    """``node`` or ``node:index``, as nodes of a main graph name what they read."""
    node = nodes.get(text)
    if node is not None:
        return Ref(node, 0)
    name, colon, index = text.rpartition(":")
    node = nodes.get(name) if colon and index.isdecimal() and len(index) < 7 else None
    return None if node is None else Ref(node, int(index))
