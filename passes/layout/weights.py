"""A transpose before a product with constant weights: the weights are reordered instead of the data."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, Value
from mconv.ir.ops import Linear, MatMul, Quantized, Reshape, Transpose

from ..canonicalize.movement import reshape_to
from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(Linear, pat(Reshape, pat(Transpose, "x")), "w", "b"))
def reorder_weights_instead(m: Match, add: Add) -> Value:
    """Linear(Reshape(Transpose(x)), w) to [N, F] is Linear(Reshape(x), w with its columns in x's order)."""
    flat, columns = _reordered(m, add, m.const("w"))
    return add(m.op(Linear), flat, columns, m.get("b"))


@rule(pat(MatMul, pat(Reshape, pat(Transpose, "x")), "w"))
def reorder_matrix_instead(m: Match, add: Add) -> Value:
    """MatMul(Reshape(Transpose(x)), w) is Linear(Reshape(x), w with its rows in x's order, transposed)."""
    weight = m.const("w")
    m.require(weight.ndim == 2 and m["x"].type.dtype.is_float, "not a matrix of real numbers")
    flat, columns = _reordered(m, add, weight.T)
    return add(Linear(), flat, columns)


def _reordered(m: Match, add: Add, weight: Array) -> tuple[Value, Array]:
    """The flattened operand of the matched transpose, and [O, I] weights with their columns in its order."""
    x, perm = m["x"], m.op(Transpose).perm
    flat = m.node(Reshape).result.type
    m.require(perm[0] == 0, "the batch moves")
    m.require(flat.rank == 2 and flat.shape[0] == x.type.shape[0], "it does not flatten all axes but the batch")
    inner = x.type.shape[1:]
    m.require(all(isinstance(d, int) for d in inner), "sizes are known only at run time")
    m.require(m.only_reader(Reshape), "the flattened value is read elsewhere")
    turned = [inner[axis - 1] for axis in perm[1:]]
    back = np.argsort([axis - 1 for axis in perm[1:]])
    columns = weight.reshape(weight.shape[0], *(int(str(d)) for d in turned)).transpose(0, *(back + 1))
    return add(reshape_to(x.type, flat.shape), x), columns.reshape(weight.shape)


@rule(pat(Quantized, "scale", "zero", pat(Reshape, pat(Transpose, "x")), "xs", "xz", "w"))
def reorder_stored_weights_instead(m: Match, add: Add) -> Value:
    """The same for a Linear or MatMul of integers, whose stored weights are reordered."""
    op = m.op(Quantized)
    m.require(isinstance(op.inner, Linear | MatMul), "no product with a matrix")
    m.require(m.const("w").ndim == 2, "not a matrix")
    by_rows = isinstance(op.inner, MatMul)
    m.require(op.axes[1] in (None, 1 if by_rows else 0), "the scales go along what is reordered")
    weight = m.const("w").T if by_rows else m.const("w")
    flat, columns = _reordered(m, add, weight)
    operands = list(m.root.operands)
    operands[2], operands[5] = flat, add.constant(columns.T if by_rows else columns)
    return add(op, *operands)


WEIGHTS = (reorder_weights_instead, reorder_matrix_instead, reorder_stored_weights_instead)
