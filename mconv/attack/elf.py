"""Sections and symbols of ELF files, and of archives of them: as much as shows what a library gives away.

Written here because a file under attack may be anything: every offset is checked, and what leads outside is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..ir.record import Record

MOST = 200_000
"""Symbols that are read from one table: no library of a network has more."""

_SYMTAB, _DYNSYM, _NOBITS = 2, 11, 8
_GLOBAL, _WEAK = 1, 2
_LINKERS = frozenset(
    ["_init", "_fini", "_edata", "_end", "__bss_start", "_start", "__data_start", "data_start", "_IO_stdin_used"]
)


class Section(Record):
    """A part of the file: ``offset`` and ``size`` in bytes."""

    name: str
    offset: int
    size: int


class Symbol(Record):
    """A defined name. ``exported`` ones are found by a loader (of an archive: by a linker); others only told."""

    name: str
    exported: bool


class Program(Record):
    """What was found in a program, a library, or an archive."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]


def read(data: memoryview) -> Program | None:
    """The program in ``data``, or None where it is no ELF file and no archive of them."""
    sections: list[Section] = []
    symbols: list[Symbol] = []
    found = False
    for begin, size in _members(data):
        part = _Elf.of(data[begin : begin + size])
        if part is None:
            continue
        found = True
        sections += [Section(s.name, begin + s.offset, s.size) for s in part.sections()]
        symbols += part.symbols()
    return Program(tuple(sections), tuple(symbols)) if found else None


def _members(data: memoryview) -> Iterator[tuple[int, int]]:
    """(offset, size) of the files in an archive (`ar`), or of the whole where it is none."""
    if bytes(data[:8]) != b"!<arch>\n":
        yield 0, len(data)
        return
    at = 8
    while at + 60 <= len(data):
        digits = bytes(data[at + 48 : at + 58]).strip()
        if not digits.isdigit() or len(digits) > 10:
            return
        size = min(int(digits), len(data) - at - 60)
        yield at + 60, size
        at += 60 + size + size % 2


class _Elf:
    """One ELF file of either class and byte order."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        self.relocatable = False
        self._headers: list[tuple[int, int, int, int, int, int]] = []
        """(name, type, offset, size, link, entry size) of each section."""
        self._names = -1

    @staticmethod
    def of(data: memoryview) -> _Elf | None:
        if len(data) < 64 or bytes(data[:4]) != b"\x7fELF" or data[4] not in (1, 2) or data[5] not in (1, 2):
            return None
        self = _Elf(data)
        kind = self._take("H", 16)[0]
        self.relocatable = kind == 1
        table = self._take("Q", 40)[0] if self.wide else self._take("I", 32)[0]
        step, count, self._names = self._take("HHH", 58 if self.wide else 46)
        layout, size = ("IIQQQQIIQQ", 64) if self.wide else ("IIIIIIIIII", 40)
        for i in range(count if step >= size else 0):
            if table + i * step + size > len(data):
                break
            name, kind, _, _, offset, length, link, _, _, entry = self._take(layout, table + i * step)
            self._headers.append((name, kind, offset, length, link, entry))
        return self

    def _take(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, self.data, offset)

    def _content(self, index: int) -> memoryview:
        if not 0 <= index < len(self._headers):
            return self.data[:0]
        _, kind, offset, size, _, _ = self._headers[index]
        return self.data[:0] if kind == _NOBITS else self.data[offset : offset + size]

    def sections(self) -> Iterator[Section]:
        names = self._content(self._names)
        for name, kind, offset, size, _, _ in self._headers:
            held = max(0, min(size, len(self.data) - offset))
            if kind not in (0, _NOBITS) and held:
                yield Section(_text(names, name), offset, held)

    def symbols(self) -> Iterator[Symbol]:
        for index, (_, kind, _, _, link, entry) in enumerate(self._headers):
            if kind in (_SYMTAB, _DYNSYM):
                yield from self._table(self._content(index), self._content(link), entry, dynamic=kind == _DYNSYM)

    def _table(self, table: memoryview, names: memoryview, entry: int, *, dynamic: bool) -> Iterator[Symbol]:
        size = 24 if self.wide else 16
        step = max(entry, size)
        for at in range(0, min(len(table) - size + 1, MOST * step), step):
            if self.wide:
                name, info, other, section, _, _ = struct.unpack_from(self.order + "IBBHQQ", table, at)
            else:
                name, _, _, info, other, section = struct.unpack_from(self.order + "IIIBBH", table, at)
            text = _text(names, name)
            # undefined names are those of other libraries; types above 2 are sections, files, and thread-local ones
            if not section or info & 15 > 2 or not text or text in _LINKERS:
                continue
            visible = info >> 4 in (_GLOBAL, _WEAK) and other & 3 in (0, 3)
            yield Symbol(text, visible and (dynamic or self.relocatable))


def _text(names: memoryview, at: int) -> str:
    """The string that begins at ``at`` of a string table."""
    piece = bytes(names[at : at + 4096])
    return piece.split(b"\0", 1)[0].decode("ascii", "replace")
