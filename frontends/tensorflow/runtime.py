"""Runs frozen graphs and SavedModels in TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir import Array

from . import live
from .decode import SAVED_MODEL, Source, open_file
from .dropout import kept
from .graph import Library

_DEFAULT = "serving_default"
_INITIALISER = "__saved_model_init_op"


def run(
    files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str], signature: str | None = None
) -> dict[str, Array]:
    """The values in ``wanted`` that TensorFlow knows, inner ones among them, on these feeds.

    ``files`` has a frozen graph under ".pb", or a SavedModel's folder under "".
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "" in files:
        return _saved_model(Path(files[""]), feeds, wanted, signature)
    path = Path(files[".pb"])
    tf = _tensorflow()
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    given = {_tensor(name): array for name, array in feeds.items()}
    for keep in kept(Library(open_file(path)).main).values():
        given.setdefault(f"{keep.name}:0", np.array(1, np.float32))  # as the reader takes it
    with tf.compat.v1.Session(graph=graph) as session:
        return _fetched(session, given, wanted)


def run_object(
    source: Any, feeds: Mapping[str, Array], wanted: Sequence[str], signature: str | None = None
) -> dict[str, Array]:
    """The results in ``wanted`` of a function or module in this process."""
    return {name: array for name, array in live.run(source, feeds, signature).items() if name in wanted}


def _tensorflow() -> Any:
    import tensorflow

    return tensorflow


def _tensor(name: str) -> str:
    return name if name.rpartition(":")[2].isdecimal() else f"{name}:0"


def _fetched(session: Any, feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """The tensors of these names that the session's graph has."""
    tensors = {}
    for name in wanted:
        try:
            tensors[name] = session.graph.get_tensor_by_name(_tensor(name))
        except (KeyError, ValueError):
            continue  # of an inlined function, or made by the reader
    tensors = {name: t for name, t in tensors.items() if t.dtype.is_numpy_compatible and t.dtype.name != "string"}
    try:
        results = session.run(tensors, dict(feeds))
    except Exception:  # some inner value cannot be fetched (of a branch that is not taken, or inside of a loop)
        results = _one_by_one(session, feeds, tensors)
    return {name: np.asarray(array) for name, array in results.items()}


def _one_by_one(session: Any, feeds: Mapping[str, Array], tensors: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    failure: Exception | None = None
    for name, tensor in tensors.items():
        try:
            found[name] = session.run(tensor, dict(feeds))
        except Exception as error:  # TensorFlow's errors are of many types
            failure = error
    if failure is not None and not found:
        raise failure
    return found


# SavedModels -------------------------------------------------------------------------------------------------


def _saved_model(
    folder: Path, feeds: Mapping[str, Array], wanted: Sequence[str], signature: str | None
) -> dict[str, Array]:
    """By TensorFlow 2's loader; by TensorFlow 1's where that one fails."""
    tf = _tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
        functions = loaded.signatures
        name = signature or (_DEFAULT if _DEFAULT in functions else next(iter(functions)))
        results = functions[name](**{key: tf.constant(array) for key, array in feeds.items()})
        return {key: value.numpy() for key, value in results.items() if key in wanted}
    except Exception:  # of many types: optimizers of older versions, objects that are not there any more
        return _by_the_first(tf, folder, feeds, wanted, signature)


def _by_the_first(
    tf: Any, folder: Path, feeds: Mapping[str, Array], wanted: Sequence[str], signature: str | None
) -> dict[str, Array]:
    source: Source = open_file(folder / "saved_model.pb", SAVED_MODEL)
    metas = list(source.message.meta_graphs)
    meta = next((m for m in metas if "serve" in m.meta_info_def.tags), metas[0])
    names = [n for n in meta.signature_def if n != _INITIALISER]
    chosen = meta.signature_def[signature or (_DEFAULT if _DEFAULT in names else names[0])]
    graph = tf.Graph()
    with tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.saved_model.load(session, list(meta.meta_info_def.tags), str(folder))
        given = {chosen.inputs[name].name if name in chosen.inputs else _tensor(name): a for name, a in feeds.items()}
        tensors = {name: chosen.outputs[name].name for name in wanted if name in chosen.outputs}
        found = _fetched(session, given, [*tensors.values(), *(n for n in wanted if n not in tensors)])
    back = {text: name for name, text in tensors.items()}
    return {back.get(name, name): array for name, array in found.items()}
