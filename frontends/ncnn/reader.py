"""An ncnn net as a graph of the intermediate representation.

Mats have no batch: a Mat of n dimensions becomes a value of rank n + 1 whose axis 0 is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mconv.ir import Graph, Shape, Symbol
from mconv.ir.errors import UsageError

from . import errors, param
from .translate import Translation
from .weights import Weights

LARGEST_PARAM = 1 << 26
"""Bytes; a .param of more is none."""


def read(
    path: Path, *, input_shapes: Mapping[str, Shape] | None = None, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read ``path`` (.param) and the .bin beside it.

    ``input_shapes`` gives the sizes of inputs that the file does not tell: channels, rows, columns, with or without
    a leading 1 for the batch. Raises UsageError, UnreadableError (MC260 to MC272) or UnsupportedError (MC360 to MC363).
    """
    path = Path(path)
    layers = param.parse(_text(path), path.name)
    shapes = {name: _numbers(name, shape, dims or {}) for name, shape in (input_shapes or {}).items()}
    weights = Weights.of(path.with_suffix(".bin"))
    graph = Translation(layers, weights, shapes, path.name).graph()
    if weights.left:
        raise errors.weights_left(weights.left)
    return graph


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_PARAM:
            raise errors.too_large(f"{path.name} has more than {LARGEST_PARAM >> 20} MB")
        data = path.read_bytes()
    except OSError as error:
        raise errors.not_param(f"{path.name} cannot be opened: {error.strerror}") from None
    if data.startswith(param.BINARY_MAGIC):
        raise errors.binary_param(path.name)
    if b"\0" in data:
        raise errors.not_param(f"{path.name} is no text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.not_param(f"{path.name} is no text") from None


def _numbers(name: str, shape: Shape, dims: Mapping[str, int]) -> tuple[int, ...]:
    sizes = [dims.get(d.name, d) if isinstance(d, Symbol) else d for d in shape]
    numbers = tuple(d for d in sizes if isinstance(d, int) and d > 0)
    if len(numbers) != len(sizes):
        raise UsageError(errors.tell_shape(name, "--input-shape").problems)
    return numbers
