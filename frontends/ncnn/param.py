"""The .param text as layers, decoded as ncnn's own parser does it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import errors

MAGIC = "7767517"
BINARY_MAGIC = (7767517).to_bytes(4, "little")
MOST_LAYERS = 200_000
MOST_ITEMS = 1_000_000
_ARRAY = -23300

Param = int | float | list[int | float] | str


@dataclass
class Layer:
    """One line: what it is, what it reads and makes, and its parameters by number."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    params: dict[int, Param]
    where: str
    used: set[int] = field(default_factory=set)

    def whole(self, key: int, default: int) -> int:
        """A parameter as ncnn would get it as an integer (a float's bits, if the text is a float's)."""
        value = self._scalar(key, default)
        return struct.unpack("<i", struct.pack("<f", value))[0] if isinstance(value, float) else value

    def real(self, key: int, default: float) -> float:
        """A parameter as ncnn would get it as a float (an integer's bits, if the text is an integer's)."""
        value = self._scalar(key, default)
        if isinstance(value, int):
            return float(struct.unpack("<f", struct.pack("<i", value))[0])
        return float(value)

    def wholes(self, key: int) -> list[int]:
        """An array of integers; empty where it is not given."""
        return [self._integer(item) for item in self._array(key)]

    def reals(self, key: int) -> list[float]:
        """An array of floats; empty where it is not given."""
        return [float(item) for item in self._array(key)]

    def text(self, key: int) -> str:
        """A string; empty where it is not given."""
        self.used.add(key)
        value = self.params.get(key, "")
        if not isinstance(value, str):
            raise errors.malformed(f"parameter {key} is no text", self.where)
        return value

    def ignore(self, *keys: int) -> None:
        """Parameters that do not change the numbers (tuning, storage)."""
        self.used.update(keys)

    def require(self, condition: object, what: str) -> None:
        """MC362 unless the condition holds."""
        if not condition:
            raise errors.form(f"{self.kind}: {what}", self.where)

    def unread(self) -> list[int]:
        """Parameters that no handler asked for."""
        return sorted(set(self.params) - self.used)

    def _scalar(self, key: int, default: int | float) -> int | float:
        self.used.add(key)
        value = self.params.get(key, default)
        if isinstance(value, list | str):
            raise errors.malformed(f"parameter {key} is no single number", self.where)
        return value

    def _array(self, key: int) -> Sequence[int | float]:
        self.used.add(key)
        value = self.params.get(key, [])
        if isinstance(value, str):
            raise errors.malformed(f"parameter {key} is no array", self.where)
        return value if isinstance(value, list) else [value]

    def _integer(self, item: int | float) -> int:
        if isinstance(item, float):
            raise errors.malformed(f"{item} stands where an integer is wanted", self.where)
        return item


def parse(text: str, file: str) -> list[Layer]:
    """The layers of a .param text. Raises UnreadableError (MC260, MC261, MC272)."""
    lines = text.split("\n")
    if not lines or lines[0].strip() != MAGIC:
        raise errors.not_param(f"{file} does not begin with {MAGIC}")
    counts = lines[1].split() if len(lines) > 1 else []
    if len(counts) != 2 or not all(c.isdigit() and len(c) < 10 for c in counts):
        raise errors.malformed("the counts of layers and blobs are missing", f"{file}:2")
    count = int(counts[0])
    if count > MOST_LAYERS:
        raise errors.too_large(f"the file claims {count} layers", f"{file}:2")
    rows = [(line, f"{file}:{number}") for number, line in enumerate(lines[2:], 3) if line.strip()]
    if len(rows) != count:
        raise errors.malformed(f"the file claims {count} layers and has {len(rows)}", file)
    return [_layer(line, where) for line, where in rows]


def _layer(line: str, where: str) -> Layer:
    if line.count(" ") + line.count("=") > 2 * MOST_ITEMS:
        raise errors.too_large("the line holds too many fields", where)
    fields, strings = _fields(line, where)
    if len(fields) < 4 or not (fields[2].isdigit() and fields[3].isdigit()) or len(fields[2] + fields[3]) > 10:
        raise errors.malformed("the line is no layer: type, name, number of inputs, number of outputs", where)
    reads, makes = int(fields[2]), int(fields[3])
    if len(fields) < 4 + reads + makes:
        raise errors.malformed(f"{reads} inputs and {makes} outputs are announced and not all named", where)
    names, rest = fields[4 : 4 + reads + makes], fields[4 + reads + makes :]
    params: dict[int, Param] = {}
    for item in rest:
        key, value = _param(item, strings, where)
        params[key] = value
    return Layer(fields[0], fields[1], names[:reads], names[reads:], params, where)


def _fields(line: str, where: str) -> tuple[list[str], list[str]]:
    """The line's fields; texts in quotes are set aside (they may hold blanks) and numbered."""
    if '"' not in line:
        return line.split(), []
    parts = line.split('"')
    if len(parts) % 2 == 0:
        raise errors.malformed("a text has no closing quote", where)
    strings = parts[1::2]
    plain = "".join(part + (f'"{i // 2}' if i % 2 == 0 and i + 1 < len(parts) else "") for i, part in enumerate(parts)
                    if i % 2 == 0)  # fmt: skip
    return plain.split(), strings


def _param(item: str, strings: list[str], where: str) -> tuple[int, Param]:
    left, equals, right = item.partition("=")
    if not equals or not _is_whole(left) or not right:
        raise errors.malformed(f"'{item}' is no parameter", where)
    key = int(left)
    if key <= _ARRAY:
        return _ARRAY - key, _old_array(right, where)
    if not 0 <= key < 256:
        raise errors.malformed(f"there is no parameter {key}", where)
    if right.startswith('"'):
        return key, strings[int(right[1:])]
    if right[0].isalpha():
        return key, right
    if "," in right:
        return key, [_number(part, where) for part in right.split(",") if part]
    return key, _number(right, where)


def _old_array(text: str, where: str) -> list[int | float]:
    length, *items = text.split(",")
    if not _is_whole(length) or int(length) != len(items) or len(items) > MOST_ITEMS:
        raise errors.malformed(f"an array announces {length} numbers and has {len(items)}", where)
    return [_number(part, where) for part in items]


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdigit() and len(text) < 12


def _number(text: str, where: str) -> int | float:
    """A number with a point or an exponent is a float, as in ncnn."""
    try:
        if "." in text or "e" in text.lower():
            number = float(text)
            return number if abs(number) <= 3.4028235e38 else float("inf") * (1 if number > 0 else -1)
        whole = int(text)
    except ValueError:
        raise errors.malformed(f"'{text}' is no number", where) from None
    if not -(1 << 31) <= whole < 1 << 31:
        raise errors.malformed(f"{text} is beyond 32 bits", where)
    return whole
