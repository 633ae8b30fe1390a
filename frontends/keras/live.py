"""A live model of Keras, tf.keras or tf_keras: its configuration and its layers' weights, without any file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from mconv.ir.types import Array

from . import errors
from .config import Network, Normaliser
from .registry import slots_reader
from .weights import ByLayer, SlotsOf, Weights


def taken_apart(model: Any) -> tuple[Network, Weights, SlotsOf, int]:
    """The network, its weights, what tells its layers' variables, and the version of Keras (2 or 3)."""
    version = 2 if _is_older(model) else 3
    name = type(model).__name__
    if not {"Functional", "Sequential"} & {cls.__name__ for cls in type(model).__mro__}:
        raise errors.subclassed(f"'{name}'")
    try:
        text = model.to_json()
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise errors.subclassed(f"'{name}'") from error
    network = Normaliser(version).model(json.loads(text))
    slots_of = slots_reader(version)
    layers = {layer.name: layer for layer in model.layers}
    lists: dict[str, list[Callable[[], Array]]] = {}
    for key in network.layers:
        if key in layers:
            layer = layers[key]
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            lists[key] = [_reader(variable) for variable in variables]
    return network, ByLayer(network, slots_of, lists, version), slots_of, version


def _is_older(model: Any) -> bool:
    """Whether a model is of Keras 2: its classes are then tf_keras's or TensorFlow's own."""
    homes = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    return "keras" not in homes and bool({"tf_keras", "tensorflow"} & homes)


def _reader(variable: Any) -> Callable[[], Array]:
    def read() -> Array:
        return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)

    return read
