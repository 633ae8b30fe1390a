"""Pooling and regions."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import AveragePool, MatMul, MaxPool, ReduceMax, ReduceMean, Reshape, RoiAlign

from ..param import Layer
from ..translate import Translation, layer, mat
from .conv import same_pads, sizes

_KERNEL, _STRIDE, _OUT = (1, 11, 21), (2, 12, 22), (8, 18, 28)
MAX, AVERAGE = 0, 1
FULL, VALID, UPPER, LOWER = range(4)


def _pads(each: Layer, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Begins and ends, outermost axis first (parameters 3 14, 13 15, 23 16)."""
    left = each.whole(3, 0)
    right = each.whole(14, left)
    top = each.whole(13, left) if axes > 1 else 0
    bottom = each.whole(15, top) if axes > 1 else 0
    front = each.whole(23, left) if axes > 2 else 0
    behind = each.whole(16, front) if axes > 2 else 0
    return (front, top, left)[3 - axes :], (behind, bottom, right)[3 - axes :]


@layer("Pooling", "Pooling1D", "Pooling3D")
def pooling(t: Translation, each: Layer) -> Value:
    """MaxPool or AveragePool with the padding written out; over everything a reduction."""
    axes = 1 if each.kind.endswith("1D") else 3 if each.kind.endswith("3D") else 2
    kind, mode, counted = each.whole(0, 0), each.whole(5, 0), each.whole(6, 0)
    kernel, strides, (begins, ends) = sizes(each, _KERNEL, axes, 0), sizes(each, _STRIDE, axes, 1), _pads(each, axes)
    everything, adaptive, outs = each.whole(4, 0), each.whole(7, 0), sizes(each, _OUT, axes, 0)
    each.require(kind in (MAX, AVERAGE), f"pooling_type {kind}")
    x = t.input()
    each.require(len(mat(x)) == axes + 1, f"a blob of {len(mat(x))} dimensions")
    if everything:
        over = tuple(range(2, axes + 2))
        return t.add(ReduceMax(over, False) if kind == MAX else ReduceMean(over, False), x)
    if adaptive:
        return _adaptive(t, each, x, kind, outs)
    each.require(min(*kernel, *strides) > 0 and min(*begins, *ends) >= 0, "a size is not positive")
    each.require(FULL <= mode <= LOWER, f"pad_mode {mode}")
    if mode in (UPPER, LOWER):
        padding = same_pads(mat(x)[1:], kernel, strides, mode == LOWER)
        # ncnn counts the padding that it adds in these modes as elements
        counted = 1
    else:
        tails = _tails(mat(x)[1:], kernel, strides, begins, ends) if mode == FULL else (0,) * axes
        padding = (*begins, *(end + tail for end, tail in zip(ends, tails, strict=True)))
    ones = (1,) * axes
    if kind == MAX:
        return t.add(MaxPool(kernel, strides, padding, ones), x)
    return t.add(AveragePool(kernel, strides, padding, ones, count_include_pad=bool(counted)), x)


def _tails(
    sizes_: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    begins: tuple[int, ...],
    ends: tuple[int, ...],
) -> tuple[int, ...]:
    """What pad_mode 0 adds so that the last window is whole."""
    rests = [
        (size + begin + end - k) % stride
        for size, k, stride, begin, end in zip(sizes_, kernel, strides, begins, ends, strict=True)
    ]
    return tuple(stride - rest if rest else 0 for rest, stride in zip(rests, strides, strict=True))


def _adaptive(t: Translation, each: Layer, x: Value, kind: int, outs: tuple[int, ...]) -> Value:
    """Windows of equal size where the sizes divide; else, of averages, a product with a matrix for each axis."""
    before = mat(x)[1:]
    outs = tuple(size if out == -233 else out for size, out in zip(before, outs, strict=True))
    each.require(min(outs) > 0, "a size is not positive")
    if all(size % out == 0 for size, out in zip(before, outs, strict=True)):
        kernel = tuple(size // out for size, out in zip(before, outs, strict=True))
        zeros, ones = (0,) * (2 * len(outs)), (1,) * len(outs)
        return t.add((MaxPool if kind == MAX else AveragePool)(kernel, kernel, zeros, ones), x)
    each.require(kind == AVERAGE and len(outs) == 2, "adaptive windows of different sizes")
    each.require(max(*outs, *before) <= 4096, "adaptive windows over more than 4096 elements")
    rows, columns = (_means(size, out) for size, out in zip(before, outs, strict=True))
    return t.add(MatMul(), t.constant(rows), t.add(MatMul(), x, t.constant(np.ascontiguousarray(columns.T))))


def _means(size: int, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    matrix = np.zeros((count, size), np.float32)
    for i in range(count):
        start, end = size * i // count, -(-size * (i + 1) // count)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


@layer("ROIAlign")
def roi_align(t: Translation, each: Layer) -> Value:
    """RoiAlign of one region."""
    width, height, scale = each.whole(0, 0), each.whole(1, 0), each.real(2, 1.0)
    ratio, aligned, version = each.whole(3, 0), each.whole(4, 0), each.whole(5, 0)
    each.require(version == 1, f"version {version}")
    x, region = t.inputs(2)
    region = t.add(Reshape((1, 4)), region)
    image = t.constant(np.zeros(1, np.int64))
    return t.add(RoiAlign("avg", height, width, ratio, scale, bool(aligned)), x, region, image)
