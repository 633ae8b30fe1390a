"""Reading and writing by index, and what makes indices. Negative indices count from an axis's end."""

from __future__ import annotations

import numpy as np

from ..op import Op, Types, expect, operator, same_dtype
from ..types import UNKNOWN, Array, DType, TensorType, product
from . import kernels
from .forms import Results, expect_axis, expect_dim, expect_integer, given

REDUCTIONS = ("none", "add", "mul", "max", "min")


def _check_reduction(reduction: str) -> None:
    expect(reduction in REDUCTIONS, f"reduction '{reduction}' is none of {', '.join(REDUCTIONS)}")


@operator
class Gather(Op):
    """The slices of x along ``axis`` that the indices name; the indices' axes stand in the axis's place."""

    signature = "x, indices"
    axis: int = 0

    def infer(self, x: TensorType, indices: TensorType) -> Results:
        """x.shape[:axis] + indices.shape + x.shape[axis + 1:]."""
        expect_axis(self.axis, x.rank)
        expect_integer(indices, "the index")
        return (x.with_shape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :])),)

    def evaluate(self, x: Array, indices: Array) -> Array:
        """numpy's take."""
        return np.take(x, indices.astype(np.int64), axis=self.axis)


@operator
class GatherElements(Op):
    """y[i, j, k] = x[i, indices[i, j, k], k], here with ``axis`` 1: one index a result element."""

    signature = "x, indices"
    axis: int = 0

    def infer(self, x: TensorType, indices: TensorType) -> Results:
        """The indices' shape."""
        expect_axis(self.axis, x.rank)
        expect_integer(indices, "the index")
        expect(x.rank == indices.rank, f"x {x} and indices {indices} differ in rank")
        return (x.with_shape(indices.shape),)

    def evaluate(self, x: Array, indices: Array) -> Array:
        """One indexed read."""
        return x[kernels.indexing.along(indices, self.axis, x.shape[self.axis])]


@operator
class GatherND(Op):
    """y[b, i, ...] = x[b, *indices[b, i], ...]: the last axis of indices holds the head of an index into x.

    The first ``batch_dims`` axes are common to both.
    """

    signature = "x, indices"
    batch_dims: int = 0

    def infer(self, x: TensorType, indices: TensorType) -> Results:
        """indices.shape[:-1] + the axes of x that the index does not reach."""
        expect_integer(indices, "the index")
        expect(indices.rank >= 1 and x.rank >= 1, f"x {x} or indices {indices} is a scalar")
        depth = indices.shape[-1]
        expect(isinstance(depth, int), f"the length of an index in {indices} is known only at run time")
        taken = self.batch_dims + int(str(depth))
        expect(taken <= x.rank and self.batch_dims < indices.rank, f"indices {indices} reach too deep into {x}")
        return (x.with_shape((*indices.shape[:-1], *x.shape[taken:])),)

    def evaluate(self, x: Array, indices: Array) -> Array:
        """One indexed read."""
        return kernels.indexing.gather_nd(x, indices.astype(np.int64), self.batch_dims)


@operator
class ScatterElements(Op):
    """x, but y[i, indices[i, j], k] (here ``axis`` 1) is updates[i, j, k], or is reduced with it.

    ``reduction``: 'none' (of several the last wins), 'add', 'mul', 'max', 'min'.
    """

    signature = "x, indices, updates"
    axis: int = 0
    reduction: str = "none"

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> Results:
        """x's type."""
        expect_axis(self.axis, x.rank)
        expect_integer(indices, "the index")
        same_dtype(x, updates)
        _check_reduction(self.reduction)
        expect(x.rank == indices.rank == updates.rank, f"x {x}, indices {indices}, updates {updates} differ in rank")
        return (x,)

    def evaluate(self, x: Array, indices: Array, updates: Array) -> Array:
        """One indexed write."""
        return kernels.indexing.scatter(
            x, kernels.indexing.along(indices, self.axis, x.shape[self.axis]), updates, self.reduction
        )


@operator
class ScatterND(Op):
    """x, but y[*indices[i], ...] is updates[i, ...], or is reduced with it (see ScatterElements)."""

    signature = "x, indices, updates"
    reduction: str = "none"

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> Results:
        """x's type."""
        expect_integer(indices, "the index")
        same_dtype(x, updates)
        _check_reduction(self.reduction)
        expect(x.rank >= 1 and indices.rank >= 1, f"x {x} or indices {indices} is a scalar")
        depth = indices.shape[-1]
        if isinstance(depth, int):
            expect(depth <= x.rank, f"indices {indices} reach too deep into {x}")
            expect(
                updates.rank == indices.rank - 1 + x.rank - depth, f"updates {updates} do not fit {indices} into {x}"
            )
        return (x,)

    def evaluate(self, x: Array, indices: Array, updates: Array) -> Array:
        """One indexed write."""
        index = tuple(np.moveaxis(indices.astype(np.int64), -1, 0))
        return kernels.indexing.scatter(x, index, updates, self.reduction)


