"""How integers stand for real numbers: in TFLite a property of each tensor."""

from __future__ import annotations

from mconv.ir import Graph, Value

from .model import Quantization


def assign(graph: Graph) -> dict[Value, Quantization]:
    """Scale and zero point of every value that has them."""
    return {}
