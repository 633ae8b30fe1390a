"""Products with constant matrices are Linear."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Linear, MatMul

from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(MatMul, "x", "w"))
def name_linear(m: Match, add: Add) -> Value:
    """MatMul(x, w) with a constant matrix w is Linear(x, transposed w)."""
    w = m.const("w")
    m.require(m["x"].data is None, "nothing but constants: folding's business")
    m.require(w.ndim == 2 and m["x"].type.rank >= 2, "not a matrix on the right")
    m.require(m["x"].type.dtype.is_float, "not of floating point")
    return add(Linear(), m["x"], w.T)  # a view: the weights may be hundreds of megabytes


LINEAR = (name_linear,)
