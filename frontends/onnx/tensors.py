"""TensorProto to numpy: views of the file's bytes wherever the element type allows it."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir import DType
from mconv.ir.types import Array

from ..wire import Skeleton
from .errors import RE_EXPORT, unreadable, unsupported
from .package import onnx

Kind = onnx.TensorProto

ELEMENT_TYPES: dict[int, DType] = {
    Kind.BOOL: DType.BOOL,
    Kind.INT8: DType.I8,
    Kind.INT16: DType.I16,
    Kind.INT32: DType.I32,
    Kind.INT64: DType.I64,
    Kind.UINT8: DType.U8,
    Kind.UINT16: DType.U16,
    Kind.UINT32: DType.U32,
    Kind.UINT64: DType.U64,
    Kind.FLOAT16: DType.F16,
    Kind.BFLOAT16: DType.BF16,
    Kind.FLOAT: DType.F32,
    Kind.DOUBLE: DType.F64,
}

# Packed integers are unpacked into whole bytes: (element type afterwards, bits an element, signed).
PACKED: dict[int, tuple[DType, int, bool]] = {
    getattr(Kind, name): (dtype, bits, dtype is DType.I8)
    for name, dtype, bits in (
        ("INT4", DType.I8, 4),
        ("UINT4", DType.U8, 4),
        ("INT2", DType.I8, 2),
        ("UINT2", DType.U8, 2),
    )
    if hasattr(Kind, name)
}

MAX_RANK = 32
"""Axes a tensor may have; older numpy has no more."""

MAX_SPARSE = 1 << 28
"""Elements that a sparse tensor may have once it is dense."""


def element_type(number: int, what: str) -> DType:
    """The DType of an ONNX element type number; refused where mconv has none (strings, complex, float8, int4)."""
    if number in ELEMENT_TYPES:
        return ELEMENT_TYPES[number]
    if number in Kind.DataType.values() and number != Kind.UNDEFINED:
        name = Kind.DataType.Name(number).lower()
        raise unsupported("MC304", f"{what} has elements of type {name}", "a model of float or integer tensors")
    raise unreadable("MC221", f"{what} has no valid element type ({number})", RE_EXPORT)


def shape_of(dims: list[int], what: str) -> tuple[int, ...]:
    """The dimensions of a tensor that holds data, checked."""
    if len(dims) > MAX_RANK:
        raise unreadable("MC209", f"{what} has {len(dims)} dimensions; at most {MAX_RANK} are accepted", RE_EXPORT)
    if any(d < 0 for d in dims):
        raise unreadable("MC209", f"{what} has a negative dimension: {dims}", RE_EXPORT)
    return tuple(dims)


class TensorReader:
    """Reads the tensors of one model: from its messages, from the file they were cut out of, from files beside it."""

    def __init__(self, skeleton: Skeleton | None, buffer: memoryview | None, path: Path | None) -> None:
        self._skeleton = skeleton
        self._buffer = buffer
        self._path = path
        self._beside: dict[str, Array] = {}

    def read(self, tensor: onnx.TensorProto, what: str) -> Array:
        """The content, read-only; ``what`` names the tensor in errors.

        Packed 4-bit and 2-bit integers come as whole bytes.
        """
        packed = PACKED.get(tensor.data_type)
        dtype = packed[0] if packed is not None else element_type(tensor.data_type, what)
        shape = shape_of(list(tensor.dims), what)
        if tensor.HasField("segment"):
            raise unsupported("MC303", f"{what} is stored in segments")
        count = math.prod(shape)
        size = count * dtype.size if packed is None else -(-count * packed[1] // 8)
        data = self._bytes(tensor, size, what)
        if data is None:
            return self._typed(tensor, dtype, shape, packed, what)
        if len(data) != size:
            raise _wrong_size(what, shape, tensor.data_type, size, len(data))
        if packed is not None:
            array = _unpack(np.asarray(data), count, packed)
        elif sys.byteorder == "big":
            array = data.view(dtype.numpy.newbyteorder("<")).astype(dtype.numpy)
        else:
            array = data.view(dtype.numpy) if dtype is not DType.BOOL else data != 0
        array = array.reshape(shape)
        array.flags.writeable = False
        return array

    def read_sparse(self, sparse: onnx.SparseTensorProto, what: str) -> Array:
        """A sparse tensor, made dense."""
        shape = shape_of(list(sparse.dims), what)
        count = math.prod(shape)
        if count > MAX_SPARSE:
            raise unsupported("MC309", f"{what} has {count} elements once it is dense; at most {MAX_SPARSE}")
        values = self.read(sparse.values, what).ravel()
        indices = self.read(sparse.indices, what)
        if indices.dtype != np.int64 or indices.ndim not in (1, 2) or indices.shape[0] != values.size:
            raise unreadable("MC208", f"{what}: indices {indices.shape} do not fit {values.size} values", RE_EXPORT)
        try:
            places = np.ravel_multi_index(tuple(indices.T), shape) if indices.ndim == 2 else indices
            dense = np.zeros(count, values.dtype)
            dense[places] = values
        except (ValueError, IndexError) as error:
            raise unreadable("MC208", f"{what}: an index lies outside {list(shape)}", RE_EXPORT) from error
        dense.flags.writeable = False
        return dense.reshape(shape)

    def _bytes(self, tensor: onnx.TensorProto, size: int, what: str) -> Array | None:
        """The little-endian bytes of the content, or None where it stands in typed fields."""
        if tensor.data_location == Kind.EXTERNAL:
            return self._external(tensor, size, what)
        if self._skeleton is not None and self._buffer is not None:
            span = self._skeleton.span(tensor.doc_string)
            if span is not None:
                return np.frombuffer(self._buffer, np.uint8, span.end - span.begin, span.begin)
        if tensor.HasField("raw_data"):
            return np.frombuffer(tensor.raw_data, np.uint8)
        return None

    def _external(self, tensor: onnx.TensorProto, size: int, what: str) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            raise unreadable("MC210", f"{what}: external data with offset or length that is no number") from None
        if location not in self._beside:
            self._beside[location] = _map(self._resolve(location, what))
        data = self._beside[location]
        if offset < 0 or length < 0 or offset + length > data.size:
            raise unreadable(
                "MC211",
                f"{what}: '{location}' has {data.size} bytes, and bytes {offset} to {offset + length} are asked for",
                "copying the data file again; it was cut or belongs to another model",
            )
        return data[offset : offset + length]

    def _resolve(self, location: str, what: str) -> Path:
        """The file of an external location, which must be a regular file in the model's own folder."""
        hint = "keeping the data file in the model's folder, and loading the model by its path"
        if self._path is None:
            raise unreadable("MC210", f"{what} is in an external file, and the model was not loaded from a file", hint)
        parts = Path(location).parts
        if not location or "\0" in location or "\\" in location or Path(location).is_absolute() or ".." in parts:
            raise unreadable("MC210", f"{what}: external data outside the model's folder: '{location}'", hint)
        found = (self._path.parent / location).resolve()
        # A model that is itself a link (as in a download cache) may have its data beside what it links to.
        homes = (self._path.parent.resolve(), self._path.resolve().parent)
        if not any(found.is_relative_to(home) for home in homes):
            raise unreadable("MC210", f"{what}: '{location}' leads outside the model's folder", hint)
        try:
            regular = stat.S_ISREG(os.stat(found).st_mode)
        except OSError:
            raise unreadable("MC211", f"{what}: the data file '{location}' is missing", hint) from None
        if not regular:
            raise unreadable("MC210", f"{what}: '{location}' is not a regular file", hint)
        return found

    def _typed(
        self,
        tensor: onnx.TensorProto,
        dtype: DType,
        shape: tuple[int, ...],
        packed: tuple[DType, int, bool] | None,
        what: str,
    ) -> Array:
        """The content from the field that ONNX has for this element type; 16-bit floats stand as their bits."""
        number = tensor.data_type
        stored: Any = _FIELDS[number](tensor)
        count = math.prod(shape)
        wanted = count if packed is None else -(-count * packed[1] // 8)
        if len(stored) != wanted:
            raise _wrong_size(what, shape, number, wanted, len(stored), "numbers")
        try:
            if packed is not None:
                array = _unpack(np.array(stored, np.uint8), count, packed)
            elif dtype in (DType.F16, DType.BF16):
                array = np.array(stored, np.uint16).view(dtype.numpy)
            else:
                array = np.array(stored, dtype.numpy)
        except (OverflowError, ValueError) as error:
            raise unreadable("MC208", f"{what}: a number does not fit its element type: {error}", RE_EXPORT) from error
        array = array.reshape(shape)
        array.flags.writeable = False
        return array


def _fields() -> Mapping[int, Any]:
    by_field = {
        "float_data": (Kind.FLOAT,),
        "double_data": (Kind.DOUBLE,),
        "int64_data": (Kind.INT64,),
        "uint64_data": (Kind.UINT64, Kind.UINT32),
        "int32_data": (
            *(Kind.INT32, Kind.INT16, Kind.INT8, Kind.UINT16, Kind.UINT8, Kind.BOOL, Kind.FLOAT16, Kind.BFLOAT16),
            *PACKED,
        ),
    }
    return {number: (lambda t, name=name: getattr(t, name)) for name, kinds in by_field.items() for number in kinds}


_FIELDS = _fields()


def _map(path: Path) -> Array:
    """The file's bytes, memory-mapped (an empty file cannot be)."""
    return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.empty(0, np.uint8)


def _unpack(data: Array, count: int, packed: tuple[DType, int, bool]) -> Array:
    """Integers of 4 or 2 bits, first in the lowest bits of each byte, as whole bytes."""
    dtype, bits, signed = packed
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    numbers = ((data[:, None] >> shifts) & ((1 << bits) - 1)).ravel()[:count].astype(dtype.numpy)
    if signed:
        half = 1 << (bits - 1)
        numbers = ((numbers + half) & ((1 << bits) - 1)) - half
    return numbers.astype(dtype.numpy)


def _wrong_size(
    what: str, shape: tuple[int, ...], number: int, wanted: int, there: int, unit: str = "bytes"
) -> Exception:
    name = Kind.DataType.Name(number).lower()
    return unreadable(
        "MC208", f"{what} of {name}{list(shape)} needs {wanted} {unit} of data and has {there}", RE_EXPORT
    )
