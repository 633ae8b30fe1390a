"""Convolutions of one, two and three axes, their transposes, and the deformable one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Conv, ConvTranspose, DeformConv, Pad, Reshape

from ..param import Layer
from ..translate import Translation, layer, mat
from .activation import carried

SAME_UPPER, SAME_LOWER = -233, -234
_KERNEL, _DILATION, _STRIDE = (1, 11, 21), (2, 12, 22), (3, 13, 23)


def sizes(each: Layer, keys: Sequence[int], axes: int, default: int) -> tuple[int, ...]:
    """One number an axis, outermost first; those of other axes default to the innermost's."""
    first = each.whole(keys[0], default)
    rest = [each.whole(key, first) for key in keys[1:axes]]
    return tuple(reversed([first, *rest]))


def pads(each: Layer, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Begins and ends, outermost axis first (parameters 4 15, 14 16, 24 17)."""
    left = each.whole(4, 0)
    right = each.whole(15, left)
    top = each.whole(14, left) if axes > 1 else 0
    bottom = each.whole(16, top) if axes > 1 else 0
    front = each.whole(24, left) if axes > 2 else 0
    behind = each.whole(17, front) if axes > 2 else 0
    begins, ends = (front, top, left), (behind, bottom, right)
    return begins[3 - axes :], ends[3 - axes :]


def same_pads(sizes_: Sequence[int], spans: Sequence[int], strides: Sequence[int], lower: bool) -> tuple[int, ...]:
    """The padding with which the result has ceil(size / stride) elements; the odd one at the end, or the begin."""
    begins, ends = [], []
    for size, span, stride in zip(sizes_, spans, strides, strict=True):
        total = max(0, span + (size - 1) // stride * stride - size)
        small, large = total // 2, total - total // 2
        begins.append(large if lower else small)
        ends.append(small if lower else large)
    return (*begins, *ends)


def float_weights(each: Layer, key: int = 8) -> None:
    """MC363 where the weights are integers."""
    from .. import errors

    if each.whole(key, 0):
        raise errors.quantized(each.where)


def _axes(each: Layer) -> int:
    return 1 if each.kind.endswith("1D") else 3 if each.kind.endswith("3D") else 2


@layer("Convolution", "Convolution1D", "Convolution3D", "ConvolutionDepthWise", "ConvolutionDepthWise1D",
       "ConvolutionDepthWise3D")  # fmt: skip
def convolution(t: Translation, each: Layer) -> Value:
    """Conv."""
    axes = _axes(each)
    makers, bias, count = each.whole(0, 0), each.whole(5, 0), each.whole(6, 0)
    groups = each.whole(7, 1) if "DepthWise" in each.kind else 1
    kernel, dilations = sizes(each, _KERNEL, axes, 0), sizes(each, _DILATION, axes, 1)
    strides, (begins, ends), fill = sizes(each, _STRIDE, axes, 1), pads(each, axes), each.real(18, 0.0)
    each.ignore(17 if axes < 3 else 9)
    float_weights(each)
    each.require(min(makers, groups, *kernel, *dilations, *strides) > 0, "a size is not positive")
    dynamic = each.whole(19, 0)
    if dynamic:
        x, w, *rest = t.inputs(2 + bool(bias))
        w = _without_batch(t, w, axes + 2)
        b = _without_batch(t, rest[0], 1) if bias else None
    else:
        x = t.input()
        inputs = count // (makers * int(np.prod(kernel)))
        w = t.tagged(makers, inputs, *kernel)
        b = t.raw(makers) if bias else None
        each.require(inputs * makers * int(np.prod(kernel)) == count, f"{count} weights")
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if begins[0] in (SAME_UPPER, SAME_LOWER):
        padding = same_pads(mat(x)[1:], spans, strides, begins[0] == SAME_LOWER)
    else:
        each.require(min(*begins, *ends) >= 0, "a pad is negative")
        padding = (*begins, *ends)
    if fill and any(padding):
        x = t.add(Pad("constant", (0, 0, *padding[:axes], 0, 0, *padding[axes:]), fill), x)
        padding = (0,) * (2 * axes)
    return carried(t, each, t.add(Conv(strides, padding, dilations, groups), x, w, b))


def _without_batch(t: Translation, value: Value, rank: int) -> Value:
    return t.add(Reshape((1,) * (rank - len(mat(value))) + mat(value)), value)


@layer("Deconvolution", "Deconvolution1D", "Deconvolution3D", "DeconvolutionDepthWise", "DeconvolutionDepthWise1D",
       "DeconvolutionDepthWise3D")  # fmt: skip
def deconvolution(t: Translation, each: Layer) -> Value:
    """ConvTranspose."""
    axes = _axes(each)
    makers, bias, count = each.whole(0, 0), each.whole(5, 0), each.whole(6, 0)
    groups = each.whole(7, 1) if "DepthWise" in each.kind else 1
    kernel, dilations = sizes(each, _KERNEL, axes, 0), sizes(each, _DILATION, axes, 1)
    strides, (begins, ends) = sizes(each, _STRIDE, axes, 1), pads(each, axes)
    extra = sizes(each, (18, 19, 20), axes, 0)
    wanted = sizes(each, (25, 26, 27) if axes == 3 else (20, 21), axes, 0)
    each.require(min(makers, groups, *kernel, *dilations, *strides) > 0, "a size is not positive")
    x, weight, b = _deconvolution_operands(t, each, makers, groups, kernel, bias, count)
    padding = (*begins, *ends)
    if begins[0] in (SAME_UPPER, SAME_LOWER):
        padding = _cut_to(mat(x)[1:], kernel, dilations, strides, extra, wanted, begins[0] == SAME_LOWER)
    each.require(min(padding) >= 0, "a pad is negative")
    op = ConvTranspose(strides, padding, dilations, groups, extra)
    return carried(t, each, t.add(op, x, weight, b))


def _deconvolution_operands(
    t: Translation, each: Layer, makers: int, groups: int, kernel: tuple[int, ...], bias: int, count: int
) -> tuple[Value, Value, Value | None]:
    if each.whole(28, 0):
        x, w, *rest = t.inputs(2 + bool(bias))
        return x, _without_batch(t, w, len(kernel) + 2), _without_batch(t, rest[0], 1) if bias else None
    x = t.input()
    inputs = mat(x)[0]
    each.require(makers % groups == 0 and inputs % groups == 0, f"{groups} groups")
    stored = t.tagged_array(groups, makers // groups, inputs // groups, *kernel)
    each.require(stored.size == count, f"{count} weights, where {stored.size} are wanted")
    weight = t.constant(np.ascontiguousarray(stored.swapaxes(1, 2)).reshape(inputs, makers // groups, *kernel))
    return x, weight, t.raw(makers) if bias else None


def _cut_to(
    sizes_: Sequence[int],
    kernel: Sequence[int],
    dilations: Sequence[int],
    strides: Sequence[int],
    extra: Sequence[int],
    wanted: Sequence[int],
    lower: bool,
) -> tuple[int, ...]:
    """What is cut off both ends so that the result has the sizes that are wanted."""
    begins, ends = [], []
    for i, size in enumerate(sizes_):
        full = (size - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 + extra[i]
        total = full - wanted[i] if wanted[i] > 0 else 0
        small, large = total // 2, total - total // 2
        begins.append(large if lower else small)
        ends.append(small if lower else large)
    return (*begins, *ends)


@layer("DeformableConv2D")
def deformable(t: Translation, each: Layer) -> Value:
    """DeformConv, with a mask if there is a third blob."""
    makers, bias, count = each.whole(0, 0), each.whole(5, 0), each.whole(6, 0)
    kernel, dilations, strides = (sizes(each, keys, 2, d) for keys, d in ((_KERNEL, 0), (_DILATION, 1), (_STRIDE, 1)))
    begins, ends = pads(each, 2)
    x, offset, *mask = t.inputs(2, 3)
    w = t.tagged(makers, mat(x)[0], *kernel)
    each.require(w.type.numel == count, f"{count} weights, where {w.type.numel} are wanted")
    b = t.raw(makers) if bias else None
    op = DeformConv(strides, (*begins, *ends), dilations)
    return carried(t, each, t.add(op, x, w, offset, b, mask[0] if mask else None))


__all__ = ["float_weights", "pads", "same_pads", "sizes"]
