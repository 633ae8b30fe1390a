"""Convolutions of images in f32 by the fast kernels: pointwise, dense, depthwise."""

from __future__ import annotations

import math
from functools import partial

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Conv, ConvTranspose

from .. import channels, packing
from ..backend import cpp
from ..choose import is_stem, pointwise_algorithm, winograd_tile
from ..net import Net
from ..step import Rows, Source
from ..view import BLOCK, Buffer, View
from . import epilogue, scale
from .common import at_image, braced, each_image
from .conditions import constant
from .epilogue import Epilogue

CHANNELS = 1
"""The axis of the channels."""
PLANAR_CHANNELS = 4
"""An image of at most so many channels that lies planar is read as it lies."""


def images(node: Node) -> bool | str:
    """x is an f32 image of two spatial axes, channels first"""
    x = node.inputs[0].type
    if x.dtype is not DType.F32 or x.rank != 4:
        return f"x is {x}"
    return not getattr(node.op, "channels_last", False)


def whole_or_depthwise(node: Node) -> bool | str:
    """there is one group, or a group a channel"""
    op, weight = node.op, node.inputs[1].type.static_shape
    assert isinstance(op, ConvTranspose)
    whole = op.groups == 1 or (op.groups == weight[0] and weight[1] == 1)
    return whole or f"{op.groups} groups of {weight[0] // op.groups} channels"


@cpp.faster(Conv, where=(images, constant("w", "b")))
def convolution(node: Node, net: Net) -> None:
    """The kernel that fits, with what follows fused into it."""
    assert isinstance(node.op, Conv)
    op = node.op
    weight = node.inputs[1].constant
    outputs, inputs = weight.shape[:2]
    if op.groups > 1 and op.groups == outputs and inputs == 1:
        depthwise(node, net)
    elif op.groups > 1:
        grouped(node, net)
    elif scale.is_pointwise(node):
        pointwise(node, net)
    elif is_pointwise_apart(node):
        pointwise(node, net, thinned(node, net))
    else:
        dense(node, net)


class Layer:
    """What all kernels for a convolution share: views of operands and result, what follows, the shape struct."""

    def __init__(self, node: Node, net: Net, *, planar: bool = False, x: View | None = None) -> None:
        assert isinstance(node.op, Conv | ConvTranspose)
        self.node, self.net, self.op = node, net, node.op
        self.after = epilogue.of(node, net, CHANNELS)
        self.x = x or (net.planar(node.inputs[0]) if planar else net.blocked(node.inputs[0], CHANNELS))
        self.bias = bias_of(node.operand("b"), net)
        self.y = epilogue.result_of(self.after, node, net, CHANNELS)
        self.planar = planar
        _, self.inputs, self.height, self.width = self.x.shape
        self.images, self.outputs, self.rows, self.columns = node.result.type.static_shape
        # a pointwise convolution reads pixel by pixel, also where its strides have been seen to beforehand
        self.stride = 1 if self.x.shape[2:] == (self.rows, self.columns) else node.op.strides[0]

    def shape(self, band: int = 0, chunk: int = 0, channels: tuple[int, int] | None = None) -> str:
        """C++ for the struct Conv2d."""
        inputs, outputs = channels or (self.inputs, self.outputs)
        weight, op = self.node.inputs[1].type.static_shape, self.op
        xs = self.height * self.width if self.planar else "$xs"
        sizes = (inputs, outputs, self.height, self.width, self.rows, self.columns)
        windows = (weight[2:], op.strides, op.dilations, op.pads[:2])
        return window_shape(sizes, windows, xs, (band, chunk), self.after.post())

    def window(self, alone: bool) -> Rows:
        """Which rows of x a row of the result needs; with ``alone`` false it is made with all others only."""
        kernel = self.node.inputs[1].type.static_shape[2]
        span = (kernel - 1) * self.op.dilations[0] + 1
        source = Source(self.x, self.height, self.stride, self.op.pads[0], span)
        return Rows(self.rows, self.y, self.x, (source,) if alone and self.images == 1 else (), self.after.residual)

    def add(
        self,
        text: str,
        weights: View,
        *,
        needs: tuple[str, ...],
        scratch: int = 0,
        rows_alone: bool = True,
        reads: tuple[View, ...] = (),
        covers: tuple[Node, ...] = (),
    ) -> None:
        """Add the step: ``text`` with @x, @y, @w and @side is the call for one image."""
        net = self.net
        pointers = {
            "@x": at_image(net, self.x, self.images),
            "@y": at_image(net, self.y, self.images),
            "@w": net.ptr(weights),
            "@side": self.after.side(net, self.bias, self.images),
        }
        lines = text.splitlines()
        call = lines[-1]
        for name, pointer in pointers.items():
            call = call.replace(name, pointer)
        call = each_image(self.images, call)
        read = [self.x, weights, *reads, *self.after.reads, *([self.bias] if self.bias is not None else [])]
        net.step(
            "\n".join([*lines[:-1], call]),
            read,
            [self.y],
            needs=needs,
            scratch=scratch,
            covers=(*covers, *self.after.covers),
            stream=self.window(rows_alone),
        )


