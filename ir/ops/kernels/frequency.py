"""Fourier transforms of tensors whose last axis holds real (and imaginary) parts."""

from __future__ import annotations

import numpy as np

from ...types import Array


def _complex(x: Array) -> Array:
    return x[..., 0] if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1]


def _parts(x: Array, dtype: np.dtype[np.generic]) -> Array:
    return np.stack([x.real, x.imag], axis=-1).astype(dtype)


def dft(x: Array, axis: int, length: int | None, inverse: bool, onesided: bool) -> Array:
    """DFT along ``axis``, cut or filled to ``length``."""
    signal = _complex(x)
    if inverse and onesided:
        n = 2 * (x.shape[axis] - 1) if length is None else length
        return np.fft.irfft(signal, n=n, axis=axis)[..., None].astype(x.dtype)
    n = x.shape[axis] if length is None else length
    if inverse:
        return _parts(np.fft.ifft(signal, n=n, axis=axis), x.dtype)
    found = np.fft.fft(signal, n=n, axis=axis)
    if onesided:
        found = np.take(found, np.arange(n // 2 + 1), axis=axis)
    return _parts(found, x.dtype)


def stft(signal: Array, step: int, window: Array | None, size: int, onesided: bool) -> Array:
    """The transforms of all frames: [B, frames, frequencies, 2]."""
    line = _complex(signal)
    frames = max(0, (line.shape[1] - size) // step + 1)
    at = np.arange(frames)[:, None] * step + np.arange(size)
    cut = line[:, at]
    if window is not None:
        spare = size - window.shape[0]  # a shorter window stands in the middle of its frame
        cut = cut * np.pad(window, (spare // 2, spare - spare // 2))
    found = np.fft.fft(cut, axis=-1)
    return _parts(found[..., : size // 2 + 1] if onesided else found, signal.dtype)
