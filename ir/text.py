"""The text form of graphs: what dumps, tests and bug reports show. ``ir.parse`` reads it back.

::

    graph "main" {
      %x = input : f32[1,3,8,8]
      %w = const base64"AACAPw==" : f32[1]
      %y = LeakyRelu(alpha=0.1) %x : f32[1,3,8,8] @ "model.onnx" "node 'act'"
      return "y" = %y
    }

An attribute at its default is not printed. Constants of up to 16 elements are printed as numbers, longer ones as
base64 of their little-endian bytes (``constants="full"``) or elided as their size and hash (``"short"``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from .graph import Graph, Node, Value
from .op import Op
from .types import Array, DType, TensorType

INLINE = 16
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./:\-]+")

Constants = Literal["short", "full"]


def format_graph(graph: Graph, *, constants: Constants = "short", indent: int = 0) -> str:
    """The text of ``graph``; with ``constants="full"`` it can be parsed back without loss."""
    return "\n".join(_lines(graph, constants, indent))


def format_node(node: Node, *, constants: Constants = "short", indent: int = 0) -> str:
    """The text of one node."""
    left = ", ".join(format_name(v) for v in node.results)
    operands = ", ".join("_" if v is None else format_name(v) for v in node.operands)
    types = ", ".join(format_type(v.type) for v in node.results)
    origin = f" @ {json.dumps(node.origin.file)} {json.dumps(node.origin.place)}" if str(node.origin) else ""
    call = format_op(node.op, constants=constants, indent=indent)
    return f"{left} = {call}{' ' if operands else ''}{operands} : {types}{origin}"


def format_op(op: Op, *, constants: Constants = "short", indent: int = 0) -> str:
    """An operator with the attributes that differ from their defaults: ``Conv(strides=(2, 2))``."""
    parts = []
    for name in op.attributes():
        value = getattr(op, name)
        if value != op.default(name):
            parts.append(f"{name}={_attribute(value, constants, indent)}")
    return f"{type(op).__name__}({', '.join(parts)})"


def format_name(value: Value) -> str:
    """``%name``, quoted where it holds other characters than letters, digits and ``_./:-``."""
    return "%" + (value.name if _PLAIN_NAME.fullmatch(value.name) else json.dumps(value.name))


def format_type(type: TensorType) -> str:
    """``f32[1,3,H]``; a symbol that is no plain word is quoted."""
    dims = (str(d) if isinstance(d, int) or d.name.isidentifier() else json.dumps(d.name) for d in type.shape)
    return f"{type.dtype.value}[{','.join(dims)}]"


def _lines(graph: Graph, constants: Constants, indent: int) -> Iterator[str]:
    pad = " " * indent
    yield f"graph {json.dumps(graph.name)} {{"
    for value in graph.inputs:
        yield f"{pad}  {format_name(value)} = input : {format_type(value.type)}"
    for value in graph.constants:
        yield f"{pad}  {format_name(value)} = const {_content(value.constant, constants)} : {format_type(value.type)}"
    for node in graph.nodes:
        yield f"{pad}  {format_node(node, constants=constants, indent=indent + 2)}"
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        yield f"{pad}  return {json.dumps(name)} = {format_name(value)}"
    yield f"{pad}}}"


def _attribute(value: Any, constants: Constants, indent: int) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, DType):
        return value.value
    if isinstance(value, Op):
        return format_op(value)
    if isinstance(value, Graph):
        return format_graph(value, constants=constants, indent=indent)
    if isinstance(value, tuple):
        return f"({', '.join(_attribute(v, constants, indent) for v in value)})"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _content(array: Array, constants: Constants) -> str:
    if array.size <= INLINE:
        return "[" + ", ".join(_number(item) for item in array.flat) + "]"
    if constants == "full":
        return f'base64"{base64.b64encode(_little_endian(array)).decode()}"'
    digest = hashlib.sha256(_little_endian(array)).hexdigest()[:12]
    return f'elided"{array.nbytes} bytes {digest}"'


def _number(item: Any) -> str:
    plain = item.item() if isinstance(item, np.generic) else item
    return str(plain).lower() if isinstance(plain, bool) else repr(plain)


def _little_endian(array: Array) -> bytes:
    data = np.ascontiguousarray(array)
    return data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
