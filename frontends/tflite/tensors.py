"""Contents of constant tensors: views of the file's bytes; sparse ones made dense, packed ones unpacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mconv.ir import DType
from mconv.ir.types import Array

from . import errors, schema
from .bounds import Bounds, sound
from .decode import Model, Tensor

MOST_ELEMENTS = 1 << 34
"""Elements of the largest tensor that is believed."""
_INDEX_TYPES = {"Int32Vector": np.dtype("<i4"), "Uint16Vector": np.dtype("<u2"), "Uint8Vector": np.dtype("u1")}


def dtype_of(tensor: Tensor) -> DType:
    """The element type; MC304 where it is one that is not read."""
    if tensor.type not in schema.TYPES:
        raise errors.element_type(f"tensor '{tensor.name}' holds elements of type {tensor.type}")
    return schema.TYPES[tensor.type]


def content(model: Model, tensor: Tensor) -> Array | None:
    """The array of a constant tensor, None of one that is computed."""
    data = model.content(tensor.buffer)
    if math.prod(tensor.shape) > MOST_ELEMENTS:
        raise errors.too_large(f"tensor '{tensor.name}' has shape {list(tensor.shape)}")
    if data is None:
        return np.zeros(tensor.shape, dtype_of(tensor).numpy) if 0 in tensor.shape else None
    dtype = dtype_of(tensor)
    count = math.prod(tensor.shape) if tensor.sparsity is None else None
    if tensor.type == "INT4":
        packed = np.frombuffer(data, np.uint8)
        wanted = 2 * packed.size if count is None else count
        if (wanted + 1) // 2 != packed.size:
            raise _misfit(tensor, packed.size)
        array = _unpacked(packed)[:wanted]
    else:
        stored = dtype.numpy.newbyteorder("<") if dtype is not DType.BF16 else dtype.numpy
        if len(data) % dtype.size or (count is not None and len(data) != count * dtype.size):
            raise _misfit(tensor, len(data))
        array = np.frombuffer(data, stored)
        if dtype is DType.BOOL and array.size and array.view(np.uint8).max() > 1:
            array = array.view(np.uint8) != 0
    if tensor.sparsity is None:
        return array.reshape(tensor.shape)
    with sound(f"the sparsity of tensor '{tensor.name}'"):
        return _dense(model.bounds, tensor, array)


def _misfit(tensor: Tensor, size: int) -> Exception:
    what = f"tensor '{tensor.name}', {tensor.type} of shape {list(tensor.shape)}, has a buffer of {size} bytes"
    return errors.bad_tensor(what)


def _unpacked(packed: Array) -> Array:
    """Signed 4-bit integers, two a byte, the low half first."""
    both = np.stack([packed << 4, packed & 0xF0], axis=-1).view(np.int8) >> 4
    return both.reshape(-1)


def _dense(bounds: Bounds, tensor: Tensor, values: Array) -> Array:
    """A sparse tensor's full content.

    Its levels are walked in the order of traversal; each is dense, or lists its coordinates for every position of the
    level above (compressed sparse rows). Levels beyond the tensor's axes are blocks within an axis.
    """
    table, rank = tensor.sparsity, len(tensor.shape)
    order, blocks = bounds.integers(table, "TraversalOrder"), bounds.integers(table, "BlockMap")
    levels = bounds.all_tables(table, "DimMetadata")
    sound_order = sorted(order) == list(range(rank + len(blocks))) and len(levels) == len(order)
    if not sound_order or len(set(blocks)) != len(blocks) or any(not 0 <= b < rank for b in blocks):
        raise errors.bad_tensor(f"tensor '{tensor.name}' has levels {order} with blocks {blocks} of {rank} axes")
    sizes = list(tensor.shape) + [1] * len(blocks)
    for level, axis in zip(levels, order, strict=True):
        if axis >= rank:
            sizes[axis] = level.DenseSize()
            outer, block = blocks[axis - rank], sizes[axis]
            if block < 1 or tensor.shape[outer] % block:
                raise errors.bad_tensor(f"tensor '{tensor.name}' has blocks of {block} along {tensor.shape[outer]}")
            sizes[outer] = tensor.shape[outer] // block
    coordinates: dict[int, Array] = {}
    count = 1
    for level, axis in zip(levels, order, strict=True):
        above, own = _level(bounds, tensor, level, sizes[axis], count, values.size)
        coordinates = {k: v[above] for k, v in coordinates.items()}
        coordinates[axis] = own
        count = own.size
    if count != values.size:
        raise errors.bad_tensor(f"tensor '{tensor.name}' has {values.size} values for {count} places")
    places = [coordinates[axis] for axis in range(rank)]
    for i, axis in enumerate(blocks):
        places[axis] = places[axis] * sizes[rank + i] + coordinates[rank + i]
    result = np.zeros(tensor.shape, values.dtype)
    if rank:
        result[tuple(places)] = values
    return result


def _level(bounds: Bounds, tensor: Tensor, level: Any, size: int, count: int, most: int) -> tuple[Array, Array]:
    """For each position of a level the position above it, and its coordinate along the level's axis."""
    if level.Format() == 0:
        if level.DenseSize() != size or count * size > max(most, 1):
            raise errors.bad_tensor(f"tensor '{tensor.name}' has a dense level of {level.DenseSize()}, not {size}")
        return np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
    segments = _indices(bounds, level.ArraySegmentsType(), level.ArraySegments())
    indices = _indices(bounds, level.ArrayIndicesType(), level.ArrayIndices())
    steps = np.diff(segments)
    rising = (
        segments.size == count + 1 and segments[0] == 0 and segments[-1] == indices.size and bool((steps >= 0).all())
    )
    if not rising or (indices.size and not (indices.min() >= 0 and indices.max() < size)):
        raise errors.bad_tensor(f"tensor '{tensor.name}' has a sparse level whose segments or indices lead nowhere")
    return np.repeat(np.arange(count), steps), indices


def _indices(bounds: Bounds, kind: int, table: Any) -> Array:
    name = schema.names("SparseIndexVector").get(kind, "")
    if name not in _INDEX_TYPES or table is None:
        raise errors.bad_tensor("a sparse level has no segments or indices")
    holder = bounds.table(schema.accessor(name, bounds.data, table.Pos))
    found = bounds.numbers(holder, "Values")
    return np.zeros(0, np.int64) if found is None else np.asarray(found, np.int64)


def spread(numbers: Sequence[int | float], dtype: DType) -> Array:
    """Scales or zero points as a scalar, or as a vector where there are several."""
    array = np.asarray(numbers, dtype.numpy)
    return array.reshape(()) if array.size == 1 else array
