"""Runs ONNX files in onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mconv.ir import Array


def run(files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """The values in ``wanted``, inner ones among them, on these feeds."""
    import onnxruntime as package

    onnxruntime: Any = package
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # products of 8-bit integers saturate on processors without VNNI; what the file says does not
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with _with_outputs(files[".onnx"], wanted, options) as model:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [name for name in wanted if name in {o.name for o in session.get_outputs()}]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))


@contextmanager
def _with_outputs(path: str, wanted: Sequence[str], options: Any) -> Iterator[str | bytes]:
    """The path, or the bytes of the model with inner values made outputs where some are wanted."""
    import onnx

    model = onnx.load(path, load_external_data=False) if os.path.getsize(path) < 2**31 else None
    there = {o.name for o in model.graph.output} if model is not None else set(wanted)
    inner = [name for name in wanted if name not in there]
    if model is None or not inner:
        del model
        yield path
        return
    made = {name for node in model.graph.node for name in node.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner if name in made)
    folder = str(Path(path).resolve().parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    yield model.SerializeToString()
