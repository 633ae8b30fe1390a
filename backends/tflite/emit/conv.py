"""Convolutions over [N, *S, C].

Filters: CONV_2D [O, H, W, I], DEPTHWISE_CONV_2D [1, H, W, O], CONV_3D [D, H, W, I, O], TRANSPOSE_CONV [O, H, W, I].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node, TensorType, Value
from mconv.ir.ops import Conv, ConvTranspose
from mconv.ir.types import Array

from ..backend import tflite
from ..fused import FUSED
from ..net import Net
from .activation import carried
from .conditions import floats, rank, static
from .window import VALID, padded, padding_of, spatial


def positive_pads(node: Node) -> bool:
    """no pad is negative."""
    pads: tuple[int, ...] = node.op.pads  # type: ignore[attr-defined]
    return min(pads, default=0) >= 0


def groups_known(node: Node) -> bool | str:
    """of three spatial axes, there is one group."""
    op: Any = node.op
    return True if op.groups == 1 or node.inputs[0].type.rank == 4 else "CONV_3D has no groups"


def _bias(node: Node, net: Net) -> int:
    """The bias; zeros where there is none (kernels for integers and some delegates want one)."""
    b = node.operand("b")
    if b is not None:
        return net.tensor(b)
    channels = node.result.type.shape[-1]
    assert isinstance(channels, int)
    return net.constant(np.zeros(channels, np.float32), "zero_bias")


def _strides(op: Any) -> dict[str, int]:
    names = ("StrideH", "StrideW") if len(op.strides) == 2 else ("StrideD", "StrideH", "StrideW")
    return dict(zip(names, op.strides, strict=True))


def _dilations(op: Any) -> dict[str, int]:
    names = ("DilationHFactor", "DilationWFactor")
    if len(op.dilations) == 3:
        names = ("DilationDFactor", *names)  # type: ignore[assignment]
    return dict(zip(names, op.dilations, strict=True))


def filter_sizes_known(node: Node) -> bool:
    """the sizes of the filters are known."""
    return node.inputs[1].type.is_static


@tflite.emits(Conv, where=(floats, rank(4, 5), filter_sizes_known, positive_pads, groups_known), activation=FUSED)
def convolution(node: Node, net: Net) -> None:
    """CONV_2D (with groups: its filters are as narrow as a group), DEPTHWISE_CONV_2D, CONV_3D."""
    op, x, w = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, Conv)
    shape = w.type.static_shape
    sizes, places = spatial(node)
    padding = padding_of(sizes, places, shape[2:], op.strides, op.pads, op.dilations)
    source: Value | int = x if padding is not None else padded(net, x, op.pads)
    result, activation = carried(node, net)
    name, options, perm, _ = layout_of(op, shape)
    weight = turned(net, w, perm)
    values = convolution_options(op, shape, VALID if padding is None else padding, activation)
    net.add(name, [source, weight, _bias(node, net)], [result], options, **values)


def layout_of(op: Conv, shape: tuple[int, ...]) -> tuple[str, str, tuple[int, ...], int]:
    """The builtin operator, its options table, the order of axes of its filters, and the axis along which they lie."""
    if len(shape) == 5:
        return "CONV_3D", "Conv3DOptions", (2, 3, 4, 1, 0), 4
    if op.groups > 1 and shape[1] == 1:
        return "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 2, 3, 0), 3
    return "CONV_2D", "Conv2DOptions", (0, 2, 3, 1), 0


def filters(op: Conv, w: Array) -> tuple[str, str, Array, int]:
    """As ``layout_of``, with the filters themselves in their new order."""
    name, options, perm, axis = layout_of(op, w.shape)
    return name, options, w.transpose(perm), axis


def turned(net: Net, w: Value, perm: tuple[int, ...]) -> int:
    """The tensor of the filters in another order of axes: a constant, or a TRANSPOSE of computed ones."""
    if w.data is not None:
        return net.constant(w.data.transpose(perm), w.name)
    result = net.scratch(w.type.with_shape(w.type.shape[p] for p in perm), f"{w.name}_turned")
    net.add("TRANSPOSE", [w, net.integers(perm, "perm")], [result], "TransposeOptions")
    return result


def convolution_options(op: Conv, shape: tuple[int, ...], padding: int, activation: int) -> dict[str, Any]:
    """The fields of the options table; filters of depthwise convolutions lie in groups of DepthMultiplier."""
    values: dict[str, Any] = {"Padding": padding, "FusedActivationFunction": activation}
    if op.groups > 1 and shape[1] == 1:
        values["DepthMultiplier"] = shape[0] // op.groups
    return {**values, **_strides(op), **_dilations(op)}


def one_group(node: Node) -> bool:
    """there is one group."""
    return getattr(node.op, "groups", 1) == 1


def not_dilated(node: Node) -> bool:
    """nothing is dilated."""
    return all(d == 1 for d in getattr(node.op, "dilations", ()))


def within_reach(node: Node) -> bool | str:
    """output_padding adds no more than the pads take away."""
    op: Any = node.op
    axes = len(op.strides)
    more = op.output_padding or (0,) * axes
    return all(m <= end for m, end in zip(more, op.pads[axes:], strict=True))


@tflite.emits(
    ConvTranspose,
    where=(floats, rank(4, 5), filter_sizes_known, static, positive_pads, one_group, not_dilated, within_reach),
    activation=FUSED,
)
def transposed_convolution(node: Node, net: Net) -> None:
    """TRANSPOSE_CONV or CONV_3D_TRANSPOSE without padding, and a SLICE of it where there is some."""
    op, x, w = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, ConvTranspose)
    batch, *sizes, _ = x.type.static_shape
    kernel = w.type.static_shape[2:]
    whole = [(size - 1) * stride + k for size, stride, k in zip(sizes, op.strides, kernel, strict=True)]
    shape = (batch, *whole, w.type.static_shape[1])
    result, activation = carried(node, net)
    exact = shape == node.result.type.static_shape
    made = net.tensor(result) if exact else net.scratch(TensorType(x.type.dtype, shape), f"{result.name}_whole")
    kind, options, perm = "TRANSPOSE_CONV", "TransposeConvOptions", (1, 2, 3, 0)
    gaps: dict[str, int] = {}
    if len(sizes) == 3:
        kind, options, perm = "CONV_3D_TRANSPOSE", "Conv3DOptions", (2, 3, 4, 1, 0)  # type: ignore[assignment]
        gaps = _dilations(op)
    net.add(
        kind,
        [net.integers(shape, "output_shape"), turned(net, w, perm), x, _bias(node, net)],
        [made],
        options,
        Padding=VALID,
        FusedActivationFunction=activation,
        **_strides(op),
        **gaps,
    )
    if not exact:
        begins = net.integers((0, *op.pads[: len(whole)], 0), "begin")
        sizes_kept = net.integers(node.result.type.static_shape, "size")
        net.add("SLICE", [made, begins, sizes_kept], [result], "SliceOptions")
