"""Generated code under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer, on all instruction sets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx
import pytest

from . import folders
from .folders import DIGITS

MEMORY = "-fsanitize=address,undefined -fno-sanitize-recover=all"
THREADS = "-fsanitize=thread"


@pytest.fixture(scope="module")
def _sanitizers(tmp_path_factory: pytest.TempPathFactory) -> None:
    folders.need("g++", "make")
    source = tmp_path_factory.mktemp("sanitizers") / "a.cpp"
    source.write_text("int main() {}")
    for kinds in ("address,undefined", "thread"):
        command = ["g++", f"-fsanitize={kinds}", str(source), "-o", str(source.with_suffix(""))]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("g++ has no sanitizers: apt-get install libasan8 libubsan1 libtsan2")


@pytest.mark.usefixtures("_sanitizers")
@pytest.mark.parametrize("name", ["everything", "strong"])
def test_memory_and_arithmetic(name: str, tmp_path: Path) -> None:
    source: onnx.ModelProto | Path = folders.everything() if name == "everything" else DIGITS
    model = folders.written(source, tmp_path / name, **({"protect": "strong"} if name == "strong" else {}))
    folders.make(tmp_path / name, f"CXXFLAGS={MEMORY}", "OPT=-O1")
    folders.tested(tmp_path / name)
    folders.driven(tmp_path / name, model, tmp_path / "driver", *MEMORY.split())


@pytest.mark.usefixtures("_sanitizers")
def test_threads(tmp_path: Path) -> None:
    name = folders.written(folders.everything(), tmp_path / "net")
    assert "stream0(Run& r)" in (tmp_path / "net" / f"{name}.cpp").read_text(), "nothing is streamed in this model"
    folders.make(tmp_path / "net", f"CXXFLAGS={THREADS}", "OPT=-O1", "selftest")
    folders.tested(tmp_path / "net")
    folders.driven(tmp_path / "net", name, tmp_path / "driver", THREADS)
