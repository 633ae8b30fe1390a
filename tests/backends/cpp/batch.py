"""Many small networks compiled together: one header of kernels, a translation unit for many of them, run by ctypes.

What is compiled is each network's own NAME.cpp; what its interface would do (memory, weights) is done here.
"""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mconv import backends
from mconv.backends.cpp.backend import cpp
from mconv.backends.cpp.build import Build
from mconv.backends.cpp.fragments import joined
from mconv.backends.cpp.sized import capacity
from mconv.ir import Graph
from mconv.ir.interpreter import run as interpret
from mconv.ir.types import TensorType
from mconv.passes import pipeline
from mconv.passes.base import Context

GUARD = 4096
"""Bytes behind each piece of memory that a network must leave alone."""
FLAGS = (
    "-std=c++17",
    "-O1",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-delete-null-pointer-checks",
    "-fPIC",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-maybe-uninitialized",
    "-Wno-unknown-warning-option",
)
HEAD = """#include <stddef.h>
#include <stdint.h>
struct batch_frame {
  int threads;
  unsigned char* arena;
  unsigned char* others;
  size_t others_stride;
  const unsigned char* weights;
  unsigned char* prepared;
  const void* const* in;
  void* const* out;
  void* pool;
  void (*dispatch)(void* pool, int items, void (*fn)(void* ctx, int item, int worker), void* ctx);
  int64_t (*sizes)[8];
};
struct batch_code {
  const char* isa;
  void (*prepare)(const batch_frame& frame);
  void (*run)(const batch_frame& frame);
};
"""


