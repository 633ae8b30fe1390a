"""The blob of weights: all arrays in one file, each at a multiple of 64 bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mconv.ir.types import Array

from ..base import Chunk
from .view import ALIGNMENT, Buffer


class Blob:
    """Where each array lies, and all bytes in order.

    ``order`` chooses the order of the arrays (a permutation of their numbers).
    """

    def __init__(self, weights: Mapping[Buffer, Array], order: Callable[[int], Sequence[int]] = range) -> None:
        items = list(weights.items())
        self._arrays: list[Array] = []
        self.nbytes = 0
        for number in order(len(items)):
            buffer, array = items[number]
            buffer.offset = self.nbytes
            self._arrays.append(array)
            self.nbytes += _rounded(array.nbytes)

    def chunks(self) -> Iterator[Chunk]:
        """The bytes, as views of the arrays where these are dense."""
        for array in self._arrays:
            dense = np.ascontiguousarray(array)
            yield memoryview(dense.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            missing = _rounded(array.nbytes) - array.nbytes
            if missing:
                yield b"\0" * missing


def _rounded(nbytes: int) -> int:
    return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
