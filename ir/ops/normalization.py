"""Normalisations: shift by a mean and scale by a spread, which differ in what they are taken over.

Means and variances are over the population (divided by n), in float32 for 16-bit floats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, broadcast, expect, numel, operator
from ..types import Array, Shape, TensorType
from .forms import Results, Unary, either_layout, expect_axis, expect_dim, expect_float, in_f32


class _Normalization(Op):
    """x's type comes back; about eight operations an element."""

    signature = "x, gamma?, beta?"

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """About eight an element: mean, variance, shift, scale."""
        return 8 * numel(results[0])


def _check_channels(x: TensorType, **vectors: TensorType | None) -> None:
    expect(x.rank >= 2, f"x {x} should be [N, C, *S]")
    for name, t in vectors.items():
        if t is not None:
            expect(t.rank == 1, f"{name} is {t}, not one number a channel")
            expect_dim(t.shape[0], x.shape[1], f"the length of {name}")


def _check_scale(x: TensorType, axis: int, **scales: TensorType | None) -> None:
    expect_axis(axis, x.rank)
    for name, t in scales.items():
        if t is not None:
            shape: Shape = broadcast(x.shape[axis:], t.shape)
            expect(len(shape) == x.rank - axis, f"{name} {t} does not broadcast to x {x} from axis {axis}")


def _per_channel(v: Array, rank: int) -> Array:
    return v.reshape(-1, *[1] * (rank - 2))


def _standardised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = np.mean(centred * centred, axis=axes, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(epsilon)))


def _scaled(y: Array, gamma: Array | None, beta: Array | None) -> Array:
    if gamma is not None:
        y = y * gamma
    return y if beta is None else y + beta


