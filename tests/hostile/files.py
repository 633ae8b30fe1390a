"""Inputs that are no models, or only parts of one: foreign files, cuts, flips, and data that lie elsewhere."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import socket
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import onnx

from .bases import CONTROL, DIGITS, FUNCTIONS, weighted
from .case import HARMLESS_TOO, Case, file

BASES = {"digits": (DIGITS, 40, 60), "control flow": (CONTROL, 25, 30), "functions": (FUNCTIONS, 25, 30)}
"""For each: the bytes, how many cuts, how many flips."""


def foreign() -> Iterator[Case]:
    """Files of other formats, under names that promise a model."""
    for name, content in _contents().items():
        yield file("foreign file", f"{name} as .onnx", content)
        yield file("foreign file", f"{name} as .param", content, "model.param")
    for name, content in (("pickle", pickle.dumps([1, 2])), ("zip", _zip()), ("text", b"a text\n" * 9)):
        yield file("foreign file", f"{name} without suffix", content, "model")


def _contents() -> dict[str, bytes]:
    chance = random.Random(5)
    return {
        "empty": b"",
        "one byte": b"\x08",
        "git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n",
        "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(500),
        "PNG": b"\x89PNG\r\n\x1a\n" + bytes(500),
        "GIF": b"GIF89a" + bytes(100),
        "PDF": b"%PDF-1.7\n" + bytes(100),
        "gzip of a model": gzip.compress(DIGITS, mtime=0),
        "zip": _zip(),
        "pickle 2": pickle.dumps({"weights": [1.0] * 9}, protocol=2),
        "pickle 4": pickle.dumps({"weights": [1.0] * 9}, protocol=4),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(200),
        "TFLite": b"\x1c\x00\x00\x00TFL3" + bytes(100),
        "ELF": b"\x7fELF\x02\x01\x01" + bytes(100),
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>" * 5,
        "JSON": b'{"graph": {"node": []}}' * 4,
        "UTF-16 text": ("a text that is no model " * 9).encode("utf-16"),
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "noise": chance.randbytes(4096),
        "noise behind a header": b"\x08\x08" + chance.randbytes(4096),
    }


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return made.getvalue()


def paths() -> Iterator[Case]:
    """Paths that are no readable file."""
    kind = "path"
    yield Case(kind, "a folder", lambda folder: _made(folder / "model.onnx", os.mkdir))
    yield Case(kind, "a missing file", lambda folder: folder / "model.onnx")
    yield Case(kind, "a missing folder", lambda folder: folder / "none" / "model.param")
    yield Case(kind, "a file as folder", lambda folder: _made(folder / "file", Path.touch) / "model.onnx")
    yield Case(kind, "a pipe", lambda folder: _made(folder / "model.onnx", os.mkfifo))
    yield Case(kind, "a pipe as .param", lambda folder: _made(folder / "model.param", os.mkfifo))
    yield Case(kind, "a socket", lambda folder: _made(folder / "m", _socket))
    yield Case(kind, "a device", lambda folder: _made(folder / "model.onnx", lambda p: p.symlink_to("/dev/zero")))
    yield Case(kind, "a link to itself", lambda folder: _made(folder / "model.onnx", lambda p: p.symlink_to(p)))
    yield Case(kind, "a link to nothing", lambda folder: _made(folder / "model.onnx", lambda p: p.symlink_to("gone")))
    yield Case(kind, "a name of 300 letters", lambda folder: folder / ("m" * 300))
    yield Case(kind, "20 GB of zeros", lambda folder: _made(folder / "model.onnx", partial(_sparse, b"")))
    yield Case(kind, "20 GB behind a header", lambda folder: _made(folder / "model.onnx", partial(_sparse, DIGITS)))
    yield Case(kind, "20 GB of .param", lambda folder: _made(folder / "m.param", partial(_sparse, b"7767517\n1 1\n")))


def _made(path: Path, make: object) -> Path:
    assert callable(make)
    make(path)
    return path


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def _sparse(head: bytes, path: Path) -> None:
    with path.open("wb") as made:
        made.write(head)
        made.truncate(20 * 10**9)


def cuts() -> Iterator[Case]:
    """The first bytes of a model, for many lengths."""
    for name, (data, count, _) in BASES.items():
        for i in range(1, count + 1):
            length = len(data) * i // (count + 1)
            # what is cut between two fields is a smaller model, which may be sound
            yield file("cut", f"{name}, {length} of {len(data)} bytes", data[:length])


def flips() -> Iterator[Case]:
    """Models with one, three or nine bits changed, mostly where the structure is."""
    for name, (data, _, count) in BASES.items():
        chance = random.Random(name)
        for i in range(count):
            broken = bytearray(data)
            for _ in range(chance.choice((1, 3, 9))):
                near = chance.randrange(min(700, len(data)))
                place = near if chance.random() < 0.4 else len(data) - 1 - near
                place = chance.randrange(len(data)) if chance.random() < 0.2 else place
                broken[place] ^= 1 << chance.randrange(8)
            yield file("flipped bits", f"{name} {i}", bytes(broken), statuses=HARMLESS_TOO)


def external() -> Iterator[Case]:
    """Weights in another file, which is not there, or not theirs, or not in the folder."""
    places: dict[str, dict[str, str]] = {
        "absolute": {"location": "/etc/passwd"},
        "climbing": {"location": "../secret.bin"},
        "climbing inside": {"location": "sub/../../secret.bin"},
        "a link out": {"location": "link.bin"},
        "a folder link out": {"location": "up/secret.bin"},
        "missing": {"location": "gone.bin"},
        "no location": {"offset": "0"},
        "empty location": {"location": ""},
        "a folder": {"location": "sub"},
        "the folder itself": {"location": "."},
        "a pipe": {"location": "pipe"},
        "a device": {"location": "zero"},
        "too short": {"location": "short.bin"},
        "offset behind the end": {"location": "data.bin", "offset": "4096"},
        "offset of 2^64": {"location": "data.bin", "offset": str(2**64)},
        "negative offset": {"location": "data.bin", "offset": "-8"},
        "negative length": {"location": "data.bin", "length": "-48"},
        "length too long": {"location": "data.bin", "length": str(10**15)},
        "length too short": {"location": "data.bin", "length": "4"},
        "offset no number": {"location": "data.bin", "offset": "eight"},
        "backslashes": {"location": "..\\secret.bin"},
        "a zero byte": {"location": "data\0.bin"},
        "a name of 5,000 letters": {"location": "d" * 5000},
    }
    for name, entries in places.items():
        yield Case("external data", name, partial(_external, entries))


def _external(entries: dict[str, str], folder: Path) -> Path:
    home = folder / "model"
    (home / "sub").mkdir(parents=True)
    (folder / "secret.bin").write_bytes(bytes(48))
    (home / "data.bin").write_bytes(bytes(48))
    (home / "short.bin").write_bytes(bytes(40))
    (home / "link.bin").symlink_to("../secret.bin")
    (home / "up").symlink_to("..")
    (home / "zero").symlink_to("/dev/zero")
    os.mkfifo(home / "pipe")
    model = weighted()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    path = home / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path
