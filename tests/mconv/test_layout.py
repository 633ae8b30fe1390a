"""What a person asks of the layout, and is told of it: --io-layout, --trace-layout, inspect --target, the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mconv
from mconv import inspection
from mconv.ir.errors import UsageError

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def picture(folder: Path) -> Path:
    """y = Relu(Conv(x)) of a picture whose sides and channels all differ."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4), helper.make_node("Relu", ["c"], ["y"])]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in (("x", [1, 3, 5, 6]), ("y", None))
    ]
    graph = helper.make_graph(nodes, "picture", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    path = folder / "picture.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def sizes(path: Path) -> tuple[list[int], list[int]]:
    interpreter = litert.Interpreter(model_path=str(path))
    ends = (interpreter.get_input_details(), interpreter.get_output_details())
    first, last = (details[0]["shape"].tolist() for details in ends)
    return first, last


@pytest.mark.parametrize("check_passes", [False, True])
def test_inputs_and_outputs_keep_or_turn_their_layout(check_passes: bool, tmp_path: Path) -> None:
    model = picture(tmp_path)
    kept = mconv.convert(model, "tflite", output=tmp_path / "kept", verify=True, check_passes=check_passes)
    assert sizes(tmp_path / "kept.tflite") == ([1, 3, 5, 6], [1, 4, 5, 6])
    assert [each.why for each in kept.transposes] == [
        "the input 'x' keeps the model's layout",
        "the output 'y' keeps the model's layout",
    ]
    turned = mconv.convert(
        model, "tflite", output=tmp_path / "turned", verify=True, check_passes=check_passes, io_layout="nhwc"
    )
    assert sizes(tmp_path / "turned.tflite") == ([1, 5, 6, 3], [1, 5, 6, 4])
    assert not turned.transposes
    assert turned.verification.passed


def test_a_person_s_own_inputs_are_in_the_model_s_layout(tmp_path: Path) -> None:
    given = {"x": np.ones((1, 3, 5, 6), np.float32)}
    made = mconv.convert(picture(tmp_path), "tflite", output=tmp_path / "t", verify=True, io_layout="nhwc", data=given)
    assert made.verification.passed


def test_a_target_without_the_layout_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MC123"):
        mconv.convert(picture(tmp_path), "ncnn", output=tmp_path / "n", io_layout="nhwc")
    with pytest.raises(UsageError, match="MC123"):
        mconv.convert(picture(tmp_path), "tflite", output=tmp_path / "n", io_layout="nchw")


def test_the_cut_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    mconv.convert(picture(tmp_path), "tflite", output=tmp_path / "t", verify=False, trace_layout=lines.append)
    assert lines[0].startswith("layout: spatial operators run channels last")


def test_inspecting_for_a_target_shows_what_is_transposed(tmp_path: Path) -> None:
    graph, reasons = inspection.load(picture(tmp_path), target="tflite")
    found = inspection.inspect(graph, reasons)
    assert found.transposes is not None
    assert [each.bytes for each in found.transposes] == [4 * 90, 4 * 120]
    assert inspection.inspect(*inspection.load(picture(tmp_path), target="ncnn")).transposes is None
