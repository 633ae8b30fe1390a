"""Every layer that is read, against OpenCV-DNN where it has the layer and agrees with Caffe, else against the formula.

The name of a test says which: ``test_against_opencv`` or ``test_against_the_formula``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mconv.frontends.caffe.reader import read
from mconv.frontends.caffe.registry import HANDLERS
from mconv.ir import Array, Graph

from . import formulas, nets
from .cases import FORMULAS, OPENCV, Case

SAME = {
    "ConvolutionDepthWise": "ConvolutionDepthwise", "DepthwiseConv": "DepthwiseConvolution", "Hswish": "HardSwish",
    "DeconvolutionDepthwise": "DepthwiseDeconvolution",
}  # fmt: skip
"""Other names of layer types."""
ELSEWHERE = {"Padding": "test_old_forms.py"}


def made(case: Case, folder: Path) -> tuple[Path, Graph, dict[str, Array], list[Array]]:
    """The net of a case with random weights in a .caffemodel: its path, its graph, feeds, and the weights."""
    text = nets.heads(case.inputs) + nets.layer(case.kind, case.params, bottoms=list(case.inputs), tops=case.tops)
    path, blobs = nets.with_weights(folder, text)
    graph = read(path)
    feeds = nets.feeds_of(graph, low=case.low, high=case.high)
    if case.kind in ("ROIPooling", "PSROIPooling"):
        feeds["z"] = np.array([[0, 1, 2, 9, 11], [0, 4, 3, 14, 6]], np.float32)
    if "marks" in feeds:
        feeds["marks"] = (feeds["marks"] > -1).astype(np.float32)
    if "size" in feeds:
        feeds["size"] = np.array([[70, 90, 1.5]], np.float32)
    if "i" in feeds:
        feeds["i"] = np.rint(feeds["i"])
    if "priors" in feeds:
        corners = np.sort(np.random.default_rng(1).uniform(0, 1, (12, 2, 2)), axis=1).astype(np.float32)
        feeds["priors"][0, 0] = corners.reshape(-1)
        feeds["priors"][0, 1] = 0.1
        feeds["scores"] = np.abs(feeds["scores"]) / 2
    return path, graph, feeds, blobs.get("it", [])


@nets.needs_opencv
@pytest.mark.parametrize("case", OPENCV, ids=str)
def test_against_opencv(case: Case, tmp_path: Path) -> None:
    path, graph, feeds, _ = made(case, tmp_path)
    found, wanted = nets.run(graph, feeds), nets.opencv(path, feeds, list(case.tops))
    assert set(wanted) == set(case.tops) == set(graph.output_names)
    for name in case.tops:
        nets.close(found[name], wanted[name])


@pytest.mark.parametrize("case", FORMULAS, ids=str)
def test_against_the_formula(case: Case, tmp_path: Path) -> None:
    _, graph, feeds, weights = made(case, tmp_path)
    assert case.formula is not None
    result = case.formula(*feeds.values(), w=weights)
    wanted = list(result) if isinstance(result, tuple | list) else [result]
    found = nets.run(graph, feeds)
    for name, array in zip(case.tops, wanted, strict=True):
        nets.close(found[name], np.asarray(array, np.float32))


def test_every_layer_has_a_case() -> None:
    tested = {case.kind for case in (*OPENCV, *FORMULAS)} | set(SAME) | set(ELSEWHERE)
    assert tested == set(HANDLERS.names())
    assert set(SAME.values()) <= tested


def test_segnet_unpooling(tmp_path: Path) -> None:
    """Against the formula: OpenCV has no Upsample."""
    text = nets.heads({"x": (2, 3, 6, 4)}) + nets.layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 }",
                                                        tops=("p", "mask"), name="pool")  # fmt: skip
    text += nets.layer("Upsample", "upsample_param { scale: 2 }", bottoms=("p", "mask"))
    graph = nets.graph_of(tmp_path, text)
    feeds = nets.feeds_of(graph)
    nets.close(nets.run(graph, feeds)["y"], formulas.unpooled(feeds["x"], []))


@pytest.mark.parametrize(("last", "whole"), [(1, True), (0, False)])
def test_marks_that_are_constants(last: int, whole: bool, tmp_path: Path) -> None:
    """Against the formula; where no sequence begins on the way, LSTM stays one operator."""
    marks = np.array([[0], [1], [1], [last]], np.float32)
    text = nets.heads({"x": (4, 1, 3)})
    text += nets.layer(
        "Parameter", "parameter_param { shape { dim: 4 dim: 1 } }", bottoms=(), tops=("m",), name="marks"
    )
    text += nets.layer("LSTM", "recurrent_param { num_output: 2 }", bottoms=("x", "m"))
    _, blobs = nets.with_weights(tmp_path, text)
    graph = nets.graph_of(tmp_path, text, {**blobs, "marks": [marks]})
    assert ("LSTM" in {type(node.op).__name__ for node in graph}) is whole
    feeds = nets.feeds_of(graph)
    nets.close(nets.run(graph, feeds)["y"], formulas.lstm(feeds["x"], marks, blobs["it"])[0])
