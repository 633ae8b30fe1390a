"""Blocked values that nobody has put together yet: for each channel where it lies.

Concatenations of odd numbers of channels, shuffles of channels, and splits between blocks only rename channels; when
one of their results is read, one step gathers its channels, whatever number of such operators made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mconv.ir import DType, Value
from mconv.ir.record import Record

from .view import BLOCK, Buffer, View

if TYPE_CHECKING:
    from .net import Net

AXIS = 1
"""The axis of the channels."""
MAX_SOURCES = 16
"""More sources than these are put together at once: each keeps its memory as long as it waits."""


class Channels(Record):
    """Where the channels of a value lie: for each one the number of a source, and the channel in it."""

    sources: tuple[View, ...]
    places: tuple[tuple[int, int], ...]

    def picked(self, order: Iterable[int]) -> Channels:
        """Some of the channels, in an order."""
        return joined([Channels(self.sources, tuple(self.places[c] for c in order))])


def of_view(view: View) -> Channels:
    """All channels of a blocked view, as they are."""
    return Channels((view,), tuple((0, c) for c in range(view.channels)))


def joined(parts: Sequence[Channels]) -> Channels:
    """One after the other; sources of which nothing is taken are left out."""
    sources: list[View] = []
    places = []
    for part in parts:
        for number, channel in part.places:
            view = part.sources[number]
            if view not in sources:
                sources.append(view)
            places.append((sources.index(view), channel))
    return Channels(tuple(sources), tuple(places))


def single(found: Channels) -> tuple[tuple[Buffer, int], ...] | None:
    """For each channel of one image the buffer of the arena and the element of its first pixel; None for others."""
    views = [view.images() for view in found.sources]
    if any(v is None or v[0] != 1 for v in views) or any(s.buffer.place != "arena" for s in found.sources):
        return None
    return tuple(
        (view.buffer, view.offset + channel // BLOCK * view.block_stride + channel % BLOCK)
        for view, channel in ((found.sources[number], channel) for number, channel in found.places)
    )


def fits(value: Value) -> bool:
    """Whether a value is one whose channels may lie apart: f32 with pixels."""
    return value.type.dtype is DType.F32 and value.type.rank >= 3 and value.type.is_static and bool(value.type.numel)


def gather(net: Net, value: Value, found: Channels) -> None:
    """The step that puts the channels together."""
    y = net.result(value, AXIS)
    images, y_image, pixels = _images(y)
    table = np.zeros((len(found.places), 2), np.int32)
    for c, (number, channel) in enumerate(found.places):
        table[c] = number, channel // BLOCK * found.sources[number].block_stride + channel % BLOCK
    places = net.constant(table)
    strides = ", ".join(str(_images(view)[1]) for view in found.sources)
    pointers = ", ".join(map(net.ptr, found.sources))
    text = (
        f"static const Lanes s{{{len(found.places)}, {images}, {pixels}, {y.block_stride}, {y_image}}};\n"
        f"static const int64_t images[] = {{{strides}}};\n"
        f"const float* const from[] = {{{pointers}}};\n"
        f"gather_channels(r, s, from, images, {net.ptr(places)}, {net.ptr(y)});"
    )
    net.step(text, [*found.sources, places], [y], needs=["channels"], what="channels put together")


def _images(view: View) -> tuple[int, int, int]:
    """(images, elements from one to the next, pixels) with axis 0 as the images."""
    pixels = 1
    for size in view.shape[2:]:
        pixels *= size
    return view.shape[0], view.strides[0], pixels
