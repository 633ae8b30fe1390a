"""Resampling of space, and transforms between space and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import Op, Types, expect, numel, operator
from ..types import UNKNOWN, Array, Dim, Symbol, TensorType
from . import kernels
from .forms import Results, expect_axis, expect_dim, expect_length, given, in_f32

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
)  # fmt: skip


@operator
class Resize(Op):
    """x resampled along ``axes`` to ``sizes``, or to floor(size * scale) for ``scales``; the others stay.

    Position i of a result of n' elements reads x (n elements, scale s = n' / n, or ``scales``) at, by ``coordinates``,

    - half_pixel: (i + 0.5) / s - 0.5
    - half_pixel_symmetric: half_pixel about the centre, where n' is not n * s exactly
    - pytorch_half_pixel: half_pixel, but 0 where n' is 1
    - align_corners: i * (n - 1) / (n' - 1)
    - asymmetric: i / s
    - tf_crop_and_resize: within ``roi`` (starts, then ends, as parts of the axis, 0 to 1), of which the corners align;
      outside of x it gives ``extrapolation_value``

    with ``mode`` nearest (rounded as ``nearest`` says: round_prefer_floor, round_prefer_ceil, floor, ceil), linear or
    cubic (Keys' kernel with ``cubic_coeff``; ``exclude_outside`` takes weights outside x away). ``antialias`` widens
    the kernel by 1 / s where s < 1. ``keep_aspect``: with sizes, 'stretch', or one scale for all axes that makes
    them 'not_larger' or 'not_smaller'. As ONNX's Resize.
    """

    signature = "x, [roi], [scales], [sizes]"
    mode: str
    axes: tuple[int, ...]
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_coeff: float = -0.75
    exclude_outside: bool = False
    extrapolation_value: float = 0.0
    antialias: bool = False
    keep_aspect: str = "stretch"
    scales: tuple[float, ...] | None = None
    sizes: tuple[int, ...] | None = None
    roi: tuple[float, ...] | None = None

    def infer(
        self, x: TensorType, roi: TensorType | None, scales: TensorType | None, sizes: TensorType | None
    ) -> Results:
        """x with other sizes along the axes."""
        expect(self.mode in MODES, f"mode '{self.mode}' is none of {', '.join(MODES)}")
        expect(
            self.coordinates in COORDINATES, f"coordinates '{self.coordinates}' are none of {', '.join(COORDINATES)}"
        )
        for axis in self.axes:
            expect_axis(axis, x.rank)
        shape = list(x.shape)
        made: Sequence[Dim] = [UNKNOWN] * len(self.axes)
        if self.sizes is not None:
            expect_length(self.sizes, len(self.axes), "sizes")
            made = self._made([x.shape[a] for a in self.axes])
        elif self.scales is not None:
            expect_length(self.scales, len(self.axes), "scales")
            made = self._scaled([x.shape[a] for a in self.axes], roi is not None)
        else:
            expect(scales is not None or sizes is not None, "neither scales nor sizes are given")
        for axis, size in zip(self.axes, made, strict=True):
            shape[axis] = size
        return (x.with_shape(shape),)

    def _made(self, dims: list[Dim]) -> Sequence[Dim]:
        assert self.sizes is not None
        if self.keep_aspect == "stretch":
            return self.sizes
        if not all(isinstance(d, int) for d in dims):
            return [UNKNOWN] * len(dims)
        return kernels.resample.kept_aspect([int(str(d)) for d in dims], self.sizes, self.keep_aspect)[1]

    def _scaled(self, dims: list[Dim], moving_roi: bool) -> Sequence[Dim]:
        assert self.scales is not None
        cropped = self.coordinates == "tf_crop_and_resize"
        if cropped and (moving_roi or self.roi is None):
            return [UNKNOWN] * len(dims)
        factors = list(self.scales)
        if cropped and self.roi is not None:
            n = len(dims)
            factors = [s * (e - b) for s, b, e in zip(factors, self.roi[:n], self.roi[n:], strict=True)]
        return [_times(d, f) for d, f in zip(dims, factors, strict=True)]

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """Sizes with symbols become scales where each is x's own size, or a multiple of it."""
        items = content.ravel().tolist()
        x = types[0]
        if not any(isinstance(d, Symbol) for d in items):
            kind: Any = int if name == "sizes" else float
            return self.replace(**{name: tuple(kind(d) for d in items)})
        if name != "sizes" or x is None or len(items) != len(self.axes):
            return None
        factors = [_ratio(x.shape[a], d) for a, d in zip(self.axes, items, strict=True)]
        if any(f is None for f in factors) or self.keep_aspect != "stretch":
            return None
        return self.replace(scales=tuple(factors))

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """Sizes that symbols in the operand tell."""
        wanted = contents[3] if len(contents) > 3 else None
        if wanted is None or self.keep_aspect != "stretch" or wanted.size != len(self.axes):
            return results
        shape = list(results[0].shape)
        for axis, size in zip(self.axes, wanted.ravel().tolist(), strict=True):
            shape[axis] = size
        return (results[0].with_shape(shape),)

    @in_f32
    def evaluate(self, x: Array, roi: Array | None, scales: Array | None, sizes: Array | None) -> Array:
        """Axis by axis, each by a small matrix of weights."""
        region = None if self.roi is None and roi is None else given(self.roi, roi)
        factors = None if self.scales is None and scales is None else given(self.scales, scales)
        wanted = None if self.sizes is None and sizes is None else given(self.sizes, sizes)
        return kernels.resample.resize(self, x, region, factors, wanted)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each of the 1, 2 or 4 elements an axis that a result reads."""
        taps = {"nearest": 0, "linear": 2, "cubic": 4}.get(self.mode, 0)
        return int(2 * taps ** len(self.axes) * numel(results[0])) if taps else 0


def _times(dim: Dim, factor: float) -> Dim:
    if isinstance(dim, int):
        return kernels.resample.scaled_size(dim, factor)
    if factor == int(factor):
        return dim * int(factor)
    inverse = 1 / factor if factor else 0
    return dim // int(inverse) if inverse == int(inverse) and inverse > 1 else UNKNOWN


def _ratio(own: Dim, wanted: Dim) -> float | None:
    if own == wanted:
        return 1.0
    if isinstance(own, int):
        return wanted / own if isinstance(wanted, int) and own else None
    factors = (2, 3, 4, 5, 6, 8, 16, 32)
    return next((float(f) for f in factors if own * f == wanted), None)


@operator
class GridSample(Op):
    """x [N, C, *S] read at the places of grid [N, *O, d] -> [N, C, *O]; d coordinates, of the last axis of x first.

    Coordinates run from -1 to 1 over an axis: over the centres of its end elements with ``align_corners``, else over
    their outer edges. ``mode`` 'linear', 'nearest' (halves to even) or 'cubic' (Keys' kernel, -0.75); ``padding``
    outside: 'zeros', 'border' (the end element), 'reflection'. As PyTorch's grid_sample.
    """

    signature = "x, grid"
    mode: str = "linear"
    padding: str = "zeros"
    align_corners: bool = False

    def infer(self, x: TensorType, grid: TensorType) -> Results:
        """[N, C, *O]."""
        expect(x.rank >= 3 and grid.rank == x.rank, f"x {x} and grid {grid} should be [N, C, *S] and [N, *O, d]")
        expect_dim(grid.shape[-1], x.rank - 2, "the number of coordinates in grid")
        expect_dim(grid.shape[0], x.shape[0], "the batch of grid")
        return (x.with_shape((*x.shape[:2], *grid.shape[1:-1])),)

    @in_f32
    def evaluate(self, x: Array, grid: Array) -> Array:
        """Corner by corner."""
        return kernels.sampling.grid_sample(x, grid, self.mode, self.padding, self.align_corners)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each element that a result reads."""
        axes = max(len(results[0].shape) - 2, 0)
        return int(2 * {"linear": 2, "nearest": 1, "cubic": 4}.get(self.mode, 1) ** axes * numel(results[0]))


@operator
class AffineGrid(Op):
    """The grid for GridSample of an affine map: theta [N, d, d + 1] times the positions of a [N, C, *S] result.

    ``size`` is [N, C, *S]; result [N, *S, d], the last axis's coordinate first. As PyTorch's affine_grid.
    """

    signature = "theta, [size]"
    align_corners: bool = False
    size: tuple[int, ...] | None = None

    def infer(self, theta: TensorType, size: TensorType | None) -> Results:
        """[N, *S, d]."""
        expect(theta.rank == 3, f"theta {theta} should be [N, d, d + 1]")
        count = self._axes(theta)
        expect_dim(theta.shape[1], count, "the height of theta")
        expect_dim(theta.shape[2], count + 1, "the width of theta")
        if self.size is None:
            return (theta.with_shape((theta.shape[0], *(UNKNOWN,) * count, count)),)
        return (theta.with_shape((theta.shape[0], *self.size[2:], count)),)

    def _axes(self, theta: TensorType) -> int:
        if self.size is not None:
            return len(self.size) - 2
        height, width = theta.shape[1], theta.shape[2]
        expect(isinstance(height, int) or isinstance(width, int), f"theta {theta} does not tell the number of axes")
        return height if isinstance(height, int) else int(str(width)) - 1

    @in_f32
    def evaluate(self, theta: Array, size: Array | None) -> Array:
        """One matrix product."""
        return kernels.sampling.affine_grid(theta, given(self.size, size), self.align_corners)


@operator
class DFT(Op):
    """The discrete Fourier transform along ``axis``; x [..., 1] is real, [..., 2] holds real and imaginary parts.

    X[k] = sum over t of x[t] exp(-2 pi i k t / n); ``inverse`` has the other sign and divides by n. ``length`` (n)
    cuts x or fills it with zeros. ``onesided`` gives only the n // 2 + 1 first frequencies of a real x; with
    ``inverse`` it takes those and gives a real [..., 1].
    """

    signature = "x, [length]"
    axis: int
    inverse: bool = False
    onesided: bool = False
    length: int | None = None

    def infer(self, x: TensorType, length: TensorType | None) -> Results:
        """[..., 2], or [..., 1] of the inverse and one-sided one."""
        expect_axis(self.axis, x.rank)
        expect(self.axis < x.rank - 1, "the last axis holds real and imaginary parts")
        own = x.shape[self.axis]
        both = self.inverse and self.onesided
        n: Dim = UNKNOWN if length is not None else own if self.length is None else self.length
        if both and length is None and self.length is None:
            n = (own - 1) * 2
        size = n if n == UNKNOWN or both or not self.onesided else n // 2 + 1
        shape = (*x.shape[: self.axis], size, *x.shape[self.axis + 1 : -1], 1 if both else 2)
        return (x.with_shape(shape),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The one number."""
        return super().absorb(name, content.reshape(()), types) if content.size == 1 else None

    @in_f32
    def evaluate(self, x: Array, length: Array | None) -> Array:
        """numpy's fft."""
        count = None if length is None and self.length is None else given(self.length, _scalar(length))
        return kernels.frequency.dft(x, self.axis, count, self.inverse, self.onesided)


def _scalar(array: Array | None) -> Array | None:
    return None if array is None else array.reshape(())


@operator
class STFT(Op):
    """Fourier transforms of frames of signal [B, L, 1 or 2] -> [B, frames, frequencies, 2].

    A frame of ``frame_length`` (the window's length if absent) begins every ``frame_step`` elements, while it fits;
    it is multiplied by window [frame_length]. ``onesided`` gives frame_length // 2 + 1 frequencies.
    """

    signature = "signal, [frame_step], window?, [frame_length]"
    onesided: bool = True
    frame_step: int | None = None
    frame_length: int | None = None

    def infer(
        self,
        signal: TensorType,
        frame_step: TensorType | None,
        window: TensorType | None,
        frame_length: TensorType | None,
    ) -> Results:
        """[B, frames, frequencies, 2]."""
        expect(signal.rank == 3, f"the signal {signal} should be [B, L, 1 or 2]")
        size: Dim = UNKNOWN
        if self.frame_length is not None:
            size = self.frame_length
        elif frame_length is None and window is not None:
            size = window.shape[0]
        frames, bins = UNKNOWN, UNKNOWN
        if isinstance(size, int):
            bins = size // 2 + 1 if self.onesided else size  # type: ignore[assignment]
            if self.frame_step is not None:
                frames = (signal.shape[1] + (self.frame_step - size)) // self.frame_step  # type: ignore[assignment]
        return (signal.with_shape((signal.shape[0], frames, bins, 2)),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """The one number."""
        return super().absorb(name, content.reshape(()), types) if content.size == 1 else None

    @in_f32
    def evaluate(
        self, signal: Array, frame_step: Array | None, window: Array | None, frame_length: Array | None
    ) -> Array:
        """numpy's fft of all frames at once."""
        step = given(self.frame_step, _scalar(frame_step))
        if self.frame_length is None and frame_length is None:
            size = signal.shape[1] if window is None else window.shape[0]
        else:
            size = given(self.frame_length, _scalar(frame_length))
        return kernels.frequency.stft(signal, step, window, size, self.onesided)


@operator
class Det(Op):
    """The determinant of each matrix in the last two axes: [*, M, M] -> [*]."""

    signature = "x"

    def infer(self, x: TensorType) -> Results:
        """[*]."""
        expect(x.rank >= 2, f"x {x} is no matrix")
        expect_dim(x.shape[-2], x.shape[-1], f"the height of {x}")
        return (x.with_shape(x.shape[:-2]),)

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """numpy's."""
        return np.asarray(np.linalg.det(x)).astype(x.dtype)
