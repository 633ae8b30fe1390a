"""Compiles the kernels' fragments once per instruction set and calls them on arrays."""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
FOLDER = HERE.parents[2] / "backends" / "cpp" / "kernels"
FRAGMENTS = (
    "pool",
    "gemm",
    "direct",
    "depthwise",
    "pooling",
    "winograd",
    "stem",
    "grouped",
    "transposed",
    "norm",
    "attention",
    "strassen",
)
FLAGS = {
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
    "sse2": [],
    "neon": [],
}
ACTIVATIONS = (
    "NONE", "SILU", "HARD_SWISH", "HARD_SIGMOID", "SIGMOID", "TANH", "GELU", "GELU_TANH", "MISH", "LEAKY", "PRELU",
    "ELU", "SELU", "SOFTPLUS", "QUICK_GELU",
)  # fmt: skip

Floats = NDArray[np.float32]


def joined(names: Sequence[str]) -> str:
    """The fragments and what they need, in order."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        text = (FOLDER / f"{name}.h").read_text()
        needs = re.search(r"^// needs:(.*)$", text, re.M)
        assert needs, f"{name}.h does not say what it needs"
        for other in needs[1].split():
            add(other)
        done[name] = text

    for name in names:
        add(name)
    return "\n".join(done.values())


def cpu_has(isa: str) -> bool:
    """Whether ``isa`` can be compiled for and run here."""
    if isa == "neon":
        return bool(shutil.which("aarch64-linux-gnu-g++") and shutil.which("qemu-aarch64"))
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text().split() if cpu.exists() else []
    return bool(shutil.which("g++")) and {"avx512": "avx512dq", "avx2": "avx2", "sse2": "sse2"}[isa] in flags


def built(isa: str) -> Path:
    """The shared library (for ``neon`` the program) of one instruction set."""
    out, complaint = _compiled(isa)
    assert not complaint, complaint
    return out


@cache
def _compiled(isa: str) -> tuple[Path, str]:
    """Its path and what the compiler refused, which is asked once."""
    folder = Path(tempfile.mkdtemp(prefix="mconv-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "kernels.h").write_text(
        "#define MCONV_HALF_BLOCKS 1\n"
        + "".join(f"#define MCONV_ACT_{name} 1\n" for name in ACTIVATIONS)
        + joined(FRAGMENTS)
    )
    program = isa == "neon"
    out = folder / ("driver" if program else "driver.so")
    command = [
        "aarch64-linux-gnu-g++" if program else os.environ.get("CXX", "g++"),
        *("-std=c++17", "-O3", "-ffp-contract=fast", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"),
        *FLAGS[isa],
        *(["-static", "-DPROGRAM"] if program else ["-shared", "-fPIC"]),
        f'-DKERNELS="{folder / "kernels.h"}"',
        f'-DCASES="{HERE / "kernel_cases.h"}"',
        *(str(HERE / "kernel_driver.cpp"), "-o", str(out), "-pthread"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return out, result.stderr if result.returncode else ""


def aligned(array: Floats | None) -> Floats | None:
    """A copy at a multiple of 64 bytes, with a margin of NaN behind it that no kernel may write."""
    if array is None:
        return None
    room = np.full(array.size + 48, np.nan, np.float32)
    start = -room.ctypes.data % 64 // 4
    room[start : start + array.size] = array.reshape(-1)
    return room[start : start + array.size]


def call(
    isa: str, ints: Sequence[int], floats: Sequence[float], arrays: Sequence[Floats | None]
) -> list[Floats | None]:
    """The arrays after one call of ``run_case`` (kernel_driver.cpp says what the numbers are)."""
    copies = [aligned(array) for array in arrays]
    whole = np.array(ints, np.int64)
    real = np.array(floats, np.float32)
    if isa == "neon":
        return _emulated(whole, real, copies)
    library = ctypes.CDLL(str(built(isa)))
    pointers = (ctypes.c_void_p * len(copies))(*[None if c is None else c.ctypes.data for c in copies])
    code = library.run_case(ctypes.c_void_p(whole.ctypes.data), ctypes.c_void_p(real.ctypes.data), pointers)
    assert code == 0, f"run_case says {code}"
    for copy in copies:
        if copy is not None:
            assert copy.base is not None
            start = (copy.ctypes.data - copy.base.ctypes.data) // 4
            margin = copy.base[start + copy.size :]
            assert np.isnan(margin).all(), "written behind an array"
    return copies


def _emulated(whole: NDArray[np.int64], real: Floats, arrays: list[Floats | None]) -> list[Floats | None]:
    program = built("neon")
    sizes = np.array([-1 if a is None else a.size for a in arrays], np.int64)
    counts = np.array([whole.size, real.size, sizes.size], np.int64)
    request, answer = program.with_suffix(".in"), program.with_suffix(".out")
    parts = [whole, real, sizes, *(a for a in arrays if a is not None)]
    request.write_bytes(b"".join(part.tobytes() for part in (counts, *parts)))
    code = subprocess.run(["qemu-aarch64", str(program), str(request), str(answer)], check=False).returncode
    assert code == 0, f"run_case says {code}"
    flat = np.fromfile(answer, np.float32)
    result: list[Floats | None] = []
    start = 0
    for array in arrays:
        result.append(None if array is None else flat[start : start + array.size])
        start += 0 if array is None else array.size
    return result
