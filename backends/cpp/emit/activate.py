"""What follows a product: a bias along one axis, and an activation, in one loop over the result in place."""

from __future__ import annotations

import math

from mconv.ir import DType, Op, Value

from ..net import C_TYPES, Net
from ..view import View
from .common import braced
from .formulas import SCALAR, VECTOR


def finished(
    net: Net, y: View, bias: Value | None, axis: int, activation: Op | None, *, vector: View | None = None
) -> None:
    """Add the bias (a value, or the view ``vector``) along ``axis`` to y, which is dense, and apply the activation."""
    if bias is not None:
        vector = net.planar(bias)
    if vector is None and activation is None:
        return
    sizes = (math.prod(y.shape[:axis]), y.shape[axis], math.prod(y.shape[axis + 1 :]))
    fast = y.dtype is DType.F32 and (activation is None or type(activation) in VECTOR)
    kind = "vf" if fast else C_TYPES[y.dtype]
    views, parameters, formula = [y], [f"{kind} x0"], "x0"
    strides = [(sizes[1] * sizes[2], sizes[2], 1)]
    operands = f"along({net.ptr(y)})"
    if vector is not None:
        views.append(vector)
        parameters.append(f"{kind} x1")
        formula = "x0 + x1"
        strides.append((0, 1, 0) if sizes[2] > 1 else (0, 0, 1))
        operands += f", {'same' if sizes[2] > 1 else 'along'}({net.ptr(views[1])})"
    if sizes[2] == 1:
        sizes, strides[0] = (1, sizes[0], sizes[1]), (0, sizes[1], 1)
    lines = [f"  const {kind} t = {formula};"]
    if activation is not None:
        table = VECTOR if fast else SCALAR
        lines.append(f"  return {table[type(activation)](activation, ['t'], y.dtype)};")
    else:
        lines.append("  return t;")
    tables = f"{braced(sizes)}, {braced(strides[0])}, {braced(map(braced, strides))}"
    head = f"static const Loop<{len(views)}> s{{3, {tables}}};"
    call = f"{'each_vector' if fast else 'each'}(r, s, {net.ptr(y)}, [=]({', '.join(parameters)}) {{"
    net.step("\n".join([head, call, *lines, f"}}, {operands});"]), views, [y], needs=["elementwise"])
