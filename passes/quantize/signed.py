"""Unsigned 8-bit integers stored as signed ones, for targets whose kernels take only these."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Array, DType, Graph, Node, Op, Value
from mconv.ir.ops import Concat, Dequantize, Identity, Pad, Quantize, Quantized
from mconv.ir.record import Record

from ..base import Context
from .movement import MAX_STEPS, moves

SHIFT = 128
"""What is subtracted from the stored numbers and from their zero points: the real numbers stay."""


class SignIntegers(Record):
    """Store as i8 what is u8, wherever all that makes and reads it can."""

    name: str = "sign integers"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite in place; the number of nodes that changed."""
        if context.target is None or not context.target.signed_integers:
            return 0
        chosen = _chosen(graph)
        if not chosen:
            return 0
        shifter = _Shifter(graph, chosen)
        changes = shifter.run()
        for node in shifter.made:
            context.record(self.name, node)
        return changes


def stored(node: Node) -> dict[int, tuple[int, int]]:
    """The operands of a node that hold quantized integers: index to those of their scale and zero point."""
    op = node.op
    if isinstance(op, Dequantize):
        return {0: (1, 2)}
    if not isinstance(op, Quantized):
        return {}
    last = len(node.operands)
    places = range(2, last, 3)
    return {i: (i + 1, i + 2) for i in places if i + 1 < last and node.operands[i + 1] is not None}


def _moved(node: Node) -> tuple[Value, ...]:
    """What a movement moves, and what it makes of it; nothing for other nodes."""
    if not (moves(node) or isinstance(node.op, Pad)) or len(node.results) != 1:
        return ()
    data = node.inputs if isinstance(node.op, Concat) else node.inputs[:1]
    return (*data, node.result)


def _point(node: Node, index: int) -> bool:
    """True where the zero point at ``index`` is known (or absent, which is zero)."""
    value = node.operands[index] if index < len(node.operands) else None
    return value is None or value.data is not None


def _chosen(graph: Graph) -> set[Value]:
    """The u8 values that can be stored as i8."""
    values = {v for node in graph.nodes for v in (*node.inputs, *node.results) if v.type.dtype is DType.U8}
    chosen = {v for v in values if _is_made(v) and all(_is_read(node, index) for node, index in v.uses)}
    chosen -= {v for v in values if _scale_of(v) is None and (v in graph.inputs or graph.is_output(v))}
    while True:
        split = {
            value for node in graph.nodes if (moved := _moved(node)) and not chosen.issuperset(moved) for value in moved
        } & chosen  # fmt: skip
        if not split:
            return chosen
        chosen -= split


def _is_made(value: Value) -> bool:
    node = value.producer
    if node is None:
        return True
    if isinstance(node.op, Quantize):
        return node.op.block_size == 0 and _point(node, 2)
    return (isinstance(node.op, Quantized) and _point(node, 1)) or value in _moved(node)[-1:]


def _is_read(node: Node, index: int) -> bool:
    place = stored(node).get(index)
    if place is not None:
        blocks = isinstance(node.op, Dequantize) and node.op.block_size != 0
        return not blocks and _point(node, place[1])
    return any(node.operands[index] is v for v in _moved(node)[:-1])


def _scale_of(value: Value, steps: int = MAX_STEPS) -> tuple[Value, Value | None] | None:
    """One known scale and zero point of a value, from what reads or makes it, or moves it there or away."""
    maker = value.producer
    if maker is not None and isinstance(maker.op, Quantize | Quantized):
        return _pair(maker, *((1, 2) if isinstance(maker.op, Quantize) else (0, 1)))
    for node, index in value.uses:
        if index in stored(node):
            return _pair(node, *stored(node)[index])
    around = [node.result for node, _ in value.uses if value in _moved(node)[:-1]]
    if maker is not None and value in _moved(maker)[-1:]:
        around.append(maker.inputs[0])
    found = (_scale_of(other, steps - 1) for other in around if steps)
    return next((pair for pair in found if pair is not None), None)


