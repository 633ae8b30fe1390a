"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from ...types import Array


def non_max_suppression(
    boxes: Array, scores: Array, limit: int, overlap: float, least_score: float, center_point: bool
) -> Array:
    """The kept (image, class, box), images and classes in order, boxes by falling score."""
    kept: list[tuple[int, int, int]] = []
    for image in range(scores.shape[0]):
        corners = _corners(boxes[image].astype(np.float64), center_point)
        for category in range(scores.shape[1]):
            chosen = _suppressed(corners, scores[image, category], limit, overlap, least_score)
            kept.extend((image, category, box) for box in chosen)
    return np.array(kept, dtype=np.int64).reshape(-1, 3)


def _corners(boxes: Array, center_point: bool) -> Array:
    """(low, low, high, high) of each box, along the two axes."""
    if center_point:
        half = boxes[:, 2:] / 2
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def _suppressed(corners: Array, scores: Array, limit: int, overlap: float, least_score: float) -> list[int]:
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    order = order[scores[order] > least_score] if least_score > -np.inf else order
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    chosen: list[int] = []
    while len(order) and len(chosen) < limit:
        best, order = int(order[0]), order[1:]
        chosen.append(best)
        low = np.maximum(corners[best, :2], corners[order, :2])
        high = np.minimum(corners[best, 2:], corners[order, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        union = areas[best] + areas[order] - common
        order = order[~((common > 0) & (common > overlap * union))]
    return chosen
