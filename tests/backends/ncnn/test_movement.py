"""Data movement in the real runtime: every permutation, axis and form of Mats."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mconv.ir.ops import (
    ChannelShuffle,
    Concat,
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    Pad,
    Reshape,
    Slice,
    SpaceToDepth,
    Split,
    Tile,
    Transpose,
    Trilu,
    Unsqueeze,
)

from .nets import refused, same

SHAPES = [(2, 3, 4, 5), (1, 8, 4, 5), (1, 8), (3, 4), (7,), (1, 6, 7), (1, 2, 3, 4, 5)]
FAR = 2**63 - 1


def holds(shape: tuple[int, ...]) -> bool:
    """True when a Mat can hold the shape."""
    return len(shape) - (len(shape) > 1 and shape[0] == 1) <= 4


@pytest.mark.parametrize("shape", [*SHAPES, (8, 16), (3, 1, 4), (1, 16, 8, 4), (2, 1, 3, 1), (1, 1, 5, 3)], ids=str)
def test_transpose(shape: tuple[int, ...]) -> None:
    for perm in itertools.permutations(range(len(shape))):
        if holds(tuple(shape[axis] for axis in perm)):
            same(Transpose(perm), shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_concat_and_split(shape: tuple[int, ...]) -> None:
    for axis, size in enumerate(shape):
        others = [(*shape[:axis], n, *shape[axis + 1 :]) for n in (3, 4)]
        if holds((*shape[:axis], size + 7, *shape[axis + 1 :])) and all(map(holds, others)):
            same(Concat(axis), shape, *others)
            same(Concat(axis), shape, others[0], constants=(1,))
        same(Concat(axis), shape)
        same(Split(axis, (size,)), shape)
        if size > 1:
            same(Split(axis, (1, size - 1)), shape, results=2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_slices(shape: tuple[int, ...]) -> None:
    for axis, size in enumerate(shape):
        if size > 1:
            for start, end, step in ((1, FAR, 1), (-2, -1, 1), (-1, -FAR, -1)):
                same(Slice((start,), (end,), (axis,), (step,)), shape)
        if size > 2:
            for start, end, step in ((0, FAR, 2), (1, FAR, 2), (0, FAR, 3), (1, -1, 2), (-1, -FAR, -2)):
                same(Slice((start,), (end,), (axis,), (step,)), shape)
    last = len(shape) - 1
    if last:
        same(Slice((1, 0), (3, 2), (last, 0), (1, 1)), shape)
        same(Slice((0, 0), (FAR, FAR), (last, last - 1), (2, 1)), shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gather_by_constants(shape: tuple[int, ...]) -> None:
    for axis, size in enumerate(shape):
        if holds((*shape[:axis], 3, *shape[axis + 1 :])):
            same(Gather(axis), shape, np.array([0, size - 1, 0]), constants=(1,))
        same(Gather(axis), shape, np.int64(-1), constants=(1,))
        for indices in (np.arange(size), np.arange(size)[::-1].copy()):
            same(Gather(axis), shape, indices, constants=(1,))


def test_lookups() -> None:
    for indices in (np.array([[1, 2, 3]]), np.array([[1, 2], [9, 0]]), np.array([1, 2, 9, 0], np.int32)):
        text = same(Gather(0), (10, 6), indices, constants=(0,))
        assert "Embed" in text
    same(Gather(0), (10, 3, 2), np.array([1, 2, 9, 0]), constants=(0,))
    assert "computed" in refused(Gather(1), (10, 6), np.array([1, 2]))
    assert "pieces" in refused(Gather(0), (400,), np.arange(0, 400, 2), constants=(1,))


PADS = ["constant", "edge", "reflect"]


@pytest.mark.parametrize("mode", PADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pads(shape: tuple[int, ...], mode: str) -> None:
    rank = len(shape)
    for axis, size in enumerate(shape):
        for begin, end in ((1, 2), (-1, 1)):
            pads = [0] * (2 * rank)
            pads[axis], pads[rank + axis] = begin, end
            after = (*shape[:axis], size + begin + end, *shape[axis + 1 :])
            if size + min(begin, 0) > (max(begin, end) if mode == "reflect" else 1) and holds(after):
                same(Pad(mode, tuple(pads), 1.5), shape)
    if mode != "reflect":
        same(Pad(mode, (0, *(1,) * (rank - 1), 0, *(2,) * (rank - 1)), 1.5), shape)


def test_pads_of_packed_channels() -> None:
    same(Pad("constant", (0, 3, 0, 0, 0, 2, 0, 0)), (1, 16, 6, 7))
    same(Pad("constant", (0, 8, 0, 1, 0, 8, 0, 0)), (1, 16, 6, 7))
    for mode in ("constant", "edge"):
        same(Pad(mode, (0, 1, 1, 2, 1, 0, 0, 2, 1, 3)), (1, 8, 3, 4, 5))
    assert "mirrors" in refused(Pad("reflect", (0, 3, 0, 0)), (2, 3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_renaming_makes_no_layer(shape: tuple[int, ...]) -> None:
    for op in (Flatten(1), Unsqueeze((0,)), Reshape((-1,))):
        if holds(op.infer(_type(shape), *(None,) * (len(op.operands()) - 1))[0].shape):
            text = same(op, shape)
            assert text.count("\n") <= 5, "no more than input, Reshape or Split"


def _type(shape: tuple[int, ...]):  # type: ignore[no-untyped-def]
    from mconv.ir import DType, TensorType

    return TensorType(DType.F32, shape)


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 8, 1, 1), (1, 8, 6, 5)), ((8, 1), (8, 6)), ((1, 3), (4, 3)), ((3,), (2, 4, 3)), ((), (3, 4)),
     ((1, 1, 4, 1), (2, 3, 4, 5)), ((2, 1, 3, 1), (2, 4, 3, 5)), ((1, 8, 1, 1), (1, 8, 1, 1)),
     ((1, 2, 1, 3, 1), (1, 2, 4, 3, 5))], ids=str,
)  # fmt: skip
def test_expand(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    same(Expand(after), before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tile(shape: tuple[int, ...]) -> None:
    repeats = (2, 1, 3, 2)[: len(shape)] if len(shape) < 5 else (1, 2, 1, 3, 2)
    same(Tile(repeats), shape)


def test_channels_and_space() -> None:
    for mode in ("DCR", "CRD"):
        same(DepthToSpace(2, mode), (1, 16, 3, 4))
        same(DepthToSpace(3, mode), (1, 9, 3, 4))
    same(SpaceToDepth(2), (1, 3, 4, 6))
    same(SpaceToDepth(2), (1, 8, 4, 6))
    for groups, shape in ((4, (1, 16, 3, 5)), (2, (1, 6, 3, 5)), (3, (1, 6, 5))):
        same(ChannelShuffle(groups), shape)


def test_triangles() -> None:
    for shape, upper, k in itertools.product([(4, 5), (2, 3, 4, 5), (1, 4, 5)], (True, False), (-1, 0, 2)):
        same(Trilu(upper, k), shape)
