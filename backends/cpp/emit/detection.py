"""What detectors end with: boxes decoded, suppressed and gathered."""

from __future__ import annotations

import math

from mconv.ir import DType, Node
from mconv.ir import ops as o
from mconv.ir.ops.kernels.detection import anchors

from ..backend import cpp
from ..net import Net
from .common import truth
from .formulas import literal
from .general_windows import only_f32


def _numbers(*items: object) -> str:
    return "{" + ", ".join(map(str, items)) + "}"


@cpp.emits(o.DetectionOutput, where=(only_f32,))
def detection_output(node: Node, net: Net) -> None:
    """Image by image, class by class."""
    op = node.op
    assert isinstance(op, o.DetectionOutput)
    locations, scores, priors = (net.planar(v) for v in node.inputs)
    count = priors.shape[2] // 4
    kinds = 1 if op.share_location else op.classes
    y, sizes = net.sized(node.result)
    thresholds = [literal(float(n), DType.F32) for n in (op.overlap, op.eta, op.score_threshold)]
    numbers = _numbers(
        scores.shape[0], count, op.classes, op.background, kinds, op.top_k, op.keep_top_k,
        f"CODE_{op.code.upper()}", truth(op.variance_encoded), truth(op.clip), *thresholds,
    )  # fmt: skip
    pointers = ", ".join(map(net.ptr, (locations, scores, priors, y, sizes)))
    scratch = 8 * count * (1 + op.classes)
    text = f"static const Detections s{numbers};\ndetection_output(r, s, {pointers});"
    net.step(text, [locations, scores, priors], [y, sizes], needs=["detection"], scratch=scratch)


@cpp.emits(o.Proposal, where=(only_f32,))
def proposal(node: Node, net: Net) -> None:
    """All anchors moved, the best kept."""
    op = node.op
    assert isinstance(op, o.Proposal)
    scores, deltas, image = (net.planar(v) for v in node.inputs)
    base = net.constant(anchors(op.base, op.ratios, op.scales))
    rois, roi_sizes = net.sized(node.results[0])
    kept, sizes = net.sized(node.results[1])
    _, _, height, width = scores.shape
    thresholds = [literal(float(n), DType.F32) for n in (op.min_size, op.overlap)]
    numbers = _numbers(base.shape[0], height, width, op.stride, op.before, op.after, *thresholds)
    pointers = ", ".join(map(net.ptr, (base, scores, deltas, image, rois, kept, roi_sizes, sizes)))
    scratch = 24 * math.prod((base.shape[0], height, width))
    text = f"static const Proposals s{numbers};\nproposals(r, s, {pointers});"
    views = [rois, kept, roi_sizes, sizes]
    net.step(text, [base, scores, deltas, image], views, needs=["detection"], scratch=scratch)
