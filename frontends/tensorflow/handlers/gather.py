"""Reading and writing by index, and what makes indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from ...forms import filled_up, gather_batched, kept_boxes
from .. import errors
from ..node import TfNode
from ..registry import tensorflow

_CHECKS = {"validate_indices": "a check", "Tindices": "the operands tell it", "bad_indices_policy": "a check"}


@tensorflow("Gather", ignores=_CHECKS)
def gather(n: TfNode, g: Builder) -> Value:
    """Gather along the first axis."""
    return g.add(ops.Gather(0), n[0], n[1])


@tensorflow("GatherV2", ignores=_CHECKS)
def gather_v2(n: TfNode, g: Builder) -> Value:
    """GatherV2 along an axis, the first ``batch_dims`` axes being common to both."""
    axis, batch = n.axis(n.integer(2, "axis")), n.whole("batch_dims")
    batch = batch + n[1].type.rank if batch < 0 else batch
    if batch:
        return gather_batched(g, n[0], n.wide(1), axis, batch)
    return g.add(ops.Gather(axis), n[0], n.wide(1) if n[1].type.dtype is DType.I16 else n[1])


@tensorflow("GatherNd", ignores=_CHECKS)
def gather_nd(n: TfNode, g: Builder) -> Value:
    """GatherNd."""
    return g.add(ops.GatherND(), n[0], n.wide(1))


@tensorflow("ScatterNd", ignores=_CHECKS)
def scatter_nd(n: TfNode, g: Builder) -> Value:
    """ScatterNd: the sum of the updates into zeros of the shape in operand 2."""
    zeros = g.add(ops.Expand(), n.like(0, n[1]), n.wide(2))
    return g.add(ops.ScatterND("add"), zeros, n.wide(0), n[1])


_WRITES = {
    "TensorScatterUpdate": "none", "TensorScatterAdd": "add", "TensorScatterMax": "max", "TensorScatterMin": "min",
}  # fmt: skip


@tensorflow(*_WRITES, ignores=_CHECKS)
def tensor_scatter(n: TfNode, g: Builder) -> Value:
    """A tensor with updates written, added or compared at indices."""
    return g.add(ops.ScatterND(_WRITES[n.op]), n[0], n.wide(1), n[2])


@tensorflow("TensorScatterSub", ignores=_CHECKS)
def tensor_scatter_sub(n: TfNode, g: Builder) -> Value:
    """TensorScatterSub."""
    return g.add(ops.ScatterND("add"), n[0], n.wide(1), g.add(ops.Neg(), n[2]))


@tensorflow("OneHot")
def one_hot(n: TfNode, g: Builder) -> Value:
    """OneHot: off all along for an index outside, which a negative one is too."""
    index, depth = n.wide(0), n.wide(1)
    outside = g.add(ops.Less(), index, g.constant(np.int64(0)))
    index = g.add(ops.Where(), outside, depth, index)
    values = g.add(ops.Concat(0), g.add(ops.Reshape((1,)), n[3]), g.add(ops.Reshape((1,)), n[2]))
    return g.add(ops.OneHot(n.axis(n.whole("axis"), n.rank + 1)), index, depth, values)


@tensorflow("DenseBincount", ignores={"Tidx": "the operands tell it", "T": "the operands tell it"})
def dense_bincount(n: TfNode, g: Builder) -> Value:
    """DenseBincount: how often each number below the size stands in a row, or the sum of its weights; or whether."""
    axis = n[0].type.rank - 1
    off_on = g.constant(np.array([0, 1], n[2].type.dtype.numpy))
    hits = g.add(ops.OneHot(axis + 1), n.wide(0), n.wide(1), off_on)
    if n.flag("binary_output"):
        return g.add(ops.ReduceMax((axis,), False), hits)
    if 0 not in n[2].type.shape:
        hits = g.add(ops.Mul(), hits, g.add(ops.Unsqueeze((axis + 1,)), n[2]))
    return g.add(ops.ReduceSum((axis,), False), hits)


@tensorflow("Where")
def where(n: TfNode, g: Builder) -> Value:
    """Where: the indices of what is true or not zero, one a row."""
    return g.add(ops.Transpose((1, 0)), g.add(ops.NonZero(), n[0]))


@tensorflow("InvertPermutation")
def invert_permutation(n: TfNode, g: Builder) -> Value:
    """InvertPermutation, of known numbers."""
    perm = n.constant(0, "permutation").ravel()
    if sorted(perm.tolist()) != list(range(perm.size)):
        raise errors.misfit(f"InvertPermutation of {perm.tolist()[:16]}")
    return g.constant(np.argsort(perm).astype(perm.dtype))


@tensorflow("Unique")
def unique(n: TfNode, g: Builder) -> Sequence[Value]:
    """Unique: the distinct elements as they are met, and for each element its place among them."""
    n.expect_rank(1)
    values, _, inverse, _ = g.add_all(ops.Unique(None, False), n[0])
    return [values, n.cast(inverse, n.dtype("out_idx"))]


# Matrices ----------------------------------------------------------------------------------------------------


@tensorflow("MatrixDiag", "Diag")
def matrix_diag(n: TfNode, g: Builder) -> Value:
    """The last axis on the diagonal of a matrix of zeros."""
    if n.op == "Diag":
        n.expect_rank(1)
    return _diagonal(n, g)


def _diagonal(n: TfNode, g: Builder) -> Value:
    found = n[0].type.shape[-1] if n.rank else None
    if not isinstance(found, int):
        raise errors.needs_static(f"the length of {n.op}'s {n[0].type}")
    wide = g.add(ops.Unsqueeze((n.rank - 1,)), n[0])
    return g.add(ops.Where(), g.constant(np.eye(found, dtype=bool)), wide, n.like(0, n[0]))


@tensorflow("MatrixDiagV2", "MatrixDiagV3", ignores={"align": "of several diagonals"})
def matrix_diag_v3(n: TfNode, g: Builder) -> Value:
    """MatrixDiagV3 of the main diagonal of a square matrix."""
    plain = n.integers(1, "k") in ((0,), (0, 0)) and n.integer(2, "rows") == n.integer(3, "columns") == -1
    if not plain or n.number(4, "padding") != 0:
        raise errors.form(f"{n.op} of another diagonal than the main one")
    return _diagonal(n, g)


@tensorflow("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3", ignores={"align": "of several diagonals"})
def matrix_diag_part(n: TfNode, g: Builder) -> Value:
    """The main diagonal of matrices."""
    if n.op != "MatrixDiagPart" and n.integers(1, "k") not in ((0,), (0, 0)):
        raise errors.form(f"{n.op} of another diagonal than the main one")
    rows, columns = n[0].type.shape[-2:] if n.rank >= 2 else (None, None)
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise errors.needs_static(f"the sizes of {n.op}'s {n[0].type}")
    count = min(rows, columns)
    flat = g.add(ops.Reshape((*(0,) * (n.rank - 2), rows * columns)), n[0])
    return g.add(ops.Gather(n.rank - 2), flat, g.constant(np.arange(count) * (columns + 1)))


@tensorflow("MatrixBandPart")
def matrix_band_part(n: TfNode, g: Builder) -> Value:
    """MatrixBandPart: what is at most so many below and above the diagonal (-1: all)."""
    lower, upper = n.integer(1, "num_lower"), n.integer(2, "num_upper")
    y = n[0]
    if lower >= 0:
        y = g.add(ops.Trilu(True, -lower), y)
    return g.add(ops.Trilu(False, upper), y) if upper >= 0 else y


# Boxes -------------------------------------------------------------------------------------------------------


@tensorflow("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3")
def non_max_suppression(n: TfNode, g: Builder) -> Value:
    """The boxes that are kept, as many as there are."""
    threshold = n.real("iou_threshold") if n.op == "NonMaxSuppression" else n.number(3, "threshold")
    least = n[4] if n.op.endswith("V3") else n.like(float("-inf"), n[1])
    return n.cast(kept_boxes(g, n[0], n[1], n.integer(2, "number of boxes"), threshold, least), DType.I32)


@tensorflow("NonMaxSuppressionV4")
def non_max_suppression_v4(n: TfNode, g: Builder) -> list[Value]:
    """NonMaxSuppressionV4: the boxes that are kept, filled up if so asked, and how many they are."""
    most = n.integer(2, "number of boxes")
    kept = kept_boxes(g, n[0], n[1], most, n.number(3, "threshold"), n[4])
    index, _, count = filled_up(g, kept, most)
    return [n.cast(index if n.flag("pad_to_max_output_size") else kept, DType.I32), n.cast(count, DType.I32)]


@tensorflow("NonMaxSuppressionV5")
def non_max_suppression_v5(n: TfNode, g: Builder) -> list[Value]:
    """NonMaxSuppressionV5 with a sigma of 0: as V4, and the scores of the kept ones, filled up with 0."""
    if n.number(5, "sigma") != 0:
        raise errors.form("NonMaxSuppressionV5 with a sigma other than 0")
    most = n.integer(2, "number of boxes")
    kept = kept_boxes(g, n[0], n[1], most, n.number(3, "threshold"), n[4])
    index, real, count = filled_up(g, kept, most)
    number = n.cast(count, DType.I32)
    if not n.flag("pad_to_max_output_size"):
        return [n.cast(kept, DType.I32), g.add(ops.Gather(0), n[1], kept), number]
    scores = g.add(ops.Gather(0), n[1], index)
    return [n.cast(index, DType.I32), g.add(ops.Where(), real, scores, n.like(0, scores)), number]
