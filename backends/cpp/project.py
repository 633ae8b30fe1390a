"""The files of the folder that is written, beside the network itself: the interface, the builds, the self-test."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from mconv.ir import DType, Graph, TensorType
from mconv.ir.types import Array

from .blob import Blob
from .net import Net
from .view import View

FOLDER = Path(__file__).parent / "project"
SAMPLES = 256
"""Elements of each output that the self-test looks at."""
TOLERANCE = 1e-3
"""How far they may be off, relative to the output's largest magnitude (other processors round differently)."""
TYPES = (
    DType.BOOL, DType.I8, DType.I16, DType.I32, DType.I64, DType.U8, DType.U16, DType.U32, DType.U64, DType.F16,
    DType.BF16, DType.F32, DType.F64,
)  # fmt: skip
"""Element types in the order of the header's enumeration."""
KEYWORDS = frozenset((
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch",
    "char", "char16_t", "char32_t", "class", "compl", "const", "const_cast", "constexpr", "continue",
    "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export",
    "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "model", "mutable",
    "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "register", "reinterpret_cast", "return", "short", "signed", "sizeof", "static",
    "static_assert", "static_cast", "std", "struct", "switch", "template", "this", "thread_local", "throw",
    "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void", "volatile",
    "wchar_t", "while", "xor", "xor_eq",
))  # fmt: skip
"""What no namespace may be called: C++'s own words, and two names that are taken."""


@cache
def template(name: str) -> str:
    """A file of ``project/``."""
    return (FOLDER / name).read_text(encoding="utf-8")


def filled(name: str, words: Mapping[str, object]) -> str:
    """A file of ``project/`` with its @WORDS@ filled in."""
    return re.sub(r"@([A-Z_]+)@", lambda m: str(words[m[1]]), template(name))


def identifier(name: str) -> str:
    """A C identifier like ``name``: what every exported function begins with."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not plain or plain[0].isdigit() or plain.startswith("_"):
        plain = f"net{plain}" if plain.startswith("_") else f"net_{plain}"
    return f"{plain}_net" if plain.lower() in KEYWORDS else plain


def tensor_initializer(type: TensorType, capacity: int | None = None) -> str:
    """C for the description of an input or an output; of one whose sizes only running tells with its most elements."""
    dims = ", ".join(str(d) if isinstance(d, int) else "-1" for d in type.shape) or "0"
    nbytes = type.nbytes if capacity is None else capacity * type.dtype.size
    return f"{{{TYPES.index(type.dtype)}, {type.rank}, {{{dims}}}, {nbytes}}},"


def signature(graph: Graph, *, debug_names: bool) -> str:
    """Lines of the header's comment: what each input and output is."""
    lines = []
    for what, names, values in (
        ("input", [v.name for v in graph.inputs], graph.inputs),
        ("output", graph.output_names, graph.outputs),
    ):
        for index, (name, value) in enumerate(zip(names, values, strict=True)):
            shown = f" '{name}'".replace("*/", "* /") if debug_names else ""
            lines.append(f" *   {what} {index}{shown}: {value.type}\n")
    return "".join(lines) + " *"


# The self-test --------------------------------------------------------------------------------------------------


def golden_feeds(graph: Graph, integers: int) -> dict[str, Array]:
    """The inputs that the self-test makes for itself (``fill`` in api.cpp): they depend on the place alone.

    Floats are of [-1, 1) in steps of 2^-8, integers below ``integers``, truth values coin tosses.
    """
    return {v.name: _golden_feed(v.type, index, integers) for index, v in enumerate(graph.inputs)}


def _golden_feed(type: TensorType, index: int, integers: int) -> Array:
    places = np.arange(math.prod(type.static_shape), dtype=np.uint32)
    h = places * np.uint32(2654435761) + np.uint32((index * 40503 + 1) & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    h ^= h >> np.uint32(16)
    if type.dtype.is_float:
        numbers: Array = ((h >> np.uint32(23)).astype(np.int64) - 256) / 256
    else:
        numbers = h & np.uint32(1) if type.dtype is DType.BOOL else h % np.uint32(integers)
    return numbers.astype(type.dtype.numpy).reshape(type.static_shape)


def golden_samples(output: Array) -> tuple[Array, Array, Array]:
    """Places (in row-major order), values and the largest magnitude of an output's samples."""
    flat = output.reshape(-1)
    count = min(SAMPLES, flat.size)
    places = (
        np.unique(np.linspace(0, max(flat.size - 1, 0), count).astype(np.int64)) if count else np.zeros(0, np.int64)
    )
    values = flat[places].astype(np.float64)
    numbers = np.abs(flat.astype(np.float64))
    finite = numbers[np.isfinite(numbers)]
    scale = float(finite.max()) if finite.size else 0.0
    return places, values, np.array([scale or 1.0])


def golden_initializer(views: Sequence[View], count: int) -> str:
    """C for where the samples of an output are in the weights."""
    offsets = ", ".join(str(v.buffer.offset) for v in views)
    return f"{{{count}, {offsets}}},"


def map_json(net: Net, name: str, descriptions: Sequence[str], blob: Blob) -> str:
    """Names and numbers: what function computes what. It stays with the developer."""
    graph = net.graph
    return json.dumps(
        {
            "model": name,
            "inputs": [v.name for v in graph.inputs],
            "outputs": list(graph.output_names),
            **({"build": blob.seal.build.as_json(blob.gaps)} if blob.seal else {}),
            "steps": {f"step{number}": text for number, text in enumerate(descriptions)},
        },
        indent=1,
    )
