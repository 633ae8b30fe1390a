"""Message classes from a short schema, for formats of which only some fields matter.

A schema names the fields that are read, in the words of a .proto file; what a file holds beside them is skipped by the
protobuf library as unknown fields. Nothing is generated and no compiler is needed.

    schema('''
    message Tensor  { repeated int64 dims = 1; optional bytes data = 2; map<string, Tensor> parts = 3; }
    enum    Phase   { TRAIN = 0; TEST = 1; }
    ''', "formats.example")
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

_TOKEN = re.compile(r"\s+|//[^\n]*|([A-Za-z_][\w.]*|-?\d[\w.+-]*|\"[^\"]*\"|[{}=;<>,\[\]])")
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
_ENUM, _MESSAGE = 14, 11


@cache
def schema(text: str, package: str, syntax: str = "proto2") -> dict[str, Any]:
    """Message classes by name. ``text`` holds messages and enums of .proto syntax without nesting; fields may be
    labelled, have ``[default = ...]`` and ``[packed = true]``, and be maps. Raises ValueError for other text.

    Under "proto2" strings are checked for UTF-8 on reading, as protobuf does; use ``bytes`` where files break that.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax=syntax)
    words = _words(text)
    for word in words:
        if word == "enum":
            _enum(file.enum_type.add(name=next(words)), words)
        elif word == "message":
            _message(file.message_type.add(name=next(words)), words, package)
        else:
            raise ValueError(f"neither message nor enum: {word}")
    enums = {f".{package}.{e.name}" for e in file.enum_type}
    for message in file.message_type:
        for field in (*message.field, *(f for nested in message.nested_type for f in nested.field)):
            if field.type_name in enums:
                field.type = _ENUM
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [m.name for m in file.message_type]
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{n}")) for n in names}


def enum_numbers(message: type, field: str) -> dict[str, int]:
    """Numbers by name of the enum that a field of a message class is of."""
    descriptor: Any = message.DESCRIPTOR.fields_by_name[field]  # type: ignore[attr-defined]
    return {value.name: value.number for value in descriptor.enum_type.values}


def _words(text: str) -> Iterator[str]:
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() != end:
            raise ValueError(f"not understood: {text[end : end + 20]}")
        end = match.end()
        if match[1]:
            yield match[1]
    if end != len(text):
        raise ValueError(f"not understood: {text[end : end + 20]}")


def _take(words: Iterator[str], *expected: str) -> None:
    for word in expected:
        if (found := next(words)) != word:
            raise ValueError(f"'{word}' expected, not '{found}'")


def _enum(enum: Any, words: Iterator[str]) -> None:
    _take(words, "{")
    while (name := next(words)) != "}":
        _take(words, "=")
        enum.value.add(name=name, number=int(next(words)))
        _take(words, ";")


def _message(message: Any, words: Iterator[str], package: str) -> None:
    _take(words, "{")
    while (word := next(words)) != "}":
        field = message.field.add(label=_LABELS.get(word, 1))
        if word in _LABELS:
            word = next(words)
        if word == "map":
            _map(message, field, words, package)
        else:
            _type(field, word, package)
            field.name = next(words)
        _take(words, "=")
        field.number = int(next(words))
        _options(field, words)


def _type(field: Any, word: str, package: str) -> None:
    if word in _SCALARS:
        field.type = _SCALARS[word]
    else:
        field.type, field.type_name = _MESSAGE, f".{package}.{word}"


def _map(message: Any, field: Any, words: Iterator[str], package: str) -> None:
    _take(words, "<")
    key = next(words)
    _take(words, ",")
    value = next(words)
    _take(words, ">")
    field.name = next(words)
    entry = message.nested_type.add(name="".join(part.capitalize() for part in field.name.split("_")) + "Entry")
    entry.options.map_entry = True
    for number, (name, word) in enumerate((("key", key), ("value", value)), start=1):
        _type(entry.field.add(name=name, number=number, label=1), word, package)
    field.label, field.type = 3, _MESSAGE
    field.type_name = f".{package}.{message.name}.{entry.name}"


def _options(field: Any, words: Iterator[str]) -> None:
    while (word := next(words)) != ";":
        if word not in ("[", ","):
            raise ValueError(f"'[' or ';' expected, not '{word}'")
        option = next(words)
        _take(words, "=")
        value = next(words).strip('"')
        if option == "default":
            field.default_value = value
        elif option == "packed":
            field.options.packed = value == "true"
        else:
            raise ValueError(f"no option of a field: {option}")
        if (end := next(words)) == "]":
            _take(words, ";")
            return
        if end != ",":
            raise ValueError(f"',' or ']' expected, not '{end}'")
