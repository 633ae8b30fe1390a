"""A TFLite model as a graph of the intermediate representation.

Spatial operators keep the file's order of axes by standing between transposes; `mconv.passes.layout` takes these away.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

from mconv.ir import Graph, Shape

from . import errors
from .decode import IDENTIFIER, Model
from .inputs import InputTypes
from .translate import BROKEN, Translation

LEAST = 16
"""Bytes that even an empty model has."""


def read(
    path: Path, *, input_shapes: Mapping[str, Shape] | None = None, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read a .tflite file. Weights are read-only views of its mapped bytes.

    Inputs and outputs have the names of the file's one signature, else those of their tensors. ``input_shapes`` resizes
    inputs. Raises UsageError, UnreadableError (MC280 to MC286) or UnsupportedError, which tells everything in the model
    that cannot be expressed.
    """
    path = Path(path)
    model = Model(_mapped(path))
    try:
        return Translation(model, InputTypes(input_shapes or {}, dims or {}), path.name).graph()
    except BROKEN as error:  # outside of any single operator
        raise errors.misfit(f"{path.name} is unsound: {error}") from error


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < LEAST:
                raise errors.damaged(f"{path.name} has {size} bytes")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise errors.damaged(f"{path.name} cannot be opened: {error.strerror}") from None
    if data[4:8] != IDENTIFIER:
        raise errors.damaged(f"{path.name} has not the identifier of TFLite")
    return data
