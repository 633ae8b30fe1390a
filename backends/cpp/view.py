"""How values lie in memory: buffers, and views of them.

Two forms. *Planar* is row-major, as the IR and the model's inputs and outputs are. *Blocked* is what the fast kernels
compute in: one axis, the channels, is cut into blocks of 16 (the last one filled up), and the 16 of a block lie
together: [N][C/16][pixels][16] for an image whose channels are axis 1, and for tokens [B,T,C], whose channels are
the last axis, too. So a transpose between channels first and channels last of a blocked value moves nothing, nor
does taking its heads apart. A view has a stride an axis (of the blocked one: from block to block), so slices, splits
and concatenations along whole blocks move nothing either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mconv.ir import DType
from mconv.ir.record import Record

BLOCK = 16
"""Channels in a block, on every instruction set."""
ALIGNMENT = 64
"""Bytes: buffers begin at a multiple of a cache line, which is the widest vector too."""


class Buffer:
    """A piece of memory. ``place`` says whose: the arena's, an input's, an output's, or the weights'.

    ``index`` numbers inputs and outputs. ``offset`` (bytes) is set when the arena, or the blob of weights, is laid out.
    """

    __slots__ = ("index", "label", "nbytes", "offset", "place", "serial")

    def __init__(self, place: str, nbytes: int, serial: int, *, index: int = 0, label: str = "") -> None:
        self.place, self.nbytes, self.serial, self.index, self.label = place, nbytes, serial, index, label
        self.offset: int | None = None

    def __repr__(self) -> str:
        return f"Buffer({self.place} {self.serial}, {self.nbytes} bytes)"


class View(Record):
    """A tensor in a buffer: its type, and where each element is.

    ``offset`` and ``strides`` count elements. ``block`` is the blocked axis, whose stride leads from one block to the
    next; None for a planar view.
    """

    buffer: Buffer
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    block: int | None = None

    @property
    def is_dense(self) -> bool:
        """True for a planar view whose elements lie in row-major order without gaps."""
        return self.block is None and fits_strides(self.shape, self.strides, row_major(self.shape))

    @property
    def blocks(self) -> int:
        """Number of blocks of the blocked axis."""
        assert self.block is not None
        return -(-self.shape[self.block] // BLOCK)

    @property
    def channels(self) -> int:
        """Size of the blocked axis."""
        assert self.block is not None
        return self.shape[self.block]

    @property
    def block_stride(self) -> int:
        """Elements from a block of channels to the next."""
        assert self.block is not None
        return self.strides[self.block]

    def others(self) -> tuple[tuple[int, int], ...]:
        """(size, stride) of the axes that are not blocked, those of size one left out."""
        return tuple(
            (size, stride)
            for axis, (size, stride) in enumerate(zip(self.shape, self.strides, strict=True))
            if axis != self.block and size != 1
        )

    def images(self) -> tuple[int, int, int] | None:
        """(images, elements from one to the next, pixels of each) of a blocked view; the first axis may be the batch.

        None where the pixels of an image do not lie one behind the other.
        """
        if self.block is None or self.dtype.size != 4:
            return None
        joined = join(self.others())
        if not joined:
            return 1, 0, 1
        if len(joined) == 1 and joined[0][1] == BLOCK:
            return 1, 0, joined[0][0]
        if self.block == 0 or self.shape[0] == 1:
            return None
        pixels = join(self.others()[1:])
        if len(pixels) > 1 or (pixels and pixels[0][1] != BLOCK):
            return None
        return self.shape[0], self.strides[0], pixels[0][0] if pixels else 1


def join(axes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Neighbouring axes as one, where walking the inner one through leads to the next of the outer one."""
    joined: list[tuple[int, int]] = []
    for size, stride in axes:
        if joined and joined[-1][1] == size * stride:
            joined[-1] = (joined[-1][0] * size, stride)
        else:
            joined.append((size, stride))
    return tuple(joined)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a dense row-major tensor, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def fits_strides(shape: Sequence[int], left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether two strides lead to the same places (an axis of one element leads nowhere)."""
    return all(a == b or size == 1 for size, a, b in zip(shape, left, right, strict=True))


def blocked_strides(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """Strides of a fresh blocked tensor: the batch is outermost, then come the blocks, then the other axes in order."""
    strides = [0] * len(shape)
    batch = has_batch(len(shape), axis)
    inner = BLOCK
    for other in reversed(range(len(shape))):
        if other != axis and not (batch and other == 0):
            strides[other] = inner
            inner *= shape[other]
    strides[axis] = inner
    inner *= -(-shape[axis] // BLOCK)
    if batch:
        strides[0] = inner
    return tuple(strides)


def has_batch(rank: int, block: int) -> bool:
    """Whether axis 0 is a batch, outside of the blocks. Before channels that come last, all axes are pixels."""
    return 0 < block < rank - 1


def blocked_elements(shape: Sequence[int], axis: int) -> int:
    """Elements that a fresh blocked tensor takes, those that fill up the last block included."""
    return math.prod(size for other, size in enumerate(shape) if other != axis) * -(-shape[axis] // BLOCK) * BLOCK


# Views of views ----------------------------------------------------------------------------------------------


def transposed(view: View, perm: Sequence[int]) -> View:
    """The same memory with its axes in another order."""
    block = None if view.block is None else list(perm).index(view.block)
    return view.replace(
        shape=tuple(view.shape[a] for a in perm), strides=tuple(view.strides[a] for a in perm), block=block
    )


def part(view: View, axis: int, begin: int, size: int) -> View | None:
    """``size`` elements of an axis from ``begin``; None where a block would be cut."""
    shape = tuple(size if a == axis else s for a, s in enumerate(view.shape))
    if axis != view.block:
        return view.replace(shape=shape, offset=view.offset + begin * view.strides[axis])
    whole = size % BLOCK == 0 or begin + size == view.shape[axis]
    if begin % BLOCK or not whole:
        return None
    return view.replace(shape=shape, offset=view.offset + begin // BLOCK * view.strides[axis])


def reshaped(view: View, shape: Sequence[int]) -> View | None:
    """The same memory under other axes; None where that cannot be.

    Axes are split and joined as long as strides allow it. A blocked axis may be split at a multiple of 16, and be
    joined with the axes before it where their strides continue the blocks'.
    """
    if math.prod(shape) != math.prod(view.shape) or 0 in view.shape:
        return None
    if tuple(shape) == view.shape:
        return view
    old = [(s, t, a == view.block) for a, (s, t) in enumerate(zip(view.shape, view.strides, strict=True)) if s != 1]
    if view.block is not None and view.shape[view.block] == 1:
        return None
    groups = _groups([s for s, _, _ in old], [s for s in shape if s != 1])
    strides: list[tuple[int, bool]] = []
    for before, after in groups:
        sizes = [s for s in shape if s != 1][after[0] : after[1]]
        found = _regrouped(old[before[0] : before[1]], sizes)
        if found is None:
            return None
        strides += found
    pairs = iter(strides)
    placed = [next(pairs) if size != 1 else (0, False) for size in shape]
    blocks = [axis for axis, (_, is_block) in enumerate(placed) if is_block]
    if view.block is not None and len(blocks) != 1:
        return None
    return view.replace(
        shape=tuple(shape), strides=tuple(stride for stride, _ in placed), block=blocks[0] if blocks else None
    )


def _groups(left: list[int], right: list[int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The shortest runs of axes on both sides that hold equally many elements."""
    groups = []
    i = j = 0
    while i < len(left) or j < len(right):
        i0, j0 = i, j
        a = b = 1
        while a != b or a == 1:
            if a <= b and i < len(left):
                a *= left[i]
                i += 1
            elif j < len(right):
                b *= right[j]
                j += 1
            else:
                break
        groups.append(((i0, i), (j0, j)))
    return groups


def _regrouped(old: list[tuple[int, int, bool]], sizes: list[int]) -> list[tuple[int, bool]] | None:
    """Strides for ``sizes`` in the memory of ``old`` axes (size, stride, blocked); None where it cannot be."""
    if [s for s, _, _ in old] == sizes:
        return [(stride, is_block) for _, stride, is_block in old]
    if any(is_block for _, _, is_block in old[:-1]):
        return None  # a blocked axis can only be the innermost of those that are regrouped
    is_block = bool(old) and old[-1][2]
    if is_block and (old[-1][0] % BLOCK or sizes[-1] % BLOCK):
        return None
    # lengths in units of a block where the innermost is blocked, so that its stride is that of a step
    units = [(s // BLOCK if is_block and k == len(old) - 1 else s, t) for k, (s, t, _) in enumerate(old)]
    whole = join(units)
    result: list[tuple[int, bool]] = []
    pieces = [s // BLOCK if is_block and k == len(sizes) - 1 else s for k, s in enumerate(sizes)]
    runs = list(whole)
    for k in reversed(range(len(pieces))):
        size = pieces[k]
        blocked_piece = is_block and k == len(pieces) - 1
        if not runs:
            return None
        length, stride = runs.pop()
        if length % size:
            return None
        result.append((stride, blocked_piece))
        if length // size > 1:
            runs.append((length // size, stride * size))
    return result[::-1] if not runs else None
