"""Pooling of blocked images in f32."""

from __future__ import annotations

from mconv.ir import Node
from mconv.ir.ops import AveragePool, MaxPool, ReduceMean

from ..backend import cpp
from ..net import Net
from ..step import Rows, Source
from .common import at_image, each_image
from .conv import CHANNELS, images, window_shape


@cpp.faster(MaxPool, AveragePool, where=(images,))
def pool(node: Node, net: Net) -> None:
    """Windows over blocked images."""
    op = node.op
    assert isinstance(op, MaxPool | AveragePool)
    x = net.blocked(node.inputs[0], CHANNELS)
    y = net.result(node.result, CHANNELS)
    count, channels, height, width = node.inputs[0].type.static_shape
    _, _, rows, columns = node.result.type.static_shape
    sizes = (channels, channels, height, width, rows, columns)
    shape = window_shape(sizes, (op.kernel, op.strides, op.dilations, op.pads[:2]))
    x_at, y_at = at_image(net, x, count), at_image(net, y, count)
    if isinstance(op, MaxPool):
        call = f"max_pool(r, s, {x_at}, {y_at}, $y0, $y1);"
    else:
        divisor = op.kernel[0] * op.kernel[1] if op.count_include_pad else 0
        call = f"average_pool(r, s, {divisor}, {x_at}, {y_at}, $y0, $y1);"
    span = (op.kernel[0] - 1) * op.dilations[0] + 1
    sources = () if count > 1 else (Source(x, height, op.strides[0], op.pads[0], span),)
    net.step(f"{shape}\n{each_image(count, call)}", [x], [y], needs=["pooling"], stream=Rows(rows, y, x, sources))


def over_pixels(node: Node) -> bool:
    """the mean is that of all pixels of a channel"""
    return isinstance(node.op, ReduceMean) and node.op.axes is not None and sorted(node.op.axes) == [2, 3]


@cpp.faster(ReduceMean, where=(images, over_pixels))
def mean(node: Node, net: Net) -> None:
    """The mean over all pixels of blocked images."""
    op = node.op
    assert isinstance(op, ReduceMean)
    x = net.blocked(node.inputs[0], CHANNELS)
    count, channels, height, width = node.inputs[0].type.static_shape
    y = net.result(node.result, CHANNELS)
    x_at, y_at = at_image(net, x, count), at_image(net, y, count)
    call = f"global_average(r, {channels}, {height * width}, {x.block_stride}, {y.block_stride}, {x_at}, {y_at});"
    net.step(each_image(count, call), [x], [y], needs=["pooling"])
