"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import conv, elementwise, general_norm, general_product, indexing, linear, movement, padding, pool, reduction

__all__ = [
    "conv",
    "elementwise",
    "general_norm",
    "general_product",
    "indexing",
    "linear",
    "movement",
    "padding",
    "pool",
    "reduction",
]
