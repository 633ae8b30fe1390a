"""A Keras model as a graph of the intermediate representation, without Keras or TensorFlow.

Spatial operators keep the model's order of axes by standing between transposes; `mconv.passes.layout` takes these away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mconv.ir import Graph, Shape

from . import archive, errors, weights
from .config import Normaliser
from .inputs import InputTypes
from .registry import slots_reader
from .translate import BROKEN, Translation


def read(
    source: Any, *, input_shapes: Mapping[str, Shape] | None = None, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read a .keras or .h5 file, or a live Sequential or Functional model of Keras, tf.keras or tf_keras.

    Inputs have the names of the input layers, outputs those of the layers that make them. Weights are views of the
    mapped file where they lie in it as they are. ``input_shapes`` gives inputs a shape, ``dims`` gives symbolic
    dimensions a size. Raises UsageError, MissingExtraError without h5py, UnreadableError (MC290 to MC297) or
    UnsupportedError, which tells everything in the model that cannot be expressed.
    """
    types = InputTypes(input_shapes or {}, dims or {})
    try:
        if not isinstance(source, str | Path):
            return _live(source, types)
        path = Path(source)
        stored = archive.load(path)
        version = version_of(stored.version)
        network = Normaliser(version).model(stored.config)
        slots_of = slots_reader(version)
        found = weights.of_file(stored, network, slots_of, version)
        return Translation(network, found, slots_of, types, version, path.name).graph()
    except BROKEN as error:  # outside of any single layer
        raise errors.misfit(f"the model is unsound: {error}") from error


def version_of(text: str) -> int:
    """1, 2 or 3 of a version's text."""
    return {"1": 1, "0": 1, "2": 2}.get(text[:1], 3)


def _live(model: Any, types: InputTypes) -> Graph:
    from .live import taken_apart

    network, found, slots_of, version = taken_apart(model)
    return Translation(network, found, slots_of, types, version, network.name).graph()
