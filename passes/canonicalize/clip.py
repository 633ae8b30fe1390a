"""Bounds: Max and Min against a number, Relu and Clip are one family."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Clip, Max, Min, Relu

from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(Max, "x", "c"), pat(Min, "x", "c"))
def clip_by_number(m: Match, add: Add) -> Value:
    """Max(x, c) and Min(x, c) with one number c are Clip(x)."""
    m.require(m["x"].type.dtype.is_float, "bounds of integers stay Max and Min")
    bound = m.scalar("c")
    m.require(m["x"].type.shape == m.root.result.type.shape, "the constant broadcasts x")
    m.require(not math.isnan(bound), "the bound is not a number")
    return add(Clip(bound, None) if isinstance(m.root.op, Max) else Clip(None, bound), m["x"])


@rule(pat(Min, pat(Max, "x", "low"), "high"))
def close_integer_bounds(m: Match, add: Add) -> Value:
    """Min(Max(x, c), c) is c: an integer that may be nothing else."""
    low, high = m.scalar("low"), m.scalar("high")
    m.require(not m["x"].type.dtype.is_float, "of floating point it may be no number")
    m.require(low >= high and m.root.result.type.is_static, "the bounds leave room")
    return add.constant(np.full(m.root.result.type.static_shape, high), like=m.root.result)


@rule(pat(Clip, pat((Clip, Relu), "x")))
def merge_clips(m: Match, add: Add) -> Value:
    """Clip(Clip(x)) is one Clip."""
    outer = m.op(Clip)
    inner = m.nodes[1].op
    low, high = (0.0, None) if isinstance(inner, Relu) else (inner.min, inner.max)  # type: ignore[attr-defined]
    m.require(m.inner_unshared(), "the inner result is read elsewhere")
    lows = [b for b in (low, outer.min) if b is not None]
    highs = [b for b in (high, outer.max) if b is not None]
    new = Clip(max(lows, default=None), min(highs, default=None))
    m.require(new.min is None or new.max is None or new.min <= new.max, "the bounds cross")
    return add(new, m["x"])


@rule(pat(Clip, "x"))
def name_relu(m: Match, add: Add) -> Value:
    """Clip(x) from zero up is Relu(x)."""
    op = m.op(Clip)
    m.require(op.min == 0 and (op.max is None or op.max == math.inf), "other bounds")
    m.require(m["x"].type.dtype.is_float, "not of floating point")
    return add(Relu(), m["x"])


@rule(pat(Relu, pat((Relu,), "x")))
def merge_relus(m: Match, add: Add) -> Value:
    """Relu(Relu(x)) is Relu(x)."""
    return m.root.inputs[0]


@rule(pat(Relu, pat(Clip, "x")))
def clip_absorbs_relu(m: Match, add: Add) -> Value:
    """Relu(Clip(x)) is one Clip."""
    op = m.op(Clip)
    m.require(m.inner_unshared(), "the inner result is read elsewhere")
    m.require(op.max is None or op.max >= 0, "the upper bound is negative")
    return add(Clip(max(op.min or 0.0, 0.0), op.max), m["x"])


CLIP = (clip_by_number, close_integer_bounds, merge_clips, name_relu, merge_relus, clip_absorbs_relu)
