"""Images whose channels lie scattered: what concatenations, splits and shuffles of odd channels make without a copy.

A pointwise convolution reads such an image by a table of where each channel is; for all others it is gathered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mconv.ir import DType, Value
from mconv.ir.record import Record

from .view import BLOCK, Buffer, View

if TYPE_CHECKING:
    from .net import Net


class Scattered(Record):
    """For each channel the buffer of the arena and the element of its first pixel; pixels are 16 elements apart."""

    shape: tuple[int, ...]
    places: tuple[tuple[Buffer, int], ...]

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The buffers, each once."""
        return tuple(dict.fromkeys(buffer for buffer, _ in self.places))

    @property
    def pixels(self) -> int:
        """Pixels of the image."""
        return self.shape[2] * self.shape[3]


def of_view(view: View) -> Scattered | None:
    """The channels of a blocked image of the arena, one by one."""
    if view.block != 1 or len(view.shape) != 4 or view.dtype is not DType.F32 or view.buffer.place != "arena":
        return None
    found = view.images()
    if found is None or found[0] != 1:
        return None
    places = tuple(
        (view.buffer, view.offset + c // BLOCK * view.block_stride + c % BLOCK) for c in range(view.channels)
    )
    return Scattered(view.shape, places)


def of(value: Value, net: Net) -> Scattered | None:
    """The channels of a value, wherever they lie; None for what is no single image in the arena."""
    if value in net.scattered:
        return net.scattered[value]
    if value.is_constant:
        return None
    return next((found for view in net.views(value) if (found := of_view(view)) is not None), None)


def table(scattered: Scattered, net: Net) -> str:
    """C++ for the table of channels: floats from the arena's begin."""
    entries = [net.place(buffer, offset * 4) for buffer, offset in scattered.places]
    rows = [", ".join(entries[i : i + 12]) for i in range(0, len(entries), 12)]
    return "static const ptrdiff_t off[] = {" + ",\n    ".join(rows) + "};"


def gather(net: Net, scattered: Scattered, target: View) -> None:
    """A step that brings the channels into blocks."""
    text = (
        f"{table(scattered, net)}\n"
        f"gather_channels(r, arena<float>(r, 0), off, {len(scattered.places)}, {scattered.pixels}, {net.ptr(target)}, "
        f"{target.block_stride});"
    )
    net.step(text, scattered.buffers, [target], needs=["gather"], what="gathered channels")
