"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    activation,
    conv,
    detection,
    elementwise,
    index,
    integer,
    linear,
    logic,
    pool,
    quantization,
    reduction,
    shape,
    spatial,
)

__all__ = [
    "activation",
    "conv",
    "detection",
    "elementwise",
    "index",
    "integer",
    "linear",
    "logic",
    "pool",
    "quantization",
    "reduction",
    "shape",
    "spatial",
]
