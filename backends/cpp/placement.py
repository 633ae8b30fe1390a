"""Where concatenations along channels are free: their operands are written into the parts of one buffer.

That goes where all parts are whole blocks. A value may go into several concatenations (DenseNet's grow by one
operand each); the largest comes first, and a smaller one whose operands lie together in it is a view of it.
"""

from __future__ import annotations

from mconv.ir import DType, Graph, Node, Value
from mconv.ir.ops import Concat, Conv
from mconv.ir.record import Record

from .view import BLOCK


class Place(Record):
    """A part of a concatenation: of which (``whole``), of what shape that is, where it begins on ``axis``."""

    whole: Value
    shape: tuple[int, ...]
    axis: int
    begin: int

    def whole_is(self, value: Value, placements: Placements) -> bool:
        """Whether this is a part of the concatenation ``value``, or of a larger one that ``value`` is a part of."""
        outer = placements.of(value)
        return self.whole is value or (outer is not None and outer.whole is self.whole)


class Placements:
    """For each value the part of a concatenation that it is, if it is one."""

    def __init__(self, graph: Graph) -> None:
        self._of: dict[Value, Place] = {}
        self._graph = graph
        concats = [node for node in graph.nodes if isinstance(node.op, Concat) and _is_blocked(node)]
        for node in sorted(concats, key=lambda node: -(node.result.type.numel or 0)):
            self._place(node)

    def of(self, value: Value) -> Place | None:
        """The part that ``value`` is."""
        return self._of.get(value)

    def _place(self, node: Node) -> None:
        if any(v in self._of or not self._can_be_part(v) for v in node.inputs):
            return
        if len(set(node.inputs)) != len(node.inputs):
            return
        assert isinstance(node.op, Concat)
        begin = 0
        own = self._of.get(node.result)  # it may be a part of a larger one itself
        whole, shape = (node.result, node.result.type.static_shape) if own is None else (own.whole, own.shape)
        if own is not None and own.axis != node.op.axis:
            return
        begin = 0 if own is None else own.begin
        for value in node.inputs:
            self._of[value] = Place(whole, shape, node.op.axis, begin)
            begin += value.type.static_shape[node.op.axis]

    def _can_be_part(self, value: Value) -> bool:
        return value.producer is not None and not value.is_constant and not self._graph.is_output(value)


def _is_blocked(node: Node) -> bool:
    """Whether the concatenation is one of whole blocks of channels."""
    assert isinstance(node.op, Concat)
    types = [v.type for v in node.inputs]
    if any(not t.is_static or t.dtype is not DType.F32 or t.rank < 3 for t in types):
        return False
    if node.op.axis != 1 or not any(_from_conv(v) for v in node.inputs):
        return False
    return all(t.static_shape[node.op.axis] % BLOCK == 0 for t in types[:-1])


def _from_conv(value: Value) -> bool:
    """Whether a convolution is not far above, so that the value will be blocked."""
    for _ in range(8):
        node = value.producer
        if node is None:
            return False
        if isinstance(node.op, Conv):
            return True
        inputs = [v for v in node.inputs if not v.is_constant]
        if not inputs:
            return False
        value = inputs[0]
    return False
