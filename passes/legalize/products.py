"""Products in terms of simpler ones."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Op, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    AveragePool,
    Concat,
    Conv,
    ConvTranspose,
    Einsum,
    Linear,
    MatMul,
    MaxPool,
    ReduceSum,
    Reshape,
    Transpose,
)

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose
from .movement import MAX_PIECES, cut


@decompose(Conv, ConvTranspose, Linear)
def activation_on_its_own(m: Match, add: Add) -> Value:
    """A product with an activation is the product, then the activation."""
    op = m.root.op
    activation: Op | None = op.activation  # type: ignore[attr-defined]
    m.require(activation is not None, "it carries none")
    assert activation is not None
    return add(activation, add(op.replace(activation=None), m["x"], m["w"], m.get("b")))


@decompose(Linear)
def linear_from_matmul(m: Match, add: Add) -> Value:
    """Linear(x, w, b) is MatMul(x, w') + b."""
    w = m["w"]
    turned = add.constant(np.ascontiguousarray(w.data.T)) if w.data is not None else add(Transpose((1, 0)), w)
    product = add(MatMul(), m["x"], turned)
    bias = m.get("b")
    return product if bias is None else add(AddOp(), product, bias)


@decompose(Conv, ConvTranspose, MaxPool, AveragePool)
def one_sample_at_a_time(m: Match, add: Add) -> Value:
    """A spatial operator on a batch is a Concat of itself on each sample."""
    x = m["x"]
    batch = x.type.shape[0]
    m.require(
        isinstance(batch, int) and 1 < batch <= MAX_PIECES, f"a batch of one, of more than {MAX_PIECES}, or unknown"
    )
    assert isinstance(batch, int)
    rest = m.root.operands[1:]
    parts = [add(m.root.op, cut(add, x, 0, i, i + 1), *rest) for i in range(batch)]
    return add(Concat(0), *parts)


@decompose(Einsum)
def einsum_from_products(m: Match, add: Add) -> Value:
    """An Einsum of two operands without repeated letters is Transpose, Reshape, MatMul, Reshape, Transpose."""
    left, right, out = _letters(m)
    a, b = m.root.inputs
    m.require(a.type.is_static and b.type.is_static, "sizes are known only at run time")
    sizes = dict(zip(left + right, a.type.static_shape + b.type.static_shape, strict=True))
    a, left = _summed(add, a, left, right + out)
    b, right = _summed(add, b, right, left + out)
    batch = [c for c in left if c in right and c in out]
    inner = [c for c in left if c in right and c not in out]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]

    def count(letters: list[str]) -> int:
        return math.prod(sizes[c] for c in letters)

    a = add(Transpose(tuple(left.index(c) for c in batch + rows + inner)), a)
    b = add(Transpose(tuple(right.index(c) for c in batch + inner + columns)), b)
    a = add(Reshape((count(batch), count(rows), count(inner))), a)
    b = add(Reshape((count(batch), count(inner), count(columns))), b)
    made = batch + rows + columns
    product = add(Reshape(tuple(sizes[c] for c in made)), add(MatMul(), a, b))
    return add(Transpose(tuple(made.index(c) for c in out)), product)


def _letters(m: Match) -> tuple[str, str, str]:
    equation = m.op(Einsum).equation.replace(" ", "")
    m.require("->" in equation and "..." not in equation, "an implicit result, or an ellipsis")
    operands, out = equation.split("->")
    parts = operands.split(",")
    m.require(len(parts) == 2, "not of two operands")
    m.require(all(len(set(p)) == len(p) for p in (*parts, out)), "a repeated letter")
    return parts[0], parts[1], out


def _summed(add: Add, x: Value, letters: str, kept: str) -> tuple[Value, str]:
    """x summed over the axes that occur nowhere else."""
    gone = tuple(i for i, c in enumerate(letters) if c not in kept)
    if not gone:
        return x, letters
    return add(ReduceSum(gone, False), x), "".join(c for c in letters if c in kept)


@decompose(MatMul)
def matmul_of_vectors(m: Match, add: Add) -> Value:
    """MatMul with a vector is MatMul with a matrix of one row or column."""
    a, b = m["a"], m["b"]
    m.require(a.type.rank == 1 or b.type.rank == 1, "no vector")
    if a.type.rank == 1:
        a = add(reshape_to(a.type, (1, *a.type.shape)), a)
    if b.type.rank == 1:
        b = add(reshape_to(b.type, (*b.type.shape, 1)), b)
    product = add(MatMul(), a, b)
    return add(reshape_to(product.type, m.root.result.type.shape), product)
