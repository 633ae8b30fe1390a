"""Channel shuffles that go into weights."""

from __future__ import annotations

import pytest

from mconv.ir import Value
from mconv.ir import ops as o
from mconv.passes.fold import RemoveDead
from mconv.passes.fuse.shuffle import DISSOLVE_SHUFFLES

from .graphs import B, Refusing, build, kinds, rewritten


class ChannelsLast(Refusing):
    layout = "channels last"


def conv(b: B, x: Value, channels: int) -> Value:
    return b.add(o.Conv((1, 1), (0, 0, 0, 0), (1, 1)), x, b.w(channels, x.type.static_shape[1], 1, 1), b.w(channels))


def depthwise(b: B, x: Value) -> Value:
    channels = x.type.static_shape[1]
    return b.add(o.Conv((1, 1), (1, 1, 1, 1), (1, 1), channels), x, b.w(channels, 1, 3, 3), b.w(channels))


def unit(b: B, left: Value, right: Value, groups: int = 2) -> tuple[Value, Value]:
    """What stands between two units of ShuffleNet v2: joined, shuffled, split."""
    both = b.add(o.ChannelShuffle(groups), b.add(o.Concat(1), left, right))
    half = both.type.static_shape[1] // 2
    first, second = b.add_all(o.Split(1, (half, half)), both)
    return first, second


def network(b: B, units: int) -> Value:
    left, right = b.x(1, 10, 6, 6), b.x(1, 10, 6, 6, name="x2")
    for _ in range(units):
        left, right = unit(b, left, right)
        right = b.add(o.Relu(), conv(b, depthwise(b, b.add(o.Relu(), conv(b, right, 10))), 10))
    joined = b.add(o.ChannelShuffle(2), b.add(o.Concat(1), left, right))
    pooled = b.add(o.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)), depthwise(b, joined))
    return b.add(o.ReduceMean((2, 3), False), b.add(o.Add(), conv(b, pooled, 4), conv(b, pooled, 4)))


@pytest.mark.parametrize("units", range(1, 6))
def test_no_shuffle_is_left_and_the_numbers_stay(units: int) -> None:
    graph = build(lambda b: network(b, units))
    rewritten(graph, [DISSOLVE_SHUFFLES, RemoveDead()], ChannelsLast())
    assert not {"ChannelShuffle", "Split", "Transpose", "Gather"} & set(kinds(graph))


def test_a_shuffle_that_leaves_the_graph_stays() -> None:
    graph = build(lambda b: b.add(o.ChannelShuffle(2), b.add(o.Concat(1), b.x(1, 4, 2, 2), b.x(1, 4, 2, 2, name="x2"))))
    rewritten(graph, [DISSOLVE_SHUFFLES, RemoveDead()], ChannelsLast())
    assert "ChannelShuffle" in kinds(graph)


def test_what_needs_the_order_keeps_the_shuffle() -> None:
    def make(b: B) -> Value:
        x = b.add(o.ChannelShuffle(2), b.add(o.Concat(1), b.x(1, 4, 2, 2), b.x(1, 4, 2, 2, name="x2")))
        return b.add(o.ReduceMean((1,), True), b.add(o.Add(), x, b.w(8, 1, 1)))

    graph = build(make)
    rewritten(graph, [DISSOLVE_SHUFFLES, RemoveDead()], ChannelsLast())
    assert "ChannelShuffle" in kinds(graph)


def test_other_targets_keep_their_shuffles() -> None:
    graph = build(lambda b: network(b, 2))
    rewritten(graph, [DISSOLVE_SHUFFLES, RemoveDead()], Refusing())
    assert kinds(graph).count("ChannelShuffle") == 3
