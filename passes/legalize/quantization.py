"""Integer arithmetic in terms of real numbers."""

from __future__ import annotations

from mconv.ir import Op, Value
from mconv.ir.interpreter import evaluate
from mconv.ir.ops import Dequantize, Quantized

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


@decompose(Quantized)
def real_between_integers(m: Match, add: Add) -> Value:
    """Quantized(f) is Dequantize of each operand, f, Quantize; stored weights become real ones at once."""

    def apply(op: Op, *operands: Value | None) -> Value:
        arrays = [None if v is None else v.data for v in operands]
        if isinstance(op, Dequantize) and all(v is None or v.data is not None for v in operands):
            return add.constant(evaluate(op, arrays)[0])
        return add(op, *operands)

    return m.op(Quantized).explicit(apply, m["scale"], m.get("zero_point"), *m.root.operands[2:])
