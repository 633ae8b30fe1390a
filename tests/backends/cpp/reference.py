"""What the kernels compute, in numpy's float64, on ``[C, H, W]`` arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """A window that slides over an image. ``pads``: above, left, below, right."""

    c: int
    k: int
    h: int
    w: int
    kh: int = 1
    kw: int = 1
    sy: int = 1
    sx: int = 1
    dy: int = 1
    dx: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def oh(self) -> int:
        return (self.h + self.pads[0] + self.pads[2] - (self.kh - 1) * self.dy - 1) // self.sy + 1

    @property
    def ow(self) -> int:
        return (self.w + self.pads[1] + self.pads[3] - (self.kw - 1) * self.dx - 1) // self.sx + 1

    def same(self) -> Shape:
        """With pads that keep the size at stride 1."""
        high, wide = (self.kh - 1) * self.dy, (self.kw - 1) * self.dx
        return replace(self, pads=(high // 2, wide // 2, high - high // 2, wide - wide // 2))


def windows(s: Shape, x: Real, fill: float = 0.0) -> Real:
    """``[C, kh * kw, oh, ow]``: the cells under each tap."""
    top, left, bottom, right = s.pads
    wide = np.pad(x, ((0, 0), (top, bottom + s.sy), (left, right + s.sx)), constant_values=fill)
    taps = [
        wide[:, y : y + (s.oh - 1) * s.sy + 1 : s.sy, z : z + (s.ow - 1) * s.sx + 1 : s.sx]
        for y in range(0, s.kh * s.dy, s.dy)
        for z in range(0, s.kw * s.dx, s.dx)
    ]
    return np.stack(taps, 1)


def conv(s: Shape, x: Real, w: Real, groups: int = 1) -> Real:
    """Grouped convolution; ``w`` is ``[K, C / groups, kh, kw]``."""
    taps = windows(s, x)
    parts = [
        np.einsum("ctyx,kct->kyx", t, f.reshape(*f.shape[:2], -1), optimize=True)
        for t, f in zip(np.split(taps, groups), np.split(w, groups), strict=True)
    ]
    return np.concatenate(parts)


def erf(x: Real) -> Real:
    return np.vectorize(math.erf)(x)


def activation(name: str, x: Real, a: float = 0.0, b: float = 0.0, slope: Real | None = None) -> Real:
    """The formulas of epilogue.h's table."""
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-x))
        table = {
            "NONE": lambda: x,
            "SILU": lambda: x * sigmoid,
            "HARD_SWISH": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
            "HARD_SIGMOID": lambda: np.clip(a * x + b, 0, 1),
            "SIGMOID": lambda: sigmoid,
            "TANH": lambda: np.tanh(x),
            "GELU": lambda: 0.5 * x * np.vectorize(math.erfc)(-x / math.sqrt(2)),
            "GELU_TANH": lambda: x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
            "MISH": lambda: x * np.tanh(np.logaddexp(0, x)),
            "LEAKY": lambda: np.where(x < 0, a * x, x),
            "PRELU": lambda: np.where(x < 0, x * (0 if slope is None else slope), x),
            "ELU": lambda: np.where(x < 0, a * np.expm1(x), x),
            "SELU": lambda: b * np.where(x < 0, a * np.expm1(x), x),
            "SOFTPLUS": lambda: np.logaddexp(0, x),
            "QUICK_GELU": lambda: x / (1 + np.exp(-a * x)),
        }
        return np.asarray(table[name]())
