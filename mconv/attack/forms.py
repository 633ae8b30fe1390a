"""The forms in which a model's weights may stand in a file, as samples of keys that `search` looks for.

A window is 16 bytes in a row: four floats, eight halves. A control is made of the same numbers where what is searched
for has been destroyed: how often it is found tells how much is chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir import Graph
from ..ir.record import Record
from ..ir.types import Array
from .search import Bytes, Mask, find_ratios, find_windows, find_words, ratio_keys

SAMPLE = 24_000
"""Keys of one form and order that are looked for: the share found is then known to half a percent."""
DISTINCT = 1 / 4
"""Tensors with fewer different numbers are grids and tables (anchors), whose numbers other programs have too."""
SMALLEST = 64
"""Elements from which on a tensor is looked for."""

_ORDERS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((1, 0),),
    3: ((0, 2, 1), (2, 1, 0)),
    4: ((0, 2, 3, 1), (2, 3, 1, 0), (2, 3, 0, 1), (1, 2, 3, 0), (1, 0, 2, 3)),
}
"""Other orders of the axes: TFLite's OHWI, TensorFlow's HWIO, those with 4, 8 or 16 output channels side by side."""

_PLAIN_BITS = np.uint32((1 << 12) - 1)
_CORE = (3, 3)

WINDOWS, WORDS, NEARLY, RATIOS = "windows", "words", "nearly", "ratios"
NEARLY_BITS = 2
"""Lowest bits that are ignored where a number has been computed: others may have rounded differently."""


class Form(Record):
    """One tensor in one form, as keys of the search ``by``, and as many or fewer controls.

    ``kind`` is "windows" (order is kept, so structure can be read off) or "values" (single numbers). Forms of one
    kind, name and tensor are alternatives; ``weight`` is the tensor's size.
    """

    kind: str
    name: str
    by: str
    tensor: int
    weight: int
    keys: Array
    control: Array


def weights_of(graph: Graph) -> list[Array]:
    """The constants of a graph that are large enough to be weights."""
    return [value.constant for value in graph.constants if value.constant.size >= SMALLEST]


def forms_of(original: Sequence[Array], folded: Sequence[Array]) -> Iterator[Form]:
    """All forms of the weights as they were read, and of those that the passes made of them (BatchNorm folded in)."""
    random = np.random.default_rng(0)
    known = {_identity(array) for array in original}
    made = _floats(array for array in folded if _identity(array) not in known)
    read = _floats(original)
    integers = [a for a in original if a.dtype.kind in "iu" and a.nbytes >= 256]
    yield from _windows("as in the original", [*read, *integers], random, reorder=False)
    yield from _scaled("scaled by unknown factors", read, random)
    yield from _values("as in the original", WORDS, read, random)
    yield from _windows("axes in another order", read, random)
    yield from _windows("BatchNorm folded in", made, random)
    yield from _values("BatchNorm folded in", NEARLY, made, random)
    for arrays, also in ((read, ""), (made, "folded, ")):
        yield from _windows(f"{also}as 16-bit floats", arrays, random, narrow=_half)
        yield from _windows(f"{also}as bfloat16", arrays, random, narrow=_bfloat)
        cores = [a.reshape(-1, 3, 3) for a in arrays if a.ndim == 4 and a.shape[2:] == _CORE]
        for tile in (4, 2):
            transformed = [winograd(_some(random, kernels, 500), tile) for kernels in cores]
            yield from _values(f"{also}Winograd F({tile}x{tile})", NEARLY, transformed, random)


def _identity(array: Array) -> tuple[Any, ...]:
    """Two arrays of the same values are one, whatever their shape."""
    flat = array.reshape(-1)
    return (array.dtype.str, array.size, flat[: 64 * 16].tobytes(), flat[-64:].tobytes())


def _floats(arrays: Iterable[Array]) -> list[Array]:
    return [a.astype(np.float32, copy=False) for a in arrays if a.dtype.kind == "f"]


def _half(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype("<f2")


def _bfloat(values: Array) -> Array:
    """The upper halves of the bits, rounded to the nearest, ties to even."""
    bits = values.astype("<f4").view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype("<u2")


def _some(random: np.random.Generator, rows: Array, most: int) -> Array:
    if len(rows) <= most:
        return rows
    chosen: Array = rows[np.sort(random.choice(len(rows), most, replace=False))]
    return chosen


def _share(array: Array, arrays: Sequence[Array]) -> int:
    """How many keys a tensor gets: as its size deserves."""
    return max(16, SAMPLE * array.size // max(1, sum(a.size for a in arrays)))


def _orders(rank: int, reorder: bool) -> tuple[tuple[int, ...], ...]:
    return (tuple(range(rank)), *(_ORDERS.get(rank, ()) if reorder else ()))


def _rows(array: Array, axes: Sequence[int], length: int, most: int, random: np.random.Generator) -> Array:
    """[n, length]: elements that lie in a row when the axes are in another order.

    Only the sampled elements are touched, so that weights of a gigabyte stay on the disk.
    """
    count = array.size // length
    starts = random.integers(0, count, most) if most < count else np.arange(count)
    flat = starts[:, None] * length + np.arange(length)
    places = np.unravel_index(flat, [array.shape[axis] for axis in axes])
    rows: Array = array[tuple(places[axes.index(axis)] for axis in range(array.ndim))]
    return rows


def _windows(
    name: str,
    arrays: Sequence[Array],
    random: np.random.Generator,
    *,
    narrow: Callable[[Array], Array] | None = None,
    reorder: bool = True,
) -> Iterator[Form]:
    """Windows of every tensor in every order."""
    for number, array in enumerate(arrays):
        for axes in _orders(array.ndim, reorder):
            length = 8 if narrow else max(1, 16 // array.dtype.itemsize)
            rows = _rows(array, axes, length, _share(array, arrays), random)
            window = np.ascontiguousarray(narrow(rows) if narrow else rows).view(np.uint8).reshape(len(rows), -1)
            # what repeats (zeros, a constant, a step function) is found anywhere
            ordered = np.sort(window[:, :16].copy().view("<u2"), axis=1)
            window = window[(np.diff(ordered, axis=1) != 0).sum(axis=1) >= 4, :16]
            if len(window):
                words = np.ascontiguousarray(window).view("<u4")[:1000]
                control = np.stack([random.permutation(column) for column in words.T], axis=1)
                # a permutation of few rows leaves some as they were
                control = control[~(control == words).all(axis=1)] if len(words) > 4 else control[:0]
                control = np.ascontiguousarray(control).view(np.uint8).reshape(-1, 16)
                yield Form("windows", name, WINDOWS, number, array.size, window, control)


def _scaled(name: str, arrays: Sequence[Array], random: np.random.Generator) -> Iterator[Form]:
    """Ratios of neighbours, which stay when a whole channel is multiplied by a number that nobody told."""
    for number, array in enumerate(arrays):
        for axes in _orders(array.ndim, reorder=True):
            if array.size < 3:
                continue
            a, b, c = _rows(array, axes, 3, _share(array, arrays), random).T
            keys = ratio_keys(a, b, c)
            control = ratio_keys(a, random.permutation(b), random.permutation(c))[:1000]
            sampled = len(keys)
            keys = np.unique(keys[keys != 0])
            control = control[(control != 0) & ~np.isin(control, keys)]
            if len(keys) > sampled * DISTINCT:
                yield Form("windows", name, RATIOS, number, array.size, keys, control)


def _values(name: str, by: str, arrays: Sequence[Array], random: np.random.Generator) -> Iterator[Form]:
    """Single numbers, in whatever order they lie. Round ones (0, 1, 0.5) are left out: they stand in any program."""
    ignored = np.uint32(NEARLY_BITS if by == NEARLY else 0)
    for number, array in enumerate(arrays):
        most = _share(array, arrays)
        places = np.unravel_index(
            random.integers(0, array.size, most) if most < array.size else np.arange(array.size), array.shape
        )
        sampled = np.ascontiguousarray(array[places]).view(np.uint32)
        words = np.unique(sampled)
        words = words[words & _PLAIN_BITS != 0]
        if len(words) > len(sampled) * DISTINCT:
            changed = words ^ (random.integers(1, 512, len(words), dtype=np.uint32) << ignored)
            control = changed[~np.isin(changed >> ignored, words >> ignored)]
            yield Form("values", name, by, number, array.size, words, control)


SEARCHES: Mapping[str, Callable[[Bytes, Any], Mask]] = {
    WINDOWS: find_windows,
    WORDS: find_words,
    NEARLY: lambda data, keys: find_words(data, keys, ignored_bits=NEARLY_BITS),
    RATIOS: find_ratios,
}


_G = {
    4: [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
}  # fmt: skip


def winograd(kernels: Array, tile: int) -> Array:
    """f32[n, tile + 2, tile + 2]: G g G^T of 3x3 kernels (Lavin and Gray, arXiv:1509.09308), points 0, ±1, ±2."""
    matrix = np.array(_G[tile])
    transformed: Array = (matrix @ kernels.astype(np.float64) @ matrix.T).astype(np.float32)
    return transformed
