"""Small ONNX models, and their numbers by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mconv import frontends

from .batch import compiled, difference, networks, unit

Feeds = dict[str, Any]


def model(
    nodes: Sequence[tuple[Any, ...]], feeds: Feeds, constants: Feeds | None = None, *, opset: int = 21
) -> tuple[onnx.ModelProto, Feeds]:
    """A model of (operator, inputs, outputs, attributes) with inputs like ``feeds``; the last node's results go out."""
    made = [
        helper.make_node(op, inputs.split(), outputs.split(), **(rest[0] if rest else {}))
        for op, inputs, outputs, *rest in nodes
    ]
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in made[-1].output if name]
    initializers = [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(made, "g", inputs, outputs, initializers)
    ids = [helper.make_opsetid("", opset)]
    built = helper.make_model(graph, opset_imports=ids, ir_version=10)
    return onnx.shape_inference.infer_shapes(built), feeds


def wrong(cases: dict[str, tuple[onnx.ModelProto, Feeds]], folder: Path, tolerance: float = 2e-6) -> list[str]:
    """The cases whose numbers differ from onnxruntime's by more than ``tolerance`` of the largest."""
    import onnxruntime

    units = [unit(frontends.load(m), number) for number, (m, _) in enumerate(cases.values())]
    found = []
    for (name, (built, feeds)), network in zip(cases.items(), networks(units, compiled(units, folder)), strict=True):
        session = onnxruntime.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
        wanted = session.run(None, feeds)
        for index, (want, got) in enumerate(zip(wanted, network.run(list(feeds.values())), strict=True)):
            reason = difference(want, got, tolerance)
            if reason:
                found.append(f"{name}, output {index}: {reason}")
    return found


def numbers(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    """Normal numbers, or small integers."""
    rng = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind in "iu":
        low = 0 if np.dtype(dtype).kind == "u" else -9
        return rng.integers(low, 10, shape).astype(dtype)
    if np.dtype(dtype) == np.bool_:
        return rng.random(shape) < 0.5
    return rng.standard_normal(shape).astype(dtype)
