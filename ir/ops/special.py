"""Functions that numpy lacks: the error function, and overflow-free sigmoid and softplus."""

from __future__ import annotations

import math

import numpy as np

from ..types import Array


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small).astype(x.dtype, copy=False) / (1 + small)


def softplus(x: Array) -> Array:
    """ln(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erf(x: Array) -> Array:
    """The error function, in the precision of x's type."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x.copy()
