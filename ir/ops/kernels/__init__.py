"""The numbers of the larger operators: plain functions on numpy arrays, which know no operator but their own.

The modules are imported when an operator is first evaluated; converting evaluates few.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        cells,
        convolve,
        detection,
        frequency,
        indexing,
        movement,
        products,
        regions,
        resample,
        sampling,
        suppression,
        windows,
    )

__all__ = [
    "cells",
    "convolve",
    "detection",
    "frequency",
    "indexing",
    "movement",
    "products",
    "regions",
    "resample",
    "sampling",
    "suppression",
    "windows",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)
