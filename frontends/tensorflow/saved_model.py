"""A SavedModel's folder: which graph, which signature, and what each variable holds.

The values of variables are found as TensorFlow finds them: the graph (TensorFlow 1) or a function of it (TensorFlow 2)
restores them, and what it assigns to a variable is what the checkpoint keeps under the name that is read there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mconv.ir import Array
from mconv.ir.record import NOTHING, Record

from . import errors
from .bundle import Bundle
from .decode import SAVED_MODEL, Source, open_file

FILE = "saved_model.pb"
_PREFIX = Path("variables") / "variables"
_SERVE = "serve"
_NO_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")
_DEFAULT = "serving_default"
_ASSIGN = ("Assign", "AssignVariableOp")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SAME = ("Identity", "IdentityN", "EnsureShape")


class SavedGraph(Record):
    """One signature of a SavedModel. ``inputs`` and ``outputs`` map the signature's names to tensors of the graph;
    ``constants`` holds the values of variables, by the name of their node.
    """

    source: Source
    constants: Mapping[str, Array] = NOTHING
    signature: str = ""
    inputs: Mapping[str, str] = NOTHING
    outputs: Mapping[str, str] = NOTHING


def open_saved_model(folder: Path, signature: str | None, cut: bool = False) -> SavedGraph:
    """The graph of a SavedModel with its variables' values.

    ``signature`` names one of its signatures; without it the usual one is meant, or the only one. With ``cut`` the
    caller names inputs and outputs, and no signature is needed. Raises UsageError (MC125: no such signature) and
    UnreadableError (MC240 the graph, MC249 the variables).
    """
    source = open_file(folder / FILE, SAVED_MODEL)
    meta = _meta_graph(source.message.meta_graphs, folder.name)
    graph = Source(meta.graph_def, source.skeleton, source.data)
    constants = _variables(meta, folder)
    signatures = {name: s for name, s in meta.signature_def.items() if name not in _NO_SIGNATURES}
    if cut and signature is None:
        return SavedGraph(graph, constants)
    chosen = _signature(signatures, signature, folder.name)
    found = signatures[chosen]
    inputs, outputs = _tensors(found.inputs, chosen), _tensors(found.outputs, chosen)
    return SavedGraph(graph, constants, chosen, inputs, outputs)


def _meta_graph(graphs: Iterable[Any], name: str) -> Any:
    """The graph that is for serving on any machine; else the first of those for serving; else the only one."""
    ordered = sorted(graphs, key=lambda meta: (_SERVE not in meta.meta_info_def.tags, len(meta.meta_info_def.tags)))
    if not ordered:
        raise errors.damaged(f"{name} holds no graph")
    return ordered[0]


def _signature(signatures: Mapping[str, Any], wanted: str | None, name: str) -> str:
    known = sorted(signatures)
    if not known:
        raise errors.no_signature(f"{name} has no signatures", "--inputs NAME,... and --outputs NAME,...")
    if wanted is None:
        if _DEFAULT not in signatures and len(known) > 1:
            raise errors.no_signature(f"{name} has the signatures {', '.join(known)}", f"--signature {known[0]}")
        return _DEFAULT if _DEFAULT in signatures else known[0]
    if wanted not in signatures:
        raise errors.no_signature(f"{name} has no signature '{wanted}'", f"one of: {', '.join(known)}")
    return wanted


def _tensors(infos: Mapping[str, Any], signature: str) -> dict[str, str]:
    for name, info in infos.items():
        if not info.name:
            raise errors.form(f"'{name}' of the signature '{signature}' is no plain tensor")
    return {name: infos[name].name for name in sorted(infos)}


# Variables ---------------------------------------------------------------------------------------------------


def _variables(meta: Any, folder: Path) -> dict[str, Array]:
    """What the checkpoint holds for each variable that the graph restores, by the name of the variable's node."""
    prefix = folder / _PREFIX
    keys = dict(_restored(meta))
    if not keys or not prefix.with_name(f"{prefix.name}.index").exists():
        return {}
    bundle = Bundle(prefix)
    found = {variable: bundle.array(key) for variable, key in keys.items() if key in bundle}
    for copy, original in _Scope(meta.graph_def.node).copies():
        if copy in found:  # saving made the copy; only that one is restored, functions read the original
            found.setdefault(original, found[copy])
    return found


class _Scope:
    """Nodes by name, in the graph or in a function; what stands for a function's arguments outside."""

    def __init__(self, nodes: Iterable[Any], arguments: Mapping[str, str] = NOTHING) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.arguments = arguments

    def origin(self, reference: str) -> tuple[str, int]:
        """The node that a value comes from, past identities, and which of its results it is.

        In functions references are ``node:name:index``, elsewhere ``node:index``.
        """
        for _ in range(len(self.nodes) + 1):
            name, _, index = reference.partition(":")
            index = index.rpartition(":")[2]
            number = int(index) if index.isdigit() else 0
            node = self.nodes.get(name)
            if node is None or node.op not in _SAME or number >= len(node.input):
                return self.arguments.get(name, name), number
            reference = node.input[number]
        return "", 0

    def restores(self) -> Iterator[tuple[str, str]]:
        """Variables that get what is read from a checkpoint, with its key there."""
        for node in self.nodes.values():
            if node.op not in _ASSIGN or len(node.input) < 2:
                continue
            reader, index = self.origin(node.input[1])
            key = self._key(self.nodes.get(reader), index)
            if key is not None:
                yield self.origin(node.input[0])[0], key

    def copies(self) -> Iterator[tuple[str, str]]:
        """Variables that begin as another one does, and that other one."""
        for node in self.nodes.values():
            if node.op in _ASSIGN and len(node.input) > 1:
                reader = self.nodes.get(self.origin(node.input[1])[0])
                if reader is not None and reader.op == "ReadVariableOp" and reader.input:
                    yield self.origin(node.input[0])[0], self.origin(reader.input[0])[0]

    def _key(self, reader: Any, index: int) -> str | None:
        if reader is None or reader.op != "RestoreV2" or len(reader.input) < 3:
            return None
        names, slices = (self._strings(reference) for reference in reader.input[1:3])
        if index >= len(names) or (index < len(slices) and slices[index]):
            return None  # a part of a variable
        return names[index].decode(errors="replace")

    def _strings(self, reference: str) -> list[bytes]:
        node = self.nodes.get(self.origin(reference)[0])
        return list(node.attr["value"].tensor.string_val) if node is not None and node.op == "Const" else []


def _restored(meta: Any) -> Iterator[tuple[str, str]]:
    graph = meta.graph_def
    outer = _Scope(graph.node)
    yield from outer.restores()
    call = outer.nodes.get(meta.saver_def.restore_op_name.partition(":")[0])
    if call is None or call.op not in _CALLS:
        return
    name = call.attr["f"].func.name
    for function in graph.library.function:
        if function.signature.name == name:
            given = (outer.origin(reference)[0] for reference in call.input if not reference.startswith("^"))
            arguments = dict(zip((argument.name for argument in function.signature.input_arg), given, strict=False))
            yield from _Scope(function.node_def, arguments).restores()
