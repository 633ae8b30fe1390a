"""Which reader a file belongs to: decided by its content, then by its name."""

from __future__ import annotations

import importlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mconv.ir import Graph, Problem, Shape
from mconv.ir.errors import UnreadableError, UsageError
from mconv.ir.record import Record

if TYPE_CHECKING:
    import onnx

HEAD = 4096
"""Bytes of a file that are looked at to tell its format."""


class Format(Record):
    """One format: how to recognise it from the first bytes and the path, and how to load it.

    ``channels_last``: its spatial operators have their channels last; the reader puts transposes around them.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    load: Callable[..., Graph]
    channels_last: bool = False


def load(
    source: str | Path | onnx.ModelProto,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    simplify: bool = False,
) -> Graph:
    """The graph of the model at a path, or of an ``onnx.ModelProto``.

    ``input_shapes`` gives inputs a shape, ``dims`` gives symbolic dimensions a size; ``simplify`` runs
    onnx-simplifier first (ONNX only).  Raises UsageError, UnreadableError or UnsupportedError.
    """
    options: dict[str, Any] = {"input_shapes": input_shapes or {}, "dims": dims or {}}
    if not isinstance(source, str | Path):
        return _load_onnx(source, simplify=simplify, **options)
    path = Path(source)
    format = format_of(path)
    if format.name == "onnx":
        return format.load(path, simplify=simplify, **options)
    if simplify:
        raise UsageError(Problem("MC114", f"--simplify is for ONNX models; {path.name} is of format {format.name}"))
    return format.load(path, **options)


def format_of(path: Path) -> Format:
    """The format of a file; UsageError where it is none, UnreadableError where its format is not one that is read."""
    try:
        mode = path.stat().st_mode  # before opening: a pipe would wait for a writer
        if stat.S_ISDIR(mode):
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
    known = ", ".join(format.suffixes[0] for format in FORMATS)
    what = f"{path.name} is {_described(head)}"
    raise UnreadableError(Problem("MC202", what, hint=f"a model that can be read: {known}"))


def files_of(path: Path) -> dict[str, str]:
    """The files that make up the model at ``path``, by suffix, as the format's own runtime is given them."""
    format = format_of(path)
    first = format.suffixes[0]
    siblings = {suffix: str(path.with_suffix(suffix)) for suffix in format.suffixes[1:]}
    return {first: str(path), **siblings}


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint or Keras file, perhaps); export it to ONNX"),
    (b"\x89HDF", "an HDF5 file (Keras .h5, perhaps)"),
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


def _load_onnx(source: Any, **options: Any) -> Graph:
    return _graph("onnx", source, **options)


def _load_ncnn(path: Path, **options: Any) -> Graph:
    return _graph("ncnn", path, **{name: value for name, value in options.items() if value})


def _load_tflite(path: Path, **options: Any) -> Graph:
    return _graph("tflite", path, **options)


def _graph(name: str, source: Any, **options: Any) -> Graph:
    """What the reader of format ``name`` makes of the source; readers are imported when first used."""
    reader = importlib.import_module(f"mconv.frontends.{name}.reader")
    graph: Graph = reader.read(source, **options)
    return graph


FORMATS: tuple[Format, ...] = (
    Format("ncnn", (".param", ".bin"), _sniff_ncnn, _load_ncnn),
    Format("tflite", (".tflite",), _sniff_tflite, _load_tflite, channels_last=True),
    Format("onnx", (".onnx",), _sniff_onnx, _load_onnx),
)
"""The formats that are read, in the order in which they are tried."""
