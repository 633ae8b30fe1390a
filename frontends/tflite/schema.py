"""Names of the schema's enumerations, and the defaults of its tables, as the generated bindings have them."""

from __future__ import annotations

from functools import cache
from typing import Any

import tflite
from flatbuffers.number_types import Int32Flags

from mconv.ir import DType

TYPES: dict[str, DType] = {
    "BOOL": DType.BOOL, "INT8": DType.I8, "INT16": DType.I16, "INT32": DType.I32, "INT64": DType.I64,
    "UINT8": DType.U8, "UINT16": DType.U16, "UINT32": DType.U32, "UINT64": DType.U64,
    "FLOAT16": DType.F16, "BFLOAT16": DType.BF16, "FLOAT32": DType.F32, "FLOAT64": DType.F64, "INT4": DType.I8,
}  # fmt: skip
"""Element types by name; 4-bit integers are unpacked into bytes."""

CUSTOM = "CUSTOM"
_FIRST_SLOT, _SLOT = 4, 2
"""Bytes of a vtable before its first field, and of each field."""
_EMPTY = bytes((8, 0, 0, 0, 4, 0, 4, 0, 4, 0, 0, 0))
"""A flatbuffer of one table without fields: root offset, vtable (its length, the table's), the way to the vtable."""


@cache
def names(enumeration: str) -> dict[int, str]:
    """Names by number of an enumeration of the schema."""
    found = vars(getattr(tflite, enumeration))
    return {number: name for name, number in found.items() if isinstance(number, int) and not name.startswith("_")}


@cache
def fields(table: str) -> tuple[str, ...]:
    """Names of a table's fields."""
    return tuple(
        name
        for name, method in vars(getattr(tflite, table)).items()
        if callable(method) and name != "Init" and not name.endswith(("AsNumpy", "Length", "IsNone"))
    )


def stored_integer(table: Any, name: str) -> int:
    """A field of 32 bits as it is stored; 0 where it is absent. (Some accessors put in another field's number.)"""
    slot = _FIRST_SLOT + _SLOT * fields(type(table).__name__).index(name)
    return int(table._tab.GetSlot(slot, 0, Int32Flags))


@cache
def empty(table: str) -> Any:
    """A table without any field: its accessors give the schema's defaults."""
    return getattr(tflite, table).GetRootAs(_EMPTY, 0)


def accessor(table: str, data: Any, position: int) -> Any:
    """The accessor of a table at a place."""
    made = getattr(tflite, table)()
    made.Init(data, position)
    return made
