"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, broadcast, expect, numel, operator, same_dtype
from ..types import Array, DType, Shape, TensorType
from . import kernels
from .conv import activated
from .forms import Results, expect_dim, expect_integer, in_f32


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """numpy's: the last two axes multiply, those before them broadcast; one axis stands for a row or a column."""
    expect(len(a) >= 1 and len(b) >= 1, "a scalar has no matrix product")
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    expect_dim(b[-2] if len(b) > 1 else b[0], a[-1], "the inner size")
    batch = broadcast(a[:-2], b[:-2]) if len(a) > 2 or len(b) > 2 else ()
    return (*batch, *rows, *columns)


def _flops(a: TensorType | None, results: Sequence[TensorType]) -> int:
    inner = a.shape[-1] if a is not None and a.rank else 0
    return 2 * numel(results[0]) * inner if isinstance(inner, int) else 0


@operator
class MatMul(Op):
    """The matrix product as numpy's matmul: [..., M, K] x [..., K, N] -> [..., M, N], leading axes broadcast."""

    signature = "a, b"

    def infer(self, a: TensorType, b: TensorType) -> Results:
        """[..., M, N]."""
        return (TensorType(same_dtype(a, b), matmul_shape(a.shape, b.shape)),)

    @in_f32
    def evaluate(self, a: Array, b: Array) -> Array:
        """numpy's."""
        return kernels.products.matmul(a, b)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """2 K an element."""
        return _flops(operands[0], results)


@operator
class Linear(Op):
    """y = x w^T + b on the last axis: x [*, I], w [O, I], b [O] -> [*, O]; then ``activation``, if there is one."""

    signature = "x, w, b?"
    activation: Op | None = None

    def infer(self, x: TensorType, w: TensorType, b: TensorType | None) -> Results:
        """[*, O]."""
        expect(x.rank >= 1 and w.rank == 2, f"x {x} and w {w} should be [*, I] and [O, I]")
        expect_dim(w.shape[1], x.shape[-1], "the inner size")
        if b is not None:
            expect(b.rank == 1, f"the bias is {b}, not of one axis")
            expect_dim(b.shape[0], w.shape[0], "the length of the bias")
        return (TensorType(same_dtype(x, w, b), (*x.shape[:-1], w.shape[0])),)

    @in_f32
    def evaluate(self, x: Array, w: Array, b: Array | None) -> Array:
        """numpy's matmul."""
        y = kernels.products.matmul(x, w.T)
        if b is not None:
            y = y + b
        return y if self.activation is None else activated(self.activation, y)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """2 I an element."""
        return _flops(operands[0], results)


@operator
class Einsum(Op):
    """A sum of products as Einstein's convention writes it: 'bij,bjk->bik'; '...' stands for axes that broadcast."""

    signature = "*xs"
    equation: str

    def infer(self, *xs: TensorType) -> Results:
        """What stands right of the arrow."""
        return (TensorType(same_dtype(*xs), kernels.products.einsum_shape(self.equation, [x.shape for x in xs])),)

    @in_f32
    def evaluate(self, *xs: Array) -> Array:
        """numpy's einsum."""
        return kernels.products.einsum(self.equation, xs)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each element of the space of all indices."""
        return kernels.products.einsum_flops(self.equation, [t.shape for t in operands if t is not None])


@operator
class MatMulInteger(Op):
    """MatMul of 8-bit integers, (a - a_zero_point) by (b - b_zero_point), summed in i32.

    A zero point is a scalar, or holds a number for each row of a or each column of b.
    """

    signature = "a, b, a_zero_point?, b_zero_point?"

    def infer(
        self, a: TensorType, b: TensorType, a_zero_point: TensorType | None, b_zero_point: TensorType | None
    ) -> Results:
        """i32 [..., M, N]."""
        expect_integer(a, "a")
        expect_integer(b, "b")
        for matrix, zero in ((a, a_zero_point), (b, b_zero_point)):
            expect(zero is None or zero.dtype is matrix.dtype, f"zero point {zero} is not of the type of {matrix}")
        return (TensorType(DType.I32, matmul_shape(a.shape, b.shape)),)

    def evaluate(self, a: Array, b: Array, a_zero_point: Array | None, b_zero_point: Array | None) -> Array:
        """In float64, which holds the sums exactly."""
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        if a_zero_point is not None:
            rows = a_zero_point.astype(np.float64)
            wide_a -= rows[:, None] if rows.ndim == 1 and rows.size > 1 else rows
        if b_zero_point is not None:
            wide_b -= b_zero_point.astype(np.float64)
        return np.asarray(np.rint(np.matmul(wide_a, wide_b)).astype(np.int32))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """2 K an element."""
        return _flops(operands[0], results)