def window_shape(
    sizes: tuple[int, ...],
    windows: tuple[tuple[int, ...], ...],
    xs: object = "$xs",
    plan: tuple[int, int] = (0, 0),
    post: str = "{}",
) -> str:
    """C++ for the struct Conv2d: channels in and out, sizes in and out; kernel, strides, dilations and pads."""
    numbers = [*sizes, *(n for pair in windows for n in pair), xs, "$ys", "$xring", "$yring", *plan, post]
    return f"static const Conv2d s{braced(numbers)};"


def bias_of(value: Value | None, net: Net) -> View | None:
    """The bias in the kernels' order, the last block filled up."""
    return None if value is None else net.constant(packing.pack_vector(value.constant).reshape(-1))


def is_pointwise_apart(node: Node) -> bool:
    """Whether a node is a 1x1 convolution of every so manieth pixel of a whole block of channels or more."""
    op, weight = node.op, node.inputs[1].type.static_shape
    assert isinstance(op, Conv)
    return op.groups == 1 and weight[2:] == (1, 1) and weight[1] >= BLOCK and not any(op.pads)


def thinned(node: Node, net: Net) -> View:
    """The pixels that a convolution of strides with a window of one reads, together: so it is a product like any other,
    which saves more than the copy costs.
    """
    op = node.op
    assert isinstance(op, Conv)
    count, inputs, height, width = node.inputs[0].type.static_shape
    rows, columns = node.result.type.static_shape[2:]
    x, y = net.blocked(node.inputs[0], CHANNELS), net.fresh(DType.F32, (count, inputs, rows, columns), CHANNELS)
    shape = window_shape((inputs, inputs, height, width, rows, columns), ((1, 1), op.strides, (1, 1), (0, 0)))
    call = each_image(count, f"max_pool(r, s, {at_image(net, x, count)}, {at_image(net, y, count)}, $y0, $y1);")
    sources = () if count > 1 else (Source(x, height, op.strides[0]),)
    net.step(f"{shape}\n{call}", [x], [y], needs=["pooling"], what="pixels", stream=Rows(rows, y, x, sources))
    return y


def pointwise(node: Node, net: Net, x: View | None = None) -> None:
    """A 1x1 convolution: one product of matrices. A scale of x's channels that was left to it goes in."""
    apart = channels.single(net.apart[node.inputs[0]]) if x is None and net.is_apart(node.inputs[0]) else None
    if apart is not None:
        gathered(node, net, apart)
        return
    scaled = scale.of(node.inputs[0], net)
    layer = Layer(node, net, x=net.blocked(scaled.x, CHANNELS) if scaled else x)
    if 0 < layer.outputs % BLOCK <= BLOCK // 2:
        net.define("MCONV_HALF_BLOCKS")
    weights = net.packed(node.inputs[1], packing.pack_pointwise)
    pixels = layer.height * layer.width
    block = packing.gemm_block(layer.inputs, layer.outputs, pixels)
    way = scale.way(layer.outputs, pixels) if scaled else 0
    shape = pointwise_shape(layer.inputs, layer.outputs, layer.width, block, layer.after, way)
    plain = scaled is None and (net.exact or pointwise_algorithm(layer.inputs, layer.outputs, pixels) == "plain")
    if scaled is None and not plain:
        made, block, scratch_bytes = strassen(net, node.inputs[1], layer.inputs, layer.outputs, pixels)
        shape = pointwise_shape(layer.inputs, layer.outputs, layer.width, block, layer.after)
        text = f"{shape}\npointwise_strassen(r, s, @x, @w, @side, @y, $y0, $y1);"
        layer.add(text, made, needs=("strassen",), scratch=scratch_bytes, rows_alone=False)
        return
    if scaled is None:
        layer.add(f"{shape}\npointwise(r, s, @x, @w, @side, @y, $y0, $y1);", weights, needs=("gemm",))
        return
    factors = net.blocked(scaled.scale, CHANNELS)
    text = f"{shape}\npointwise_scaled(r, s, @x, {net.ptr(factors)}, @w, @side, @y, $y0, $y1);"
    scratch = scale.scratch(way, layer.inputs, block)
    layer.add(text, weights, needs=("gemm",), scratch=scratch, reads=(factors,), covers=(scaled.node,))


