"""A strong build from end to end: the key, changed bytes, the copy's trace, and what it gives away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mconv
from mconv.attack import attack, elf, trace
from mconv.backends.cpp import protect
from mconv.backends.cpp.runtime import Library
from mconv.ir.errors import CheckError

from . import folders

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.onnx"
ERROR_KEY, ERROR_WEIGHTS, ERROR_CODE = 3, 4, 6


@pytest.fixture(scope="module", params=["g++", "clang++"])
def build(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of a strong build of the digits, made, with its key beside it."""
    compiler: str = request.param
    folders.need(compiler, "make")
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "key").write_bytes(protect.new_key())
    out = folder / "out"
    mconv.convert(
        DIGITS, "cpp", output=out, verify=False, protect="strong", key=folder / "key", build_seed="customer 7"
    )
    made = ["make", "-s", "-j", "2", "-C", str(out), f"CXX={compiler}", f"KEY={folder / 'key'}"]
    subprocess.run(made, check=True, capture_output=True)
    return out


def selftest(program: Path, key: Path) -> tuple[int, str]:
    """(exit status, the error number of the first run) of a self-test."""
    done = subprocess.run([str(program), str(key)], capture_output=True, text=True, timeout=60, check=False)
    first = done.stdout.partition("\n")[0]
    return done.returncode, first.rpartition("(")[2].rstrip(")")


def changed(program: Path, folder: Path, section: str, count: int) -> Iterator[Path]:
    """Copies of a program in each of which one bit of a section differs."""
    content = program.read_bytes()
    parts = elf.read(memoryview(content))
    assert parts is not None
    place = next(s for s in parts.sections if s.name == section)
    random = np.random.default_rng(7)
    for number in range(count):
        copy = bytearray(content)
        copy[place.offset + int(random.integers(place.size))] ^= 1 << int(random.integers(8))
        path = folder / f"changed{number}"
        path.write_bytes(copy)
        path.chmod(0o755)
        yield path


def test_the_right_key_opens_it(build: Path) -> None:
    assert selftest(build / "selftest", build.parent / "key") == (0, "0")


def test_a_wrong_key_and_none_are_errors_of_their_own(build: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(protect.new_key())
    assert selftest(build / "selftest", tmp_path / "other") == (1, str(ERROR_WEIGHTS))
    with pytest.raises(CheckError, match=f"error {ERROR_KEY}"):
        Library(build / "libdigits.so", "digits")


def test_changed_weights_and_constants_are_refused(build: Path, tmp_path: Path) -> None:
    for path in changed(build / "selftest", tmp_path, ".rodata", 12):
        status, error = selftest(path, build.parent / "key")
        assert (status, error) in {(1, str(ERROR_WEIGHTS)), (1, str(ERROR_CODE))}


def test_changed_code_is_refused(build: Path, tmp_path: Path) -> None:
    """The code that opens and looks runs before the look: what a changed bit in it breaks is refused all the same."""
    for path in changed(build / "selftest", tmp_path, ".text", 40):
        status, error = selftest(path, build.parent / "key")
        assert (status, error) in {(1, str(ERROR_CODE)), (1, str(ERROR_WEIGHTS))}


def test_it_gives_nothing_away_and_its_build_is_recognised(build: Path, tmp_path: Path) -> None:
    found = attack(build / "libdigits.so", DIGITS)
    assert (found.score, found.words, found.beyond, found.told) == (0, {}, (), ())
    assert found.prefix == "digits_"
    other = protect.build_from("customer 8", [b""]).as_json(10)
    (tmp_path / "other.json").write_text(json.dumps({"build": other}))
    first, second = trace(build / "libdigits.so", [build / "map.json", tmp_path / "other.json"])
    assert (first.recognised, second.recognised) == (True, False)
