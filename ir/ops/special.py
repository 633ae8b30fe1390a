"""Functions that numpy lacks: the error function, and overflow-free sigmoid and softplus."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..types import Array

_GRID = 64  # points of the table for each unit
_END = 6  # erf is 1 in float64 from here on
_TERMS = 8
_PIECE = 1 << 14  # elements at a time, so that they stay in the cache


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small).astype(x.dtype, copy=False) / (1 + small))


def softplus(x: Array) -> Array:
    """ln(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@cache
def _taylor() -> Array:
    """Taylor coefficients of erf about each grid point, [terms, points].

    Its derivatives are erf' = 2 / sqrt(pi) exp(-x^2) and, with Hermite's polynomials H, (-1)^n H_n(x) erf'.
    """
    x = np.arange(_END * _GRID + 1) / _GRID
    slope = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    hermite = [np.ones_like(x), 2 * x]
    for n in range(1, _TERMS):
        hermite.append(2 * x * hermite[n] - 2 * n * hermite[n - 1])
    columns = [np.array([math.erf(v) for v in x])]
    columns += [(-1) ** n * hermite[n] * slope / math.factorial(n + 1) for n in range(_TERMS - 1)]
    return np.stack(columns)


def erf(x: Array) -> Array:
    """The error function, in the precision of x's type: Taylor's series about the nearest of a table's points."""
    y = np.empty(x.size, x.dtype)
    flat = x.reshape(-1)
    for start in range(0, x.size, _PIECE):
        y[start : start + _PIECE] = _erf(flat[start : start + _PIECE])
    return y.reshape(x.shape)


def _erf(x: Array) -> Array:
    size = np.minimum(np.abs(x.astype(np.float64)), _END)
    size = np.where(np.isnan(size), 0, size)
    point = np.rint(size * _GRID).astype(np.int64)
    step = size - point / _GRID
    table = _taylor()
    y = table[_TERMS - 1][point]
    for term in range(_TERMS - 2, -1, -1):
        y = y * step + table[term][point]
    return np.where(np.isnan(x), x, np.copysign(y, x))
