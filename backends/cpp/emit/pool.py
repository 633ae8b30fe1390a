"""Pooling of blocked images in f32."""

from __future__ import annotations

from mconv.ir import Node
from mconv.ir.ops import AveragePool, MaxPool, ReduceMean

from ..backend import cpp
from ..net import Net
from ..step import Rows, Source
from .conv import CHANNELS, images
from .epilogue import NO_ACTIVATION


@cpp.faster(MaxPool, AveragePool, where=(images,))
def pool(node: Node, net: Net) -> None:
    """Windows over blocked images."""
    op = node.op
    assert isinstance(op, MaxPool | AveragePool)
    x = net.blocked(node.inputs[0], CHANNELS)
    y = net.result(node.result, CHANNELS)
    count, channels, height, width = node.inputs[0].type.static_shape
    _, _, rows, columns = node.result.type.static_shape
    a = NO_ACTIVATION
    post = f"{{{a.low}, {a.high}, ACT_NONE, 0, 0, 0, 0, 0}}"
    shape = (
        f"static const Conv2d s{{/*c, k*/ {channels}, {channels}, "
        f"/*h, w, oh, ow*/ {height}, {width}, {rows}, {columns},\n"
        f"                     /*kh, kw*/ {op.kernel[0]}, {op.kernel[1]}, /*sy, sx*/ {op.strides[0]}, {op.strides[1]}, "
        f"/*dy, dx*/ {op.dilations[0]}, {op.dilations[1]}, /*py, px*/ {op.pads[0]}, {op.pads[1]},\n"
        f"                     /*xs, ys*/ $xs, $ys, /*rings*/ $xring, $yring, "
        f"/*band, chunk*/ 0, 0, {post}}};"
    )
    many = count > 1
    x_at = net.ptr(x) + (f" + n * {x.strides[0]}" if many else "")
    y_at = net.ptr(y) + (f" + n * {y.strides[0]}" if many else "")
    loop = f"for (int64_t n = 0; n < {count}; n++) " if many else ""
    if isinstance(op, MaxPool):
        call = f"max_pool(r, s, {x_at}, {y_at}, $y0, $y1);"
    else:
        divisor = op.kernel[0] * op.kernel[1] if op.count_include_pad else 0
        call = f"average_pool(r, s, {divisor}, {x_at}, {y_at}, $y0, $y1);"
    span = (op.kernel[0] - 1) * op.dilations[0] + 1
    sources = () if many else (Source(x, height, op.strides[0], op.pads[0], span),)
    net.step(f"{shape}\n{loop}{call}", [x], [y], needs=["pooling"], stream=Rows(rows, y, x, sources))


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
    many = count > 1
    loop = f"for (int64_t n = 0; n < {count}; n++) " if many else ""
    x_at = net.ptr(x) + (f" + n * {x.strides[0]}" if many else "")
    y_at = net.ptr(y) + (f" + n * {y.strides[0]}" if many else "")
    call = f"global_average(r, {channels}, {height * width}, {x.block_stride}, {y.block_stride}, {x_at}, {y_at});"
    net.step(f"{loop}{call}", [x], [y], needs=["pooling"])
