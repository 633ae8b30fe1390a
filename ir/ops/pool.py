"""Pools: windows that slide over the spatial axes of x [N, C, *S], and regions of interest.

``kernel``, ``strides`` and ``dilations`` hold one number a spatial axis, in elements; ``pads`` all begins, then
all ends; with ``channels_last`` x and the result are [N, *S, C]. A pool over everything is a reduction (``reduction``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, expect, numel, operator, same_dtype
from ..types import UNKNOWN, Array, DType, TensorType
from . import kernels
from .forms import Results, common_dim, either_layout, expect_dim, expect_length, given, in_f32
from .window import slid, spread


class _Pool(Op):
    """One result element for each place of the window."""

    signature = "x"
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil_mode: bool = False

    @either_layout
    def infer(self, x: TensorType) -> Results:
        """[N, C, *S']."""
        expect(x.rank >= 3, f"x {x} should be [N, C, *S]")
        places = slid(x.shape[2:], self.kernel, self.strides, self.pads, self.dilations, self.ceil_mode)
        return (x.with_shape((*x.shape[:2], *places)),)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One for each element of each window."""
        return numel(results[0]) * math.prod(self.kernel)


@operator
class MaxPool(_Pool):
    """The greatest element of each window; padding never wins. NaN where the window holds one."""

    channels_last: bool = False

    @either_layout
    def evaluate(self, x: Array) -> Array:
        """One axis after the other."""
        return kernels.windows.max_pool(x, self.kernel, self.strides, self.pads, self.dilations, self.ceil_mode)


@operator
class MaxPoolIndices(_Pool):
    """MaxPool, and where each maximum stood: its index in the flattened whole x (i64), the first if several are equal.

    With ``storage_order`` 1 the spatial axes are counted column-major (the first runs fastest).
    """

    storage_order: int = 0

    def infer(self, x: TensorType) -> Results:
        """[N, C, *S'], twice."""
        (y,) = super().infer(x)
        return y, y.with_dtype(DType.I64)

    def evaluate(self, x: Array) -> tuple[Array, Array]:
        """By argmax over the windows."""
        return kernels.windows.max_pool_indices(
            x, self.kernel, self.strides, self.pads, self.dilations, self.ceil_mode, self.storage_order
        )


@operator
class AveragePool(_Pool):
    """The mean of each window. ``count_include_pad`` counts the padding as zeros, else only elements of x count.

    What a last window in ceil mode reads beyond the padding is never counted.
    """

    count_include_pad: bool = False
    channels_last: bool = False

    @in_f32
    @either_layout
    def evaluate(self, x: Array) -> Array:
        """Sums of windows by the number of elements that count."""
        return kernels.windows.average_pool(
            x, self.kernel, self.strides, self.pads, self.dilations, self.ceil_mode, self.count_include_pad
        )


@operator
class LpPool(_Pool):
    """y = (the sum over each window of abs(x)^p)^(1/p)."""

    p: int = 2

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By sums of windows."""
        powers = np.power(np.abs(x), x.dtype.type(self.p))
        sums = kernels.windows.sum_pool(powers, self.kernel, self.strides, self.pads, self.dilations, self.ceil_mode)
        return np.asarray(np.power(sums, x.dtype.type(1 / self.p)))


@operator
class MaxUnpool(Op):
    """Zeros, but x[i] at the flat index indices[i] that MaxPoolIndices gave.

    The sizes are those from which MaxPool with this kernel makes x's, (S - 1) * stride + kernel - pads, and the
    indices count in a tensor of these sizes; ``shape`` (the whole result's, [N, C, *S']) may ask for larger
    ones, and the result is then filled up at the ends.
    """

    signature = "x, indices, [shape]"
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    shape: tuple[int, ...] | None = None

    def infer(self, x: TensorType, indices: TensorType, shape: TensorType | None) -> Results:
        """``shape``, or [N, C, *S']."""
        expect(x.rank >= 3 and indices.rank == x.rank, f"x {x} and indices {indices} should be [N, C, *S]")
        rank = x.rank - 2
        if self.shape is not None:
            expect_length(self.shape, x.rank, "shape")
            return (x.with_shape(self.shape),)
        if shape is not None:
            return (x.with_shape((UNKNOWN,) * x.rank),)
        sizes = spread(x.shape[2:], self.kernel, self.strides, self.pads, (1,) * rank, (0,) * rank)
        return (x.with_shape((*x.shape[:2], *sizes)),)

    def evaluate(self, x: Array, indices: Array, shape: Array | None) -> Array:
        """One scattered store."""
        rank = x.ndim - 2
        sizes = spread(x.shape[2:], self.kernel, self.strides, self.pads, (1,) * rank, (0,) * rank)
        natural = (*x.shape[:2], *(int(str(s)) for s in sizes))
        y = np.zeros(math.prod(natural), x.dtype)
        y[indices.ravel()] = x.ravel()
        y = y.reshape(natural)
        if shape is None and self.shape is None:
            return y
        whole = np.zeros(given(self.shape, shape), x.dtype)
        whole[tuple(slice(n) for n in natural)] = y
        return whole


@operator
class MaxRoiPool(Op):
    """The greatest element of each cell of a grid of ``pooled_shape`` laid over each region.

    rois [R, 5] holds (image, x1, y1, x2, y2), in units that ``spatial_scale`` turns into elements, ends included.
    After Fast R-CNN, https://arxiv.org/abs/1504.08083.
    """

    signature = "x, rois"
    pooled_shape: tuple[int, ...]
    spatial_scale: float = 1.0

    def infer(self, x: TensorType, rois: TensorType) -> Results:
        """[R, C, *pooled_shape]."""
        expect(x.rank == 4 and rois.rank == 2, f"x {x} and rois {rois} should be [N, C, H, W] and [R, 5]")
        expect_length(self.pooled_shape, 2, "pooled_shape")
        expect_dim(rois.shape[1], 5, "the width of rois")
        return (x.with_shape((rois.shape[0], x.shape[1], *self.pooled_shape)),)

    def evaluate(self, x: Array, rois: Array) -> Array:
        """Region by region."""
        return kernels.regions.max_roi_pool(x, rois, self.pooled_shape, self.spatial_scale)


@operator
class RoiAlign(Op):
    """The mean ('avg') or greatest ('max') of points, read by linear interpolation, in each cell over each region.

    rois [R, 4] holds (x1, y1, x2, y2) in units that ``spatial_scale`` turns into elements, batch_indices [R] the
    image of each. ``sampling_ratio`` is the number of points an axis of a cell (0: as many as a cell has
    elements); ``half_pixel`` shifts regions by half an element. After Mask R-CNN, https://arxiv.org/abs/1703.06870.
    """

    signature = "x, rois, batch_indices"
    mode: str
    output_height: int
    output_width: int
    sampling_ratio: int = 0
    spatial_scale: float = 1.0
    half_pixel: bool = True

    def infer(self, x: TensorType, rois: TensorType, batch_indices: TensorType) -> Results:
        """[R, C, output_height, output_width]."""
        expect(x.rank == 4 and rois.rank == 2 and batch_indices.rank == 1,
               f"x {x}, rois {rois}, batch_indices {batch_indices} should be [N, C, H, W], [R, 4] and [R]")  # fmt: skip
        same_dtype(x, rois)
        expect_dim(rois.shape[1], 4, "the width of rois")
        count = common_dim(rois.shape[0], batch_indices.shape[0], what="number of region")
        return (x.with_shape((count, x.shape[1], self.output_height, self.output_width)),)

    @in_f32
    def evaluate(self, x: Array, rois: Array, batch_indices: Array) -> Array:
        """Region by region."""
        return kernels.regions.roi_align(
            x, rois, batch_indices, self.mode, (self.output_height, self.output_width), self.sampling_ratio,
            self.spatial_scale, self.half_pixel,
        )  # fmt: skip
