"""Compiles written folders and runs them in this process through ctypes."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir.errors import CheckError, MissingExtraError, Problem, UsageError
from mconv.ir.types import Array

from .project import TYPES

TIMEOUT = 900
"""Seconds that a compiler may take."""
SUFFIX = "_weights.bin"


class Tensor(ctypes.Structure):
    """NAME_tensor of the header."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("rank", ctypes.c_int),
        ("dims", ctypes.c_int64 * 8),
        ("bytes", ctypes.c_size_t),
    )


class Options(ctypes.Structure):
    """NAME_options of the header."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("threads", ctypes.c_int),
        ("arena", ctypes.c_void_p),
        ("arena_bytes", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("weights_bytes", ctypes.c_size_t),
        ("isa", ctypes.c_char_p),
    )


def compiler() -> str | None:
    """The C++ compiler that is there: $CXX, g++ or clang++."""
    return next((c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c.split()[0])), None)


def run(
    files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str], *, threads: int = 1, key: str = ""
) -> dict[str, Array]:
    """Compile the files (name to path) in a folder of their own and run them on ``feeds``, in the inputs' order.

    ``wanted`` are all outputs' names in order. MissingExtraError (MC131) without a compiler, CheckError (MC412) where
    it refuses the source or a function fails.
    """
    with tempfile.TemporaryDirectory(prefix="mconv-cpp-") as folder:
        for name, path in files.items():
            os.symlink(os.path.realpath(path) if not path.startswith("/proc/") else path, Path(folder) / name)
        name = next(n for n in files if n.endswith(SUFFIX)).removesuffix(SUFFIX)
        library = compile_folder(Path(folder), name, code=best_code())
        with Library(library, name, threads=threads, key=bytes.fromhex(key) or None) as model:
            return dict(zip(wanted, model.run(list(feeds.values())), strict=True))


def best_code() -> str:
    """The widest instruction set of this processor that there is code for, as the Makefile's CODE."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        flags = set()
    if {"avx512f", "avx512dq", "avx512vl", "avx512bw"} <= flags:
        return "avx512"
    return "avx2" if {"avx2", "fma"} <= flags else "base"


def compile_folder(folder: Path, name: str, *, goal: str = "", code: str = "") -> Path:
    """``make`` in the folder, for all instruction sets or those of ``code``; the shared library."""
    found = compiler()
    if found is None or shutil.which("make") is None:
        what = "running C++ source needs make and a C++ compiler"
        raise MissingExtraError(Problem("MC131", what, hint="apt-get install g++ make, or --no-verify"))
    target = goal or f"lib{name}.so"
    jobs = str(os.cpu_count() or 1)
    command = ["make", "-s", "-j", jobs, "-C", str(folder), f"CXX={found}", *([f"CODE={code}"] if code else []), target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[:12])
        raise CheckError(Problem("MC412", f"the compiler refuses the source: {tail}"))
    return folder / target


class Library:
    """A compiled model, loaded."""

    def __init__(self, path: Path, name: str, *, threads: int = 1, isa: str = "", key: bytes | None = None) -> None:
        self.name = name
        self._library = ctypes.CDLL(str(path))
        self._model = ctypes.c_void_p()
        for what in ("input", "output"):
            getattr(self._library, f"{name}_{what}").restype = ctypes.POINTER(Tensor)
        self._function("isa").restype = ctypes.c_char_p
        self._function("arena_bytes").restype = ctypes.c_size_t
        options = Options(size=ctypes.sizeof(Options), threads=threads, isa=isa.encode() or None)
        self._callback = _key_callback(key)  # must live as long as create runs
        if self._callback is not None:
            options.key = ctypes.cast(self._callback, ctypes.c_void_p).value
        self._check("create", ctypes.byref(self._model), ctypes.byref(options))
        self.inputs = [self._tensor("input", i) for i in range(self._function("inputs")())]
        self.outputs = [self._tensor("output", i) for i in range(self._function("outputs")())]

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Destroy the model."""
        if self._model:
            self._function("destroy")(self._model)
            self._model = ctypes.c_void_p()

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        text: bytes = self._function("isa")(self._model)
        return text.decode()

    def arena_bytes(self, threads: int = 1) -> int:
        """Bytes of the arena."""
        return int(self._function("arena_bytes")(threads))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference: arrays in the inputs' order, the outputs in theirs."""
        if len(inputs) != len(self.inputs):
            raise UsageError(Problem("MC113", f"{len(inputs)} arrays for {len(self.inputs)} inputs"))
        given = [
            np.ascontiguousarray(a, dtype).reshape(shape)
            for a, (dtype, shape) in zip(inputs, self.inputs, strict=True)
        ]  # fmt: skip
        made = [np.empty(self._elements(i), dtype) for i, (dtype, _) in enumerate(self.outputs)]
        self.run_into(given, made)
        return [a[: math.prod(s)].reshape(s) for a, s in zip(made, map(self._shape, range(len(made))), strict=True)]

    def run_into(self, given: Sequence[Array], made: Sequence[Array]) -> None:
        """One inference on dense arrays of the right types."""
        self._check("run", self._model, _pointers(given), _pointers(made))

    def selftest(self) -> int:
        """What the self-test returns: 0 where all is well."""
        return int(self._function("selftest")(self._model))

    def _elements(self, index: int) -> int:
        """The most elements of an output."""
        return int(self._function("output")(index).contents.bytes) // self.outputs[index][0].itemsize

    def _shape(self, index: int) -> tuple[int, ...]:
        """The sizes of an output after a run."""
        dims = (ctypes.c_int64 * 8)()
        self._check("output_dims", self._model, index, dims)
        return tuple(dims[: len(self.outputs[index][1])])

    def _tensor(self, what: str, index: int) -> tuple[np.dtype[Any], tuple[int, ...]]:
        t = self._function(what)(index).contents
        return TYPES[t.type].numpy, tuple(t.dims[: t.rank])

    def _function(self, what: str) -> Any:
        return getattr(self._library, f"{self.name}_{what}")

    def _check(self, what: str, *arguments: Any) -> None:
        status = self._function(what)(*arguments)
        if status:
            raise CheckError(Problem("MC412", f"{self.name}_{what} fails with error {status}"))


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))


def _key_callback(key: bytes | None) -> Any:
    if key is None:
        return None

    def fill(user: Any, place: Any) -> int:
        ctypes.memmove(place, key, 32)
        return 0

    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(fill)
