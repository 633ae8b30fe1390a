"""Fitting a graph to what a target can express; see ``decompose``."""

from . import types  # noqa: I001  first: 16-bit floats are computed in 32 bits as a whole
from . import activations, arithmetic, attention, functions, indexing, movement, normalizations, pooling, products, quantization, rank, reductions
from .decompose import DECOMPOSITIONS, Legalize, decompose

LEGALIZE = Legalize()

__all__ = [
    "indexing",
    "functions",
    "arithmetic",
    "DECOMPOSITIONS",
    "LEGALIZE",
    "Legalize",
    "activations",
    "attention",
    "decompose",
    "movement",
    "normalizations",
    "pooling",
    "products",
    "quantization",
    "rank",
    "reductions",
    "types",
]
