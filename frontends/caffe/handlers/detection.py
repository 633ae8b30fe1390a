"""Layers of detectors: prior boxes, proposals of regions, and what is found in the end."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Builder, Value, ops
from mconv.ir.types import Array

from ..node import CaffeNode, Param
from ..registry import caffe
from .pool import regions

MOST_BOXES = 1 << 22
MOST_KINDS = 4096


@caffe("PriorBox")
def prior_box(n: CaffeNode, b: Builder) -> Value:
    """Boxes around each place of a feature map, [1, 2, P * 4]: the boxes, then their variances. A constant."""
    n.takes(2)
    p = n.param("prior_box_param")
    n.require(n.rank == 4 and n[1].type.rank == 4, f"blobs {n[0].type} and {n[1].type}")
    rows, columns = n.sizes(0)[2:]
    height, width = _picture(n, p)
    step = p.get("step")
    n.require(step is None or not (p.has("step_h") or p.has("step_w")), "both step and step_h, step_w")
    down, along = (p.get(each) if step is None else step for each in ("step_h", "step_w"))
    n.require((down is None) == (along is None), "only one of step_h and step_w")
    down, along = down or height / rows, along or width / columns
    kinds = _kinds(n, p)
    n.require(len(kinds) <= MOST_KINDS and rows * columns * len(kinds) <= MOST_BOXES, "too many boxes")
    offset = np.float32(p.number("offset"))
    x = (np.arange(columns, dtype=np.float32) + offset) * np.float32(along)
    y = (np.arange(rows, dtype=np.float32) + offset) * np.float32(down)
    half = np.array(kinds, np.float32).reshape(-1, 2) / np.float32(2)
    boxes = np.empty((rows, columns, len(kinds), 4), np.float32)
    boxes[..., 0] = (x[None, :, None] - half[:, 0]) / np.float32(width)
    boxes[..., 1] = (y[:, None, None] - half[:, 1]) / np.float32(height)
    boxes[..., 2] = (x[None, :, None] + half[:, 0]) / np.float32(width)
    boxes[..., 3] = (y[:, None, None] + half[:, 1]) / np.float32(height)
    if p.flag("clip"):
        boxes = np.clip(boxes, 0, 1)
    variances = np.broadcast_to(_variances(n, p), boxes.shape)
    return n.constant(np.stack([boxes.reshape(-1), variances.reshape(-1)])[None], n.layer.name)


def _picture(n: CaffeNode, p: Param) -> tuple[int, int]:
    """Height and width of the picture to which boxes are related."""
    size, height, width = p.get("img_size"), p.get("img_h"), p.get("img_w")
    n.require(size is None or (height is None and width is None), "both img_size and img_h, img_w")
    n.require((height is None) == (width is None), "only one of img_h and img_w")
    own = n.sizes(1)[2:]
    found = (size, size) if size is not None else (height, width) if height is not None else own
    n.require(min(found) > 0, f"a picture of {found[0]} by {found[1]}")
    return int(found[0]), int(found[1])


def _kinds(n: CaffeNode, p: Param) -> list[tuple[float, float]]:
    """Width and height of each box at a place, in the order of SSD: of each size the square, the larger, the others."""
    least, most = p.all("min_size"), p.all("max_size")
    n.require(least and min(least) > 0, "no min_size above zero")
    n.require(len(most) in (0, len(least)), f"{len(most)} max_size for {len(least)} min_size")
    n.require(all(b > a for a, b in zip(least, most, strict=False)), "a max_size not above its min_size")
    ratios = [1.0]
    flip = p.flag("flip")
    given = p.all("aspect_ratio")
    n.require(len(given) <= MOST_KINDS, "too many aspect_ratio")
    for ratio in given:
        n.require(ratio > 0, f"aspect_ratio {ratio}")
        if all(abs(ratio - other) >= 1e-6 for other in ratios):
            ratios += [ratio, 1 / ratio] if flip else [ratio]
    kinds = []
    for i, size in enumerate(least):
        kinds.append((size, size))
        if most:
            larger = math.sqrt(size * most[i])
            kinds.append((larger, larger))
        kinds += [(size * math.sqrt(r), size / math.sqrt(r)) for r in ratios if abs(r - 1) >= 1e-6]
    return kinds


def _variances(n: CaffeNode, p: Param) -> Array:
    given = p.all("variance") or (0.1,)
    n.require(len(given) in (1, 4) and min(given) > 0, f"{len(given)} variance")
    return np.array(given, np.float32)


_FILES = "writes or shows what is found, and does not change it"


@caffe("DetectionOutput", ignores=dict.fromkeys(
    ("save_output_param", "visualize", "visualize_threshold", "save_file"), _FILES,
))  # fmt: skip
def detection_output(n: CaffeNode, b: Builder) -> Value:
    """Boxes that are found, [1, 1, K, 7], by falling score; the branch of Caffe has them by class."""
    n.takes(3)
    p = n.param("detection_output_param")
    nms = p.param("nms_param")
    classes = p.integer("num_classes")
    n.require(0 < classes < 1 << 20, f"{classes} classes")
    n.refuse(not p.flag("normalized_bbox"), "normalized_bbox: false")
    top_k = nms.get("top_k")
    threshold = p.get("confidence_threshold")
    op = ops.DetectionOutput(
        classes, p.integer("background_label_id"), p.flag("share_location"), p.choice("code_type").lower(),
        p.flag("variance_encoded_in_target"), nms.number("nms_threshold"), nms.number("eta"),
        -1 if top_k is None else int(top_k), p.integer("keep_top_k"),
        float("-inf") if threshold is None else float(threshold), p.flag("clip"),
    )  # fmt: skip
    n.require(op.overlap >= 0 and 0 < op.eta <= 1, f"nms_threshold {op.overlap} and eta {op.eta}")
    locations, scores = (x if x.type.rank == 2 else b.add(ops.Flatten(1), x) for x in n.bottoms[:2])
    n.translation.note("detections come by falling score, not class by class, and none where Caffe gives a row of -1")
    return b.add(op, locations, scores, n[2])


@caffe("PSROIPooling")
def ps_roi_pooling(n: CaffeNode, b: Builder) -> Value:
    """The mean of each cell over each region, each cell from channels of its own."""
    n.takes(2)
    p = n.param("psroi_pooling_param")
    op = ops.PSRoiPool(p.integer("output_dim"), p.integer("group_size"), p.number("spatial_scale"))
    return b.add(op, n[0], regions(n, b, n[1]))


@caffe("Proposal")
def proposal(n: CaffeNode, b: Builder) -> list[Value]:
    """Regions of anchors that score best (bottoms: scores, deltas, height-width-scale of the image)."""
    n.takes(3)
    p = n.param("proposal_param")
    op = ops.Proposal(
        p.integer("feat_stride"), p.integer("base_size"), p.integer("min_size"), p.all("ratio") or (0.5, 1.0, 2.0),
        p.all("scale") or (8.0, 16.0, 32.0), p.integer("pre_nms_topn"), p.integer("post_nms_topn"),
        p.number("nms_thresh"),
    )  # fmt: skip
    n.require(min(*op.ratios, *op.scales) > 0 and len(op.ratios) * len(op.scales) <= MOST_KINDS, "no sound anchors")
    image = n[2] if n[2].type.rank == 2 else b.add(ops.Flatten(1), n[2])
    return list(b.add_all(op, n[0], n[1], image))
