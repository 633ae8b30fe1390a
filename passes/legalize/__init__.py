"""Fitting a graph to what a target can express; see ``decompose``."""

from . import types  # isort: skip  before all others: 16-bit floats are computed in 32 bits as a whole
from . import (
    activations,
    arithmetic,
    attention,
    detection,
    functions,
    indexing,
    movement,
    normalizations,
    pooling,
    products,
    quantization,
    rank,
    recurrent,
    reductions,
    sampling,
    scans,
    signals,
    windows,
)
from .decompose import DECOMPOSITIONS, Legalize, decompose

LEGALIZE = Legalize()

__all__ = [
    "DECOMPOSITIONS",
    "LEGALIZE",
    "Legalize",
    "activations",
    "arithmetic",
    "attention",
    "decompose",
    "detection",
    "functions",
    "indexing",
    "movement",
    "normalizations",
    "pooling",
    "products",
    "quantization",
    "rank",
    "recurrent",
    "reductions",
    "sampling",
    "scans",
    "signals",
    "types",
    "windows",
]
