"""Normalisations, reductions and softmax."""

from __future__ import annotations

import numpy as np

from mconv.ir import Op, Value
from mconv.ir.ops import (
    LRN,
    Add,
    BatchNorm,
    CumSum,
    Div,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Max,
    MeanVarianceNormalize,
    Mul,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    RMSNorm,
    Softmax,
    Sqrt,
    Sub,
)

from ..param import Layer
from ..translate import Translation, layer, mat
from .movement import place, reshaped


@layer("BatchNorm")
def batch_norm(t: Translation, each: Layer) -> Value:
    """slope, mean, variance, bias; epsilon is 0 unless given."""
    channels, epsilon, x = each.whole(0, 0), each.real(1, 0.0), t.input()
    slope, mean, variance, bias = (t.raw(channels) for _ in range(4))
    return t.add(BatchNorm(epsilon), x, slope, bias, mean, variance)


@layer("LayerNorm", "RMSNorm")
def layer_norm(t: Translation, each: Layer) -> Value:
    """Over as many inner dimensions as affine_size says."""
    size, epsilon, affine, x = each.whole(0, 0), each.real(1, 0.001), each.whole(2, 1), t.input()
    own = mat(x)
    inner = _inner(own, size)
    shape = own[len(own) - inner :]
    weights = [t.raw(*shape) for _ in range(1 if each.kind == "RMSNorm" else 2)] if affine else []
    axis = 1 + len(own) - inner
    op: Op = RMSNorm(axis, epsilon) if each.kind == "RMSNorm" else LayerNorm(axis, epsilon)
    return t.add(op, x, *weights)


def _inner(own: tuple[int, ...], size: int) -> int:
    """How many inner dimensions are normalised together: w, or w h of three or four, else all but the outermost."""
    if len(own) < 3 or size == own[-1]:
        return 1
    return 2 if len(own) == 3 or size == own[-1] * own[-2] else 3


@layer("GroupNorm")
def group_norm(t: Translation, each: Layer) -> Value:
    """Over groups of the outermost dimension."""
    groups, channels, epsilon, affine = each.whole(0, 1), each.whole(1, 0), each.real(2, 0.001), each.whole(3, 1)
    x = t.input()
    weights = [t.raw(channels), t.raw(channels)] if affine else []
    flat = len(mat(x)) == 1
    result = t.add(GroupNorm(groups, epsilon), reshaped(t, x, (channels, 1)) if flat else x, *weights)
    return reshaped(t, result, (channels,)) if flat else result


@layer("InstanceNorm")
def instance_norm(t: Translation, each: Layer) -> Value:
    """Over each channel."""
    channels, epsilon, affine, x = each.whole(0, 0), each.real(1, 0.001), each.whole(2, 1), t.input()
    each.require(len(mat(x)) > 2, f"a blob of {len(mat(x))} dimensions")
    return t.add(InstanceNorm(epsilon), x, *([t.raw(channels), t.raw(channels)] if affine else []))


@layer("LRN")
def lrn(t: Translation, each: Layer) -> Value:
    """Across channels, of an odd size: of an even one ncnn takes one more or not, by the processor."""
    kind, size, alpha, beta, bias = (each.whole(0, 0), each.whole(1, 5), each.real(2, 1.0), each.real(3, 0.75),
                                     each.real(4, 1.0))  # fmt: skip
    each.require(kind == 0, "normalisation within a channel")
    each.require(size > 0 and size % 2 == 1, f"size {size}")
    return t.add(LRN(size, alpha, beta, bias), t.input())


@layer("MVN")
def mvn(t: Translation, each: Layer) -> Value:
    """Over each channel, or all; only the mean is taken away where normalize_variance is 0."""
    variance, across, epsilon, x = each.whole(0, 0), each.whole(1, 0), each.real(2, 0.0001), t.input()
    axes = tuple(range(1 if across else 2, len(mat(x)) + 1))
    if variance:
        return t.add(MeanVarianceNormalize(axes, epsilon), x)
    return t.add(Sub(), x, t.add(ReduceMean(axes), x))


@layer("Normalize")
def normalize(t: Translation, each: Layer) -> Value:
    """x / norm * scale: over the whole, each channel, or each position."""
    spatial, shared, epsilon = each.whole(0, 0), each.whole(1, 0), each.real(2, 0.0001)
    count, channel, mode, x = each.whole(3, 0), each.whole(4, 1), each.whole(9, 0), t.input()
    own = mat(x)
    each.require(spatial or channel, "neither across channels nor across space")
    each.require(mode in (0, 1, 2), f"eps_mode {mode}")
    axes = tuple(range(1 if channel else 2, len(own) + 1)) if spatial else (1,)
    total = t.add(ReduceSumSquare(axes), x)
    eps = t.number(epsilon)
    if mode == 1:
        norm = t.add(Max(), t.add(Sqrt(), total), eps)
    else:
        norm = t.add(Sqrt(), t.add(Add() if mode == 0 else Max(), total, eps))
    scale = t.raw_array(count)
    each.require(scale.size == (1 if shared else own[0]), f"{count} scales")
    shape = (1, -1, *(1,) * (len(own) - 1))
    return t.add(Mul(), t.add(Div(), x, norm), t.constant(np.ascontiguousarray(scale.reshape(shape))))


@layer("Softmax")
def softmax(t: Translation, each: Layer) -> Value:
    """Along an axis; without the mark of new files only along the outermost."""
    axis, marked, x = each.whole(0, 0), each.whole(1, 0), t.input()
    each.require(marked or axis == 0, "the file is too old for ncnn itself (fixbug0)")
    return t.add(Softmax(place(each, axis, len(mat(x)))), x)


_REDUCTIONS = {
    0: ReduceSum, 1: ReduceL1, 2: ReduceSumSquare, 3: ReduceMean, 4: ReduceMax, 5: ReduceMin, 6: ReduceProd,
    7: ReduceL1, 8: ReduceL2, 9: ReduceLogSum, 10: ReduceLogSumExp,
}  # fmt: skip


@layer("Reduction")
def reduction(t: Translation, each: Layer) -> Value:
    """Over axes or everything, times a coefficient."""
    kind, everything, factor = each.whole(0, 0), each.whole(1, 1), each.real(2, 1.0)
    axes, keepdims, marked, x = each.wholes(3), each.whole(4, 0), each.whole(5, 0), t.input()
    rank = len(mat(x))
    each.require(kind in _REDUCTIONS, f"operation {kind}")
    each.require(marked or not axes, "the file is too old for ncnn itself (fixbug0)")
    places = tuple(range(1, rank + 1)) if everything or not axes else tuple(place(each, a, rank) for a in axes)
    places = tuple(sorted(set(places)))
    result = t.add(_REDUCTIONS[kind](places, bool(keepdims)), x)
    if not mat(result):
        result = reshaped(t, result, (1,))
    return result if factor == 1 else t.add(Mul(), result, t.number(factor))


@layer("CumulativeSum")
def cumulative_sum(t: Translation, each: Layer) -> Value:
    """Along an axis."""
    axis, x = each.whole(0, 0), t.input()
    return t.add(CumSum(1 if len(mat(x)) == 1 else place(each, axis, len(mat(x)))), x)
