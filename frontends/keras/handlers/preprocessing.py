"""Layers that prepare inputs, as far as they compute with numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Value, ops
from mconv.ir.types import Array

from .. import errors
from ..config import Layer, revived
from ..node import KerasNode
from ..registry import keras
from ..settings import WIDE
from ..weights import Slots, SlotsOf, slots
from .conv import to_first, to_last
from .reshape import resampling


def _numbers(n: KerasNode, key: str, default: Any) -> Array:
    """A setting that is a number or an array of numbers."""
    found = revived(n.settings.get(key, default))
    try:
        array = np.asarray(getattr(found, "value", found), np.float64)
    except (ValueError, TypeError) as error:
        raise errors.misfit(f"{n.settings.what} with {key} {str(found)[:60]}") from error
    if not np.isfinite(array).all():
        raise errors.misfit(f"{n.settings.what} with {key} that is no number")
    return array.astype(n.settings.dtype.numpy if n.settings.dtype.is_float else np.float32)


@keras("Rescaling", mask="pass")
def rescaling(n: KerasNode, g: Builder) -> Value:
    """Rescaling: x * scale + offset; integers become floats."""
    scale, offset = _numbers(n, "scale", 1.0), _numbers(n, "offset", 0.0)
    x = n.cast(n.only(), DType.of(scale.dtype))
    if not (scale.ndim == 0 and scale == 1):
        x = g.add(ops.Mul(), x, n.constant(scale, "scale"))
    return x if offset.ndim == 0 and offset == 0 else g.add(ops.Add(), x, n.constant(offset, "offset"))


def _normal_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    return slots(fixed=("mean", "variance", "count")) if layer.config.get("mean") is None else Slots()


@keras("Normalization", weights=_normal_slots, mask="pass")
def normalization(n: KerasNode, g: Builder) -> Value:
    """Normalization by means and variances that are weights or settings; the spread is at least 1e-7."""
    x = n.only()
    given = n.settings.get("axis", -1)
    axes = () if given is None else n.axes(given)
    shape = [n.static(x, a, "a size") if a in axes else 1 for a in range(x.type.rank)]
    mean, variance = (_statistic(n, name, shape) for name in ("mean", "variance"))
    x = n.cast(x, DType.of(mean.dtype))
    spread = np.maximum(np.sqrt(variance), np.array(1e-7, variance.dtype))
    factors = [n.constant(v, name) for v, name in ((mean, "mean"), (spread, "spread"))]
    if n.settings.flag("invert", False):
        return g.add(ops.Add(), g.add(ops.Mul(), x, factors[1]), factors[0])
    return g.add(ops.Div(), g.add(ops.Sub(), x, factors[0]), factors[1])


def _statistic(n: KerasNode, name: str, shape: list[int]) -> Array:
    stored = n.settings.get(name, None) is None
    array = n.weight(name) if stored else _numbers(n, name, 0.0)
    size = int(np.prod(shape, dtype=np.int64))
    if array.size not in (1, size):
        raise errors.bad_weights(f"{name} of {n.settings.what} has shape {list(array.shape)}")
    return np.broadcast_to(array.reshape(shape if array.size == size else ()), shape)


@keras("Resizing", ignores={"fill_mode": "read with pad_to_aspect_ratio", "fill_value": "as fill_mode"})
def resizing(n: KerasNode, g: Builder) -> Value:
    """Resizing of images to a height and a width."""
    for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if n.settings.flag(key, False):
            raise errors.form(f"{n.settings.what} with {key}")
    sizes = n.settings.integer("height"), n.settings.integer("width")
    mode = n.settings.text("interpolation", "bilinear")
    return resized(n, g, n.only(), sizes, mode, n.settings.flag("antialias", False), n.settings.channels_first())


def resized(
    n: KerasNode, g: Builder, x: Value, sizes: tuple[int, ...], mode: str, antialias: bool, first: bool
) -> Value:
    """Images [N, H, W, C] (or with channels first) of those sizes."""
    if x.type.rank != 4 or len(sizes) != 2 or min(sizes) < 1:
        raise errors.misfit(f"{n.settings.what} of {x.type} to {sizes}")
    if x.type.dtype.is_integer:
        x = n.cast(x, DType.F32)
    y = x if first else to_first(g, x)
    y = g.add(resampling(n, mode, (2, 3), antialias).replace(sizes=tuple(sizes)), y)
    return y if first else to_last(g, y)


@keras("CenterCrop")
def center_crop(n: KerasNode, g: Builder) -> Value:
    """CenterCrop of images that are larger."""
    x, s = n.only(), n.settings
    n.expect_rank(4)
    start = 2 if s.channels_first() else 1
    wanted = (s.integer("height"), s.integer("width"))
    sizes = [n.static(x, start + i, "the size") for i in range(2)]
    if any(size < w for size, w in zip(sizes, wanted, strict=True)):
        raise errors.form(f"{s.what} of smaller images, which it would enlarge")
    begins = tuple((size - w) // 2 for size, w in zip(sizes, wanted, strict=True))
    ends = tuple(b + w for b, w in zip(begins, wanted, strict=True))
    return g.add(ops.Slice(begins, ends, (start, start + 1), (1, 1)), x)


@keras("CategoryEncoding")
def category_encoding(n: KerasNode, g: Builder) -> Value:
    """CategoryEncoding of numbers of categories, without weights of counts."""
    if n.argument(1, "count_weights") is not None or n.settings.get("sparse", False):
        raise errors.form(f"{n.settings.what} with weights of counts, or sparse")
    mode = n.settings.text("output_mode", "multi_hot", of=("multi_hot", "one_hot", "count"))
    return _encoded(n, g, n.only(), n.settings.integer("num_tokens"), mode)


def _encoded(n: KerasNode, g: Builder, x: Value, depth: int, mode: str) -> Value:
    """Category numbers as ones in ``depth`` places."""
    dtype = n.settings.narrow
    dtype = WIDE.get(dtype, dtype)
    dtype = dtype if dtype.is_float else DType.F32
    if depth < 1:
        raise errors.misfit(f"{n.settings.what} with {depth} categories")
    if mode == "one_hot" and x.type.rank > 1 and x.type.shape[-1] == 1:
        x = g.add(ops.Squeeze((x.type.rank - 1,)), x)
    places = n.builder.constant(np.arange(depth, dtype=np.int64))
    index = g.add(ops.Unsqueeze((x.type.rank,)), n.cast(x, DType.I64))
    hot = n.cast(g.add(ops.Equal(), index, places), dtype)
    if mode == "one_hot":
        return hot
    if x.type.rank < 2:
        return hot
    axis = x.type.rank - 1
    op = ops.ReduceSum((axis,), False) if mode == "count" else ops.ReduceMax((axis,), False)
    return g.add(op, hot)


@keras("Discretization", ignores={"num_bins": "the boundaries tell it", "epsilon": "of training"})
def discretization(n: KerasNode, g: Builder) -> Value:
    """Discretization: how many boundaries are not above a number."""
    boundaries = n.settings.get("bin_boundaries", None)
    if not isinstance(boundaries, list) or not boundaries or n.settings.get("sparse", False):
        raise errors.form(f"{n.settings.what} without boundaries, or sparse")
    x = n.only()
    x = n.cast(x, DType.F32) if not x.type.dtype.is_float else x
    edges = n.builder.constant(_numbers(n, "bin_boundaries", 0).astype(x.type.dtype.numpy))
    below = g.add(ops.Less(), g.add(ops.Unsqueeze((x.type.rank,)), x), edges)
    index = g.add(ops.ReduceSum((x.type.rank,), False), n.cast(g.add(ops.Not(), below), DType.I64))
    mode = n.settings.text("output_mode", "int", of=("int", "multi_hot", "one_hot", "count"))
    if mode != "int":
        return _encoded(n, g, index, len(boundaries) + 1, mode)
    if n.version == 3:
        return n.cast(index, DType.I32)
    dtype = n.settings.narrow
    return n.cast(index, dtype if dtype.is_integer else DType.I64)
