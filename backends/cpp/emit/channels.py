"""Concatenations, splits and shuffles of channels that are no whole blocks: the channels stay where they are."""

from __future__ import annotations

from mconv.ir import DType, Node
from mconv.ir.ops import ChannelShuffle, Concat, Split

from .. import scatter
from ..backend import cpp
from ..net import Net
from ..scatter import Scattered
from ..view import BLOCK
from . import movement, padding
from .conv import CHANNELS
from .scale import is_pointwise


def one_image(node: Node) -> bool:
    """along the channels of one f32 image, not in whole blocks"""
    op, t = node.op, node.result.type
    if t.dtype is not DType.F32 or t.rank != 4 or t.shape[0] != 1:
        return False
    if isinstance(op, ChannelShuffle):
        return True
    assert isinstance(op, Concat | Split)
    parts = node.inputs if isinstance(op, Concat) else node.results
    return op.axis == CHANNELS and any(v.type.static_shape[CHANNELS] % BLOCK for v in parts[:-1])


@cpp.faster(Concat, Split, ChannelShuffle, where=(one_image,))
def leave_channels(node: Node, net: Net) -> None:
    """Only tell where the channels are, where all lie in blocks already."""
    sources = [scatter.of(v, net) for v in node.inputs]
    found = [s for s in sources if s is not None]
    if len(found) < len(sources) or not _serves(node, net):
        _general(node, net)
        return
    op = node.op
    if isinstance(op, Concat):
        places = tuple(place for s in found for place in s.places)
        net.scattered[node.result] = Scattered(node.result.type.static_shape, places)
    elif isinstance(op, ChannelShuffle):
        old = found[0].places
        size = len(old) // op.groups
        places = tuple(old[g * size + i] for i in range(size) for g in range(op.groups))
        net.scattered[node.result] = Scattered(found[0].shape, places)
    else:
        assert isinstance(op, Split)
        begin = 0
        for result, size in zip(node.results, op.sizes, strict=True):
            net.scattered[result] = Scattered(result.type.static_shape, found[0].places[begin : begin + size])
            begin += size


def _serves(node: Node, net: Net) -> bool:
    """Whether results go to pointwise convolutions, or are moved on like this."""
    readers = [reader for result in node.results for reader in result.readers]
    moves = (Concat, Split, ChannelShuffle)
    return any(is_pointwise(r) or (isinstance(r.op, moves) and one_image(r)) for r in readers)


def _general(node: Node, net: Net) -> None:
    if isinstance(node.op, Concat):
        movement.concat(node, net)
    elif isinstance(node.op, Split):
        movement.split(node, net)
    else:
        padding.channel_shuffle(node, net)
