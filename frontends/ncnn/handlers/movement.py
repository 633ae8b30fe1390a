"""Data movement. Axes count without the batch in ncnn, so all of them move up by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mconv.ir import Value
from mconv.ir.ops import (
    ChannelShuffle,
    Concat,
    DepthToSpace,
    Pad,
    Reshape,
    Slice,
    SpaceToDepth,
    Split,
    Tile,
    Transpose,
)

from ..expression import evaluate
from ..param import Layer
from ..translate import Translation, layer, mat

_TO_THE_END = -233
_ORDERS = {
    1: ("W",),
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
    4: (
        "WHDC", "HWDC", "WDHC", "DWHC", "HDWC", "DHWC", "WHCD", "HWCD", "WCHD", "CWHD", "HCWD", "CHWD",
        "WDCH", "DWCH", "WCDH", "CWDH", "DCWH", "CDWH", "HDCW", "DHCW", "HCDW", "CHDW", "DCHW", "CDHW",
    ),
}  # fmt: skip
_NAMES = {1: "W", 2: "HW", 3: "CHW", 4: "CDHW"}


def reshaped(t: Translation, value: Value, shape: Sequence[int]) -> Value:
    """The value as a Mat of that shape."""
    return t.add(Reshape((1, *shape)), value)


def place(each: Layer, axis: int, rank: int) -> int:
    """A Mat's axis, which may count from the end, as the value's."""
    each.require(-rank <= axis < rank, f"axis {axis} of a blob of {rank} dimensions")
    return axis % rank + 1


@layer("Reshape")
def reshape(t: Translation, each: Layer) -> Value:
    """0 copies the size at that place, -1 is what remains, -233 is no dimension; or an expression."""
    given = [each.whole(key, _TO_THE_END) for key in (0, 1, 11, 2)]
    text = each.text(6)
    each.ignore(3)  # of old files: what it said is said by Permute layers now
    batch = each.whole(12, 233), each.whole(13, 233)  # where in both shapes the batch (of 1) is counted; 233: nowhere
    each.require(batch in ((233, 233), (0, 0)), f"batch axes {batch}")
    values = t.inputs(1, 10)
    if not values[0].type.is_static and not text and 0 not in given:  # behind a DetectionOutput
        return reshaped(t, values[0], _given_shape(given, ()))
    own = mat(values[0])
    shape = list(reversed(evaluate(text, [mat(v) for v in values]))) if text else _given_shape(given, own)
    if batch == (0, 0):
        each.require(shape[0] == 1, f"a batch of {shape[0]}")
        shape = shape[1:]
    return reshaped(t, values[0], _filled(each, shape, own))


def _given_shape(given: Sequence[int], own: Sequence[int]) -> list[int]:
    """The shape that w, h, d, c say, outermost first; 0 is the blob's own size at that place."""
    w, h, d, c = given
    inner = [w] if h == _TO_THE_END else [w, h] if c == _TO_THE_END else [w, h, c] if d == _TO_THE_END else [w, h, d, c]
    sides = dict(zip("wh" if len(own) == 2 else "whc" if len(own) == 3 else "whdc", reversed(own), strict=False))
    names = "whdc" if len(inner) == 4 else "whc"
    sizes = [sides.get(name, 1) if size == 0 else size for name, size in zip(names, inner, strict=False)]
    return list(reversed(sizes))


