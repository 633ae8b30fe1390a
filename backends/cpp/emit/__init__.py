"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    elementwise,
    general_norm,
    general_product,
    general_windows,
    indexing,
    movement,
    padding,
    recurrent,
    reduction,
    regions,
    resampling,
)

__all__ = [
    "elementwise",
    "general_norm",
    "general_product",
    "general_windows",
    "indexing",
    "movement",
    "padding",
    "recurrent",
    "reduction",
    "regions",
    "resampling",
]