def gathered(node: Node, net: Net, places: tuple[tuple[Buffer, int], ...]) -> None:
    """A 1x1 convolution of an image whose channels lie apart: it reads them by a table."""
    outputs, inputs = node.inputs[1].type.static_shape[:2]
    pixels = math.prod(node.result.type.static_shape[2:])
    after = epilogue.of(node, net, CHANNELS)
    bias = bias_of(node.operand("b"), net)
    weights = net.packed(node.inputs[1], packing.pack_pointwise)
    y = epilogue.result_of(after, node, net, CHANNELS)
    entries = [net.place(buffer, offset * 4) for buffer, offset in places]
    table = ",\n    ".join(", ".join(entries[i : i + 12]) for i in range(0, len(entries), 12))
    shape = pointwise_shape(inputs, outputs, pixels, packing.gemm_block(inputs, outputs, pixels), after)
    text = (
        f"static const ptrdiff_t off[] = {{{table}}};\n{shape}\n"
        f"pointwise_gathered(r, s, arena<float>(r, 0), off, {net.ptr(weights)}, {after.side(net, bias)}, "
        f"{net.ptr(y)});"
    )
    reads: list[View | Buffer] = [*dict.fromkeys(buffer for buffer, _ in places), weights, *after.reads]
    reads += [] if bias is None else [bias]
    rows = Rows(1, y, y, (), after.residual)
    net.step(text, reads, [y], needs=["gather"], covers=after.covers, stream=rows)


