"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import control, direct, gather, products, quantization, recurrent, reduction, shape, spatial, windows

__all__ = [
    "control",
    "direct",
    "gather",
    "products",
    "quantization",
    "recurrent",
    "reduction",
    "shape",
    "spatial",
    "windows",
]
