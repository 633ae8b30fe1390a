"""An ONNX model as a graph of the intermediate representation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mconv.ir import Graph, Shape

from .errors import RE_EXPORT, unreadable
from .inputs import InputTypes
from .model import open_model
from .package import onnx
from .translate import BROKEN, Translation


def read(
    source: Path | onnx.ModelProto,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    simplify: bool = False,
) -> Graph:
    """Read a model from a file or from memory.

    Weights are read-only views of the file's bytes.  Inputs, outputs, their order and names are the model's.
    Raises UsageError (an input or dimension that is not there), UnreadableError (the file is broken) or
    UnsupportedError, which tells everything in the model that cannot be expressed.
    """
    model = open_model(source, simplify=simplify)
    try:
        return Translation(model, InputTypes(input_shapes or {}, dims or {})).graph()
    except BROKEN as error:  # outside of any single node: names that are no text, a graph without sense
        reason = "names in it are not text" if "bytes" in str(error) else str(error)
        raise unreadable("MC223", f"{model.file} is unsound: {reason}", RE_EXPORT) from error
