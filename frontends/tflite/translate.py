"""From decoded operators to the intermediate representation: walks subgraphs and calls handlers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mconv.ir import Builder, Graph, Origin, Problem, TensorType, Value
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Reshape
from mconv.ir.types import Symbol

from ..problems import Problems
from . import errors
from .decode import Model, Operator, SubGraph, Tensor
from .inputs import InputTypes
from .node import TfliteNode
from .registry import HANDLERS, Handler
from .scope import Lost, Scope, Variables
from .tensors import MOST_ELEMENTS, dtype_of

MAX_DEPTH = 16
"""Subgraphs that call one another."""
BROKEN = (TypeMismatch, ValueError, TypeError, IndexError, ArithmeticError, RecursionError, MemoryError, AttributeError)
"""What a handler may meet in a model whose pieces do not fit together."""
_FATAL = frozenset({"MC280", "MC285"})
"""Problems after which nothing more is looked for."""
_ROUNDS = 8
"""Times a loop's body is read again with looser types of its states."""


class Translation:
    """The translation of one model. Everything that cannot be translated is collected and raised at the end."""

    def __init__(self, model: Model, inputs: InputTypes, file: str) -> None:
        self.model, self.inputs, self.file = model, inputs, file
        self.problems = Problems()
        self.notes: dict[str, list[str]] = {}
        self._calls: list[int] = []
        self._budget = 10_000 + 4 * sum(graph.operator_count for graph in model.subgraphs)

    def graph(self) -> Graph:
        """The main graph; raises UsageError, UnreadableError or UnsupportedError."""
        subgraph = self.model.subgraphs[0]
        scope = Scope(self.model, subgraph, Builder(Graph(_identifier(subgraph.name))), Variables(), main=True)
        names = _unique(subgraph, subgraph.inputs, self.model.names[0], "input")
        self.inputs.check([(name, subgraph.tensor(i)) for i, name in zip(subgraph.inputs, names, strict=True)])
        for index, name in zip(subgraph.inputs, names, strict=True):
            type = self.inputs.type_of(name, subgraph.tensor(index))
            _check_size(type, f"input '{name}'")
            scope.bind(index, scope.builder.graph.add_input(name, type))
        self._operators(scope)
        self.problems.throw()
        if not subgraph.outputs:
            raise errors.no_such("the model returns nothing")
        for index, name in zip(
            subgraph.outputs, _unique(subgraph, subgraph.outputs, self.model.names[1], "output"), strict=True
        ):
            scope.builder.output(scope.value(index), name)
        for name, value in scope.variables.now.items():
            scope.builder.output(value, f"{name}_next")
        graph = scope.builder.graph
        graph.notes += [_summary(what, places) for what, places in self.notes.items()]
        return graph

    def note(self, what: str, place: str = "") -> None:
        """Tell the person something about what is read; what is told of several places is told once."""
        places = self.notes.setdefault(what, [])
        if place:
            places.append(place)

    # Operators ------------------------------------------------------------------------------------------------

    def _operators(self, scope: Scope) -> None:
        operators = scope.subgraph.operators()
        self._budget -= len(operators)
        if self._budget < 0:
            raise errors.endless("the subgraphs unfold into too many operators")
        for operator in operators:
            self._operator(operator, scope)

    def _operator(self, operator: Operator, scope: Scope) -> None:
        results: Sequence[Value | None] | None = None
        origin = Origin(self.file, self._place(operator, scope))
        before = scope.builder.origin
        try:
            scope.builder.origin = origin
            results = self._handled(operator, scope)
        except MconvError as error:
            if any(problem.code in _FATAL for problem in error.problems):
                raise
            self._note_problems(error, origin)
        except Lost:
            pass
        except BROKEN as error:
            self._note_problems(errors.misfit(f"{operator.name}: {error}"), origin)
        finally:
            scope.builder.origin = before
        if results is None:
            for index in operator.outputs:
                if 0 <= index < scope.subgraph.count and not scope.bound(index):
                    scope.bind(index, None)

    def _place(self, operator: Operator, scope: Scope) -> str:
        first = next((i for i in operator.outputs if 0 <= i < scope.subgraph.count), None)
        try:
            name = "" if first is None else f" ('{scope.tensor(first).name}')"
        except MconvError:  # of the tensor, not of the operator; told when it is read
            name = ""
        inner = "" if scope.main else f" in subgraph {scope.subgraph.index}"
        return f"{operator.name} {operator.index}{name}{inner}"

    def _note_problems(self, error: MconvError, origin: Origin) -> None:
        kind = UnreadableError if isinstance(error, UnreadableError) else UnsupportedError
        placed = [p if p.where else Problem(p.code, p.what, str(origin), p.types, p.hint) for p in error.problems]
        self.problems.add(kind, placed)

    def _handled(self, operator: Operator, scope: Scope) -> Sequence[Value | None] | None:
        """The results of an operator, bound to their tensors."""
        if operator.custom:
            raise errors.custom(operator.name)
        handler = HANDLERS.get(operator.name)
        if handler is None:
            raise errors.not_read(operator.name)
        node = TfliteNode(operator, scope, handler.options, self)
        found = handler.function(node, scope.builder)
        self._check_options(node, handler)
        results = [found] if isinstance(found, Value) else list(found or ())
        if len(results) < len(operator.outputs):
            raise errors.misfit(f"{operator.name} makes {len(results)} results, not {len(operator.outputs)}")
        for index, value in zip(operator.outputs, results, strict=False):
            if index != -1:
                self._bind(scope, index, value)
        return results

    @staticmethod
    def _check_options(node: TfliteNode, handler: Handler) -> None:
        left = [name for name in node.unread() if name not in handler.ignores]
        if left:
            raise errors.option(f"{node.name}'s option {', '.join(left)} is not understood")

    def _bind(self, scope: Scope, index: int, value: Value | None) -> None:
        tensor = scope.tensor(index)
        if value is None:
            if index not in scope.handles:
                scope.scratch.add(index)
            return
        dtype = dtype_of(tensor)
        if dtype is not value.type.dtype:
            if scope.quantization(index) is not None and value.type.dtype.is_float:
                value = scope.quantized(value, tensor)
            elif dtype.is_float and value.type.dtype.is_float:
                value = scope.cast(value, dtype)
        _check_size(value.type, f"tensor '{tensor.name}'")
        self._check_type(tensor, value.type)
        scope.bind(index, value)
        if value.data is None and value.producer is not None and value not in scope.owned:
            scope.owned.add(scope.named(value, tensor.name))

    def _check_type(self, tensor: Tensor, type: TensorType) -> None:
        """MC286 where a result is not as the file declares it. Sizes that only running tells are placeholders there."""
        declared = tensor.declared
        fits = self.inputs.given or not declared or len(declared) == type.rank
        if fits and declared and not self.inputs.given:
            fits = all(
                d == size or d < 0 or isinstance(size, Symbol) for d, size in zip(declared, type.shape, strict=True)
            )
        if not fits or dtype_of(tensor) is not type.dtype:
            told = f"{dtype_of(tensor).value}[{','.join(map(str, declared))}]"
            raise errors.contradiction(f"tensor '{tensor.name}' is declared {told} and is {type}")

    # Subgraphs --------------------------------------------------------------------------------------------------

    def subgraph(self, index: int) -> SubGraph:
        """The subgraph of that index; MC281 where there is none."""
        if not 0 <= index < len(self.model.subgraphs):
            raise errors.no_such(f"there is no subgraph {index} among {len(self.model.subgraphs)}")
        return self.model.subgraphs[index]

    def call(
        self, index: int, arguments: Sequence[Value], builder: Builder, variables: Variables | None = None
    ) -> list[Value]:
        """The results of a subgraph on these values: its operators become part of the graph that ``builder`` makes."""
        subgraph = self.subgraph(index)
        if index in self._calls or index == 0 or len(self._calls) >= MAX_DEPTH:
            raise errors.endless(f"subgraph {index} is called by itself, or {MAX_DEPTH} levels deep")
        if len(arguments) != len(subgraph.inputs):
            what = f"subgraph {index} takes {len(subgraph.inputs)} inputs, {len(arguments)} are given"
            raise errors.misfit(what)
        scope = Scope(self.model, subgraph, builder, variables or Variables(allowed=False), main=False)
        for place, value in zip(subgraph.inputs, arguments, strict=True):
            if dtype_of(subgraph.tensor(place)) is not value.type.dtype:
                raise errors.misfit(f"subgraph {index} takes {subgraph.tensor(place).type}, {value.type} is given")
            scope.bind(place, value)
        self._calls.append(index)
        try:
            self._operators(scope)
        finally:
            self._calls.pop()
        return [scope.value(place) for place in subgraph.outputs]

    def closed(self, index: int, types: Sequence[TensorType]) -> Graph:
        """A subgraph as a graph of its own, whose inputs have ``types``."""
        subgraph = self.subgraph(index)
        builder = Builder(Graph(_identifier(subgraph.name or f"subgraph_{index}")))
        arguments = [builder.graph.add_input(f"in_{i}", type) for i, type in enumerate(types)]
        for i, value in enumerate(self.call(index, arguments, builder)):
            builder.output(value, f"out_{i}")
        return builder.graph

    def loop_body(
        self, condition: int, body: int, counters: Sequence[TensorType], states: Sequence[TensorType]
    ) -> Graph:
        """The body of an IR Loop: the states after a turn, and before them whether the condition holds for these.

        It is read with types that hold before and after every turn: a size that changes becomes a symbol.
        """
        types = list(states)
        for _ in range(_ROUNDS):
            builder = Builder(Graph(_identifier(self.subgraph(body).name or f"subgraph_{body}")))
            graph = builder.graph
            for name, type in zip(("iteration", "going"), counters, strict=True):
                graph.add_input(name, type)
            arguments = [graph.add_input(f"state_{i}", type) for i, type in enumerate(types)]
            results = self.call(body, arguments, builder)
            looser = [_looser(a, v.type, i) for i, (a, v) in enumerate(zip(types, results, strict=True))]
            if looser == types:
                going = self.condition(condition, results, builder)
                for name, value in zip(("going_on", *(f"next_{i}" for i in range(len(results)))), (going, *results),
                                       strict=True):  # fmt: skip
                    builder.output(value, name)
                return graph
            types = looser
        raise errors.form("WHILE whose states take ever other shapes")

    def condition(self, index: int, states: Sequence[Value], builder: Builder) -> Value:
        """The truth value that a WHILE's condition gives for these states."""
        found = self.call(index, states, builder)
        if len(found) != 1:
            raise errors.misfit(f"WHILE's condition gives {len(found)} results")
        return scalar(found[0], builder)


