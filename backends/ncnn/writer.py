"""From a collected net to the bytes of .param and .bin: Split layers, names, numbers as text, tags, alignment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mconv.ir import Graph, Value
from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.record import Record
from mconv.ir.types import Array

from ..base import Chunk
from .net import Blob, Layer, Net, Param, Weight

MAGIC = 7767517
TAG_FP32 = b"\x00\x00\x00\x00"
TAG_FP16 = (0x01306B47).to_bytes(4, "little")
LARGEST_FP16 = 65504.0
_LONGEST_NAME = 200  # ncnn reads names into 256 bytes
_COLUMNS = 16
"""Of a transposed matrix that are copied together: a cache line of each row."""
_BLOCK = 1 << 20  # elements converted at a time


class Finished(Record):
    """A net whose blobs are read once each and carry their final names."""

    layers: Sequence[Layer]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blobs: dict[str, str]


def finish(net: Net, graph: Graph) -> Finished:
    """Return the outputs, split what is read more than once, and give every layer and blob its name."""
    returned = [(name, net.held(value)) for name, value in zip(graph.output_names, graph.outputs, strict=True)]
    names = _Names()
    inputs = tuple(names.exact(value.name, net) for value in graph.inputs)
    outputs = tuple(names.exact(name, net) for name in graph.output_names)
    fixed = {net.blob(value): name for value, name in zip(graph.inputs, inputs, strict=True)}
    layers = _split(net.layers, [(blob, name) for (_, blob), name in zip(returned, outputs, strict=True)], fixed)
    layer_names = _Names()
    for layer in layers:
        layer.name = layer_names.free(layer.name)
        for blob in layer.outputs:
            blob.name = fixed.get(blob) or names.free(blob.name)
    holders = {value.name: blob.name for value, blob in net.blobs().items() if _as_it_is(value, blob)}
    return Finished(layers, inputs, outputs, holders)


def _as_it_is(value: Value, blob: Blob) -> bool:
    """True where the blob has the value's shape but for axes of size 1, so that the two can be compared."""
    return [d for d in value.type.shape if d != 1] == [d for d in blob.shape if d != 1]


def _split(layers: Sequence[Layer], returned: list[tuple[Blob, str]], fixed: dict[Blob, str]) -> list[Layer]:
    """Let every blob have one reader; ``fixed`` receives the names of the blobs that are returned."""
    readers: dict[Blob, list[tuple[Layer, int]]] = {}
    for layer in layers:
        for index, blob in enumerate(layer.inputs):
            readers.setdefault(blob, []).append((layer, index))
    wanted: dict[Blob, list[str]] = {}
    for blob, name in returned:
        if fixed.get(blob) != name:  # an input that is returned under its own name is there already
            wanted.setdefault(blob, []).append(name)
    result: list[Layer] = []
    for layer in layers:
        result.append(layer)
        for blob in layer.outputs:
            result.extend(_copies(blob, readers.get(blob, []), wanted.get(blob, []), fixed))
    return result


def _copies(
    blob: Blob, readers: list[tuple[Layer, int]], outputs: list[str], fixed: dict[Blob, str]
) -> Iterator[Layer]:
    if not readers and len(outputs) == 1 and blob not in fixed:
        fixed[blob] = outputs[0]
    elif len(readers) + len(outputs) > 1 or (outputs and blob in fixed):
        split = Layer("Split", f"{blob.name}/split", [blob], [], {})
        for name in outputs:
            copy = Blob(name, blob.shape)
            fixed[copy] = name
            split.outputs.append(copy)
        for number, (layer, index) in enumerate(readers):
            copy = Blob(f"{blob.name}/{number}", blob.shape)
            layer.inputs[index] = copy
            split.outputs.append(copy)
        yield split


