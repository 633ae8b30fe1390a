"""Fitting a graph to what a target can express; see ``decompose``."""

from . import activations, attention, movement, normalizations, pooling, products, quantization, rank, reductions
from .decompose import DECOMPOSITIONS, Legalize, decompose

LEGALIZE = Legalize()

__all__ = [
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
]
