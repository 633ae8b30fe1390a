"""From parsed messages to the intermediate representation: walks graphs, functions and bodies, and calls handlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from mconv.ir import Builder, Graph, Origin, Problem, TensorType, Value
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError, UsageError
from mconv.ir.op import TypeMismatch

from ..problems import Problems
from .checks import check_arity, check_kinds, check_version, unknown
from .errors import RE_EXPORT, unreadable, unsupported
from .expand import is_defined, specified_function
from .functions import attributes_of, functions_of, overload_of, resolved, with_defaults, without
from .inputs import InputTypes, tensor_type
from .model import Model, opsets_of
from .node import OnnxNode
from .package import onnx
from .registry import NEWEST_OPSET, Handler, Results, handler_of
from .schema import MICROSOFT, schema_of
from .scope import Body, Scope, free_names, in_order
from .tensors import PACKED, element_type

MAX_DEPTH = 32
"""Functions and bodies inside one another."""

MAX_ELEMENTS = 1 << 34
"""Elements of the largest tensor that is believed; a trillion is an attack or a mistake."""

BROKEN = (TypeMismatch, ValueError, TypeError, IndexError, ArithmeticError, RecursionError, MemoryError)
"""What a handler may meet in a model whose pieces do not fit together."""

_READS_NARROW = frozenset({"DequantizeLinear", "Identity"})
"""Operators that may read unpacked 4-bit or 2-bit integers: whole bytes compute differently elsewhere."""

_FATAL = frozenset({"MC216"})
"""Problems after which nothing more is looked for."""


class Translation:
    """The translation of one model. Everything that cannot be translated is collected and raised at the end."""

    def __init__(self, model: Model, inputs: InputTypes) -> None:
        self.model = model
        self.inputs = inputs
        self.problems = Problems()
        self._functions = functions_of(model.proto)
        self._budget = 10_000 + 4 * len(model.graph.node)

    def graph(self) -> Graph:
        """The main graph; raises UsageError, UnreadableError or UnsupportedError."""
        proto = self.model.graph
        body = Body(Builder(Graph(_identifier(proto.name))))
        scope = Scope(body, self.model.opsets)
        fixed = {tensor.name for tensor in proto.initializer} | {s.values.name for s in proto.sparse_initializer}
        wanted = [value for value in proto.input if value.name not in fixed]
        self.inputs.check(proto, [value.name for value in wanted])
        for value in wanted:
            self._input(value, scope)
        self._initializers(proto, scope)
        self._nodes(proto.node, scope)
        if not proto.output:
            raise unreadable("MC204", "the graph returns nothing", RE_EXPORT)
        self._outputs(proto, scope)
        self.problems.throw()
        return body.builder.graph

    # Graphs --------------------------------------------------------------------------------------------------

    def _input(self, value: onnx.ValueInfoProto, scope: Scope) -> None:
        try:
            type = self.inputs.type_of(value)
            if scope.has(value.name):
                raise unreadable("MC212", f"two tensors are named '{value.name}'", RE_EXPORT)
            made = scope.body.builder.graph.add_input(value.name, type)
            scope.body.bound[made] = 0
            scope.bind(value.name, made)
        except UsageError:
            raise
        except MconvError as error:
            self.problems.add(type_of(error), error.problems)
            scope.values.setdefault(value.name, None)

    def _initializers(self, proto: onnx.GraphProto, scope: Scope) -> None:
        """Enter the graph's constants, each of which is read from the file when a node first asks for it."""

        def sparse(tensor: onnx.SparseTensorProto) -> Value | None:
            name = tensor.values.name
            try:
                array = self.model.tensors.read_sparse(tensor, f"constant '{name}'")
            except MconvError as error:
                self.problems.add(type_of(error), error.problems)
                return None
            return self._named(scope.body.builder.graph.add_constant(array, name), name, scope)

        for tensor in proto.initializer:
            self._pend(tensor.name, scope, partial(self._constant, tensor, tensor.name, scope))
        for entry in proto.sparse_initializer:
            self._pend(entry.values.name, scope, partial(sparse, entry))

    @staticmethod
    def _pend(name: str, scope: Scope, make: Callable[[], Value | None]) -> None:
        if name in scope.values or name in scope.pending:
            raise unreadable("MC212", f"two tensors are named '{name}'", RE_EXPORT)
        scope.pending[name] = make

    def _constant(self, tensor: onnx.TensorProto, name: str, scope: Scope) -> Value | None:
        try:
            array = self.model.tensors.read(tensor, f"constant '{name}'")
        except MconvError as error:
            self.problems.add(type_of(error), error.problems)
            return None
        made = self._named(scope.body.builder.graph.add_constant(array, name), name, scope)
        if tensor.data_type in PACKED:
            scope.body.narrow.add(made)
        return made

    def _nodes(self, nodes: Iterable[onnx.NodeProto], scope: Scope) -> None:
        for proto in in_order(list(nodes), scope.has):
            self._budget -= 1
            if self._budget < 0:
                raise unreadable("MC216", "the model's functions and bodies unfold into too many nodes", RE_EXPORT)
            tensor = _constant_of(proto)
            if tensor is None:
                self._node(proto, scope)
            else:
                self._pend(proto.output[0], scope, partial(self._constant, tensor, proto.output[0], scope))

    def _outputs(self, proto: onnx.GraphProto, scope: Scope) -> None:
        builder, seen = scope.body.builder, set[str]()
        for value in proto.output:
            if value.name in seen:
                raise unreadable("MC212", f"two outputs are named '{value.name}'", RE_EXPORT)
            seen.add(value.name)
            found = scope.lookup(value.name)
            if found is None:
                if not self.problems:
                    raise unreadable("MC213", f"nothing makes output '{value.name}'", RE_EXPORT)
                continue  # its cause has been noted
            if found in scope.body.narrow:
                raise unsupported("MC304", f"output '{value.name}' holds 4-bit or 2-bit integers", "8-bit integers")
            self._check_output(value, found, scope)
            builder.output(found, value.name)

    def _check_output(self, declared: onnx.ValueInfoProto, found: Value, scope: Scope) -> None:
        """Refuse an output whose element type or rank is not the declared one; sizes are often stale."""
        if declared.type.WhichOneof("value") is None:
            return
        what = f"output '{declared.name}'"
        tensor = tensor_type(declared, what)
        dtype = element_type(tensor.elem_type, what) if tensor.elem_type else found.type.dtype
        rank = len(tensor.shape.dim) if tensor.HasField("shape") else found.type.rank
        if dtype is not found.type.dtype or rank != found.type.rank:
            told = f"{dtype.value} of rank {rank}"
            raise unreadable("MC220", f"{what} is declared {told} and is {found.type}", RE_EXPORT)

    # Nodes ---------------------------------------------------------------------------------------------------

    def _node(self, proto: onnx.NodeProto, scope: Scope) -> None:
        name = proto.name or next(filter(None, proto.output), "")
        origin = Origin(self.model.file, f"node '{name}' ({proto.op_type})")
        operands: list[Value | None] = []
        results: Sequence[Value | None] | None = None
        try:
            operands = [scope.lookup(name) if name else None for name in proto.input]
            lost = any(value is None and name for value, name in zip(operands, proto.input, strict=True))
            scope.body.builder.origin = origin
            results = self._translated(proto, operands, scope, lost)
        except MconvError as error:
            if any(problem.code in _FATAL for problem in error.problems):
                raise
            self.problems.add(type_of(error), [_placed(p, origin, operands) for p in error.problems])
        except _Lost:
            pass
        except BROKEN as error:
            kind = "" if isinstance(error, TypeMismatch) else " is unsound"
            problem = unreadable("MC219", f"{proto.op_type}{kind}: {error}", RE_EXPORT).problems[0]
            self.problems.add(UnreadableError, [_placed(problem, origin, operands)])
        self._bind(proto, results, scope)

    def _bind(self, proto: onnx.NodeProto, results: Sequence[Value | None] | None, scope: Scope) -> None:
        """Let the node's output names stand for the results, which take those names where they are new."""
        for index, name in enumerate(proto.output):
            if not name:
                continue
            value = results[index] if results is not None and index < len(results) else None
            scope.bind(name, value)
            if value is not None and scope.body.bound.get(value, scope.depth + 1) > scope.depth:
                self._named(value, name, scope)

    @staticmethod
    def _named(value: Value, name: str, scope: Scope) -> Value:
        """Give a new value the model's name for it; inside functions and branches only where that name is free."""
        scope.body.builder.graph.rename(value, scope.prefix + name, evict=scope.depth == 0)
        scope.body.bound[value] = scope.depth
        return value

    def _translated(
        self, proto: onnx.NodeProto, operands: list[Value | None], scope: Scope, lost: bool
    ) -> Sequence[Value | None] | None:
        """The results of a node; None where an operand was lost (then only the operator itself is checked)."""
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        function = self._functions.get((domain, proto.op_type, overload_of(proto)))
        attributes = attributes_of(proto, scope)
        if function is not None:
            return None if lost else self._call(function, proto, operands, with_defaults(function, attributes), scope)
        opset = scope.opsets.get(domain)
        schema = None if opset is None else schema_of(proto.op_type, domain, opset)
        if opset is None and domain == MICROSOFT:
            opset, schema = 1, schema_of(proto.op_type, domain, 1)
        if schema is None or opset is None:
            raise unknown(proto.op_type, domain, opset)
        check_version(schema, opset)
        handler = handler_of(domain, proto.op_type, min(opset, NEWEST_OPSET))
        check_arity(proto, schema)
        if handler is None and not is_defined(schema, opset):
            raise unknown(proto.op_type, domain, opset)
        if lost:
            return None
        check_kinds(schema, operands)
        node = OnnxNode(proto, schema, operands, attributes, opset, self, scope)
        return self.by_definition(node) if handler is None else self._handled(node, handler, scope)

    def _handled(self, node: OnnxNode, handler: Handler, scope: Scope) -> Sequence[Value | None]:
        for name in node.attributes:
            if name not in node.schema.attributes:
                raise unreadable("MC217", f"{node.op_type} has no attribute '{name}' in its specification", RE_EXPORT)
        if scope.body.narrow and node.op_type not in _READS_NARROW:
            for value in node.operands:
                if value in scope.body.narrow:
                    raise unsupported("MC304", f"{node.op_type} of 4-bit or 2-bit integers", "8-bit integers")
        results = as_tuple(handler.function(node, scope.body.builder))
        left = [name for name in node.unread() if name not in handler.ignores]
        if left:
            raise unsupported("MC302", f"{node.op_type}'s attribute {', '.join(map(repr, left))} is not understood")
        for value in results:
            if value is not None and (value.type.numel or 0) > MAX_ELEMENTS:
                what = f"{node.op_type} makes a tensor of {value.type.numel} elements ({value.type})"
                raise unsupported("MC309", what)
        return results

    # Functions -----------------------------------------------------------------------------------------------

    def _call(
        self,
        function: onnx.FunctionProto,
        proto: onnx.NodeProto,
        operands: Sequence[Value | None],
        attributes: Mapping[str, onnx.AttributeProto],
        scope: Scope,
    ) -> list[Value | None]:
        """The results of a function of the model: its nodes take the place of the call."""
        what = f"function {function.domain}.{function.name}"
        if len(operands) > len(function.input):
            counts = f"takes {len(function.input)} inputs, {len(operands)} are given"
            raise unreadable("MC218", f"{what} {counts}", RE_EXPORT)
        opsets = dict(scope.opsets) | opsets_of(function.opset_import, what)
        inner = self._inner(scope, proto, opsets, attributes)
        inner.parent = None  # a function sees nothing of its caller
        absent = set(function.input)
        for name, value in zip(function.input, operands, strict=False):
            if value is not None:
                inner.bind(name, value)
                absent.discard(name)
        self._nodes((without(node, absent) for node in function.node), inner)
        wanted = zip(function.output, [*proto.output, *[""] * len(function.output)], strict=False)
        return [inner.lookup(name) if result else None for name, result in wanted]

    def _inner(
        self,
        scope: Scope,
        proto: onnx.NodeProto,
        opsets: Mapping[str, int],
        attributes: Mapping[str, onnx.AttributeProto] | None,
    ) -> Scope:
        if scope.depth >= MAX_DEPTH:
            raise unreadable("MC216", f"functions or bodies nest deeper than {MAX_DEPTH}", RE_EXPORT)
        name = proto.name or next(filter(None, proto.output), proto.op_type)
        return Scope(scope.body, opsets, scope, f"{scope.prefix}{name}/", scope.depth + 1, attributes)

    def by_definition(self, node: OnnxNode) -> list[Value | None]:
        """The results of an operator by the function that its specification defines it with."""
        definition = node.schema.definition
        proto = resolved(node)
        function = None if definition is None else specified_function(proto, definition, node.operands, node.opset)
        if function is None or definition is None:
            raise unknown(node.op_type, node.schema.domain, node.opset)
        attributes = dict(node.attributes)
        for name, specified in definition.attributes.items():
            if name not in attributes and specified.default_value.type:
                attributes[name] = specified.default_value
        return self._call(function, node.proto, node.operands, attributes, node.scope)

    # Bodies --------------------------------------------------------------------------------------------------

    def inline(self, graph: onnx.GraphProto, node: OnnxNode) -> list[Value | None]:
        """The outputs of a body whose nodes become part of the graph around it (a branch that is always taken)."""
        if len(graph.output) != len(node.proto.output):
            what = f"{node.op_type}'s body returns {len(graph.output)} values, not {len(node.proto.output)}"
            raise unreadable("MC218", what, RE_EXPORT)
        scope = self._inner(node.scope, node.proto, node.scope.opsets, node.scope.attributes)
        self._initializers(graph, scope)
        self._nodes(graph.node, scope)
        return [scope.lookup(value.name) for value in graph.output]

    def captures(self, graphs: Sequence[onnx.GraphProto], scope: Scope) -> list[str]:
        """Names of the values (not the constants) around them that bodies read."""
        names = dict.fromkeys(name for graph in graphs for name in free_names(graph))
        found = {name: scope.lookup(name) for name in names}
        if None in found.values():
            raise _Lost
        return [name for name, value in found.items() if value is not None and value.data is None]

    def closed(
        self, proto: onnx.GraphProto, node: OnnxNode, types: Sequence[TensorType], captures: Sequence[str]
    ) -> Graph:
        """A body as a graph of its own: its inputs have ``types``, and after them come the ``captures``."""
        outer = node.scope
        if outer.depth >= MAX_DEPTH:
            raise unreadable("MC216", f"functions or bodies nest deeper than {MAX_DEPTH}", RE_EXPORT)
        if len(types) != len(proto.input):
            what = f"{node.op_type}'s body takes {len(proto.input)} inputs, not {len(types)}"
            raise unreadable("MC218", what, RE_EXPORT)
        body = Body(Builder(Graph(_identifier(proto.name))))
        scope = Scope(body, outer.opsets, None, "", 0, outer.attributes)
        scope.depth = outer.depth + 1
        around = {name: value for name in captures if (value := outer.lookup(name)) is not None}
        entering = [(value.name, type) for value, type in zip(proto.input, types, strict=True)]
        for name, type in [*entering, *((name, value.type) for name, value in around.items())]:
            if scope.has(name):
                raise unreadable("MC212", f"two tensors are named '{name}'", RE_EXPORT)
            scope.bind(name, body.builder.graph.add_input(name, type))
        for name in free_names(proto):
            found = outer.lookup(name)
            if found is not None and found.data is not None:
                scope.bind(name, body.builder.graph.add_constant(found.data, name))
        body.bound.update(dict.fromkeys((v for v in scope.values.values() if v is not None), scope.depth))
        self._initializers(proto, scope)
        self._nodes(proto.node, scope)
        for value in proto.output:
            result = scope.lookup(value.name)
            if result is None:
                raise _Lost
            body.builder.output(result, value.name)
        return body.builder.graph


def _constant_of(proto: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor of a Constant node in its usual form, which some exporters write by the thousand."""
    if proto.op_type != "Constant" or proto.domain or proto.input or len(proto.output) != 1:
        return None
    if len(proto.attribute) != 1 or not proto.output[0]:
        return None
    attribute = proto.attribute[0]
    plain = attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR and not attribute.ref_attr_name
    return attribute.t if plain else None


class _Lost(Exception):
    """A value is needed whose own node could not be translated; that cause has been noted."""


def as_tuple(results: Results) -> Sequence[Value | None]:
    """What a handler returns, as a sequence."""
    return (results,) if isinstance(results, Value) else results


def type_of(error: MconvError) -> type[MconvError]:
    """The class under which an error's problems are collected: unreadable or unsupported."""
    return UnreadableError if isinstance(error, UnreadableError) else UnsupportedError


def _placed(problem: Problem, origin: Origin, operands: Sequence[Value | None]) -> Problem:
    """The problem with the node's place and operand types, unless it already tells a place further inside."""
    if problem.where:
        return problem
    types = ", ".join("absent" if value is None else str(value.type) for value in operands)
    return Problem(problem.code, problem.what, where=str(origin), types=types, hint=problem.hint)


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name) or "main"
