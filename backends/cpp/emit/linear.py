"""Products with constant matrices in f32: the channels are the last axis, everything before it is pixels."""

from __future__ import annotations

from mconv.ir import Node
from mconv.ir.ops import Linear

from .. import packing
from ..backend import cpp
from ..choose import pointwise_algorithm
from ..net import Net
from ..step import Rows
from . import epilogue
from .common import at_image, each_image
from .conditions import constant, f32
from .conv import bias_of, pointwise_shape, strassen


@cpp.faster(Linear, where=(f32, constant("w", "b")))
def linear(node: Node, net: Net) -> None:
    """A pointwise convolution of tokens."""
    value = node.inputs[0]
    axis = value.type.rank - 1
    outputs, inputs = node.inputs[1].type.static_shape
    after = epilogue.of(node, net, axis)
    x = net.blocked(value, axis)
    y = epilogue.result_of(after, node, net, axis)
    bias = bias_of(node.operand("b"), net)
    found = x.images()
    assert found is not None
    images, step, pixels = found
    if not net.exact and pointwise_algorithm(inputs, outputs, pixels) == "strassen":
        weights, block, scratch = strassen(net, node.inputs[1], inputs, outputs, pixels)
        name, fragment = "pointwise_strassen", "strassen"
    else:
        weights, block, scratch = net.packed(node.inputs[1], packing.pack_pointwise), 0, 0
        block = packing.gemm_block(inputs, outputs, pixels)
        name, fragment = "pointwise", "gemm"
    pointers = f"{at_image(net, x, images, step)}, {net.ptr(weights)}, {after.side(net, bias, images)}"
    call = each_image(images, f"{name}(r, s, {pointers}, {at_image(net, y, images)}, 0, 1);")
    text = f"{pointwise_shape(inputs, outputs, pixels, block, after)}\n{call}"
    reads = [x, weights, *after.reads, *([bias] if bias is not None else [])]
    net.step(
        text,
        reads,
        [y],
        needs=[fragment],
        scratch=scratch,
        covers=after.covers,
        stream=Rows(1, y, x, (), after.residual),
    )
