"""Convolutions and pools in the real runtime, in all their attributes."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import Op
from mconv.ir.ops import (
    AveragePool,
    Clip,
    Conv,
    ConvTranspose,
    DeformConv,
    HardSwish,
    LeakyRelu,
    LpPool,
    MaxPool,
    Mish,
    Relu,
    RoiAlign,
    Sigmoid,
)

from .nets import emit, graph_of, numbers, refused, same

CONVOLUTIONS = {
    "1d": (Conv((1,), (0, 0), (1,)), (1, 3, 10), (8, 3, 3), (8,)),
    "2d": (Conv((1, 1), (1, 1, 1, 1), (1, 1)), (1, 3, 10, 9), (8, 3, 3, 3), (8,)),
    "2d, everything uneven": (Conv((2, 1), (0, 1, 2, 3), (1, 2)), (1, 3, 10, 9), (8, 3, 3, 2), None),
    "3d": (Conv((1, 2, 1), (0, 1, 2, 1, 0, 2), (1, 1, 1)), (1, 3, 6, 7, 8), (8, 3, 3, 2, 3), (8,)),
    "depthwise": (Conv((1, 1), (1, 1, 1, 1), (1, 1), 8), (1, 8, 10, 9), (8, 1, 3, 3), (8,)),
    "groups": (Conv((1, 1), (1, 1, 1, 1), (1, 1), 2), (1, 8, 10, 9), (6, 4, 3, 3), (6,)),
    "1d groups": (Conv((1,), (1, 1), (1,), 2), (1, 8, 10), (6, 4, 3), (6,)),
    "3d groups": (Conv((1, 1, 1), (1,) * 6, (1, 1, 1), 4), (1, 4, 5, 6, 7), (8, 1, 3, 3, 3), (8,)),
    "a batch": (Conv((1, 1), (1, 0, 2, 1), (1, 1)), (2, 3, 10, 9), (8, 3, 3, 3), (8,)),
    "a batch, 1d": (Conv((2,), (1, 0), (1,), 3), (3, 3, 10), (6, 1, 3), (6,)),
    "one element": (Conv((1, 1), (0,) * 4, (1, 1), 1, Relu()), (1, 16, 1, 1), (8, 16, 1, 1), (8,)),
    "wide pads": (Conv((2, 1), (3, 3, 3, 3), (1, 1)), (1, 3, 5, 4), (8, 3, 5, 5), (8,)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name: str) -> None:
    op, *operands = CONVOLUTIONS[name]
    same(op, *operands, constants=(1, 2))


@pytest.mark.parametrize(
    "op", [Conv((1, 1), (1, 0, 1, 2), (1, 1)), Conv((2, 1), (1, 0, 1, 2), (1, 1), 4)], ids=["whole", "depthwise"]
)
def test_computed_weights(op: Conv) -> None:
    same(op, (1, 4, 9, 5), (8, 4 // op.groups, 3, 3), (8,))
    same(op, (1, 4, 9, 5), (8, 4 // op.groups, 3, 3))


def test_computed_weights_of_one_axis() -> None:
    same(Conv((1,), (1, 0), (1,), 2), (1, 4, 9), (8, 2, 3), (8,))


@pytest.mark.parametrize(
    "activation",
    [None, Relu(), LeakyRelu(0.2), Clip(None, 6), Clip(-1, None), Clip(-0.5, 0.5), Sigmoid(), Mish(), HardSwish()],
    ids=str,
)
def test_carried_activation(activation: Op | None) -> None:
    op = Conv((1, 1), (1, 1, 1, 1), (1, 1), 1, activation)
    text = same(op, (1, 3, 10, 9), (8, 3, 3, 3), (8,), constants=(1, 2))
    assert len(text.splitlines()) == 2 + 2, "the activation is no layer of its own"


@pytest.mark.parametrize(("dilation", "pad", "kernel"), [(12, 12, 3), (24, 24, 3), (36, 36, 3), (20, 20, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_taps_that_read_only_padding_are_dropped(dilation: int, pad: int, kernel: int, stride: int) -> None:
    op = Conv((stride, stride), (pad,) * 4, (dilation, dilation))
    size = max(15, dilation * (kernel - 1) + 5 - 2 * pad)
    text = same(op, (1, 4, size, size - 1), (8, 4, kernel, kernel), (8,), constants=(1, 2))
    if dilation > size:
        assert " 1=1 2=" in text, "a 1x1 kernel is left"


DECONVOLUTIONS = {
    "2d": (ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1)), (1, 3, 5, 6), (3, 8, 3, 3), (8,)),
    "uneven": (
        ConvTranspose((2, 3), (1, 0, 0, 1), (1, 2), output_padding=(1, 2)), (1, 3, 5, 6), (3, 8, 3, 3), (8,),
    ),
    "depthwise": (ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1), 4), (1, 4, 5, 6), (4, 1, 4, 4), (4,)),
    "groups": (ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1), 2), (1, 4, 5, 6), (4, 3, 4, 4), None),
    "1d": (ConvTranspose((2,), (1, 0), (1,), activation=Relu()), (1, 4, 5), (4, 3, 4), (3,)),
    "1d groups": (ConvTranspose((2,), (1, 0), (1,), 2, (1,)), (1, 4, 5), (4, 3, 4), (6,)),
    "3d": (ConvTranspose((2, 1, 2), (1, 0, 0, 0, 1, 1), (1, 1, 1)), (1, 4, 5, 4, 3), (4, 3, 4, 3, 2), (3,)),
    "3d groups": (ConvTranspose((2, 1, 2), (1, 0, 0, 0, 1, 1), (1, 1, 1), 2), (1, 4, 5, 4, 3), (4, 3, 4, 3, 2), (6,)),
    "a batch": (ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1)), (2, 3, 5, 6), (3, 8, 3, 3), (8,)),
}  # fmt: skip


@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_deconvolution(name: str) -> None:
    op, *operands = DECONVOLUTIONS[name]
    same(op, *operands, constants=(1, 2))


@pytest.mark.parametrize("name", ["2d", "groups", "1d", "1d groups"])
def test_deconvolution_with_computed_weights(name: str) -> None:
    op, *operands = DECONVOLUTIONS[name]
    same(op, *operands)


def test_deformable_convolution() -> None:
    offset, mask = numbers(1, 18, 7, 8) * 2, np.abs(numbers(1, 9, 7, 8))
    same(DeformConv((1, 1), (1, 1, 1, 1), (1, 1)), (1, 3, 7, 8), (8, 3, 3, 3), offset, (8,), mask, constants=(1, 3))
    offset = numbers(1, 18, 4, 4) * 2
    same(DeformConv((2, 1), (1, 0, 1, 0), (1, 2)), (1, 3, 7, 8), (5, 3, 3, 3), offset, (5,), constants=(1, 3))


def test_refused_convolutions() -> None:
    negative = Conv((1, 1), (-1, 0, 0, 0), (1, 1))
    assert "no pad is negative" in refused(negative, (1, 3, 9, 9), (8, 3, 3, 3), constants=(1,))
    assert "batch" in refused(Conv((1,) * 3, (0,) * 6, (1,) * 3), (2, 3, 5, 5, 5), (8, 3, 3, 3, 3), constants=(1,))
    assert "computed" in refused(Conv((1, 1), (0,) * 4, (1, 1)), (2, 3, 9, 9), (8, 3, 3, 3))


WINDOWS = [
    ((3, 3), (2, 2), (1, 1, 1, 1)),
    ((2, 3), (2, 1), (0, 1, 0, 0)),
    ((3, 2), (3, 2), (0, 0, 0, 0)),
    ((2, 2), (2, 2), (1, 0, 0, 1)),
    ((3, 3), (1, 1), (2, 0, 1, 1)),
]


@pytest.mark.parametrize("ceil", [False, True], ids=["floor", "ceil"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_pools(window: tuple[tuple[int, ...], ...], ceil: bool) -> None:
    kernel, strides, pads = window
    same(MaxPool(kernel, strides, pads, (1, 1), ceil), (1, 8, 10, 9))
    for counted in (False, True):
        same(AveragePool(kernel, strides, pads, (1, 1), ceil, counted), (1, 8, 10, 9))


@pytest.mark.parametrize("ceil", [False, True], ids=["floor", "ceil"])
def test_pools_of_other_ranks(ceil: bool) -> None:
    for counted in (False, True):
        same(AveragePool((3,), (2,), (1, 1), (1,), ceil, counted), (1, 8, 10))
        same(AveragePool((3, 2, 2), (2, 2, 1), (1, 0, 0, 1, 1, 0), (1,) * 3, ceil, counted), (1, 4, 10, 7, 6))
    same(MaxPool((3,), (2,), (1, 1), (1,), ceil), (2, 8, 10))
    same(MaxPool((3, 3, 2), (2, 2, 2), (1, 1, 0, 1, 0, 0), (1, 1, 1), ceil), (1, 8, 10, 5, 6))


def test_lp_pool() -> None:
    for p in (1, 2):
        same(LpPool((3, 2), (2, 1), (1, 0, 0, 1), (1, 1), p=p), (2, 3, 9, 8))


def test_roi_align() -> None:
    rois = np.array([[1, 2, 20, 25], [4, 4, 14, 30]], np.float32)
    same(RoiAlign("avg", 3, 4, 2, 0.5, True), (1, 4, 16, 16), rois, np.zeros(2, np.int64), constants=(2,))
    same(RoiAlign("avg", 3, 4, 0, 1.0, False), (1, 4, 16, 16), rois[:1] / 2, np.zeros(1, np.int64), constants=(2,))


def test_dilated_pool_is_refused() -> None:
    assert "dilated" in refused(MaxPool((2, 2), (1, 1), (0,) * 4, (2, 2)), (1, 3, 9, 9))


def test_bias_and_weights_are_views() -> None:
    graph, _ = graph_of(Conv((1, 1), (1,) * 4, (1, 1)), [(1, 3, 9, 9), (8, 3, 3, 3), (8,)], (1, 2))
    artifact = emit(graph)
    weight = graph.constants[0].constant
    chunks = [c for c in artifact.files[".bin"]() if isinstance(c, memoryview)]
    assert any(np.shares_memory(np.frombuffer(chunk, np.float32), weight) for chunk in chunks if chunk.nbytes > 8)
