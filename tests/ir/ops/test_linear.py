"""Products of matrices and tensors."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Einsum, Linear, MatMul, MatMulInteger, Relu
from mconv.ir.types import DType, Symbol, TensorType

from .data import integers, rand
from .oracle import Case, check


def _einsum(equation, *xs, **more):
    return Case(Einsum(equation), xs, "Einsum", {"equation": equation}, label=f"Einsum[{equation}]", **more)


def _linear(x, o, b):
    operands = [rand(*x), rand(o, x[-1], seed=1)] + ([rand(o, seed=2)] if b else [])
    return Case(Linear(), operands, "Gemm", {"transB": 1})


def _integer(a, b, za=None, zb=None, dtype=np.uint8):
    low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
    operands = [integers(*a, low=0, high=256, dtype=np.uint8), integers(*b, low=low, high=high, dtype=dtype)]
    zeros = [None if z is None else np.array(z, t) for z, t in ((za, np.uint8), (zb, dtype))]
    return Case(MatMulInteger(), [*operands, *zeros], "MatMulInteger")


CASES = [
    Case(MatMul(), [rand(3, 4), rand(4, 5)], "MatMul"),
    Case(MatMul(), [rand(2, 1, 3, 4), rand(5, 4, 2)], "MatMul"),
    Case(MatMul(), [rand(4), rand(4, 5)], "MatMul"),
    Case(MatMul(), [rand(2, 3, 4), rand(4)], "MatMul"),
    Case(MatMul(), [rand(4), rand(4)], "MatMul"),
    Case(MatMul(), [rand(4), rand(2, 4, 3)], "MatMul"),
    Case(MatMul(), [integers(3, 4), integers(4, 2)], "MatMul"),
    Case(MatMul(), [rand(3, 4, dtype=np.float16), rand(4, 5, dtype=np.float16)], "MatMul"),
    Case(MatMul(), [rand(0, 4), rand(4, 5)], "MatMul"),
    _linear((3, 4), 5, True),
    _linear((1, 8), 2, False),
    _einsum("ij,jk->ik", rand(3, 4), rand(4, 5)),
    _einsum("bij,bjk->bik", rand(2, 3, 4), rand(2, 4, 5)),
    _einsum("ij,jk", rand(3, 4), rand(4, 5)),
    _einsum(
        "...ij,...jk->...ik", rand(2, 3, 4), rand(4, 5), oracle="reference", why="its inference does not broadcast"
    ),
    _einsum("ii->i", rand(4, 4)),
    _einsum("ij->ji", rand(3, 4)),
    _einsum("ij->", rand(3, 4)),
    _einsum("bhld,bhmd->bhlm", rand(2, 3, 4, 5), rand(2, 3, 6, 5)),
    _einsum("i,i", rand(3), rand(3)),
    _einsum("i,j,k->ijk", rand(2), rand(3), rand(4)),
    _einsum(" a b , b c -> c a", rand(2, 3), rand(3, 4)),
    _einsum("...ii->...i", rand(3, 4, 4)),
    _integer((3, 4), (4, 5)),
    _integer((2, 3, 4), (4, 5), 7, 130),
    _integer((3, 4), (4, 5), 5, [1, 2, 3, 4, 5]),
    _integer((3, 4), (4, 5), 5, -3, np.int8),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_linear_keeps_leading_axes_and_applies_its_activation():
    x, w, b = rand(2, 3, 4), rand(5, 4), rand(5)
    wanted = np.maximum(x @ w.T + b, 0)
    np.testing.assert_allclose(Linear(Relu()).evaluate(x, w, b), wanted, rtol=1e-5, atol=1e-6)
    types = [TensorType.of(v) for v in (x, w, b)]
    assert Linear().infer(*types)[0].shape == (2, 3, 5)
    assert Linear().flops(types, Linear().infer(*types)) == 2 * 4 * 30


def test_zero_point_of_each_row():
    a, b = integers(3, 4, low=0, dtype=np.uint8), integers(4, 2, low=0, dtype=np.uint8)
    zeros = np.array([1, 2, 3], np.uint8)
    wanted = (a.astype(np.int32) - zeros[:, None].astype(np.int32)) @ b.astype(np.int32)
    np.testing.assert_array_equal(MatMulInteger().evaluate(a, b, zeros, None), wanted)


def test_symbols():
    n = Symbol("n")
    a, b = TensorType(DType.F32, (n, 3, 4)), TensorType(DType.F32, (4, 5))
    assert MatMul().infer(a, b)[0].shape == (n, 3, 5)
    assert Einsum("bij,jk->bik").infer(a, b)[0].shape == (n, 3, 5)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (MatMul(), [(3, 4), (5, 6)]),
        (MatMul(), [(), (5, 6)]),
        (Linear(), [(3, 4), (5, 5)]),
        (Linear(), [(3, 4), (5, 4), (4,)]),
        (Einsum("ij,jk"), [(3, 4)]),
        (Einsum("ij,jk"), [(3, 4), (5, 6)]),
        (Einsum("ij->ik"), [(3, 4)]),
        (Einsum("ij"), [(3, 4, 5)]),
    ],
)
def test_refuses(op, shapes):
    types = [TensorType(DType.F32, s) for s in shapes]
    missing = [] if isinstance(op, Einsum) else [None] * (len(op.operands()) - len(types))
    with pytest.raises(TypeMismatch):
        op.infer(*types, *missing)
