"""A graph of TensorFlow, frozen or saved, as a graph of the intermediate representation.

Spatial operators keep the file's order of axes by standing between transposes; `mconv.passes.layout` takes these away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir import Builder, Graph, Shape, Value
from mconv.ir.record import NOTHING
from mconv.ir.types import Array

from . import errors
from .decode import Source, dtype_of, open_file, shape_of
from .dropout import kept
from .graph import GNode, Library, Ref
from .inputs import Declared, InputTypes
from .live import frozen
from .refused import reason_of
from .saved_model import FILE, open_saved_model
from .schema import schema_of, type_of
from .scope import Scope
from .translate import BROKEN, Translation, check_size, summary

_INPUTS = ("Placeholder",)
_NO_OUTPUTS = frozenset({
    "Const", "NoOp", "Assert", "Placeholder", "PlaceholderWithDefault", "VarHandleOp", "VariableV2", "Variable",
    "VarIsInitializedOp", "IsVariableInitialized", "Assign", "AssignVariableOp", "CheckNumerics", "Print", "PrintV2",
    "ReadVariableOp", "Exit", "RefExit", "Switch", "RefSwitch",
})  # fmt: skip
"""Operators at the end of a graph that compute nothing for its user."""
_OPENING = frozenset({"Enter", "RefEnter", "Switch", "RefSwitch"})
_CLOSING = frozenset({"Exit", "RefExit", "Merge", "RefMerge"})
_AGAIN = frozenset({"NextIteration", "RefNextIteration"})
_OLDEST_SCALARS = 24
"""The version of GraphDefs from which on a Placeholder's shape of no axes is a scalar's, and not an unknown one."""
_NEAR = 5


def read(
    source: Any,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    signature: str | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Graph:
    """Read a frozen GraphDef (.pb), a SavedModel (its folder, or the saved_model.pb in it), or an object in memory: a
    ``tf.function`` with an input signature, a concrete function, a ``tf.Module``.

    Weights are read-only views of the mapped files. Of a SavedModel one signature is read, and its inputs and outputs
    have the signature's names. Inputs of a frozen graph are the Placeholders that the outputs depend on, outputs the
    nodes that nobody reads; ``inputs`` and ``outputs`` name others ("node" or "node:index"), and what lies outside of
    them is not looked at. Raises UsageError, UnreadableError (MC240 to MC246, MC249) or UnsupportedError, which tells
    everything in it that cannot be expressed.
    """
    shapes: dict[str, Any] = {"input_shapes": input_shapes, "dims": dims}
    if not isinstance(source, Path):
        found = frozen(source, signature)
        ends: dict[str, Any] = {"inputs": inputs or found.inputs, "outputs": outputs or found.outputs}
        return translate(found.source, file=found.name, constants=found.constants, **ends, **shapes)
    if source.is_dir() or source.name == FILE:
        folder = source if source.is_dir() else source.parent
        saved = open_saved_model(folder, signature, cut=bool(inputs and outputs))
        ends = {"inputs": inputs or saved.inputs, "outputs": outputs or saved.outputs}
        return translate(saved.source, file=folder.name, constants=saved.constants, **ends, **shapes)
    if signature is not None:
        raise errors.no_signature(
            f"{source.name} is a frozen graph, which has no signatures", "leaving --signature out"
        )
    return translate(open_file(source), file=source.name, inputs=inputs, outputs=outputs, **shapes)


def translate(
    source: Source,
    *,
    file: str,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Sequence[str] | Mapping[str, str] = (),
    outputs: Sequence[str] | Mapping[str, str] = (),
    constants: Mapping[str, Array] = NOTHING,
) -> Graph:
    """The graph of a GraphDef, or of the part of it between ``inputs`` and ``outputs``.

    Both are tensors' names, or map the names that the graph shall have to tensors' names. ``constants`` gives values of
    nodes: variables (VarHandleOp, VariableV2) and captured arguments (Placeholders, of resources or of tensors).
    ``file`` stands in origins and messages.
    """
    try:
        library = Library(source)
        return _Reading(library, file, InputTypes(input_shapes or {}, dims or {}), constants).graph(
            _named(inputs), _named(outputs)
        )
    except BROKEN as error:  # outside of any single node
        raise errors.misfit(f"{file} is unsound: {error}") from error


def _named(names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(names, Mapping):
        return dict(names)
    return {name.removesuffix(":0"): name for name in names}


class _Reading:
    """One graph being read: finds its ends, and has what lies between them translated."""

    def __init__(self, library: Library, file: str, types: InputTypes, constants: Mapping[str, Array]) -> None:
        self.library, self.file, self.types, self.constants = library, file, types, constants
        self.body = library.main
        self.translation = Translation(library, file, constants)

    def graph(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Graph:
        """The main graph."""
        scope = Scope(self.translation, self.body, Builder(Graph("main")))
        wanted = {name: self._ref(text) for name, text in outputs.items()} or self._sinks()
        given = {name: self._ref(text) for name, text in inputs.items()}
        self._leave_dropout_out(scope, given)
        reached = self._reached(wanted.values(), set(given.values()) | set(scope.bound))
        if not inputs:
            given = {n.name: Ref(n, 0) for n in reached if n.op in _INPUTS and n.name not in self.constants}
        self._bind_inputs(scope, given)
        scope.demand(wanted.values())
        self.translation.problems.throw()
        for name, ref in wanted.items():
            self._output(scope, name, ref, every=not outputs)
        graph = scope.builder.graph
        if not graph.outputs:
            raise errors.empty(f"{self.file} has no outputs")
        graph.notes += [summary(what, places) for what, places in self.translation.notes.items()]
        return graph

    # Ends -----------------------------------------------------------------------------------------------------

    def _ref(self, text: str) -> Ref:
        """The result of a name, "node" or "node:index"; MC124 where there is none."""
        text = text.removeprefix("^")
        node, index = self.body.nodes.get(text), 0
        if node is None:
            name, _, number = text.rpartition(":")
            node = self.body.nodes.get(name)
            index = int(number) if number.isdecimal() and len(number) < 7 else -1
        if node is None or index < 0:
            stem = text.partition(":")[0].rpartition("/")[2].lower()
            near = [n for n in self.body.nodes if stem and stem in n.lower()][:_NEAR]
            raise errors.no_place(text, ", ".join(near))
        return Ref(node, index)

    def _sinks(self) -> dict[str, Ref]:
        """The nodes that nobody reads, less those that compute nothing for the graph's user."""
        read = {ref.node for node in self.body.nodes.values() for ref in node.inputs}
        found = {
            node.name: Ref(node, 0)
            for node in self.body.nodes.values()
            if node not in read and node.op not in _NO_OUTPUTS and not reason_of(node.op)
        }
        if not found:
            raise errors.empty(f"{self.file} has no node whose result is left over")
        readers: dict[GNode, list[GNode]] = {}
        for node in self.body.nodes.values():
            if node.missing:
                raise errors.no_such(f"{node.op} '{node.name}' reads '{node.missing}', which is not there")
            for ref in node.inputs:
                readers.setdefault(ref.node, []).append(node)
        dropped = self._constant(readers) | self._within(readers)
        return {name: ref for name, ref in found.items() if ref.node not in dropped} or found

    def _within(self, readers: Mapping[GNode, Sequence[GNode]]) -> set[GNode]:
        """The nodes of TensorFlow 1's loops and branches: what they give leaves through an Exit or a Merge."""
        stack = [n for n in self.body.nodes.values() if n.op in _OPENING]
        found = set(stack)
        while stack:
            for reader in readers.get(stack.pop(), ()):
                closes = reader.op in _CLOSING and not any(r.node.op in _AGAIN for r in reader.inputs)
                if reader not in found and not closes:
                    found.add(reader)
                    stack.append(reader)
        return found

    def _constant(self, readers: Mapping[GNode, Sequence[GNode]]) -> set[GNode]:
        """The nodes whose results depend on no input."""
        waiting: dict[GNode, int] = {}
        stack: list[GNode] = []
        for node in self.body.nodes.values():
            waiting[node] = len(node.inputs)
            schema = schema_of(node.op)
            source = schema is not None and not schema.operands and node.op not in _INPUTS
            if not node.inputs and (source or node.name in self.constants):
                stack.append(node)
        found = set(stack)
        while stack:
            for reader in readers.get(stack.pop(), ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    found.add(reader)
                    stack.append(reader)
        return found

    def _reached(self, refs: object, given: set[Ref]) -> list[GNode]:
        """The nodes that results depend on, in the graph's order, not looking behind what is given."""
        seen: set[GNode] = set()
        stack = [ref.node for ref in refs if ref not in given]  # type: ignore[attr-defined]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack.extend(ref.node for ref in node.inputs if ref not in given)
        return [node for node in self.body.nodes.values() if node in seen]

    def _leave_dropout_out(self, scope: Scope, given: Mapping[str, Ref]) -> None:
        """Let dropout whose probability is an input that was not asked for keep everything."""
        for node, keep in kept(self.body).items():
            if Ref(keep, 0) in given.values() or keep.name in self.constants:
                continue
            one = scope.builder.graph.add_constant(
                np.array(1, dtype_of(type_of(keep, 0) or 1, f"input '{keep.name}'").numpy), keep.name
            )
            scope.bind(keep, [one])
            scope.bind(node, [one])
            what = f"dropout is left out, as '{keep.name}' is 1 when the network is used"
            self.translation.note(what, f"node '{node.name}'")

    # Inputs and outputs ---------------------------------------------------------------------------------------

    def _bind_inputs(self, scope: Scope, given: Mapping[str, Ref]) -> None:
        declared = [self._declared(name, ref) for name, ref in given.items()]
        self.types.check(declared)
        for each, ref in zip(declared, given.values(), strict=True):
            type = self.types.type_of(each)
            check_size(type, f"input '{each.name}'")
            scope.bound[ref] = scope.builder.graph.add_input(each.name, type)

    def _declared(self, name: str, ref: Ref) -> Declared:
        node = ref.node
        number = type_of(node, ref.index)
        told = self._told(node, ref.index)
        if told is None and node.op not in ("Placeholder", "PlaceholderWithDefault"):
            inferred = self._inferred(ref)
            if inferred is not None:
                dtype = inferred.type.dtype
                return Declared(name, dtype, tuple(d if isinstance(d, int) else -1 for d in inferred.type.shape))
        if number is None:
            raise errors.form(f"input '{name}' is the result of {node.op}, whose element type is not known")
        return Declared(name, dtype_of(number, f"input '{name}'"), told)

    def _told(self, node: GNode, index: int) -> tuple[int, ...] | None:
        """The shape that the graph itself notes of a result."""
        attributes = node.attributes
        if node.op in ("Placeholder", "PlaceholderWithDefault") and "shape" in attributes:
            shape = shape_of(attributes["shape"].shape, f"input '{node.name}'")
            if shape or self.library.source.message.versions.producer >= _OLDEST_SCALARS:
                return shape
        if "_output_shapes" in attributes:
            shapes = attributes["_output_shapes"].list.shape
            if index < len(shapes):
                return shape_of(shapes[index], f"node '{node.name}'")
        return None

    def _inferred(self, ref: Ref) -> Value | None:
        """A result as translating what is before it gives it; None where that cannot be done."""
        translation = Translation(self.library, self.file, self.constants)
        scope = Scope(translation, self.body, Builder(Graph("before")))
        for node in self._reached([ref], set()):
            if node.op in _INPUTS and node.name not in self.constants:
                shape = self._told(node, 0)
                if shape is None:
                    return None
                declared = Declared(node.name, dtype_of(type_of(node, 0) or 0, f"input '{node.name}'"), shape)
                scope.bound[Ref(node, 0)] = scope.builder.graph.add_input(
                    node.name, InputTypes({}, {}).type_of(declared)
                )
        scope.demand([ref])
        item = scope.bound.get(ref)
        return item if isinstance(item, Value) else None

    def _output(self, scope: Scope, name: str, ref: Ref, *, every: bool) -> None:
        """Return a result, or with ``every`` all results that its node has."""
        item = scope.item(ref)
        if not isinstance(item, Value):
            if every:
                return
            raise errors.form(f"output '{name}', which is no tensor")
        scope.builder.output(item, name)
        index = 1
        while every and (more := scope.bound.get(Ref(ref.node, index))) is not None:
            if isinstance(more, Value):
                scope.builder.output(more, f"{name}:{index}")
            index += 1
