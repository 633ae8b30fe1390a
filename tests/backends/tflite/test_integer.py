"""Quantized graphs on TFLite's integer kernels, compared with onnxruntime in steps of the result's scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import mconv
from mconv.ir import DType, Graph
from mconv.ir import ops as o
from mconv.passes import pipeline
from mconv.passes.base import Context
from mconv.passes.quantize import SIGN_INTEGERS

from ...passes.qdq import Net, residual

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

MANY = 100


def converted(model: onnx.ModelProto, folder: Path) -> Any:
    """An interpreter of the model, converted."""
    mconv.convert(model, "tflite", output=folder / "net", verify=False)
    interpreter = litert.Interpreter(model_path=str(folder / "net.tflite"))
    interpreter.allocate_tensors()
    return interpreter


def steps_apart(model: onnx.ModelProto, interpreter: Any, step: float) -> np.ndarray:
    """Differences of outputs over many inputs, in steps."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    random = np.random.default_rng(0)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for _ in range(MANY):
        x = random.standard_normal([1, 3, 8, 8]).astype(np.float32)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        (expected,) = session.run(None, {"x": x})
        found.append(np.abs(interpreter.get_tensor(made["index"]).reshape(expected.shape) - expected) / step)
    return np.stack(found)


def floats_inside(interpreter: Any) -> list[str]:
    """Operations that compute on floats: not what turns or quantizes the input, or dequantizes the output."""
    kinds = {d["index"]: d["dtype"] for d in interpreter.get_tensor_details()}
    return [
        op["op_name"]
        for op in interpreter._get_ops_details()
        if op["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "DELEGATE")
        and any(kinds.get(i) is np.float32 for i in op["outputs"])
    ]


def test_a_residual_network_runs_on_integers(tmp_path: Path) -> None:
    """Its activations are u8, which become i8."""
    model = residual()
    interpreter = converted(model, tmp_path)
    assert floats_inside(interpreter) in ([], ["TRANSPOSE"])  # the input's
    # one step of a logit (0.1) is up to six steps of its softmax, and kernels round ties otherwise
    assert np.mean(steps_apart(model, interpreter, 1 / 256) <= 1.01) >= 0.98


ACTIVATIONS = {
    "Sigmoid": (1 / 100, 3),
    "Tanh": (1 / 100, 128),
    "HardSwish": (0.05, 20),
    "LeakyRelu": (0.05, 100),
    "Relu": (0.03, 0),
    "Softmax": (1 / 255, 0),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_is_rescaled_to_the_scale_asked_for(kind: str, tmp_path: Path) -> None:
    step, point = ACTIVATIONS[kind]
    n = Net()
    x = n.through("x", 0.05, 120)
    model = n.model(n.through(n.node(kind, x, **({"axis": 3} if kind == "Softmax" else {})), step, point))
    interpreter = converted(model, tmp_path)
    assert set(floats_inside(interpreter)) <= {"TRANSPOSE"}
    assert steps_apart(model, interpreter, step).max() <= 1.01


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub", "Max", "Min"])
def test_two_operands_of_different_scales(kind: str, tmp_path: Path) -> None:
    n = Net()
    a, b = n.through("x", 0.05, 120), n.through("x", 0.03, 90)
    model = n.model(n.through(n.node(kind, a, b), 0.07, 60))
    interpreter = converted(model, tmp_path)
    assert not floats_inside(interpreter)
    assert steps_apart(model, interpreter, 0.07).max() <= 1.01


def test_joined_operands_take_the_result_s_scale(tmp_path: Path) -> None:
    n = Net()
    a, b = n.through("x", 0.05, 120), n.through("x", 0.03, 90)
    model = n.model(n.through(n.node("Concat", a, b, axis=1), 0.06, 100))
    interpreter = converted(model, tmp_path)
    assert not floats_inside(interpreter)
    assert steps_apart(model, interpreter, 0.06).max() <= 1.01


def test_what_has_no_integer_kernel_runs_on_floats(tmp_path: Path) -> None:
    n = Net()
    model = n.model(n.through(n.node("Sin", n.through("x", 0.05, 120)), 1 / 100, 128))
    interpreter = converted(model, tmp_path)
    assert floats_inside(interpreter) == ["SIN"]
    assert steps_apart(model, interpreter, 1 / 100).max() <= 1.01


class Signed:
    """A target that only says so."""

    name, max_rank, layout, signed_integers, averages_round_away = "test", 6, "", True, True

    def refusal(self, node: Any) -> None:
        return None

    def accepts_activation(self, op: Any, activation: Any) -> bool:
        return False


def signed(graph: Graph) -> Graph:
    pipeline.run([SIGN_INTEGERS], graph, Context(Signed()), check=True)
    return graph


def test_integers_at_the_ends_keep_their_type() -> None:
    """An input and an output of u8 are rescaled at the ends; between them all is signed."""
    from mconv.ir import Builder
    from mconv.ir.interpreter import run

    b = Builder()
    x = b.input("x", DType.U8, (1, 2, 4, 4))
    scale, point = b.constant(np.float32(0.1)), b.constant(np.uint8(100))
    pooled = b.add(o.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)), x)
    y = b.add(o.Quantized(o.Relu(), (None,), DType.U8), scale, point, pooled, scale, point)
    b.output(b.add(o.Pad("constant", (0, 0, 1, 1, 0, 0, 1, 1), 100), y), "y")
    given = {"x": np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4)).astype(np.uint8)}
    before = run(b.graph, given)["y"]
    graph = signed(b.graph)
    inner = [v.type.dtype for node in graph.nodes[1:-1] for v in node.results]
    assert inner == [DType.I8, DType.I8, DType.I8]
    assert graph.outputs[0].type.dtype is DType.U8
    np.testing.assert_array_equal(run(graph, given)["y"], before)


def test_integers_that_are_counted_with_stay_as_they_are() -> None:
    from mconv.ir import Builder

    b = Builder()
    x = b.input("x", DType.F32, (4,))
    q = b.add(o.Quantize(DType.U8), x, b.constant(np.float32(0.1)), b.constant(np.uint8(3)))
    b.output(b.add(o.Cast(DType.I32), q), "y")
    assert [v.type.dtype for node in signed(b.graph).nodes for v in node.results] == [DType.U8, DType.I32]
