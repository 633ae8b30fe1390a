"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    attention,
    control,
    conv,
    detection,
    elementwise,
    general_attention,
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
    sized,
)

__all__ = [
    "attention",
    "control",
    "conv",
    "detection",
    "elementwise",
    "general_attention",
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
    "sized",
]