class _Names:
    """Names as .param can hold them: without white space, not too long, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def exact(self, name: str, net: Net) -> str:
        """An input's or output's name, which is a contract: only white space is replaced, and that is told."""
        plain = _plain(name)
        if plain != name:
            net.note(f"'{name}' is called '{plain}' in the .param file, whose names hold no white space")
        self._taken.add(plain)
        return plain

    def free(self, name: str) -> str:
        """That name or, where it is taken, one like it."""
        plain = _plain(name) or "_"
        result, count = plain, 0
        while result in self._taken:
            count += 1
            result = f"{plain}_{count}"
        self._taken.add(result)
        return result


def _plain(name: str) -> str:
    text = re.sub(r"[\s\x00-\x1f]", "_", name)
    return text if len(text.encode()) <= _LONGEST_NAME else text.encode()[:_LONGEST_NAME].decode(errors="ignore")


def check_names(finished: Finished) -> None:
    """Raise UnsupportedError (MC325) where two inputs or outputs ended up with one name."""
    for kind, names in (("inputs", finished.inputs), ("outputs", finished.outputs)):
        for name in sorted({n for n in names if names.count(n) > 1}):
            what = f"two {kind} are both called '{name}' once white space is replaced"
            raise UnsupportedError(Problem("MC325", what, hint="rename one of them in the model"))


# The .param file -----------------------------------------------------------------------------------------


def param_text(layers: Sequence[Layer]) -> str:
    """The text of the .param file."""
    blobs = sum(len(layer.outputs) for layer in layers)
    return "\n".join([str(MAGIC), f"{len(layers)} {blobs}", *map(_line, layers), ""])


def _line(layer: Layer) -> str:
    parts = [f"{layer.type:24s} {layer.name:24s} {len(layer.inputs)} {len(layer.outputs)}"]
    parts += [blob.name for blob in (*layer.inputs, *layer.outputs)]
    parts += [_param(key, value) for key, value in layer.params.items()]
    return " ".join(parts)


def _param(key: int, value: Param) -> str:
    if isinstance(value, tuple):
        return f"{-23300 - key}=" + ",".join([str(len(value)), *map(number_text, value)])
    return f"{key}={number_text(value)}"


def number_text(value: float) -> str:
    """A number as ncnn's own parser reads it.

    It takes a number with a point or an exponent for a float, reads at most 15 characters, and keeps the digits on
    each side of the point in 32 bits: so the shortest scientific form, nine digits at most.
    """
    if isinstance(value, int):
        return str(value)
    return np.format_float_scientific(np.float32(value), unique=True, trim="0", exp_digits=2)


# The .bin file -------------------------------------------------------------------------------------------


def weight_chunks(layers: Iterable[Layer], fp16: bool) -> Iterator[Chunk]:
    """The bytes of the .bin file; arrays that are float32 already go out as views of themselves."""
    for layer in layers:
        for weight in layer.weights:
            yield from _weight(weight, fp16)


def _weight(weight: Weight, fp16: bool) -> Iterator[Chunk]:
    array = weight.array
    if weight.tagged and (fp16 or array.dtype == np.float16) and _holds_fp16(array):
        yield TAG_FP16
        yield from _converted(array, np.dtype("<f2"))
        yield b"\x00" * (array.size * 2 % 4)
        return
    if weight.tagged:
        yield TAG_FP32
    yield from _converted(array, np.dtype("<f4"))


def _contiguous(array: Array) -> Array:
    """The elements in order; a copy only where they do not lie so.

    numpy copies a transposed matrix column by column, of each cache line one number at a time: a few rows at once take
    a third of the time.
    """
    matrix = array.squeeze()
    if matrix.ndim != 2 or matrix.flags.c_contiguous or not matrix.flags.f_contiguous:
        return np.ascontiguousarray(array)
    result = np.empty(matrix.shape, array.dtype)
    for start in range(0, matrix.shape[1], _COLUMNS):
        result[:, start : start + _COLUMNS] = matrix[:, start : start + _COLUMNS]
    return result


def _converted(array: Array, dtype: np.dtype[np.floating]) -> Iterator[Chunk]:
    flat = _contiguous(array).reshape(-1)
    if flat.dtype == dtype:
        if flat.size:
            yield flat.data.cast("B")
        return
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK].astype(dtype).data.cast("B")


def _holds_fp16(array: Array) -> bool:
    """False where a number would become an infinity as fp16."""
    if array.dtype == np.float16:
        return True
    flat = array.reshape(-1)
    blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
    return all(bool(np.abs(block).max() <= LARGEST_FP16) for block in blocks)
