"""Killed at any moment a conversion leaves whole files or none; and the same input gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mconv.backends.files import write_all
from mconv.ir.errors import UsageError

from .mconv import models
from .mconv.models import DIGITS, saved

MOMENTS = 12
UNNAMED = hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")


def mconv(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mconv", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """A shell lets what it runs in the background ignore SIGINT; the child under test must not inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("large"), models.large(), "large.onnx")


@pytest.fixture(scope="module")
def whole(large: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What an undisturbed conversion writes, and how long it takes."""
    out = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    process = mconv(large, "-t", "ncnn", "-o", f"{out}/", "--no-verify")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return contents(out), time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_killed_at_any_moment_files_are_whole_or_absent(
    number: signal.Signals, large: Path, whole: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    expected, seconds = whole
    for moment in range(MOMENTS):
        out = tmp_path / str(moment)
        out.mkdir()
        process = mconv(large, "-t", "ncnn", "-o", f"{out}/", "--no-verify")
        time.sleep(seconds * (moment + 1) / (MOMENTS + 1))
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        found = contents(out)
        if number == signal.SIGKILL and not UNNAMED:
            found = {name: data for name, data in found.items() if not name.endswith(".part")}
        assert set(found) <= set(expected), f"moment {moment}: {sorted(found)}"
        assert all(data == expected[name] for name, data in found.items()), f"moment {moment}"
        if number != signal.SIGKILL:
            # the interpreter may be interrupted before it has come to any line of ours
            assert b"Traceback" not in said or b"mconv" not in said, said.decode()
            assert process.returncode != 0 or found == expected


def test_ended_while_verifying_nothing_is_left(large: Path, tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        for attempt in range(5):
            if _ended_in_time(large, tmp_path / f"{number}.{attempt}", number):
                break
        else:
            pytest.fail("the conversion was done each time before the signal came")


def _ended_in_time(large: Path, folder: Path, number: int) -> bool:
    """False where the machine was so busy that the conversion was done before it could be ended."""
    out, temporary = folder / "out", folder / "tmp"
    out.mkdir(parents=True)
    temporary.mkdir()
    process = mconv(large, "-t", "ncnn", "-o", f"{out}/", TMPDIR=str(temporary))
    end = time.monotonic() + 60
    while not list(temporary.glob("mconv-*/*.npz")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)  # the feeds are there: the runtimes are about to start
    process.send_signal(number)
    process.communicate(timeout=60)
    if process.returncode == 0:
        return False
    assert contents(out) == {}
    if number != signal.SIGKILL:
        assert not list(temporary.iterdir()), "the runtimes' folder is left"
    return True


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"old")

    def broken() -> list[bytes]:
        raise RuntimeError("no more chunks")

    with pytest.raises(RuntimeError):
        write_all({first: lambda: [b"new"], second: broken})
    assert contents(tmp_path) == {"a": b"old"}

    def refuse(_: object) -> None:
        raise RuntimeError("the numbers differ")

    with pytest.raises(RuntimeError):
        write_all({first: lambda: [b"new"], second: lambda: [b"new"]}, check=refuse)
    assert contents(tmp_path) == {"a": b"old"}
    write_all({first: lambda: [b"new"], second: lambda: [b"n", b"", b"ew"]})
    assert contents(tmp_path) == {"a": b"new", "b": b"new"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        write_all({tmp_path / "none" / "a": lambda: [b""]})
    assert error.value.code == "MC120"
    with pytest.raises(UsageError) as error:
        write_all({tmp_path: lambda: [b""]})
    assert error.value.code == "MC120"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError) as error:
        write_all({tmp_path / "a": lambda: [b"x" * 100]})
    monkeypatch.undo()
    assert error.value.code == "MC121"
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("target", ["ncnn", "onnx"])
@pytest.mark.parametrize("model", ["digits", "large"])
def test_the_same_input_gives_the_same_bytes(target: str, model: str, large: Path, tmp_path: Path) -> None:
    source = {"digits": DIGITS, "large": large}[model]
    found = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        out.mkdir()
        process = mconv(source, "-t", target, "-o", f"{out}/", "--no-verify", PYTHONHASHSEED=seed)
        said, _ = process.communicate()
        assert process.returncode == 0, said.decode()
        found.append(contents(out))
    assert found[0] == found[1]
    assert found[0]
