"""One hostile input: a kind, a name, and the function that writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

REFUSED = frozenset({2, 3})
HARMLESS_TOO = frozenset({0, 2, 3, 4})
"""A flipped bit may hit a name (0), or a weight such that the runtimes' rounding parts (4: told, nothing written)."""


@dataclass(frozen=True)
class Case:
    """``make`` writes the files into an empty folder and returns the model's path."""

    kind: str
    name: str
    make: Callable[[Path], Path]
    statuses: frozenset[int] = REFUSED
    options: tuple[str, ...] = ()


def file(kind: str, name: str, content: bytes, file_name: str = "model.onnx", **more: frozenset[int]) -> Case:
    """A case of one file."""
    return Case(kind, name, partial(_write, content, file_name), **more)


def model(kind: str, name: str, proto: onnx.ModelProto, *options: str) -> Case:
    """A case of one ONNX model."""
    return Case(kind, name, partial(_write, proto.SerializeToString(), "model.onnx"), options=options)


def _write(content: bytes, name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
