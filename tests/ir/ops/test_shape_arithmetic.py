"""What is known of small tensors while a graph is built."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import Builder, DType, Symbol
from mconv.ir.ops import (
    Abs,
    Add,
    Cast,
    Ceil,
    Clip,
    Concat,
    Div,
    Equal,
    Expand,
    Floor,
    Gather,
    Greater,
    Max,
    Min,
    Mul,
    Neg,
    NonZero,
    Not,
    Range,
    ReduceMax,
    ReduceProd,
    ReduceSum,
    Reshape,
    Resize,
    Round,
    Shape,
    Size,
    Slice,
    Split,
    Sqrt,
    Squeeze,
    Sub,
    Tile,
    Transpose,
    Unsqueeze,
    Where,
)

N, H, W = Symbol("n"), Symbol("h"), Symbol("w")


class Sizes:
    """A graph with an input x [n, 3, h, w] and short words for what exporters write."""

    def __init__(self, *shape):
        self.b = Builder()
        self.x = self.b.input("x", DType.F32, shape or (N, 3, H, W))
        self.shape = self.b.add(Shape(), self.x)

    def add(self, op, *operands):
        return self.b.add(op, *(self.b.constant(v) if not hasattr(v, "type") else v for v in operands))

    def size(self, axis):
        return self.add(Gather(0), self.shape, axis)

    def list(self, *items):
        return self.add(
            Concat(0), *(self.add(Unsqueeze((0,)), i) if hasattr(i, "type") else self.b.constant([i]) for i in items)
        )

    def known(self, value):
        content = self.b.content(value)
        return None if content is None else content.tolist()


def test_flatten_by_view():
    s = Sizes(N, 3, 4, 5)
    y = s.add(Reshape(), s.x, s.list(s.size(0), -1))
    assert y.type.shape == (N, 60)
    assert y.producer.op == Reshape((0, -1))


def test_product_of_two_symbols_is_left_over():
    s = Sizes()
    tokens = s.add(Mul(), s.size(2), s.size(3))
    y = s.add(Reshape(), s.add(Transpose((0, 2, 3, 1)), s.x), s.list(s.size(0), tokens, s.size(1)))
    assert y.producer.op == Reshape((0, -1, 3))
    back = s.add(Reshape(), y, s.list(s.size(0), s.size(2), s.size(3), s.size(1)))
    assert back.type.shape == (N, H, W, 3)
    assert back.producer.op.shape is None


def test_upsampling_to_twice_the_size():
    s = Sizes()
    twice = s.add(Cast(DType.I64), s.add(Floor(), s.add(Mul(), s.add(Cast(DType.F32), s.size(2)), 2.0)))
    y = s.b.add(Resize("linear", (2, 3)), s.x, None, None, s.list(twice, s.size(3)))
    assert y.type.shape == (N, 3, H * 2, W)
    assert y.producer.op.scales == (2.0, 1.0)


def test_upsampling_to_another_size_keeps_its_symbols():
    s = Sizes()
    other = s.b.input("other", DType.F32, (1, 1, Symbol("p"), Symbol("q")))
    sizes = s.add(Slice((2,), (4,), (0,), (1,)), s.add(Shape(), other))
    y = s.b.add(Resize("nearest", (2, 3)), s.x, None, None, sizes)
    assert y.type.shape == (N, 3, Symbol("p"), Symbol("q"))


def test_numbers_become_constants_without_nodes():
    s = Sizes(2, 3, 8, 6)
    half = s.add(Div(), s.size(2), 2)
    scaled = s.add(Cast(DType.I64), s.add(Ceil(), s.add(Mul(), s.add(Cast(DType.F32), s.size(3)), 1.3)))
    root = s.add(Sqrt(), s.add(Cast(DType.F32), s.size(2)))
    assert half.data == 4
    assert scaled.data == 8
    assert root.data == np.sqrt(np.float32(8))
    assert len(s.b.graph) == 0


def test_rounding_is_that_of_the_element_type():
    s = Sizes(1, 1, 10, 10)
    times = s.add(Mul(), s.add(Cast(DType.F32), s.size(2)), np.float32(0.7))
    assert s.add(Floor(), times).data == 7  # in float64 it would be 6


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda s: s.size(0), N),
        (lambda s: s.add(Add(), s.size(0), 2), N + 2),
        (lambda s: s.add(Sub(), s.size(0), 1), N - 1),
        (lambda s: s.add(Mul(), s.size(0), 4), N * 4),
        (lambda s: s.add(Div(), s.size(0), 4), N // 4),
        (lambda s: s.add(Div(), s.add(Mul(), s.size(0), 4), 4), N),
        (lambda s: s.add(Div(), s.size(0), 0), None),
        (lambda s: s.add(Max(), s.size(0), 0), N),
        (lambda s: s.add(Max(), s.size(0), 3), None),
        (lambda s: s.add(Max(), 0, s.size(0)), N),
        (lambda s: s.add(Min(), s.size(0), 2**31), N),
        (lambda s: s.add(Min(), 2**31, s.size(0)), N),
        (lambda s: s.add(Min(), s.size(0), s.size(1)), None),
        (lambda s: s.add(Equal(), s.size(0), -1), False),
        (lambda s: s.add(Equal(), s.size(0), s.size(0)), True),
        (lambda s: s.add(Equal(), s.size(0), 7), None),
        (lambda s: s.add(Neg(), s.size(0)), None),
        (lambda s: s.add(Size(), s.x), Symbol("w*(n*(h*3))")),
        (lambda s: s.add(Cast(DType.I32), s.size(0)), N),
        (lambda s: s.add(Cast(DType.BOOL), s.size(0)), None),
        (lambda s: s.add(ReduceProd((0,), False), s.shape), Symbol("w*(n*(h*3))")),
        (lambda s: s.add(ReduceSum((0,), False), s.list(s.size(0), 2)), N + 2),
        (lambda s: s.add(ReduceMax((0,)), s.list(s.size(0), 0)), [N]),
        (lambda s: s.add(ReduceMax((0,)), s.list(s.size(0), 7)), None),
        (lambda s: s.add(Floor(), s.add(Mul(), s.add(Cast(DType.F32), s.size(0)), 2.0)), N * 2),
        (lambda s: s.add(Round(), s.add(Mul(), s.add(Cast(DType.F32), s.size(0)), 0.5)), None),
        (lambda s: s.add(Div(), s.add(Cast(DType.F32), s.add(Mul(), s.size(0), 2)), 2.0), N),
        (lambda s: s.add(Div(), s.add(Cast(DType.F32), s.size(0)), 2.0), None),
        (lambda s: s.add(Squeeze((0,)), s.add(Slice((0,), (1,), (0,), (1,)), s.shape)), N),
        (lambda s: s.add(Split(0, (1, 3)), s.shape), [N]),
        (lambda s: s.add(Tile((2,)), s.list(s.size(0), 1)), [N, 1, N, 1]),
        (lambda s: s.add(Expand((2, 1)), s.size(0)), [[N], [N]]),
        (lambda s: s.add(Reshape((2, 2)), s.shape), [[N, 3], [H, W]]),
        (lambda s: s.add(Where(), np.array([True, False, True, True]), s.shape, 7), [N, 7, H, W]),
        (lambda s: s.add(Where(), s.add(Equal(), s.shape, -1), 1, s.shape), [N, 3, H, W]),
        (lambda s: s.add(Where(), np.array(True), s.shape, s.b.input("u", DType.I64, (4,))), [N, 3, H, W]),
        (lambda s: s.add(Range(), 0, 5, 2), [0, 2, 4]),
        (lambda s: s.add(Range(), 0, 10**12, 1), None),
        (lambda s: s.add(NonZero(), np.array([0, 3, 4])), [[1, 2]]),
        (lambda s: s.add(Not(), np.array([True])), [False]),
        (lambda s: s.add(Expand((2000,)), 1), None),
        (lambda s: s.add(Greater(), s.size(0), 0), None),
        (lambda s: s.add(Abs(), -3), 3),
        (lambda s: s.add(Clip(0, 2), 7), 2),
        (lambda s: s.add(Div(), -7, 2), -3),
        (lambda s: s.add(Div(), s.list(s.size(0), -7), 2), [N // 2, -3]),
    ],
)
def test_contents(build, wanted):
    s = Sizes()
    assert s.known(build(s)) == wanted


def test_range_up_to_a_symbol():
    s = Sizes()
    assert s.add(Range(), 0, s.size(2), 1).type.shape == (H,)
    assert s.add(Range(), 1, s.size(2), 1).type.shape != (H,)


def test_slice_up_to_a_symbol():
    s = Sizes()
    op = Slice(axes=(2,), steps=(1,))
    y = s.add(op, s.x, [0], s.list(s.size(2)))
    assert y.type.shape == (N, 3, H, W)
    assert y.producer.op.ends == (2**63 - 1,)


def test_expand_to_symbols():
    s = Sizes()
    y = s.add(Expand(), 1.0, s.list(s.size(0), 1, s.size(2)))
    assert y.type.shape == (N, 1, H)
    same = s.add(Expand(), s.x, s.list(s.size(0), 1, 1, 1))
    assert same.producer.op == Expand((1, 1, 1, 1))


def test_large_tensors_are_no_shape_arithmetic():
    b = Builder()
    y = b.add(Add(), b.constant(np.zeros(5000, np.int64)), b.constant(1))
    assert y.producer is not None
    assert b.add(Add(), b.constant(np.zeros(20, np.float32)), b.constant(1.0)).producer is not None
