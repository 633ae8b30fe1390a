"""Small models for the tests of the front."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"


def chain(batch: int | str = 1, width: int = 4) -> onnx.ModelProto:
    """y = Sigmoid(Relu(x w + b) v): names that blame can point at."""
    random = np.random.default_rng(3)
    weights = {
        "w": random.standard_normal((width, 8)),
        "b": random.standard_normal(8),
        "v": random.standard_normal((8, 5)),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="bend"),
        helper.make_node("MatMul", ["r", "v"], ["m"], name="second"),
        helper.make_node("Sigmoid", ["m"], ["y"], name="squash"),
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def large() -> onnx.ModelProto:
    """64 MB, whose writing takes long enough to be interrupted."""
    random = np.random.default_rng(0)
    weights = {f"w{i}": random.standard_normal((1024, 1024), dtype=np.float32) / 32 for i in range(16)}
    graph = helper.make_graph(
        [helper.make_node("MatMul", [f"v{i}", f"w{i}"], [f"v{i + 1}"]) for i in range(16)],
        "large",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 1024])],
        [helper.make_tensor_value_info("v16", TensorProto.FLOAT, [1, 1024])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(folder: Path, model: onnx.ModelProto | None = None, name: str = "chain.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    onnx.save(model if model is not None else chain(), path)
    return path
