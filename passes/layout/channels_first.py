"""A transpose back to channels first moves up: a Linear over the last axis is a 1x1 convolution of channels."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Conv, Linear, Transpose

from ..canonicalize.sink import UNARY
from ..pattern import Match, pat
from ..rewrite import Add, rule

TO_CHANNELS_FIRST = (0, 3, 1, 2)


def _turn(m: Match) -> Transpose:
    op = m.op(Transpose)
    m.require(op.perm == TO_CHANNELS_FIRST, "it does not bring the channels first")
    return op


@rule(pat(Transpose, pat(UNARY, "x", label="f")))
def transpose_before_unary(m: Match, add: Add) -> Value:
    """Transpose(f(x)) is f(Transpose(x)), where the channels are brought first."""
    op = _turn(m)
    m.require(m.only_reader("f"), "its operand is read elsewhere")
    m.require(_leads_to_linear(m["x"]), "no Linear above")
    return add(m.node("f").op, add(op, m["x"]))


@rule(pat(Transpose, pat(Linear, "x", "w", "b")))
def convolution_for_linear(m: Match, add: Add) -> Value:
    """Transpose(Linear(x, w, b)) to channels first is a 1x1 Conv of Transpose(x)."""
    op = _turn(m)
    m.require(m.only_reader(Linear), "the linear's result is read elsewhere")
    weight = m.const("w")
    conv = Conv((1, 1), (0, 0, 0, 0), (1, 1), 1, m.op(Linear).activation)
    return add(conv, add(op, m["x"]), weight.reshape(*weight.shape, 1, 1), m.get("b"))


def _leads_to_linear(value: Value) -> bool:
    node = value.producer
    while node is not None and isinstance(node.op, UNARY) and len(node.inputs) == 1:
        node = node.inputs[0].producer
    return node is not None and isinstance(node.op, Linear)


CHANNELS_FIRST_RULES = (transpose_before_unary, convolution_for_linear)
