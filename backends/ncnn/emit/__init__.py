"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    activation,
    attention,
    conv,
    detection,
    elementwise,
    gather,
    linear,
    logic,
    movement,
    normalization,
    pool,
    quantization,
    recurrent,
    reduction,
    shape,
    spatial,
)

__all__ = [
    "activation",
    "attention",
    "conv",
    "detection",
    "elementwise",
    "gather",
    "linear",
    "logic",
    "movement",
    "normalization",
    "pool",
    "quantization",
    "recurrent",
    "reduction",
    "shape",
    "spatial",
]
