"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    attention,
    channels,
    conv,
    elementwise,
    general_norm,
    general_product,
    general_windows,
    indexing,
    linear,
    movement,
    norm,
    padding,
    pool,
    recurrent,
    reduction,
    regions,
    resampling,
)

__all__ = [
    "attention",
    "channels",
    "conv",
    "elementwise",
    "general_norm",
    "general_product",
    "general_windows",
    "indexing",
    "linear",
    "movement",
    "norm",
    "padding",
    "pool",
    "recurrent",
    "reduction",
    "regions",
    "resampling",
]
