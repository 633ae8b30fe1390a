"""Convolutions. Layouts: x [N, C, *S], w [M, C/groups, *K], b [M]; pads as all begins, then all ends, in elements.

With ``channels_last`` x and the result are [N, *S, C]; weights stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..op import Op, Types, expect, numel, operator, same_dtype
from ..types import Array, DType, Shape, TensorType
from . import kernels
from .forms import Results, either_layout, expect_dim, expect_integer, expect_length, in_f32
from .window import slid, spread


def _ranks(x: TensorType, w: TensorType) -> Shape:
    expect(x.rank == w.rank and x.rank >= 3, f"x {x} and w {w} should be [N, C, *S] and [M, C/groups, *K]")
    return x.shape[2:]


def _check_groups(x: TensorType, w: TensorType, groups: int) -> None:
    expect(groups > 0, f"groups is {groups}")
    channels, makers = x.shape[1], w.shape[0]
    expect_dim(channels, w.shape[1] * groups, f"the channels of x {x}, with w {w} and {groups} groups,")
    expect(not isinstance(makers, int) or makers % groups == 0, f"{makers} filters do not divide into {groups} groups")


def _check_bias(b: TensorType | None, channels: object) -> None:
    if b is not None:
        expect(b.rank == 1, f"the bias is {b}, not of one axis")
        expect_dim(b.shape[0], channels, "the length of the bias")


def _products(w: TensorType | None, results: Sequence[TensorType]) -> int:
    """Multiply-adds as two: each result element reads the weights of one filter."""
    return 0 if w is None or not w.is_static else 2 * numel(results[0]) * math.prod(w.static_shape[1:])


@operator
class Conv(Op):
    """y[n, m] = sum over c, k of w[m, c, k] * x[n, group(m) + c, stride * s + dilation * k - pad] + b[m].

    A cross-correlation over any number of spatial axes. ``activation`` is an elementwise operator of one
    operand that is applied to the result.
    """

    signature = "x, w, b?"
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1
    activation: Op | None = None
    channels_last: bool = False

    @either_layout
    def infer(self, x: TensorType, w: TensorType, b: TensorType | None) -> Results:
        """[N, M, *S']."""
        spatial = _ranks(x, w)
        _check_groups(x, w, self.groups)
        _check_bias(b, w.shape[0])
        same_dtype(x, w, b)
        places = slid(spatial, w.shape[2:], self.strides, self.pads, self.dilations)
        return (x.with_shape((x.shape[0], w.shape[0], *places)),)

    @in_f32
    @either_layout
    def evaluate(self, x: Array, w: Array, b: Array | None) -> Array:
        """By matrix products over unfolded windows."""
        y = kernels.convolve.conv(x, w, b, self.strides, self.pads, self.dilations, self.groups)
        return y if self.activation is None else activated(self.activation, y)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each weight that a result element reads."""
        return _products(operands[1], results)


@operator
class ConvTranspose(Op):
    """The transpose of Conv: each x[n, c, s] adds x * w[c, m, k] to y[n, m, stride * s + dilation * k - pad].

    w [C, M/groups, *K]; ``output_padding`` adds elements at each axis's end. Result sizes are
    (S - 1) * stride + dilation * (K - 1) + 1 + output_padding - pads.
    """

    signature = "x, w, b?"
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1
    output_padding: tuple[int, ...] = ()
    activation: Op | None = None
    channels_last: bool = False

    @either_layout
    def infer(self, x: TensorType, w: TensorType, b: TensorType | None) -> Results:
        """[N, M, *S']."""
        spatial = _ranks(x, w)
        expect_dim(x.shape[1], w.shape[0], f"the channels of x {x}, with w {w},")
        channels = w.shape[1] * self.groups
        _check_bias(b, channels)
        same_dtype(x, w, b)
        sizes = spread(spatial, w.shape[2:], self.strides, self.pads, self.dilations, self.padding(len(spatial)))
        return (x.with_shape((x.shape[0], channels, *sizes)),)

    def padding(self, rank: int) -> tuple[int, ...]:
        """``output_padding`` with its zeros written out."""
        return self.output_padding or (0,) * rank

    @in_f32
    @either_layout
    def evaluate(self, x: Array, w: Array, b: Array | None) -> Array:
        """By one matrix product, whose columns are then added into place."""
        padding = self.padding(x.ndim - 2)
        y = kernels.convolve.conv_transpose(x, w, b, self.strides, self.pads, self.dilations, self.groups, padding)
        return y if self.activation is None else activated(self.activation, y)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each weight that an operand element meets."""
        x, w = operands[0], operands[1]
        if x is None or w is None or not w.is_static:
            return 0
        return 2 * numel(x) * math.prod(w.static_shape[1:])


@operator
class DeformConv(Op):
    """Conv whose windows are bent: tap k of place s reads x at stride * s + dilation * k - pad + offset.

    offset [N, offset_groups * prod(K) * 2, *S'] in elements (the axes in order), read with linear
    interpolation and zeros outside; mask [N, offset_groups * prod(K), *S'] multiplies each tap.
    Two spatial axes. After https://arxiv.org/abs/1811.11168 (Deformable ConvNets v2).
    """

    signature = "x, w, offset, b?, mask?"
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1
    offset_groups: int = 1

    def infer(
        self, x: TensorType, w: TensorType, offset: TensorType, b: TensorType | None, mask: TensorType | None
    ) -> Results:
        """[N, M, *S']."""
        spatial = _ranks(x, w)
        expect(len(spatial) == 2, f"x is {x}; only two spatial axes can be bent")
        _check_groups(x, w, self.groups)
        _check_bias(b, w.shape[0])
        same_dtype(x, w, offset, b, mask)
        places = slid(spatial, w.shape[2:], self.strides, self.pads, self.dilations)
        for t, each, what in ((offset, 2, "offset"), (mask, 1, "mask")):
            if t is not None:
                expect_length(t.shape, 4, what)
                taps = w.shape[2] * w.shape[3]
                expect_dim(t.shape[1], taps * (each * self.offset_groups), f"the channels of {what} {t}")
                for dim, place in zip(t.shape[2:], places, strict=True):
                    expect_dim(dim, place, f"a size of {what} {t}")
        return (x.with_shape((x.shape[0], w.shape[0], *places)),)

    @in_f32
    def evaluate(self, x: Array, w: Array, offset: Array, b: Array | None, mask: Array | None) -> Array:
        """By sampling every tap, then one matrix product a group."""
        return kernels.convolve.deform_conv(
            x, w, offset, b, mask, self.strides, self.pads, self.dilations, self.groups, self.offset_groups
        )

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """As Conv's; the interpolation is not counted."""
        return _products(operands[1], results)


@operator
class ConvInteger(Op):
    """Conv of 8-bit integers, (x - x_zero_point) with (w - w_zero_point), summed in i32.

    The zero points are scalars, or for w one number a filter.
    """

    signature = "x, w, x_zero_point?, w_zero_point?"
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1

    def infer(
        self, x: TensorType, w: TensorType, x_zero_point: TensorType | None, w_zero_point: TensorType | None
    ) -> Results:
        """i32 [N, M, *S']."""
        spatial = _ranks(x, w)
        expect_integer(x, "x")
        expect_integer(w, "w")
        _check_groups(x, w, self.groups)
        places = slid(spatial, w.shape[2:], self.strides, self.pads, self.dilations)
        return (TensorType(DType.I32, (x.shape[0], w.shape[0], *places)),)

    def evaluate(self, x: Array, w: Array, x_zero_point: Array | None, w_zero_point: Array | None) -> Array:
        """In float64, which holds every sum of fewer than 2^37 products exactly."""
        import numpy as np

        wide_x, wide_w = x.astype(np.float64), w.astype(np.float64)
        if x_zero_point is not None:
            wide_x -= x_zero_point.astype(np.float64).reshape(())
        if w_zero_point is not None:
            wide_w -= w_zero_point.astype(np.float64).reshape(-1, *[1] * (w.ndim - 1))
        y = kernels.convolve.conv(wide_x, wide_w, None, self.strides, self.pads, self.dilations, self.groups)
        return np.rint(y).astype(np.int32)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each weight that a result element reads."""
        return _products(operands[1], results)


def activated(activation: Op, y: Array) -> Array:
    """y after an elementwise operator of one operand."""
    result = activation.evaluate(y)
    return result[0] if isinstance(result, tuple) else result
