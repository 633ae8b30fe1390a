"""The options of the C++ target, and its folder: whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mconv
from mconv.ir.errors import UsageError

from . import models
from .models import DIGITS, saved

OPTIONS: dict[str, tuple[str, ...]] = {
    "--exact": (),
    "--debug-names": (),
    "--protect": ("strong",),
    "--key": ("key",),
    "--build-seed": ("customer",),
}
MOMENTS = 5


def run(folder: Path, *arguments: object) -> tuple[int, str]:
    """Exit status and message of `mconv ... --no-verify -q` in another process."""
    command = [sys.executable, "-m", "mconv", *map(str, arguments), "--no-verify", "-q"]
    path = os.pathsep.join(filter(None, (str(Path(mconv.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stderr


@pytest.mark.parametrize("target", ["ncnn", "onnx", "tflite"])
def test_options_of_the_cpp_target_are_refused_elsewhere(target: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(32))
    every = [word for option, values in OPTIONS.items() for word in (option, *values)]
    status, said = run(tmp_path, DIGITS, "-t", target, *every)
    assert (status, said.split()[:2]) == (2, ["error", "MC114"])
    assert all(option in said for option in OPTIONS), said
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("protect", [[], ["--protect", "none"], ["--protect", "basic"]], ids=" ".join)
@pytest.mark.parametrize("option", [["--key", "key"], ["--build-seed", "x"]], ids=" ".join)
def test_a_key_that_would_encrypt_nothing_is_refused(protect: list[str], option: list[str], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(32))
    status, said = run(tmp_path, DIGITS, "-t", "cpp", "-o", "out", *protect, *option)
    assert (status, said.split()[:2]) == (2, ["error", "MC126"])
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_folders_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    status, said = run(tmp_path, DIGITS, "-t", "cpp", "-o", "out")
    assert (status, said.split()[:2]) == (2, ["error", "MC120"])
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_bytes(b"mine")
    (out / "Makefile").write_bytes(b"old")
    mconv.convert(DIGITS, "cpp", output=out, verify=False)
    assert (out / "notes.txt").read_bytes() == b"mine"
    assert (out / "Makefile").read_bytes() != b"old"


def test_names_are_in_the_source_only_when_asked_for(tmp_path: Path) -> None:
    for wanted in (False, True):
        out = tmp_path / str(wanted)
        mconv.convert(DIGITS, "cpp", output=out, verify=False, debug_names=wanted)
        text = (out / "digits.cpp").read_text() + (out / "digits.h").read_text()
        assert ("'scores'" in text) == wanted
        assert ("// Conv" in text) == wanted
    assert json.loads((tmp_path / "False" / "map.json").read_text())["outputs"] == ["scores"]


def test_the_same_input_gives_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    found = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "mconv", str(DIGITS), "-t", "cpp", "-o", str(out), "--no-verify", "-q"]
        command += ["--protect", "strong", "--key", str(tmp_path / "key"), "--build-seed", "x"]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("large"), models.large(), "large.onnx")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
def test_killed_at_any_moment_the_folder_is_whole_or_absent(number: int, large: Path, tmp_path: Path) -> None:
    def begin(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mconv", str(large), "-t", "cpp", "-o", str(out), "--no-verify", "-q"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    began = time.monotonic()
    assert begin(tmp_path / "whole").wait() == 0
    seconds = time.monotonic() - began
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        process = begin(folder / "out")
        time.sleep(seconds * (moment + 1) / (MOMENTS + 1))
        process.send_signal(number)
        process.wait(timeout=60)
        names = {path.name for path in folder.iterdir()}
        if number != signal.SIGKILL:
            assert names <= {"out"}, names
        if "out" in names:
            found = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
            assert found.keys() == expected.keys(), moment
            assert found["large_weights.bin"] == expected["large_weights.bin"]


def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        mconv.convert(DIGITS, "cpp", output=tmp_path / "out", verify=False, protect="strong", key=tmp_path / "none")
    assert error.value.code == "MC127"
    assert not (tmp_path / "out").exists()