@operator
class OneHot(Op):
    """values = [off, on]: on where the new axis's position is the index, else off; off all along for one outside.

    The new ``axis`` (of the result, ``depth`` long) runs through the classes.
    """

    signature = "indices, [depth], values"
    axis: int
    depth: int | None = None

    def infer(self, indices: TensorType, depth: TensorType | None, values: TensorType) -> Results:
        """The indices' shape with the new axis."""
        expect_axis(self.axis, indices.rank + 1)
        expect(values.rank == 1, f"values {values} should be [off, on]")
        size = UNKNOWN if self.depth is None else self.depth
        return (values.with_shape((*indices.shape[: self.axis], size, *indices.shape[self.axis :])),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The one number, whole."""
        if content.size != 1 or not isinstance(content.reshape(()).item(), int | float):
            return None
        return self.replace(depth=int(content.reshape(()).item()))

    def evaluate(self, indices: Array, depth: Array | None, values: Array) -> Array:
        """By comparing."""
        count = int(given(self.depth, None if depth is None else depth.reshape(())))
        wanted = np.expand_dims(indices.astype(np.int64), self.axis)
        wanted = np.where(wanted < 0, wanted + count, wanted)
        shape = [1] * wanted.ndim
        shape[self.axis] = count
        return np.asarray(np.where(wanted == np.arange(count).reshape(shape), values[1], values[0]))


@operator
class NonZero(Op):
    """The indices of the elements that are not zero, i64 [rank of x, how many], in row-major order."""

    signature = "x"

    def infer(self, x: TensorType) -> Results:
        """i64 [rank, ?]."""
        return (TensorType(DType.I64, (x.rank, UNKNOWN)),)

    def evaluate(self, x: Array) -> Array:
        """numpy's; a scalar has no axis."""
        if x.ndim == 0:
            return np.zeros((0, int(bool(x))), np.int64)
        return np.array(np.nonzero(x), dtype=np.int64).reshape(x.ndim, -1)


@operator
class Unique(Op):
    """The distinct elements of x, or with ``axis`` the distinct slices; by value, or in the order they are met.

    Results: y; indices (where each is met first); inverse (for each element or slice of x its place in y);
    counts. The last three are i64 of one axis.
    """

    signature = "x"
    axis: int | None = None
    sorted: bool = True

    def infer(self, x: TensorType) -> Results:
        """y, indices, inverse, counts."""
        found = TensorType(DType.I64, (UNKNOWN,))
        if self.axis is None:
            return x.with_shape((UNKNOWN,)), found, TensorType(DType.I64, (product(x.shape),)), found
        expect_axis(self.axis, x.rank)
        y = x.with_shape(UNKNOWN if i == self.axis else d for i, d in enumerate(x.shape))
        return y, found, TensorType(DType.I64, (x.shape[self.axis],)), found

    def evaluate(self, x: Array) -> tuple[Array, ...]:
        """By numpy's unique."""
        return kernels.indexing.unique(x, self.axis, self.sorted)


@operator
class Compress(Op):
    """The slices of x along ``axis`` (None: the elements of x flattened) where condition (bool, one axis) holds.

    A condition shorter than the axis leaves the rest out.
    """

    signature = "x, condition"
    axis: int | None = None

    def infer(self, x: TensorType, condition: TensorType) -> Results:
        """How many is in the condition."""
        expect(condition.dtype is DType.BOOL and condition.rank == 1, f"the condition is {condition}, not bool[n]")
        if self.axis is None:
            return (x.with_shape((UNKNOWN,)),)
        expect_axis(self.axis, x.rank)
        return (x.with_shape(UNKNOWN if i == self.axis else d for i, d in enumerate(x.shape)),)

    def evaluate(self, x: Array, condition: Array) -> Array:
        """numpy's compress."""
        return np.compress(condition, x, axis=self.axis)


@operator
class NonMaxSuppression(Op):
    """Which boxes to keep: in each image and class, by score, those that overlap no better one too much.

    boxes [B, N, 4] as (y1, x1, y2, x2), any two opposite corners, or with ``center_point_box`` (x, y, width, height);
    scores [B, classes, N]; a box is dropped where its intersection over union with a kept one exceeds
    iou_threshold (0 if absent), or its score does not exceed score_threshold. At most max_output boxes a class (none
    if absent). Result i64 [kept, 3]: image, class, box.
    """

    signature = "boxes, scores, max_output?, iou_threshold?, score_threshold?"
    center_point_box: bool = False

    def infer(
        self,
        boxes: TensorType,
        scores: TensorType,
        max_output: TensorType | None,
        iou_threshold: TensorType | None,
        score_threshold: TensorType | None,
    ) -> Results:
        """i64 [?, 3]."""
        expect(
            boxes.rank == 3 and scores.rank == 3, f"boxes {boxes}, scores {scores} are not [B, N, 4], [B, classes, N]"
        )
        expect_dim(boxes.shape[2], 4, "the width of boxes")
        expect_dim(scores.shape[2], boxes.shape[1], "the number of scores")
        return (TensorType(DType.I64, (UNKNOWN, 3)),)

    def evaluate(
        self,
        boxes: Array,
        scores: Array,
        max_output: Array | None,
        iou_threshold: Array | None,
        score_threshold: Array | None,
    ) -> Array:
        """Class by class."""
        limit = 0 if max_output is None else int(max_output.reshape(()))
        overlap = 0.0 if iou_threshold is None else float(iou_threshold.reshape(()))
        least = -np.inf if score_threshold is None else float(score_threshold.reshape(()))
        return kernels.suppression.non_max_suppression(boxes, scores, limit, overlap, least, self.center_point_box)


@operator
class TensorScatter(Op):
    """past with update written along ``axis``, from write_indices[b] (0 if absent) on for each b of axis 0.

    ``mode`` 'linear', or 'circular' where places beyond the end go on at the begin. For key and value caches.
    """

    signature = "past, update, write_indices?"
    mode: str = "linear"
    axis: int = 2

    def infer(self, past: TensorType, update: TensorType, write_indices: TensorType | None) -> Results:
        """past's type."""
        same_dtype(past, update)
        expect(past.rank == update.rank, f"past {past} and update {update} differ in rank")
        expect_axis(self.axis, past.rank)
        expect(self.axis > 0, "axis 0 is the batch")
        return (past,)

    def evaluate(self, past: Array, update: Array, write_indices: Array | None) -> Array:
        """One indexed write a batch element."""
        return kernels.indexing.tensor_scatter(past, update, write_indices, self.mode == "circular", self.axis)
