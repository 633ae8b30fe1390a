"""Small models for the tests, and the comparison with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper

from mconv import frontends
from mconv.ir import Graph
from mconv.ir.interpreter import run

Arrays = Mapping[str, Any]


def parsed(text: str, opset: int = 17, initializers: Arrays | None = None, domains: str = "") -> onnx.ModelProto:
    """A model from onnx's text form: ``g (float[2] x) => (float[2] y) { y = Relu(x) }``."""
    head = f'<ir_version: 8, opset_import: ["": {opset}, "com.microsoft": 1, "local": 1]>'
    model = onnx.parser.parse_model(f"{head}\n{text}\n{domains}")
    for name, array in (initializers or {}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return model


def single(
    op: str,
    shapes: Mapping[str, Sequence[Any]],
    opset: int = 17,
    initializers: Arrays | None = None,
    outputs: int = 1,
    domain: str = "",
    inputs: Sequence[str] | None = None,
    out_type: int = TensorProto.FLOAT,
    in_type: int = TensorProto.FLOAT,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node; operands are the inputs by name, then the initializers, unless ``inputs`` orders them."""
    fixed = {name: np.asarray(array) for name, array in (initializers or {}).items()}
    names = list(inputs) if inputs is not None else [*shapes, *fixed]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="node", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, in_type, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, out_type, None) for name in results],
        [onnx.numpy_helper.from_array(array, name) for name, array in fixed.items()],
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def feeds_of(model: onnx.ModelProto, seed: int = 0) -> dict[str, Any]:
    """Random inputs for a model; symbolic sizes are 3."""
    random = np.random.default_rng(seed)
    fixed = {tensor.name for tensor in model.graph.initializer}
    feeds: dict[str, Any] = {}
    for value in (v for v in model.graph.input if v.name not in fixed):
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        shape = [dim.dim_value if dim.HasField("dim_value") else 3 for dim in tensor.shape.dim]
        floating = np.issubdtype(dtype, np.floating)
        array = random.standard_normal(shape) if floating else random.integers(0, 3, shape)
        feeds[value.name] = np.asarray(array).astype(dtype)
    return feeds


def same_as_onnxruntime(
    model: onnx.ModelProto, feeds: Arrays | None = None, tolerance: float = 1e-5, steps: int = 0
) -> Graph:
    """Assert that reader and interpreter give what onnxruntime gives, and return the graph.

    ``steps`` is by how much integers may differ: a quantized result may land on the other side of a rounding.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    feeds = feeds_of(model) if feeds is None else feeds
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, dict(feeds))
    graph = frontends.load(model)
    found = run(graph, feeds)
    assert list(graph.output_names) == [value.name for value in model.graph.output]
    for want, (name, got) in zip(expected, found.items(), strict=True):
        assert got.shape == want.shape, name
        assert got.dtype == want.dtype, name
        if want.dtype.kind in "iub":
            assert np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0) <= steps, name
        else:
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=name)
    return graph


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    """The code of an error's first problem."""
    code: str = error.value.code
    return code
