"""Scales of channels before a pointwise convolution (squeeze and excite): the convolution takes them itself."""

from __future__ import annotations

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Conv, Mul
from mconv.ir.record import Record

from .. import packing
from ..net import Net

INTO_WEIGHTS, INTO_X = 1, 2
"""What is scaled: a copy of a panel of weights, or a copy of a block of x."""


class Scaled(Record):
    """x [N, C, H, W] times ``scale`` [N, C, 1, 1], made by ``node``."""

    node: Node
    x: Value
    scale: Value


def scaled(node: Node) -> Scaled | None:
    """The scaled image that a node makes, if it makes one."""
    if not isinstance(node.op, Mul) or node.result.type.dtype is not DType.F32 or node.result.type.rank != 4:
        return None
    for x, scale in (node.inputs, node.inputs[::-1]):
        wanted = (*node.result.type.shape[:2], 1, 1)
        if x.type == node.result.type and scale.type.shape == wanted and not (x.is_constant or scale.is_constant):
            return Scaled(node, x, scale)
    return None


def is_left_to_reader(node: Node, net: Net) -> bool:
    """Whether the only reader is a pointwise convolution, which will scale while it multiplies."""
    found = scaled(node)
    reader = net.sole_reader(node.result)
    if found is None or reader is None or found.x.type.static_shape[2:] == (1, 1):
        return False
    return is_pointwise(reader) and reader.inputs[0] is node.result and node.result.type.shape[0] == 1


def is_pointwise(node: Node) -> bool:
    """Whether a node is a 1x1 convolution that is a product of matrices."""
    op = node.op
    if not isinstance(op, Conv) or op.groups != 1 or not node.inputs[1].is_constant or node.inputs[0].type.rank != 4:
        return False
    return node.inputs[1].type.shape[2:] == (1, 1) and set(op.strides) == {1} and not any(op.pads)


def of(value: Value, net: Net) -> Scaled | None:
    """The scale that was left to the reader of ``value``."""
    if value.producer is None or value.producer not in net.deferred:
        return None
    return scaled(value.producer)


def way(outputs: int, pixels: int) -> int:
    """What is cheaper to scale: the weights, where there are fewer outputs than pixels."""
    return INTO_WEIGHTS if outputs < pixels else INTO_X


def scratch(way: int, inputs: int, block: int) -> int:
    """Bytes of scratch for that copy."""
    lanes = packing.blocks_of(inputs) * packing.BLOCK
    return 4 * lanes * (packing.PANEL if way == INTO_WEIGHTS else block)
