"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    attention,
    conv,
    elementwise,
    general_norm,
    general_product,
    indexing,
    linear,
    movement,
    norm,
    padding,
    pool,
    reduction,
)

__all__ = [
    "attention",
    "conv",
    "elementwise",
    "general_norm",
    "general_product",
    "indexing",
    "linear",
    "movement",
    "norm",
    "padding",
    "pool",
    "reduction",
]
