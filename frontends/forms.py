"""Forms of operators that formats share: channels last, padding SAME, masks of slices, blocks of space.

What does not fit raises TypeMismatch, which a reader reports in its own words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, Problem, Value, ops
from mconv.ir.errors import UnsupportedError
from mconv.ir.op import expect
from mconv.ir.ops.shape import END
from mconv.ir.record import Record
from mconv.ir.types import Array


def needs_static(what: str) -> UnsupportedError:
    """MC306: a size has to be a number."""
    hint = "--input-shape NAME:1,224,224,3, so that the size is known"
    return UnsupportedError(Problem("MC306", f"{what} must be known at conversion time", hint=hint))


# Channels ----------------------------------------------------------------------------------------------------


def first(rank: int) -> tuple[int, ...]:
    """The order of axes that brings the channels of [N, *S, C] to the second place."""
    return (0, rank - 1, *range(1, rank - 1))


def last(rank: int) -> tuple[int, ...]:
    """The order of axes that brings the channels of [N, C, *S] to the end."""
    return (0, *range(2, rank), 1)


def to_first(g: Builder, value: Value) -> Value:
    """[N, *S, C] as [N, C, *S]."""
    return g.add(ops.Transpose(first(value.type.rank)), value)


def to_last(g: Builder, value: Value) -> Value:
    """[N, C, *S] as [N, *S, C]."""
    return g.add(ops.Transpose(last(value.type.rank)), value)


def same_pads(
    name: str, sizes: Sequence[object], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """Padding SAME, all begins, then all ends: ceil(size / stride) places, the odd element at the end."""
    totals = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        span = (k - 1) * dilation + 1
        if isinstance(size, int):
            totals.append(max((-(-size // stride) - 1) * stride + span - size, 0))
        elif stride == 1 or span <= 1:
            totals.append(span - 1)
        else:
            raise needs_static(f"the image's size of {name} with SAME padding and strides")
    return (*(t // 2 for t in totals), *(t - t // 2 for t in totals))


# Movement ----------------------------------------------------------------------------------------------------


def symmetric_pad(g: Builder, x: Value, begins: Sequence[int], ends: Sequence[int]) -> Value:
    """x with its ends mirrored, the end elements themselves included."""
    for axis, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        parts = [x]
        if begin:
            parts.insert(0, g.add(ops.Slice((begin - 1,), (-END,), (axis,), (-1,)), x))
        if end:
            parts.append(g.add(ops.Slice((-1,), (-end - 1,), (axis,), (-1,)), x))
        x = g.add(ops.Concat(axis), *parts) if len(parts) > 1 else x
    return x


def reverse_sequence(g: Builder, x: Value, lengths: Value, batch: int, time: int) -> Value:
    """The first elements along ``time`` turned round, as many as ``lengths`` says for each along ``batch``."""
    if sorted((batch, time)) == [0, 1]:
        return g.add(ops.ReverseSequence(batch, time), x, lengths)
    perm = [batch, time, *(a for a in range(x.type.rank) if a not in (batch, time))]  # ONNX has these axes in front
    turned = g.add(ops.ReverseSequence(0, 1), g.add(ops.Transpose(tuple(perm)), x), lengths)
    return g.add(ops.Transpose(tuple(np.argsort(perm).tolist())), turned)


def space_to_batch(g: Builder, x: Value, blocks: Sequence[int], pads: Array, value: float, name: str) -> Value:
    """Blocks of space as images of their own, the place in the block running slowest; after ``pads`` [blocks, 2]."""
    m, rest = len(blocks), x.type.rank - 1 - len(blocks)
    if pads.any():
        begins, ends = ((0, *side.tolist(), *[0] * rest) for side in (pads[:, 0], pads[:, 1]))
        x = g.add(ops.Pad("constant", (*begins, *ends), value), x)
    batch = x.type.shape[0]
    sizes, tail = _sizes(x, m, name)
    expect(not any(d % b for d, b in zip(sizes, blocks, strict=True)), f"{x.type} does not divide into {list(blocks)}")
    split = [i for d, b in zip(sizes, blocks, strict=True) for i in (d // b, b)]
    x = g.add(ops.Reshape((batch if isinstance(batch, int) else -1, *split, *tail)), x)
    inner = [2 + 2 * i for i in range(m)]
    x = g.add(ops.Transpose((*inner, 0, *(a - 1 for a in inner), *range(2 * m + 1, 2 * m + 1 + rest))), x)
    return g.add(ops.Reshape((-1, *(d // b for d, b in zip(sizes, blocks, strict=True)), *tail)), x)


def batch_to_space(g: Builder, x: Value, blocks: Sequence[int], crops: Array, name: str) -> Value:
    """The inverse of `space_to_batch`, and then the crops [blocks, 2]."""
    m, rest = len(blocks), x.type.rank - 1 - len(blocks)
    sizes, tail = _sizes(x, m, name)
    kind = x.type
    x = g.add(ops.Reshape((*blocks, -1, *sizes, *tail)), x)
    pairs = [axis for i in range(m) for axis in (m + 1 + i, i)]
    x = g.add(ops.Transpose((m, *pairs, *range(2 * m + 1, 2 * m + 1 + rest))), x)
    wide = [d * b for d, b in zip(sizes, blocks, strict=True)]
    x = g.add(ops.Reshape((-1, *wide, *tail)), x)
    if not crops.any():
        return x
    starts = tuple(crops[:, 0].tolist())
    ends = tuple(d - c for d, c in zip(wide, crops[:, 1].tolist(), strict=True))
    expect(all(a <= b for a, b in zip(starts, ends, strict=True)), f"crops {crops.tolist()} of {kind}")
    return g.add(ops.Slice(starts, ends, tuple(range(1, m + 1)), (1,) * m), x)


def _sizes(x: Value, m: int, name: str) -> tuple[list[int], list[int]]:
    """The sizes of x's axes that are made of blocks, the ``m`` after the batch, and of those behind them."""
    numbers = [d for d in x.type.shape[1:] if isinstance(d, int)]
    if len(numbers) != x.type.rank - 1:
        raise needs_static(f"the sizes of {name}'s {x.type}")
    return numbers[:m], numbers[m:]


