"""Operators that no target has: converted from ONNX, and compared with onnxruntime in the target's own runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import mconv


def unfold(shape: list[int], **attributes: Any) -> onnx.ModelProto:
    """y = UnfoldTensor(Relu(x))."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("UnfoldTensor", ["r"], ["y"], domain="com.microsoft", **attributes),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=imports, ir_version=8)


@pytest.mark.parametrize("target", ["ncnn", "onnx"])
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ([1, 3, 20], {"size": 3}),
        ([1, 3, 20], {"size": 4, "step": 3}),
        ([1, 3, 20], {"size": 8, "step": 5}),
        ([1, 6, 5, 4], {"size": 2, "dim": 1}),
        ([1, 3, 9, 4], {"size": 5, "dim": 2, "step": 4}),
        ([12], {"size": 12}),
    ],
)
def test_unfold(target: str, shape: list[int], attributes: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip(target)
    result = mconv.convert(unfold(shape, **attributes), target, output=tmp_path / "net", verify=True)
    assert result.verification.passed
    assert result.verification.reference == "onnxruntime"
