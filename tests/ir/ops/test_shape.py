"""Shapes and the movement of data."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    ChannelShuffle,
    Col2Im,
    Concat,
    DepthToSpace,
    Expand,
    EyeLike,
    Flatten,
    Pad,
    Range,
    Reshape,
    ReverseSequence,
    Shape,
    Size,
    Slice,
    SpaceToDepth,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Trilu,
    Unfold,
    Unsqueeze,
)
from mconv.ir.ops.shape import END
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import booleans, integers, rand
from .oracle import Case, check

X = rand(2, 3, 4)
IMAGE = rand(1, 8, 4, 6)


def _reshape(x, shape, allow_zero=False):
    return Case(
        Reshape(shape, allow_zero), [x], "Reshape", {"allowzero": int(allow_zero)}, [x, np.array(shape, np.int64)]
    )


def _axes(kind, x, axes):
    return Case(kind(axes), [x], kind.__name__, inputs=[x, np.array(axes)])


def _slice(x, starts, ends, axes, steps):
    inputs = [x, *(np.array(v, np.int64) for v in (starts, ends, axes, steps))]
    return Case(Slice(starts, ends, axes, steps), [x], "Slice", inputs=inputs)


def _pad(x, pads, mode="constant", value=0.0, **more):
    inputs = [x, np.array(pads, np.int64)] + ([np.array(value, x.dtype)] if value else [])
    return Case(Pad(mode, pads, value), [x], "Pad", {"mode": mode}, inputs, **more)


def _split(x, axis, sizes):
    return Case(Split(axis, sizes), [x], "Split", {"axis": axis}, [x, np.array(sizes)])


def _number(kind, attribute, x, value):
    return Case(kind(**{attribute: value}), [x], kind.__name__, inputs=[x, np.array(value, np.int64)])


def _range(*numbers, dtype=np.float32):
    return Case(Range(), [np.array(n, dtype) for n in numbers], "Range")


def _col2im(x, image, block, dilations=None, pads=None, strides=None):
    rank = len(image)
    op = Col2Im(block, image, dilations or (1,) * rank, pads or (0,) * 2 * rank, strides or (1,) * rank)
    attributes = {"dilations": op.dilations, "pads": op.pads, "strides": op.strides}
    return Case(op, [rand(*x)], "Col2Im", attributes, [rand(*x), np.array(image), np.array(block)])


def _unfold(x, axis, size, step=1):
    attributes = {"dim": axis, "size": size, "step": step}
    return Case(Unfold(axis, size, step), [x], "UnfoldTensor", attributes, domain="com.microsoft")


CASES = [
    Case(Shape(), [X], "Shape"),
    Case(Size(), [X], "Size"),
    Case(Size(), [np.float32(2)], "Size"),
    _reshape(X, (6, 4)),
    _reshape(X, (-1, 2)),
    _reshape(X, (0, -1)),
    _reshape(X, (0, 0, 2, 2)),
    _reshape(X, (24,)),
    _reshape(np.zeros((0, 3), np.float32), (3, 0), True),
    _reshape(rand(1), ()),
    _reshape(np.zeros((0, 3, 4), np.float32), (-1, 6)),
    Case(Transpose((2, 0, 1)), [X], "Transpose", {"perm": (2, 0, 1)}),
    Case(Transpose(()), [np.float32(1)], "Transpose"),
    _axes(Squeeze, rand(1, 3, 1), (0, 2)),
    _axes(Squeeze, rand(1, 3, 1), (2,)),
    _axes(Unsqueeze, X, (0, 3)),
    _axes(Unsqueeze, np.float32(2), (0,)),
    *(Case(Flatten(axis), [X], "Flatten", {"axis": axis}) for axis in range(4)),
    Case(Concat(1), [X, rand(2, 5, 4), rand(2, 0, 4)], "Concat", {"axis": 1}),
    Case(Concat(0), [X], "Concat", {"axis": 0}),
    _split(X, 2, (1, 3)),
    _split(X, 0, (0, 2)),
    _split(X, 1, (1, 1, 1)),
    _slice(X, (0, 1), (1, 3), (0, 2), (1, 1)),
    _slice(X, (-3,), (-1,), (2,), (1,)),
    _slice(X, (3,), (-9,), (2,), (-1,)),
    _slice(X, (-1,), (-END,), (2,), (-2,)),
    _slice(X, (1,), (END,), (2,), (2,)),
    _slice(X, (5,), (9,), (1,), (1,)),
    _slice(X, (2,), (1,), (1,), (1,)),
    _slice(X, (9,), (0,), (2,), (-1,)),
    _slice(X, (-9,), (-9,), (2,), (-1,)),
    _pad(X, (0, 1, 2, 1, 0, 3)),
    _pad(X, (0, 1, 2, 1, 0, 3), value=1.5),
    _pad(X, (0, -1, 2, 0, 0, -2)),
    _pad(X, (0, 1, 2, 0, 2, 3), "reflect"),
    _pad(X, (0, 1, 2, 1, 2, 3), "edge"),
    _pad(X, (0, 1, 2, 1, 2, 3), "wrap"),
    _pad(integers(2, 3), (1, 0, 0, 2), value=7),
    _pad(booleans(2, 3), (1, 0, 0, 2)),
    _pad(X, (0, 0, -1, 0, 2, 0), "edge"),
    _pad(np.zeros((0, 2), np.float32), (1, 0, 1, 0)),
    Case(Expand((2, 3, 4)), [rand(3, 1)], "Expand", inputs=[rand(3, 1), np.array([2, 3, 4])]),
    Case(Expand((1, 3)), [rand(2, 1)], "Expand", inputs=[rand(2, 1), np.array([1, 3])]),
    Case(Expand((3,)), [rand(2, 1)], "Expand", inputs=[rand(2, 1), np.array([3])]),
    Case(Expand((2, 0)), [rand(2, 1)], "Expand", inputs=[rand(2, 1), np.array([2, 0])]),
    Case(Tile((2, 1, 3)), [X], "Tile", inputs=[X, np.array([2, 1, 3])]),
    Case(Tile((2, 0)), [rand(2, 2)], "Tile", inputs=[rand(2, 2), np.array([2, 0])]),
    Case(DepthToSpace(2), [IMAGE], "DepthToSpace", {"blocksize": 2}),
    Case(DepthToSpace(2, "CRD"), [IMAGE], "DepthToSpace", {"blocksize": 2, "mode": "CRD"}),
    Case(SpaceToDepth(2), [IMAGE], "SpaceToDepth", {"blocksize": 2}),
    *(
        Case(Trilu(upper, k), [rand(2, 4, 5)], "Trilu", {"upper": int(upper)}, [rand(2, 4, 5), np.array(k)])
        for upper in (True, False)
        for k in (0, 1, -2, 9)
    ),
    Case(Trilu(), [booleans(3, 3)], "Trilu", inputs=[booleans(3, 3)]),
    Case(EyeLike(), [rand(3, 4)], "EyeLike"),
    Case(EyeLike(-1, DType.I64), [rand(3, 4)], "EyeLike", {"k": -1, "dtype": 7}),
    _range(0, 5, 1),
    _range(1, 8.5, 2.5),
    _range(5, 0, -2),
    _range(0, -3, 1),
    _range(3, 20, 4, dtype=np.int64),
    _range(10, -3, -4, dtype=np.int32),
    Case(ReverseSequence(1, 0), [rand(4, 3, 2), np.array([1, 4, 2])], "ReverseSequence"),
    Case(
        ReverseSequence(0, 1), [rand(3, 4), np.array([4, 1, 3])], "ReverseSequence", {"batch_axis": 0, "time_axis": 1}
    ),
    _col2im((1, 5, 5), (5, 5), (1, 5)),
    _col2im((1, 9, 4), (4, 4), (3, 3)),
    _col2im((2, 8, 9), (5, 5), (2, 2), (2, 2)),
    _col2im((1, 8, 20), (5, 5), (1, 4), None, (0, 1, 0, 1)),
    _col2im((1, 4, 9), (6, 6), (2, 2), None, None, (2, 2)),
    _col2im((1, 10, 12), (3, 4, 5), (1, 1, 5), None, None),
    _col2im((1, 6, 5), (6,), (2,)),
    _unfold(X, 2, 2),
    _unfold(X, 0, 1, 3),
    _unfold(X, 1, 3, 2),
    _unfold(rand(2, 9), 1, 4, 3),
    _unfold(rand(5), 0, 2, 2),
    _unfold(integers(3, 7), 1, 2, 4),
    _unfold(np.zeros((0, 3, 4), np.float32), 1, 2),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_scalar_has_no_end_to_pad():
    assert evaluate(Pad("constant", ()), [np.float32(3)])[0] == 3


def test_channel_shuffle():
    x = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1)
    assert evaluate(ChannelShuffle(2), [x])[0].ravel().tolist() == [0, 3, 1, 4, 2, 5]


N, H, W = Symbol("n"), Symbol("h"), Symbol("w")


@pytest.mark.parametrize(
    ("op", "x", "wanted"),
    [
        (Reshape((0, -1)), (N, 3, H, W), (N, Symbol("w*(h*3)"))),
        (Reshape((0, -1, 3)), (N, H, W, 3), (N, Symbol("w*h"), 3)),
        (Reshape((-1, 3)), (N, 3), (N, 3)),
        (Reshape((-1, 4)), (N, 3), (Symbol("(n*3)//4"), 4)),
        (Reshape((0, -1, 4)), (N, Symbol("h*12"), 3), (N, Symbol("h*9"), 4)),
        (Reshape((-1, 6)), (Symbol("(h+1)*4"), 3), (Symbol("(h+1)*2"), 6)),
        (Reshape((-1, 6)), (Symbol("h+1"), 3), (Symbol("((h+1)*3)//6"), 6)),
        (Reshape((-1, 3)), (0, N), (0, 3)),
        (Reshape((-1, 0), True), (N, 2), (UNKNOWN, 0)),
        (Slice((0,), (0,), (0,), (1,)), (N, 3), (0, 3)),
        (Slice((2,), (-1,), (0,), (1,)), (N, 3), (UNKNOWN, 3)),
        (Flatten(1), (N, 3, 4), (N, 12)),
        (Slice((0,), (END,), (0,), (1,)), (N, 3), (N, 3)),
        (Slice((1,), (END,), (0,), (1,)), (N, 3), (Symbol("n-1"), 3)),
        (Slice((0,), (-2,), (0,), (1,)), (N, 3), (Symbol("n-2"), 3)),
        (Slice((0,), (END,), (0,), (2,)), (N, 3), (Symbol("(n+1)//2"), 3)),
        (Slice((-1,), (END,), (0,), (1,)), (N, 3), (1, 3)),
        (Slice((0,), (5,), (0,), (1,)), (N, 3), (UNKNOWN, 3)),
        (Slice((-1,), (-END,), (0,), (-1,)), (N, 3), (N, 3)),
        (Expand((1, 3)), (N, 1), (N, 3)),
        (Pad("constant", (1, 0, 1, 0)), (N, 3), (Symbol("n+2"), 3)),
        (Tile((2, 1)), (N, 3), (Symbol("n*2"), 3)),
        (DepthToSpace(2), (N, 8, H, W), (N, 2, Symbol("h*2"), Symbol("w*2"))),
    ],
)
def test_sizes_with_symbols(op, x, wanted):
    types = [TensorType(DType.F32, x), *[None] * (len(op.operands()) - 1)]
    assert op.infer(*types)[0].shape == wanted


def test_shapes_that_symbols_fit_into():
    x = TensorType(DType.F32, (N, 3, H))
    wanted = np.array([N, H, 3], dtype=object)
    assert Reshape().absorb("shape", wanted, (x, None)).shape == (0, -1, 3)
    assert Reshape(allow_zero=True).absorb("shape", wanted, (x, None)) is None
    assert Reshape(allow_zero=True).absorb("shape", np.array([0, H], dtype=object), (x, None)) is None
    assert Reshape(allow_zero=True).absorb("shape", np.array([H, 3], dtype=object), (x, None)).shape == (-1, 3)
    assert Reshape().absorb("shape", np.array([H, W], dtype=object), (x, None)) is None
    assert Reshape().absorb("shape", np.array([H, -1], dtype=object), (x, None)) is None
    assert Slice(axes=(0,)).absorb("starts", np.array([N], dtype=object), (x,)) is None


def test_unknown_operands_leave_sizes_unknown():
    x, two = TensorType(DType.F32, (N, 3)), TensorType(DType.I64, (2,))
    assert Reshape().infer(x, two)[0].shape == (UNKNOWN, UNKNOWN)
    assert Slice().infer(x, two, two, two, None)[0].shape == (UNKNOWN, UNKNOWN)
    assert Slice(axes=(1, 0)).infer(x, two, two)[0].shape == (UNKNOWN, UNKNOWN)
    assert Slice((0,), (1,), (1,)).infer(x, None, None, None, TensorType(DType.I64, (1,)))[0].shape == (N, UNKNOWN)
    assert Pad().infer(x, TensorType(DType.I64, (4,)))[0].shape == (UNKNOWN, UNKNOWN)
    assert Expand().infer(x, TensorType(DType.I64, (3,)))[0].shape == (UNKNOWN, UNKNOWN, 3)
    assert Tile().infer(x, two)[0].shape == (UNKNOWN, UNKNOWN)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Reshape((5, -1)), [(2, 3), None]),
        (Reshape((-1, -1)), [(2, 3), None]),
        (Reshape((7,)), [(2, 3), None]),
        (Reshape((-2, 3)), [(2, 3), None]),
        (Reshape((0, 0, 0)), [(2, 3), None]),
        (Reshape(), [(2, 3), None]),
        (Reshape((-1, 0), True), [(0, 3), None]),
        (Transpose((0, 0)), [(2, 3)]),
        (Squeeze((0,)), [(2, 3)]),
        (Squeeze((4,)), [(1, 3)]),
        (Unsqueeze((0, 0)), [(2, 3)]),
        (Unsqueeze((9,)), [(2, 3)]),
        (Flatten(3), [(2, 3)]),
        (Concat(0), []),
        (Concat(0), [(2, 3), (2, 4)]),
        (Concat(2), [(2, 3)]),
        (Concat(0), [(2, 3), (3,)]),
        (Split(0, (1, 2)), [(2, 3)]),
        (Slice((0,), (1,), (5,)), [(2, 3), None, None]),
        (Slice((0,), (1,), (0,), (0,)), [(2, 3), None, None]),
        (Slice((0,), (1,), (0, 1)), [(2, 3), None, None]),
        (Pad("constant", (1, 1)), [(2, 3), None]),
        (Pad("constant", (-3, 0, 0, 0)), [(2, 3), None]),
        (Pad(), [(2, 3), None]),
        (Expand((3,)), [(2,), None]),
        (Tile((2,)), [(2, 3), None]),
        (DepthToSpace(2), [(1, 6, 2, 2)]),
        (SpaceToDepth(2), [(1, 6, 3, 2)]),
        (ChannelShuffle(4), [(1, 6)]),
        (Trilu(), [(3,), None]),
        (EyeLike(), [(3,)]),
        (Range(), [(), (1,), ()]),
        (ReverseSequence(0, 0), [(2, 3), (2,)]),
        (ReverseSequence(), [(2, 3), (2,)]),
        (Col2Im((2, 2), (4, 4), (1, 1), (0,) * 4, (1, 1)), [(1, 4, 8)]),
        (Col2Im((2, 2), (4, 4), (1, 1), (0,) * 4, (1, 1)), [(1, 5, 9)]),
        (Unfold(2, 1), [(2, 3)]),
        (Unfold(1, 4), [(2, 3)]),
        (Unfold(1, 1, 4), [(2, 0)]),
        (Unfold(1, 2, 0), [(2, 3)]),
        (Unfold(1, 0), [(2, 3)]),
    ],
)
def test_refuses(op, shapes):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if s is None else TensorType(DType.F32, s) for s in shapes))