def gather_batched(g: Builder, x: Value, indices: Value, axis: int, batch: int) -> Value:
    """Gather along ``axis`` where the first ``batch`` axes are common to x and the indices."""
    expect(0 < batch <= min(axis, indices.type.rank), f"{x.type} by {indices.type} along {axis}, {batch} batch axes")
    rank, between = x.type.rank, list(range(batch, axis))
    turned = g.add(ops.Transpose((*range(batch), axis, *between, *range(axis + 1, rank))), x)
    index = g.add(ops.Unsqueeze((indices.type.rank,)), indices)
    y = g.add(ops.GatherND(batch), turned, index)
    if not between:
        return y
    count = indices.type.rank - batch  # axes of the indices, which belong behind those in between
    behind = range(batch + count, batch + count + len(between))
    rest = range(batch + count + len(between), y.type.rank)
    return g.add(ops.Transpose((*range(batch), *behind, *range(batch, batch + count), *rest)), y)


# Slices by masks ---------------------------------------------------------------------------------------------


class Masks(Record):
    """What the bits of a strided slice's masks say of its entries: bit i belongs to entry i."""

    begin: int
    end: int
    ellipsis: int
    new: int
    shrink: int


class Bounds(Record):
    """Begins and ends of a strided slice: i64 values, and the numbers in them where these are known."""

    values: tuple[Value, Value]
    begins: Sequence[int] | None
    ends: Sequence[int] | None


def strided_slice(
    g: Builder, x: Value, bounds: Bounds, strides: Sequence[int], masks: Masks, *, relative: bool = False
) -> Value:
    """numpy's indexing, with bit masks for open ends, single elements, new axes and an ellipsis.

    With ``relative`` the ends count from the begins.
    """
    return _Slicing(g, x, bounds, strides, masks, relative).result()


