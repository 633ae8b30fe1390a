"""HDF5 files in the forms of Keras 1 and 2, from configurations written by hand, without Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def layer(cls: str, name: str, inbound: Sequence[Any] | None = None, **config: Any) -> dict[str, Any]:
    """One layer of a model's configuration; ``inbound`` names the layers it is called with."""
    made: dict[str, Any] = {"class_name": cls, "config": {"name": name, "trainable": True, **config}}
    if inbound is not None:
        calls = [[[each, 0, 0] if isinstance(each, str) else list(each) for each in inbound]] if inbound else []
        made |= {"name": name, "inbound_nodes": calls}
    return made


def functional(
    layers: Sequence[Any], inputs: Sequence[str], outputs: Sequence[str], cls: str = "Model"
) -> dict[str, Any]:
    """A Functional model's configuration."""
    ends = {
        key: [[name, 0, 0] for name in names] for key, names in (("input_layers", inputs), ("output_layers", outputs))
    }
    return {"class_name": cls, "config": {"name": "model_1", "layers": list(layers), **ends}}


def sequential(layers: Sequence[Any], *, as_list: bool = False) -> dict[str, Any]:
    """A Sequential model's configuration; ``as_list`` as Keras before 2.2.3 wrote it."""
    config: Any = list(layers) if as_list else {"name": "sequential_1", "layers": list(layers)}
    return {"class_name": "Sequential", "config": config}


def write(
    path: Path,
    config: Any,
    weights: Mapping[str, Sequence[Array]],
    version: str | None = "2.2.4",
    backend: str = "tensorflow",
) -> Path:
    """An HDF5 file; ``weights`` are lists of arrays by layer. Without a version it is of Keras 1."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        root = file.create_group("model_weights")
        for place in (file, root):
            if version is not None:
                place.attrs["keras_version"] = version.encode()
                place.attrs["backend"] = backend.encode()
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            group = root.create_group(name)
            names = [f"{name}_W{i}" for i in range(len(arrays))]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for each, array in zip(names, arrays, strict=True):
                group[each] = array
    return path
