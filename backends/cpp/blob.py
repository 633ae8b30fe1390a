"""The file of weights: all arrays of a net in one blob, in the clear or sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mconv.ir.record import Record
from mconv.ir.types import Array

from ..base import Chunk, Writing
from . import protect
from .view import Buffer


class Seal(Record):
    """How the weights are sealed: the build, and the key, which travels in the program where the person gave none."""

    build: protect.Build
    key: bytes
    embedded: bool


class Blob:
    """Where each array lies, and all bytes in order. ``seal`` is None for weights in the clear."""

    def __init__(self, weights: Mapping[Buffer, Array], writing: Writing) -> None:
        self._arrays: list[Chunk] = [_bytes_of(array) for array in weights.values()]
        self.seal = _seal(self._arrays, writing) if writing.protect == "strong" else None
        build = self.seal.build if self.seal else None
        self._placement = protect.place([memoryview(a).nbytes for a in self._arrays], build)
        for buffer, offset in zip(weights, self._placement.offsets, strict=True):
            buffer.offset = offset
        self.opened = self._placement.size
        """Bytes of the weights in the clear."""
        self.nbytes = self.opened + (protect.OVERHEAD if self.seal else 0)
        """Bytes of the file."""

    @property
    def gaps(self) -> int:
        """How many marks lie between the arrays."""
        return len(self._placement.gaps)

    def chunks(self) -> Iterator[Chunk]:
        """The file's bytes, as views of the arrays where they are in the clear."""
        build = self.seal.build if self.seal else None
        pieces = protect.laid_out(self._arrays, self._placement, build)
        if self.seal is None:
            yield from pieces
        else:
            yield from protect.seal(pieces, self.seal.key, self.seal.build)


def _seal(arrays: Sequence[Chunk], writing: Writing) -> Seal:
    build = protect.build_from(writing.build_seed, arrays)
    if writing.key is not None:
        return Seal(build, protect.read_key(writing.key), False)
    key = hashlib.blake2b(build.seed, digest_size=protect.KEY_BYTES, person=b"embedded").digest()
    return Seal(build, key, True)


def _bytes_of(array: Array) -> Chunk:
    dense = np.ascontiguousarray(array)
    return memoryview(dense.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
