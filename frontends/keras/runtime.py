"""Runs Keras models in Keras itself: files in safe mode, those of Keras 1 and 2 in tf_keras where it is installed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir import Array, Problem
from mconv.ir.errors import CheckError, UsageError

from . import archive
from .hdf5 import SIGNATURE
from .reader import version_of
from .translate import unique

_APPLICATIONS = {"LayerScale": "convnext", "StochasticDepth": "convnext", "CustomScaleLayer": "inception_resnet_v2"}
"""Where keras.applications defines layers of its own."""


def run(files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """Outputs of a .keras or .h5 file by name, and results of layers by the layers' names; others are left out.

    ``files`` maps a suffix to the path. Raises CheckError (MC410, MC411) where the model does not load or run.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    path = Path(next(iter(files.values())))
    package = _package(path)
    try:
        with _under_its_suffix(path) as place:
            model = package.models.load_model(place, compile=False, custom_objects=_own_layers(package))
    except Exception as error:  # of many types
        raise CheckError(Problem("MC410", f"Keras does not load the model: {error}")) from error
    return run_object(model, feeds, wanted)


def run_object(model: Any, feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """The same of a live model, whose states begin as zeros."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            (getattr(layer, "reset_state", None) or layer.reset_states)()
    inputs = [tensor._keras_history[0].name for tensor in model.inputs]
    given = _matched(inputs, feeds)
    outputs = dict(zip(unique([tensor._keras_history[0].name for tensor in model.outputs]), model.outputs, strict=True))
    inner = {name: tensor for name, tensor in _results(model) if name not in outputs}
    names = [name for name in wanted if name in outputs or name in inner]
    tensors = [outputs.get(name, inner.get(name)) for name in names]
    if not names:
        return {}
    package = import_module("tf_keras" if type(model).__module__.startswith("tf_keras") else _home(model))
    try:
        found = package.Model(list(model.inputs), tensors)(given if len(given) > 1 else given[0], training=False)
    except Exception as error:
        raise CheckError(Problem("MC411", f"Keras fails: {error}")) from error
    return {name: np.asarray(value) for name, value in zip(names, found, strict=True)}


def _home(model: Any) -> str:
    return "tensorflow.keras" if type(model).__module__.startswith("tensorflow") else "keras"


def _matched(inputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
    """The feeds in the model's order: by name, or the only one, since Keras makes up names of inputs that have none."""
    if set(inputs) == set(feeds):
        return [feeds[name] for name in inputs]
    if len(inputs) == len(feeds) == 1:
        return list(feeds.values())
    missing = next((name for name in feeds if name not in inputs), "")
    raise UsageError(Problem("MC113", f"the model has no input '{missing}'", hint=f"one of {', '.join(inputs)}"))


def _results(model: Any) -> Iterator[tuple[str, Any]]:
    """What layers make that are called once."""
    for layer in model.layers:
        try:
            tensor = layer.output
        except (AttributeError, ValueError, RuntimeError):
            continue
        if hasattr(tensor, "_keras_history"):
            yield layer.name, tensor


def _package(path: Path) -> Any:
    """Keras, or for files of Keras 1 and 2 tf_keras where it is there."""
    old = version_of(archive.load(path).version) < 3
    return import_module("tf_keras" if old and find_spec("tf_keras") is not None else "keras")


def _own_layers(package: Any) -> dict[str, Any]:
    found = {}
    for name, module in _APPLICATIONS.items():
        home = f"{package.__name__}.src.applications.{module}"
        try:
            found[name] = getattr(import_module(home), name, None)
        except ImportError:
            continue
    return {key: cls for name, cls in found.items() if cls is not None for key in (name, f"Custom>{name}")}


@contextmanager
def _under_its_suffix(path: Path) -> Iterator[str]:
    """The path, or a link to it whose suffix tells Keras what the file is."""
    with path.open("rb") as file:
        suffix = ".h5" if file.read(8) == SIGNATURE else ".keras"
    if path.suffix in (suffix, ".hdf5"):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="mconv-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield str(link)
