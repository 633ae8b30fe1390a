"""Shuffles of pixels and channels written as Reshape, Transpose, Reshape."""

from __future__ import annotations

from mconv.ir import Shape, Value
from mconv.ir.ops import ChannelShuffle, DepthToSpace, Reshape, SpaceToDepth, Transpose

from ..pattern import Match, pat
from ..rewrite import Add, rule

_CHAIN = pat(Reshape, pat(Transpose, pat(Reshape, "x", label="split"), label="turn"), label="join")


def _chain(m: Match) -> tuple[Shape, tuple[int, ...], Shape, Shape]:
    """Shape after the first reshape, the permutation, x's shape and the result's."""
    turn = m.node("turn").op
    assert isinstance(turn, Transpose)
    m.require(m.only_reader("split", "turn"), "an inner result is read elsewhere")
    return m.node("split").result.type.shape, turn.perm, m["x"].type.shape, m.root.result.type.shape


@rule(_CHAIN)
def recognize_channel_shuffle(m: Match, add: Add) -> Value:
    """Channels [g, C/g] turned to [C/g, g] are ChannelShuffle(x)."""
    split, perm, x, result = _chain(m)
    m.require(x == result and len(split) == len(x) + 1 and len(x) >= 3, "shapes of another movement")
    m.require(split[0] == x[0] and split[3:] == x[2:], "not only the channels are split")
    m.require(perm == (0, 2, 1, *range(3, len(split))), "another permutation")
    groups = split[1]
    m.require(isinstance(groups, int), "the groups are known only at run time")
    assert isinstance(groups, int)
    return add(ChannelShuffle(groups), m["x"])


@rule(_CHAIN)
def recognize_depth_to_space(m: Match, add: Add) -> Value:
    """[N, C, r, r, H, W] turned to [N, C, H, r, W, r] is DepthToSpace(x); likewise its DCR order."""
    split, perm, x, result = _chain(m)
    m.require(len(x) == 4 and len(split) == 6 and split[0] == x[0] and split[4:] == x[2:], "shapes of another movement")
    if perm == (0, 1, 4, 2, 5, 3):
        mode, channels, block = "CRD", split[1], split[2:4]
    else:
        m.require(perm == (0, 3, 4, 1, 5, 2), "another permutation")
        mode, channels, block = "DCR", split[3], split[1:3]
    m.require(block[0] == block[1] and isinstance(block[0], int), "the block is not square")
    assert isinstance(block[0], int)
    wanted = (x[0], channels, x[2] * block[0], x[3] * block[0])
    m.require(result == wanted, "the result is joined differently")
    return add(DepthToSpace(block[0], mode), m["x"])


@rule(_CHAIN)
def recognize_space_to_depth(m: Match, add: Add) -> Value:
    """[N, C, H, r, W, r] turned to [N, r, r, C, H, W] is SpaceToDepth(x)."""
    split, perm, x, result = _chain(m)
    m.require(len(x) == 4 and len(split) == 6 and split[:2] == x[:2], "shapes of another movement")
    m.require(perm == (0, 3, 5, 1, 2, 4), "another permutation")
    block = split[3]
    m.require(isinstance(block, int) and split[5] == block, "the block is not square")
    assert isinstance(block, int)
    m.require(result == (x[0], x[1] * (block * block), split[2], split[4]), "the result is joined differently")
    return add(SpaceToDepth(block), m["x"])


SHUFFLES = (recognize_channel_shuffle, recognize_depth_to_space, recognize_space_to_depth)
