"""Keras files: archives and HDF5 files that are broken or reach outside, and configurations that make no sense."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .case import Case, file

EYE = np.eye(4, dtype=np.float32)


def keras_files() -> Iterator[Case]:
    """All cases; none where h5py, which makes them and reads them, is not installed."""
    if find_spec("h5py") is None:
        return
    for name, make in _archives().items():
        yield Case("Keras archive", name, partial(_made, "model.keras", make))
    for name, change in _hdf5().items():
        yield Case("Keras HDF5", name, partial(_changed, change))
    for name, config in _configurations().items():
        yield Case("Keras configuration", f"{name} in .h5", partial(_made, "model.h5", partial(_h5, config)))
        yield Case("Keras configuration", f"{name} in .keras", partial(_made, "model.keras", partial(_archive, config)))
    yield from _damaged()


def _made(name: str, make: Callable[[], bytes], folder: Path) -> Path:
    path = folder / name
    path.write_bytes(make())
    return path


# Sound files, which ncnn refuses in the end: it has no tensors of six axes --------------------------------------


def _layer(cls: str, name: str, *inbound: Any, **config: Any) -> dict[str, Any]:
    calls = [[[each, 0, 0] if isinstance(each, str) else each for each in inbound]] if inbound else []
    return {"class_name": cls, "name": name, "config": {"name": name, **config}, "inbound_nodes": calls}


def _dense(name: str = "d", *inbound: Any, **config: Any) -> dict[str, Any]:
    return _layer("Dense", name, *(inbound or ("x",)), **{"units": 4, "use_bias": False, **config})


INPUT = _layer("InputLayer", "x", batch_input_shape=[None, 4], dtype="float32")
TAIL = [_layer("Reshape", "r", "d", target_shape=[2, 2, 1, 1, 1]), _layer("Permute", "p", "r", dims=[5, 3, 1, 4, 2])]


def _model(*layers: Any, end: str = "p", inputs: Any = None, outputs: Any = None) -> dict[str, Any]:
    config = {"name": "m", "layers": [INPUT, *(layers or (_dense(), *TAIL))],
              "input_layers": inputs or [["x", 0, 0]], "output_layers": outputs or [[end, 0, 0]]}  # fmt: skip
    return {"class_name": "Functional", "config": config}


@cache
def _sound_h5() -> bytes:
    return _h5(_model())


def _h5(config: Any, weights: Any = None) -> bytes:
    import h5py

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        text = config if isinstance(config, str) else json.dumps(config)
        file.attrs["model_config"] = text.encode()
        file.attrs["keras_version"] = b"2.9.0"
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"d"]
        group = root.create_group("d")
        group.attrs["weight_names"] = [b"k"]
        group["k"] = EYE if weights is None else weights
    return made.getvalue()


def _weights() -> bytes:
    import h5py

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_group("layers/dense/vars")["0"] = EYE
    return made.getvalue()


def _archive(config: Any, **members: Any) -> bytes:
    """A .keras file; ``members`` replace some, None leaves one out. ``how`` packs them."""
    how = members.pop("how", zipfile.ZIP_STORED)
    text = config if isinstance(config, str | bytes) else json.dumps(config)
    content = {"config.json": text, "metadata.json": '{"keras_version": "2.13.0"}', "model.weights.h5": _weights()}
    content |= {name.replace("__", "."): data for name, data in members.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return made.getvalue()


# Archives ----------------------------------------------------------------------------------------------------


def _archives() -> dict[str, Callable[[], bytes]]:
    deflated = zipfile.ZIP_DEFLATED
    return {
        "a member that climbs": partial(_archive, _model(), **{"../evil.py": b"x"}),
        "an absolute member": partial(_archive, _model(), **{"/tmp/evil.py": b"x"}),
        "a member with backslashes": partial(_archive, _model(), **{"..\\evil.py": b"x"}),
        "a bomb of a configuration": lambda: _archive(b" " * (1 << 28), how=deflated),
        "a bomb of weights": lambda: _archive(_model(), model__weights__h5=bytes(1 << 29), how=deflated),
        "a configuration of brackets": lambda: _archive("[" * (1 << 20), how=deflated),
        "no configuration": lambda: _archive(_model(), config__json=None),
        "no weights": lambda: _archive(_model(), model__weights__h5=None),
        "weights of zeros": lambda: _archive(_model(), model__weights__h5=bytes(4096)),
        "weights of noise": lambda: _archive(
            _model(), model__weights__h5=b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 16
        ),
        "weights cut": lambda: _archive(_model(), model__weights__h5=_weights()[:1000]),
        "weights packed by bzip2": lambda: _archive(_model(), how=zipfile.ZIP_BZIP2),
        "metadata that is a list": lambda: _archive(_model(), metadata__json="[1, 2]"),
        "metadata that is noise": lambda: _archive(_model(), metadata__json=b"\xff\xfe{"),
        "ten thousand members": lambda: _archive(_model(), **{f"m{i}": b"" for i in range(11_000)}),
        "a size that lies": lambda: _lying(_archive(_model(), how=deflated)),
        "stored beyond the end": lambda: _lying(_archive(_model())),
        "only an end of directory": lambda: b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + bytes(18),
        "noise behind the magic": lambda: b"PK\x03\x04" + random.Random(7).randbytes(3000),
    }


def _lying(data: bytes) -> bytes:
    """The archive with the sizes of its members, in the central directory, made enormous."""
    broken, place = bytearray(data), 0
    while (place := broken.find(b"PK\x01\x02", place)) >= 0:
        broken[place + 20 : place + 28] = b"\xf0\xff\xff\x7f" * 2
        place += 4
    return bytes(broken)


# HDF5 --------------------------------------------------------------------------------------------------------


def _changed(change: Callable[[Any, Path], None], folder: Path) -> Path:
    import h5py

    path = folder / "model.h5"
    path.write_bytes(_sound_h5())
    with h5py.File(path, "a") as file:
        change(file, folder)
    return path


def _replaced(make: Callable[[Any, Any, Path], None]) -> Callable[[Any, Path], None]:
    """A change of the one weight."""

    def change(file: Any, folder: Path) -> None:
        import h5py

        group = file["model_weights/d"]
        del group["k"]
        make(h5py, group, folder)

    return change


def _hdf5() -> dict[str, Callable[[Any, Path], None]]:
    def link(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = h5py.ExternalLink("/etc/passwd", "/k")

    def soft(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = h5py.SoftLink("/model_weights/d/k")

    def outside(h5py: Any, group: Any, folder: Path) -> None:
        group.create_dataset("k", (4, 4), "f4", external=[("/etc/passwd", 0, 64)])

    def virtual(h5py: Any, group: Any, folder: Path) -> None:
        layout = h5py.VirtualLayout((4, 4), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "k", (4, 4))
        group.create_virtual_dataset("k", layout)

    def huge(h5py: Any, group: Any, folder: Path) -> None:
        group.create_dataset("k", (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10), compression="gzip")

    def empty(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = h5py.Empty("f4")

    def text(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = "weights"

    def folder_(h5py: Any, group: Any, folder: Path) -> None:
        group.create_group("k")

    def unallocated(h5py: Any, group: Any, folder: Path) -> None:
        group.create_dataset("k", (1 << 20, 1 << 10), "f4")

    def compound(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = np.zeros((4, 4), [("a", "f4"), ("b", "i4")])

    def other_shape(h5py: Any, group: Any, folder: Path) -> None:
        group["k"] = np.zeros((5, 4), np.float32)

    def a_loop(file: Any, folder: Path) -> None:
        file["model_weights/d/again"] = file["model_weights"]
        file["model_weights/d"].attrs["weight_names"] = [b"again/" * 600 + b"d/k"]

    def names(file: Any, folder: Path) -> None:
        file["model_weights"].attrs["layer_names"] = np.arange(3)

    def many_names(file: Any, folder: Path) -> None:
        file["model_weights/d"].attrs["weight_names"] = [b"k"] * 3000

    def climbing(file: Any, folder: Path) -> None:
        file["model_weights/d"].attrs["weight_names"] = [b"../../../etc/passwd"]

    def number(file: Any, folder: Path) -> None:
        file.attrs["model_config"] = 5

    def no_config(file: Any, folder: Path) -> None:
        del file.attrs["model_config"]

    found = {
        "an external link": link, "a soft link to itself": soft, "storage in /etc/passwd": outside,
        "a virtual dataset": virtual, "4 TB in chunks": huge, "a weight that is empty": empty,
        "a weight that is a text": text, "a weight that is a group": folder_, "a weight never written": unallocated,
        "a weight of records": compound, "a weight of another shape": other_shape,
    }  # fmt: skip
    whole = {
        "groups in a circle": a_loop, "names that are numbers": names, "3,000 names of one weight": many_names,
        "a name that climbs": climbing, "a configuration that is a number": number, "weights alone": no_config,
    }  # fmt: skip
    return {**{name: _replaced(make) for name, make in found.items()}, **whole}


# Configurations ----------------------------------------------------------------------------------------------


def _configurations() -> dict[str, Any]:
    chain = [_dense(), *(_layer("Dropout", f"o{i}", f"o{i - 1}" if i else "d", rate=0.1) for i in range(30_000))]
    nested: Any = _model(_dense(), end="d")
    for _ in range(100):
        nested = _model({**nested, "name": "d", "inbound_nodes": [[["x", 0, 0]]]}, end="d")
    image = _layer("InputLayer", "x", batch_input_shape=[None, 8, 8, 4], dtype="float32")
    wide = {
        key: _model(_layer(cls, "d", "x", **config), end="d")
        for key, cls, config in (
            ("a Reshape to 10^12", "Reshape", {"target_shape": [10**6, 10**6]}),
            ("a RepeatVector of 10^12", "RepeatVector", {"n": 10**12}),
            ("a RepeatVector of 2^31", "RepeatVector", {"n": 2**31 - 1}),
            ("an encoding of 10^12", "CategoryEncoding", {"num_tokens": 10**12}),
            ("an encoding of 2^30", "CategoryEncoding", {"num_tokens": 2**30, "output_mode": "one_hot"}),
            ("a layer that nobody knows", "Enigma", {}),
            ("a Lambda", "Lambda", {"function": ["4wAAAA==", None, None], "function_type": "lambda"}),
            ("an axis of 10^9", "Concatenate", {"axis": 10**9}),
            ("an axis that is a text", "BatchNormalization", {"axis": "last"}),
            ("units below zero", "Dense", {"units": -4, "use_bias": False}),
            ("units of 10^400", "Dense", {"units": 10**400, "use_bias": False}),
            ("a rate of NaN", "LeakyReLU", {"alpha": float("nan")}),
            ("an activation that is a list", "Activation", {"activation": ["relu"] * 3}),
            ("a policy of types that is a list", "Dense", {"units": 4, "use_bias": False, "dtype": ["float32"]}),
        )
    }
    images = {
        key: {"class_name": "Sequential", "config": {"name": "s", "layers": [image, _layer(cls, "d", **config)]}}
        for key, cls, config in (
            ("an UpSampling2D of 10^6", "UpSampling2D", {"size": [10**6, 10**6]}),
            ("a ZeroPadding2D of 10^9", "ZeroPadding2D", {"padding": 10**9}),
            ("a pool of 10^9", "MaxPooling2D", {"pool_size": [10**9, 10**9], "padding": "same"}),
            ("a pool of zero", "AveragePooling2D", {"pool_size": 0}),
            ("a Resizing to 10^6", "Resizing", {"height": 10**6, "width": 10**6}),
            ("a Cropping2D of all", "Cropping2D", {"cropping": 9}),
            ("a Conv2D of stride 0", "Conv2D", {"filters": 4, "kernel_size": 1, "strides": 0, "use_bias": False}),
        )
    }
    return {
        **wide, **images,
        "thirty thousand layers without weights": _model(*chain[1:], end="o29999"),
        "a hundred models in one another": nested,
        "a layer that needs itself": _model(_dense("d", "d"), end="d"),
        "two layers of one name": _model(_dense(), _dense(), end="d"),
        "an output that is not there": _model(end="nobody"),
        "an output of a million calls": _model(outputs=[["d", 10**6, 0]]),
        "a result below zero": _model(outputs=[["d", 0, -1]]),
        "inputs that are no inputs": _model(inputs=[["d", 0, 0]]),
        "an input of 10^12": _model(_dense(), end="d") | {"config": {
            **_model(_dense(), end="d")["config"],
            "layers": [_layer("InputLayer", "x", batch_input_shape=[10**6, 10**6], dtype="float32"), _dense()]}},
        "an input of 60 axes": {"class_name": "Sequential", "config": {"name": "s", "layers": [
            _layer("InputLayer", "x", batch_input_shape=[1] * 60, dtype="float32"), _layer("Flatten", "d")]}},
        "no layers": {"class_name": "Sequential", "config": {"name": "s", "layers": []}},
        "layers that are numbers": {"class_name": "Functional", "config": {"name": "s", "layers": [1, 2, 3]}},
        "an empty text": "",
        "a number of 5,000 digits": '{"class_name": ' + "9" * 5000 + "}",
        "a name of a megabyte": _model(_layer("Enigma", "n" * 1_000_000, "x"), end="n" * 1_000_000),
        "a name of control characters": _model(_layer("Enigma", "\x1b[2J\x07\r\n", "x"), end="\x1b[2J\x07\r\n"),
    }  # fmt: skip


# Damaged files -----------------------------------------------------------------------------------------------


def _damaged() -> Iterator[Case]:
    """Cuts and flips of files that ncnn refuses when all is well."""
    bases = {"model.h5": _sound_h5(), "model.keras": _archive(_model())}
    for name, data in bases.items():
        for i in range(1, 13):
            length = len(data) * i // 13
            yield file("Keras cut", f"{name}, {length} of {len(data)} bytes", data[:length], name)
        chance = random.Random(name)
        for i in range(40):
            broken = bytearray(data)
            for _ in range(chance.choice((1, 3, 9))):
                broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            yield file("Keras flipped bits", f"{name} {i}", bytes(broken), name)
