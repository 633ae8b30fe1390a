"""Carrying out a layout plan: operators turned, and their operands transposed where they are read in another order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from mconv.ir import Graph, Node, Op, Value
from mconv.ir.ops import Quantized, Reshape, Transpose

from ..base import Context
from ..canonicalize.movement import reshape_to
from ..pattern import Refusal
from .axes import Order, between, identity, reduced, same
from .movable import data_operands, moved
from .plan import PINNED, Plan, Role, Side, wanted

NAME = "solve layout"


def describe(plan: Plan) -> list[str]:
    """The solved plan in words: what each value that could cost a transpose costs, and each free node's side."""
    lines = [f"layout: spatial operators run {plan.pinned.value}; transposes move {plan.total(plan.sides)} (bytes)"]
    for cost in plan.costs:
        made = plan.side(cost.made)
        sides = sorted({side.value for c in cost.read if (side := plan.side(c)) is not None})
        if made is None:
            continue
        paid = any(side != made.value for side in sides)
        verdict = f"transposed, {cost.bytes} bytes" if paid else "not moved"
        lines.append(f"layout: %{cost.value.name}: made {made.value}, read {' and '.join(sides)}: {verdict}")
    lines += [f"layout: {node.name}: {side.value}" for node, side in plan.sides.items()]
    return lines


@dataclass
class _Stored:
    """Where the content of an old value is now: a value of the new graph, and the order it is stored in."""

    value: Value
    order: Order