class Frame(ctypes.Structure):
    """batch_frame."""

    _fields_ = (
        ("threads", ctypes.c_int),
        ("arena", ctypes.c_void_p),
        ("others", ctypes.c_void_p),
        ("others_stride", ctypes.c_size_t),
        ("weights", ctypes.c_void_p),
        ("prepared", ctypes.c_void_p),
        ("in", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("dispatch", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
    )


class Code(ctypes.Structure):
    """batch_code."""

    _fields_ = (("isa", ctypes.c_char_p), ("prepare", ctypes.c_void_p), ("run", ctypes.c_void_p))


@dataclass
class Unit:
    """A network's source and what it needs at run time."""

    name: str
    text: str
    fragments: tuple[str, ...]
    macros: tuple[str, ...]
    arena: int
    prepared: int
    weights: bytes
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    output_bytes: tuple[int, ...]


def unit(graph: Graph, number: int, *, rewrite: bool = True) -> Unit:
    """The unit of a graph; ``rewrite`` runs the passes first, as a conversion does. Raises UnsupportedError."""
    if rewrite:
        passes: pipeline.Pipeline = [pipeline.simplify(), pipeline.prepare(backends.get("cpp"))]
        pipeline.run(passes, graph, Context(backends.get("cpp")))
    artifact_check(graph)
    name = f"c{number}"
    made = Build(cpp.lower(graph), name)
    files = made.files()
    text = b"".join(files[f"{name}.cpp"]()).decode()
    lines = [line for line in text.splitlines() if not line.startswith(("#include", "#define MCONV"))]
    return Unit(
        name=name,
        text="\n".join(lines),
        fragments=tuple(made.net.fragments),
        macros=tuple(made.net.macros),
        arena=max(made.plan.nbytes, 64),
        prepared=made.prepared,
        weights=b"".join(files[f"{name}_weights.bin"]()),
        inputs=tuple(v.type for v in graph.inputs),
        outputs=tuple(v.type for v in graph.outputs),
        output_bytes=tuple((capacity(v) or 0) * v.type.dtype.size for v in graph.outputs),
    )


def artifact_check(graph: Graph) -> None:
    """What ``emit`` refuses before it lowers. Raises UnsupportedError."""
    from mconv.backends.cpp.backend import _check_static

    _check_static(graph)
    cpp.check(graph)


def header_of(units: Sequence[Unit]) -> str:
    """The kernels of all of them."""
    fragments = {f for u in units for f in u.fragments} | {"run", "parallel"}
    macros = sorted({m for u in units for m in u.macros})
    return "\n".join([HEAD, *(f"#define {m}" for m in macros), joined(fragments)])


def source_of(units: Sequence[Unit], header: str) -> str:
    """One translation unit for all of them."""
    parts = [f'#include "{header}"']
    for u in units:
        parts.append(
            f"namespace in_{u.name} {{\nusing {u.name}_frame = batch_frame;\nusing {u.name}_code = batch_code;\n"
        )
        parts.append(u.text.replace('__attribute__((visibility("hidden")))', ""))
        parts.append("}\n#undef CODE_NAME\n#undef CODE\n#undef TEXT_OF\n#undef TEXT\n")
    return "\n".join(parts)


def compiled(units: Sequence[Unit], folder: Path, *, flags: Sequence[str] = (), pieces: int = 2) -> list[Path]:
    """Shared libraries, one for each piece of the units, compiled side by side."""
    libraries, running = [], []
    waiting = [(n, units[n::pieces]) for n in range(pieces) if units[n::pieces]]
    limit = os.cpu_count() or 1
    for number, some in waiting:
        source, library = folder / f"batch{number}.cpp", folder / f"batch{number}.so"
        source.with_suffix(".h").write_text(header_of(some), encoding="utf-8")
        source.write_text(source_of(some, f"batch{number}.h"), encoding="utf-8")
        command = [os.environ.get("CXX", "g++"), *FLAGS, *flags, "-shared", "-o", str(library), str(source)]
        while sum(p.poll() is None for p in running) >= limit:
            next(p for p in running if p.poll() is None).wait()
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        libraries.append(library)
    for process in running:
        _, errors = process.communicate()
        if process.returncode:
            raise AssertionError("the compiler refuses the source:\n" + "\n".join(errors.splitlines()[:40]))
    return libraries


class Memory:
    """Aligned bytes with a guard behind them, which is poisoned where AddressSanitizer is loaded."""

    def __init__(self, size: int) -> None:
        self._all = np.full(size + 64 + GUARD, 0xA5, np.uint8)
        start = -self._all.ctypes.data % 64
        self.bytes, self._guard = self._all[start : start + size], self._all[start + size : start + size + GUARD]
        self._sanitizer = _sanitizer()
        if self._sanitizer is not None:
            self._mark("poison")

    def __del__(self) -> None:
        if self._sanitizer is not None:
            self._mark("unpoison")

    def _mark(self, how: str) -> None:
        mark = getattr(self._sanitizer, f"__asan_{how}_memory_region")
        mark(ctypes.c_void_p(self._guard.ctypes.data), ctypes.c_size_t(GUARD))

    @property
    def address(self) -> int:
        """Of the first byte."""
        return int(self.bytes.ctypes.data) if self.bytes.size else int(self._guard.ctypes.data)

    def check(self) -> None:
        """AssertionError where something was written behind."""
        assert self._sanitizer is not None or (self._guard == 0xA5).all(), "written behind the end"


@cache
def _sanitizer() -> Any:
    """The process's AddressSanitizer; None where there is none."""
    process = ctypes.CDLL(None)
    return process if hasattr(process, "__asan_poison_memory_region") else None


class Network:
    """One of the networks of a library, ready to run."""

    def __init__(self, library: Any, unit: Unit) -> None:
        self.unit = unit
        code = Code.in_dll(library, f"{unit.name}_code_base")
        self._run = ctypes.CFUNCTYPE(None, ctypes.POINTER(Frame))(code.run)
        self._arena, self._prepared = Memory(unit.arena), Memory(unit.prepared)
        self._weights = Memory(len(unit.weights))
        self._weights.bytes[:] = np.frombuffer(unit.weights, np.uint8)
        self._frame = Frame(threads=1, arena=self._arena.address, weights=self._weights.address)
        self._frame.prepared = self._prepared.address
        ctypes.CFUNCTYPE(None, ctypes.POINTER(Frame))(code.prepare)(self._frame)

    def run(self, feeds: Sequence[Any]) -> list[Any]:
        """Outputs for arrays in the inputs' order."""
        given = [self._given(a, t) for a, t in zip(feeds, self.unit.inputs, strict=True)]
        made = [Memory(n) for n in self.unit.output_bytes]
        sizes = np.full((len(made) + 1, 8), -1, np.int64)
        for row, type in zip(sizes, self.unit.outputs, strict=False):
            if type.is_static:
                row[: type.rank] = type.static_shape
        self._frame.sizes = sizes.ctypes.data
        setattr(self._frame, "in", self._pointers(given))
        self._frame.out = self._pointers(made)
        self._arena.bytes[:] = 0xFF  # NaN, so that nothing is read before it is written
        self._run(self._frame)
        for memory in (self._arena, self._prepared, *made):
            memory.check()
        results = []
        for memory, type, row in zip(made, self.unit.outputs, sizes, strict=False):
            shape = tuple(row[: type.rank].tolist())
            results.append(memory.bytes.view(type.dtype.numpy)[: math.prod(shape)].reshape(shape).copy())
        return results

    def _given(self, array: Any, type: TensorType) -> Memory:
        dense = np.ascontiguousarray(array, type.dtype.numpy).reshape(type.static_shape)
        memory = Memory(dense.nbytes)
        memory.bytes[:] = dense.reshape(-1).view(np.uint8)
        return memory

    def _pointers(self, items: Sequence[Memory]) -> int:
        array = (ctypes.c_void_p * max(len(items), 1))(*(m.address for m in items))
        self._kept = [*getattr(self, "_kept", [])[-4:], array]
        return ctypes.addressof(array)


def networks(units: Sequence[Unit], libraries: Sequence[Path]) -> Iterator[Network]:
    """The networks in the order of the units; libraries are loaded as they are needed."""
    loaded = [ctypes.CDLL(str(path)) for path in libraries]
    for number, one in enumerate(units):
        yield Network(loaded[number % len(loaded)], one)


def differences(
    graphs: Sequence[tuple[str, Graph, Sequence[Any]]],
    folder: Path,
    tolerance: float = 1e-6,
    oracle: Callable[[int], Sequence[Any]] | None = None,
) -> list[str]:
    """Which (name, graph, feeds) give other numbers than the interpreter, or ``oracle``; relative to the largest."""
    wanted = []
    for number, (_, graph, feeds) in enumerate(graphs):
        names = [v.name for v in graph.inputs]
        if oracle is None:
            results = interpret(graph, dict(zip(names, feeds, strict=True)))
            wanted.append([results[name] for name in graph.output_names])
        else:
            wanted.append(list(oracle(number)))
    units = [unit(graph, number) for number, (_, graph, _) in enumerate(graphs)]
    found = []
    for (name, _, feeds), want, net in zip(graphs, wanted, networks(units, compiled(units, folder)), strict=True):
        for index, (a, b) in enumerate(zip(want, net.run(feeds), strict=True)):
            reason = difference(a, b, tolerance)
            if reason:
                found.append(f"{name}, output {index}: {reason}")
    return found


def difference(want: Any, got: Any, tolerance: float) -> str:
    """How two arrays differ by more than ``tolerance`` times the largest number; "" where they do not."""
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"{got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"
    if got.dtype.kind in "iub":
        return "" if np.array_equal(want, got) else f"{(want != got).sum()} of {want.size} differ"
    wide, ours = want.astype(np.float64), got.astype(np.float64)
    scale = np.abs(wide[np.isfinite(wide)]).max(initial=0.0) or 1.0
    if want.dtype.itemsize == 2:
        tolerance = max(tolerance, 2**-8 if want.dtype.name == "bfloat16" else 2**-11)
    with np.errstate(all="ignore"):
        off = np.abs(ours - wide)
        bad = ~((off <= tolerance * scale) | (ours == wide) | (np.isnan(ours) & np.isnan(wide)))
    return f"{bad.sum()} of {want.size} off, by up to {np.nanmax(off):.3g} of {scale:.3g}" if bad.any() else ""
