"""Comparing arrays: the one measure that verification, blame and the tests use."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from .ir.types import Array
from .report import Comparison


def relative_error(reference: Array, candidate: Array) -> float:
    """Largest absolute difference over the reference's largest magnitude; infinite where shapes or NaNs differ.

    Infinities and NaNs must stand at the same places; they do not count as magnitude.
    """
    if reference.shape != candidate.shape:
        return float("inf")
    if reference.size == 0:
        return 0.0
    left, right = reference.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(left)
    if not np.array_equal(left[~finite], right[~finite], equal_nan=True) or not np.all(np.isfinite(right[finite])):
        return float("inf")
    if not finite.any():
        return 0.0
    left, right = left[finite], right[finite]
    largest = float(np.abs(left).max())
    difference = float(np.abs(left - right).max())
    return difference / largest if largest > 0 else difference


STRAY = 1e-3
"""Share of the elements of an output of small integers that may be off by more than one step."""


def steps_apart(reference: Array, candidate: Array) -> tuple[int, float]:
    """The largest difference in steps, and the share of elements that are off by more than one."""
    if not reference.size:
        return 0, 0.0
    difference = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
    if not np.isfinite(difference).all():
        return 0, 1.0
    return math.ceil(difference.max()), float((difference > 1).mean())


def cosine(reference: Array, candidate: Array) -> float:
    """Cosine of the angle between the arrays as vectors; 1 where both are zero, NaN where sizes differ."""
    if reference.size != candidate.size:
        return float("nan")
    left, right = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
    finite = np.isfinite(left) & np.isfinite(right)
    left, right = left[finite], right[finite]
    length = float(np.linalg.norm(left) * np.linalg.norm(right))
    if length == 0:
        return 1.0 if np.array_equal(left, right) else 0.0
    return float(np.dot(left, right) / length)


def compare(
    names: Sequence[str],
    reference: Mapping[str, Array],
    candidate: Mapping[str, Array],
    rtol: float,
    stored: Collection[str] = (),
) -> tuple[Comparison, ...]:
    """A comparison for each name. The candidate may hold a unit batch axis less, as ncnn does.

    All must agree within ``rtol``. Those in ``stored`` hold integers that stand for real numbers (not counts, classes
    or indices); where a number lies half-way between two of them, runtimes round it to either. So these pass as well
    when all but one in a thousand are equal or neighbours.
    """
    result = []
    for name in names:
        left, right = reference[name], candidate[name]
        if left.size == right.size and _without_units(left.shape) == _without_units(right.shape):
            right = right.reshape(left.shape)
        error, steps, passed = relative_error(left, right), None, False
        if name in stored and left.shape == right.shape and left.dtype.kind in "iu":
            steps, stray = steps_apart(left, right)
            passed = stray <= STRAY
        result.append(Comparison(name, left.shape, error, cosine(left, right), passed or error <= rtol, steps))
    return tuple(result)


def _without_units(shape: Sequence[int]) -> list[int]:
    return [d for d in shape if d != 1]
