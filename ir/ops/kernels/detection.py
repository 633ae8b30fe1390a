"""Decoding, suppressing and gathering boxes (xmin, ymin, xmax, ymax)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...types import Array

if TYPE_CHECKING:
    from ..detection import DetectionOutput, Proposal


def detections(op: DetectionOutput, locations: Array, scores: Array, priors: Array) -> Array:
    """The result of DetectionOutput, [1, 1, K, 7]."""
    count, images = priors.shape[2] // 4, scores.shape[0]
    kinds = 1 if op.share_location else op.classes
    by_prior = locations.reshape(images, count, kinds, 4)
    by_class = scores.reshape(images, count, op.classes)
    rows = [np.zeros((0, 7), scores.dtype)]
    for image in range(images):
        boxes = decoded(op, by_prior[image], priors)
        rows.append(_of_image(op, image, boxes, by_class[image]))
    return np.concatenate(rows)[None, None]


def _of_image(op: DetectionOutput, image: int, boxes: Array, scores: Array) -> Array:
    """Rows of one image; boxes [P, 1 or classes, 4], scores [P, classes]."""
    rows = [np.zeros((0, 7), scores.dtype)]
    for label in range(op.classes):
        if label == op.background:
            continue
        own, line = boxes[:, 0 if op.share_location else label], scores[:, label]
        order = np.argsort(-line, kind="stable")
        order = order[line[order] > op.score_threshold]
        order = order if op.top_k < 0 else order[: op.top_k]
        kept = suppressed(own[order], op.overlap, eta=op.eta)
        found = order[kept]
        heads = np.full((len(found), 2), (image, label), scores.dtype)
        rows.append(np.concatenate([heads, line[found, None], own[found]], axis=1))
    whole = np.concatenate(rows)
    order = np.argsort(-whole[:, 2], kind="stable")
    return whole[order if op.keep_top_k < 0 else order[: op.keep_top_k]]


def decoded(op: DetectionOutput, locations: Array, priors: Array) -> Array:
    """Boxes [P, kinds, 4] of one image's locations."""
    prior = priors[0, 0].reshape(-1, 1, 4)
    move = locations if op.variance_encoded else locations * priors[0, 1].reshape(-1, 1, 4)
    sizes = prior[..., 2:] - prior[..., :2]
    if op.code == "corner":
        boxes = prior + move
    elif op.code == "corner_size":
        boxes = prior + move * np.concatenate([sizes, sizes], axis=-1)
    else:
        centers = (prior[..., :2] + prior[..., 2:]) / 2 + move[..., :2] * sizes
        half = np.exp(move[..., 2:]) * sizes / 2
        boxes = np.concatenate([centers - half, centers + half], axis=-1)
    boxes = boxes.astype(locations.dtype, copy=False)
    return np.asarray(np.clip(boxes, 0, 1) if op.clip else boxes)


def suppressed(boxes: Array, overlap: float, *, eta: float = 1.0, end: float = 0.0, most: int | None = None) -> Array:
    """Which of the boxes, best first, are kept; ``end`` is added to sizes (1 where both ends are elements)."""
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2] + end, 0), axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and (most is None or len(kept) < most):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.prod(np.maximum(high - low + end, 0), axis=1)
        left = left[~(common > overlap * (areas[best] + areas[left] - common))]
        if eta < 1 and overlap > 0.5:  # the next one is asked at the lower threshold against all that are kept
            overlap *= eta
            left = left[_apart(boxes[left], areas[left], boxes[kept], areas[kept], overlap)] if len(left) else left
    return np.array(kept, np.int64)


def _apart(boxes: Array, areas: Array, kept: Array, kept_areas: Array, overlap: float) -> Array:
    low = np.maximum(boxes[:, None, :2], kept[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], kept[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    result: Array = ~(common > overlap * (areas[:, None] + kept_areas[None] - common)).any(axis=1)
    return result


def ps_roi_pool(x: Array, rois: Array, dim: int, group: int, scale: float) -> Array:
    """The means of cells, [R, dim, group, group]."""
    height, width = x.shape[2:]
    y = np.zeros((len(rois), dim, group, group), x.dtype)
    for r, roi in enumerate(rois):
        corners = _rounded(roi[1:].astype(np.float32)) + np.array([0, 0, 1, 1], np.float32)
        left, top, right, bottom = corners * np.float32(scale)
        rows = _cells(top, max(bottom - top, np.float32(0.1)), group, height)
        columns = _cells(left, max(right - left, np.float32(0.1)), group, width)
        planes = x[int(roi[0])].reshape(dim, group, group, height, width)
        for i, (y0, y1) in enumerate(rows):
            for j, (x0, x1) in enumerate(columns):
                if y1 > y0 and x1 > x0:
                    y[r, :, i, j] = planes[:, i, j, y0:y1, x0:x1].mean(axis=(1, 2))
    return y


def _rounded(x: Array) -> Array:
    """Halves away from zero, as C's round."""
    return np.asarray(np.sign(x) * np.floor(np.abs(x) + np.float32(0.5)))


def _cells(start: np.float32, length: np.float32, count: int, size: int) -> list[tuple[int, int]]:
    step = length / np.float32(count)
    ends = ((np.floor(i * step + start), np.ceil((i + 1) * step + start)) for i in range(count))
    return [(int(np.clip(a, 0, size)), int(np.clip(b, 0, size))) for a, b in ends]


def anchors(base: int, ratios: tuple[float, ...], scales: tuple[float, ...]) -> Array:
    """Boxes around the first place, [ratios * scales, 4]: of all scales for each ratio."""
    center, boxes = (base - 1) / 2, []
    for ratio in ratios:
        width = np.rint(np.sqrt(base * base / ratio))
        height = np.rint(width * ratio)
        for scale in scales:
            half = np.array([width * scale - 1, height * scale - 1]) / 2
            boxes.append(np.concatenate([center - half, center + half]))
    return np.array(boxes, np.float32)


def proposals(op: Proposal, scores: Array, deltas: Array, image: Array) -> tuple[Array, Array]:
    """rois [R, 5] and scores [R, 1]."""
    base = anchors(op.base, op.ratios, op.scales)
    count, (height, width) = len(base), scores.shape[2:]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) * np.float32(op.stride)
    shifts = np.stack([columns, rows, columns, rows], axis=-1).reshape(-1, 1, 4)
    prior = (base[None] + shifts).reshape(-1, 4)
    move = deltas[0].reshape(count, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)
    score = scores[0, count:].transpose(1, 2, 0).reshape(-1)
    sizes = prior[:, 2:] - prior[:, :2] + 1
    centers = prior[:, :2] + sizes / 2 + move[:, :2] * sizes
    half = np.exp(move[:, 2:]) * sizes / 2
    tall, wide, scale = (np.float32(v) for v in image.reshape(-1)[:3])
    most = np.array([wide - 1, tall - 1, wide - 1, tall - 1], np.float32)
    boxes = np.clip(np.concatenate([centers - half, centers + half], axis=1), 0, most).astype(scores.dtype)
    large = ((boxes[:, 2:] - boxes[:, :2] + 1) >= op.min_size * scale).all(axis=1)
    boxes, score = boxes[large], score[large]
    order = np.argsort(-score, kind="stable")
    order = order[: op.before] if op.before > 0 else order
    kept = order[suppressed(boxes[order], op.overlap, end=1.0, most=op.after if op.after > 0 else None)]
    rois = np.concatenate([np.zeros((len(kept), 1), boxes.dtype), boxes[kept]], axis=1)
    return rois, score[kept, None]
