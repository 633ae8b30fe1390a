"""Pools in terms of other pools."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Abs, AveragePool, LpPool, Max, MaxPool, Mul, Pad, Pow, ReduceMax, Slice

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

MAX_TAPS = 64


@decompose(LpPool)
def lp_pool_from_average(m: Match, add: Add) -> Value:
    """LpPool(x) is (mean of |x|^p times the kernel's size)^(1/p), zeros of the padding counted."""
    x, op = m["x"], m.op(LpPool)
    m.require(not op.ceil_mode, "windows beyond the edge are divided differently")
    powers = add(Pow(), add(Abs(), x), add.constant(op.p, like=x))
    pool = AveragePool(op.kernel, op.strides, op.pads, op.dilations, False, True)
    sums = add(Mul(), add(pool, powers), add.constant(float(np.prod(op.kernel)), like=x))
    return add(Pow(), sums, add.constant(1 / op.p, like=x))


@decompose(MaxPool)
def max_of_slices(m: Match, add: Add) -> Value:
    """MaxPool(x) is the greatest of one strided Slice a tap of the kernel."""
    x, op = m["x"], m.op(MaxPool)
    m.require(x.type.is_static and m.root.result.type.is_static, "sizes are known only at run time")
    taps = list(np.ndindex(*op.kernel))
    m.require(len(taps) <= MAX_TAPS, f"more than {MAX_TAPS} taps")
    n = len(op.kernel)
    size, out = x.type.static_shape[2:], m.root.result.type.static_shape[2:]
    begins = op.pads[:n]
    reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(out, op.strides, op.kernel, op.dilations, strict=True)]
    ends = [max(0, r - b - z) for r, b, z in zip(reach, begins, size, strict=True)]
    lowest = float(np.finfo(x.type.dtype.numpy).min) if x.type.dtype.is_float else 0
    m.require(x.type.dtype.is_float, "not of floating point")
    padded = add(Pad("constant", (0, 0, *begins, 0, 0, *ends), lowest), x) if any((*begins, *ends)) else x
    axes = tuple(range(2, 2 + n))
    result: Value | None = None
    for tap in taps:
        starts = tuple(t * d for t, d in zip(tap, op.dilations, strict=True))
        stops = tuple(s + (o - 1) * st + 1 for s, o, st in zip(starts, out, op.strides, strict=True))
        part = add(Slice(starts, stops, axes, op.strides), padded)
        result = part if result is None else add(Max(), result, part)
    assert result is not None
    return result


@decompose(ReduceMax)
def max_one_axis_at_a_time(m: Match, add: Add) -> Value:
    """ReduceMax over several axes is a chain over one."""
    op, value = m.op(ReduceMax), m["x"]
    m.require(op.axes is not None and len(op.axes) > 1 and op.keepdims, "one axis, or not kept")
    for axis in op.axes or ():
        value = add(ReduceMax((axis,), True), value)
    return value
