"""A quantized network, converted and compared with onnxruntime in the target's own runtime."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import mconv

from ..passes.qdq import residual


@pytest.mark.parametrize("target", ["ncnn", "onnx"])
def test_residual_network(target: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip(target)
    result = mconv.convert(residual(), target, output=tmp_path / "net", verify=True)
    assert result.verification.passed
    assert result.verification.reference == "onnxruntime"


def test_onnx_keeps_the_integers(tmp_path: Path) -> None:
    model = residual()
    mconv.convert(model, "onnx", output=tmp_path / "net", verify=False)
    written = onnx.load(tmp_path / "net.onnx")
    integers = {
        tuple(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1
    }
    assert integers == {
        tuple(t.dims) for t in written.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1
    }
    assert not any(t.data_type == onnx.TensorProto.FLOAT and len(t.dims) > 1 for t in written.graph.initializer)
