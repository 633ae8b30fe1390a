"""Einstein sums: shapes, numbers, work."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...op import broadcast, expect
from ...types import Array, Dim, Shape
from ..forms import common_dim


def matmul(a: Array, b: Array) -> Array:
    """numpy's matmul, of operands laid out so that BLAS does it: it refuses most views of more than two axes."""
    if a.ndim > 2 and b.ndim == 2:
        return np.asarray(np.matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1]))
    return np.asarray(np.matmul(np.ascontiguousarray(a), np.ascontiguousarray(b)))


def _terms(equation: str, count: int) -> tuple[list[str], str]:
    """The operands' letters and the result's; '...' is written '.'. Without arrow: the letters met once, sorted."""
    text = equation.replace(" ", "").replace("...", ".")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    expect(len(terms) == count, f"equation '{equation}' is of {len(terms)} operands, not {count}")
    if not arrow:
        letters = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        right = ("." if "." in left else "") + "".join(letters)
    return terms, right


def _sizes(equation: str, shapes: Sequence[Shape]) -> tuple[dict[str, Dim], Shape, str]:
    """The size of each letter, the axes that '...' stands for, and the result's letters."""
    terms, right = _terms(equation, len(shapes))
    sizes: dict[str, Dim] = {}
    middle: Shape = ()
    for term, shape in zip(terms, shapes, strict=True):
        before, dots, after = term.partition(".")
        hidden = len(shape) - len(before) - len(after)
        fits = hidden == 0 or (dots and hidden > 0)
        expect(fits, f"term '{term}' of equation '{equation}' does not fit {len(shape)} axes")
        if dots:
            middle = broadcast(middle, shape[len(before) : len(before) + hidden])
        outer = (*shape[: len(before)], *shape[len(shape) - len(after) :])
        for letter, size in zip(before + after, outer, strict=True):
            known = sizes.get(letter, 1)
            same = size if known == 1 else known if size == 1 else common_dim(known, size, what=f"size of '{letter}'")
            sizes[letter] = same
    return sizes, middle, right


def einsum_shape(equation: str, shapes: Sequence[Shape]) -> Shape:
    """The result's shape; TypeMismatch where the equation does not fit."""
    sizes, middle, right = _sizes(equation, shapes)
    result: list[Dim] = []
    for letter in right:
        expect(letter == "." or letter in sizes, f"'{letter}' stands only right of the arrow in '{equation}'")
        result.extend(middle if letter == "." else (sizes[letter],))
    return tuple(result)


def einsum(equation: str, xs: Sequence[Array]) -> Array:
    """numpy's, along the cheapest path."""
    terms, right = _terms(equation, len(xs))
    text = f"{','.join(terms)}->{right}".replace(".", "...")
    return np.asarray(np.einsum(text, *xs, optimize=len(xs) > 1))


def einsum_flops(equation: str, shapes: Sequence[Shape]) -> int:
    """Two for each element of the space that all letters span."""
    sizes, middle, _ = _sizes(equation, shapes)
    dims = (*sizes.values(), *middle)
    return 2 * math.prod(d for d in dims if isinstance(d, int)) if all(isinstance(d, int) for d in dims) else 0
