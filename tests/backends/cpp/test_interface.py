"""The interface of a network: wrong arguments, several at once, memory, the ways to build it, what it exports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mconv.backends.cpp.runtime import Library
from mconv.ir.errors import CheckError

from . import folders
from .folders import DIGITS
from .models import numbers

WARNINGS = ("-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits' folder, made."""
    folders.need("g++", "make")
    folder = tmp_path_factory.mktemp("interface") / "digits"
    folders.written(DIGITS, folder)
    folders.make(folder)
    return folder


def test_callers_right_and_wrong(digits: Path, tmp_path: Path) -> None:
    folders.driven(digits, "digits", tmp_path / "plain")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model in which most kernels are, made."""
    folders.need("g++", "make")
    folder = tmp_path_factory.mktemp("everything") / "everything"
    folders.written(folders.everything(), folder)
    folders.make(folder, "OPT=-O1", "libeverything.a", "libeverything.so")
    return folder


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with `--exact`, made."""
    folders.need("g++", "make")
    folder = tmp_path_factory.mktemp("exact") / "everything"
    name = folders.written(folders.everything(), folder, exact=True)
    assert "winograd" not in (folder / f"{name}.cpp").read_text()
    folders.make(folder, "OPT=-O1", "libeverything.so")
    return folder


@pytest.mark.parametrize("name", ["digits", "everything"])
def test_a_run_allocates_nothing(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = request.getfixturevalue(name)
    probe = tmp_path / "probe.cpp"
    probe.write_text(
        '#include <cstdlib>\nextern "C" void* __libc_malloc(size_t);\nint main() { return !__libc_malloc(1); }'
    )
    if subprocess.run(["g++", str(probe), "-o", str(tmp_path / "p")], capture_output=True, check=False).returncode:
        pytest.skip("the C library is not glibc")
    folders.driven(folder, name, tmp_path / "counted", "-DCOUNT_ALLOCATIONS")


@pytest.mark.parametrize("isa", ["base", "avx2", "avx512"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["everything", "exact"])
def test_everything_is_what_onnxruntime_computes(
    kind: str, isa: str, threads: int, request: pytest.FixtureRequest
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder: Path = request.getfixturevalue(kind)
    try:
        network = Library(folder / "libeverything.so", "everything", isa=isa, threads=threads)
    except CheckError:
        pytest.skip("the processor has no such instructions")
    model = folders.everything()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {v.name: numbers(*v.shape, seed=5) for v in session.get_inputs()}
    (wanted,) = session.run(None, feeds)
    with network:
        for _ in range(2):
            (found,) = network.run(list(feeds.values()))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_the_header_is_c99_and_the_wrapper_moves(digits: Path, tmp_path: Path) -> None:
    folders.need("gcc")
    source = tmp_path / "user.c"
    source.write_text('#include "digits.h"\nint main(void) { digits_model* m; return digits_create(&m, NULL); }\n')
    command = ["gcc", "-std=c99", "-pedantic", *WARNINGS, f"-I{digits}", str(source), str(digits / "libdigits.so")]
    subprocess.run([*command, f"-Wl,-rpath,{digits}", "-o", str(tmp_path / "user")], check=True)
    subprocess.run([str(tmp_path / "user")], check=True)
    wrapped = tmp_path / "user.cpp"
    wrapped.write_text(
        '#include "digits.h"\nint main() {\n  digits::Model a, b(nullptr);\n  digits::Model c(std::move(a));\n'
        "  b = std::move(c);\n"
        "  return b.error() || b.selftest() || a.run(nullptr, nullptr) != DIGITS_ERROR_ARGUMENT;\n}\n"
    )
    command = ["g++", "-std=c++17", *WARNINGS, f"-I{digits}", str(wrapped), str(digits / "libdigits.a"), "-pthread"]
    subprocess.run([*command, "-o", str(tmp_path / "wrapped")], check=True)
    subprocess.run([str(tmp_path / "wrapped")], check=True)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_only_names_with_the_prefix_go_out(compiler: str, tmp_path: Path) -> None:
    folders.need(compiler, "make", "nm")
    folders.written(DIGITS, tmp_path / "out")
    folders.make(tmp_path / "out", f"CXX={compiler}")
    folders.tested(tmp_path / "out")
    listed = ["nm", "-D", "--defined-only", str(tmp_path / "out" / "libdigits.so")]
    names = [
        line.split()[-1]
        for line in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    assert len(names) == 12
    assert [name for name in names if not name.startswith("digits_")] == []


def test_weights_from_the_caller(tmp_path: Path) -> None:
    folders.need("g++", "make")
    folders.written(DIGITS, tmp_path / "out")
    folders.make(tmp_path / "out", "EXTERNAL_WEIGHTS=1", "CODE=base")
    done = subprocess.run(["./selftest"], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert (done.returncode, "FAILED" in done.stdout) == (0, False)
    done = subprocess.run(["out/selftest"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "there are no weights here"
    weights = (tmp_path / "out" / "digits_weights.bin").read_bytes()
    assert weights[:64] not in (tmp_path / "out" / "libdigits.so").read_bytes()


def cmake(source: Path, made: Path, *settings: str) -> None:
    folders.need("g++", "cmake", "make")
    flags = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror"
    for command in (
        ["cmake", "-S", str(source), "-B", str(made), flags, *settings],
        ["cmake", "--build", str(made), "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("external", ["OFF", "ON"])
def test_cmake(external: str, tmp_path: Path) -> None:
    folders.written(DIGITS, tmp_path / "out")
    made = tmp_path / "made"
    cmake(tmp_path / "out", made, f"-DDIGITS_EXTERNAL_WEIGHTS={external}")
    done = subprocess.run([str(made / "selftest")], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (made / "libdigits.so").exists()
    assert (made / "libdigits.a").exists()
    assert not (made / "example").exists()


def test_cmake_protects_as_make_does(tmp_path: Path) -> None:
    """No symbols but the interface's, and a seal on the code: one other byte of it, in the library, is refused."""
    (tmp_path / "key").write_bytes(bytes(range(32)))
    folders.written(DIGITS, tmp_path / "out", protect="strong", key=tmp_path / "key")
    made = tmp_path / "made"
    cmake(tmp_path / "out", made, f"-DKEY={tmp_path / 'key'}")
    listed = subprocess.run(["nm", str(made / "libdigits.so")], capture_output=True, text=True, check=False)
    assert listed.stdout == ""
    content = (made / "selftest").read_bytes()
    changed = made / "changed"
    at = content.index(b"threads %d")
    changed.write_bytes(content[:at] + b"T" + content[at + 1 :])
    changed.chmod(0o755)
    for program, status in (("selftest", 0), ("changed", 1)):
        done = subprocess.run([str(made / program), str(tmp_path / "key")], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout
    assert "FAILED (6)" in done.stdout
