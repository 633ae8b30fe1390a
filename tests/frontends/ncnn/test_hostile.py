"""Broken and hostile nets end in one coded error, before anything large is allocated."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mconv.frontends import load
from mconv.frontends.ncnn.reader import read
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError, UsageError

NET = """7767517
4 5
Input in 0 1 in 0=8 1=8 2=3
Convolution conv 1 1 in a 0=4 1=3 5=1 6=108
Split split 1 2 a b c
BinaryOp add 2 1 b c out 0=0
"""
WEIGHTS = bytes(4) + np.ones(112, np.float32).tobytes()


def write(folder: Path, text: str | bytes = NET, weights: bytes | None = WEIGHTS) -> Path:
    """The two files of a net."""
    path = folder / "net.param"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if weights is not None:
        path.with_suffix(".bin").write_bytes(weights)
    return path


@pytest.mark.parametrize("name", ["net.param", "net.param.bin"])
def test_a_binary_param_is_told_as_one_whatever_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes((7767517).to_bytes(4, "little") + bytes(64))
    with pytest.raises(UnsupportedError) as error:
        load(path)
    assert error.value.code == "MC360"


def test_the_net_is_sound(tmp_path: Path) -> None:
    graph = load(write(tmp_path))
    assert graph.output_names == ("out",)
    assert graph.outputs[0].type.shape == (1, 4, 6, 6)
    assert "Convolution 'conv'" in str(graph.nodes[0].origin)


MEMORY = "MemoryData m 0 1 m 0=100000 1=100000 2=100"
BROKEN = {
    "no magic": ("MC260", NET.replace("7767517", "7767518")),
    "no counts": ("MC261", "7767517\n"),
    "wrong count": ("MC261", NET.replace("4 5", "3 5")),
    "many layers": ("MC272", NET.replace("4 5", "900000000 5")),
    "cut line": ("MC261", NET.replace("BinaryOp add 2 1 b c out 0=0", "BinaryOp add 2 1 b")),
    "no parameter": ("MC261", NET.replace("1=3 5=1", "13 5=1")),
    "no number": ("MC261", NET.replace("1=3 5=1", "1=3- 5=1")),
    "huge number": ("MC261", NET.replace("1=3 5=1", "1=99999999999 5=1")),
    "short array": ("MC261", NET.replace("1=3 5=1", "1=3 -23310=5,1 5=1")),
    "blob of nobody": ("MC266", NET.replace("2 1 b c out", "2 1 b d out")),
    "blob twice": ("MC266", NET.replace("1 2 a b c", "1 2 a b b").replace("2 1 b c", "2 1 b b")),
    "reads itself": ("MC266", NET.replace("1 1 in a", "1 1 c a")),
    "too few inputs": ("MC266", NET.replace("add 2 1 b c out", "add 1 1 b out")),
    "unknown layer": ("MC361", NET.replace("BinaryOp", "BinaryOops")),
    "unknown parameter": ("MC362", NET.replace("c out 0=0", "c out 0=0 9=1")),
    "unknown operation": ("MC362", NET.replace("c out 0=0", "c out 0=77")),
    "integer weights": ("MC363", NET.replace("6=108", "6=108 8=1")),
    "no size": ("MC122", NET.replace(" 0=8 1=8 2=3", "")),
    "kernel too large": ("MC271", NET.replace("0=8 1=8", "0=2 1=2")),
    "wrong channels": ("MC271", NET.replace("2=3", "2=5")),
    "more weights": ("MC264", NET.replace("6=108", "6=216")),
    "fewer weights": ("MC265", NET.replace("5=1", "5=0")),
    "endless memory": ("MC264", NET.replace("Split s", f"{MEMORY}\nSplit s").replace("4 5", "5 6")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_text(name: str, tmp_path: Path) -> None:
    code, text = BROKEN[name]
    with pytest.raises(MconvError) as error:
        load(write(tmp_path, text))
    assert error.value.code == code, error.value
    assert len(str(error.value).splitlines()) < 12


def test_files_that_are_no_net(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="binary"):
        read(write(tmp_path, (7767517).to_bytes(4, "little") + bytes(50)))
    (tmp_path / "other").mkdir()
    with pytest.raises(UnreadableError, match="MC263"):
        load(write(tmp_path / "other", weights=None))
    with pytest.raises(UnreadableError, match="MC264"):
        load(write(tmp_path, weights=WEIGHTS[:-1]))
    with pytest.raises(UnreadableError, match="MC264"):
        load(write(tmp_path, weights=b""))
    with pytest.raises(UnreadableError, match="MC265"):
        load(write(tmp_path, weights=WEIGHTS + b"\0\0\0\0"))


def test_input_shapes(tmp_path: Path) -> None:
    text = NET.replace(" 0=8 1=8 2=3", "")
    for shape in ((3, 9, 7), (1, 3, 9, 7)):
        graph = load(write(tmp_path, text), input_shapes={"in": shape})
        assert graph.inputs[0].type.shape == (1, 3, 9, 7)
    with pytest.raises(UsageError, match="no input"):
        load(write(tmp_path, text), input_shapes={"image": (3, 9, 7)})


@pytest.mark.parametrize("seed", range(40))
def test_damaged_text_never_crashes(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    data = bytearray(NET.encode())
    for _ in range(rng.randint(1, 5)):
        typed = ord(rng.choice('0123456789-=,. \nabIe"'))
        data[rng.randrange(8, len(data))] = typed if seed % 2 else rng.randrange(256)
    try:
        load(write(tmp_path, bytes(data)))
    except MconvError as error:
        assert error.exit_status in (2, 3)  # noqa: PT017
