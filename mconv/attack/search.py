"""Searching a file for many short keys at once: a table of bits sorts out nearly all places, the rest is looked up.

Time is linear in the file's size, whatever is looked for: about a second for 100 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX2 = np.uint64(0xC2B2AE3D27D4EB4F)
_TABLE_BITS = 24
_PIECE = 1 << 22


class _Wanted:
    """Sorted keys, and which of them have been seen."""

    def __init__(self, keys: Keys, first: Keys) -> None:
        self.sorted, self.back = np.unique(keys, return_inverse=True)
        self.seen = np.zeros(len(self.sorted), bool)
        self.table = np.zeros(1 << _TABLE_BITS, bool)
        self.table[_slot(first)] = True

    def candidates(self, first: Keys) -> np.ndarray[Any, np.dtype[np.intp]]:
        return np.flatnonzero(self.table[_slot(first)])

    def look_up(self, keys: Keys) -> None:
        if not len(self.sorted):
            return
        place = np.minimum(np.searchsorted(self.sorted, keys), len(self.sorted) - 1)
        self.seen[place[self.sorted[place] == keys]] = True

    def found(self) -> Mask:
        return self.seen[self.back.reshape(-1)]


def _slot(keys: Keys) -> Keys:
    slots: Keys = (keys * _MIX) >> np.uint64(64 - _TABLE_BITS)
    return slots


def _views(data: Bytes, item: np.dtype[Any], behind: int) -> Iterator[np.ndarray[Any, Any]]:
    """All elements of a type at every offset, in pieces; each piece overlaps the next by ``behind`` elements."""
    size = item.itemsize
    for begin in range(0, len(data), _PIECE):
        for shift in range(size):
            at = begin + shift
            count = min((_PIECE // size) + behind, (len(data) - at) // size)
            if count > behind:
                yield np.frombuffer(data, item, count, at)


def find_windows(data: Bytes, windows: Bytes) -> Mask:
    """bool[n]: which of the rows of uint8[n, 16] stand in ``data``, at any offset."""
    halves = np.ascontiguousarray(windows).view("<u8").reshape(-1, 2)
    wanted = _Wanted(_joined(halves[:, 0], halves[:, 1]), halves[:, 0])
    for words in _views(data, np.dtype("<u8"), 1):
        places = wanted.candidates(words[:-1])
        wanted.look_up(_joined(words[places], words[places + 1]))
    return wanted.found()


def _joined(first: Keys, second: Keys) -> Keys:
    """One key of two words; that two pairs share one has a chance of 2^-64."""
    left, right = first ^ first >> np.uint64(29), second ^ second >> np.uint64(31)
    return np.add(left * _MIX, right * _MIX2, dtype=np.uint64)


def find_words(data: Bytes, words: np.ndarray[Any, np.dtype[np.uint32]], *, ignored_bits: int = 0) -> Mask:
    """bool[n]: which of the 32-bit words stand in ``data``, at any offset, the lowest bits being ignored."""
    shift = np.uint32(ignored_bits)
    keys = (words >> shift).astype(np.uint64)
    wanted = _Wanted(keys, keys)
    for found in _views(data, np.dtype("<u4"), 0):
        short = (found >> shift).astype(np.uint64)
        wanted.look_up(short[wanted.candidates(short)])
    return wanted.found()


def find_ratios(data: Bytes, ratios: Keys) -> Mask:
    """bool[n]: which keys of `ratio_keys` three floats in a row have, anywhere in ``data``."""
    wanted = _Wanted(ratios, ratios)
    for floats in _views(data, np.dtype("<f4"), 2):
        keys = ratio_keys(floats[:-2], floats[1:-1], floats[2:])
        wanted.look_up(keys[wanted.candidates(keys)])
    return wanted.found()


def ratio_keys(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], c: np.ndarray[Any, Any]) -> Keys:
    """b / a and c / b to about 15 bits each, the same for weights scaled together; 0 where they say nothing."""
    with np.errstate(all="ignore"):
        first, second = (b / a).astype(np.float32), (c / b).astype(np.float32)
    half = np.uint32(1 << 7)
    left, right = ((r.view(np.uint32) + half) >> np.uint32(8) for r in (first, second))
    keys = left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)
    sound = np.isfinite(first) & np.isfinite(second) & (first != 0) & (second != 0) & (np.abs(first) != 1)
    return np.where(sound, keys, np.uint64(0))
