"""Means of integers whose halves are rounded away from zero, as the kernels of some runtimes do it."""

from __future__ import annotations

from mconv.ir import Op, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import AveragePool, Dequantize, Mul, ReduceMean, Sign

from ..pattern import Match, pat
from ..rewrite import Add, rule

STEPS = (2.0**-16, 2.0**-4)
"""How far such a mean is moved before Quantize, in steps of the scale: far above rounding, below half a share."""

_MEAN = pat((AveragePool, ReduceMean), pat(Dequantize, "q", "scale", "zero_point"), label="mean")


@rule(pat(AddOp, _MEAN, pat(Mul, pat(Sign, pat(AddOp, _MEAN, "zero")), "nudge")))
def leave_rounding_to_the_kernel(m: Match, add: Add) -> Value:
    """A mean of integers, moved a little away from their zero, is the mean, where the target's kernel rounds so."""
    target = add.context.target
    m.require(target is not None and target.averages_round_away, "the target rounds halves to even")
    scale, zero = m.scalar("scale"), m.scalar("zero_point") if m.has("zero_point") else 0.0
    steps = m.scalar("nudge") / scale
    m.require(STEPS[0] <= steps <= STEPS[1], "it is moved by more, or less")
    m.require(abs(m.scalar("zero") - zero * scale) <= 1e-6 * max(abs(zero * scale), scale), "away from another number")
    op, x = m.node("mean").op, m.node("mean").inputs[0]
    if isinstance(op, ReduceMean):
        m.require(op.keepdims and op.axes == tuple(range(2, x.type.rank)), "not over the picture")
        size = x.type.shape[2:]
        m.require(all(isinstance(d, int) for d in size), "a size is known only at run time")
        ones = (1,) * len(size)
        whole: Op = AveragePool(tuple(int(str(d)) for d in size), ones, (0,) * (2 * len(size)), ones)
        return add(whole, x)
    return m.node("mean").result


AVERAGES = (leave_rounding_to_the_kernel,)
