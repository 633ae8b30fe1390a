"""Operators of detectors, against their definition in plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import DType, TensorType
from mconv.ir.graph import infer_types
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import DetectionOutput, Proposal, PSRoiPool
from tests.frontends.caffe import formulas

from .data import uniform

PRIORS = np.sort(uniform(12, 2, 2, low=0.0, high=1.0), axis=1).reshape(12, 4)
VARIANCES = np.full((12, 4), 0.1, np.float32)
BOTH = np.stack([PRIORS.reshape(-1), VARIANCES.reshape(-1)])[None]
LOCATIONS, SCORES = uniform(1, 48, low=-2.0, high=2.0), uniform(1, 36, low=0.0, high=1.0)
OP = DetectionOutput(3, code="center_size", overlap=0.45, top_k=5, keep_top_k=4, score_threshold=0.3)


def test_detections():
    found = OP.evaluate(LOCATIONS, SCORES, BOTH)
    wanted = formulas.detections(LOCATIONS, SCORES, BOTH, [])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_limits_no_background_and_an_image_more():
    op = DetectionOutput(3, background=-1, code="corner", overlap=1.0, score_threshold=-1.0)
    two = [np.concatenate([x, x]) for x in (LOCATIONS, SCORES)]
    rows = op.evaluate(*two, BOTH)[0, 0]
    assert len(rows) == 2 * 3 * 12
    assert set(rows[:36, 0]) == {0}
    assert set(rows[36:, 0]) == {1}
    assert (np.diff(rows[:36, 2]) <= 0).all()
    first = rows[0]
    place = int(np.flatnonzero(SCORES[0].reshape(12, 3)[:, int(first[1])] == first[2])[0])
    np.testing.assert_allclose(first[3:], PRIORS[place] + 0.1 * LOCATIONS[0, 4 * place : 4 * place + 4], rtol=1e-5)


@pytest.mark.parametrize("code", ["corner", "corner_size", "center_size"])
def test_codes(code):
    op = DetectionOutput(2, code=code, variance_encoded=True, overlap=1.0, clip=True)
    still = np.zeros((1, 48), np.float32)
    rows = op.evaluate(still, SCORES[:, :24], BOTH[:, :1])[0, 0]
    order = np.argsort(-SCORES[0, :24].reshape(12, 2)[:, 1])
    np.testing.assert_allclose(rows[:, 3:], PRIORS[order], rtol=1e-5, atol=1e-6)


def test_a_threshold_that_falls():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 16]], np.float32) / 20  # overlaps 0.5, 0.625, 0.8
    priors = np.stack([boxes.reshape(-1), np.ones(12, np.float32)])[None]
    scores = np.array([[0, 0.9, 0, 0.8, 0, 0.7]], np.float32)
    kept = {}
    for eta in (1.0, 0.9):
        op = DetectionOutput(2, overlap=0.85, eta=eta)
        kept[eta] = len(op.evaluate(np.zeros((1, 12), np.float32), scores, priors)[0, 0])
    assert kept == {1.0: 3, 0.9: 2}  # 0.85, then 0.765, below 0.8


def test_boxes_of_their_own_for_each_class():
    op = DetectionOutput(2, share_location=False, overlap=1.0, background=-1)
    locations = np.zeros((1, 12, 2, 4), np.float32)
    locations[:, :, 1] = 10
    rows = op.evaluate(locations.reshape(1, -1), SCORES[:, :24], BOTH)[0, 0]
    assert len(rows) == 24
    assert (rows[rows[:, 1] == 1, 3] >= 1).all()
    assert (rows[rows[:, 1] == 0, 3] <= 1).all()


def test_nothing_found():
    assert OP.replace(score_threshold=2.0).evaluate(LOCATIONS, SCORES, BOTH).shape == (1, 1, 0, 7)


def test_proposals():
    scores, deltas = uniform(1, 18, 5, 6), uniform(1, 36, 5, 6, low=-0.5, high=0.5)
    image = np.array([[70, 90, 1.5]], np.float32)
    rois, marks = Proposal(after=10, overlap=0.5).evaluate(scores, deltas, image)
    np.testing.assert_allclose(rois, formulas.proposals(scores, deltas, image, []), rtol=1e-4, atol=1e-3)
    assert marks.shape == (len(rois), 1)
    assert (np.diff(marks[:, 0]) <= 0).all()


def test_position_sensitive_pool():
    x = uniform(1, 8, 6, 6)
    y = PSRoiPool(2, 2).evaluate(x, np.array([[0, 0, 0, 3, 3], [0, 9, 9, 12, 12]], np.float32))
    planes = x[0].reshape(2, 2, 2, 6, 6)
    for i in range(2):
        for j in range(2):
            window = planes[:, i, j, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            np.testing.assert_allclose(y[0, :, i, j], window.mean(axis=(1, 2)), rtol=1e-5)
    assert (y[1] == 0).all()


F = DType.F32


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (OP, [(1, 48), (1, 36), (2, 48)]),
        (OP, [(1, 47), (1, 36), (1, 2, 48)]),
        (OP, [(1, 48), (1, 35), (1, 2, 48)]),
        (OP, [(1, 48), (1, 36), (1, 1, 48)]),
        (OP.replace(code="edge"), [(1, 48), (1, 36), (1, 2, 48)]),
        (PSRoiPool(2, 2), [(1, 7, 6, 6), (1, 5)]),
        (PSRoiPool(2, 2), [(1, 8, 6, 6), (1, 4)]),
        (Proposal(), [(1, 18, 5, 6), (1, 36, 5, 7), (1, 3)]),
        (Proposal(), [(1, 12, 5, 6), (1, 36, 5, 6), (1, 3)]),
    ],
)
def test_refuses(op, types):
    with pytest.raises(TypeMismatch):
        infer_types(op, tuple(TensorType(F, shape) for shape in types))
