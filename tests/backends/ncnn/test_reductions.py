"""Normalisations, reductions, softmax in the real runtime."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mconv.ir.ops import (
    LRN,
    ArgMax,
    ArgMin,
    BatchNorm,
    CumSum,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LogSoftmax,
    LpNormalize,
    MeanVarianceNormalize,
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
)

from .nets import numbers, refused, same

IMAGES = [(1, 8, 6, 5), (2, 8, 6, 5), (1, 8, 7), (1, 8, 2, 3, 4), (2, 8, 3)]
SHAPES = [(1, 8, 6, 5), (2, 3, 4, 5), (1, 8), (3, 8), (7,), (1, 8, 7), (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("shape", [*IMAGES, (1, 8), (3, 8)], ids=str)
def test_batch_norm(shape: tuple[int, ...]) -> None:
    same(BatchNorm(1e-3), shape, (8,), (8,), (8,), np.abs(numbers(8)), constants=(1, 2, 3, 4))


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_norms_over_channels(shape: tuple[int, ...]) -> None:
    same(GroupNorm(4, 1e-4), shape, (8,), (8,), constants=(1, 2))
    same(GroupNorm(2, 1e-4), shape)
    same(InstanceNorm(1e-4), shape, (8,), (8,), constants=(1, 2))
    same(InstanceNorm(1e-4), shape)
    same(InstanceNorm(1e-4), shape, None, (8,), constants=(2,))


@pytest.mark.parametrize("shape", [*IMAGES, (1, 8), (3, 8), (1, 4, 8, 4)], ids=str)
def test_norms_over_inner_axes(shape: tuple[int, ...]) -> None:
    for axis in range(1, len(shape)):
        inner = shape[axis:]
        same(LayerNorm(axis, 1e-4), shape, inner, inner, constants=(1, 2))
        same(LayerNorm(axis, 1e-4), shape, inner[-1:], constants=(1,))
        same(LayerNorm(axis, 1e-4), shape)
        same(RMSNorm(axis, 1e-4), shape, inner, constants=(1,))
        same(RMSNorm(axis, 1e-4), shape)


@pytest.mark.parametrize("shape", [*IMAGES, (3, 8)], ids=str)
def test_lp_normalize(shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        for p, epsilon, mode in ((1, 0.0, "max"), (2, 0.0, "max"), (2, 1e-3, "add"), (2, 3.0, "max")):
            same(LpNormalize(axis, p, epsilon, mode), shape)


def test_lp_normalize_of_zeros() -> None:
    same(LpNormalize(1), np.zeros((1, 4, 3), np.float32))


def test_local_response() -> None:
    same(LRN(5, 1e-2, 0.75, 1.5), (1, 16, 6, 5))
    same(LRN(3, 1.0, 0.5, 1.0), (1, 7, 5))
    same(LRN(3), (1, 7, 5, 3, 2))
    assert "odd" in refused(LRN(4), (1, 16, 6, 5))


def test_mean_and_variance() -> None:
    for axes in ((2, 3), (1, 2, 3), (0, 2, 3)):
        same(MeanVarianceNormalize(axes), (1, 4, 5, 6))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reductions(shape: tuple[int, ...], keepdims: bool) -> None:
    kinds = [ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSumExp]
    for count in range(1, len(shape) + 1):
        for number, axes in enumerate(itertools.combinations(range(len(shape)), count)):
            for kind in kinds if len(shape) < 4 or not number else kinds[number % 3 :: 3]:
                same(kind(axes, keepdims), shape)
        same(ReduceProd(axes, keepdims), shape, rtol=1e-3)
        same(ReduceLogSum(axes, keepdims), np.abs(numbers(*shape)) + 0.1)


def test_whole_channels_are_pooled() -> None:
    for op in (ReduceMean((2, 3)), ReduceMean((3, 2)), ReduceMax((2, 3), False), ReduceMean((2, 3, 4))):
        shape = (1, 8, 6, 5) if max(op.axes or ()) < 4 else (1, 8, 6, 5, 4)
        assert "Pooling" in same(op, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        same(Softmax(axis), shape)
        same(LogSoftmax(axis), numbers(*shape) * 30)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_arg_extremes_with_ties(shape: tuple[int, ...]) -> None:
    for axis, keepdims, last in itertools.product(range(len(shape)), (False, True), (False, True)):
        for kind in (ArgMax, ArgMin):
            same(kind(axis, keepdims, last), np.round(numbers(*shape)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_sums(shape: tuple[int, ...]) -> None:
    for axis, exclusive, reverse in itertools.product(range(len(shape)), (False, True), (False, True)):
        same(CumSum(axis, exclusive, reverse), shape)
