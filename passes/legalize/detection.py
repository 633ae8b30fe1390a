"""What detectors end with, out of suppression, sorting and gathering."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, DType, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    Clip,
    Concat,
    DetectionOutput,
    Exp,
    Gather,
    Mul,
    NonMaxSuppression,
    Reshape,
    Shape,
    Slice,
    Sub,
    TopK,
    Transpose,
    Unsqueeze,
)
from mconv.ir.ops import Min as MinOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

MOST_CLASSES = 4096


@decompose(DetectionOutput)
def suppression_for_detection_output(m: Match, add: Add) -> Value:
    """DetectionOutput is NonMaxSuppression of decoded boxes, then a TopK over all classes."""
    op = m.op(DetectionOutput)
    locations, scores, _ = m.root.inputs
    priors = m.root.inputs[2]
    m.require(priors.data is not None, "the priors are computed")
    m.require(locations.type.is_static and scores.type.is_static, "sizes are known only at run time")
    m.require(scores.type.shape[0] == 1, "there are several images")
    m.require(op.share_location, "each class has boxes of its own")
    m.require(op.eta == 1, "the threshold changes on the way")
    m.require(scores.type.dtype is DType.F32 and op.overlap <= 1, "not of 32-bit floats, or a threshold above 1")
    count = priors.constant.shape[2] // 4
    labels = np.array([c for c in range(op.classes) if c != op.background])
    m.require(count > 0 and 0 < len(labels) <= MOST_CLASSES, "no boxes or classes, or too many")
    boxes = _decoded(m, add, op, locations, priors.constant)
    lines = add(Transpose((1, 0)), add(Reshape((count, op.classes)), scores))
    lines = _without(add, lines, op.background, op.classes)
    limit = count if op.top_k < 0 else min(op.top_k, count)
    m.require(limit > 0 and op.keep_top_k != 0, "nothing is kept")
    each = limit < count  # each class then has candidates of its own
    if each:
        lines, places = add.all(TopK(1, k=limit), lines)
        boxes = add(Gather(0), boxes, places)
    else:
        boxes = add(Unsqueeze((0,)), boxes)
    stacked = add(Unsqueeze((1 if each else 0,)), lines)
    least = np.float32(max(op.score_threshold, float(np.finfo(np.float32).min)))
    chosen = add(NonMaxSuppression(), boxes, stacked, np.int64(limit), np.float32(op.overlap), least)
    label, place = (_column(add, chosen, column) for column in ((0, 2) if each else (1, 2)))
    flat = add(AddOp(), add(Mul(), label, np.int64(limit if each else count)), place)
    score = add(Gather(0), add(Reshape((-1,)), lines), flat)
    corner = add(Gather(0), add(Reshape((-1, 4)), boxes), flat if each else place)
    order = _best(add, score, op.keep_top_k)
    names = add(Gather(0), labels.astype(np.float32), add(Gather(0), label, order))
    columns = [add(Mul(), names, np.float32(0)), names, add(Gather(0), score, order)]
    rows = add(Concat(1), *(add(Unsqueeze((1,)), c) for c in columns), add(Gather(0), corner, order))
    return add(Unsqueeze((0, 1)), rows)


def _decoded(m: Match, add: Add, op: DetectionOutput, locations: Value, priors: Array) -> Value:
    """Boxes [P, 4]."""
    count = priors.shape[2] // 4
    prior = priors[0, 0].reshape(count, 4)
    spread = np.ones_like(prior) if op.variance_encoded else priors[0, 1].reshape(count, 4)
    sizes = prior[:, 2:] - prior[:, :2]
    move = add(Reshape((count, 4)), locations)
    if op.code == "center_size":
        first, second = (add(Slice((i,), (i + 2,), (1,)), move) for i in (0, 2))
        centers = add(AddOp(), add(Mul(), first, spread[:, :2] * sizes), (prior[:, :2] + prior[:, 2:]) / 2)
        half = add(Mul(), add(Exp(), add(Mul(), second, spread[:, 2:])), sizes / 2)
        boxes = add(Concat(1), add(Sub(), centers, half), add(AddOp(), centers, half))
    else:
        factor = spread if op.code == "corner" else spread * np.concatenate([sizes, sizes], axis=1)
        boxes = add(AddOp(), add(Mul(), move, factor), prior)
    return add(Clip(0.0, 1.0), boxes) if op.clip else boxes


def _without(add: Add, lines: Value, background: int, classes: int) -> Value:
    """Lines [classes, P] without the background's."""
    if not 0 <= background < classes:
        return lines
    parts = [(0, background), (background + 1, classes)]
    kept = [add(Slice((begin,), (end,), (0,)), lines) for begin, end in parts if end > begin]
    return kept[0] if len(kept) == 1 else add(Concat(0), *kept)


def _column(add: Add, chosen: Value, column: int) -> Value:
    return add(Reshape((-1,)), add(Slice((column,), (column + 1,), (1,)), chosen))


def _best(add: Add, score: Value, most: int) -> Value:
    """Where the best scores are, best first."""
    count = add(Shape(), score)
    if most > 0:
        count = add(MinOp(), count, np.array([most], np.int64))
    _, order = add.all(TopK(0), score, add(Reshape(()), count))
    return order
