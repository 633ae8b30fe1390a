"""Inputs to compare on: the person's own from an .npz, or random numbers from a seed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .ir import Array, Graph, Problem, Symbol, TensorType, UsageError, Value
from .ir.ops import Dequantize, Gather, Quantized, Reshape, Transpose

DEFAULT_SIZE = 64
"""Size given, for a trial run, to a dimension that only the run will tell (a leading one is given 1)."""


def read_npz(path: Path) -> dict[str, Array]:
    """Arrays by input name from an .npz file (or, for a model of one input, an .npy file under the name '')."""
    try:
        loaded = np.load(path, allow_pickle=False)  # a pickle is code
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(Problem("MC119", f"'{path}' is no .npz or .npy of arrays: {error}")) from None


Orders = Mapping[str, tuple[int, ...]]
"""Inputs and outputs by name whose axes stand in another order than the source's, with that order."""


def turned(arrays: Mapping[str, Array], orders: Orders) -> dict[str, Array]:
    """Arrays of the source's layout in the order that the written model takes and gives."""
    return {name: a.transpose(orders[name]) if name in orders else a for name, a in arrays.items()}


def turned_back(arrays: Mapping[str, Array], orders: Orders) -> dict[str, Array]:
    """Arrays of the written model in the source's layout."""
    return {name: a.transpose(np.argsort(orders[name])) if name in orders else a for name, a in arrays.items()}


def make(graph: Graph, given: Mapping[str, Array] | None, seed: int) -> dict[str, Array]:
    """An array for each input of ``graph``: the given ones, checked, or random ones.

    Random: standard normal for floats, coin tosses for bools, and for integers small non-negative numbers (below
    the size of the table that they index, where they do), or any of their type where they stand for real numbers.
    UsageError (MC113) where the given ones do not fit.
    """
    if given is not None:
        return _checked(graph, given)
    generator = np.random.default_rng(seed)
    return {value.name: _random(value, generator) for value in graph.inputs}


def _random(value: Value, generator: np.random.Generator) -> Array:
    shape = concrete(value.type)
    dtype = value.type.dtype
    if dtype.is_float:
        return generator.standard_normal(shape).astype(dtype.numpy)
    if dtype.is_integer and dtype.size <= 2 and _is_dequantized(value):
        info = np.iinfo(dtype.numpy)
        return generator.integers(info.min, info.max, shape, endpoint=True).astype(dtype.numpy)
    if dtype.is_integer:
        return generator.integers(0, _index_limit(value), shape).astype(dtype.numpy)
    return generator.integers(0, 2, shape).astype(bool)


def free_memory() -> int | None:
    """Bytes that the system could give a process now; None where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def concrete(type: TensorType) -> tuple[int, ...]:
    """The shape with a trial size for every symbol."""
    return tuple(
        dim if isinstance(dim, int) else 1 if axis == 0 else DEFAULT_SIZE for axis, dim in enumerate(type.shape)
    )


def _is_dequantized(value: Value) -> bool:
    """Whether stored integers are what is read, maybe after their axes have been turned."""
    for node, index in value.uses:
        op = node.op
        if isinstance(op, Transpose | Reshape) and index == 0 and _is_dequantized(node.results[0]):
            return True
        if isinstance(op, Dequantize) and index == 0:
            return True
        if isinstance(op, Quantized) and index >= 2 and (index - 2) % 3 == 0:
            return True
    return False


def _index_limit(value: Value) -> int:
    limit = 10
    for node, index in value.uses:
        if isinstance(node.op, Gather) and index == 1 and node.operands[0] is not None:
            size = node.operands[0].type.shape[node.op.axis]
            limit = min(limit, size) if isinstance(size, int) else limit
    return max(1, limit)


def _checked(graph: Graph, given: Mapping[str, Array]) -> dict[str, Array]:
    names = [v.name for v in graph.inputs]
    if set(given) == {""} and len(names) == 1:
        given = {names[0]: given[""]}
    if set(given) != set(names):
        what = f"the arrays are for {sorted(given)}, the model's inputs are {names}"
        raise UsageError(Problem("MC113", what, hint="one array for each input, under its name"))
    return {value.name: _fitting(value, np.asarray(given[value.name])) for value in graph.inputs}


def _fitting(value: Value, array: Array) -> Array:
    shape = value.type.shape
    fits = len(shape) == array.ndim and all(
        isinstance(d, Symbol) or d == n for d, n in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UsageError(Problem("MC113", f"the array for '{value.name}' is {array.shape}, the input is {value.type}"))
    kind = "f" if value.type.dtype.is_float else "b" if value.type.dtype.value == "bool" else "iu"
    if array.dtype.kind not in kind:
        raise UsageError(Problem("MC113", f"the array for '{value.name}' is {array.dtype}, the input is {value.type}"))
    return array.astype(value.type.dtype.numpy)
