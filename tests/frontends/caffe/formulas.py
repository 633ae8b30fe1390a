"""What layers compute by their published definition, in plain loops: for those that OpenCV lacks or has otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mconv.ir import Array


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def wide(v: Array) -> Array:
    """One number a channel, broadcast over an image."""
    return v.reshape(-1, 1, 1)


def depthwise(stride: int, pad: int) -> Any:
    def compute(x: Array, w: list[Array]) -> Array:
        k = w[0].shape[-1]
        wide = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        rows, columns = ((s + 2 * pad - k) // stride + 1 for s in x.shape[2:])
        y = np.zeros((*x.shape[:2], rows, columns), np.float32)
        for c in range(x.shape[1]):
            for i in range(rows):
                for j in range(columns):
                    window = wide[:, c, i * stride : i * stride + k, j * stride : j * stride + k]
                    y[:, c, i, j] = (window * w[0][c, 0]).sum(axis=(1, 2)) + w[1][c]
        return y

    return compute


def transposed_depthwise(x: Array, w: list[Array]) -> Array:
    """Stride 2, kernel 3."""
    n, c, h, width = x.shape
    y = np.zeros((n, c, 2 * h + 1, 2 * width + 1), np.float32)
    for i in range(h):
        for j in range(width):
            y[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += x[:, :, i, j, None, None] * w[0][:, 0]
    return y + w[1][:, None, None]


def lrn(x: Array, w: list[Array]) -> Array:
    """Size 5, alpha 0.1, beta 0.75, k 2, across channels."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - 2) : c + 3]
        y[:, c] = x[:, c] / (2 + 0.1 / 5 * (near**2).sum(axis=1)) ** 0.75
    return y


def mvn(x: Array, w: list[Array]) -> Array:
    """Epsilon 0.1, outside of the root."""
    centred = x - x.mean(axis=(2, 3), keepdims=True)
    return np.asarray(centred / (np.sqrt((centred**2).mean(axis=(2, 3), keepdims=True)) + 0.1))


