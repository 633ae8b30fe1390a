"""Reading a flatbuffer that nobody vouches for: the schema's generated accessors over tables that check every length.

The accessors read with ``struct`` and numpy, which never leave the buffer, but believe what a length says. Here a
length is checked against the file, and what is read in all is paid from a budget that the file's size sets: a sound
file names each of its bytes about once, a hostile one may name the same bytes a million times.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flatbuffers.table import Table as _Table

from mconv.ir.errors import MconvError

from . import errors

MOST_TABLES = 1 << 18
LONGEST_TEXT = 1 << 16
SHARED = 8
"""How often, on average, a byte of the file may be read: writers let equal vectors and strings share their bytes."""
_BROKEN = (struct.error, IndexError, TypeError, ValueError, OverflowError, AttributeError, AssertionError)


class _Damaged(ValueError):
    """A length or an offset that leads out of the file."""


class _Bounded(_Table):  # type: ignore[misc]  # the package has no types
    """A table whose strings and vectors lie in the file."""

    __slots__ = ("size",)

    def String(self, off: int) -> bytes:  # noqa: N802  the base's name
        start = off + self._word(off)
        length = self._word(start)
        if length > LONGEST_TEXT or start + 4 + length > self.size:
            raise _Damaged(f"a text of {length} bytes")
        return bytes(self.Bytes[start + 4 : start + 4 + length])

    def VectorLen(self, off: int) -> int:  # noqa: N802  the base's name
        start = off + self.Pos
        start += self._word(start)
        length = self._word(start)
        if start + 4 + length > self.size:
            raise _Damaged(f"a vector of {length} elements")
        return length

    def _word(self, place: int) -> int:
        return int(struct.unpack_from("<I", self.Bytes, place)[0])


class Bounds:
    """What may still be read of a file, and the checks on the way."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self._bytes = SHARED * len(data) + 4096
        self._tables = min(MOST_TABLES, len(data) // 4)

    def table(self, made: Any) -> Any:
        """A generated accessor, made safe; None stays None."""
        if made is None:
            return None
        self._tables -= 1
        if self._tables < 0:
            raise errors.damaged("it names more tables than it has room for")
        table = _Bounded(self.data, made._tab.Pos)
        table.size = len(self.data)
        table.Offset(4)  # the vtable is there
        made._tab = table
        return made

    def spend(self, count: int) -> None:
        """Pay for ``count`` bytes."""
        self._bytes -= count
        if self._bytes < 0:
            raise errors.damaged("it reads the same bytes again and again")

    def tables(self, holder: Any, name: str) -> int:
        """How many tables the vector ``name`` holds; each takes four bytes at least."""
        count = int(getattr(holder, f"{name}Length")())
        if 4 * count > len(self.data):
            raise errors.damaged(f"a list of {count} {name}")
        return count

    def all_tables(self, holder: Any, name: str) -> list[Any]:
        """The tables of the vector ``name``."""
        return [self.table(getattr(holder, name)(i)) for i in range(self.tables(holder, name))]

    def numbers(self, holder: Any, name: str) -> Any:
        """The vector ``name`` as a numpy array, a view of the file; None where it is absent."""
        if getattr(holder, f"{name}IsNone")():
            return None
        found = getattr(holder, f"{name}AsNumpy")()
        self.spend(found.nbytes)
        return found

    def integers(self, holder: Any, name: str) -> tuple[int, ...]:
        """The vector ``name``; () where it is absent."""
        found = self.numbers(holder, name)
        return () if found is None else tuple(found.tolist())

    def text(self, holder: Any, name: str) -> str:
        """A text; "" where it is absent."""
        found = getattr(holder, name)()
        if found is None:
            return ""
        self.spend(len(found))
        return str(found.decode("utf-8", errors="replace"))


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Turns what accessors raise on damaged bytes into MC280 with the place."""
    try:
        yield
    except MconvError:
        raise
    except _BROKEN as error:
        raise errors.damaged(f"{what} cannot be decoded: {error}") from error
