"""Pools over windows, over everything, and to a given size."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from .. import errors
from ..node import KerasNode
from ..registry import keras
from .conv import entered, left, pads_of

MOST_PLACES = 64
"""Places along an axis of an adaptive maximum whose windows differ."""


@keras("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
def pool(n: KerasNode, g: Builder) -> Value:
    """MaxPooling and AveragePooling. Averages count no padding."""
    rank = int(n.cls[-2])
    x, first = entered(n, g, rank)
    kernel = n.settings.integers("pool_size", rank, 2)
    strides = kernel if n.settings.get("strides", None) is None else n.settings.integers("strides", rank)
    padding = n.settings.text("padding", "valid", of=("valid", "same"))
    ones = (1,) * rank
    window = (kernel, strides, pads_of(n, x, padding, kernel, strides, ones), ones)
    op: Op = ops.MaxPool(*window) if n.cls.startswith("Max") else ops.AveragePool(*window)
    return left(g, g.add(op, x), first)


@keras("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GlobalAveragePooling1D",
       "GlobalAveragePooling2D", "GlobalAveragePooling3D", mask="read")  # fmt: skip
def global_pool(n: KerasNode, g: Builder) -> Value:
    """The greatest or mean element of each channel; the mean along one axis leaves out what a mask hides."""
    rank = int(n.cls[-2])
    x = n.only()
    n.expect_rank(rank + 2)
    first, keep = n.settings.channels_first(), n.settings.flag("keepdims", False)
    axes = tuple(range(2, rank + 2)) if first else tuple(range(1, rank + 1))
    mask = n.mask() if n.cls == "GlobalAveragePooling1D" else None
    if mask is None:
        return g.add((ops.ReduceMax if "Max" in n.cls else ops.ReduceMean)(axes, keep), x)
    weight = n.cast(g.add(ops.Unsqueeze((1 if first else 2,)), n.cast(mask, DType.BOOL)), x.type.dtype)
    total = g.add(ops.ReduceSum(axes, keep), g.add(ops.Mul(), x, weight))
    return g.add(ops.Div(), total, g.add(ops.ReduceSum(axes, keep), weight))


@keras("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
       "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D")  # fmt: skip
def adaptive_pool(n: KerasNode, g: Builder) -> Value:
    """Place i of n of an axis of s elements pools those from floor(i s / n) to before ceil((i + 1) s / n)."""
    rank = int(n.cls[-2])
    x, first = entered(n, g, rank)
    wanted = n.settings.integers("output_size", rank)
    sizes = [n.static(x, 2 + i, "the size") for i in range(rank)]
    if any(w < 1 or s < 1 for w, s in zip(wanted, sizes, strict=True)):
        raise errors.misfit(f"{n.settings.what} of {x.type} to {wanted}")
    maximum = "Max" in n.cls
    if all(s % w == 0 for s, w in zip(sizes, wanted, strict=True)):
        kernel = tuple(s // w for s, w in zip(sizes, wanted, strict=True))
        window = (kernel, kernel, (0,) * (2 * rank), (1,) * rank)
        return left(g, g.add(ops.MaxPool(*window) if maximum else ops.AveragePool(*window), x), first)
    for axis, (size, places) in enumerate(zip(sizes, wanted, strict=True), 2):
        if size != places:
            x = _maxima(n, g, x, axis, size, places) if maximum else _means(n, g, x, axis, size, places)
    return left(g, x, first)


def _ranges(size: int, places: int) -> list[tuple[int, int]]:
    return [(i * size // places, -(-(i + 1) * size // places)) for i in range(places)]


def _means(n: KerasNode, g: Builder, x: Value, axis: int, size: int, places: int) -> Value:
    """Means along an axis: a product with a matrix of weights."""
    weights = np.zeros((places, size), x.type.dtype.numpy)
    for i, (start, end) in enumerate(_ranges(size, places)):
        weights[i, start:end] = 1 / (end - start)
    last = x.type.rank - 1
    perm = tuple(last if a == axis else axis if a == last else a for a in range(last + 1))
    x = g.add(ops.Transpose(perm), x) if axis != last else x
    x = g.add(ops.Linear(), x, n.constant(weights, "means"))
    return g.add(ops.Transpose(perm), x) if axis != last else x


def _maxima(n: KerasNode, g: Builder, x: Value, axis: int, size: int, places: int) -> Value:
    if places > MOST_PLACES:
        raise errors.form(f"{n.settings.what} to {places} places, whose windows differ in size")
    parts = [
        g.add(ops.ReduceMax((axis,), True), g.add(ops.Slice((start,), (end,), (axis,), (1,)), x))
        for start, end in _ranges(size, places)
    ]
    return g.add(ops.Concat(axis), *parts)
