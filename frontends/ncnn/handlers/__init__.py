"""Handlers of layer types, by family. Importing this package registers them all."""

from __future__ import annotations

from . import (
    activation,
    arithmetic,
    attention,
    conv,
    detection,
    linear,
    movement,
    normalization,
    pool,
    recurrent,
    source,
    spatial,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "conv",
    "detection",
    "linear",
    "movement",
    "normalization",
    "pool",
    "recurrent",
    "source",
    "spatial",
]
