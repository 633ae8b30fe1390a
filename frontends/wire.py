"""Cut the weights out of a protobuf file's bytes, so that the rest can be parsed while they stay where they are.

Protobuf's own parser would copy every weight (twice, until it is a numpy array).  Here one pass over the wire format
finds each large tensor's data, and copies all other bytes into a *skeleton*: a complete message in which those
tensors have a mark in place of their data.  A mark is a string that starts with a random word, so no file can
forge one.  A `Grammar` tells where a format keeps its tensors.

The grammar followed is protobuf's: a message is a list of (tag, value); tag = field number << 3 | wire type.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mconv.ir.record import Record

LARGE = 1024
"""Bytes from which on a tensor's data is cut out; smaller messages are copied without a look inside."""

MAX_DEPTH = 100
"""Messages inside messages; protobuf's own parsers stop at the same depth."""

MAX_FIELDS = 2_000_000
"""Fields looked at in one file; a network of 100,000 nodes has about a tenth of that."""

MAX_SKELETON = 1 << 29
"""Bytes that may remain after cutting; protobuf needs several times as much once parsed."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How the value of a field is written."""


class WireError(ValueError):
    """The bytes are no protobuf message, or nest or count beyond what is accepted."""


class Span(NamedTuple):
    """Where a tensor's data lies in the file: bytes ``begin`` to ``end``, in the field of that number."""

    begin: int
    end: int
    field: int


class Grammar(Record):
    """Where tensors are in a format: messages are numbered here, ``inside`` tells which field holds which of them.

    A ``tensor``'s data is in the field ``raw``, or packed in a field of ``packed`` where its ``kind`` is the number
    given there, so that the packed numbers are the little-endian data. ``mark`` is the field for the mark.
    """

    inside: Mapping[int, Mapping[int, int]]
    tensor: int
    kind: int
    raw: int
    packed: Mapping[int, int]
    mark: int


class Field(NamedTuple):
    """One field of a message: its number, how it is written, and where its tag, its value and what follows it begin.

    Of a varint ``begin`` is the value itself.
    """

    number: int
    wire: int
    tag: int
    begin: int
    end: int


class Scanner:
    """Walks over the fields of messages in a buffer, as many as are believed of one file."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self._seen = 0

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """The fields of the message in these bytes; WireError where they are none."""
        position, buffer = begin, self.buffer
        while position < end:
            self._seen += 1
            if self._seen > MAX_FIELDS:
                raise WireError(f"more than {MAX_FIELDS} fields")
            tag = position
            key, position = _read_varint(buffer, position, end)
            wire = key & 7
            value = position
            if wire == BYTES:
                length, value = _read_varint(buffer, position, end)
                position = value + length
            elif wire == VARINT:
                value, position = _read_varint(buffer, position, end)
            elif wire == FIXED32:
                position += 4
            elif wire == FIXED64:
                position += 8
            else:
                raise WireError(f"byte {tag}: no such wire type as {wire}")
            if position > end or not key >> 3:
                raise WireError(f"byte {tag}: a field reaches beyond its message")
            yield Field(key >> 3, wire, tag, value, position)


class Skeleton:
    """The message without its large tensors, and where those lie."""

    def __init__(self) -> None:
        self.data = b""
        self.spans: list[Span] = []
        self.word = os.urandom(12).hex()

    def span(self, mark: str) -> Span | None:
        """The place of the data of the tensor with this mark, None where it was not cut out."""
        if not mark.startswith(self.word):
            return None
        return self.spans[int(mark[len(self.word) :])]


def cut(buffer: memoryview, grammar: Grammar, kind: int) -> Skeleton:
    """The skeleton of the message of that kind in ``buffer``; WireError where the bytes are not one."""
    cutter = _Cutter(buffer, grammar)
    pieces: list[bytes | memoryview] = []
    size = cutter.message(0, len(buffer), kind, 0, pieces)
    if size > MAX_SKELETON:
        raise WireError(f"{size} bytes remain without the weights; at most {MAX_SKELETON} are accepted")
    cutter.skeleton.data = b"".join(pieces)
    return cutter.skeleton


class _Cutter:
    def __init__(self, buffer: memoryview, grammar: Grammar) -> None:
        self.buffer = buffer
        self.scanner = Scanner(buffer)
        self.grammar = grammar
        self.skeleton = Skeleton()

    def message(self, begin: int, end: int, kind: int, depth: int, out: list[bytes | memoryview]) -> int:
        """Append the message's bytes, less what is cut out, to ``out``; returns their number."""
        if depth > MAX_DEPTH:
            raise WireError("messages nest too deep")
        if kind == self.grammar.tensor:
            return self._tensor(begin, end, out)
        inside = self.grammar.inside[kind]
        size, copied = 0, begin
        for item in self.scanner.fields(begin, end):
            child = inside.get(item.number)
            if child is None or item.wire != BYTES or item.end - item.begin < LARGE:
                continue
            pieces: list[bytes | memoryview] = []
            length = self.message(item.begin, item.end, child, depth + 1, pieces)
            if length == item.end - item.begin:
                continue  # nothing was cut: the bytes are copied as they are
            head = _varint(item.number << 3 | BYTES) + _varint(length)
            out.append(self.buffer[copied : item.tag])
            out.append(head)
            out.extend(pieces)
            size += item.tag - copied + len(head) + length
            copied = item.end
        out.append(self.buffer[copied:end])
        return size + end - copied

    def _tensor(self, begin: int, end: int, out: list[bytes | memoryview]) -> int:
        fields = list(self.scanner.fields(begin, end))
        data = _data_of(fields, self.grammar)
        if data is None:
            out.append(self.buffer[begin:end])
            return end - begin
        size = 0
        for item in fields:
            if item is data or item.number == self.grammar.mark:
                continue
            out.append(self.buffer[item.tag : item.end])
            size += item.end - item.tag
        text = f"{self.skeleton.word}{len(self.skeleton.spans)}".encode()
        mark = _varint(self.grammar.mark << 3 | BYTES) + _varint(len(text)) + text
        self.skeleton.spans.append(Span(data.begin, data.end, data.number))
        out.append(mark)
        return size + len(mark)


def _data_of(fields: list[Field], grammar: Grammar) -> Field | None:
    """The field that holds all of a tensor's data as little-endian bytes, if it is large enough to cut out."""
    found = [f for f in fields if (f.number == grammar.raw or f.number in grammar.packed) and f.wire == BYTES]
    if len(found) != 1 or found[0].end - found[0].begin < LARGE:
        return None
    wanted = grammar.packed.get(found[0].number)
    types = [f.begin for f in fields if f.number == grammar.kind and f.wire == VARINT]
    return found[0] if wanted is None or types == [wanted] else None


def _read_varint(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    """The number at ``position`` and the offset after it."""
    result = shift = 0
    while position < end and shift < 70:
        byte = buffer[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
    raise WireError(f"byte {position}: a number is cut off")


def _varint(number: int) -> bytes:
    """``number`` as protobuf writes it: seven bits a byte, lowest first."""
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)
