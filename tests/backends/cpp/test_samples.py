"""A symbolic batch as a loop over samples: what is kept apart, what is refused, and the numbers of run_batch."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mconv import frontends
from mconv.backends.cpp.runtime import Library, compile_folder
from mconv.backends.cpp.samples import mixing
from mconv.ir import Symbol

from . import folders
from .models import numbers


def batched(nodes: list[tuple[Any, ...]], inputs: dict[str, list[Any]], constants: dict[str, Any]) -> onnx.ModelProto:
    """A model whose inputs have the sizes told, a word for a symbol; the last node's result goes out."""
    made = [helper.make_node(op, i.split(), o.split(), **(rest[0] if rest else {})) for op, i, o, *rest in nodes]
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()]
    initializers = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    outputs = [onnx.ValueInfoProto(name=made[-1].output[0])]
    graph = helper.make_graph(made, "g", given, outputs, initializers)
    ids = [helper.make_opsetid("", 21)]
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=ids, ir_version=10))


W = {"w": numbers(8, 8)}
APART: dict[str, tuple[list[tuple[Any, ...]], dict[str, Any]]] = {
    "linear": ([("MatMul", "x w", "y")], W),
    "a constant for all": ([("Add", "x c", "y")], {"c": numbers(1, 8)}),
    "softmax of a sample": ([("Softmax", "x", "y", {"axis": -1})], {}),
    "a sum along channels": ([("ReduceSum", "x a", "y")], {"a": np.array([1])}),
    "columns": ([("Slice", "x b e a", "y")], {"b": np.array([2]), "e": np.array([5]), "a": np.array([1])}),
    "side by side": ([("Concat", "x x", "y", {"axis": 1})], {}),
}
MIXED: dict[str, tuple[list[tuple[Any, ...]], dict[str, Any]]] = {
    "softmax over samples": ([("Softmax", "x", "y", {"axis": 0})], {}),
    "mean of samples": ([("ReduceMean", "x a", "y", {"keepdims": 1})], {"a": np.array([0])}),
    "mean of everything": ([("ReduceMean", "x", "y", {"keepdims": 0})], {}),
    "one behind the other": ([("Concat", "x x", "y", {"axis": 0})], {}),
    "samples turned to columns": ([("Transpose", "x", "y", {"perm": [1, 0]})], {}),
    "samples by samples": ([("Transpose", "x", "t", {"perm": [1, 0]}), ("MatMul", "x t", "y")], {}),
    "the first one": ([("Gather", "x i", "y", {"axis": 0})], {"i": np.array([0])}),
    "running sum of samples": ([("CumSum", "x i", "y")], {"i": np.array(0)}),
}


@pytest.mark.parametrize("name", APART)
def test_samples_apart(name: str) -> None:
    nodes, constants = APART[name]
    assert mixing(frontends.load(batched(nodes, {"x": ["n", 8]}, constants)), Symbol("n")) is None


@pytest.mark.parametrize("name", MIXED)
def test_samples_mixed(name: str) -> None:
    nodes, constants = MIXED[name]
    graph = frontends.load(batched(nodes, {"x": ["n", 8]}, constants))
    assert mixing(graph, Symbol("n")) is not None


def test_a_batch_that_is_not_in_front() -> None:
    graph = frontends.load(batched([("Relu", "x", "y")], {"x": [8, "n"]}, {}))
    assert "input 'x'" in str(mixing(graph, Symbol("n")))


def test_run_batch_is_what_onnxruntime_computes_for_the_batch(tmp_path: Path) -> None:
    import onnxruntime

    folders.need("g++", "make")
    nodes: list[tuple[Any, ...]] = [
        ("Conv", "x w", "c", {"pads": [1] * 4, "kernel_shape": [3, 3]}),
        ("Relu", "c", "r"),
        ("GlobalAveragePool", "r", "m"),
        ("Flatten", "m", "f"),
        ("Add", "f z", "s"),
        ("Softmax", "s", "y", {"axis": -1}),
    ]
    inputs = {"x": ["n", 3, 9, 9], "z": ["n", 20]}
    model = batched(nodes, inputs, {"w": numbers(20, 3, 3, 3)})
    folder = tmp_path / "net"
    name = folders.written(model, folder)
    feeds = [numbers(3, 3, 9, 9), numbers(3, 20)]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, dict(zip(inputs, feeds, strict=True)))
    with Library(compile_folder(folder, name), name) as network:
        assert [shape for _, shape in network.inputs] == [(1, 3, 9, 9), (1, 20)]
        found = np.empty_like(wanted)
        given = (ctypes.c_void_p * 2)(*(a.ctypes.data for a in feeds))
        made = (ctypes.c_void_p * 1)(found.ctypes.data)
        assert network._function("run_batch")(network._model, ctypes.c_size_t(3), given, made) == 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
