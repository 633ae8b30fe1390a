"""Code for 64-bit Arm: cross-compiled, run under emulation, and what its hot loops keep on the stack."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx
import pytest

from . import folders, kernels, spills
from .folders import DIGITS

CROSS = "aarch64-linux-gnu-g++"
TILES = ("tile<TILE_PIXELS, TILE_BLOCKS, 16, false>", "tile<TILE_PIXELS, TILE_BLOCKS, 1, false>")
ROWS = tuple(f"depthwise_choice<{width}, {step}>" for width in (3, 5, 7) for step in (1, 2))
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-delete-null-pointer-checks", "-fPIC")
MOST = {"tile": 0, "depthwise_tile": 3}
"""References to the stack in a hot loop, none of them to a vector. Rows of filters may find their pointers there."""


@pytest.mark.parametrize("name", ["digits", "everything", "strong"])
def test_the_self_test_passes_on_arm(name: str, tmp_path: Path) -> None:
    folders.need("make", CROSS, "qemu-aarch64")
    source: onnx.ModelProto | Path = folders.everything() if name == "everything" else DIGITS
    folders.written(source, tmp_path / name, **({"protect": "strong"} if name == "strong" else {}))
    folders.make(tmp_path / name, f"CXX={CROSS}", "LDFLAGS=-static", "selftest")
    assert folders.tested(tmp_path / name, "qemu-aarch64").count("base") == 2


@pytest.mark.parametrize("isa", ["neon", "avx512", "avx2"])
def test_hot_loops_keep_everything_in_registers(isa: str, tmp_path: Path) -> None:
    compiler, objdump = (CROSS, "aarch64-linux-gnu-objdump") if isa == "neon" else ("g++", "objdump")
    folders.need(compiler, objdump)
    machine = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    if isa != "neon" and not machine.startswith("x86_64"):
        pytest.skip("the compiler is for another processor")
    source = tmp_path / "kernels.cpp"
    kept = [f"[[gnu::used]] static const auto tile{n} = &{tile};" for n, tile in enumerate(TILES)]
    kept += [f"[[gnu::used]] static auto row{n}(int w) {{ return {row}(w); }}" for n, row in enumerate(ROWS)]
    source.write_text("\n".join([kernels.joined(["gemm", "depthwise"]), *kept]))
    compiled = tmp_path / "kernels.o"
    flags = [*FLAGS, *kernels.FLAGS[isa], *(["-mprefer-vector-width=512"] if isa == "avx512" else [])]
    subprocess.run([compiler, *flags, "-c", str(source), "-o", str(compiled)], check=True)
    found = spills.loops(objdump, compiled)
    names = {loop.function.partition("(")[0] for loop in found}
    assert sum(" tile<" in name for name in names) == len(TILES)
    assert sum(" depthwise_tile<" in name for name in names) >= 20
    for loop in found:
        kind = "tile" if " tile<" in loop.function else "depthwise_tile"
        assert not loop.vectors, f"{loop.function}: {loop.vectors}"
        assert len(loop.stack) <= MOST[kind], f"{loop.function}: {loop.stack}"