@dataclass
class Mover:
    """Carries out a plan: walks the graph once, and turns values where they are read in another order."""

    graph: Graph
    plan: Plan
    context: Context
    where: dict[Value, _Stored] = field(default_factory=dict)
    turned: dict[tuple[Value, Order], Value] = field(default_factory=dict)
    old: list[Node] = field(default_factory=list)
    reasons: dict[Value, str] = field(default_factory=dict)

    def run(self) -> int:
        """Walk the graph once in order; the number of nodes replaced or given other operands."""
        for value in self.graph.inputs:
            self._turn_input(value)
        changes = sum(self._move(node) for node in self.graph.nodes)
        for value in dict.fromkeys(self.graph.outputs):
            self._return(value, self._end_order(value))
        self._remove_old()
        self.context.layout.reasons.update((value.name, reason) for value, reason in self.reasons.items())
        return changes

    # One node ---------------------------------------------------------------------------------------------

    def _move(self, node: Node) -> bool:
        role = self.plan.roles[node]
        if role is Role.PINNED:
            return self._pinned(node)
        if role is Role.FREE:
            return self._free(node)
        if role is Role.RENAMES:
            return self._renaming(node)
        if isinstance(node.op, Transpose):
            return self._transpose(node)
        return self._fixed(node)

    def _fixed(self, node: Node) -> bool:
        changed = False
        for index, value in enumerate(node.operands):
            if value is not None and value in self.where:
                new = self._get(value, identity(value.type.rank), node)
                if new is not value:
                    self.graph.set_operand(node, index, new)
                    changed = True
        return changed

    def _pinned(self, node: Node) -> bool:
        if self.plan.pinned is Side.FIRST:
            return self._fixed(node)
        order = wanted(self.plan.pinned, node.result.type.rank)
        place = data_operands(node)[0]
        operands = [
            None if v is None else self._get(v, order if index == place else identity(v.type.rank), node)
            for index, v in enumerate(node.operands)
        ]
        self._replace(node, _turned(node.op, order), operands, order)
        return True

    def _free(self, node: Node) -> bool:
        side = self.plan.sides[node]
        order = self.plan.frames[node.results[0]].order(side)
        rank = len(order)
        if order == identity(rank):
            return self._fixed(node)
        places = data_operands(node)
        operands: list[Value | None] = []
        for index, value in enumerate(node.operands):
            if value is None or index not in places:
                operands.append(value)
            elif value.is_constant or value.type.rank < rank:
                operands.append(self._constant(value, order))
            else:
                operands.append(self._get(value, order, node))
        op = moved(node.op, order)
        assert op is not None  # the role says so
        self._replace(node, op, operands, order)
        return True

    def _renaming(self, node: Node) -> bool:
        side = self.plan.sides[node]
        x, y = node.inputs[0], node.result
        before, after = self.plan.frames[x].order(side), self.plan.frames[y].order(side)
        if isinstance(node.op, Transpose):
            value = self._get(x, before, node)
            self.where[y] = _Stored(value, between(node.op.perm, before))
            self.old.append(node)
            return True
        if before == identity(len(before)) and after == identity(len(after)):
            return self._fixed(node)
        value = self._get(x, before, node)
        dropped = reduced(node)
        op: Any = node.op
        if dropped is None:
            shape = tuple(y.type.shape[axis] for axis in after)
            op = reshape_to(value.type, shape)
        else:
            axes = tuple(sorted(before.index(axis) for axis in dropped))
            op = op.replace(axes=axes) if hasattr(op, "axes") else op.replace(axis=axes[0])
        self._replace(node, op, [value], after)
        return True

    def _transpose(self, node: Node) -> bool:
        """A transpose of the model's own is made where its result is read, joined with what the readers need."""
        x = node.inputs[0]
        stored = self.where.get(x, _Stored(x, identity(x.type.rank)))
        assert isinstance(node.op, Transpose)
        self.where[node.result] = _Stored(stored.value, between(node.op.perm, stored.order))
        self.old.append(node)
        return True

    # Values -----------------------------------------------------------------------------------------------

    def _get(self, value: Value, order: Order, reader: Node | None) -> Value:
        """The content of an old value, stored in ``order``."""
        stored = self.where.get(value, _Stored(value, identity(value.type.rank)))
        perm = between(stored.order, order)
        if perm == identity(len(perm)):
            return stored.value
        key = (stored.value, perm)
        if key not in self.turned:
            self.turned[key] = self._turn(stored.value, perm, value, reader)
        return self.turned[key]

    def _turn(self, content: Value, perm: Order, old: Value, reader: Node | None) -> Value:
        shape = content.type.shape
        if same(perm, identity(len(perm)), shape):
            try:
                return self._add(reshape_to(content.type, [shape[axis] for axis in perm]), [content], old, reader)
            except Refusal:  # several sizes are known only at run time: no Reshape can say them
                pass
        made = self._add(Transpose(perm), [content], old, reader)
        self.reasons[made] = why(self.plan, old, reader)
        return made

    def _add(self, op: Op, operands: list[Value | None], old: Value, reader: Node | None) -> Value:
        near = reader or old.producer
        origin = near.origin if near is not None else self.graph.nodes[0].origin
        return self.graph.add(op, operands, name=f"{old.name}_turned", origin=origin, at=reader).results[0]

    def _constant(self, value: Value, order: Order) -> Value:
        """A constant (or a single number) beside operands stored in ``order``."""
        if value.data is None or value.data.size == 1:
            return value
        full = value.data.reshape((1,) * (len(order) - value.data.ndim) + value.data.shape)
        return self.graph.add_constant(full.transpose(order), value.name)

    def _replace(self, node: Node, op: Op, operands: list[Value | None], order: Order) -> None:
        made = self.graph.add(op, operands, name=node.name, origin=node.origin, at=node)
        for old, new in zip(node.results, made.results, strict=True):
            self.where[old] = _Stored(new, order)
        self.old.append(node)
        self.context.record(NAME, made)

    # Ends -------------------------------------------------------------------------------------------------

    def _end_order(self, value: Value) -> Order:
        """The order in which an input or output of the graph is stored."""
        frame = self.plan.frames.get(value)
        ends_last = self.context.layout.ends_last and frame is not None
        return frame.last if ends_last and frame is not None else identity(value.type.rank)

    def _turn_input(self, value: Value) -> None:
        order = self._end_order(value)
        if order != identity(len(order)):
            self.graph.set_type(value, value.type.with_shape(value.type.shape[axis] for axis in order))
            self.where[value] = _Stored(value, order)
            self.context.layout.ends[value.name] = order

    def _return(self, value: Value, order: Order) -> None:
        if order != identity(len(order)):
            for name, returned in zip(self.graph.output_names, self.graph.outputs, strict=True):
                if returned is value:
                    self.context.layout.ends[name] = order
        if value in self.where:
            new = self._get(value, order, None)
            if new is not value:
                self.graph.replace(value, new)

    def _remove_old(self) -> None:
        names = {}
        for node in self.old:
            for result in node.results:
                stored = self.where[result]
                if stored.order == identity(len(stored.order)) or not isinstance(node.op, Transpose | Reshape):
                    names[result.name] = stored
        for node in reversed(self.old):
            self.graph.remove(node)
        for name, stored in names.items():
            if stored.value in self.graph and stored.value.producer is not None:
                self.graph.rename(stored.value, name, evict=False)
                if stored.order != identity(len(stored.order)):
                    self.context.layout.orders[name] = stored.order


def _turned(op: Any, order: Order) -> Op:
    """A pinned operator on data stored in ``order``."""
    if isinstance(op, PINNED):
        return op.replace(channels_last=True)
    if isinstance(op, Quantized):
        axes = (None if op.axes[0] is None else order.index(op.axes[0]), *op.axes[1:])
        axis = None if op.axis is None else order.index(op.axis)
        return cast(Op, op.replace(inner=_turned(op.inner, order), axes=axes, axis=axis))
    turned = moved(op, order)
    assert turned is not None  # the role says so
    return turned


def why(plan: Plan, value: Value, reader: Node | None) -> str:
    """Why a transpose of ``value`` for ``reader`` is there (None: the graph returns it)."""
    producer = value.producer
    if producer is not None and plan.roles[producer] is Role.TRANSPOSES:
        return f"the model's own Transpose '{producer.name}'"
    if producer is None:
        return f"the input '{value.name}' keeps the model's layout"
    if reader is None:
        return f"the output '{value.name}' keeps the model's layout"
    return f"{_named(producer)} {plan.roles[producer].value}, and {_named(reader)} {plan.roles[reader].value}"


def _named(node: Node) -> str:
    return f"{type(node.op).__name__} '{node.name}'"
