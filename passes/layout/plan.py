"""Where transposes are cheapest: each value's two orders of axes, and a minimum cut between them.

Spatial operators are pinned by the target to channels first or channels last. From them, orders spread to the values
around: each such value gets a *frame*, the two orders (channels first, channels last) it may be stored in, one of
which is the order it was written in. Operators that run in any order are free; the rest run as they are written.
A value made in one order and read in the other costs one transpose, that is its bytes, however many read it. Which
order each free operator takes, so that the sum is least, is a minimum s-t cut: the source's side is channels first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mconv.ir import Graph, Node, Op, Value
from mconv.ir.ops import (
    LRN,
    AveragePool,
    Conv,
    ConvTranspose,
    DepthToSpace,
    Linear,
    MatMul,
    MaxPool,
    Quantized,
    Reshape,
    Resize,
    SpaceToDepth,
    Transpose,
)  # fmt: skip

from .axes import Order, channels_last, down, identity, renames, same, up, value_bytes
from .movable import data_operands, moved, participants

PINNED: tuple[type[Op], ...] = (Conv, ConvTranspose, MaxPool, AveragePool, DepthToSpace, SpaceToDepth, LRN)
"""Operators with an attribute ``channels_last``, which a target pins to one of its values."""

PER_TRANSPOSE = 64
"""What a transpose costs besides moving its bytes, in bytes: of two plans that move as much, the shorter is taken."""


class Side(Enum):
    """Channels first or last."""

    FIRST = "channels first"
    LAST = "channels last"


@dataclass(frozen=True)
class Frame:
    """The two orders of axes that a value may be stored in."""

    first: Order
    last: Order

    def order(self, side: Side) -> Order:
        """The order on that side."""
        return self.first if side is Side.FIRST else self.last


class Role(Enum):
    """How a node stands to the order of its axes."""

    FIXED = "runs as it is written"
    PINNED = "is pinned by the target"
    FREE = "runs in any order"
    RENAMES = "only renames axes"
    TRANSPOSES = "is a transpose of the model's own"


def inner_of(op: Op) -> Op:
    """The operator that computes: the inner one of a Quantized, else the operator itself."""
    return op.inner if isinstance(op, Quantized) else op


def data_of(node: Node) -> Value:
    """What a pinned operator runs over."""
    value = node.operands[data_operands(node)[0]]
    assert value is not None  # no operator does without
    return value


def is_pinned(node: Node, side: Side) -> bool:
    """True for nodes that a target pins: PINNED, and a Resize of pictures, which says its axes itself."""
    op, rank = inner_of(node.op), node.results[0].type.rank
    if isinstance(op, Resize):
        return rank == 4 and set(op.axes) <= {2, 3} and side is Side.LAST and moved(op, channels_last(rank)) is not None
    return isinstance(op, PINNED)


Choice = Node | Side | None
"""Who decides on which side a value is made or read: a free node, a fixed side, or nobody (it costs nothing)."""


@dataclass(frozen=True)
class Cost:
    """A value, who decides on its side where it is made and where it is read, and what a transpose of it costs."""

    value: Value
    made: Choice
    read: tuple[Choice, ...]
    bytes: int


@dataclass
class Plan:
    """Frames, roles, costs, and once solved the side of each free node and the bytes that are moved in all."""

    pinned: Side
    frames: dict[Value, Frame] = field(default_factory=dict)
    roles: dict[Node, Role] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    sides: dict[Node, Side] = field(default_factory=dict)

    def side(self, choice: Choice) -> Side | None:
        """The side of a choice, once solved."""
        return self.sides.get(choice) if isinstance(choice, Node) else choice

    def total(self, sides: dict[Node, Side]) -> int:
        """What the transposes cost when the free nodes take ``sides``."""

        def chosen(choice: Choice) -> Side | None:
            return sides[choice] if isinstance(choice, Node) else choice

        total = 0
        for cost in self.costs:
            made = chosen(cost.made)
            total += cost.bytes * len({side for side in map(chosen, cost.read) if side not in (None, made)})
        return total


def make_plan(graph: Graph, pinned: Side, free_ends: bool = False) -> Plan:
    """The plan for ``graph``, solved. With ``free_ends``, framed inputs and outputs are channels last as well."""
    plan = Plan(pinned)
    _spread_frames(graph, plan)
    for node in graph.nodes:
        plan.roles[node] = _role(node, plan)
    ends = Side.LAST if free_ends else None
    for value, frame in plan.frames.items():
        if not same(frame.first, frame.last, value.type.shape):
            cost = _cost(graph, plan, value, frame, ends)
            if any(choice is not None and choice is not cost.made for choice in cost.read):
                plan.costs.append(cost)
    _solve(plan)
    return plan


# Frames ----------------------------------------------------------------------------------------------------


def _spread_frames(graph: Graph, plan: Plan) -> None:
    queue: deque[Value] = deque()

    def give(values: Iterable[Value], frame: Frame) -> None:
        for value in values:
            if value not in plan.frames and not value.is_constant:
                plan.frames[value] = frame
                queue.append(value)

    for node in graph.nodes:
        if is_pinned(node, plan.pinned):
            for value in (data_of(node), node.result):
                give([value], _canonical(value))
    while queue:
        value = queue.popleft()
        frame = plan.frames[value]
        for node in (*((value.producer,) if value.producer is not None else ()), *value.readers):
            sharing = participants(node)
            if sharing is not None and value in sharing:
                give(sharing, frame)
            elif renames(node):
                other = node.result if node.inputs[0] is value else node.inputs[0]
                carried = _carried(node, frame, other, downwards=other is node.result)
                if carried is not None:
                    give([other], carried)


def _canonical(value: Value) -> Frame:
    rank = value.type.rank
    return Frame(identity(rank), channels_last(rank))


def _carried(node: Node, frame: Frame, to: Value, downwards: bool) -> Frame | None:
    carry = down if downwards else up
    first, last = carry(node, frame.first), carry(node, frame.last)
    if first is None or last is None:
        return None
    shape, written = to.type.shape, identity(to.type.rank)
    if written in (first, last):
        return Frame(first, last)  # of axes of size one any order may be the written one, but only one is it by name
    if same(first, written, shape):
        first = written
    elif same(last, written, shape):
        last = written
    else:
        return None  # the order it is written in would be a third
    return Frame(first, last)


# Roles and costs -------------------------------------------------------------------------------------------


def _role(node: Node, plan: Plan) -> Role:
    if is_pinned(node, plan.pinned):
        return Role.PINNED
    if isinstance(inner_of(node.op), Resize) and plan.pinned is Side.LAST:
        return Role.FIXED
    sharing = participants(node)
    if sharing is not None:
        frames = {plan.frames.get(value) for value in sharing}
        return Role.FREE if len(frames) == 1 and None not in frames else Role.FIXED
    if renames(node):
        x, y = plan.frames.get(node.inputs[0]), plan.frames.get(node.result)
        if x is not None and y is not None and _agree(node, x, y):
            return Role.RENAMES
    return Role.TRANSPOSES if isinstance(node.op, Transpose) else Role.FIXED


def _agree(node: Node, x: Frame, y: Frame) -> bool:
    shape = node.result.type.shape
    for side in Side:
        order = down(node, x.order(side))
        if order is None or not same(order, y.order(side), shape):
            return False
    return True


def _cost(graph: Graph, plan: Plan, value: Value, frame: Frame, ends: Side | None) -> Cost:
    producer = value.producer
    if producer is None:
        made: Choice = ends or as_written(value, frame)
    else:
        made = _made(plan, producer, value, frame)
    read: list[Choice] = []
    for node, index in value.uses:
        read.append(_read(graph, plan, node, index, value, frame))
    if graph.is_output(value):
        read.append(ends or as_written(value, frame))
    return Cost(value, made, tuple(dict.fromkeys(read)), value_bytes(value) + PER_TRANSPOSE)


def as_written(value: Value, frame: Frame) -> Side:
    """The side on which the value stands as it was written."""
    return Side.FIRST if same(frame.first, identity(value.type.rank), value.type.shape) else Side.LAST


def wanted(pinned: Side, rank: int) -> Order:
    """The order that a pinned operator reads and makes."""
    return identity(rank) if pinned is Side.FIRST else channels_last(rank)


def _made(plan: Plan, producer: Node, value: Value, frame: Frame) -> Choice:
    role = plan.roles[producer]
    if role is Role.FIXED:
        return as_written(value, frame)
    if role is Role.PINNED:
        return _pinned_side(plan, value, frame)
    return producer  # a transpose of the model's own may as well make its result on either side


def _read(graph: Graph, plan: Plan, node: Node, index: int, value: Value, frame: Frame) -> Choice:
    role = plan.roles[node]
    if role in (Role.FREE, Role.RENAMES):
        return node
    if role is Role.TRANSPOSES or (role is Role.FIXED and into_weights(graph, node)):
        return None
    if role is Role.PINNED and index == data_operands(node)[0]:
        return _pinned_side(plan, value, frame)
    return as_written(value, frame)


def _pinned_side(plan: Plan, value: Value, frame: Frame) -> Side:
    order = wanted(plan.pinned, value.type.rank)
    sides: tuple[Side, ...] = (plan.pinned, *Side)
    for side in sides:
        if same(frame.order(side), order, value.type.shape):
            return side
    return as_written(value, frame)


def into_weights(graph: Graph, node: Node) -> bool:
    """True for a Reshape to [N, F] that only Linears with constant weights read: these can be reordered instead."""
    y = node.results[0]
    if not isinstance(node.op, Reshape) or y.type.rank != 2 or node.inputs[0].type.shape[0] != y.type.shape[0]:
        return False
    if len(node.inputs) > 1 or graph.is_output(y) or not y.uses:
        return False
    return all(_weighs(reader, index) for reader, index in y.uses)


def _weighs(reader: Node, index: int) -> bool:
    place = 2 if isinstance(reader.op, Quantized) else 0
    step = 3 if place else 1
    if not isinstance(inner_of(reader.op), Linear | MatMul) or index != place:
        return False
    weight = reader.operands[place + step]
    return weight is not None and weight.is_constant and weight.type.rank == 2


# The cut ---------------------------------------------------------------------------------------------------


def _solve(plan: Plan) -> None:
    """Free nodes between sides that agree take that side; the rest is left to the cut."""
    roles = (Role.FREE, Role.RENAMES, Role.TRANSPOSES)
    plan.sides = dict.fromkeys((node for node, role in plan.roles.items() if role in roles), plan.pinned)
    disputed: list[Cost] = []
    for nodes, sides, costs in _groups(plan):
        if len(sides) > 1:
            disputed += costs
        elif sides:
            plan.sides.update(dict.fromkeys(nodes, *sides))
    if disputed:
        last = _cut(disputed)
        concerned = {c for cost in disputed for c in (cost.made, *cost.read) if isinstance(c, Node)}
        plan.sides.update({node: Side.LAST if node in last else Side.FIRST for node in concerned})


def _groups(plan: Plan) -> list[tuple[set[Node], set[Side], list[Cost]]]:
    """Free nodes that values connect, the fixed sides around them, and the costs among all these."""
    group: dict[Node, tuple[set[Node], set[Side], list[Cost]]] = {}
    for cost in plan.costs:
        choices = (cost.made, *cost.read)
        nodes = {c for c in choices if isinstance(c, Node)}
        if not nodes:
            continue
        found = {id(group[n]): group[n] for n in nodes if n in group}
        joined = max(found.values(), key=lambda g: len(g[0]), default=(set(), set(), []))
        for other in found.values():
            if other is not joined:
                joined[0].update(other[0])
                joined[1].update(other[1])
                joined[2].extend(other[2])
                group.update(dict.fromkeys(other[0], joined))
        joined[0].update(nodes)
        joined[1].update(c for c in choices if isinstance(c, Side))
        joined[2].append(cost)
        group.update(dict.fromkeys(nodes, joined))
    return list({id(g): g for g in group.values()}.values())


def _cut(costs: Sequence[Cost]) -> set[Any]:
    """The nodes on the sink's side, channels last, of a minimum cut."""
    import networkx as nx  # a quarter of a second to import, and only models with a choice need it

    network: nx.DiGraph[Any] = nx.DiGraph()
    network.add_nodes_from(Side)

    def pay(left: Any, right: Any, capacity: int | None) -> None:
        """Cutting left -> right (left channels first, right channels last) costs ``capacity``; None: it may not be."""
        if left is right:
            return
        if capacity is None:
            network.add_edge(left, right)
        elif not network.has_edge(left, right):
            network.add_edge(left, right, capacity=capacity)
        elif "capacity" in network[left][right]:
            network[left][right]["capacity"] += capacity

    for cost in costs:
        readers = [choice for choice in cost.read if choice is not None]
        to_last, to_first = (cost.value, Side.LAST), (cost.value, Side.FIRST)
        pay(cost.made, to_last, cost.bytes)
        pay(to_first, cost.made, cost.bytes)
        for reader in readers:
            pay(to_last, reader, None)
            pay(reader, to_first, None)
    _, (_, last) = nx.minimum_cut(network, Side.FIRST, Side.LAST)
    return set(last)
