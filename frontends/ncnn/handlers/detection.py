"""What detectors end with. ncnn's regions and detections have no image's number; the IR's have, in front."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Op, Value
from mconv.ir.ops import DetectionOutput, MaxRoiPool, Pad, Proposal, PSRoiPool, Reshape, Slice, Squeeze, Unsqueeze
from mconv.ir.ops.shape import END

from ..param import Layer
from ..translate import Translation, layer, mat


@layer("DetectionOutput")
def detection_output(t: Translation, each: Layer) -> Value:
    """Rows of class, score and corners; boxes are coded by center and size, and class 0 is the background."""
    classes, overlap, top_k, keep = each.whole(0, 0), each.real(1, 0.05), each.whole(2, 300), each.whole(3, 100)
    threshold = each.real(4, 0.5)
    each.ignore(5, 6, 7, 8)  # variances of the form that MXNet has
    each.require(classes > 0, "the form that MXNet has")
    locations, scores, priors = t.inputs(3)
    each.require(len(mat(priors)) == 2 and mat(priors)[0] == 2, f"priors {priors.type}")
    flat = [t.add(Reshape((1, -1)), value) for value in (locations, scores)]
    op = DetectionOutput(classes, 0, True, "center_size", False, overlap, 1.0, top_k, keep, threshold)
    rows = t.add(Squeeze((0,)), t.add(op, *flat, priors))
    return t.add(Slice((1,), (END,), (2,)), rows)


def _pool(t: Translation, op: Op) -> Value:
    """A pool over the one region x1, y1, x2, y2 of the one image."""
    x, corners = t.inputs(2)
    region = t.add(Pad("constant", (0, 1, 0, 0), 0.0), t.add(Reshape((1, 4)), corners))
    return t.add(op, x, region)


@layer("ROIPooling")
def roi_pooling(t: Translation, each: Layer) -> Value:
    """MaxRoiPool."""
    width, height, scale = each.whole(0, 0), each.whole(1, 0), each.real(2, 1.0)
    each.require(width > 0 and height > 0, "a size is not positive")
    return _pool(t, MaxRoiPool((height, width), scale))


@layer("PSROIPooling")
def ps_roi_pooling(t: Translation, each: Layer) -> Value:
    """PSRoiPool of a square grid."""
    width, height, scale, dim = each.whole(0, 7), each.whole(1, 7), each.real(2, 0.0625), each.whole(3, 0)
    each.require(width == height and width > 0 and dim > 0, f"a grid of {height} by {width}")
    return _pool(t, PSRoiPool(dim, width, scale))


@layer("Proposal")
def proposal(t: Translation, each: Layer) -> Sequence[Value]:
    """Regions and their scores, one a channel."""
    stride, base, before, after = each.whole(0, 16), each.whole(1, 16), each.whole(2, 6000), each.whole(3, 300)
    overlap, least = each.real(4, 0.7), each.whole(5, 16)
    scores, deltas, image = t.inputs(3)
    op = Proposal(stride, base, least, before=before, after=after, overlap=overlap)
    rois, marks = t.add_all(op, scores, deltas, t.add(Reshape((1, -1)), image))
    corners = t.add(Slice((1,), (END,), (1,)), rois)
    return [t.add(Unsqueeze((0, 2)), each_) for each_ in (corners, marks)]
