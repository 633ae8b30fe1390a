"""Shapes, pads, crops and enlarging."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Value, ops
from mconv.ir.types import product

from .. import errors
from ..node import KerasNode
from ..registry import keras
from .conv import to_first, to_last


@keras("Flatten")
def flatten(n: KerasNode, g: Builder) -> Value:
    """Flatten: all axes but the first as one, with channels last."""
    x = n.only()
    if n.settings.channels_first() and x.type.rank > 2:
        x = to_last(g, x)
    if x.type.rank == 1:
        return g.add(ops.Unsqueeze((1,)), x)
    return flattened(n, g, x)


def flattened(n: KerasNode, g: Builder, x: Value) -> Value:
    """x [N, ...] as [N, all]."""
    if x.type.rank == 2:
        return x
    return n.sizes((x.type.shape[0], product(x.type.shape[1:])), x)


@keras("Reshape")
def reshape(n: KerasNode, g: Builder) -> Value:
    """Reshape of all axes but the first, of which one size may be -1."""
    x = n.only()
    target = list(n.settings.integers("target_shape"))
    rest = product(x.type.shape[1:])
    if target.count(-1) > 1 or min(target, default=0) < -1:
        raise errors.misfit(f"{n.settings.what} with target_shape {target}")
    if -1 in target and isinstance(rest, int):
        known = 1
        for size in target:
            known *= size if size != -1 else 1
        if known == 0 or rest % known:
            raise errors.misfit(f"{n.settings.what} of {x.type} to {target}")
        target[target.index(-1)] = rest // known
    if -1 in target:
        batch = x.type.shape[0]
        if not isinstance(batch, int):
            return g.add(ops.Reshape((0, *target)), x)
        return g.add(ops.Reshape((batch, *target)), x)
    if isinstance(rest, int) and rest != product(target):
        raise errors.misfit(f"{n.settings.what} of {x.type} to {target}")
    return n.sizes((x.type.shape[0], *target), x)


@keras("Permute")
def permute(n: KerasNode, g: Builder) -> Value:
    """Permute: axes counted from 1, the first stays."""
    dims = n.settings.integers("dims")
    return g.add(ops.Transpose((0, *dims)), n.only())


@keras("RepeatVector")
def repeat_vector(n: KerasNode, g: Builder) -> Value:
    """RepeatVector: [N, F] as [N, n, F]."""
    n.expect_rank(2)
    x = g.add(ops.Unsqueeze((1,)), n.only())
    return g.add(ops.Tile((1, n.settings.integer("n"), 1)), x)


def _pairs(n: KerasNode, key: str, rank: int, default: object) -> list[tuple[int, int]]:
    """Two numbers an axis: one number for all, one an axis, or a pair an axis."""
    found = n.settings.get(key, default)
    if isinstance(found, int):
        return [(found, found)] * rank
    if isinstance(found, list | tuple):
        if rank == 1 and len(found) == 2 and all(type(i) is int for i in found):
            return [(found[0], found[1])]
        items = [(i, i) if type(i) is int else tuple(i) for i in found]
        if len(items) == rank and all(len(i) == 2 and all(type(k) is int and k >= 0 for k in i) for i in items):
            return [(i[0], i[1]) for i in items]
    raise errors.misfit(f"{n.settings.what} with {key} {str(found)[:80]}")


@keras("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(n: KerasNode, g: Builder) -> Value:
    """ZeroPadding of the spatial axes."""
    rank = int(n.cls[-2])
    n.expect_rank(rank + 2)
    pairs = _pairs(n, "padding", rank, 1)
    before = [(0, 0)] * (2 if n.settings.channels_first() else 1)
    after = [(0, 0)] * (rank + 2 - rank - len(before))
    whole = [*before, *pairs, *after]
    return g.add(ops.Pad("constant", (*(p[0] for p in whole), *(p[1] for p in whole))), n.only())


@keras("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(n: KerasNode, g: Builder) -> Value:
    """Cropping of the spatial axes."""
    rank = int(n.cls[-2])
    n.expect_rank(rank + 2)
    pairs = _pairs(n, "cropping", rank, 1)
    start = 2 if n.settings.channels_first() else 1
    axes = [start + i for i, pair in enumerate(pairs) if pair != (0, 0)]
    used = [pair for pair in pairs if pair != (0, 0)]
    if not axes:
        return n.only()
    for axis, (begin, end) in zip(axes, used, strict=True):
        size = n.only().type.shape[axis]
        if isinstance(size, int) and begin + end > size:
            raise errors.misfit(f"{n.settings.what} of {n.only().type} by {begin} and {end}")
    return cropped(g, n.only(), axes, used)


def cropped(g: Builder, x: Value, axes: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Value:
    """x without so many elements at both ends of axes."""
    ends = tuple(-end if end else 2**63 - 1 for _, end in pairs)
    return g.add(ops.Slice(tuple(begin for begin, _ in pairs), ends, tuple(axes), (1,) * len(axes)), x)


@keras("UpSampling1D", "UpSampling2D", "UpSampling3D")
def up_sampling(n: KerasNode, g: Builder) -> Value:
    """UpSampling: each element repeated, or in two dimensions resampled."""
    rank = int(n.cls[-2])
    n.expect_rank(rank + 2)
    size = n.settings.integers("size", rank, 2)
    mode = n.settings.text("interpolation", "nearest")
    first = n.settings.channels_first()
    if min(size) < 1:
        raise errors.misfit(f"{n.settings.what} with size {size}")
    x = n.only() if first else to_first(g, n.only())
    axes = tuple(range(2, rank + 2))
    scales = tuple(float(s) for s in size)
    if mode == "nearest":
        y = g.add(ops.Resize("nearest", axes, "asymmetric", "floor", scales=scales), x)
    else:
        y = g.add(resampling(n, mode, axes).replace(scales=scales), x)
    return y if first else to_last(g, y)


def resampling(n: KerasNode, mode: str, axes: tuple[int, ...], antialias: bool = False) -> ops.Resize:
    """A Resize with TensorFlow's conventions, still without sizes: half pixels; cubic by Keys' kernel of -0.5."""
    if mode == "nearest":
        return ops.Resize("nearest", axes, "half_pixel", "round_prefer_ceil")
    if mode == "bilinear":
        return ops.Resize("linear", axes, "half_pixel", antialias=antialias)
    if mode == "bicubic":
        return ops.Resize("cubic", axes, "half_pixel", cubic_coeff=-0.5, exclude_outside=True, antialias=antialias)
    raise errors.form(f"{n.settings.what} with interpolation '{mode}'")
