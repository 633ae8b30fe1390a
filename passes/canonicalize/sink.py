"""Transposes and reshapes move down past what does not care about the order of axes, to meet what undoes them."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.op import OPERATORS
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import Mul, Transpose

from ..pattern import Match, pat
from ..rewrite import Add, rule

UNARY = tuple(op for op in OPERATORS.values() if op.elementwise and len(op.operands()) == 1)


@rule(pat((Mul, AddOp), pat(Transpose, "x"), "c"))
def constant_before_transpose(m: Match, add: Add) -> Value:
    """Transpose(x) * c, and + c, is Transpose(x * c'), with the constant turned back."""
    m.require(m.only_reader(Transpose), "the transposed value is read elsewhere")
    data = m.const("c")
    x = m["x"]
    m.require(m.root.result.type.shape == m.node(Transpose).result.type.shape, "the constant broadcasts")
    perm = m.op(Transpose).perm
    full = data.reshape((1,) * (x.type.rank - data.ndim) + data.shape)
    back = np.argsort(perm)
    return add(Transpose(perm), add(m.root.op, x, full.transpose(back)))


@rule(pat(UNARY, pat(Transpose, "x")))
def unary_before_transpose(m: Match, add: Add) -> Value:
    """f(Transpose(x)) is Transpose(f(x))."""
    m.require(m.only_reader(Transpose), "the transposed value is read elsewhere")
    return add(Transpose(m.op(Transpose).perm), add(m.root.op, m["x"]))


@rule(pat((AddOp, Mul), pat(Transpose, "a"), pat(Transpose, "b")))
def binary_before_transposes(m: Match, add: Add) -> Value:
    """Transpose(a) + Transpose(b) by one permutation is Transpose(a + b); likewise products."""
    left, right = (node.op for node in m.nodes[1:])
    m.require(left == right, "two permutations")
    m.require(m["a"].type.rank == m["b"].type.rank, "operands of different rank")
    m.require(all(m.graph.use_count(v) == 1 for v in m.root.inputs), "a transposed value is read elsewhere")
    assert isinstance(left, Transpose)
    return add(Transpose(left.perm), add(m.root.op, m["a"], m["b"]))


SINK = (constant_before_transpose, unary_before_transpose, binary_before_transposes)
