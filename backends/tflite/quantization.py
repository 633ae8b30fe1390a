"""How integers stand for real numbers: in TFLite a property of each tensor, in the IR of the operators that read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mconv.ir import Graph, Node, Value
from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.ops import Dequantize, Quantize, Quantized

from ..base import refusal_problem
from .model import Quantization

CLOSE = 1e-6
"""Relative difference up to which two scales, written as 32-bit floats by different tools, are the same."""


def quantization(scale: Value | None, zero_point: Value | None, axis: int | None) -> Quantization | None:
    """Scale and zero point as TFLite writes them; None where they are not constants."""
    if scale is None or scale.data is None or (zero_point is not None and zero_point.data is None):
        return None
    factors = tuple(float(s) for s in scale.data.reshape(-1))
    points = (0,) * len(factors) if zero_point is None else tuple(int(z) for z in zero_point.constant.reshape(-1))
    return Quantization(factors, points, axis or 0)


def same(a: Quantization | None, b: Quantization | None) -> bool:
    """True where both stand for the same real numbers."""
    if a is None or b is None:
        return a is b
    if a.zero_point != b.zero_point or (len(a.scale) > 1 and a.axis != b.axis):
        return False
    return len(a.scale) == len(b.scale) and bool(np.allclose(a.scale, b.scale, rtol=CLOSE, atol=0.0))


@dataclass(frozen=True)
class Part:
    """One operand (or the result) of a Quantized's inner operator."""

    value: Value
    quantization: Quantization | None


@dataclass(frozen=True)
class Parts:
    """A Quantized node, taken apart: the inner operator, its operands (None where absent), its result."""

    node: Node
    inner: Any
    operands: tuple[Part | None, ...]
    result: Part


def parts(node: Node) -> Parts:
    """The pieces of a Quantized node."""
    op: Any = node.op
    assert isinstance(op, Quantized)
    triples = op.triples(node.operands[2:])
    operands = tuple(
        None if stored is None else Part(stored, quantization(scale, zero, axis))
        for axis, (stored, scale, zero) in zip(op.axes, triples, strict=True)
    )
    zero_point = node.operands[1] if len(node.operands) > 1 else None
    result = Part(node.result, quantization(node.operands[0], zero_point, op.axis))
    return Parts(node, op.inner, operands, result)


def assign(graph: Graph) -> dict[Value, Quantization]:
    """Scale and zero point of every value that has them.

    Quantize, Dequantize and Quantized tell them of what they read and make; what only moves integers hands them on.
    UnsupportedError (MC342) where integers are read with another scale than they were made with.
    """
    found: dict[Value, Quantization] = {}
    problems: list[Problem] = []
    for node in graph.nodes:
        for part in _told(node):
            if part.quantization is None:
                continue
            known = found.setdefault(part.value, part.quantization)
            if not same(known, part.quantization):
                why = f"%{part.value.name} is read with another scale or zero point than it is made with"
                problems.append(refusal_problem("MC342", node, why))
    if problems:
        raise UnsupportedError(problems)
    _hand_on(graph, found)
    return found


def _told(node: Node) -> Iterator[Part]:
    op: Any = node.op
    if isinstance(op, Quantized):
        pieces = parts(node)
        yield pieces.result
        yield from (part for part in pieces.operands if part is not None)
    elif isinstance(op, Quantize | Dequantize) and not op.block_size:
        stored = node.result if isinstance(op, Quantize) else node.inputs[0]
        zero_point = node.operands[2] if len(node.operands) > 2 else None
        yield Part(stored, quantization(node.operands[1], zero_point, op.axis))


def _hand_on(graph: Graph, found: dict[Value, Quantization]) -> None:
    for nodes in (graph.nodes, tuple(reversed(graph.nodes))):
        for node in nodes:
            if isinstance(node.op, Quantize | Dequantize | Quantized):
                continue
            x = node.inputs[0] if node.inputs else None
            for y in node.results:
                if x is None or y.type.dtype is not x.type.dtype or y.type.dtype.size > 2 or y.type.dtype.is_float:
                    continue
                if x in found and len(found[x].scale) == 1:
                    for value in (y, *(v for v in node.inputs[1:] if v.type.dtype is x.type.dtype)):
                        found.setdefault(value, found[x])
                elif y in found and len(found[y].scale) == 1:
                    found.setdefault(x, found[y])
