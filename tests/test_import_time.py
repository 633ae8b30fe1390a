"""``import mconv`` is quick, and what is heavy is imported only when it is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "onnx", "networkx", "click", "rich", "onnxruntime", "ncnn", "onnxsim", "lark")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after running ``code``."""
    show = "import sys; print('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.partition("LOADED")[2].split()}


def test_import_takes_under_300_ms() -> None:
    times = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import mconv"], capture_output=True, text=True, check=True
        )
        found = re.search(r"\|\s*(\d+) \| mconv$", done.stderr, re.MULTILINE)
        assert found is not None, done.stderr
        times.append(int(found[1]) / 1e6)
    assert min(times) < 0.3


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import mconv").isdisjoint(HEAVY)


def test_the_command_loads_only_what_it_prints_with() -> None:
    assert loaded_by("import mconv.cli").isdisjoint(set(HEAVY) - {"click", "numpy"})


UNUSED = {
    "dataclasses", "hashlib", "json", "multiprocessing", "numpy.typing", "random", "secrets", "shutil", "subprocess",
    "tempfile", "lark", "ml_dtypes", "networkx", "ncnn", "onnx", "onnx.onnx_cpp2py_export", "onnxruntime", "rich",
    "mconv.api", "mconv.backends.onnx", "mconv.frontends.ncnn", "mconv.frontends.onnx.contrib_schema",
    "mconv.frontends.onnx.handlers.microsoft_fused", "mconv.inspection", "mconv.ir.ops.kernels.cells", "mconv.ir.parse",
    "mconv.ir.text", "mconv.verification",
}  # fmt: skip
"""What a conversion without comparison does not run."""


def imports(*arguments: str) -> set[str]:
    """Every module that is imported by a run of Python."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_a_conversion_imports_nothing_that_it_does_not_run(tmp_path: Path) -> None:
    theirs = imports("-c", "import click, numpy, google.protobuf.descriptor_pool")
    model = Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx"
    loaded = imports("-m", "mconv", str(model), "--target", "ncnn", "--no-verify", "-o", str(tmp_path / "digits"))
    assert (tmp_path / "digits.param").exists()
    assert "mconv.backends.ncnn.emit.conv" in loaded
    assert sorted(UNUSED & (loaded - theirs)) == []


def test_handlers_of_onnxruntimes_domain_stand_in_modules_of_their_own() -> None:
    """Which are imported for that domain only: `microsoft_*`."""
    code = """
from mconv.frontends.onnx import registry
registry.load_handlers()
first = {domain for domain, _ in registry._HANDLERS}
known = set(registry._HANDLERS)
registry.load_handlers(registry.MICROSOFT)
print(first == {""}, {domain for domain, _ in set(registry._HANDLERS) - known} == {registry.MICROSOFT})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_converting_needs_no_runtime() -> None:
    pytest.importorskip("onnx")
    loaded = loaded_by("import mconv.driver, mconv.verification; from mconv.frontends.onnx import reader")
    assert loaded.isdisjoint({"onnxruntime", "ncnn", "onnxsim", "torch", "tensorflow"})
