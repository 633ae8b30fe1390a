"""The examples do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mconv

DIGITS = Path(__file__).parent.parent / "examples" / "digits"


def test_the_digits_network_converts_and_verifies(tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    result = mconv.convert(DIGITS / "digits.onnx", "ncnn", output=tmp_path / "digits", verify=True)
    assert result.verification.passed
    assert {p.name for p in result.files.values()} == {"digits.param", "digits.bin"}


def test_the_demo_gives_both_accuracies() -> None:
    for package in ("ncnn", "onnxruntime", "sklearn"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    done = subprocess.run([sys.executable, "demo.py"], cwd=DIGITS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("held-back digits right") == 2
    assert "both give every digit the same class" in done.stdout
