"""Which reader a file belongs to: decided by its content, then by its name."""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mconv.ir import Graph, Problem
from mconv.ir.errors import UnreadableError, UsageError
from mconv.ir.record import Record

from .options import FLAGS, Reading

HEAD = 4096
"""Bytes of a file that are looked at to tell its format."""


class Format(Record):
    """One format: how to recognise it from the first bytes and the path, and how its reader is called.

    ``reads`` says in a few words what its files are. ``takes`` names the options of `Reading`, beside shapes and sizes,
    that its reader takes. ``channels_last``: its spatial operators have their channels last; the reader puts transposes
    around them. ``folders``: whether a folder is such a model. ``owns``: whether an object of Python's is.
    """

    name: str
    reads: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    takes: frozenset[str] = frozenset()
    channels_last: bool = False
    folders: Callable[[Path], bool] = lambda path: False
    owns: Callable[[type], bool] = lambda kind: False

    def load(self, source: Any, reading: Reading) -> Graph:
        """The graph of a source of this format; UsageError (MC114) for an option that it does not take."""
        given = reading.given()
        for name in sorted(set(given) - self.takes):
            takers = " or ".join(f.name for f in FORMATS if name in f.takes)
            what = f"{FLAGS[name]} is for models of format {takers}; {_name(source)} is of format {self.name}"
            raise UsageError(Problem("MC114", what))
        shapes = {"input_shapes": reading.input_shapes, "dims": reading.dims}
        reader = importlib.import_module(f"mconv.frontends.{self.name}.reader")  # imported when first used
        graph: Graph = reader.read(source, **given, **{name: value for name, value in shapes.items() if value})
        return graph


def load(source: Any, reading: Reading | None = None, **options: Any) -> Graph:
    """The graph of the model at a path, or of an object: an ``onnx.ModelProto``, a Keras model, a ``tf.function``.

    ``options`` are the fields of `Reading`. Raises UsageError, UnreadableError or UnsupportedError.
    """
    source = Path(source) if isinstance(source, str | os.PathLike) else source
    return format_of(source).load(source, reading or Reading(**options))


def format_of(source: Any) -> Format:
    """The format of a model at a path, or of an object.

    UsageError where there is no such model, UnreadableError where its format is not one that is read.
    """
    if isinstance(source, str | os.PathLike):
        return _format_at(Path(source))
    for format in FORMATS:
        if format.owns(type(source)):
            return format
    kind = f"{type(source).__module__}.{type(source).__qualname__}"
    hint = "a path, an onnx.ModelProto, a Keras model, a tf.function or a tf.Module"
    raise UsageError(Problem("MC110", f"an object of {kind} is no model", hint=hint))


def _format_at(path: Path) -> Format:
    try:
        mode = path.stat().st_mode  # before opening: a pipe would wait for a writer
        if stat.S_ISDIR(mode):
            for format in FORMATS:
                if format.folders(path):
                    return format
            raise UsageError(Problem("MC110", f"{path} is a folder, not a model", hint="the path of the file in it"))
        if not stat.S_ISREG(mode):
            raise UsageError(Problem("MC110", f"{path} is a pipe, a socket or a device", hint="the path of a file"))
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(Problem("MC110", f"{path} cannot be opened: {reason}", hint="checking the path")) from None
    if not head:
        raise UnreadableError(Problem("MC200", f"{path.name} is empty", hint="downloading or exporting it again"))
    if head.startswith(b"version https://git-lfs"):
        hint = "git lfs pull, which fetches the file itself"
        raise UnreadableError(Problem("MC201", f"{path.name} is a git LFS pointer, not the model", hint=hint))
    for format in FORMATS:
        if format.sniff(head, path):
            return format
    known = ", ".join(suffix for format in FORMATS for suffix in format.suffixes[:1])
    what = f"{path.name} is {_described(head)}"
    raise UnreadableError(Problem("MC202", what, hint=f"a model that can be read: {known}"))


def files_of(path: Path, reading: Reading) -> dict[str, str]:
    """The files that make up the model at ``path``, by suffix, as the format's own runtime is given them."""
    format = format_of(path)
    if len(format.suffixes) == 2:  # a net in two files, either of which stands for both
        net, weights = (path.with_suffix(suffix) for suffix in format.suffixes)
        net = path if path.suffix != format.suffixes[1] else net
        return {format.suffixes[0]: str(net), format.suffixes[1]: str(reading.weights or weights)}
    if path.name == SAVED_MODEL:
        path = path.parent  # the file in it stands for the folder
    return {"" if path.is_dir() else format.suffixes[0]: str(path)}


def _name(source: Any) -> str:
    return Path(source).name if isinstance(source, str | os.PathLike) else f"the {type(source).__name__}"


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "a zip archive that is no Keras file (a PyTorch checkpoint, perhaps); export it to ONNX"),
    (b"\x80\x02", "a Python pickle, which can run code and is never opened; export it to ONNX"),
    (b"\x7fELF", "a program"),
    (b"<", "a web page or XML, not a model"),
)


