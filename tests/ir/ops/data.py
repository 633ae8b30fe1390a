"""Numbers for cases, the same on every run."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rand(*shape: int, seed: int = 0, dtype: Any = np.float32, scale: float = 1.0) -> Array:
    """Normal numbers."""
    return (np.random.default_rng(seed + len(shape) * 100).standard_normal(shape) * scale).astype(dtype)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0, dtype: Any = np.float32) -> Array:
    """Numbers between low and high."""
    return np.random.default_rng(seed + len(shape) * 100 + 7).uniform(low, high, shape).astype(dtype)


def integers(*shape: int, low: int = -9, high: int = 10, seed: int = 0, dtype: Any = np.int64) -> Array:
    """Integers from low to below high."""
    return np.random.default_rng(seed + len(shape) * 100 + 13).integers(low, high, shape).astype(dtype)


def booleans(*shape: int, seed: int = 0) -> Array:
    """Truth values."""
    return np.random.default_rng(seed + 31).integers(0, 2, shape).astype(np.bool_)


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, -3e5, 2.5, -2.5, 0.5], np.float32)
