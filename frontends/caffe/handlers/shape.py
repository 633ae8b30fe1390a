"""Layers that only move elements, or sample them anew."""

from __future__ import annotations

import math
from itertools import pairwise

from mconv.ir import Builder, Value, ops

from ..node import CaffeNode, Param
from ..registry import caffe


def _axis(n: CaffeNode, p: Param, old: str) -> int:
    """The axis, under its name or under that of old files."""
    if p.has(old):
        n.require(not p.has("axis"), f"both axis and {old}")
        return n.axis(p.integer(old))
    return n.axis(p.integer("axis"))


@caffe("Concat")
def concat(n: CaffeNode, b: Builder) -> Value:
    """One blob after the other along an axis."""
    n.require(len(n) >= 1, "no bottoms")
    axis = _axis(n, n.param("concat_param"), "concat_dim")
    return b.add(ops.Concat(axis), *n.bottoms)


@caffe("Slice")
def slice_(n: CaffeNode, b: Builder) -> list[Value]:
    """Pieces along an axis, cut at points or equal."""
    n.takes(1)
    p = n.param("slice_param")
    axis = _axis(n, p, "slice_dim")
    points = [int(i) for i in p.all("slice_point")]
    size = n[0].type.shape[axis]
    n.require(isinstance(size, int), "the size of the axis is not known")
    total = int(str(size))
    if points:
        n.require(len(points) == n.tops - 1, f"{len(points)} slice_point for {n.tops} tops")
        ends = [0, *points, total]
        sizes = [e - s for s, e in pairwise(ends)]
        n.require(min(sizes) > 0, f"slice_point {points} of {total} elements")
    else:
        n.require(n.tops > 0 and total % n.tops == 0, f"{total} elements do not divide into {n.tops} tops")
        sizes = [total // n.tops] * n.tops
    if len(sizes) == 1:
        return [n[0]]
    return list(b.add_all(ops.Split(axis, tuple(sizes)), n[0], result_names=n.layer.tops))


@caffe("Flatten")
def flatten(n: CaffeNode, b: Builder) -> Value:
    """Axes from one to another as one."""
    n.takes(1)
    p = n.param("flatten_param")
    axis, end = n.axis(p.integer("axis")), n.axis(p.integer("end_axis"))
    n.require(axis <= end, f"axes {axis} to {end}")
    if axis == 1 and end == n.rank - 1:
        return b.add(ops.Flatten(1), n[0])
    sizes = n.sizes()
    return b.add(ops.Reshape((*sizes[:axis], math.prod(sizes[axis : end + 1]), *sizes[end + 1 :])), n[0])


@caffe("Reshape")
def reshape(n: CaffeNode, b: Builder) -> Value:
    """Another shape for a run of axes: 0 keeps the size at its place, one -1 is what is left over."""
    n.takes(1)
    p = n.param("reshape_param")
    wanted = [int(d) for d in p.param("shape").all("dim")]
    first, count = p.integer("axis"), p.integer("num_axes")
    axis = first if first >= 0 else n.rank + first + 1
    n.require(0 <= axis <= n.rank and count >= -1, f"axis {first} and {count} axes of a blob of {n.rank}")
    end = n.rank if count == -1 else axis + count
    n.require(end <= n.rank, f"{count} axes from axis {axis} of a blob of {n.rank}")
    if axis == 0 and end == n.rank and _says_batch(wanted, n.rank):
        return b.add(ops.Reshape(tuple(wanted)), n[0])
    sizes = n.sizes()
    for i, size in enumerate(wanted):
        n.require(size >= -1 and (size or axis + i < n.rank), f"size {size} in {wanted}")
        wanted[i] = size if size else sizes[axis + i]
    n.require(wanted.count(-1) <= 1, f"several -1 in {wanted}")
    whole = [*sizes[:axis], *wanted, *sizes[end:]]
    return b.add(ops.Reshape(tuple(whole)), n[0])


def _says_batch(wanted: list[int], rank: int) -> bool:
    """Whether the IR's Reshape, which has 0 and -1 with the same meaning, takes these sizes."""
    return all(size >= -1 and (size or i < rank) for i, size in enumerate(wanted)) and wanted.count(-1) <= 1


@caffe("Permute")
def permute(n: CaffeNode, b: Builder) -> Value:
    """Axes in another order; those that are not named come behind."""
    n.takes(1)
    order = [int(i) for i in n.param("permute_param").all("order")]
    n.require(len(set(order)) == len(order) and all(i < n.rank for i in order), f"order {order} of {n.rank} axes")
    order += [i for i in range(n.rank) if i not in order]
    return b.add(ops.Transpose(tuple(order)), n[0])


@caffe("Reorg")
def reorg(n: CaffeNode, b: Builder) -> Value:
    """Darknet's: the blob is taken as one of C / s^2 channels of s H by s W, whose blocks of s by s become channels."""
    n.takes(1)
    p = n.param("reorg_param")
    stride, back = p.integer("stride"), p.flag("reverse")
    n.require(n.rank == 4, f"a blob of {n.rank} axes")
    batch, channels, height, width = n.sizes()
    n.require(0 < stride < 1 << 15 and channels % stride**2 == 0, f"{channels} channels and stride {stride}")
    if back:
        return b.add(ops.DepthToSpace(stride, "DCR"), n[0])
    n.require(height % stride == 0 and width % stride == 0, f"{height} by {width} and stride {stride}")
    if stride == 1:
        return n[0]
    wide = b.add(ops.Reshape((batch, channels // stride**2, height * stride, width * stride)), n[0])
    deep = b.add(ops.SpaceToDepth(stride), wide)
    return b.add(ops.Reshape((batch, channels * stride**2, height // stride, width // stride)), deep)


@caffe("Crop")
def crop(n: CaffeNode, b: Builder) -> Value:
    """The first blob cut to the sizes of the second, from an axis on."""
    n.takes(2)
    p = n.param("crop_param")
    axis, offsets = n.axis(p.integer("axis")), [int(i) for i in p.all("offset")]
    own, wanted = n.sizes(0), n.sizes(1)
    n.require(len(own) == len(wanted), f"{n[0].type} and {n[1].type}")
    count = n.rank - axis
    n.require(len(offsets) in (0, 1, count), f"{len(offsets)} offset for {count} axes")
    starts = offsets * count if len(offsets) == 1 else offsets or [0] * count
    ends = [start + size for start, size in zip(starts, wanted[axis:], strict=True)]
    n.require(all(e <= size for e, size in zip(ends, own[axis:], strict=True)), f"{list(own)} cut at {ends}")
    axes = tuple(range(axis, n.rank))
    return b.add(ops.Slice(tuple(starts), tuple(ends), axes), n[0])


@caffe("Tile")
def tile(n: CaffeNode, b: Builder) -> Value:
    """Copies along an axis."""
    n.takes(1)
    p = n.param("tile_param")
    axis, copies = n.axis(p.integer("axis")), p.integer("tiles")
    n.require(copies > 0, f"{copies} tiles")
    return b.add(ops.Tile(tuple(copies if i == axis else 1 for i in range(n.rank))), n[0])


@caffe("ShuffleChannel")
def shuffle_channel(n: CaffeNode, b: Builder) -> Value:
    """Channels as a matrix [group, C / group], transposed."""
    n.takes(1)
    group = n.param("shuffle_channel_param").integer("group")
    n.require(group > 0, f"{group} groups")
    return b.add(ops.ChannelShuffle(group), n[0])


@caffe("Interp")
def interp(n: CaffeNode, b: Builder) -> Value:
    """Linear, with corners aligned (DeepLab's); shrunk first and then enlarged where both are given. Pads crop."""
    n.takes(1, 2)
    p = n.param("interp_param")
    n.require(n.rank == 4, f"a blob of {n.rank} axes")
    begin, end = p.integer("pad_beg"), p.integer("pad_end")
    n.require(begin <= 0 and end <= 0, "pads above zero")
    own = n.sizes()[2:]
    inner = [size + begin + end for size in own]
    n.require(min(inner) > 0, f"pads {begin} and {end} of {list(own)}")
    x = n[0]
    if begin or end:
        x = b.add(ops.Slice((-begin,) * 2, tuple(size + end for size in own), (2, 3)), x)
    sizes = _interp_sizes(n, p, inner)
    n.require(min(sizes) > 0 and max(sizes) < 1 << 20, f"a result of {sizes}")
    return b.add(ops.Resize("linear", (2, 3), "align_corners", sizes=tuple(sizes)), x)


def _interp_sizes(n: CaffeNode, p: Param, own: list[int]) -> list[int]:
    shrink, zoom = p.integer("shrink_factor"), p.integer("zoom_factor")
    n.require(shrink >= 1 and zoom >= 1, f"factors {shrink} and {zoom}")
    if p.has("height") or p.has("width"):
        n.require(not (p.has("shrink_factor") or p.has("zoom_factor")), "both factors and sizes")
        return [p.integer("height"), p.integer("width")]
    if len(n) == 2:
        return list(n.sizes(1)[2:])
    shrunk = [(size - 1) // shrink + 1 for size in own]
    return [size + (size - 1) * (zoom - 1) for size in shrunk]


@caffe("Resize")
def resize(n: CaffeNode, b: Builder) -> Value:
    """As OpenCV's resize."""
    n.takes(1)
    p = n.param("resize_param")
    n.require(n.rank == 4, f"a blob of {n.rank} axes")
    modes = p.all("interp_mode") or ("LINEAR",)
    n.refuse(p.choice("resize_mode") != "WARP", p.choice("resize_mode"))
    n.refuse(p.number("prob") != 1, "a probability")
    n.refuse(len(modes) > 1, "a choice of ways by chance")
    sizes = (p.integer("height"), p.integer("width"))
    n.require(min(sizes) > 0 and max(sizes) < 1 << 20, f"a result of {sizes}")
    if modes[0] == "NEAREST":
        return b.add(ops.Resize("nearest", (2, 3), "asymmetric", "floor", sizes=sizes), n[0])
    n.refuse(modes[0] not in ("LINEAR", "CUBIC"), f"interp_mode {modes[0]}", "LINEAR, CUBIC or NEAREST")
    op = ops.Resize(modes[0].lower(), (2, 3), "half_pixel", sizes=sizes)
    return b.add(op, n[0])
