"""Convolutions. The batch being 1, x is held as [C, *S]; a larger batch becomes one more spatial axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import Conv, ConvTranspose, DeformConv
from mconv.ir.types import Array, Dim, Shape

from ..backend import ncnn
from ..net import Blob, Net, Param, Weight, numbers
from .activation import FUSED, fused
from .conditions import constant, floats, rank
from .movement import permute

_CONV = {1: "Convolution1D", 2: "Convolution", 3: "Convolution3D"}
_CONV_GROUPS = {1: "ConvolutionDepthWise1D", 2: "ConvolutionDepthWise", 3: "ConvolutionDepthWise3D"}
_DECONV = {1: "Deconvolution1D", 2: "Deconvolution", 3: "Deconvolution3D"}
_DECONV_GROUPS = {1: "DeconvolutionDepthWise1D", 2: "DeconvolutionDepthWise", 3: "DeconvolutionDepthWise3D"}
# parameter ids, innermost axis first
_KERNEL, _DILATION, _STRIDE, _BEGIN, _END = (1, 11, 21), (2, 12, 22), (3, 13, 23), (4, 14, 24), (15, 16, 17)


def positive_pads(node: Node) -> bool:
    """no pad is negative."""
    pads: tuple[int, ...] = node.op.pads  # type: ignore[attr-defined]
    return min(pads, default=0) >= 0


def weight_form(node: Node) -> bool | str:
    """the weight is constant, or of a convolution over one or two axes (and of batch 1)."""
    x, w = node.inputs[:2]
    if x.type.rank < 3:
        return False
    if w.data is not None and (len(node.inputs) < 3 or node.inputs[2].data is not None):
        return True
    if len(node.inputs) == 3 and (w.data is None) != (node.inputs[2].data is None):
        return "of weight and bias one is constant and one is computed"
    if x.type.rank > 4 or x.type.shape[0] != 1 or not w.type.is_static:
        return "its weight is computed, which ncnn takes only of known size, over one or two axes and with batch 1"
    return True


def batch_or_axis(node: Node) -> bool | str:
    """the batch is 1, or there are at most two spatial axes (the batch then becomes one more)."""
    x = node.inputs[0].type
    return True if x.shape[0] == 1 or x.rank <= 4 else f"ncnn has no batch, and here it is {x.shape[0]}"


def window_params(
    kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]
) -> dict[int, Param]:
    """Kernel, dilation, stride and pads; ONNX's order of axes in, ncnn's ids out."""
    axes = len(kernel)
    params: dict[int, Param] = {}
    for ids, sizes in (
        (_KERNEL, kernel), (_DILATION, dilations), (_STRIDE, strides), (_BEGIN, pads[:axes]), (_END, pads[axes:])
    ):  # fmt: skip
        params |= dict(zip(ids, reversed(sizes), strict=False))
    return params


@ncnn.emits(Conv, where=(floats, rank(3, 4, 5), positive_pads, weight_form, batch_or_axis), activation=FUSED)
def convolution(node: Node, net: Net) -> None:
    """Convolution, of one, two or three axes, with groups ConvolutionDepthWise; on a single element InnerProduct."""
    op, (x, w) = node.op, node.inputs[:2]
    assert isinstance(op, Conv)
    kernel = tuple(int(k) for k in w.type.static_shape[2:])
    if _is_product(op, x, w):
        _inner_product(node, net)
        return
    strides, pads, dilations = op.strides, op.pads, op.dilations
    taps = live_taps(op, x.type.shape[2:], kernel) if w.data is not None else [(0, k) for k in kernel]
    pads = _pads_of(taps, pads, kernel, dilations)
    kernel = tuple(end - start for start, end in taps)
    size = math.prod((*w.type.static_shape[:2], *kernel))
    batched = x.type.shape[0] != 1
    if batched:
        kernel, strides, dilations = (1, *kernel), (1, *strides), (1, *dilations)
        half = len(pads) // 2
        pads = (0, *pads[:half], 0, *pads[half:])
    axes = len(kernel)
    blob = _channels_first(net, x) if batched else net.held(x)
    params = _conv_params(op, axes, w, node.operand("b") is not None) | {6: size}
    params |= window_params(kernel, strides, pads, dilations)
    dynamic = w.data is None
    if axes <= 2:
        params[19] = int(dynamic)
    inputs, weights = [blob], []
    if dynamic:
        inputs += [net.shaped(v, v.type.shape) for v in node.inputs[1:]]
    else:
        kept = (slice(None), slice(None), *(slice(start, end) for start, end in taps))
        weights = _weights(node, lambda: w.constant[kept], size)
    shape = _result_shape(node.result, batched)
    kinds = _CONV if op.groups == 1 else _CONV_GROUPS
    result = net.layer(kinds[axes], inputs, shape, _sorted(params), weights, suffix="batch" if batched else "")
    net.give(node.result, permute(net, result, (1, 0, *range(2, len(shape)))) if batched else result)


def _conv_params(op: Conv, axes: int, w: Value, bias: bool) -> dict[int, Param]:
    kind, numbers_ = fused(op.activation)
    params: dict[int, Param] = {0: w.type.static_shape[0], 5: int(bias), 9: kind, 10: numbers_, 18: 0.0}
    if op.groups != 1:
        params[7] = op.groups
    if axes == 2:
        params[8] = 0
    return params


def live_taps(op: Conv, spatial: Shape, kernel: Sequence[int]) -> list[tuple[int, int]]:
    """For each axis the taps (first, and one after the last) that ever read an element and not only padding.

    A dilated kernel that reaches beyond a small image multiplies zeros most of the time: a 3x3 kernel of dilation 24
    on 14 elements is a 1x1 kernel.
    """
    taps = []
    for axis, (size, k) in enumerate(zip(spatial, kernel, strict=True)):
        begin, end, step, stride = op.pads[axis], op.pads[len(kernel) + axis], op.dilations[axis], op.strides[axis]
        if not isinstance(size, int):
            taps.append((0, k))
            continue
        count = (size + begin + end - (k - 1) * step - 1) // stride + 1
        places = [range(tap * step - begin, tap * step - begin + count * stride, stride) for tap in range(k)]
        live = [tap for tap, reads in enumerate(places) if any(0 <= place < size for place in (reads or ()))]
        dead = (live[0], k - 1 - live[-1]) if live else (0, 0)
        # a dead tap goes with the padding that it reads; where there is less padding than that, it stays
        first, last = min(dead[0], begin // step), min(dead[1], end // step)
        taps.append((first, k - last))
    return taps


def _pads_of(
    taps: Sequence[tuple[int, int]], pads: Sequence[int], kernel: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """The pads once the taps at both ends are gone."""
    axes = len(kernel)
    begins = [pads[i] - taps[i][0] * dilations[i] for i in range(axes)]
    ends = [pads[axes + i] - (kernel[i] - taps[i][1]) * dilations[i] for i in range(axes)]
    return (*begins, *ends)


def _weights(node: Node, make: Callable[[], Array], count: int | None = None) -> list[Weight]:
    w, b = node.inputs[1], node.operand("b")
    result = [numbers(w.constant, tagged=True, make=make, count=count)]
    if b is not None:
        result.append(numbers(b.constant, tagged=False))
    return result


def _channels_first(net: Net, x: Value) -> Blob:
    """[N, C, *S] as [C, N, *S]."""
    return permute(net, net.shaped(x, x.type.shape), (1, 0, *range(2, x.type.rank)), suffix="channels")


def _result_shape(result: Value, batched: bool) -> Shape:
    batch, channels, *spatial = result.type.shape
    return (channels, batch, *spatial) if batched else (channels, *spatial)


def _sorted(params: dict[int, Param]) -> dict[int, Param]:
    return dict(sorted(params.items()))


def _is_product(op: Conv, x: Value, w: Value) -> bool:
    """True where the whole convolution is one matrix-vector product: a 1x1 kernel on a single element."""
    spatial: tuple[Dim, ...] = x.type.shape[2:]
    ones = all(d == 1 for d in (*spatial, *w.type.shape[2:]))
    return ones and x.type.shape[0] == 1 and op.groups == 1 and not any(op.pads) and w.data is not None


def _inner_product(node: Node, net: Net) -> None:
    x, w = node.inputs[:2]
    kind, numbers_ = fused(node.op.activation)  # type: ignore[attr-defined]
    makers, channels = w.type.static_shape[:2]
    params: dict[int, Param] = {0: makers, 1: int(len(node.inputs) > 2), 2: makers * channels, 8: 0, 9: kind}
    params[10] = numbers_
    blob = net.shaped(x, (channels,))
    net.give(node.result, net.layer("InnerProduct", [blob], (makers,), params, _weights(node, lambda: w.constant)))


@ncnn.emits(ConvTranspose, where=(floats, rank(3, 4, 5), positive_pads, weight_form, batch_or_axis), activation=FUSED)
def deconvolution(node: Node, net: Net) -> None:
    """Deconvolution, of one, two or three axes, with groups DeconvolutionDepthWise."""
    op, (x, w) = node.op, node.inputs[:2]
    assert isinstance(op, ConvTranspose)
    kernel = w.type.static_shape[2:]
    strides, pads, dilations, extra = op.strides, op.pads, op.dilations, op.padding(len(kernel))
    batched = x.type.shape[0] != 1
    if batched:
        kernel, strides, dilations, extra = (1, *kernel), (1, *strides), (1, *dilations), (0, *extra)
        half = len(pads) // 2
        pads = (0, *pads[:half], 0, *pads[half:])
    axes = len(kernel)
    blob = _channels_first(net, x) if batched else net.held(x)
    kind, numbers_ = fused(op.activation)
    makers = w.type.static_shape[1] * op.groups
    params: dict[int, Param] = {0: makers, 5: int(len(node.inputs) > 2), 6: math.prod(w.type.static_shape)}
    params |= {9: kind, 10: numbers_}
    params |= window_params(kernel, strides, pads, dilations)
    params |= dict(zip((18, 19, 20) if axes == 3 else (18, 19), reversed(extra), strict=False))
    params |= dict.fromkeys({1: (20,), 2: (20, 21), 3: (25, 26, 27)}[axes], 0)
    if op.groups != 1:
        params[7] = op.groups
    dynamic = w.data is None
    if axes <= 2:
        params[28] = int(dynamic)
    shape = _result_shape(node.result, batched)
    kinds = _DECONV if op.groups == 1 else _DECONV_GROUPS
    inputs = [blob, *(net.shaped(v, v.type.shape) for v in node.inputs[1:])] if dynamic else [blob]
    weights = [] if dynamic else _weights(node, lambda: _by_maker(w.constant, op.groups))
    result = net.layer(kinds[axes], inputs, shape, _sorted(params), weights, suffix="batch" if batched else "")
    net.give(node.result, permute(net, result, (1, 0, *range(2, len(shape)))) if batched else result)


def _by_maker(w: Array, groups: int) -> Array:
    """[C, M/g, *K] as [g, M/g, C/g, *K]."""
    channels, makers, *kernel = w.shape
    return np.ascontiguousarray(w.reshape(groups, channels // groups, makers, *kernel).swapaxes(1, 2))


def one_group(node: Node) -> bool:
    """there is one group of channels and one of offsets."""
    assert isinstance(node.op, DeformConv)
    return node.op.groups == 1 and node.op.offset_groups == 1


def batch_one(node: Node) -> bool:
    """the batch is 1."""
    return node.inputs[0].type.shape[0] == 1


@ncnn.emits(DeformConv, where=(floats, rank(4), batch_one, one_group, positive_pads, constant("w", "b")))
def deformable(node: Node, net: Net) -> None:
    """DeformableConv2D."""
    op = node.op
    assert isinstance(op, DeformConv)
    x, w, offset = node.inputs[:3]
    b, mask = node.operand("b"), node.operand("mask")
    makers = w.type.static_shape[0]
    params: dict[int, Param] = {0: makers, 5: int(b is not None), 6: math.prod(w.type.static_shape), 9: 0, 10: ()}
    params |= window_params(w.type.static_shape[2:], op.strides, op.pads, op.dilations)
    inputs = [net.held(v) for v in (x, offset, *([mask] if mask is not None else []))]
    weights = _weights(node, lambda: w.constant)
    net.give(node.result, net.layer("DeformableConv2D", inputs, node.result.type.shape[1:], _sorted(params), weights))
