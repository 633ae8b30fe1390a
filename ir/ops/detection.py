"""What detectors end with: boxes decoded, suppressed and gathered; and pools and proposals of regions.

Boxes are (xmin, ymin, xmax, ymax).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..op import Op, Types, expect, numel, operator, same_dtype
from ..types import UNKNOWN, Array, TensorType
from . import kernels
from .forms import Results, expect_dim, expect_length, in_f32

CODES = ("corner", "center_size", "corner_size")


@operator
class DetectionOutput(Op):
    """SSD's last layer: offsets from prior boxes and scores of classes become the boxes that are found.

    locations [N, P * 4], or [N, P * classes * 4] without ``share_location``; scores [N, P * classes]; priors
    [1, 2, P * 4] or [1, 1, P * 4]: the boxes, then their variances (absent with ``variance_encoded``, where they are in
    the locations). With a prior's center c and size s, and l times the variances, ``code`` 'center_size' gives the
    center c + l s and the size s exp(l); 'corner' adds l to the corners, 'corner_size' l s. ``clip`` keeps boxes
    within [0, 1].

    For each class but ``background``: of the boxes that score above ``score_threshold`` the best ``top_k`` (-1: all)
    are taken in order, and one that overlaps a kept one by more than ``overlap`` (intersection over union; times
    ``eta`` after each that is kept, while it is above 0.5) is dropped. Of all classes together the best ``keep_top_k``
    (-1: all) remain. Result [1, 1, K, 7]: (image, class, score, xmin, ymin, xmax, ymax), for each image by falling
    score; K is 0 where there is nothing. https://arxiv.org/abs/1512.02325, and its authors' branch of Caffe.
    """

    signature = "locations, scores, priors"
    classes: int
    background: int = 0
    share_location: bool = True
    code: str = "corner"
    variance_encoded: bool = False
    overlap: float = 0.3
    eta: float = 1.0
    top_k: int = -1
    keep_top_k: int = -1
    score_threshold: float = float("-inf")
    clip: bool = False

    def infer(self, locations: TensorType, scores: TensorType, priors: TensorType) -> Results:
        """[1, 1, ?, 7]."""
        same_dtype(locations, scores, priors)
        expect(self.code in CODES, f"code '{self.code}' is none of {', '.join(CODES)}")
        expect(self.classes > 0, f"{self.classes} classes")
        expect(locations.rank >= 2 and scores.rank >= 2, f"locations {locations} and scores {scores} should be [N, *]")
        expect(priors.rank == 3, f"priors {priors} should be [1, 2, P * 4]")
        rows = priors.shape[1]
        expect(rows == 2 or (rows == 1 and self.variance_encoded), f"priors {priors} have {rows} rows")
        count = priors.shape[2]
        if isinstance(count, int):
            expect(count % 4 == 0, f"{count} is no multiple of 4")
            kinds = 1 if self.share_location else self.classes
            wanted = ((locations, count * kinds, "locations"), (scores, count // 4 * self.classes, "scores"))
            for t, size, what in wanted:
                inner = t.with_shape(t.shape[1:])
                expect_dim(inner.numel if inner.is_static else UNKNOWN, size, f"the number of {what} of an image")
        expect_dim(locations.shape[0], scores.shape[0], "the batch of locations")
        return (locations.with_shape((1, 1, UNKNOWN, 7)),)

    @in_f32
    def evaluate(self, locations: Array, scores: Array, priors: Array) -> Array:
        """Image by image, class by class."""
        return kernels.detection.detections(self, locations, scores, priors)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """About ten for each box."""
        return 0 if operands[0] is None else 10 * numel(operands[0])


@operator
class PSRoiPool(Op):
    """The mean of each cell of a ``group`` x ``group`` grid over each region, each cell from channels of its own.

    x [N, dim * group^2, H, W], rois [R, 5] (image, x1, y1, x2, y2) in units that ``spatial_scale`` turns into elements,
    ends included -> [R, dim, group, group]; cell (i, j) of d reads channel (d * group + i) * group + j. Empty cells
    are 0.
    https://arxiv.org/abs/1605.06409
    """

    signature = "x, rois"
    dim: int
    group: int
    spatial_scale: float = 1.0

    def infer(self, x: TensorType, rois: TensorType) -> Results:
        """[R, dim, group, group]."""
        expect(x.rank == 4 and rois.rank == 2, f"x {x} and rois {rois} should be [N, C, H, W] and [R, 5]")
        same_dtype(x, rois)
        expect(self.dim > 0 and self.group > 0, f"{self.dim} values of {self.group} x {self.group} cells")
        expect_dim(rois.shape[1], 5, "the width of rois")
        expect_dim(x.shape[1], self.dim * self.group**2, f"the channels of x {x}")
        return (x.with_shape((rois.shape[0], self.dim, self.group, self.group)),)

    @in_f32
    def evaluate(self, x: Array, rois: Array) -> Array:
        """Region by region."""
        return kernels.detection.ps_roi_pool(x, rois, self.dim, self.group, self.spatial_scale)


@operator
class Proposal(Op):
    """Faster R-CNN's proposals: the regions of anchors that score best, moved by deltas and suppressed.

    scores [1, 2 A, H, W] (of background, then of objects), deltas [1, 4 A, H, W], image [1, 3] (height, width, scale).
    Anchors stand every ``stride`` elements: boxes of base^2 area for each of ``ratios`` (height to width) times each of
    ``scales``. Boxes are clipped to the image; those with a side below min_size * scale go; the best ``before`` are
    suppressed at ``overlap`` (sizes count both ends), and the best ``after`` remain.
    Results: rois [R, 5] (0, x1, y1, x2, y2) and their scores [R, 1]. https://arxiv.org/abs/1506.01497
    """

    signature = "scores, deltas, image"
    stride: int = 16
    base: int = 16
    min_size: int = 16
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    scales: tuple[float, ...] = (8.0, 16.0, 32.0)
    before: int = 6000
    after: int = 300
    overlap: float = 0.7

    def infer(self, scores: TensorType, deltas: TensorType, image: TensorType) -> Results:
        """[?, 5], [?, 1]."""
        same_dtype(scores, deltas, image)
        expect(
            scores.rank == 4 and deltas.rank == 4 and image.rank >= 1,
            f"scores {scores}, deltas {deltas}, image {image}",
        )
        expect_length(image.shape[:-1] if image.rank == 2 else (1,), 1, "the batch of image")
        anchors = len(self.ratios) * len(self.scales)
        expect(anchors > 0 and self.stride > 0 and self.base > 0, "no anchors")
        expect_dim(scores.shape[0], 1, "the batch of scores")
        expect_dim(scores.shape[1], 2 * anchors, f"the channels of scores {scores}")
        expect_dim(deltas.shape[1], 4 * anchors, f"the channels of deltas {deltas}")
        for a, b in zip(scores.shape[2:], deltas.shape[2:], strict=True):
            expect_dim(a, b, f"a size of scores {scores}")
        return scores.with_shape((UNKNOWN, 5)), scores.with_shape((UNKNOWN, 1))

    @in_f32
    def evaluate(self, scores: Array, deltas: Array, image: Array) -> tuple[Array, ...]:
        """By the formula."""
        return kernels.detection.proposals(self, scores, deltas, image)