def _pair(node: Node, scale: int, point: int) -> tuple[Value, Value | None] | None:
    factor = node.operands[scale]
    zero = node.operands[point] if point < len(node.operands) else None
    return None if factor is None or factor.type.numel != 1 else (factor, zero)


class _Shifter:
    """Makes every node anew that touches a chosen value."""

    def __init__(self, graph: Graph, chosen: set[Value]) -> None:
        self.graph, self.chosen = graph, chosen
        self.signed: dict[Value, Value] = {}
        self.made: list[Node] = []

    def run(self) -> int:
        """Walk the graph in order; the number of nodes made anew."""
        nodes = self.graph.nodes
        for value in self.graph.inputs:
            if value in self.chosen and value.uses:
                self.signed[value] = self._rescaled(value, value, DType.I8, nodes[0])
        for node in nodes:
            if any(v in self.chosen for v in (*node.inputs, *node.results)):
                self._renew(node)
        for node in reversed(nodes):
            if all(not v.uses and not self.graph.is_output(v) for v in node.results):
                self.graph.remove(node)
        return len(self.made)

    def _renew(self, node: Node) -> None:
        operands = list(node.operands)
        for index, (_, point) in stored(node).items():
            if operands[index] in self.chosen:
                operands[index] = self._signed(operands[index])
                operands += [None] * (point + 1 - len(operands))
                operands[point] = self._zero(node.operands, stored(node)[index][0], point)
        for index, value in enumerate(node.operands):
            if value in self.chosen and value in _moved(node)[:-1]:
                operands[index] = self._signed(value)
        op: Any = node.op
        if any(v in self.chosen for v in node.results):
            op, operands = self._result(node, op, operands)
        made = self.graph.add(op, operands, name=node.name, origin=node.origin, at=node)
        self.made.append(made)
        for old, new in zip(node.results, made.results, strict=True):
            if old not in self.chosen:
                self.graph.replace(old, new)
                continue
            self.signed[old] = new
            if self.graph.is_output(old):
                self.graph.replace(old, self._rescaled(old, new, DType.U8, made))

    def _result(self, node: Node, op: Any, operands: list[Value | None]) -> tuple[Op, list[Value | None]]:
        """The operator that makes signed integers, and its operands with the result's zero point shifted."""
        if isinstance(op, Quantize | Quantized):
            scale, point = (1, 2) if isinstance(op, Quantize) else (0, 1)
            operands += [None] * (point + 1 - len(operands))
            operands[point] = self._zero(node.operands, scale, point)
            return op.replace(dtype=DType.I8), operands
        if isinstance(op, Pad) and op.mode == "constant":
            return op.replace(value=op.value - SHIFT), operands
        return op, operands

    def _signed(self, value: Value | None) -> Value:
        assert value is not None
        if value not in self.signed and value.data is not None:
            self.signed[value] = self.graph.add_constant(_shifted(value.data), value.name)
        return self.signed[value]

    def _zero(self, operands: tuple[Value | None, ...], scale: int, point: int) -> Value:
        zero = operands[point] if point < len(operands) else None
        if zero is not None:
            return self.graph.add_constant(_shifted(zero.constant), zero.name)
        factor = operands[scale]
        assert factor is not None
        return self.graph.add_constant(np.full(factor.type.static_shape, -SHIFT, np.int8), "zero_point")

    def _rescaled(self, old: Value, value: Value, dtype: DType, at: Node) -> Value:
        """``value`` with its integers in the other type, by a Quantized that computes nothing."""
        pair = _scale_of(old)
        assert pair is not None  # else it would not have been chosen
        scale, zero = pair
        unsigned = zero or self.graph.add_constant(np.zeros(scale.type.static_shape, np.uint8), "zero_point")
        signed = self.graph.add_constant(_shifted(unsigned.constant), "zero_point")
        before, after = (unsigned, signed) if dtype is DType.I8 else (signed, unsigned)
        op = Quantized(Identity(), (None,), dtype)
        made = self.graph.add(op, [scale, after, value, scale, before], origin=at.origin, at=at)
        self.made.append(made)
        return made.result


def _shifted(data: Array) -> Array:
    return (data.astype(np.int16) - SHIFT).astype(np.int8)
