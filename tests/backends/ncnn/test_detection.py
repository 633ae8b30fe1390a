"""What detectors end with, in the real runtime."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Graph
from mconv.ir.ops import DetectionOutput, MaxRoiPool, Proposal, PSRoiPool, Reshape, Softmax
from mconv.ir.types import Array

from .nets import check, numbers, refused, same

CLASSES, PRIORS = 4, 30
OP = DetectionOutput(CLASSES, code="center_size", overlap=0.45, top_k=20, keep_top_k=15, score_threshold=0.2)
ROIS = np.array([[0, 1, 2, 9, 10], [0, 4, 3, 12, 7]], np.float32)
"""Not of a whole number of elements a cell: there the package's approximate division may read one more."""


def priors() -> Array:
    """Boxes and variances."""
    chance = np.random.default_rng(3)
    low = chance.uniform(0, 0.6, (PRIORS, 2))
    boxes = np.concatenate([low, low + chance.uniform(0.1, 0.4, (PRIORS, 2))], axis=1)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], (PRIORS, 1))
    return np.stack([boxes.reshape(-1), variances.reshape(-1)])[None].astype(np.float32)


def detector(op: DetectionOutput) -> tuple[Graph, dict[str, Array]]:
    """Softmax over the classes, then ``op``."""
    b = Builder()
    locations, logits = b.input("l", DType.F32, (1, PRIORS * 4)), b.input("s", DType.F32, (1, PRIORS, CLASSES))
    scores = b.add(Reshape((1, PRIORS * CLASSES)), b.add(Softmax(2), logits))
    b.output(b.add(op, locations, scores, b.constant(priors()), name="found"), "found")
    return b.graph, {"l": numbers(1, PRIORS * 4), "s": 3 * numbers(1, PRIORS, CLASSES)}


def test_detections() -> None:
    text = check(*detector(OP))
    assert "DetectionOutput" in text
    check(*detector(OP.replace(top_k=-1, keep_top_k=-1)))
    check(*detector(OP.replace(keep_top_k=1)))


def test_nothing_found() -> None:
    from .nets import emit, run

    graph, feeds = detector(OP.replace(score_threshold=0.99999))
    assert run(emit(graph), feeds, ["found"])["found"].shape == (0, 7)


def test_what_ncnn_does_not_decode() -> None:
    other = [OP.replace(code="corner"), OP.replace(background=1), OP.replace(eta=0.9), OP.replace(clip=True)]
    for op in other:
        assert refused(op, (1, PRIORS * 4), (1, PRIORS * CLASSES), priors(), constants=(2,))
    why = refused(OP, (1, PRIORS * 4), (1, PRIORS * CLASSES), priors(), constants=(2,))
    assert "Softmax" in why
    assert "batch" in refused(OP, (2, PRIORS * 4), (2, PRIORS * CLASSES), priors(), constants=(2,))


def test_pools_over_regions() -> None:
    for rois in (ROIS, ROIS[:1]):
        assert same(MaxRoiPool((2, 3), 0.5), (1, 5, 8, 9), rois).count("ROIPooling ") == len(rois)
        assert same(PSRoiPool(3, 2, 0.5), (1, 12, 8, 9), rois).count("PSROIPooling ") == len(rois)
    assert "batch" in refused(PSRoiPool(3, 2, 0.5), (2, 12, 8, 9), ROIS)


def test_proposals() -> None:
    """ncnn measures overlaps of boxes without their last row and column; these differ enough."""
    image = np.array([[70, 90, 1.0]], np.float32)
    deltas = 0.3 * numbers(1, 36, 5, 6)
    text = same(Proposal(after=12, overlap=0.6), (1, 18, 5, 6), deltas, image, results=2)
    assert "Proposal" in text
    assert "ratios" in refused(Proposal(ratios=(1.0,)), (1, 6, 5, 6), (1, 12, 5, 6), image)
