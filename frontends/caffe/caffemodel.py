"""The weights of a .caffemodel, by the names of its layers: read-only views of the mapped file."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir.record import Record
from mconv.ir.types import Array

from ..protobuf import schema
from ..wire import BYTES, Field, Scanner, WireError
from . import errors

SCHEMA = """
enum Type { DOUBLE = 0; FLOAT = 1; FLOAT16 = 2; INT = 3; UINT = 4; }
message BlobShape { repeated int64 dim = 1 [packed = true]; }
message BlobProto {
    optional BlobShape shape = 7; repeated bytes data = 5; repeated bytes double_data = 8;
    optional Type raw_data_type = 10; optional bytes raw_data = 12;
    optional int32 num = 1; optional int32 channels = 2; optional int32 height = 3; optional int32 width = 4;
}
message LayerParameter { optional bytes name = 1; optional bytes type = 2; repeated BlobProto blobs = 7; }
message V0LayerParameter { optional bytes name = 1; repeated BlobProto blobs = 50; }
message V1LayerParameter { optional V0LayerParameter layer = 1; optional bytes name = 4; repeated BlobProto blobs = 6; }
message NetParameter {
    optional bytes name = 1; repeated V1LayerParameter layers = 2; repeated LayerParameter layer = 100;
}
"""
"""The numbers of a blob are ``bytes`` here: on the wire a packed list of floats is the floats' bytes."""

_DATA, _DOUBLE_DATA, _RAW_DATA = 5, 8, 12
_STORED: dict[int, np.dtype[Any]] = {_DATA: np.dtype("<f4"), _DOUBLE_DATA: np.dtype("<f8")}
_RAW: dict[int, np.dtype[Any]] = {0: np.dtype("<f8"), 1: np.dtype("<f4"), 2: np.dtype("<f2")}
_NEW, _OLD, _OLDEST = "LayerParameter", "V1LayerParameter", "V0LayerParameter"
_BLOBS = {_NEW: 7, _OLD: 6, _OLDEST: 50}


class Blob(Record):
    """One array of weights: its shape as it is stored, and the numbers in one row."""

    shape: tuple[int, ...]
    data: Array


@cache
def messages() -> dict[str, Any]:
    """The message classes."""
    return schema(SCHEMA, "mconv.caffe")


def load(path: Path) -> Mapping[str, tuple[Blob, ...]]:
    """The blobs of each layer that has some. UnreadableError MC233."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 2:
                raise errors.damaged(f"{path.name} has {size} bytes")
            buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise errors.no_weights(f"{path.name} cannot be opened: {error.strerror}") from None
    from google.protobuf.message import DecodeError

    try:
        found = dict(_layers(Scanner(buffer)))
    except (WireError, DecodeError, ValueError) as error:
        raise errors.damaged(f"{path.name} is no .caffemodel: {error}") from None
    return found


def _layers(scanner: Scanner) -> Iterator[tuple[str, tuple[Blob, ...]]]:
    for part in scanner.fields(0, len(scanner.buffer)):
        kind = {100: _NEW, 2: _OLD}.get(part.number)
        if kind is not None and part.wire == BYTES:
            name, blobs = _layer(scanner, part, kind)
            if blobs:
                yield name, tuple(blobs)


def _layer(scanner: Scanner, whole: Field, kind: str) -> tuple[str, list[Blob]]:
    """The name and blobs of a layer; those of a V0 layer are in a message within."""
    rest, blobs = [], []
    inner_name = ""
    for part in scanner.fields(whole.begin, whole.end):
        if part.number == _BLOBS[kind] and part.wire == BYTES:
            blobs.append(_blob(scanner, part))
        elif kind == _OLD and part.number == 1 and part.wire == BYTES:
            inner_name, inner = _layer(scanner, part, _OLDEST)
            blobs.extend(inner)
        elif part.number in (1, 2, 4) and part.wire == BYTES:
            rest.append(scanner.buffer[part.tag : part.end])
    message = messages()[kind].FromString(b"".join(rest))
    return message.name.decode("utf-8", "replace") or inner_name, blobs


def _blob(scanner: Scanner, whole: Field) -> Blob:
    rest, data = [], []
    for part in scanner.fields(whole.begin, whole.end):
        if part.number in (_DATA, _DOUBLE_DATA, _RAW_DATA) and part.wire == BYTES:
            data.append(part)
        elif part.number in (_DATA, _DOUBLE_DATA):
            data.append(part)  # one number at a time
        elif part.number in (1, 2, 3, 4, 7, 10):
            rest.append(scanner.buffer[part.tag : part.end])
    message = messages()["BlobProto"].FromString(b"".join(rest))
    numbers = _numbers(scanner.buffer, data, message)
    if message.HasField("shape"):
        shape = tuple(message.shape.dim)
    elif any(message.HasField(name) for name in ("num", "channels", "height", "width")):
        shape = (message.num, message.channels, message.height, message.width)
    else:
        shape = (numbers.size,)
    if any(d < 0 for d in shape) or math.prod(shape) != numbers.size:
        raise ValueError(f"a blob of shape {list(shape)[:8]} with {numbers.size} numbers")
    return Blob(shape, numbers)


def _numbers(buffer: memoryview, parts: list[Field], message: Any) -> Array:
    """All numbers of a blob in one row, as they are stored; several pieces are joined."""
    if len({p.number for p in parts}) > 1:
        raise ValueError("a blob stored in two ways")
    pieces = []
    for part in parts:
        dtype = _RAW.get(message.raw_data_type) if part.number == _RAW_DATA else _STORED[part.number]
        if dtype is None:
            raise ValueError("a blob of integers")
        if (part.end - part.begin) % dtype.itemsize:
            raise ValueError(f"a blob of {part.end - part.begin} bytes")
        pieces.append(np.frombuffer(buffer[part.begin : part.end], dtype))
    if not pieces:
        return np.empty(0, np.float32)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