@operator
class BatchNorm(Op):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, each of them one number a channel (axis 1 of x)."""

    signature = "x, gamma, beta, mean, var"
    epsilon: float = 1e-5

    def infer(self, x: TensorType, gamma: TensorType, beta: TensorType, mean: TensorType, var: TensorType) -> Results:
        """x's type."""
        expect_float(x, gamma, beta, mean, var)
        _check_channels(x, gamma=gamma, beta=beta, mean=mean, var=var)
        return (x,)

    @in_f32
    def evaluate(self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        """One multiplication and one addition an element."""
        factor = gamma / np.sqrt(var + var.dtype.type(self.epsilon))
        y = x * _per_channel(factor, x.ndim) + _per_channel(beta - mean * factor, x.ndim)
        return y.astype(x.dtype, copy=False)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two an element."""
        return 2 * numel(results[0])


@operator
class LayerNorm(_Normalization):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta over the axes from ``axis`` to the last.

    gamma and beta broadcast to x.shape[axis:]. https://arxiv.org/abs/1607.06450
    """

    axis: int
    epsilon: float = 1e-5

    def infer(self, x: TensorType, gamma: TensorType | None, beta: TensorType | None) -> Results:
        """x's type."""
        expect_float(x, gamma, beta)
        _check_scale(x, self.axis, gamma=gamma, beta=beta)
        return (x,)

    @in_f32
    def evaluate(self, x: Array, gamma: Array | None, beta: Array | None) -> Array:
        """By the formula."""
        y = _standardised(x, tuple(range(self.axis, x.ndim)), self.epsilon)
        return _scaled(y, gamma, beta).astype(x.dtype, copy=False)


@operator
class RMSNorm(_Normalization):
    """y = gamma * x / sqrt(mean(x^2) + epsilon) over the axes from ``axis`` to the last.

    gamma broadcasts to x.shape[axis:]. https://arxiv.org/abs/1910.07467
    """

    signature = "x, gamma?"
    axis: int
    epsilon: float = 1e-5

    def infer(self, x: TensorType, gamma: TensorType | None) -> Results:
        """x's type."""
        expect_float(x, gamma)
        _check_scale(x, self.axis, gamma=gamma)
        return (x,)

    @in_f32
    def evaluate(self, x: Array, gamma: Array | None) -> Array:
        """By the formula."""
        squares = np.mean(x * x, axis=tuple(range(self.axis, x.ndim)), keepdims=True)
        return _scaled(x / np.sqrt(squares + x.dtype.type(self.epsilon)), gamma, None).astype(x.dtype, copy=False)


@operator
class GroupNorm(_Normalization):
    """x [N, C, *S] standardised over each of ``groups`` runs of channels with their *S; gamma and beta are [C].

    https://arxiv.org/abs/1803.08494
    """

    groups: int
    epsilon: float = 1e-5

    def infer(self, x: TensorType, gamma: TensorType | None, beta: TensorType | None) -> Results:
        """x's type."""
        expect_float(x, gamma, beta)
        _check_channels(x, gamma=gamma, beta=beta)
        channels = x.shape[1]
        expect(not isinstance(channels, int) or (self.groups > 0 and channels % self.groups == 0),
               f"{channels} channels do not divide into {self.groups} groups")  # fmt: skip
        return (x,)

    @in_f32
    def evaluate(self, x: Array, gamma: Array | None, beta: Array | None) -> Array:
        """By the formula."""
        grouped = x.reshape(x.shape[0], self.groups, x.shape[1] // self.groups, *x.shape[2:])
        y = _standardised(grouped, tuple(range(2, grouped.ndim)), self.epsilon).reshape(x.shape)
        vectors = [None if v is None else _per_channel(v, x.ndim) for v in (gamma, beta)]
        return _scaled(y, vectors[0], vectors[1]).astype(x.dtype, copy=False)


@operator
class InstanceNorm(_Normalization):
    """x [N, C, *S] standardised over *S, for each image and channel alone; gamma and beta are [C].

    https://arxiv.org/abs/1607.08022
    """

    epsilon: float = 1e-5

    def infer(self, x: TensorType, gamma: TensorType | None, beta: TensorType | None) -> Results:
        """x's type."""
        expect_float(x, gamma, beta)
        _check_channels(x, gamma=gamma, beta=beta)
        return (x,)

    @in_f32
    def evaluate(self, x: Array, gamma: Array | None, beta: Array | None) -> Array:
        """By the formula."""
        y = _standardised(x, tuple(range(2, x.ndim)), self.epsilon)
        vectors = [None if v is None else _per_channel(v, x.ndim) for v in (gamma, beta)]
        return _scaled(y, vectors[0], vectors[1]).astype(x.dtype, copy=False)


@operator
class LRN(Op):
    """y = x / (bias + alpha / size * sum of x^2 over ``size`` neighbouring channels)^beta.

    The neighbours of channel c are c - (size-1)//2 to c + size//2, as far as there are any.
    Local response normalisation, from AlexNet.
    """

    signature = "x"
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0
    channels_last: bool = False

    @either_layout
    def infer(self, x: TensorType) -> Results:
        """x's type."""
        expect_float(x)
        expect(x.rank >= 2, f"x {x} should be [N, C, *S]")
        expect(self.size > 0, f"size {self.size} is not positive")
        return (x,)

    @in_f32
    @either_layout
    def evaluate(self, x: Array) -> Array:
        """By sums of shifted squares."""
        channels = x.shape[1]
        before, after = min((self.size - 1) // 2, channels), min(self.size // 2, channels)
        squares = np.zeros((x.shape[0], before + channels + after, *x.shape[2:]), x.dtype)
        squares[:, before : before + channels] = x * x
        total = sum((squares[:, i : i + channels] for i in range(before + after + 1)), np.zeros_like(x))
        kind = x.dtype.type
        return np.asarray(x / np.power(kind(self.bias) + kind(self.alpha / self.size) * total, kind(self.beta)))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """The window's sum and four more an element."""
        return (self.size + 4) * numel(results[0])


@operator
class LpNormalize(Unary):
    """y = x / the p-norm of x along ``axis`` (p is 1 or 2).

    ``epsilon`` keeps the divisor from zero: max(norm, epsilon) with ``epsilon_mode`` 'max', for p = 2
    sqrt(sum + epsilon) with 'add'. Where the divisor is zero all the same, y is zero.
    """

    elementwise = False
    axis: int
    p: int = 2
    epsilon: float = 0.0
    epsilon_mode: str = "max"

    def infer(self, x: TensorType) -> Results:
        """x's type."""
        expect_float(x)
        expect_axis(self.axis, x.rank)
        return (x,)

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        epsilon = x.dtype.type(self.epsilon)
        add = self.epsilon_mode == "add"
        if self.p == 1:
            norm = np.abs(x).sum(axis=self.axis, keepdims=True) + (epsilon if add else x.dtype.type(0))
        else:
            total = (x * x).sum(axis=self.axis, keepdims=True)
            norm = np.sqrt(total + epsilon if add else total)
        if not add:
            norm = np.maximum(norm, epsilon)
        return np.asarray(np.where(norm == 0, x.dtype.type(0), x / np.where(norm == 0, x.dtype.type(1), norm)))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Three an element."""
        return 3 * numel(results[0])


@operator
class MeanVarianceNormalize(Unary):
    """y = (x - mean) / (sqrt(var) + epsilon) over ``axes``."""

    elementwise = False
    axes: tuple[int, ...]
    epsilon: float = 1e-9

    def infer(self, x: TensorType) -> Results:
        """x's type."""
        expect_float(x)
        for axis in self.axes:
            expect_axis(axis, x.rank)
        return (x,)

    @in_f32
    def evaluate(self, x: Array) -> Array:
        """By the formula."""
        centred = x - x.mean(axis=self.axes, keepdims=True)
        variance = np.mean(centred * centred, axis=self.axes, keepdims=True)
        return np.asarray(centred / (np.sqrt(variance) + x.dtype.type(self.epsilon)))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Six an element."""
        return 6 * numel(results[0])
