"""ncnn nets, broken: the text cut, flipped and edited, the weights missing, cut or flipped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from .case import HARMLESS_TOO, REFUSED, Case

PARAM = b"""7767517
6 7
Input            data             0 1 data 0=8 1=8 2=1
Convolution      conv             1 1 data conv 0=4 1=3 4=1 5=1 6=36 9=1
Split            split            1 2 conv left right
Pooling          pool             1 1 left pooled 0=1 4=1
BinaryOp         scaled           2 1 right pooled scaled 0=2
InnerProduct     scores           1 1 scaled scores 0=10 1=1 2=2560
"""
"""Convolution, a split, a global pool, a product, scores."""
_random = np.random.default_rng(0)
WEIGHTS = b"".join(
    (b"\0\0\0\0" if tagged else b"") + _random.standard_normal(count).astype("<f4").tobytes()
    for count, tagged in ((36, True), (4, False), (2560, True), (10, False))
)


def nets() -> Iterator[Case]:
    """All cases of .param and .bin."""
    for i in range(1, 26):
        length = len(PARAM) * i // 26
        yield _case("ncnn cut", f".param, {length} bytes", PARAM[:length])
    for i in range(11):
        length = len(WEIGHTS) * i // 11
        yield _case("ncnn cut", f".bin, {length} bytes", weights=WEIGHTS[:length])
    chance = random.Random(7)
    for i in range(40):
        yield _case("ncnn flipped bits", f".param {i}", _flipped(PARAM, chance), statuses=HARMLESS_TOO)
    for i in range(6):
        yield _case("ncnn flipped bits", f".bin {i}", weights=_flipped(WEIGHTS, chance), statuses=HARMLESS_TOO)
    yield _case("ncnn weights", "no .bin", weights=None)
    yield _case("ncnn weights", "too long", weights=WEIGHTS + b"\0" * 4)
    yield _case("ncnn weights", "an unknown tag", weights=b"\x01\x02\x03\x04" + WEIGHTS[4:])
    yield _case("ncnn weights", "an int8 tag", weights=b"\x74\x38\x0d\x00" + WEIGHTS[4:])
    for name, (old, new) in _EDITS.items():
        assert old in PARAM, old
        yield _case("ncnn net", name, PARAM.replace(old, new, 1))
    yield _case("ncnn net", "binary .param", b"\xd3\xb0v\x00" + bytes(60), statuses=frozenset({2, 3}))
    yield _case("ncnn net", "a million layers of nothing", b"7767517\n1000000 1\n" + b"Noop n 0 0\n" * 10**6)
    yield _case("ncnn net", "a line of 10 MB", PARAM + b"Noop n 0 0 " + b"1=1 " * (10 << 18))


_EDITS = {
    "another magic": (b"7767517", b"7767518"),
    "the magic of before 2017": (b"7767517\n", b""),
    "10^9 layers": (b"6 7", b"1000000000 7"),
    "10^30 layers": (b"6 7", b"1" + b"0" * 30 + b" 7"),
    "-1 layers": (b"6 7", b"-1 7"),
    "fewer layers than lines": (b"6 7", b"5 7"),
    "more layers than lines": (b"6 7", b"7 7"),
    "10^9 blobs": (b"6 7", b"6 1000000000"),
    "counts that are words": (b"6 7", b"six seven"),
    "an unknown layer": (b"Pooling ", b"Pulling "),
    "a layer of a custom library": (b"Pooling ", b"YoloV9Detect "),
    "10^9 inputs": (b"Pooling          pool             1 1", b"Pooling pool 1000000000 1"),
    "-1 inputs": (b"Pooling          pool             1 1", b"Pooling pool -1 1"),
    "a blob nobody makes": (b"1 1 left", b"1 1 nowhere"),
    "a blob made twice": (b"left right", b"left left"),
    "a cycle": (b"1 1 data conv", b"1 1 scores conv"),
    "no input layer": (b"Input            data             0 1 data 0=8 1=8 2=1\n", b"\n"),
    "an input of 10^12": (b"0=8 1=8 2=1", b"0=1000000 1=1000000 2=1"),
    "an input of 2^62": (b"0=8 1=8 2=1", b"0=4611686018427387904 1=8 2=1"),
    "an input of negative size": (b"0=8 1=8 2=1", b"0=-8 1=8 2=1"),
    "an input without size": (b"0=8 1=8 2=1", b""),
    "10^9 output channels": (b"0=4 1=3", b"0=1000000000 1=3"),
    "negative output channels": (b"0=4 1=3", b"0=-4 1=3"),
    "a kernel of 0": (b"0=4 1=3", b"0=4 1=0"),
    "a kernel of 10^6": (b"0=4 1=3", b"0=4 1=1000000"),
    "a stride of 0": (b"4=1 5=1 6=36", b"3=0 4=1 5=1 6=36"),
    "a dilation of 0": (b"4=1 5=1 6=36", b"2=0 4=1 5=1 6=36"),
    "a pad of 10^9": (b"4=1 5=1 6=36", b"4=1000000000 5=1 6=36"),
    "10^12 weights": (b"6=36", b"6=1000000000000"),
    "-36 weights": (b"6=36", b"6=-36"),
    "37 weights": (b"6=36", b"6=37"),
    "int8 weights": (b"6=36", b"6=36 8=1"),
    "an unknown activation": (b"9=1", b"9=77"),
    "an unknown parameter": (b"9=1", b"9=1 99=1"),
    "a parameter twice": (b"9=1", b"9=1 9=2"),
    "a parameter that is no number": (b"9=1", b"9=one"),
    "a parameter of 400 digits": (b"9=1", b"9=" + b"9" * 400),
    "an infinite parameter": (b"9=1", b"9=1e999"),
    "an array of 10^9": (b"9=1", b"-23309=1000000000,1"),
    "an array of -1": (b"9=1", b"-23309=-1,1"),
    "an array that ends early": (b"9=1", b"-23309=3,1"),
    "an unknown product": (b"scaled 0=2", b"scaled 0=222"),
    "a product of one blob": (b"2 1 right pooled scaled", b"1 1 right scaled"),
    "an unknown pool": (b"pooled 0=1", b"pooled 0=9"),
    "10^9 scores": (b"0=10 1=1", b"0=1000000000 1=1"),
    "scores of another size": (b"2=2560", b"2=2550"),
    "letters outside of UTF-8": (b"scaled", b"\xff\xfe\xfd"),
    "a zero byte": (b"scaled", b"sc\0led"),
}


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 3))):
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _case(
    kind: str,
    name: str,
    param: bytes = PARAM,
    weights: bytes | None = WEIGHTS,
    statuses: frozenset[int] = REFUSED,
) -> Case:
    return Case(kind, name, partial(_write, param, weights), statuses)


def _write(param: bytes, weights: bytes | None, folder: Path) -> Path:
    path = folder / "net.param"
    path.write_bytes(param)
    if weights is not None:
        path.with_suffix(".bin").write_bytes(weights)
    return path
