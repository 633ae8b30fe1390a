"""Checkpoints as TensorFlow 2 writes them: an index, a sorted table of keys in LevelDB's format, and shards of data.

Format: tensorflow/core/util/tensor_bundle and tensorflow/core/lib/io/format.h. The table ends in a footer of 48 bytes
with the place of the index block; a block holds keys that share a beginning with the one before, and their values.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mconv.ir import Array
from mconv.ir.record import Record

from . import errors
from .decode import dtype_of
from .proto import BundleEntry, BundleHeader

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5
"""Bytes after a block: how it is compressed, and a checksum."""
_MOST_KEYS = 1_000_000


class Entry(Record):
    """Where a tensor lies: its shape, the number of its shard, and the place in it."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


class Bundle:
    """The tensors of a checkpoint by key. Raises UnreadableError where the files are damaged."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._index = prefix.with_name(prefix.name + ".index")
        self._shards: dict[int, memoryview] = {}
        self.entries: dict[str, Entry] = {}
        self._count = 1
        try:
            data = self._index.read_bytes()
        except OSError as error:
            raise errors.no_variables(f"{self._index.name} cannot be opened: {error.strerror}") from None
        try:
            self._read(data)
        except (IndexError, ValueError, OverflowError) as error:  # a varint that leads nowhere, no message
            raise self._damaged(str(error)) from error

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def array(self, key: str) -> Array:
        """The tensor of a key: a view of its shard's mapped bytes."""
        entry = self.entries[key]
        dtype = dtype_of(entry.dtype, f"variable '{key}'").numpy
        count = math.prod(entry.shape)
        data = self._shard(entry.shard)
        if count * dtype.itemsize != entry.size or not 0 <= entry.offset <= len(data) - entry.size:
            raise self._damaged(f"the place of '{key}' does not hold {list(entry.shape)} of {dtype}")
        return np.frombuffer(data, dtype, count, entry.offset).reshape(entry.shape)

    def _damaged(self, what: str) -> Exception:
        return errors.no_variables(f"{self._index.name} is damaged: {what}")

    def _shard(self, number: int) -> memoryview:
        if number not in self._shards:
            path = self.prefix.with_name(f"{self.prefix.name}.data-{number:05d}-of-{self._count:05d}")
            try:
                with path.open("rb") as file:
                    empty = file.seek(0, 2) == 0
                    mapped = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                raise errors.no_variables(f"{path.name} cannot be opened: {error.strerror}") from None
            self._shards[number] = memoryview(mapped)
        return self._shards[number]

    def _read(self, data: bytes) -> None:
        if len(data) < _FOOTER or int.from_bytes(data[-8:], "little") != _MAGIC:
            raise self._damaged("it does not end as a table does")
        place = len(data) - _FOOTER
        for _ in range(2):  # the first is that of an index of other things
            offset, place = _varint(data, place)
            size, place = _varint(data, place)
        for _, handle in self._block(data, offset, size):
            start, after = _varint(handle, 0)
            length, _ = _varint(handle, after)
            for key, value in self._block(data, start, length):
                self._take(key, value)

    def _take(self, key: bytes, value: bytes) -> None:
        if len(self.entries) >= _MOST_KEYS:
            raise self._damaged("too many keys")
        if not key:
            header = BundleHeader.FromString(value)
            if header.endianness:
                raise errors.no_variables(f"{self._index.name} is of a machine whose numbers are big endian")
            self._count = header.num_shards
            return
        entry = BundleEntry.FromString(value)
        if entry.slices:
            raise errors.no_variables(f"'{key.decode(errors='replace')}' is kept in slices, which are not read")
        shape = tuple(dim.size for dim in entry.shape.dim)
        if any(d < 0 for d in shape):
            raise self._damaged("a size is negative")
        self.entries[key.decode()] = Entry(entry.dtype, shape, entry.shard_id, entry.offset, entry.size)

    def _block(self, data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
        """The pairs of a block."""
        if offset + size + _TRAILER > len(data):
            raise self._damaged("a block ends behind the file")
        if data[offset + size]:
            raise errors.no_variables(f"{self._index.name} is compressed, which is not read")
        block = data[offset : offset + size]
        restarts = int.from_bytes(block[-4:], "little")
        end = len(block) - 4 * (restarts + 1)
        place, key = 0, b""
        while place < end:
            shared, place = _varint(block, place)
            own, place = _varint(block, place)
            length, place = _varint(block, place)
            if shared > len(key) or place + own + length > end:
                raise self._damaged("a key is longer than its block")
            key = key[:shared] + block[place : place + own]
            yield key, block[place + own : place + own + length]
            place += own + length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place after it."""
    result = shift = 0
    while True:
        byte = data[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, place
        shift += 7
        if shift > 63:
            raise ValueError("a number does not end")
