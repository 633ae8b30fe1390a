"""A transpose before a product with constant weights: the weights are reordered instead of the data."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Linear, Reshape, Transpose

from ..canonicalize.movement import reshape_to
from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat(Linear, pat(Reshape, pat(Transpose, "x")), "w", "b"))
def reorder_weights_instead(m: Match, add: Add) -> Value:
    """Linear(Reshape(Transpose(x)), w) to [N, F] is Linear(Reshape(x), w with its columns in x's order)."""
    x, perm = m["x"], m.op(Transpose).perm
    flat = m.node(Reshape).result.type
    m.require(perm[0] == 0, "the batch moves")
    m.require(flat.rank == 2 and flat.shape[0] == x.type.shape[0], "it does not flatten all axes but the batch")
    inner = x.type.shape[1:]
    m.require(all(isinstance(d, int) for d in inner), "sizes are known only at run time")
    m.require(m.only_reader(Reshape), "the flattened value is read elsewhere")
    weight = m.const("w")
    turned = [inner[axis - 1] for axis in perm[1:]]
    back = np.argsort([axis - 1 for axis in perm[1:]])
    columns = weight.reshape(weight.shape[0], *(int(str(d)) for d in turned)).transpose(0, *(back + 1))
    return add(m.op(Linear), add(reshape_to(x.type, flat.shape), x), columns.reshape(weight.shape), m.get("b"))


WEIGHTS = (reorder_weights_instead,)
