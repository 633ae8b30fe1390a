"""An ONNX file (or a ModelProto in memory) as parsed messages plus a reader for its tensors; nothing translated yet."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Iterator
from pathlib import Path

from mconv.ir import Problem
from mconv.ir.errors import MissingExtraError
from mconv.ir.record import Record

from ..wire import Grammar, WireError, cut
from .errors import RE_EXPORT, unreadable
from .package import newest_opset, onnx
from .standard_schema import NEWEST
from .tensors import TensorReader

DecodeError: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError  # has no type stubs

OLDEST_OPSET = 7
"""Before it, broadcasting was an attribute; an operator that has not changed since is read all the same."""

DEFAULT_DOMAIN = ""

# Field numbers of onnx.proto.
MODEL, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _TENSOR = range(6)
GRAMMAR = Grammar(
    {
        MODEL: {7: _GRAPH, 25: _FUNCTION},
        _GRAPH: {1: _NODE, 5: _TENSOR},
        _FUNCTION: {7: _NODE},
        _NODE: {5: _ATTRIBUTE},
        _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH},
    },
    tensor=_TENSOR,
    kind=2,  # data_type
    raw=9,  # raw_data
    packed={4: 1, 10: 11},  # float_data of FLOAT, double_data of DOUBLE
    mark=12,  # doc_string
)
"""Where an ONNX model keeps its weights."""


class Model(Record):
    """A model whose envelope has been checked: there is a graph, and its versions are ones that are known."""

    proto: onnx.ModelProto
    tensors: TensorReader
    file: str
    opsets: dict[str, int]

    @property
    def graph(self) -> onnx.GraphProto:
        """The main graph."""
        return self.proto.graph


def open_model(source: Path | onnx.ModelProto, *, simplify: bool = False) -> Model:
    """Read and check a model; ``simplify`` runs onnx-simplifier on it first."""
    if isinstance(source, Path):
        proto, tensors = _read(source)
        file = source.name
    else:
        proto, tensors, file = source, TensorReader(None, None, None), "model"
    opsets = _check(proto)
    if simplify:
        proto, tensors = _simplified(source), TensorReader(None, None, None)
        opsets = _check(proto)
    return Model(proto, tensors, file, opsets)


def _read(path: Path) -> tuple[onnx.ModelProto, TensorReader]:
    with path.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    proto = onnx.ModelProto()
    try:
        skeleton = cut(mapped, GRAMMAR, MODEL)
        proto.ParseFromString(skeleton.data)
    except (WireError, DecodeError) as error:
        hint = "downloading or exporting it again; it is cut off or damaged, or is no ONNX model at all"
        raise unreadable("MC203", f"{path.name} cannot be decoded: {error}", hint) from error
    skeleton.data = b""
    return proto, TensorReader(skeleton, mapped, path)


def _simplified(source: Path | onnx.ModelProto) -> onnx.ModelProto:
    try:
        import onnxsim
    except ImportError:
        problem = Problem("MC130", "--simplify needs onnx-simplifier", hint="pip install 'mconv[simplify]'")
        raise MissingExtraError(problem) from None
    from onnx import load

    model = load(str(source)) if isinstance(source, Path) else source
    try:
        simplified, right = onnxsim.simplify(model)
    except Exception as error:  # it raises whatever its C++ side throws
        raise unreadable("MC222", f"onnx-simplifier fails: {error}", "running without --simplify") from error
    if not right:
        raise unreadable("MC222", "onnx-simplifier's own check of its result fails", "running without --simplify")
    result: onnx.ModelProto = simplified
    return result


def _check(proto: onnx.ModelProto) -> dict[str, int]:
    """The opset version of each domain; refuses what this version of onnx cannot know."""
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output or proto.graph.input):
        raise unreadable("MC204", "there is no graph in the model", "a file that torch.onnx.export or tf2onnx wrote")
    if proto.ir_version > onnx.IR_VERSION:
        raise unreadable(
            "MC205",
            f"the model is of IR version {proto.ir_version}; this onnx package knows them up to {onnx.IR_VERSION}",
            "pip install -U onnx",
        )
    return opsets_of(proto.opset_import, "the model")


def opsets_of(imports: Iterator[onnx.OperatorSetIdProto], what: str) -> dict[str, int]:
    """Domain to version of a model's or function's imports, checked against what is known."""
    found: dict[str, int] = {}
    for entry in imports:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if found.setdefault(domain, entry.version) != entry.version:
            raise unreadable("MC207", f"{what} imports two versions of domain '{domain or 'ai.onnx'}'", RE_EXPORT)
    version = found.get(DEFAULT_DOMAIN, 0)
    if version > NEWEST and version > (newest := newest_opset()):
        raise unreadable(
            "MC206",
            f"{what} is of opset {version}; this onnx package knows them up to {newest}",
            "pip install -U onnx",
        )
    return found
