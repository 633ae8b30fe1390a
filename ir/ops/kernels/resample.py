"""Resize: where each result element reads, with which weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...types import Array

if TYPE_CHECKING:
    from ..spatial import Resize


def kept_aspect(sizes: Sequence[int], wanted: Sequence[int], policy: str) -> tuple[list[float], list[int]]:
    """The one scale of all axes, and the sizes it makes: as large as wanted by no axis, or by every axis."""
    ratios = [w / s for w, s in zip(wanted, sizes, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [scale] * len(sizes), [int(np.floor(scale * s + 0.5)) for s in sizes]


def resize(op: Resize, x: Array, roi: Sequence[float] | None, scales: Sequence[float] | None,
           sizes: Sequence[int] | None) -> Array:  # fmt: skip
    """To be written."""
    raise NotImplementedError