class _Slicing:
    """One strided slice: its entries in turn, each of which takes an axis, makes one, or skips some."""

    def __init__(
        self, g: Builder, x: Value, bounds: Bounds, strides: Sequence[int], masks: Masks, relative: bool
    ) -> None:
        self.g, self.x, self.bounds, self.strides, self.masks, self.relative = g, x, bounds, strides, masks, relative
        self.entries = len(strides)
        for value in bounds.values:
            expect(value.type.shape == (self.entries,), f"{value.type} for {self.entries} strides")
        expect(self.entries <= 31 and 0 not in strides, f"strides {list(strides)}")

    def result(self) -> Value:
        """The indexed value."""
        m, x = self.masks, self.x
        taken = [i for i in range(self.entries) if not _bit(m.new, i) and not _bit(m.ellipsis, i)]
        skipped = x.type.rank - len(taken)
        dots = [i for i in range(self.entries) if _bit(m.ellipsis, i)]
        expect(skipped >= 0 and len(dots) <= 1, f"{len(taken)} entries for {x.type}")
        axis, dropped, made, place = 0, list[int](), list[int](), 0
        known = self.bounds.begins is not None and self.bounds.ends is not None
        slices: list[tuple[int, int, int, int]] = []
        for i in range(self.entries):
            if _bit(m.ellipsis, i):
                axis, place = axis + skipped, place + skipped
            elif _bit(m.new, i):
                made.append(place)
                place += 1
            else:
                if known:
                    slices.append((*self._numbers(i), axis))
                else:
                    x = self._dynamic(x, i, axis)
                if _bit(m.shrink, i):
                    dropped.append(axis)
                else:
                    place += 1
                axis += 1
        slices = [s for s in slices if s[:3] != (0, END, 1)]
        if slices:
            starts, ends, steps, axes = (tuple(column) for column in zip(*slices, strict=True))
            x = self.g.add(ops.Slice(starts, ends, axes, steps), x)
        if dropped:
            x = self.g.add(ops.Squeeze(tuple(dropped)), x)
        return self.g.add(ops.Unsqueeze(tuple(made)), x) if made else x

    def _numbers(self, i: int) -> tuple[int, int, int]:
        """Start, end and step of entry ``i``, all numbers."""
        assert self.bounds.begins is not None
        assert self.bounds.ends is not None
        start, end, step = int(self.bounds.begins[i]), int(self.bounds.ends[i]), self.strides[i]
        if _bit(self.masks.shrink, i):
            return start, END if start == -1 else start + 1, 1
        end = start + end if self.relative else end
        if _bit(self.masks.begin, i):
            start = 0 if step > 0 else -1
        if _bit(self.masks.end, i):
            end = END if step > 0 else -END
        return start, end, step

    def _dynamic(self, x: Value, i: int, axis: int) -> Value:
        """One axis, where a bound is known only at run time."""
        g, step = self.g, self.strides[i]
        expect(not self.relative, "ends that count from begins that are not known")
        bounds = [g.add(ops.Slice((i,), (i + 1,), (0,), (1,)), value) for value in self.bounds.values]
        if _bit(self.masks.shrink, i):
            return g.add(ops.Gather(axis), x, bounds[0])
        if _bit(self.masks.begin, i):
            bounds[0] = g.constant(np.array([0 if step > 0 else -1], np.int64))
        if _bit(self.masks.end, i):
            bounds[1] = g.constant(np.array([END if step > 0 else -END], np.int64))
        return g.add(ops.Slice(None, None, (axis,), (step,)), x, *bounds)


def _bit(mask: int, i: int) -> bool:
    return bool(mask >> i & 1)


# Boxes -------------------------------------------------------------------------------------------------------


def kept_boxes(g: Builder, boxes: Value, scores: Value, most: int, threshold: float, least: Value) -> Value:
    """Indices i64 [kept] of the boxes [N, 4] that suppression keeps, at most so many, the best first.

    A box goes where it overlaps a better one by more than ``threshold``, or where its score does not exceed ``least``.
    """
    expect(most >= 0, f"{most} boxes")
    batch, classes = g.add(ops.Unsqueeze((0,)), boxes), g.add(ops.Unsqueeze((0, 1)), scores)
    floor = least if least.type.rank == 1 else g.add(ops.Reshape((1,)), least)
    found = g.add(ops.NonMaxSuppression(), batch, classes, g.constant(np.array([most], np.int64)),
                  g.constant(np.array([threshold], np.float32)), floor)  # fmt: skip
    return g.add(ops.Gather(1), found, g.constant(np.int64(2)))


def filled_up(g: Builder, kept: Value, most: int) -> tuple[Value, Value, Value]:
    """Indices filled up with 0 to ``most``, which of them are real, and how many these are (i64)."""
    filled = g.add(ops.Concat(0), kept, g.constant(np.zeros(most, np.int64)))
    index = g.add(ops.Reshape((most,)), g.add(ops.Slice((0,), (most,), (0,), (1,)), filled))
    count = g.add(ops.Size(), kept)
    return index, g.add(ops.Less(), g.constant(np.arange(most)), count), count
