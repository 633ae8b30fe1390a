"""Products with constant matrices are Linear."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Linear, MatMul, Reshape

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


@rule(pat(Linear, pat(Reshape, "x", label="flat"), "w", "b"))
def flatten_after_linear(m: Match, add: Add) -> Value:
    """Linear(Reshape(x)) that only joins rows is Reshape(Linear(x)): what parts the rows again meets it."""
    x, flat = m["x"].type, m.node("flat").result.type
    m.require(m.only_reader("flat"), "the rows are read elsewhere")
    m.require(flat.rank == 2 and x.rank > 2 and x.shape[-1] == flat.shape[-1], "not only rows are joined")
    size = m["w"].type.shape[0]
    m.require(isinstance(x.shape[-1], int) and isinstance(size, int), "the length of a row is known only at run time")
    assert isinstance(size, int)
    m.require(sum(d != 1 for d in x.shape[:-1]) > 1, "the rows stand along one axis")
    return add(Reshape((-1, size)), add(m.root.op, m["x"], m["w"], m.get("b")))


LINEAR = (flatten_after_linear, name_linear)
