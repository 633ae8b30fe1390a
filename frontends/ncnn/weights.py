"""The .bin file: numbers in the order of the layers, as views of the mapped file where they are stored as floats."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from mconv.ir.types import Array

from . import errors

_FP16, _INT8, _FP32 = 0x01306B47, 0x000D4B38, 0x0002C056


class Weights:
    """Takes arrays off the file, one after the other. Raises UnreadableError (MC264) where it ends."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._place = 0

    @staticmethod
    def of(path: Path) -> Weights:
        """The weights in a file (MC263 where it cannot be opened)."""
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                # an empty file cannot be mapped; a net without weights has one
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
        except OSError as error:
            raise errors.no_weights(path.name, error.strerror or str(error)) from None
        return Weights(data)

    @property
    def left(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._data) - self._place

    def raw(self, count: int, where: str) -> Array:
        """float32 numbers without a tag."""
        return np.frombuffer(self._take(count, 4, where), dtype="<f4")

    def tagged(self, count: int, where: str) -> Array:
        """Numbers whose first word tells how they are stored; fp16 stays as it is, a table is looked up."""
        tag = int.from_bytes(self._take(4, 1, where), "little")
        if tag == _FP16:
            array: Array = np.frombuffer(self._take(count, 2, where), dtype="<f2")
            self._take(count * 2 % 4, 1, where)
            return array
        if tag == _INT8:
            raise errors.quantized(where)
        if tag in (0, _FP32):
            return self.raw(count, where)
        return self._looked_up(count, where)

    def _looked_up(self, count: int, where: str) -> Array:
        table = self.raw(256, where)
        places = np.frombuffer(self._take(count, 1, where), dtype=np.uint8)
        self._take(-count % 4, 1, where)
        return table[places]

    def _take(self, count: int, size: int, where: str) -> memoryview:
        wanted = count * size
        if count < 0 or wanted > self.left:
            raise errors.weights_end(where, wanted, self.left)
        start = self._place
        self._place += wanted
        return self._data[start : self._place]
