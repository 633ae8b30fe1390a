"""An operator between Dequantize and Quantize is the operator on integers."""

from __future__ import annotations

import numpy as np

from mconv.ir import Graph, Node, Op, Value
from mconv.ir.ops import Cast, Conv, ConvTranspose, Dequantize, If, Linear, Loop, Quantize, Quantized, Relu, Scan

from ..fuse.activation import EPILOGUES
from ..pattern import Match, pat
from ..rewrite import Add, rule
from .movement import MAX_STEPS, MOVES, MOVES_BYTES, integers, moves, moves_one, on_integers, replacement, source

NO_ARITHMETIC: tuple[type[Op], ...] = (Cast, Dequantize, If, Loop, Quantize, Quantized, Scan)
PRODUCTS = (Conv, ConvTranspose, Linear)


def feeds_integers(graph: Graph, node: Node) -> bool:
    """True for a Dequantize that is read by what can be Quantized: the weights stay the integers that they are."""
    return isinstance(node.op, Dequantize) and node.op.block_size == 0 and _feeds(graph, node, MAX_STEPS)


def _feeds(graph: Graph, node: Node, steps: int) -> bool:
    return steps > 0 and any(
        _feeds(graph, reader, steps - 1) if moves(reader) else _quantizable(graph, reader)
        for reader in node.result.readers
    )


def _quantizable(graph: Graph, node: Node) -> bool:
    """True for a Quantize, and where ``node`` (with the activation after it) is all that stands before one."""
    if isinstance(node.op, Quantize):
        return True
    return refusal(node) is None and _leads_to_quantize(graph, node, _takes_activation(node))


def _leads_to_quantize(graph: Graph, node: Node, takes_activation: bool) -> bool:
    if graph.use_count(node.result) != 1 or not node.result.uses:
        return False
    reader, index = node.result.uses[0]
    if moves_one(reader):
        return _leads_to_quantize(graph, reader, takes_activation)
    if isinstance(reader.op, EPILOGUES) and (takes_activation or _clamps_nothing(reader)):
        return _leads_to_quantize(graph, reader, False)
    return isinstance(reader.op, Quantize) and index == 0 and reader.op.block_size == 0


def _clamps_nothing(node: Node) -> bool:
    """True for a Relu before a Quantize whose least integer stands for zero."""
    if not isinstance(node.op, Relu) or len(node.result.uses) != 1:
        return False
    ((reader, _),) = node.result.uses
    return isinstance(reader.op, Quantize) and _least_is_zero(reader.op, reader.operand("zero_point"))


def _least_is_zero(op: Quantize, zero: Value | None) -> bool:
    least = np.iinfo(op.dtype.numpy).min
    return least == 0 if zero is None else zero.data is not None and bool(np.all(zero.data == least))


def _takes_activation(node: Node) -> bool:
    return isinstance(node.op, PRODUCTS) and node.op.activation is None


def refusal(node: Node) -> str | None:
    """Why the operator itself cannot work on stored integers, or None where it can."""
    if isinstance(node.op, NO_ARITHMETIC) or not node.op.foldable or len(node.results) != 1:
        return f"{type(node.op).__name__} is no arithmetic with one result"
    real = [v for v in node.inputs if v.type.dtype.is_float and not _is_real_bias(node, v)]
    if not real or any(source(v) is None for v in real):
        return "an operand is not dequantized"
    return None


def _is_real_bias(node: Node, value: Value) -> bool:
    """True for a product's bias that the quantizer left as it was."""
    return isinstance(node.op, PRODUCTS) and value.data is not None and value is node.operand("b")


@rule(pat(Quantize, pat(MOVES + MOVES_BYTES, "x", label="move"), "scale", "zero_point"))
def quantize_before_movement(m: Match, add: Add) -> Value:
    """Quantize(move(f(Dequantize(a), ...))) is move(Quantize(f(Dequantize(a), ...)))."""
    node = m.node("move")
    m.require(moves_one(node) and m.only_reader("move"), "a movement of several, or read elsewhere")
    m.require(m.graph.use_count(m["x"]) == 1, "what is moved is read elsewhere")
    m.require(_from_integers(m["x"]), "what is moved is not computed from integers")
    m.require(m["scale"].type.numel == 1 and m.op(Quantize).block_size == 0, "several scales")
    moved = on_integers(m, node, m.op(Quantize).dtype, m["scale"], m.get("zero_point"))
    y = add(m.op(Quantize), m["x"], m["scale"], m.get("zero_point"))
    return replacement(m, add(moved, y, *node.operands[1:]))


def _from_integers(value: Value) -> bool:
    node = value.producer
    while node is not None and moves_one(node):
        node = node.inputs[0].producer
    if node is not None and isinstance(node.op, EPILOGUES):
        above = node.inputs[0].producer
        node = above if above is not None and _takes_activation(above) else node
    return node is not None and refusal(node) is None


@rule(pat(Quantize, pat(Relu, "x"), "scale", "zero_point"))
def drop_relu_that_clamps_nothing(m: Match, add: Add) -> Value:
    """Quantize(Relu(x)) is Quantize(x) where the least integer stands for zero: what is below becomes it anyway."""
    m.require(_least_is_zero(m.op(Quantize), m.get("zero_point")), "negative numbers are told apart")
    m.require(m.graph.use_count(m.node(Relu).result) == 1, "the clamped value is read elsewhere")
    m.require(_from_integers(m["x"]), "it is not computed from integers")
    return add(m.op(Quantize), m["x"], m["scale"], m.get("zero_point"))


@rule(pat(Quantize, "x", "scale", "zero_point"))
def join_into_quantized(m: Match, add: Add) -> Value:
    """Quantize(f(Dequantize(a), ...)) is Quantized(f) of a, ...; an activation after a product goes in with it."""
    quantize = m.op(Quantize)
    m.require(quantize.block_size == 0, "a scale for each block")
    node, op = _operator(m)
    m.require(m.graph.use_count(m["x"]) == 1, "the real result is read elsewhere")
    why = refusal(node)
    m.require(why is None, why or "")
    axes: list[int | None] = []
    operands: list[Value | None] = []
    for value in node.operands:
        real = value is not None and value.type.dtype.is_float and not _is_real_bias(node, value)
        axis, triple = _triple(m, add, value) if value is not None and real else (None, (value, None, None))
        axes.append(axis)
        operands.extend(triple)
    joined = Quantized(op, tuple(axes), quantize.dtype, quantize.axis)
    return replacement(m, add(joined, m["scale"], m.get("zero_point"), *operands))


def _operator(m: Match) -> tuple[Node, Op]:
    """The node before Quantize, and its operator; of a product with an activation the product, which carries it."""
    node = m["x"].producer
    m.require(node is not None, "nothing is computed before it")
    assert node is not None
    if isinstance(node.op, EPILOGUES):
        above = node.inputs[0].producer
        if above is not None and _takes_activation(above) and m.graph.use_count(above.result) == 1:
            joined: Op = above.op.replace(activation=node.op)
            return above, joined
    return node, node.op


def _triple(m: Match, add: Add, value: Value) -> tuple[int | None, tuple[Value | None, ...]]:
    """Axis of the scale, and stored integers, scale and zero point of a real operand."""
    found = source(value)
    assert found is not None, "refusal() has looked"
    scale, zero = found.inputs[1], found.operand("zero_point")
    stored, axis = integers(m, add, value, scale, zero)
    return axis, (stored, scale, zero)


ARITHMETIC = (quantize_before_movement, drop_relu_that_clamps_nothing, join_into_quantized)