def average_pool(kernel: int, stride: int, pad: int) -> Any:
    """Caffe's: sizes rounded up, no window that begins in the padding, divided by its part of the padded image."""

    def compute(x: Array, w: list[Array]) -> Array:
        sizes = []
        for size in x.shape[2:]:
            count = math.ceil((size + 2 * pad - kernel) / stride) + 1
            sizes.append(count - 1 if pad and (count - 1) * stride >= size + pad else count)
        y = np.zeros((*x.shape[:2], *sizes), np.float32)
        height, width = x.shape[2:]
        for i in range(sizes[0]):
            for j in range(sizes[1]):
                top, left = i * stride - pad, j * stride - pad
                bottom, right = min(top + kernel, height + pad), min(left + kernel, width + pad)
                area = (bottom - top) * (right - left)
                part = x[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
                y[:, :, i, j] = part.sum(axis=(2, 3)) / area
        return y

    return compute


def arg_max_of_all(x: Array, w: list[Array]) -> Array:
    """top_k 3, out_max_val: [N, 2, 3, 1]."""
    flat = x.reshape(len(x), -1)
    order = np.argsort(-flat, axis=1)[:, :3]
    return np.stack([order.astype(np.float32), np.take_along_axis(flat, order, 1)], axis=1)[..., None]


def aligned(rows: int, columns: int) -> Any:
    """Linear interpolation with aligned corners."""

    def compute(x: Array, w: list[Array]) -> Array:
        y = np.zeros((*x.shape[:2], rows, columns), np.float32)
        height, width = x.shape[2:]
        for i in range(rows):
            for j in range(columns):
                a, b = i * (height - 1) / max(rows - 1, 1), j * (width - 1) / max(columns - 1, 1)
                r, c = int(a), int(b)
                s, d = min(r + 1, height - 1), min(c + 1, width - 1)
                u, v = a - r, b - c
                y[:, :, i, j] = ((1 - u) * (1 - v) * x[:, :, r, c] + (1 - u) * v * x[:, :, r, d]
                                 + u * (1 - v) * x[:, :, s, c] + u * v * x[:, :, s, d])  # fmt: skip
        return y

    return compute


def darknet_reorg_reversed(x: Array, w: list[Array]) -> Array:
    """Darknet's loop, forward; stride 2."""
    n, c, h, width = x.shape
    out = np.zeros((n, c // 4, 2 * h, 2 * width), np.float32)
    for k in range(c):
        for j in range(h):
            for i in range(width):
                offset = k // (c // 4)
                out[:, k % (c // 4), j * 2 + offset // 2, i * 2 + offset % 2] = x[:, k, j, i]
    return out


def unpooled(x: Array, w: list[Array]) -> Array:
    """SegNet: a pool of 2 by 2, and its undoing."""
    y = np.zeros_like(x)
    for n, c, i, j in np.ndindex(x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a, b = np.unravel_index(window.argmax(), (2, 2))
        y[n, c, 2 * i + a, 2 * j + b] = window[a, b]
    return y


def prior_boxes(x: Array, image: Array, w: list[Array]) -> Array:
    """min_size 3, 4; ratios 2, 3, no flip; step 7, offset 0.25, img_size 28."""
    boxes = []
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            cx, cy = (j + 0.25) * 7, (i + 0.25) * 7
            for size in (3, 4):
                for ratio in (1, 2, 3):
                    a, b = size * math.sqrt(ratio) / 2, size / math.sqrt(ratio) / 2
                    boxes.append([(cx - a) / 28, (cy - b) / 28, (cx + a) / 28, (cy + b) / 28])
    flat = np.array(boxes, np.float32).reshape(-1)
    return np.stack([flat, np.full_like(flat, 0.1)])[None]


def lstm(x: Array, marks: Array | None, w: list[Array], h: Array | None = None, c: Array | None = None,
         static: Array | None = None) -> tuple[Array, Array, Array]:  # fmt: skip
    """Caffe's LSTM: gates i, f, o, g; marks end what was before."""
    hidden = w[-1].shape[1]
    inner = x.reshape(*x.shape[:2], -1) @ w[0].T + w[1]
    if static is not None:
        inner = inner + static @ w[2].T
    h = np.zeros((x.shape[1], hidden), np.float32) if h is None else h
    c = np.zeros((x.shape[1], hidden), np.float32) if c is None else c
    ys = []
    for t in range(len(x)):
        if marks is not None:
            h, c = h * marks[t][:, None], c * marks[t][:, None]
        gates = inner[t] + h @ w[-1].T
        i, f, o, g = (gates[:, k * hidden : (k + 1) * hidden] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.stack(ys), h[None], c[None]


def rnn(x: Array, marks: Array | None, w: list[Array]) -> Array:
    """Caffe's RNN."""
    h, ys = np.zeros((x.shape[1], w[2].shape[0]), np.float32), []
    for t in range(len(x)):
        if marks is not None:
            h = h * marks[t][:, None]
        h = np.tanh(x[t] @ w[0].T + w[1] + h @ w[2].T)
        ys.append(np.tanh(h @ w[3].T + w[4]))
    return np.stack(ys)


def half_pixel(rows: int, columns: int) -> Any:
    """OpenCV's resize, INTER_LINEAR."""

    def compute(x: Array, w: list[Array]) -> Array:
        y = np.zeros((*x.shape[:2], rows, columns), np.float32)
        height, width = x.shape[2:]
        for i in range(rows):
            for j in range(columns):
                a = np.clip((i + 0.5) * height / rows - 0.5, 0, height - 1)
                b = np.clip((j + 0.5) * width / columns - 0.5, 0, width - 1)
                r, c = int(a), int(b)
                s, d = min(r + 1, height - 1), min(c + 1, width - 1)
                y[:, :, i, j] = ((1 - (a - r)) * ((1 - (b - c)) * x[:, :, r, c] + (b - c) * x[:, :, r, d])
                                 + (a - r) * ((1 - (b - c)) * x[:, :, s, c] + (b - c) * x[:, :, s, d]))  # fmt: skip
        return y

    return compute


def iou(a: Array, b: Array, end: float = 0.0) -> float:
    """Intersection over union of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0]) + end
    tall = min(a[3], b[3]) - max(a[1], b[1]) + end
    if wide <= 0 or tall <= 0:
        return 0.0
    areas = [(v[2] - v[0] + end) * (v[3] - v[1] + end) for v in (a, b)]
    return float(wide * tall / (areas[0] + areas[1] - wide * tall))


def proposals(scores: Array, deltas: Array, image: Array, w: list[Array]) -> Array:
    """Faster R-CNN's, as py-faster-rcnn writes it: base 16, ratios 0.5 1 2, scales 8 16 32, stride 16, min_size 16."""
    found = []
    anchors = []
    for ratio in (0.5, 1, 2):
        width = round(math.sqrt(256 / ratio))
        height = round(width * ratio)
        for scale in (8, 16, 32):
            a, b = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append((7.5 - a, 7.5 - b, 7.5 + a, 7.5 + b))
    tall, wide, zoom = image[0]
    for i in range(scores.shape[2]):
        for j in range(scores.shape[3]):
            for k, (x1, y1, x2, y2) in enumerate(anchors):
                width, height = x2 - x1 + 1, y2 - y1 + 1
                dx, dy, dw, dh = deltas[0, 4 * k : 4 * k + 4, i, j]
                cx, cy = x1 + 16 * j + width / 2 + dx * width, y1 + 16 * i + height / 2 + dy * height
                a, b = math.exp(dw) * width / 2, math.exp(dh) * height / 2
                box = np.array([np.clip(cx - a, 0, wide - 1), np.clip(cy - b, 0, tall - 1),
                                np.clip(cx + a, 0, wide - 1), np.clip(cy + b, 0, tall - 1)])  # fmt: skip
                if box[2] - box[0] + 1 >= 16 * zoom and box[3] - box[1] + 1 >= 16 * zoom:
                    found.append((scores[0, 9 + k, i, j], box))
    found.sort(key=lambda each: -each[0])
    kept: list[Array] = []
    for _, box in found:
        if len(kept) < 10 and all(iou(box, other, 1.0) <= 0.5 for other in kept):
            kept.append(box)
    return np.array([[0, *box] for box in kept], np.float32)


def detections(locations: Array, scores: Array, priors: Array, w: list[Array]) -> Array:
    """SSD's, by center and size; 3 classes, background 0; 0.45, top_k 5, keep_top_k 4, threshold 0.3."""
    boxes = []
    for p in range(priors.shape[2] // 4):
        x1, y1, x2, y2 = priors[0, 0, 4 * p : 4 * p + 4]
        move = locations[0, 4 * p : 4 * p + 4] * priors[0, 1, 4 * p : 4 * p + 4]
        cx, cy = (x1 + x2) / 2 + move[0] * (x2 - x1), (y1 + y2) / 2 + move[1] * (y2 - y1)
        a, b = math.exp(move[2]) * (x2 - x1) / 2, math.exp(move[3]) * (y2 - y1) / 2
        boxes.append((cx - a, cy - b, cx + a, cy + b))
    rows = []
    table = scores.reshape(-1, 3)
    for label in (1, 2):
        order = [p for p in np.argsort(-table[:, label]) if table[p, label] > 0.3][:5]
        kept: list[int] = []
        for p in order:
            if all(iou(np.array(boxes[p]), np.array(boxes[q])) <= 0.45 for q in kept):
                kept.append(p)
        rows += [(0, label, table[p, label], *boxes[p]) for p in kept]
    rows.sort(key=lambda row: -row[2])
    return np.array(rows[:4], np.float32).reshape(1, 1, -1, 7)