def scalar(value: Value, builder: Builder) -> Value:
    """A value of one element as a scalar."""
    return value if value.type.rank == 0 else builder.add(Reshape(()), value)


def _looser(before: TensorType, after: TensorType, index: int) -> TensorType:
    """A type that both are of."""
    if before.dtype is not after.dtype or before.rank != after.rank:
        raise errors.form(f"WHILE whose state {index} is first {before}, then {after}")
    dims = (
        a if a == b else Symbol(f"state.{index}.{axis}")
        for axis, (a, b) in enumerate(zip(before.shape, after.shape, strict=True))
    )
    return before.with_shape(dims)


def _check_size(type: TensorType, what: str) -> None:
    known = 1
    for dim in type.shape:
        known *= dim if isinstance(dim, int) else 1
    if known > MOST_ELEMENTS:
        raise errors.too_large(f"{what} has {known} elements ({type})")


def _unique(subgraph: SubGraph, tensors: Sequence[int], told: Sequence[tuple[int, str]], kind: str) -> list[str]:
    """Names of inputs or outputs: the signature's, else the tensors'; numbered where two would be equal."""
    left = list(told)
    names: list[str] = []
    for place, index in enumerate(tensors):
        found = next((entry for entry in left if entry[0] == index), None)
        if found is not None:
            left.remove(found)
        stem = (found[1] if found is not None else subgraph.tensor(index).name) or f"{kind}_{place}"
        name, count = stem, 0
        while name in names:
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names


def _summary(what: str, places: Sequence[str]) -> str:
    if not places:
        return what
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{what}: {', '.join(places[:3])}{more}"


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name) or "main"
