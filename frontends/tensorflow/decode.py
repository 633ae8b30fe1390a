"""The bytes of a GraphDef or SavedModel as messages, whose large tensors stay in the file; and tensors as arrays."""

from __future__ import annotations

import importlib
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir import DType
from mconv.ir.record import Record
from mconv.ir.types import Array

from ..wire import Grammar, Skeleton, Span, WireError, cut
from . import errors
from .proto import messages

DecodeError: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError  # has no type stubs

GRAPH, SAVED_MODEL, _META, _LIBRARY, _FUNCTION, _NODE, _ENTRY, _VALUE, _LIST, _TENSOR = range(10)
_NAMES = {GRAPH: "GraphDef", SAVED_MODEL: "SavedModel"}
GRAMMAR = Grammar(
    {
        SAVED_MODEL: {2: _META},
        _META: {2: GRAPH},
        GRAPH: {1: _NODE, 2: _LIBRARY},
        _LIBRARY: {1: _FUNCTION},
        _FUNCTION: {3: _NODE},
        _NODE: {5: _ENTRY},
        _ENTRY: {2: _VALUE},
        _VALUE: {8: _TENSOR, 1: _LIST},
        _LIST: {8: _TENSOR},
    },
    tensor=_TENSOR,
    kind=1,  # dtype
    raw=4,  # tensor_content
    packed={5: 1, 6: 2},  # float_val of DT_FLOAT, double_val of DT_DOUBLE
    mark=19999,
)
"""Where TensorFlow's files keep their weights (graph.proto, tensor.proto and so on)."""

DTYPES: dict[int, DType] = {
    1: DType.F32, 2: DType.F64, 3: DType.I32, 4: DType.U8, 5: DType.I16, 6: DType.I8, 9: DType.I64, 10: DType.BOOL,
    14: DType.BF16, 17: DType.U16, 19: DType.F16, 22: DType.U32, 23: DType.U64,
}  # fmt: skip
"""Element types by TensorFlow's number."""
STRING, RESOURCE, VARIANT = 7, 20, 21
OTHER_TYPES = {
    STRING: "strings", 8: "complex64", 11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16",
    18: "complex128", RESOURCE: "resource", VARIANT: "variant",
}  # fmt: skip
MOST_ELEMENTS = 1 << 34
"""Elements of the largest tensor that is believed."""
MOST_FILLED = 1 << 28
"""Elements of the largest tensor whose last number is written out again and again."""
MAX_RANK = 64
_FIELDS = {
    DType.F32: "float_val", DType.F64: "double_val", DType.I32: "int_val", DType.U8: "int_val", DType.I16: "int_val",
    DType.I8: "int_val", DType.I64: "int64_val", DType.BOOL: "bool_val", DType.U16: "int_val", DType.U32: "uint32_val",
    DType.U64: "uint64_val", DType.F16: "half_val", DType.BF16: "half_val",
}  # fmt: skip


class Source(Record):
    """A decoded file: the message, and where its tensors lie (``skeleton`` and ``data`` are None for one in memory)."""

    message: Any
    skeleton: Skeleton | None = None
    data: memoryview | None = None

    def array(self, tensor: Any, what: str) -> Array:
        """The content of a TensorProto as an array, a view of the file where it is large."""
        dtype, shape = dtype_of(tensor.dtype, what), shape_of(tensor.tensor_shape, what)
        if shape is None or any(d < 0 for d in shape):
            raise errors.bad_tensor(f"{what} is a constant without a shape")
        count = math.prod(shape)
        if count > MOST_ELEMENTS:
            raise errors.too_large(f"{what} has shape {list(shape)}")
        span = self._span(tensor)
        if span is None and not tensor.tensor_content:
            return _listed(tensor, dtype, shape, count, what)
        raw = tensor.tensor_content if span is None or self.data is None else self.data[span.begin : span.end]
        size = dtype.numpy.itemsize
        if span is not None and span.field != GRAMMAR.raw and len(raw) < count * size:
            return _filled(np.frombuffer(raw, dtype.numpy), shape, count, what)
        if len(raw) != count * size:
            raise errors.bad_tensor(f"{what} of {dtype.value}{list(shape)} holds {len(raw)} bytes")
        array = np.frombuffer(raw, dtype.numpy)
        return (array if dtype is not DType.BOOL else np.frombuffer(raw, np.uint8) != 0).reshape(shape)

    def _span(self, tensor: Any) -> Span | None:
        if not tensor.mark or self.skeleton is None:
            return None
        return self.skeleton.span(tensor.mark.decode("latin-1"))


def _listed(tensor: Any, dtype: DType, shape: tuple[int, ...], count: int, what: str) -> Array:
    """Numbers from the typed list, of which the last is repeated as often as the shape needs."""
    items = getattr(tensor, _FIELDS[dtype])
    if len(items) > count:
        raise errors.bad_tensor(f"{what} of {dtype.value}{list(shape)} lists {len(items)} numbers")
    if not count:
        return np.zeros(shape, dtype.numpy)
    if dtype in (DType.F16, DType.BF16):
        numbers = np.array(items, np.int64).astype(np.uint16).view(dtype.numpy)
    else:
        numbers = np.array(items, np.int64 if dtype.is_integer and dtype is not DType.U64 else dtype.numpy)
        numbers = numbers.astype(dtype.numpy)
    return _filled(numbers, shape, count, what)


def _filled(numbers: Array, shape: tuple[int, ...], count: int, what: str) -> Array:
    if len(numbers) <= 1:
        return np.broadcast_to(numbers[0] if len(numbers) else numbers.dtype.type(0), shape)
    if len(numbers) < count:
        if count > MOST_FILLED:
            raise errors.too_large(f"{what} of shape {list(shape)} is filled up from {len(numbers)} numbers")
        numbers = np.concatenate([numbers, np.full(count - len(numbers), numbers[-1])])
    return numbers.reshape(shape)


def dtype_of(number: int, what: str) -> DType:
    """The element type of TensorFlow's number (that of a reference too); MC304 where it is one that is not read."""
    plain = number - 100 if number > 100 else number
    if plain not in DTYPES:
        raise errors.element_type(f"{what} holds {OTHER_TYPES.get(plain, f'elements of type {number}')}")
    return DTYPES[plain]


def shape_of(proto: Any, what: str) -> tuple[int, ...] | None:
    """The sizes in a TensorShapeProto, -1 for one that is not known; None where the rank is not."""
    if proto.unknown_rank:
        return None
    if len(proto.dim) > MAX_RANK:
        raise errors.bad_tensor(f"{what} has {len(proto.dim)} axes")
    sizes = tuple(max(d.size, -1) for d in proto.dim)
    if any(d >= 1 << 62 for d in sizes):
        raise errors.bad_tensor(f"{what} has shape {list(sizes)}")
    return sizes


def open_file(path: Path, kind: int = GRAPH) -> Source:
    """The GraphDef (or SavedModel) in a file, mapped; MC240 where it is none."""
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise errors.damaged(f"{path.name} cannot be opened: {error}") from None
    return decoded(mapped, path.name, kind)


def decoded(data: memoryview, name: str, kind: int = GRAPH) -> Source:
    """The GraphDef (or SavedModel) in these bytes; MC240 where it is none."""
    message = messages[_NAMES[kind]]()
    try:
        skeleton = cut(data, GRAMMAR, kind)
        message.ParseFromString(skeleton.data)
    except (WireError, DecodeError) as error:
        raise errors.damaged(f"{name} cannot be decoded: {error}") from error
    skeleton.data = b""
    return Source(message, skeleton, data)
