"""What detectors end with: DetectionOutput, pools over regions, proposals. ncnn has them without the image's number."""

from __future__ import annotations

from mconv.ir import Node, Value
from mconv.ir.ops import (
    DetectionOutput,
    Flatten,
    MaxRoiPool,
    Proposal,
    PSRoiPool,
    Reshape,
    Softmax,
    Squeeze,
    Unsqueeze,
)

from ..backend import ncnn
from ..net import Net, Param
from .conditions import floats, one_image, rank, static
from .movement import pad
from .pool import few_regions, regions

ALL = 2**31 - 1
LEAST = -3.4e38


def standard_decoding(node: Node) -> bool | str:
    """boxes are coded by center and size, with variances beside the priors, one for all classes; background is 0."""
    op = node.op
    assert isinstance(op, DetectionOutput)
    rules = {
        f"boxes are coded by {op.code}": op.code == "center_size",
        "variances are in the locations": not op.variance_encoded,
        "each class has boxes of its own": op.share_location,
        f"the background is class {op.background}": op.background == 0,
        "the threshold of suppression changes on the way": op.eta == 1,
        "boxes are clipped": not op.clip,
    }
    return next((what for what, holds in rules.items() if not holds), True)


def softmax_scores(node: Node) -> bool | str:
    """scores come from a Softmax over the classes (ncnn skips boxes whose background scores high)."""
    op = node.op
    assert isinstance(op, DetectionOutput)
    value: Value | None = node.inputs[1]
    while value is not None and value.producer is not None:
        maker = value.producer
        if isinstance(maker.op, Softmax):
            last = maker.op.axis == value.type.rank - 1 and value.type.shape[-1] == op.classes
            return True if last else "its Softmax is not over the classes"
        if not isinstance(maker.op, Reshape | Flatten | Squeeze | Unsqueeze):
            break
        value = maker.inputs[0]
    return "its scores come from no Softmax"


def operands_known(node: Node) -> bool | str:
    """the sizes of its operands are known."""
    other = [v for v in node.inputs if not v.type.is_static]
    return (
        f"the sizes of %{other[0].name}: {other[0].type} must be known; fix them with --input-shape" if other else True
    )


@ncnn.emits(DetectionOutput, where=(floats, operands_known, one_image, standard_decoding, softmax_scores))
def detection_output(node: Node, net: Net) -> None:
    """DetectionOutput, whose rows get the image's number in front."""
    op = node.op
    assert isinstance(op, DetectionOutput)
    locations, scores, priors = node.inputs
    blobs = [net.shaped(v, (v.type.numel or 0,)) for v in (locations, scores)]
    blobs.append(net.shaped(priors, (2, int(str(priors.type.shape[2])))))
    params: dict[int, Param] = {
        0: op.classes, 1: float(op.overlap), 2: op.top_k if op.top_k >= 0 else ALL,
        3: op.keep_top_k if op.keep_top_k >= 0 else ALL, 4: max(float(op.score_threshold), LEAST),
        5: 0.1, 6: 0.1, 7: 0.2, 8: 0.2,
    }  # fmt: skip
    count = node.result.type.shape[2]
    rows = net.layer("DetectionOutput", blobs, (count, 6), params, suffix="rows")
    net.note(f"where nothing is found ncnn gives no Mat for '{node.result.name}': extract() returns -100")
    net.give(node.result, pad(net, rows, (0, 1), (0, 0), "constant", 0.0))


@ncnn.emits(MaxRoiPool, where=(static, rank(4), few_regions))
def roi_pooling(node: Node, net: Net) -> None:
    """One ROIPooling a region; the image can only be the first."""
    op = node.op
    assert isinstance(op, MaxRoiPool)
    height, width = op.pooled_shape
    regions(node, net, "ROIPooling", {0: width, 1: height, 2: float(op.spatial_scale)}, 1)


@ncnn.emits(PSRoiPool, where=(static, rank(4), few_regions))
def ps_roi_pooling(node: Node, net: Net) -> None:
    """One PSROIPooling a region; the image can only be the first."""
    op = node.op
    assert isinstance(op, PSRoiPool)
    params: dict[int, Param] = {0: op.group, 1: op.group, 2: float(op.spatial_scale), 3: op.dim}
    regions(node, net, "PSROIPooling", params, 1)


def fixed_anchors(node: Node) -> bool | str:
    """the ratios are 0.5, 1 and 2, the scales 8, 16 and 32, the only ones that ncnn has."""
    op = node.op
    assert isinstance(op, Proposal)
    found = op.ratios == (0.5, 1.0, 2.0) and op.scales == (8.0, 16.0, 32.0)
    return True if found else f"its anchors have ratios {op.ratios} and scales {op.scales}"


@ncnn.emits(Proposal, where=(floats, operands_known, one_image, fixed_anchors))
def proposal(node: Node, net: Net) -> None:
    """Proposal, whose regions get the image's number in front. It measures boxes by one element less."""
    op = node.op
    assert isinstance(op, Proposal)
    scores, deltas, image = node.inputs
    params: dict[int, Param] = {
        0: op.stride, 1: op.base, 2: op.before if op.before > 0 else ALL, 3: op.after if op.after > 0 else ALL,
        4: float(op.overlap), 5: op.min_size,
    }  # fmt: skip
    blobs = [net.held(scores), net.held(deltas), net.shaped(image, (int(str(image.type.numel)),))]
    count, points = (v.type.shape[0] for v in node.results)
    boxes, marks = net.layers_of("Proposal", blobs, [(count, 1, 4), (points, 1, 1)], params, suffix="boxes")
    rois = pad(net, boxes, (0, 0, 1), (0, 0, 0), "constant", 0.0, suffix="image")
    net.note("ncnn's Proposal measures overlaps without the last row and column: a region at the edge may differ")
    net.give(node.results[0], net.reshaped(rois, (count, 5)))
    net.give(node.results[1], net.reshaped(marks, (points, 1)))
