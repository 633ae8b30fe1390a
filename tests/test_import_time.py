"""``import mconv`` is quick, and what is heavy is imported only when it is needed."""

from __future__ import annotations

import re
import subprocess
import sys

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


def test_converting_needs_no_runtime() -> None:
    pytest.importorskip("onnx")
    loaded = loaded_by("import mconv.driver, mconv.verification; from mconv.frontends.onnx import reader")
    assert loaded.isdisjoint({"onnxruntime", "ncnn", "onnxsim", "torch", "tensorflow"})
