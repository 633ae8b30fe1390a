"""Pools over [N, H, W, C]."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import AveragePool, Clip, Conv, MaxPool, Relu, Sigmoid
from mconv.ir.types import Array

from ..backend import tflite
from ..net import Net
from .activation import carried
from .conditions import floats, rank, takes
from .conv import positive_pads
from .window import SAME, VALID, end_pads, padded, padding_of, spatial


def not_dilated(node: Node) -> bool:
    """nothing is dilated."""
    return all(d == 1 for d in node.op.dilations)  # type: ignore[attr-defined]


def window_of(op: Any, padding: int, activation: int) -> dict[str, Any]:
    """The fields of Pool2DOptions."""
    return {
        "Padding": padding,
        "StrideW": op.strides[1],
        "StrideH": op.strides[0],
        "FilterWidth": op.kernel[1],
        "FilterHeight": op.kernel[0],
        "FusedActivationFunction": activation,
    }


def sized_or_unpadded(node: Node) -> bool | str:
    """the sizes of the spatial axes are known, or nothing is padded."""
    op: Any = node.op
    if not any(op.pads) and not op.ceil_mode:
        return True
    return _is_sized(node) or "it pads, and the sizes are known only at run time"


def _is_sized(node: Node) -> bool:
    """True where all but the batch is known, of what is read and of what is made."""
    sizes = (*node.inputs[0].type.shape[1:], *node.result.type.shape[1:])
    return all(isinstance(d, int) for d in sizes)


@tflite.emits(MaxPool, where=(takes("f32 i8 u8 i16"), rank(4), not_dilated, positive_pads, sized_or_unpadded))
def max_pool(node: Node, net: Net) -> None:
    """MAX_POOL_2D; pads that its two kinds cannot say go before it, as the least number or as zeros if none is less."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, MaxPool)
    sizes, places = spatial(node)
    padding = padding_of(sizes, places, op.kernel, op.strides, op.pads, op.dilations)
    source: Value | int = x
    if padding is None:
        pads = end_pads(sizes, places, op.kernel, op.strides, op.pads, op.dilations)
        least = np.finfo(np.float32).min if x.type.dtype.is_float else np.iinfo(x.type.dtype.numpy).min
        lowest = 0.0 if never_negative(x) else float(least)
        source = padded(net, x, pads, lowest)
    result, activation = carried(node, net) if x.type.dtype.is_float else (node.result, 0)
    window = window_of(op, VALID if padding is None else padding, activation)
    net.add("MAX_POOL_2D", [source], [result], "Pool2DOptions", **window)


def never_negative(x: Value) -> bool:
    """True where the operator that makes x tells that no real number is below zero; of integers nothing is told."""
    node = x.producer
    if node is None or not x.type.dtype.is_float:
        return False
    op: Any = node.op
    if isinstance(op, Conv) and op.activation is not None:
        op = op.activation
    return isinstance(op, Relu | Sigmoid) or (isinstance(op, Clip) and op.min is not None and op.min >= 0)


def counts_evenly(node: Node) -> bool | str:
    """every window counts the same number of elements, or only those of x."""
    op: Any = node.op
    sizes, places = node.inputs[0].type.shape[2:], node.result.type.shape[2:]
    if not any(op.pads) and not op.ceil_mode:
        return True
    if not _is_sized(node):
        return "it pads, and the sizes are known only at run time"
    if getattr(op, "channels_last", False):
        return True
    beyond = end_pads(sizes, places, op.kernel, op.strides, op.pads, op.dilations)
    reach = any(e > p for e, p in zip(beyond[2:], op.pads[2:], strict=True))
    if op.count_include_pad:
        return "in ceil mode a window reads beyond the counted padding" if reach else True
    return True


@tflite.emits(AveragePool, where=(floats, rank(4), counts_evenly, not_dilated, positive_pads))
def average_pool(node: Node, net: Net) -> None:
    """AVERAGE_POOL_2D: SAME counts only elements of x; counted zeros are a PAD before it.

    Where other pads must not be counted, the mean with zeros is multiplied by how many of a window's elements count.
    """
    op, x = node.op, node.inputs[0]
    assert isinstance(op, AveragePool)
    sizes, places = spatial(node)
    padding = padding_of(sizes, places, op.kernel, op.strides, op.pads, op.dilations)
    if padding == VALID or (padding == SAME and not op.count_include_pad):
        result, activation = carried(node, net)
        net.add("AVERAGE_POOL_2D", [x], [result], "Pool2DOptions", **window_of(op, padding, activation))
        return
    pads = end_pads(sizes, places, op.kernel, op.strides, op.pads, op.dilations)
    source = padded(net, x, pads)
    if op.count_include_pad:
        result, activation = carried(node, net)
        net.add("AVERAGE_POOL_2D", [source], [result], "Pool2DOptions", **window_of(op, VALID, activation))
        return
    mean = net.scratch(node.result, f"{node.result.name}_with_zeros")
    net.add("AVERAGE_POOL_2D", [source], [mean], "Pool2DOptions", **window_of(op, VALID, 0))
    result, activation = carried(node, net)
    share = net.constant(_shares(op, sizes, places), "share")
    net.add("MUL", [mean, share], [result], "MulOptions", FusedActivationFunction=activation)


def _shares(op: AveragePool, sizes: Any, places: Any) -> Array:
    """What a mean over a whole window has to be multiplied by, [1, H', W', 1]: its size by the elements of x in it."""
    counts = []
    for axis in range(2):
        starts = np.arange(places[axis]) * op.strides[axis] - op.pads[axis]
        inside = np.minimum(starts + op.kernel[axis], sizes[axis]) - np.maximum(starts, 0)
        counts.append(inside)
    product = np.outer(counts[0], counts[1]).astype(np.float32)
    shares: Array = np.float32(op.kernel[0] * op.kernel[1]) / product
    return shares[None, :, :, None]
