"""From nodes to the intermediate representation: walks bodies from what is wanted, and calls handlers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mconv.ir import Builder, Graph, Origin, Problem, TensorType, Value
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError
from mconv.ir.op import TypeMismatch
from mconv.ir.record import NOTHING
from mconv.ir.types import Array

from ..problems import Problems
from . import errors
from .conditional import Conditionals, merged
from .decode import MOST_ELEMENTS
from .frames import Frames, left
from .graph import Body, GNode, Library, Ref
from .items import Item, Lost, Variable
from .node import TfNode
from .refused import reason_of
from .registry import HANDLERS, Handler
from .schema import type_of
from .scope import Leaf, Scope

MAX_DEPTH = 64
"""Functions that call one another."""
BROKEN = (TypeMismatch, ValueError, TypeError, IndexError, ArithmeticError, RecursionError, MemoryError, AttributeError)
"""What a handler may meet in a model whose pieces do not fit together."""
_FATAL = frozenset({"MC240", "MC244"})
"""Problems after which nothing more is looked for."""
_STRUCTURE = {"Exit": "frames", "RefExit": "frames", "Merge": "conditionals", "RefMerge": "conditionals"}
"""Nodes that stand for more than themselves, which is found by looking at their body as a whole."""


class Translation:
    """The translation of one graph. Everything that cannot be translated is collected and raised at the end."""

    def __init__(self, library: Library, file: str, constants: Mapping[str, Array] = NOTHING) -> None:
        self.library, self.file, self.constants = library, file, constants
        self.problems = Problems()
        self.notes: dict[str, list[str]] = {}
        self._calls: list[str] = []
        self._budget = 20_000 + 10 * library.count
        self._frames: dict[Body, Frames] = {}
        self._conditionals: dict[Body, Conditionals] = {}

    def note(self, what: str, place: str = "") -> None:
        """Tell the person something about what is read; what is told of several places is told once."""
        places = self.notes.setdefault(what, [])
        if place:
            places.append(place)

    # Structure ------------------------------------------------------------------------------------------------

    def frames(self, body: Body) -> Frames:
        """The loops of TensorFlow 1 in a body."""
        if body not in self._frames:
            self._frames[body] = Frames(body)
        return self._frames[body]

    def conditionals(self, body: Body) -> Conditionals:
        """The branches of TensorFlow 1 in a body."""
        if body not in self._conditionals:
            self._conditionals[body] = Conditionals(body)
        return self._conditionals[body]

    def needs(self, node: GNode, scope: Scope) -> Iterable[Ref]:
        """The results that must be there before a node is translated."""
        structure = _STRUCTURE.get(node.op)
        if structure is None:
            return node.inputs
        try:
            if structure == "frames":
                return self.frames(scope.body).entries(node)
            return self.conditionals(scope.body).needs(node)
        except MconvError:
            return ()  # told when the node itself is translated

    # Nodes ----------------------------------------------------------------------------------------------------

    def evaluate(self, node: GNode, scope: Scope) -> Sequence[Item | None] | None:
        """The results of a node, None where it could not be translated, which is noted."""
        self._budget -= 1
        if self._budget < 0:
            raise errors.cycle("the functions unfold into too many nodes")
        origin = Origin(self.file, f"node '{scope.prefix}{node.name}'")
        before = scope.builder.origin
        try:
            scope.builder.origin = origin
            results = self._results(node, scope)
            for index, item in enumerate(results):
                if isinstance(item, Value):
                    check_size(item.type, f"result {index} of {node.op}")
                    scope.name(item, f"{scope.prefix}{node.name}" + (f":{index}" if index else ""))
            return results
        except MconvError as error:
            if any(problem.code in _FATAL for problem in error.problems):
                raise
            self._note_problems(error, origin)
        except Lost:
            pass
        except BROKEN as error:
            self._note_problems(errors.misfit(f"{node.op}: {error}"), origin)
        finally:
            scope.builder.origin = before
        return None

    def _note_problems(self, error: MconvError, origin: Origin) -> None:
        kind = UnreadableError if isinstance(error, UnreadableError) else UnsupportedError
        placed = [p if p.where else Problem(p.code, p.what, str(origin), p.types, p.hint) for p in error.problems]
        self.problems.add(kind, placed)

    def _results(self, node: GNode, scope: Scope) -> Sequence[Item | None]:
        if not scope.body.name and node.name in self.constants:
            return self._constant(node, scope)
        if node.missing:
            raise errors.no_such(f"{node.op} reads '{node.missing}', which is not there")
        if node.op == "Placeholder":
            raise errors.left_out(node.name)
        structure = _STRUCTURE.get(node.op)
        if structure == "frames":
            return left(self, self.frames(scope.body), node, scope)
        if structure == "conditionals":
            return merged(self, self.conditionals(scope.body), node, scope)
        if node.op in self.library:
            return self.call(node.op, [scope.item(ref) for ref in node.inputs], scope.builder, self.inner(node, scope))
        handler = HANDLERS.get(node.op)
        if handler is None:
            why = reason_of(node.op)
            raise errors.outside(node.op, why, node.name) if why else errors.not_read(node.op, node.name)
        call = TfNode(node, scope, self)
        found = handler.function(call, scope.builder)
        self._check_attributes(call, handler)
        return list(found) if isinstance(found, Sequence) else [found]

    def _constant(self, node: GNode, scope: Scope) -> Sequence[Item]:
        array = self.constants[node.name]
        handle = type_of(node, 0) == 20 or node.op in ("VarHandleOp", "VariableV2", "Variable")
        if handle:
            return [Variable(node.name, array)]
        return [scope.builder.graph.add_constant(array, node.name)]

    @staticmethod
    def _check_attributes(node: TfNode, handler: Handler) -> None:
        unread = node.unread(handler.ignores)
        if unread:
            raise errors.attribute(f"{node.op}'s attribute {', '.join(unread)} is not understood")

    @staticmethod
    def inner(node: GNode, scope: Scope) -> str:
        """What goes before the names of nodes that a call of this one runs."""
        return f"{scope.prefix}{node.name}/"

    # Functions --------------------------------------------------------------------------------------------------

    def call(self, name: str, arguments: Sequence[Item], builder: Builder, prefix: str) -> list[Item]:
        """The results of a function on these items: its nodes become part of the graph that ``builder`` makes."""
        body = self.library.function(name)
        if name in self._calls or len(self._calls) >= MAX_DEPTH:
            raise errors.cycle(f"function '{name}' calls itself, or is called {MAX_DEPTH} levels deep")
        if len(arguments) != len(body.arguments):
            given = f"{len(arguments)} are given"
            raise errors.misfit(f"function '{name}' takes {len(body.arguments)} arguments, {given}")
        scope = Scope(self, body, builder, prefix)
        for node, item in zip(body.arguments, arguments, strict=True):
            scope.bind(node, [item])
            if isinstance(item, Value):
                scope.owned.add(item)
        self._calls.append(name)
        try:
            scope.demand(body.results)
            return [scope.item(ref) for ref in body.results]
        finally:
            self._calls.pop()

    def part(self, scope: Scope, builder: Builder, leaf: Leaf, refs: Sequence[Ref]) -> list[Item]:
        """What some results of a scope's body are in another graph, where ``leaf`` gives what stands outside."""
        inner = Scope(self, scope.body, builder, scope.prefix, leaf)
        inner.demand(refs)
        return [inner.item(ref) for ref in refs]

    @staticmethod
    def closed(name: str) -> Builder:
        """A builder for a graph of its own."""
        return Builder(Graph(re.sub(r"\W", "_", name) or "body"))


def check_size(type: TensorType, what: str) -> None:
    """MC309 where a tensor is larger than any that is believed."""
    known = 1
    for dim in type.shape:
        known *= dim if isinstance(dim, int) else 1
    if known > MOST_ELEMENTS:
        raise errors.too_large(f"{what} has {known} elements ({type})")


def summary(what: str, places: Sequence[str]) -> str:
    """A note, with the first of the places that it is told of."""
    if not places:
        return what
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{what}: {', '.join(places[:3])}{more}"
