"""An HDF5 file that nobody vouches for: only what lies in the file itself is read, and never more than it can hold.

Links that are not hard, external and virtual storage and filters that are not HDF5's own are refused before anything
is opened through them. Datasets that lie in the file as they are become views of its mapped bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mconv.ir.errors import MconvError
from mconv.ir.types import Array

from . import errors

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNPACKED = 1 << 28
"""Bytes that compressed datasets of one file may unpack to, beyond eight times the file's size."""
MOST_NAMES = 1 << 16
LONGEST_PATH = 4096
_FILTERS = frozenset({1, 2, 3})  # deflate, shuffle, fletcher32
_BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, MemoryError, UnicodeError,
           OverflowError, NotImplementedError)  # fmt: skip


class _Bytes(io.RawIOBase):
    """A file object over bytes in memory, of which nothing is copied but what is read."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data, self._place = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = (0, self._place, len(self._data))[whence] + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Turns what h5py raises on damaged bytes into MC290 with the place."""
    try:
        yield
    except MconvError:
        raise
    except _BROKEN as error:
        raise errors.damaged(f"{what} cannot be read: {str(error)[:200]}") from error


class File:
    """An HDF5 file in memory (mapped, or unpacked)."""

    def __init__(self, data: memoryview, name: str) -> None:
        try:
            import h5py
        except ImportError as error:
            raise errors.missing_h5py() from error
        self._h5py = h5py
        self.name = name
        self._data = data
        self._left = 8 * len(data) + UNPACKED
        self._seen: dict[str, Any] = {}
        if bytes(data[:8]) != SIGNATURE:
            raise errors.damaged(f"{name} has not the signature of HDF5")
        with sound(name):
            self._root = h5py.File(_Bytes(data), "r")

    def attribute(self, path: str, name: str) -> Any:
        """An attribute of the group at ``path``: a text, or an array; None where there is none."""
        group = self.group(path)
        if group is None:
            return None
        with sound(f"attribute '{name}' of {self.name}"):
            if name not in group.attrs:
                return None
            kind = group.attrs.get_id(name)
            size = math.prod(kind.shape or ()) * kind.dtype.itemsize
            if size > len(self._data):
                raise errors.damaged(f"attribute '{name}' of {self.name} has {size} bytes")
            found = group.attrs[name]
        return found.decode("utf-8", errors="replace") if isinstance(found, bytes) else found

    def names(self, path: str, attribute: str) -> list[str]:
        """A list of names in an attribute, which long lists spread over ``attribute0``, ``attribute1``, ..."""
        found = self.attribute(path, attribute)
        if found is not None:
            return self._texts(found)
        result: list[str] = []
        for index in range(MOST_NAMES):
            part = self.attribute(path, f"{attribute}{index}")
            if part is None:
                break
            result += self._texts(part)
        return result

    def _texts(self, found: Any) -> list[str]:
        items = np.asarray(found).ravel()
        if items.size > MOST_NAMES or (items.dtype.kind not in "SOU" and items.size):
            raise errors.damaged(f"{self.name} has a list of {items.size} names of type {items.dtype}")
        return [i.decode("utf-8", errors="replace") if isinstance(i, bytes) else str(i) for i in items.tolist()]

    def group(self, path: str) -> Any:
        """The group at ``path``; None where there is none."""
        found = self._at(path)
        if found is not None and not isinstance(found, self._h5py.Group):
            raise errors.damaged(f"{path} of {self.name} is no group")
        return found

    def has(self, path: str) -> bool:
        """Whether there is something at ``path``."""
        return self._at(path) is not None

    def _at(self, path: str) -> Any:
        """What is at ``path``, reached by hard links only."""
        if len(path) > LONGEST_PATH:
            raise errors.damaged(f"{self.name} names a path of {len(path)} letters")
        parts = [part for part in path.split("/") if part]
        if not parts:
            return self._root
        place = "/".join(parts)
        if place not in self._seen:
            parent, found = self._at("/".join(parts[:-1])), None
            if isinstance(parent, self._h5py.Group) and parts[-1] != ".":
                with sound(f"{path} of {self.name}"):
                    found = self._linked(parent, parts[-1], path)
            if found is not None and not isinstance(found, self._h5py.Group):
                return found
            self._seen[place] = found
        return self._seen[place]

    def _linked(self, parent: Any, name: str, path: str) -> Any:
        link = parent.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, self._h5py.HardLink):
            kind = "another file" if isinstance(link, self._h5py.ExternalLink) else "another place"
            raise errors.unsafe(f"{path} of {self.name} is a link to {kind}")
        return parent[name]

    def array(self, path: str) -> Array | None:
        """The dataset at ``path``, a view of the file's bytes where it lies in them plainly; None if there is none."""
        dataset = self._at(path)
        if dataset is None:
            return None
        with sound(f"{path} of {self.name}"):
            if not isinstance(dataset, self._h5py.Dataset):
                raise errors.damaged(f"{path} of {self.name} is no dataset")
            return self._content(dataset, path)

    def _content(self, dataset: Any, path: str) -> Array:
        where = f"{path} of {self.name}"
        if dataset.shape is None:
            raise errors.damaged(f"{where} is empty")
        dtype = dataset.dtype
        bfloat = dtype.kind == "V" and dtype.itemsize == 2
        if (dtype.kind not in "biuf" or dtype.itemsize > 8) and not bfloat:
            raise errors.element_type(f"{where} holds elements of type {dtype}")
        plist = dataset.id.get_create_plist()
        if plist.get_external_count() or dataset.is_virtual:
            raise errors.unsafe(f"{where} lies in another file")
        for index in range(plist.get_nfilters()):
            if plist.get_filter(index)[0] not in _FILTERS:
                raise errors.unsafe(f"{where} is packed by a filter that is not HDF5's own")
        size, stored = math.prod(dataset.shape) * dtype.itemsize, dataset.id.get_storage_size()
        offset = dataset.id.get_offset()
        if offset is not None and not plist.get_nfilters() and plist.get_layout() == self._h5py.h5d.CONTIGUOUS:
            if stored < size or offset + size > len(self._data):
                raise errors.damaged(f"{where} has {size} bytes, of which {stored} are in the file")
            return np.frombuffer(self._data, dtype, math.prod(dataset.shape), offset).reshape(dataset.shape)
        self._left -= size
        if self._left < 0:
            raise errors.unsafe(f"{where} unpacks to {size} bytes out of {stored}")
        return np.asarray(dataset[()])
