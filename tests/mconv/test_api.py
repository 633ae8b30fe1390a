"""The Python API: paths and protos, results, and what is raised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import mconv
from mconv.ir import Graph
from mconv.ir.interpreter import run

from .models import DIGITS, chain, saved


def need_runtimes() -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def test_a_path_and_a_proto_give_the_same_files(tmp_path: Path) -> None:
    by_path = mconv.convert(saved(tmp_path), "ncnn", output=tmp_path / "a", verify=False)
    by_proto = mconv.convert(chain(), "ncnn", output=str(tmp_path / "b"), verify=False)
    for suffix in (".param", ".bin"):
        assert by_path.files[suffix].read_bytes() == by_proto.files[suffix].read_bytes()
    assert (by_path.source, by_proto.source) == (str(tmp_path / "chain.onnx"), "ModelProto")
    assert by_path.verification.passed is None


def test_a_proto_is_verified_too(tmp_path: Path) -> None:
    need_runtimes()
    result = mconv.convert(chain(), "ncnn", output=tmp_path / "a", verify=True)
    assert result.verification.passed
    assert result.verification.reference == "onnxruntime"
    assert result.verification.outputs[0].error < 1e-3
    assert result.as_dict()["verification"]["candidate"] == "ncnn"


def test_there_and_back(tmp_path: Path) -> None:
    need_runtimes()
    first = mconv.convert(chain(), "ncnn", output=tmp_path / "net", verify=True)
    second = mconv.convert(first.files[".param"], "onnx", output=tmp_path / "back", verify=True)
    assert second.verification.passed
    assert onnx.load(second.files[".onnx"]).graph.output[0].name == "y"


def test_fp16_halves_the_weights(tmp_path: Path) -> None:
    need_runtimes()
    wide = mconv.convert(DIGITS, "ncnn", output=tmp_path / "wide", verify=True)
    narrow = mconv.convert(DIGITS, "ncnn", output=tmp_path / "narrow", fp16=True, verify=True)
    assert narrow.files[".bin"].stat().st_size < 0.6 * wide.files[".bin"].stat().st_size
    assert narrow.verification.rtol > wide.verification.rtol


def test_load_gives_a_graph_before_and_after_the_passes() -> None:
    raw, optimized = (mconv.load(DIGITS, optimize=o, dims={"batch": 2}) for o in (False, True))
    assert isinstance(raw, Graph)
    assert len(optimized) < len(raw)
    feeds = {"image": np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)}
    np.testing.assert_allclose(run(raw, feeds)["scores"], run(optimized, feeds)["scores"], rtol=1e-4, atol=1e-5)
    assert mconv.load(chain("n"), input_shapes={"x": (3, 4)}).inputs[0].type.shape == (3, 4)


def test_verify_compares_two_files(tmp_path: Path) -> None:
    need_runtimes()
    result = mconv.convert(chain(), "ncnn", output=tmp_path / "net", verify=False)
    source = saved(tmp_path)
    assert mconv.verify(source, result.files[".param"]).passed
    found = mconv.verify(source, result.files[".param"], rtol=0.0, seed=4)
    assert found.outputs[0].name == "y"
    with pytest.raises(mconv.UsageError, match="MC115"):
        mconv.verify(source, saved(tmp_path, _two_outputs(), "two.onnx"))
    with pytest.raises(mconv.UsageError, match="MC115 input 'x' is 1x4 in one model and 1x6 in the other"):
        mconv.verify(source, saved(tmp_path, chain(width=6), "wide.onnx"))


def _two_outputs() -> onnx.ModelProto:
    model = chain()
    model.graph.output.append(onnx.helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None))
    return model


def test_errors_are_of_one_tree(tmp_path: Path) -> None:
    for error in ("UsageError", "UnreadableError", "UnsupportedError", "MismatchError", "CheckError", "InternalError"):
        assert issubclass(getattr(mconv, error), mconv.MconvError)
    with pytest.raises(mconv.UsageError) as raised:
        mconv.convert(tmp_path / "none.onnx", "ncnn")
    assert raised.value.code == "MC110"
    with pytest.raises(mconv.UsageError, match="MC101"):
        mconv.convert(DIGITS, "nothing")