def _described(head: bytes) -> str:
    """What a file that no reader takes seems to be."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "a text file" if printable > 0.95 * len(head) else "of a format that is not known"


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte in b"\t\n\r" or byte >= 32 for byte in head) == len(head)


_NCNN_BINARY = (7767517).to_bytes(4, "little")
"""How a binary .param begins; the reader says what to do with one."""


def _sniff_ncnn(head: bytes, path: Path) -> bool:
    return head.lstrip().startswith((b"7767517", _NCNN_BINARY)) or (path.suffix == ".param" and _is_text(head))


def _sniff_tflite(head: bytes, path: Path) -> bool:
    return head[4:8] == b"TFL3"


def _sniff_onnx(head: bytes, path: Path) -> bool:
    """A ModelProto begins, in every writer that is known, with ir_version, a small number in field 1."""
    if any(head.startswith(magic) for magic, _ in _MAGIC):
        return False
    begins = len(head) > 2 and head[0] == 0x08 and head[1] < 0x20
    return begins or (path.suffix == ".onnx" and not (_is_text(head) and len(head) > 16))


_FIELD = re.compile(rb"\s*(#[^\n]*\n\s*)*(name|layers?|input(_dim|_shape)?|force_backward|state)\s*[:{]")
"""How a .prototxt begins."""


def _sniff_caffe(head: bytes, path: Path) -> bool:
    if _is_text(head):
        return _FIELD.match(head) is not None or path.suffix == ".prototxt"
    return path.suffix == ".caffemodel" or _begins_with_layers(head)


def _begins_with_layers(head: bytes) -> bool:
    """Whether a NetParameter's name (field 1) is followed by a layer of either kind (field 100 or 2)."""
    name, rest = _split(head)
    named = head.startswith(b"\x0a") and all(byte >= 32 for byte in name)
    return named and rest.startswith((b"\xa2\x06", b"\x12"))


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The content of protobuf's field that ``data`` begins with, a tag of one byte and a length; and what follows."""
    size, shift = 0, 0
    for place, byte in enumerate(data[1:10], start=2):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return data[place : place + size], data[place + size :]
    return b"", b""


SAVED_MODEL = "saved_model.pb"
"""The file of a SavedModel's folder that holds its graphs."""


def _sniff_tensorflow(head: bytes, path: Path) -> bool:
    """A SavedModel begins with its schema version (field 1) and a MetaGraphDef (field 2), which is no text as ONNX's
    field 2 is; a GraphDef with a NodeDef (field 1) that holds a name (field 1) and an operator (field 2).
    """
    if head.startswith(b"\x08\x01\x12"):
        return _split(head[2:])[0].startswith(b"\x0a")
    node = _split(head)[0]
    if head.startswith(b"\x0a") and node.startswith(b"\x0a"):
        return _split(node)[1].startswith(b"\x12")
    return path.suffix == ".pb" and not (_is_text(head) or head.startswith(b"\x08"))


def _is_saved_model(path: Path) -> bool:
    return (path / SAVED_MODEL).is_file()


def _sniff_keras(head: bytes, path: Path) -> bool:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "metadata.json"} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return path.suffix == ".keras"


def _of(*packages: str, names: tuple[str, ...]) -> Callable[[type], bool]:
    """Whether a class, or one that it is derived from, has such a name in such a package; nothing is imported."""

    def owns(kind: type) -> bool:
        return any(base.__name__ in names and base.__module__.startswith(packages) for base in kind.__mro__)

    return owns


FORMATS: tuple[Format, ...] = (
    Format("ncnn", "ncnn .param and .bin", (".param", ".bin"), _sniff_ncnn),
    Format("tflite", "TFLite .tflite", (".tflite",), _sniff_tflite, channels_last=True),
    Format(
        "keras", "Keras .keras and .h5", (".keras",), _sniff_keras, channels_last=True,
        owns=_of("keras.", "tf_keras.", "tensorflow.python.keras.", names=("Model",)),
    ),
    Format(
        "tensorflow", "TensorFlow SavedModel and frozen .pb", (".pb",), _sniff_tensorflow,
        takes=frozenset({"signature", "inputs", "outputs"}), channels_last=True, folders=_is_saved_model,
        owns=_of("tensorflow.", names=("Function", "ConcreteFunction", "Module")),
    ),
    Format(
        "caffe", "Caffe .prototxt and .caffemodel", (".prototxt", ".caffemodel"), _sniff_caffe,
        takes=frozenset({"weights", "random_weights"}),
    ),
    Format(
        "onnx", "ONNX .onnx", (".onnx",), _sniff_onnx, takes=frozenset({"simplify"}),
        owns=_of("onnx", names=("ModelProto",)),
    ),
)  # fmt: skip
"""The formats that are read, in the order in which they are tried."""
