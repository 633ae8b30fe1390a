"""Layers that merge several tensors."""

from __future__ import annotations

from functools import reduce

import numpy as np

from mconv.ir import Builder, DType, Op, Symbol, Value, ops

from .. import errors
from ..node import KerasNode
from ..registry import keras

_MERGES: dict[str, Op] = {
    "Add": ops.Add(), "Multiply": ops.Mul(), "Average": ops.Add(), "Maximum": ops.Max(), "Minimum": ops.Min(),
}  # fmt: skip
MODE = {"mode": "Keras 1's name of the layer"}


def _aligned(n: KerasNode, g: Builder) -> list[Value]:
    """The tensors with as many axes each: the missing ones stand behind the first."""
    rank = max(x.type.rank for x in n.xs)
    return [
        x if x.type.rank == rank else g.add(ops.Unsqueeze(tuple(range(1, 1 + rank - x.type.rank))), x) for x in n.xs
    ]


def _expect_several(n: KerasNode, least: int = 1) -> None:
    if len(n.xs) < least:
        raise errors.misfit(f"{n.settings.what} is called with {len(n.xs)} tensors")


def _either_mask(n: KerasNode, g: Builder) -> None:
    """Hand on where any of the masks is true, if all tensors have one."""
    masks = [n.mask(i) for i in range(len(n.xs))]
    known = [m for m in masks if m is not None]
    if known and len(known) == len(masks):
        n.mask_out = reduce(lambda a, b: g.add(ops.Or(), a, b), known)


@keras("Add", "Multiply", "Average", "Maximum", "Minimum", mask="read", ignores=MODE)
def merge(n: KerasNode, g: Builder) -> Value:
    """Any number of tensors, element by element."""
    _expect_several(n)
    total = reduce(lambda a, b: g.add(_MERGES[n.cls], a, b), _aligned(n, g))
    _either_mask(n, g)
    return total if n.cls != "Average" else g.add(ops.Div(), total, n.scalar(len(n.xs), total))


@keras("Subtract", mask="read")
def subtract(n: KerasNode, g: Builder) -> Value:
    """The first less the second."""
    if len(n.xs) != 2:
        raise errors.misfit(f"{n.settings.what} is called with {len(n.xs)} tensors, not 2")
    _either_mask(n, g)
    return g.add(ops.Sub(), *_aligned(n, g))


@keras("Concatenate", mask="read", ignores=MODE)
def concatenate(n: KerasNode, g: Builder) -> Value:
    """Concatenate along an axis."""
    _expect_several(n)
    axis = n.axis(n.settings.integer("axis", -1))
    masks = [n.mask(i) for i in range(len(n.xs))]
    if any(m is not None for m in masks):
        n.mask_out = _joined_mask(n, g, masks, axis)
    return n.xs[0] if len(n.xs) == 1 else g.add(ops.Concat(axis), *n.xs)


def _joined_mask(n: KerasNode, g: Builder, masks: list[Value | None], axis: int) -> Value:
    """The masks, spread over their tensors, joined, and true where any along the last axis is."""
    parts = []
    for x, mask in zip(n.xs, masks, strict=True):
        if mask is None:
            spread = g.add(ops.Equal(), x, x)  # true, but for NaN
        else:
            for _ in range(x.type.rank - mask.type.rank):
                mask = g.add(ops.Unsqueeze((mask.type.rank,)), mask)
            spread = g.add(ops.Expand(), mask, g.add(ops.Shape(), x))
        parts.append(n.cast(spread, DType.F32))
    whole = g.add(ops.Concat(axis), *parts)
    return n.cast(g.add(ops.ReduceMax((whole.type.rank - 1,), False), whole), DType.BOOL)


@keras("Dot", ignores=MODE)
def dot(n: KerasNode, g: Builder) -> Value:
    """Dot: for each element of the batch, the product of two tensors along an axis of each."""
    if len(n.xs) != 2:
        raise errors.misfit(f"{n.settings.what} is called with {len(n.xs)} tensors, not 2")
    x, y = n.xs
    axes = n.settings.integers("axes", 2)
    a, b = n.axis(axes[0], x.type.rank), n.axis(axes[1], y.type.rank)
    if 0 in (a, b):
        raise errors.misfit(f"{n.settings.what} along the axis of the batch")
    if n.settings.flag("normalize", False):
        x, y = (unit(n, g, v, (axis,)) for v, axis in ((x, a), (y, b)))
    letters = iter("cdefghijklmnop")
    left = ["a", *(("b" if i == a else next(letters)) for i in range(1, x.type.rank))]
    right = ["a", *(("b" if i == b else next(letters)) for i in range(1, y.type.rank))]
    made = ["a", *(c for c in left[1:] if c != "b"), *(c for c in right[1:] if c != "b")]
    found = _product(n, g, x, y, left, right)
    return found if len(made) > 1 else n.sizes((x.type.shape[0], 1), found)


def _product(n: KerasNode, g: Builder, x: Value, y: Value, left: list[str], right: list[str]) -> Value:
    """The sum over 'b' of x times y, 'a' being common: one product of matrices [N, *, b] and [N, b, *]."""
    rows, columns = [c for c in left[1:] if c != "b"], [c for c in right[1:] if c != "b"]
    sizes = dict(zip([*left, *right], [*x.type.shape, *y.type.shape], strict=True))
    x = _turned(g, x, [left.index(c) for c in ("a", *rows, "b")])
    y = _turned(g, y, [right.index(c) for c in ("a", "b", *columns)])
    if len(rows) != 1:
        x = n.sizes((sizes["a"], _total(n, [sizes[c] for c in rows]), sizes["b"]), x)
    if len(columns) != 1:
        y = n.sizes((sizes["a"], sizes["b"], _total(n, [sizes[c] for c in columns])), y)
    made = g.add(ops.MatMul(), x, y)
    wanted = [sizes[c] for c in ("a", *rows, *columns)]
    return made if len(rows) == len(columns) == 1 else n.sizes(wanted, made)


def _total(n: KerasNode, sizes: list[int | Symbol]) -> int:
    known = [s for s in sizes if isinstance(s, int)]
    if len(known) != len(sizes):
        raise errors.needs_static(f"the sizes that {n.settings.what} multiplies")
    return int(np.prod(known, dtype=np.int64)) if known else 1


def _turned(g: Builder, x: Value, perm: list[int]) -> Value:
    return x if perm == sorted(perm) else g.add(ops.Transpose(tuple(perm)), x)


def unit(n: KerasNode, g: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """x by its norm along axes, which is at least 1e-12; Keras 1 and 2 take at least 1e-12 for its square."""
    least = 1e-12 if n.version == 3 else 1e-6
    if len(axes) == 1:
        return g.add(ops.LpNormalize(axes[0], 2, least), x)
    norm = g.add(ops.Sqrt(), g.add(ops.ReduceSum(axes, True), g.add(ops.Square(), x)))
    return g.add(ops.Div(), x, g.add(ops.Max(), norm, n.scalar(least, x)))
