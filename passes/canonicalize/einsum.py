"""An Einsum that is a batched matrix product is a MatMul."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Einsum, MatMul, Transpose

from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(Einsum))
def name_matmul(m: Match, add: Add) -> Value:
    """Einsum over equal leading batch letters and one inner letter is MatMul, an operand's last axes turned at need."""
    equation = m.op(Einsum).equation.replace(" ", "")
    m.require("->" in equation and "." not in equation and len(m.root.inputs) == 2, "not of two named operands")
    operands, out = equation.split("->")
    left, right = operands.split(",")
    m.require(len(left) == len(right) == len(out) >= 2, "operands and result of different rank")
    m.require(all(len(set(letters)) == len(letters) for letters in (left, right, out)), "a repeated letter")
    batch = out[:-2]
    m.require(left[:-2] == right[:-2] == batch, "no equal leading batch")
    rows, columns = out[-2], out[-1]
    shared = set(left[-2:]) & set(right[-2:])
    m.require(len(shared) == 1, "no inner letter")
    inner = shared.pop()
    m.require(inner not in (rows, columns), "no inner letter")
    a, b = m.root.inputs
    rank = len(out)
    swap = (*range(rank - 2), rank - 1, rank - 2)
    m.require({rows, inner} == set(left[-2:]) and {columns, inner} == set(right[-2:]), "operands the other way round")
    if left[-2:] == inner + rows:
        a = add(Transpose(swap), a)
    if right[-2:] == columns + inner:
        b = add(Transpose(swap), b)
    m.require(a.type.shape[:-2] == b.type.shape[:-2], "batches broadcast")
    return add(MatMul(), a, b)


EINSUM = (name_matmul,)
