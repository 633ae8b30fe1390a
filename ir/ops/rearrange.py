"""Movement of data between channels and space, in order, and by structure; and numbers made from shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, expect, operator, same_dtype
from ..types import UNKNOWN, Array, DType, Symbol, TensorType, product
from . import kernels
from .forms import Results, either_layout, expect_axis, expect_dim, expect_length, given
from .window import slid


def _images(x: TensorType) -> None:
    expect(x.rank == 4, f"x {x} should be [N, C, H, W]")


@operator
class DepthToSpace(Op):
    """[N, C, H, W] -> [N, C / b^2, H b, W b]: channels become blocks of b x b elements, b = ``blocksize``.

    ``mode`` 'DCR': channel (i b + j) C' + c goes to row i, column j of its block; 'CRD' (PyTorch's PixelShuffle):
    channel c b^2 + i b + j does.
    """

    signature = "x"
    blocksize: int
    mode: str = "DCR"
    channels_last: bool = False

    @either_layout
    def infer(self, x: TensorType) -> Results:
        """[N, C / b^2, H b, W b]."""
        _images(x)
        n, c, h, w = x.shape
        block = self.blocksize
        expect(not isinstance(c, int) or c % block**2 == 0, f"{c} channels do not divide into blocks of {block}")
        return (x.with_shape((n, c // block**2, h * block, w * block)),)

    @either_layout
    def evaluate(self, x: Array) -> Array:
        """By a transposition."""
        n, c, h, w = x.shape
        b, out = self.blocksize, c // self.blocksize**2
        if self.mode == "DCR":
            y = x.reshape(n, b, b, out, h, w).transpose(0, 3, 4, 1, 5, 2)
        else:
            y = x.reshape(n, out, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
        return y.reshape(n, out, h * b, w * b)


@operator
class SpaceToDepth(Op):
    """[N, C, H, W] -> [N, C b^2, H / b, W / b]: row i, column j of each block goes to channel (i b + j) C + c."""

    signature = "x"
    blocksize: int
    channels_last: bool = False

    @either_layout
    def infer(self, x: TensorType) -> Results:
        """[N, C b^2, H / b, W / b]."""
        _images(x)
        n, c, h, w = x.shape
        for size in (h, w):
            expect(not isinstance(size, int) or size % self.blocksize == 0,
                   f"{size} elements do not divide into blocks of {self.blocksize}")  # fmt: skip
        return (x.with_shape((n, c * self.blocksize**2, h // self.blocksize, w // self.blocksize)),)

    @either_layout
    def evaluate(self, x: Array) -> Array:
        """By a transposition."""
        n, c, h, w = x.shape
        b = self.blocksize
        y = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
        return y.reshape(n, c * b * b, h // b, w // b)


@operator
class ChannelShuffle(Op):
    """Axis 1 as a matrix [groups, C / groups], transposed: channel i of group g goes to i * groups + g."""

    signature = "x"
    groups: int

    def infer(self, x: TensorType) -> Results:
        """x's type."""
        expect(x.rank >= 2, f"x {x} should be [N, C, *S]")
        channels = x.shape[1]
        expect(not isinstance(channels, int) or channels % self.groups == 0,
               f"{channels} channels do not divide into {self.groups} groups")  # fmt: skip
        return (x,)

    def evaluate(self, x: Array) -> Array:
        """By a transposition."""
        grouped = x.reshape(x.shape[0], self.groups, x.shape[1] // self.groups, *x.shape[2:])
        return np.swapaxes(grouped, 1, 2).reshape(x.shape)


@operator
class Trilu(Op):
    """The upper (or lower) triangle of the last two axes, zeros elsewhere; ``k`` moves the diagonal to the right."""

    signature = "x, [k]"
    upper: bool = True
    k: int | None = 0

    def infer(self, x: TensorType, k: TensorType | None) -> Results:
        """x's type."""
        expect(x.rank >= 2, f"x {x} is no matrix")
        return (x,)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The one number."""
        return super().absorb(name, content.reshape(()), types) if content.size == 1 else None

    def evaluate(self, x: Array, k: Array | None) -> Array:
        """By comparing row and column."""
        shift = given(self.k, None if k is None else k.reshape(()))
        row, column = np.ogrid[: x.shape[-2], : x.shape[-1]]
        kept = column >= row + shift if self.upper else column <= row + shift
        return np.where(kept, x, np.zeros((), x.dtype))


@operator
class EyeLike(Op):
    """Ones on diagonal ``k`` (counted to the right), zeros elsewhere, with the shape of x [M, N]."""

    signature = "x"
    k: int = 0
    dtype: DType = DType.F32

    def infer(self, x: TensorType) -> Results:
        """x's shape."""
        expect(x.rank == 2, f"x {x} is no matrix")
        return (x.with_dtype(self.dtype),)

    def evaluate(self, x: Array) -> Array:
        """By comparing row and column."""
        row, column = np.ogrid[: x.shape[0], : x.shape[1]]
        return np.asarray((column == row + self.k).astype(self.dtype.numpy))


@operator
class Range(Op):
    """start, start + delta, start + 2 delta, ... before limit: max(0, ceil((limit - start) / delta)) numbers."""

    signature = "start, limit, delta"

    def infer(self, start: TensorType, limit: TensorType, delta: TensorType) -> Results:
        """One axis; how long is in the operands."""
        expect(start.rank == limit.rank == delta.rank == 0, f"{start}, {limit} and {delta} are not all scalars")
        return (TensorType(same_dtype(start, limit, delta), (UNKNOWN,)),)

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """0, 1, 2, ... before a symbol are as many as the symbol says."""
        start, limit, delta = ([None] if c is None else c.ravel().tolist() for c in contents)
        if start == [0] and delta == [1] and isinstance(limit[0], Symbol):
            return (results[0].with_shape((limit[0],)),)
        return results

    def evaluate(self, start: Array, limit: Array, delta: Array) -> Array:
        """By the formula, each number from its index."""
        exact = (limit.astype(np.float64) - start.astype(np.float64)) / delta.astype(np.float64)
        expect(bool(np.isfinite(exact)), f"a Range from {start} to {limit} by {delta} has no length")
        count = max(0, int(np.ceil(exact)))
        if start.dtype.kind in "iu":
            return np.asarray((start + np.arange(count, dtype=start.dtype) * delta).astype(start.dtype))
        numbers = np.arange(count, dtype=np.float64) * delta.astype(np.float64) + start.astype(np.float64)
        return numbers.astype(start.dtype)


@operator
class ReverseSequence(Op):
    """The first lengths[b] elements along ``time_axis`` turned round, for each b along ``batch_axis``."""

    signature = "x, lengths"
    batch_axis: int = 1
    time_axis: int = 0

    def infer(self, x: TensorType, lengths: TensorType) -> Results:
        """x's type."""
        expect_axis(self.batch_axis, x.rank, "batch_axis")
        expect_axis(self.time_axis, x.rank, "time_axis")
        expect(self.batch_axis != self.time_axis, "batch_axis is time_axis")
        expect_length(lengths.shape, 1, "lengths")
        expect_dim(lengths.shape[0], x.shape[self.batch_axis], "the number of lengths")
        return (x,)

    def evaluate(self, x: Array, lengths: Array) -> Array:
        """One gather along the time axis."""
        steps = np.arange(x.shape[self.time_axis])[None, :]
        ends = lengths.astype(np.int64)[:, None]
        source = np.where(steps < ends, ends - 1 - steps, steps)
        shape = [1] * x.ndim
        shape[self.batch_axis], shape[self.time_axis] = source.shape
        if self.time_axis < self.batch_axis:
            source = source.T
        return np.take_along_axis(x, source.reshape(shape), axis=self.time_axis)


@operator
class Col2Im(Op):
    """x [N, C prod(block), L] -> [N, C, *image]: the L windows of ``block`` added back into their places.

    PyTorch's fold; pads as all begins, then all ends.
    """

    signature = "x"
    block: tuple[int, ...]
    image: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    strides: tuple[int, ...]

    def infer(self, x: TensorType) -> Results:
        """[N, C, *image]."""
        expect(x.rank == 3, f"x {x} should be [N, C * prod(block), L]")
        places = product(slid(self.image, self.block, self.strides, self.pads, self.dilations))
        expect_dim(x.shape[2], places, f"the number of windows of {x}")
        channels, taps = x.shape[1], product(self.block)
        expect(not isinstance(channels, int) or not isinstance(taps, int) or channels % taps == 0,
               f"{channels} do not divide into blocks of {taps}")  # fmt: skip
        return (x.with_shape((x.shape[0], channels // taps, *self.image)),)

    def evaluate(self, x: Array) -> Array:
        """Tap by tap."""
        return kernels.convolve.fold(x, self.image, self.block, self.strides, self.pads, self.dilations)


@operator
class Unfold(Op):
    """Windows of ``size`` elements along ``axis``, one every ``step``; the window becomes a new last axis.

    [*A, D, *B] -> [*A, (D - size) / step + 1 (rounded down), *B, size]: y[a, i, b, j] = x[a, i step + j, b].
    torch.Tensor.unfold's definition.
    """

    signature = "x"
    axis: int
    size: int
    step: int = 1

    def infer(self, x: TensorType) -> Results:
        """[*A, windows, *B, size]."""
        expect_axis(self.axis, x.rank)
        expect(self.size > 0 and self.step > 0, f"windows of {self.size} every {self.step}")
        length = x.shape[self.axis]
        expect(not isinstance(length, int) or length >= self.size, f"a window of {self.size} does not fit {x}")
        windows = (length + (self.step - self.size)) // self.step
        return (x.with_shape((*x.shape[: self.axis], windows, *x.shape[self.axis + 1 :], self.size)),)

    def evaluate(self, x: Array) -> Array:
        """A view."""
        windows = np.lib.stride_tricks.sliding_window_view(x, self.size, axis=self.axis)
        return windows[(slice(None),) * self.axis + (slice(None, None, self.step),)]
