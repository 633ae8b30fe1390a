"""Whole nets to every target, each run in its own runtime and compared with OpenCV-DNN."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import mconv
from mconv.frontends.caffe.reader import read
from mconv.runner import RUNTIMES

from . import nets

MODELS = Path(__file__).parents[4] / "shared" / "models"
TARGETS = ["ncnn", "tflite", "onnx"]


def needs(target: str) -> None:
    """Skip where a runtime is missing."""
    for package in ("cv2", RUNTIMES[target].package):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def model(name: str) -> Path:
    """A real net, where there are some."""
    path = MODELS / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def detector(folder: Path) -> Path:
    """A small SSD with weights: features, locations, scores, priors, and what is found."""
    text = nets.heads({"data": (1, 3, 16, 16)})

    def conv(name: str, bottom: str, outputs: int, stride: int = 1) -> str:
        params = f"convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 stride: {stride} }}"
        return nets.layer("Convolution", params, bottoms=(bottom,), tops=(name,), name=name)

    text += conv("features", "data", 8, 4) + nets.layer("ReLU", bottoms=("features",), tops=("features",), name="relu")
    order = "permute_param { order: [0, 2, 3, 1] }"
    for name, size in (("loc", 12), ("conf", 12)):
        text += conv(name, "features", size)
        text += nets.layer("Permute", order, bottoms=(name,), tops=(f"{name}_perm",), name=f"{name}_perm")
    text += nets.layer("Flatten", bottoms=("loc_perm",), tops=("locations",), name="locations")
    shape = "reshape_param { shape { dim: [0, -1, 4] } }"
    text += nets.layer("Reshape", shape, bottoms=("conf_perm",), tops=("rows",), name="rows")
    text += nets.layer("Softmax", "softmax_param { axis: 2 }", bottoms=("rows",), tops=("soft",), name="soft")
    text += nets.layer("Flatten", bottoms=("soft",), tops=("scores",), name="scores")
    boxes = "prior_box_param { min_size: 6 aspect_ratio: 2 variance: [0.1, 0.1, 0.2, 0.2] }"
    text += nets.layer("PriorBox", boxes, bottoms=("features", "data"), tops=("priors",), name="priors")
    found = (
        "detection_output_param { num_classes: 4 code_type: CENTER_SIZE confidence_threshold: 0.3 keep_top_k: 20"
        " nms_param { nms_threshold: 0.45 top_k: 15 } }"
    )
    text += nets.layer(
        "DetectionOutput", found, bottoms=("locations", "scores", "priors"), tops=("found",), name="found"
    )
    return nets.with_weights(folder, text)[0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_detector(target: str, tmp_path: Path) -> None:
    needs(target)
    result = mconv.convert(detector(tmp_path), target, output=tmp_path / "out", verify=True)
    assert result.verification.passed
    assert result.verification.reference == "cv2"
    assert result.verification.outputs[0].shape[2] > 5


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["rfb320/rfb320", "mtcnn/det1", "mtcnn/det3"])
def test_real_nets(name: str, target: str, tmp_path: Path) -> None:
    needs(target)
    result = mconv.convert(model(f"{name}.prototxt"), target, output=tmp_path / "out", verify=True)
    assert result.verification.reference == "cv2"
    assert all(output.error < 1e-4 for output in result.verification.outputs)


@pytest.mark.parametrize("target", TARGETS)
def test_mobilenet_ssd(target: str, tmp_path: Path) -> None:
    needs(target)
    path = model("mobilenet_ssd/deploy.prototxt")
    result = mconv.convert(path, target, output=tmp_path / "out", random_weights=1, verify=True)
    assert result.verification.passed
    if target == "ncnn":
        assert "DetectionOutput" in (tmp_path / "out.param").read_text()


@nets.needs_opencv
def test_mobilenet_ssd_in_opencv() -> None:
    from mconv.frontends.caffe.runtime import run

    path = model("mobilenet_ssd/deploy.prototxt")
    graph = read(path, random_weights=1)
    feeds = nets.feeds_of(graph)
    found = run({".prototxt": str(path)}, feeds, graph.output_names, random_weights=1)
    nets.close(found["detection_out"], nets.run(graph, feeds)["detection_out"])


def test_rfb320_is_what_its_onnx_file_is() -> None:
    """The ONNX file decodes the boxes at its end, which the Caffe net leaves to its user: they are compared before."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from mconv.frontends.onnx.runtime import run

    graph = read(model("rfb320/rfb320.prototxt"))
    feeds = nets.feeds_of(graph, low=-1, high=1)
    wanted = run({".onnx": str(model("rfb320/rfb320.onnx"))}, feeds, ["scores", "460"])
    found = nets.run(graph, feeds)
    for name, same in (("scores", "scores"), ("boxes", "460")):
        assert np.abs(found[name] - wanted[same]).max() < 1e-4