def strassen(net: Net, weight: Value, inputs: int, outputs: int, pixels: int) -> tuple[View, int, int]:
    """Weights for a product by seven products of halves, pixels of a cache block, bytes of scratch."""
    packed = net.packed(weight, packing.pack_pointwise)
    nbytes = 7 * (inputs // 2) * (outputs // 2) * 4
    made = net.prepare(packed, nbytes, lambda source, made: f"strassen_weights({inputs}, {outputs}, {source}, {made});")
    block, scratch = packing.strassen_plan(inputs, pixels)
    return View(made, DType.F32, (nbytes // 4,), (1,)), block, scratch * 4


def pointwise_shape(inputs: int, outputs: int, width: int, block: int, after: Epilogue, scale: int = 0) -> str:
    """C++ for the struct Pointwise."""
    return (
        f"static const Pointwise s{{{inputs}, {outputs}, {width}, $xs, $ys, $xring, $yring, "
        f"{block}, {scale}, {after.post()}}};"
    )


def dense(node: Node, net: Net) -> None:
    """A convolution of any window; the first of a network reads the planar input as it lies."""
    x = node.inputs[0]
    planar = x.type.static_shape[1] <= PLANAR_CHANNELS and any(v.is_dense for v in net.views(x))
    layer = Layer(node, net, planar=planar)
    op = layer.op
    weight = node.inputs[1].type.static_shape
    tile = winograd_tile(
        layer.inputs, layer.outputs, (layer.rows, layer.columns), _two(weight[2:]), _two(op.strides), _two(op.dilations)
    )
    if tile and not planar and not net.exact:
        winograd(layer, tile)
        return
    if (
        planar
        and not net.exact
        and is_stem(layer.inputs, layer.outputs, _two(weight[2:]), _two(op.strides), _two(op.dilations))
    ):
        stem(layer)
        return
    plan = packing.conv2d_plan(
        layer.inputs,
        (layer.rows, layer.columns),
        (weight[2], weight[3]),
        (op.strides[0], op.strides[1]),
        (op.dilations[0], op.dilations[1]),
        planar,
    )
    weights = net.packed(node.inputs[1], packing.pack_planar if planar else packing.pack_dense)
    name = "conv2d_planar" if planar else "conv2d"
    text = f"{layer.shape(plan.band, plan.chunk)}\n{name}(r, s, @x, @w, @side, @y, $y0, $y1);"
    layer.add(text, weights, needs=("direct",), scratch=plan.scratch * 4)


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = sizes
    return rows, columns


def winograd(layer: Layer, tile: int) -> None:
    """A 3x3 convolution by tiles of so many results a side; the weights are transformed when a model is created."""
    net, inputs, outputs = layer.net, layer.inputs, layer.outputs
    packed = net.packed(layer.node.inputs[1], packing.pack_winograd)
    nbytes = (tile + 2) ** 2 * inputs * packing.blocks_of(outputs) * BLOCK * 4
    transformed = net.prepare(
        packed, nbytes, lambda source, made: f"winograd_weights<{tile}>({inputs}, {outputs}, {source}, {made});"
    )
    plan = packing.winograd_plan(tile, inputs, outputs, (layer.rows, layer.columns))
    text = f"{layer.shape(plan.band, plan.chunk)}\nwinograd<{tile}>(r, s, @x, @w, @side, @y, $y0, $y1);"
    weights = View(transformed, DType.F32, (nbytes // 4,), (1,))
    layer.add(text, weights, needs=("winograd",), scratch=plan.scratch * 4, rows_alone=False)


def stem(layer: Layer) -> None:
    """A large window that moves by two over a planar image, by F(4x4, 4x4)."""
    net, inputs, outputs, value = layer.net, layer.inputs, layer.outputs, layer.node.inputs[1]
    rows, columns = _two(value.type.static_shape[2:])
    nbytes = packing.STEM_POINTS * 4 * inputs * packing.blocks_of(outputs) * BLOCK * 4
    sizes = f"{inputs}, {outputs}, {rows}, {columns}"
    transformed = net.prepare(
        net.packed(value, packing.pack_planar), nbytes, lambda source, made: f"stem_weights({sizes}, {source}, {made});"
    )
    plan = packing.stem_plan(inputs, (layer.rows, layer.columns))
    text = f"{layer.shape(plan.band, plan.chunk)}\nstem(r, s, @x, @w, @side, @y, $y0, $y1);"
    layer.add(text, View(transformed, DType.F32, (nbytes // 4,), (1,)), needs=("stem",), scratch=plan.scratch * 4)


def depthwise(node: Node, net: Net) -> None:
    """A filter for each channel."""
    layer = Layer(node, net)
    op = layer.op
    width = node.inputs[1].type.static_shape[3]
    special = width in (3, 5, 7) and op.strides[1] in (1, 2) and op.dilations[1] == 1 and op.pads[1] < width
    name = f"depthwise<{width}, {op.strides[1]}>" if special else "depthwise_any"
    weights = net.packed(node.inputs[1], packing.pack_depthwise)
    layer.add(f"{layer.shape()}\n{name}(r, s, @x, @w, @side, @y, $y0, $y1);", weights, needs=("depthwise",))


def grouped(node: Node, net: Net) -> None:
    """Groups wider than one channel: whole blocks, a few lanes of a block each, or any."""
    layer = Layer(node, net)
    op, value = layer.op, node.inputs[1]
    outputs, width, rows, columns = value.type.static_shape
    groups, each = op.groups, outputs // op.groups
    kernel, stride, dilation = (rows, columns), _two(op.strides), _two(op.dilations)
    result = (layer.rows, layer.columns)
    special = (
        columns in (3, 5, 7) and stride[1] in (1, 2) and dilation[1] == 1 and max(op.pads[1], op.pads[3]) < columns
    )
    if width % BLOCK == 0 and each % BLOCK == 0:
        plan = packing.conv2d_plan(width, result, kernel, stride, dilation)
        call = f"conv2d_groups(r, s, {groups}, @x, @w, @side, @y, $y0, $y1);"
        weights = net.packed(value, partial(packing.pack_groups, groups=groups), name=f"groups {groups}")
        shape = layer.shape(plan.band, plan.chunk, channels=(width, each))
        layer.add(f"{shape}\n{call}", weights, needs=("grouped",), scratch=plan.scratch * 4)
    elif width == each and width in (2, 4, 8) and special:
        call = f"conv2d_lanes<{width}, {columns}, {stride[1]}>(r, s, @x, @w, @side, @y, $y0, $y1);"
        layer.add(f"{layer.shape()}\n{call}", net.packed(value, packing.pack_lanes), needs=("grouped",))
    else:
        plan = packing.grouped_plan(layer.inputs, outputs, groups, result, kernel, stride, dilation)
        call = f"conv2d_grouped(r, s, {groups}, @x, @w, @side, @y, $y0, $y1);"
        weights = net.packed(value, partial(packing.pack_grouped, groups=groups), name=f"grouped {groups}")
        layer.add(
            f"{layer.shape(plan.band, plan.chunk)}\n{call}", weights, needs=("grouped",), scratch=plan.scratch * 4
        )


@cpp.faster(ConvTranspose, where=(images, constant("w", "b"), whole_or_depthwise))
def transposed(node: Node, net: Net) -> None:
    """A transposed convolution: a dense one for each remainder by the stride."""
    layer = Layer(node, net)
    op, value = layer.op, node.inputs[1]
    stride, dilation = _two(op.strides), _two(op.dilations)
    if op.groups > 1:
        call = "depthwise_transposed(r, s, @x, @w, @side, @y, $y0, $y1);"
        weights, scratch, shape = net.packed(value, packing.pack_depthwise), 0, layer.shape()
    else:
        kernel = _two(value.type.static_shape[2:])
        plan = packing.transposed_plan(layer.inputs, (layer.rows, layer.columns), kernel, stride, dilation)
        call = "conv2d_transposed(r, s, @x, @w, @side, @y, $y0, $y1);"
        pack = partial(packing.pack_transposed, stride=stride, dilation=dilation)
        weights = net.packed(value, pack, name=f"transposed {stride} {dilation}")
        scratch, shape = plan.scratch * 4, layer.shape(plan.band, plan.chunk)
    layer.add(f"{shape}\n{call}", weights, needs=("transposed",), scratch=scratch, rows_alone=False)
