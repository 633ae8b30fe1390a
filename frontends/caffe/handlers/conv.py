"""Products with weights: convolutions, their transposes, inner products, embeddings."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from ..node import CaffeNode, Param
from ..registry import caffe

MOST_AXES = 3


def per_axis(
    n: CaffeNode, p: Param, name: str, pair: tuple[str, str], axes: int, default: int | None
) -> tuple[int, ...]:
    """One number for each axis: of a field that repeats (once for all axes, or once for each), or of name_h, name_w."""
    given = p.all(name)
    if axes == 2 and (p.has(pair[0]) or p.has(pair[1])):
        n.require(not given, f"both {name} and {pair[0]}, {pair[1]}")
        return tuple(p.integer(each) if p.get(each) is not None or default is None else default for each in pair)
    if not given:
        n.require(default is not None, f"{name} is not given")
        return (default or 0,) * axes
    n.require(len(given) in (1, axes), f"{len(given)} {name} for {axes} axes")
    return tuple(int(g) for g in (given * axes if len(given) == 1 else given))


class _Window:
    """What Convolution and Deconvolution read alike."""

    def __init__(self, n: CaffeNode) -> None:
        p = self.p = n.param("convolution_param")
        axes = n.rank - 2
        n.refuse(n.axis(p.integer("axis")) != 1, "an axis of channels other than 1")
        n.refuse(not 1 <= axes <= MOST_AXES, f"a blob of {n.rank} axes")
        self.axes = axes
        self.kernel = per_axis(n, p, "kernel_size", ("kernel_h", "kernel_w"), axes, None)
        self.strides = per_axis(n, p, "stride", ("stride_h", "stride_w"), axes, 1)
        self.pads = per_axis(n, p, "pad", ("pad_h", "pad_w"), axes, 0) * 2
        self.dilations = per_axis(n, p, "dilation", ("", ""), axes, 1) if axes != 2 else _dilations(n, p)
        self.outputs = p.integer("num_output")
        self.bias = p.flag("bias_term")
        n.require(min(*self.kernel, *self.strides, *self.dilations, self.outputs) > 0, "a size is not positive")
        n.require(max(self.pads) < 1 << 20, f"pads {self.pads}")
        channels = n[0].type.shape[1]
        n.require(isinstance(channels, int), "the number of channels is not known")
        self.channels = int(str(channels))
        self.groups = self._groups(n)
        divides = self.groups > 0 and self.channels % self.groups == 0 and self.outputs % self.groups == 0
        n.require(
            divides, f"{self.channels} channels and {self.outputs} outputs do not divide into {self.groups} groups"
        )

    def _groups(self, n: CaffeNode) -> int:
        depthwise = n.type != "Convolution" and n.type != "Deconvolution"
        return self.channels if depthwise and not self.p.has("group") else self.p.integer("group")


def _dilations(n: CaffeNode, p: Param) -> tuple[int, ...]:
    given = p.all("dilation") or (1,)
    n.require(len(given) in (1, 2), f"{len(given)} dilation for 2 axes")
    return tuple(int(g) for g in (given * 2 if len(given) == 1 else given))


@caffe("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise", "DepthwiseConv", "ConvolutionDepthWise")
def convolution(n: CaffeNode, b: Builder) -> list[Value]:
    """A cross-correlation; the same for each bottom."""
    window = _Window(n)
    shape = (window.outputs, window.channels // window.groups, *window.kernel)
    w = n.weight(0, shape, "weight")
    bias = n.weight(1, (window.outputs,), "bias") if window.bias else None
    op = ops.Conv(window.strides, window.pads, window.dilations, window.groups)
    return [b.add(op, x, w, bias) for x in n.bottoms]


@caffe("Deconvolution", "DepthwiseDeconvolution", "DeconvolutionDepthwise")
def deconvolution(n: CaffeNode, b: Builder) -> list[Value]:
    """The transpose of a Convolution; the same for each bottom."""
    window = _Window(n)
    w = n.weight(0, (window.channels, window.outputs // window.groups, *window.kernel), "weight")
    bias = n.weight(1, (window.outputs,), "bias") if window.bias else None
    op = ops.ConvTranspose(window.strides, window.pads, window.dilations, window.groups)
    return [b.add(op, x, w, bias) for x in n.bottoms]


@caffe("InnerProduct")
def inner_product(n: CaffeNode, b: Builder) -> Value:
    """The axes from ``axis`` on as one vector, times a matrix."""
    n.takes(1)
    p = n.param("inner_product_param")
    axis, outputs, turned = n.axis(p.integer("axis")), p.integer("num_output"), p.flag("transpose")
    inner = n[0].type.with_shape(n[0].type.shape[axis:])
    n.require(inner.is_static and outputs > 0, f"the sizes from axis {axis} of {n[0].type}")
    inputs = math.prod(inner.static_shape)
    if turned:
        w = n.constant(np.ascontiguousarray(n.array(0, (inputs, outputs), "weight").T), f"{n.layer.name}_weight")
    else:
        w = n.weight(0, (outputs, inputs), "weight")
    bias = n.weight(1, (outputs,), "bias") if p.flag("bias_term") else None
    x, outer = n[0], n[0].type.shape[:axis]
    if axis != n.rank - 1 or axis == 0:
        x = b.add(ops.Flatten(axis), x)
    y = b.add(ops.Linear(), x, w, bias)
    if y.type.rank == axis + 1:
        return y
    sizes = n[0].type.with_shape(outer).static_shape
    return b.add(ops.Reshape((*sizes, outputs)), y)


@caffe("Padding")
def padding(n: CaffeNode, b: Builder) -> Value:
    """Zeros around a picture: a layer of its own in nets of the form V0."""
    n.takes(1)
    pad = n.param("padding_param").integer("pad")
    n.require(n.rank == 4 and pad < 1 << 20, f"{pad} zeros around {n[0].type}")
    return b.add(ops.Pad("constant", (0, 0, pad, pad) * 2), n[0])


@caffe("Embed")
def embed(n: CaffeNode, b: Builder) -> Value:
    """Row i of a table for each number i of the bottom."""
    n.takes(1)
    p = n.param("embed_param")
    outputs, inputs = p.integer("num_output"), p.integer("input_dim")
    table = n.weight(0, (inputs, outputs), "weight")
    y = b.add(ops.Gather(0), table, b.add(ops.Cast(DType.I64), n[0]))
    return b.add(ops.Add(), y, n.weight(1, (outputs,), "bias")) if p.flag("bias_term") else y


@caffe("Parameter")
def parameter(n: CaffeNode, b: Builder) -> Value:
    """Weights as they are."""
    n.takes(0)
    shape = n.param("parameter_param").param("shape").all("dim")
    return n.weight(0, shape, "bias")