def _filled(each: Layer, shape: list[int], own: Sequence[int]) -> list[int]:
    """The shape with -1 replaced by what remains."""
    each.require(len(shape) <= 4 and shape.count(-1) <= 1 and all(d > 0 or d == -1 for d in shape), f"shape {shape}")
    known = math.prod(d for d in shape if d != -1)
    return [math.prod(own) // known if d == -1 else d for d in shape]


@layer("Flatten")
def flatten(t: Translation, each: Layer) -> Value:
    """One dimension."""
    x = t.input()
    return reshaped(t, x, [math.prod(mat(x))])


@layer("Squeeze")
def squeeze(t: Translation, each: Layer) -> Value:
    """Dimensions of size 1 away: the ones named (3), or w, h, d, c (0, 1, 11, 2)."""
    x, axes = t.input(), each.wholes(3)
    own = mat(x)
    flags = {"w": each.whole(0, 0), "h": each.whole(1, 0), "d": each.whole(11, 0), "c": each.whole(2, 0)}
    if axes:
        gone = {place(each, axis, len(own)) - 1 for axis in axes}
    else:
        gone = {i for i, name in enumerate(_NAMES[len(own)].lower()) if flags[name]}
    return reshaped(t, x, [d for i, d in enumerate(own) if not (i in gone and d == 1)] or [1])


@layer("ExpandDims")
def expand_dims(t: Translation, each: Layer) -> Value:
    """New dimensions of size 1 at the places of the result."""
    x, axes = t.input(), each.wholes(3)
    rank = len(mat(x)) + len(axes)
    places = {place(each, axis, rank) - 1 for axis in axes}
    each.require(rank <= 4 and len(places) == len(axes), f"axes {axes}")
    own = iter(mat(x))
    return reshaped(t, x, [1 if i in places else next(own) for i in range(rank)])


@layer("Permute")
def permute(t: Translation, each: Layer) -> Value:
    """Transpose by ncnn's number of the order."""
    order, x = each.whole(0, 0), t.input()
    rank = len(mat(x))
    each.require(0 <= order < len(_ORDERS[rank]), f"order {order} of {rank} dimensions")
    inner = _ORDERS[rank][order]
    perm = [_NAMES[rank].index(name) + 1 for name in reversed(inner)]
    return t.add(Transpose((0, *perm)), x)


@layer("Concat")
def concat(t: Translation, each: Layer) -> Value:
    """Along an axis."""
    values = t.inputs(1, 1 << 14)
    return t.add(Concat(place(each, each.whole(0, 0), len(mat(values[0])))), *values)


@layer("Slice")
def slice_(t: Translation, each: Layer) -> tuple[Value, ...]:
    """Split by sizes (-233: an even share of the rest) or by the places to cut at."""
    counts, indices, x = each.wholes(0), each.wholes(2), t.input()
    axis = place(each, each.whole(1, 0), len(mat(x)))
    size, pieces = mat(x)[axis - 1], len(each.outputs)
    sizes: list[int] = []
    for i in range(pieces):
        done = sum(sizes)
        if indices:
            each.require(len(indices) >= pieces - 1, f"{len(indices)} places for {pieces} pieces")
            sizes.append(size - done if i == pieces - 1 else indices[i] % size - done)
        else:
            each.require(len(counts) >= pieces, f"{len(counts)} sizes for {pieces} pieces")
            sizes.append((size - done) // (pieces - i) if counts[i] == _TO_THE_END else counts[i])
    each.require(min(sizes) > 0 and sum(sizes) <= size, f"pieces of {sizes} of {size}")
    if sum(sizes) < size:
        return t.add_all(Split(axis, (*sizes, size - sum(sizes))), x)[:pieces]
    return t.add_all(Split(axis, tuple(sizes)), x)


@layer("Crop")
def crop(t: Translation, each: Layer) -> Value:
    """Starts and ends along axes; or offsets with sizes (or what is left off at the end); or as large as a blob."""
    starts, ends, axes = each.wholes(9), each.wholes(10), each.wholes(11)
    texts = [each.text(key) for key in (19, 20, 21)]
    offsets = [each.whole(key, 0) for key in (0, 1, 13, 2)]
    outs, backs = [each.whole(key, 0) for key in (3, 4, 14, 5)], [each.whole(key, 0) for key in (6, 7, 15, 8)]
    values = t.inputs(1, 10)
    own = mat(values[0])
    if texts[0] and texts[1]:
        shapes = [mat(v) for v in values]
        starts, ends = evaluate(texts[0], shapes), evaluate(texts[1], shapes)
        axes = evaluate(texts[2], shapes) if texts[2] else []
    if starts and ends:
        axes = axes or list(range(len(own)))
        each.require(len(starts) == len(ends) == len(axes), "starts, ends and axes of different lengths")
        ranges = {place(each, a, len(own)) - 1: (s, e) for s, e, a in zip(starts, ends, axes, strict=True)}
        spans = [_span(d, *ranges.get(i, (_TO_THE_END, _TO_THE_END))) for i, d in enumerate(own)]
    else:
        each.require(len(values) == 1 or offsets[0] != _TO_THE_END, "offsets that are another blob")
        target = mat(values[1]) if len(values) > 1 else None
        spans = _offset_spans(each, own, offsets, outs, backs, target)
    each.require(all(0 <= start < end <= d for (start, end), d in zip(spans, own, strict=True)), f"ranges {spans}")
    axes = [i for i, d in enumerate(own) if spans[i] != (0, d)]
    if not axes:
        return values[0]
    op = Slice(tuple(spans[i][0] for i in axes), tuple(spans[i][1] for i in axes), tuple(i + 1 for i in axes),
               (1,) * len(axes))  # fmt: skip
    return t.add(op, values[0])


def _span(size: int, start: int, end: int) -> tuple[int, int]:
    """ncnn's reading: -233 is the whole, ends count from the end where they are not positive."""
    start = 0 if start == _TO_THE_END else start
    end = size if end == _TO_THE_END else end
    return (start if start >= 0 else size + start), min(size, end if end > 0 else size + end)


def _offset_spans(
    each: Layer,
    own: Sequence[int],
    offsets: Sequence[int],
    outs: Sequence[int],
    backs: Sequence[int],
    target: Sequence[int] | None,
) -> list[tuple[int, int]]:
    """Spans by dimension, outermost first; the parameters come as w, h, d, c."""
    names = [{"W": 0, "H": 1, "D": 2, "C": 3}[name] for name in _NAMES[len(own)]]
    spans = []
    for i, (size, key) in enumerate(zip(own, names, strict=True)):
        start = offsets[key]
        if target is not None:
            missing = len(own) - len(target)
            length = target[i - missing] if i >= missing else size
        else:
            length = size - start - backs[key]
            length = length if outs[key] == _TO_THE_END else min(length, outs[key])
        spans.append((start, start + length))
    return spans


_PAD_MODES = {0: "constant", 1: "edge", 2: "reflect"}


@layer("Padding")
def padding(t: Translation, each: Layer) -> Value:
    """Pad: rows, columns, and the channels of three dimensions or the depth of four."""
    top, bottom, left, right, kind = (each.whole(key, 0) for key in range(5))
    value, per_channel = each.real(5, 0.0), each.whole(6, 0)
    front, behind, x = each.whole(7, 0), each.whole(8, 0), t.input()
    each.require(not per_channel, "a number for each channel")
    each.require(kind in _PAD_MODES, f"type {kind}")
    each.require(min(top, bottom, left, right, front, behind) >= 0, "a negative pad")
    sides = {"W": (left, right), "H": (top, bottom), "D": (front, behind), "C": (0, 0)}
    names = _NAMES[x.type.rank - 1]
    if len(names) == 3:
        sides["C"] = (front, behind)
    begins, ends = zip(*(sides[name] for name in names), strict=True)
    return t.add(Pad(_PAD_MODES[kind], (0, *begins, 0, *ends), value), x)


@layer("Flip")
def flip(t: Translation, each: Layer) -> Value:
    """Slices with step -1."""
    x, axes = t.input(), each.wholes(0)
    places = tuple(place(each, axis, len(mat(x))) for axis in axes)
    if not places:
        return x
    ends = tuple(-mat(x)[axis - 1] - 1 for axis in places)
    return t.add(Slice((-1,) * len(places), ends, places, (-1,) * len(places)), x)


@layer("Tile")
def tile(t: Translation, each: Layer) -> Value:
    """Repeats of one axis, or of all (of the innermost, where they are fewer)."""
    axis, count, repeats, x = each.whole(0, 0), each.whole(1, 1), each.wholes(2), t.input()
    rank = len(mat(x))
    if not repeats:
        repeats = [1] * rank
        repeats[place(each, axis, rank) - 1] = count
    if len(repeats) > rank:
        x = reshaped(t, x, [1] * (len(repeats) - rank) + list(mat(x)))
    repeats = [1] * (len(mat(x)) - len(repeats)) + repeats
    each.require(min(repeats) > 0 and max(repeats) < 1 << 20, f"repeats {repeats}")
    return t.add(Tile((1, *repeats)), x)


@layer("PixelShuffle")
def pixel_shuffle(t: Translation, each: Layer) -> Value:
    """DepthToSpace."""
    return t.add(DepthToSpace(each.whole(0, 1), "DCR" if each.whole(1, 0) else "CRD"), t.input())


@layer("Reorg")
def reorg(t: Translation, each: Layer) -> Value:
    """SpaceToDepth; in mode 0 the channels are outermost, which SpaceToDepth has innermost."""
    stride, mode, x = each.whole(0, 1), each.whole(1, 0), t.input()
    result = t.add(SpaceToDepth(stride), x)
    if mode:
        return result
    channels, height, width = mat(x)
    result = t.add(Reshape((1, stride * stride, channels, height // stride, width // stride)), result)
    result = t.add(Transpose((0, 2, 1, 3, 4)), result)
    return reshaped(t, result, (channels * stride * stride, height // stride, width // stride))


@layer("ShuffleChannel")
def shuffle_channel(t: Translation, each: Layer) -> Value:
    """ChannelShuffle."""
    groups, turned, x = each.whole(0, 1), each.whole(1, 0), t.input()
    each.require(groups > 0 and mat(x)[0] % groups == 0, f"{groups} groups of {mat(x)[0]} channels")
    return t.add(ChannelShuffle(mat(x)[0] // groups if turned else groups), x)


__all__ = ["place", "reshaped"]
