"""Where the weights lie in a .caffemodel: one pass over protobuf's wire format, which leaves them where they are.

A message is a list of (tag, value); tag = field number << 3 | wire type. Layers hold blobs, blobs hold numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_FIELDS = 400_000


class WireError(ValueError):
    """The bytes are no protobuf message, or count beyond what is accepted."""


class Part(NamedTuple):
    """One field: its number, wire type, and the bytes from its tag, and of its value."""

    number: int
    wire: int
    tag: int
    begin: int
    end: int


class Scanner:
    """Walks over the fields of messages within a buffer."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self._seen = 0

    def fields(self, begin: int, end: int) -> Iterator[Part]:
        """The fields of the message in these bytes; WireError where they are none."""
        position = begin
        while position < end:
            self._seen += 1
            if self._seen > MOST_FIELDS:
                raise WireError(f"more than {MOST_FIELDS} fields")
            tag = position
            key, value = self._varint(position, end)
            wire = key & 7
            if wire == BYTES:
                length, value = self._varint(value, end)
                position = value + length
            elif wire == VARINT:
                _, position = self._varint(value, end)
            elif wire in (FIXED32, FIXED64):
                position = value + (4 if wire == FIXED32 else 8)
            else:
                raise WireError(f"byte {tag}: no such wire type as {wire}")
            if position > end or not key >> 3:
                raise WireError(f"byte {tag}: a field reaches beyond its message")
            yield Part(key >> 3, wire, tag, value, position)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        result = shift = 0
        while position < end and shift < 70:
            byte = self.buffer[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result, position
            shift += 7
        raise WireError(f"byte {position}: a number is cut off")
