"""Channel shuffles go into the weights of what reads the shuffled channels.

A shuffle between Concat and Split, as in ShuffleNet, only decides which channels go where. Followed through those
three, every later value is a list of channels of earlier ones. What reads such a value and can take its channels in any
order (a convolution, whose weights are reordered instead; what treats each channel alike) gets them joined in the order
in which they lie, as a few runs; no channel is moved one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mconv.ir import Graph, Node, Op, Value
from mconv.ir.ops import AveragePool, ChannelShuffle, Concat, Conv, MaxPool, ReduceMean, Slice, Split
from mconv.ir.record import Record

from ..base import Context

MAX_RUNS = 16
"""A value is joined from at most so many runs of channels; of more, the shuffle is cheaper."""

Channel = tuple[Value, int]
"""One channel: of which value, and its place there."""


class DissolveShuffles(Record):
    """Follow channels through shuffles; all shuffles of a graph go, or none.

    For targets that run channels last, where a shuffle moves single elements.
    """

    name: str = "dissolve channel shuffles"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite in place; the number of nodes that read their channels in another order."""
        if context.target is None or context.target.layout != "channels last":
            return 0
        if not any(isinstance(node.op, ChannelShuffle) for node in graph.nodes):
            return 0
        readers = _followed(graph)
        if readers is None:
            return 0
        _rewrite(graph, readers, context)
        return len(readers)


def _followed(graph: Graph) -> dict[Node, list[Channel]] | None:
    """The nodes that read shuffled channels, and which in what order; None where one of them cannot take them."""
    lists: dict[Value, list[Channel]] = {}
    readers: dict[Node, list[Channel]] = {}
    for node in graph.nodes:
        if _moves_channels(node, lists):
            lists.update(zip(node.results, _moved(node, lists), strict=True))
            continue
        if not any(v in lists for v in node.inputs):
            continue
        channels = lists.get(node.inputs[0], [])
        if sum(v in lists for v in node.inputs) > 1 or not channels or len(_runs(channels)) > MAX_RUNS:
            return None
        if len(set(channels)) < len(channels) or not (_weighs(node) or _treats_alike(node)):
            return None
        readers[node] = channels
        if _treats_alike(node):
            places = _places(channels)
            lists[node.result] = [(node.result, places[channel]) for channel in channels]
    return None if any(v in lists for v in graph.outputs) else readers


def _moves_channels(node: Node, lists: dict[Value, list[Channel]]) -> bool:
    op = node.op
    if any(not v.type.is_static or v.type.rank < 3 or v.is_constant for v in (*node.inputs, *node.results)):
        return False
    if isinstance(op, Concat) and op.axis == 1:
        shuffled = any(isinstance(reader.op, ChannelShuffle) for reader in node.result.readers)
        return shuffled or any(v in lists for v in node.inputs)
    return isinstance(op, ChannelShuffle) or (isinstance(op, Split) and op.axis == 1 and node.inputs[0] in lists)


def _moved(node: Node, lists: dict[Value, list[Channel]]) -> list[list[Channel]]:
    """The channels of each result of a Concat, Split or ChannelShuffle."""
    op: Any = node.op
    given = [lists.get(v) or [(v, i) for i in range(v.type.static_shape[1])] for v in node.inputs]
    if isinstance(op, Concat):
        return [[channel for part in given for channel in part]]
    (channels,) = given
    if isinstance(op, Split):
        ends = np.cumsum(op.sizes)
        return [channels[end - size : end] for end, size in zip(ends, op.sizes, strict=True)]
    order = np.arange(len(channels)).reshape(op.groups, -1).T.reshape(-1)
    return [[channels[i] for i in order]]


def _weighs(node: Node) -> bool:
    """True for a convolution that sums over all channels, with weights that can be reordered."""
    op = node.op
    return isinstance(op, Conv) and op.groups == 1 and node.inputs[1].is_constant


def _treats_alike(node: Node) -> bool:
    """True where channel i of the result depends on channel i of the operand alone."""
    op = node.op
    if isinstance(op, Conv):
        w, b = node.inputs[1], node.operand("b")
        alone = op.groups == w.type.shape[0] and w.type.shape[1] == 1
        return alone and w.is_constant and (b is None or b.is_constant)
    if isinstance(op, MaxPool | AveragePool):
        return True
    if isinstance(op, ReduceMean):
        return op.keepdims and op.axes is not None and not {0, 1} & set(op.axes)
    return op.elementwise and len(node.inputs) == 1


def _runs(channels: Sequence[Channel]) -> list[tuple[Value, int, int]]:
    """The channels as runs, value, start and end, value by value in the order in which they lie."""
    runs: list[tuple[Value, int, int]] = []
    first: dict[Value, int] = {}
    for value, _ in channels:
        first.setdefault(value, len(first))
    for value, place in sorted(channels, key=lambda c: (first[c[0]], c[1])):
        if runs and runs[-1][0] is value and runs[-1][2] == place:
            runs[-1] = (value, runs[-1][1], place + 1)
        else:
            runs.append((value, place, place + 1))
    return runs


def _places(channels: Sequence[Channel]) -> dict[Channel, int]:
    """Where each channel stands when the runs are joined."""
    places: dict[Channel, int] = {}
    for value, start, end in _runs(channels):
        for place in range(start, end):
            places[value, place] = len(places)
    return places


def _rewrite(graph: Graph, readers: dict[Node, list[Channel]], context: Context) -> None:
    renewed: dict[Value, Value] = {}
    joined: dict[tuple[tuple[Value, int, int], ...], Value] = {}
    for node, channels in readers.items():
        runs = tuple(_runs(channels))
        if runs not in joined:
            joined[runs] = _joined(graph, [(renewed.get(v, v), start, end) for v, start, end in runs], node)
        places = _places(channels)
        order = np.argsort([places[channel] for channel in channels])  # which logical channel stands at each place
        made = graph.add(
            node.op, _operands(graph, node, joined[runs], order), name=node.name, origin=node.origin, at=node
        )
        context.record("dissolve channel shuffles", made)
        if _treats_alike(node):
            renewed[node.result] = made.result
        else:
            graph.replace(node.result, made.result)
    for node in reversed(graph.nodes):
        if all(not v.uses and not graph.is_output(v) for v in node.results):
            graph.remove(node)


def _joined(graph: Graph, runs: Sequence[tuple[Value, int, int]], at: Node) -> Value:
    parts: list[Value] = []
    for value, start, end in runs:
        whole = (start, end) == (0, value.type.shape[1])
        cut: Op = Slice((start,), (end,), (1,), (1,))
        parts.append(value if whole else graph.add(cut, [value], origin=at.origin, at=at).result)
    return parts[0] if len(parts) == 1 else graph.add(Concat(1), parts, origin=at.origin, at=at).result


def _operands(graph: Graph, node: Node, x: Value, order: np.ndarray[Any, Any]) -> list[Value | None]:
    """The node's operands, with the constants of a convolution in the order of x's channels."""
    if not isinstance(node.op, Conv):
        return [x, *node.operands[1:]]
    w, b = node.inputs[1], node.operand("b")
    if _treats_alike(node):
        bias = None if b is None else graph.add_constant(b.constant[order], b.name)
        return [x, graph.add_constant(w.constant[order], w.name), bias]
    return [x, graph.add_constant(w.constant[:, order], w.name), b]


DISSOLVE_SHUFFLES = DissolveShuffles()
