"""Reading and writing by index, and what makes indices."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from ...forms import filled_up, gather_batched, kept_boxes
from .. import errors
from ..node import TfliteNode
from ..registry import tflite
from .movement import as_type

MOST_PLACES = 1 << 22
"""Indices that are written out for one DYNAMIC_UPDATE_SLICE."""


@tflite("GATHER", options="GatherOptions")
def gather(n: TfliteNode, g: Builder) -> Value:
    """GATHER along an axis, the first ``batch_dims`` axes being common to both."""
    axis, batch = n.axis(n.option("Axis")), n.option("BatchDims")
    batch = batch + n[1].type.rank if batch < 0 else batch
    if not batch:
        return g.add(ops.Gather(axis), n[0], n.wide(1) if n[1].type.dtype is DType.I16 else n[1])
    return gather_batched(g, n[0], n.wide(1), axis, batch)


@tflite("GATHER_ND", options="GatherNdOptions")
def gather_nd(n: TfliteNode, g: Builder) -> Value:
    """GATHER_ND."""
    return g.add(ops.GatherND(), n[0], n.wide(1))


@tflite("SCATTER_ND", options="ScatterNdOptions")
def scatter_nd(n: TfliteNode, g: Builder) -> Value:
    """SCATTER_ND: the sum of the updates into zeros of the shape in operand 2."""
    if n.quantization(1) is not None:
        raise errors.form("SCATTER_ND of a quantized tensor, whose gaps are not zeros")
    zeros = g.add(ops.Expand(), n.number(0, n[1]), n.wide(2))
    return g.add(ops.ScatterND("add"), zeros, n.wide(0), n[1])


@tflite("DYNAMIC_UPDATE_SLICE", options="DynamicUpdateSliceOptions")
def dynamic_update_slice(n: TfliteNode, g: Builder) -> Value:
    """DYNAMIC_UPDATE_SLICE: operand 1 written into operand 0 from a place on, which is clamped so that it fits."""
    if not (n[0].type.is_static and n[1].type.is_static):
        raise errors.needs_static(f"the sizes of DYNAMIC_UPDATE_SLICE's {n[0].type} and {n[1].type}")
    whole, part = n[0].type.static_shape, n[1].type.static_shape
    if len(whole) != len(part) or any(p > w for p, w in zip(part, whole, strict=True)):
        raise errors.misfit(f"DYNAMIC_UPDATE_SLICE of {n[1].type} into {n[0].type}")
    depth = max((i + 1 for i in range(len(whole)) if whole[i] != part[i]), default=0)
    if not depth:
        return g.add(ops.Identity(), n[1])
    if np.prod(part[:depth], dtype=np.float64) > MOST_PLACES:
        raise errors.form(f"DYNAMIC_UPDATE_SLICE of {n[1].type}, which is too large to write place by place")
    places = np.stack(np.meshgrid(*(np.arange(p) for p in part[:depth]), indexing="ij"), axis=-1).astype(np.int64)
    room = np.array([w - p for w, p in zip(whole, part, strict=True)], np.int64)[:depth]
    start = g.add(ops.Slice((0,), (depth,), (0,), (1,)), n.wide(2))
    start = g.add(ops.Min(), g.add(ops.Max(), start, g.constant(np.zeros(depth, np.int64))), g.constant(room))
    return g.add(ops.ScatterND(), n[0], g.add(ops.Add(), g.constant(places), start), n[1])


@tflite("ONE_HOT", options="OneHotOptions")
def one_hot(n: TfliteNode, g: Builder) -> Value:
    """ONE_HOT: off all along for an index outside, which a negative one is too."""
    index, depth = n.wide(0), n.wide(1)
    depth = depth if depth.type.rank == 0 else g.add(ops.Reshape(()), depth)
    outside = g.add(ops.Less(), index, g.constant(np.int64(0)))
    index = g.add(ops.Where(), outside, depth, index)
    values = g.add(ops.Concat(0), g.add(ops.Reshape((1,)), n[3]), g.add(ops.Reshape((1,)), n[2]))
    return g.add(ops.OneHot(n.axis(n.option("Axis"), n.rank + 1)), index, depth, values)


@tflite("WHERE", options="WhereOptions")
def where(n: TfliteNode, g: Builder) -> Value:
    """WHERE: the indices of what is true or not zero, one a row."""
    return g.add(ops.Transpose((1, 0)), g.add(ops.NonZero(), n.real(0)))


@tflite("UNIQUE", options="UniqueOptions", ignores={"IdxOutType": "the result's tensor tells it"})
def unique(n: TfliteNode, g: Builder) -> list[Value]:
    """UNIQUE: the distinct elements as they are met, and for each element its place among them."""
    n.expect_rank(1)
    values, _, inverse, _ = g.add_all(ops.Unique(None, False), n[0])
    return [values, as_type(n, inverse, 1)]


@tflite("MATRIX_DIAG", options="MatrixDiagOptions")
def matrix_diag(n: TfliteNode, g: Builder) -> Value:
    """MATRIX_DIAG: the last axis on the diagonal of a matrix of zeros."""
    size = n[0].type.shape[-1] if n.rank else None
    if not isinstance(size, int):
        raise errors.needs_static(f"the length of MATRIX_DIAG's {n[0].type}")
    wide = g.add(ops.Unsqueeze((n.rank - 1,)), n[0])
    return g.add(ops.Where(), g.constant(np.eye(size, dtype=bool)), wide, n.number(0, n[0]))


@tflite("NON_MAX_SUPPRESSION_V4", options="NonMaxSuppressionV4Options")
def non_max_suppression_v4(n: TfliteNode, g: Builder) -> list[Value]:
    """NON_MAX_SUPPRESSION_V4: the boxes that are kept, filled up with 0, and how many they are."""
    index, _, count = _kept(n, g)
    return [index, count]


@tflite("NON_MAX_SUPPRESSION_V5", options="NonMaxSuppressionV5Options")
def non_max_suppression_v5(n: TfliteNode, g: Builder) -> list[Value]:
    """NON_MAX_SUPPRESSION_V5 with a sigma of 0: as V4, and the scores of the kept ones, filled up with 0."""
    if n.constant(5, "sigma").ravel().tolist() != [0.0]:
        raise errors.form("NON_MAX_SUPPRESSION_V5 with a sigma other than 0")
    index, real, count = _kept(n, g)
    scores = g.add(ops.Gather(0), n.real(1), index)
    return [index, g.add(ops.Where(), real, scores, n.number(0, scores)), count]


def _kept(n: TfliteNode, g: Builder) -> tuple[Value, Value, Value]:
    """Indices filled up to the number asked for, which of them are real, and how many these are.

    A box goes where it overlaps a better one by the threshold or more: by more than the float below it.
    """
    most = n.integer(2, "number of boxes")
    threshold = n.constant(3, "threshold").reshape(-1)
    if most < 0 or threshold.size != 1:
        raise errors.misfit(f"{n.name} of {most} boxes")
    below = np.nextafter(np.float32(threshold[0]), np.float32(-1), dtype=np.float32)
    kept = kept_boxes(g, n.real(0), n.real(1), most, float(below), n.real(4))
    index, real, count = filled_up(g, kept, most)
    return n.scope.cast(index, DType.I32), real, n.scope.cast(count, DType.I32)
