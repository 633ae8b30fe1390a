"""Fourier transforms as products with known matrices; determinants of small matrices."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, DType, Value
from mconv.ir.ops import DFT, STFT, Det, Gather, Linear, Mul, Reshape, Sub, Transpose, Unfold
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

SIZES = "sizes are known only at run time"
MAX_MATRIX = 1 << 22
"""Elements of a transform's matrix: beyond, a product is no sane way to compute it."""


def transform_matrix(op: DFT, size: int, parts: int) -> Array:
    """The matrix [results, size * parts] of a DFT along one axis, real and imaginary parts in turn on both sides."""
    unit = np.eye(size * parts, dtype=np.float64).reshape(size * parts, size, parts)
    made = op.replace(axis=1).evaluate(unit, None)
    return np.ascontiguousarray(made.reshape(size * parts, -1).T)


@decompose(DFT)
def product_for_dft(m: Match, add: Add) -> Value:
    """DFT is along its axis a product with a matrix of cosines and sines."""
    x, op = m["x"], m.op(DFT)
    m.require(x.type.is_static and m.root.result.type.is_static and len(m.root.inputs) == 1, SIZES)
    m.require(x.type.dtype is DType.F32, "not of 32-bit floats")
    shape, rank = x.type.static_shape, x.type.rank
    size, parts = shape[op.axis], shape[-1]
    made = m.root.result.type.static_shape
    m.require(made[op.axis] * made[-1] * size * parts <= MAX_MATRIX, "the matrix would be too large")
    others = [a for a in range(rank - 1) if a != op.axis]
    perm = (*others, op.axis, rank - 1)
    rows = add(Reshape((*(shape[a] for a in others), size * parts)), add(Transpose(perm), x))
    weights = add.constant(transform_matrix(op, size, parts).astype(np.float32))
    found = add(Reshape(tuple(made[p] for p in perm)), add(Linear(), rows, weights))
    return add(Transpose(tuple(perm.index(a) for a in range(rank))), found)


@decompose(STFT)
def frames_for_stft(m: Match, add: Add) -> Value:
    """STFT is a DFT of the frames that Unfold cuts, times the window."""
    signal, op = m["signal"], m.op(STFT)
    result = m.root.result.type
    m.require(signal.type.is_static and result.is_static and op.frame_step is not None, SIZES)
    window = m.get("window")
    size = op.frame_length
    if size is None and window is not None and window.type.is_static:
        size = window.type.static_shape[0]
    m.require(size is not None and "frame_length" not in _given(m), SIZES)
    assert size is not None
    assert op.frame_step is not None
    frames = add(Unfold(1, size, op.frame_step), signal)  # [B, frames, parts, size]
    if window is not None:
        m.require(window.type.shape == (size,), "the window is shorter than a frame")
        frames = add(Mul(), frames, window)
    turned = add(Transpose((0, 1, 3, 2)), frames)
    return add(DFT(2, False, op.onesided), turned)


def _given(m: Match) -> tuple[str, ...]:
    return tuple(p.name for p, v in zip(m.root.op.operands(), m.root.operands, strict=False) if v is not None)


@decompose(Det)
def minors_for_det(m: Match, add: Add) -> Value:
    """Det of matrices of two or three rows is a sum of products."""
    x = m["x"]
    size, rank = x.type.shape[-1], x.type.rank
    m.require(size in (1, 2, 3), "more than three rows")
    count = int(str(size))

    def element(row: int, column: int) -> Value:
        line = add(Gather(rank - 2), x, add.constant(np.int64(row)))
        return add(Gather(rank - 2), line, add.constant(np.int64(column)))

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Value:
        if len(rows) == 1:
            return element(rows[0], columns[0])
        total: Value | None = None
        for place, column in enumerate(columns):
            rest = columns[:place] + columns[place + 1 :]
            term = add(Mul(), element(rows[0], column), minor(rows[1:], rest))
            total = term if total is None else add(Sub() if place % 2 else AddOp(), total, term)
        assert total is not None
        return total

    return minor(tuple(range(count)), tuple(range(count)))
