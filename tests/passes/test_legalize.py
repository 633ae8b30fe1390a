"""Decompositions: the refused operator is gone, and the numbers stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mconv.ir import DType, Node, Op, Value
from mconv.ir import ops as o
from mconv.ir.interpreter import run
from mconv.passes import pipeline
from mconv.passes.base import Context
from mconv.passes.legalize import LEGALIZE

from .graphs import B, Refusing, build, feeds, kinds, rewritten

Make = Callable[[B], Value | Sequence[Value]]


def unary(op: Op, *shape: int) -> Make:
    return lambda b: b.add(op, b.x(*(shape or (2, 3))))


def index(b: B, *numbers: int) -> Value:
    return b.constant(np.array(numbers, np.int64))


CASES: dict[str, tuple[tuple[type[Op], ...], Make]] = {
    "gelu": ((o.Gelu,), unary(o.Gelu("none"))),
    "gelu tanh": ((o.Gelu,), unary(o.Gelu("tanh"))),
    "hard swish": ((o.HardSwish, o.HardSigmoid), unary(o.HardSwish())),
    "silu": ((o.Silu,), unary(o.Silu(1.5))),
    "mish": ((o.Mish, o.Softplus), unary(o.Mish())),
    "softsign": ((o.Softsign,), unary(o.Softsign())),
    "elu": ((o.Elu,), unary(o.Elu(1.3))),
    "selu": ((o.Selu,), unary(o.Selu(1.67, 1.05))),
    "celu": ((o.Celu,), unary(o.Celu(1.3))),
    "prelu": ((o.PRelu,), lambda b: b.add(o.PRelu(), b.x(1, 3, 2, 2), b.c(3, 1, 1))),
    "shrink": ((o.Shrink,), unary(o.Shrink(bias=0.4, lambd=0.4))),
    "reciprocal": ((o.Reciprocal,), unary(o.Reciprocal())),
    "erf": ((o.Erf,), unary(o.Erf())),
    "tan": ((o.Tan,), unary(o.Tan())),
    "sinh": ((o.Sinh,), unary(o.Sinh())),
    "cosh": ((o.Cosh,), unary(o.Cosh())),
    "affine, scaled tanh": (
        (o.Affine, o.ScaledTanh),
        lambda b: b.add(o.Affine(2, 1), b.add(o.ScaledTanh(2, 3), b.x(2))),
    ),
    "cumprod": ((o.CumProd,), unary(o.CumProd(axis=1, exclusive=True, reverse=True), 2, 5)),
    "hardmax": ((o.Hardmax,), unary(o.Hardmax(1), 2, 5)),
    "resize by matrices": ((o.Resize,), unary(o.Resize("cubic", (2, 3), sizes=(5, 7)), 1, 2, 4, 9)),
    "resize by matrices, one scale": (
        (o.Resize,),
        unary(o.Resize("linear", (2, 3), keep_aspect="not_larger", sizes=(7, 9)), 1, 2, 4, 5),
    ),
    "dft": ((o.DFT,), unary(o.DFT(1), 2, 6, 1)),
    "det": ((o.Det,), unary(o.Det(), 2, 3, 3)),
    "lstm": ((o.LSTM,), lambda b: b.add_all(o.LSTM(3), b.x(4, 2, 3), b.c(1, 12, 3), b.c(1, 12, 3), b.c(1, 24))),
    "square, rsqrt": ((o.Square, o.Rsqrt), lambda b: b.add(o.Rsqrt(), b.add(o.Square(), b.x(2, 3)))),
    "relu": ((o.Relu,), unary(o.Relu())),
    "layer norm": ((o.LayerNorm,), lambda b: b.add(o.LayerNorm(1, 1e-5), b.x(2, 3, 4), b.c(3, 4), b.w(3, 4))),
    "rms norm": ((o.RMSNorm,), lambda b: b.add(o.RMSNorm(2, 1e-5), b.x(2, 3, 4), b.c(4))),
    "group norm": (
        (o.GroupNorm, o.InstanceNorm),
        lambda b: b.add(o.GroupNorm(2, 1e-5), b.x(1, 4, 3, 3), b.c(4), b.w(4)),
    ),
    "batch norm": (
        (o.BatchNorm,),
        lambda b: b.add(o.BatchNorm(1e-5), b.x(1, 4, 3), b.c(4), b.w(4), b.w(4), b.c(4)),
    ),
    "mean variance": ((o.MeanVarianceNormalize,), unary(o.MeanVarianceNormalize((0, 2, 3)), 1, 3, 4, 4)),
    "lp normalize": ((o.LpNormalize,), unary(o.LpNormalize(axis=1, p=1), 2, 3)),
    "lrn": ((o.LRN,), unary(o.LRN(size=4, alpha=0.1, beta=0.75, bias=1.0), 1, 6, 3, 3)),
    "l1": ((o.ReduceL1,), unary(o.ReduceL1((1,), False), 2, 3)),
    "l2, sum of squares": ((o.ReduceL2, o.ReduceSumSquare), unary(o.ReduceL2((1,), True), 2, 3)),
    "log sum exp": ((o.ReduceLogSumExp,), unary(o.ReduceLogSumExp((1,), False), 2, 3)),
    "mean": ((o.ReduceMean,), unary(o.ReduceMean((1, 2), True), 2, 3, 4)),
    "log softmax": ((o.LogSoftmax,), unary(o.LogSoftmax(1), 2, 3)),
    "softmax": ((o.Softmax,), unary(o.Softmax(1), 2, 3)),
    "cumsum": ((o.CumSum,), unary(o.CumSum(axis=1, exclusive=True, reverse=False), 2, 5, 3)),
    "cumsum backwards": ((o.CumSum,), unary(o.CumSum(axis=0, exclusive=False, reverse=True), 5)),
    "split": ((o.Split,), lambda b: b.add_all(o.Split(1, (2, 3, 1)), b.x(2, 6))),
    "channel shuffle": ((o.ChannelShuffle,), unary(o.ChannelShuffle(2), 1, 6, 2, 2)),
    "depth to space": ((o.DepthToSpace,), unary(o.DepthToSpace(2, "CRD"), 1, 8, 2, 3)),
    "depth to space DCR": ((o.DepthToSpace,), unary(o.DepthToSpace(2, "DCR"), 1, 8, 2, 3)),
    "space to depth": ((o.SpaceToDepth,), unary(o.SpaceToDepth(2), 1, 2, 4, 6)),
    "gather": ((o.Gather,), lambda b: b.add(o.Gather(1), b.x(2, 8), index(b, 0, 2, 4, 7, -2))),
    "gather of computed rows": (
        (o.Gather,),
        lambda b: b.add(o.Gather(0), b.c(5, 2, 3), b.add(o.Cast(DType.I32), b.add(o.Clip(-5.0, 4.0), b.x(2, 4)))),
    ),
    "gather one": ((o.Gather,), lambda b: b.add(o.Gather(0), b.x(3, 4), b.constant(np.int64(1)))),
    "slice with steps": ((o.Slice,), unary(o.Slice((1, 0), (9, 5), (1, 0), (3, 2)), 5, 10)),
    "slice backwards": ((o.Slice,), unary(o.Slice((-1,), (-100,), (1,), (-1,)), 2, 5)),
    "unfold, places": ((o.Unfold,), unary(o.Unfold(1, 2, 3), 2, 9, 3)),
    "unfold, windows": ((o.Unfold,), unary(o.Unfold(0, 4, 3), 8, 2, 3)),
    "unfold, last axis": ((o.Unfold,), unary(o.Unfold(2, 3), 1, 2, 8)),
    "unfold, one window": ((o.Unfold,), unary(o.Unfold(1, 5), 2, 5, 3)),
    "tile": ((o.Tile,), unary(o.Tile((2, 1, 3)), 2, 3, 1)),
    "expand": ((o.Expand,), unary(o.Expand((2, 3, 4)), 3, 1)),
    "pad that crops": ((o.Pad,), unary(o.Pad("constant", (0, -1, 0, 2)), 2, 5)),
    "pad by reflection": ((o.Pad,), unary(o.Pad("reflect", (0, 2, 0, 1)), 2, 5)),
    "pad by edge": ((o.Pad,), unary(o.Pad("edge", (1, 2, 0, 1)), 2, 5)),
    "where": (
        (o.Where,),
        lambda b: b.add(o.Where(), b.constant(np.array([True, False, True])), b.x(2, 3), b.n(2)),
    ),
    "trilu": ((o.Trilu,), unary(o.Trilu(upper=True, k=1), 4, 4)),
    "lp pool": ((o.LpPool,), unary(o.LpPool((2, 2), (1, 1), (0,) * 4, (1, 1), False, 2), 1, 2, 4, 4)),
    "max pool, dilated": ((o.MaxPool,), unary(o.MaxPool((2, 2), (1, 1), (1, 0, 1, 1), (2, 2)), 1, 2, 6, 6)),
    "attention": (
        (o.Attention,),
        lambda b: b.add(o.Attention(scale=0.5), *(b.x(1, 2, 5, 4, name=n) for n in "qkv"), b.w(5, 5)),
    ),
    "attention, causal and capped": (
        (o.Attention,),
        lambda b: b.add(o.Attention(causal=True, softcap=2.0), *(b.x(1, 2, 5, 4, name=n) for n in "qkv")),
    ),
    "attention, causal, masked": (
        (o.Attention,),
        lambda b: b.add(o.Attention(causal=True), *(b.x(1, 2, 5, 4, name=n) for n in "qkv"), b.w(5, 5)),
    ),
    "attention, truth values, shared keys": (
        (o.Attention,),
        lambda b: b.add(
            o.Attention(),
            b.x(1, 4, 5, 4, name="q"),
            b.x(1, 2, 5, 4, name="k"),
            b.x(1, 2, 5, 4, name="v"),
            b.constant(np.tri(5, dtype=bool)),
        ),
    ),
    "linear": ((o.Linear,), lambda b: b.add(o.Linear(o.Relu()), b.x(2, 3), b.w(4, 3), b.w(4))),
    "einsum": ((o.Einsum,), lambda b: b.add(o.Einsum("bhwc,hkc->bhwk"), b.x(2, 3, 4, 5), b.x(3, 6, 5, name="z"))),
    "einsum, letters summed": ((o.Einsum,), lambda b: b.add(o.Einsum("ij,jk->k"), b.x(2, 3), b.x(3, 4, name="z"))),
    "matmul of vectors": ((), lambda b: b.add(o.MatMul(), b.x(3), b.x(3, name="z"))),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_operator_is_taken_apart(name: str) -> None:
    ops, make = CASES[name]
    graph = build(make)
    refused = {op.__name__ for op in ops}

    def steps_or_vectors(node: Node) -> bool:
        if isinstance(node.op, o.MatMul):
            return any(v.type.rank == 1 for v in node.inputs)
        return False

    target = Refusing(*(op for op in ops if op is not o.Slice), when=steps_or_vectors)
    if o.Slice in ops:
        target = Refusing(when=lambda n: isinstance(n.op, o.Slice) and any(s != 1 for s in n.op.steps or ()))
        refused = set()
    if o.Pad in ops:
        target = Refusing(
            when=lambda n: isinstance(n.op, o.Pad) and (n.op.mode != "constant" or min(n.op.pads or (0,)) < 0)
        )
        refused = set()
    rewritten(graph, [LEGALIZE], target)
    assert not refused & set(kinds(graph))
    assert all(target.refusal(node) is None for node in graph.nodes)


def test_a_batch_is_taken_apart_into_samples() -> None:
    def make(b: B) -> Value:
        return b.add(o.Conv((1, 1), (1,) * 4, (1, 1)), b.x(3, 2, 4, 4), b.w(4, 2, 3, 3))

    graph = build(make)
    rewritten(graph, [LEGALIZE], Refusing(when=lambda n: isinstance(n.op, o.Conv) and n.inputs[0].type.shape[0] != 1))
    assert kinds(graph).count("Conv") == 3


HIGH_RANK: dict[str, Make] = {
    "transpose": unary(o.Transpose((0, 1, 3, 2, 4, 5)), 1, 2, 3, 4, 5, 6),
    "transpose of all": unary(o.Transpose((4, 2, 0, 3, 1)), 2, 3, 4, 5, 6),
    "softmax": unary(o.Softmax(2), 2, 3, 4, 2, 3),
    "slice": unary(o.Slice((1,), (3,), (2,), (1,)), 2, 3, 4, 2, 3),
    "reduction": unary(o.ReduceMax((2, 3), False), 2, 3, 4, 2, 3),
    "concat": lambda b: b.add(o.Concat(2), b.x(2, 2, 3, 2, 2), b.x(2, 2, 1, 2, 2, name="z")),
    "matmul": lambda b: b.add(o.MatMul(), b.x(2, 2, 2, 3, 4), b.x(2, 2, 2, 4, 5, name="z")),
    "unary": unary(o.Exp(), 2, 2, 2, 2, 2),
    "binary": lambda b: b.add(o.Add(), b.x(2, 2, 2, 3, 4), b.x(2, 1, 1, 3, 4, name="z")),
    "binary of two ranks": lambda b: b.add(o.Mul(), b.x(2, 2, 2, 3, 4), b.x(4, name="z")),
    "attention of a batch": lambda b: b.add(o.Attention(scale=1.0), *(b.x(3, 2, 5, 4, name=n) for n in "qkv")),
}


@pytest.mark.parametrize("name", HIGH_RANK)
def test_rank_is_reduced(name: str) -> None:
    def too_large(node: Node) -> bool:
        if isinstance(node.op, o.Reshape):
            return False
        if isinstance(node.op, o.Attention):
            return node.inputs[0].type.shape[0] != 1
        return any(v.type.rank > 4 for v in (*node.inputs, *node.results))

    graph = build(HIGH_RANK[name])
    rewritten(graph, [LEGALIZE], Refusing(when=too_large))
    assert not any(too_large(node) for node in graph.nodes)


@pytest.mark.parametrize("causal", [False, True])
def test_a_row_of_which_all_is_hidden_gives_zeros(causal: bool) -> None:
    def make(b: B) -> Value:
        seen = np.ones((4, 4), bool)
        seen[2] = False
        return b.add(o.Attention(causal=causal), *(b.x(1, 2, 4, 8, name=n) for n in "qkv"), b.constant(seen))

    graph = build(make)
    rewritten(graph, [LEGALIZE], Refusing(o.Attention))
    assert "Attention" not in kinds(graph)


@pytest.mark.parametrize("each", [False, True], ids=["one scale", "a scale a filter"])
def test_a_product_of_integers_is_summed_in_whole_numbers(each: bool) -> None:
    """So many results lie half-way between two integers now and then, and must fall to the same side."""
    chance = np.random.default_rng(5)
    scales = chance.uniform(0.005, 0.03, 6 if each else ()).astype(np.float32)
    zero_w = np.zeros(scales.shape, np.int8)
    weights = chance.integers(-127, 128, (6, 4, 3, 3)).astype(np.int8)
    bias = chance.integers(-3000, 3000, 6).astype(np.int32)

    def make(b: B) -> Value:
        x = b.x(8, 4, 40, 40, dtype=DType.I8)
        axis = 0 if each else None
        op = o.Quantized(o.Conv((1, 1), (1,) * 4, (1, 1), activation=o.Relu()), (None, axis, axis), DType.I8)
        of_x, of_b = np.float32(0.021), np.float32(0.021) * scales
        operands = (np.float32(0.131), np.int8(-9), x, of_x, np.int8(3), weights, scales, zero_w, bias, of_b)
        return b.add(op, *(v if isinstance(v, Value) else b.constant(np.asarray(v)) for v in operands))

    graph = build(make)
    given = {"x": chance.integers(-128, 128, (8, 4, 40, 40)).astype(np.int8)}
    (before,) = run(graph, given).values()
    LEGALIZE.run(graph, Context(Refusing(o.Quantized)))
    assert kinds(graph) == ["Dequantize", "Conv", "Quantize"]
    (after,) = run(graph, given).values()
    np.testing.assert_array_equal(after, before)


def test_integers_are_not_taken_for_floats() -> None:
    graph = build(lambda b: b.add(o.Expand((2, 3)), b.x(1, 3, dtype=DType.I64)))
    target = Refusing(o.Expand)
    rewritten(graph, [LEGALIZE], target)
    assert kinds(graph) == ["Expand"]


def test_decompositions_that_undo_each_other_end() -> None:
    """A Cast's axes are merged by Reshapes, which go through floats, by Casts of all axes: the first one again."""
    graph = build(lambda b: b.add(o.Cast(DType.F32), b.add(o.Cast(DType.BF16), b.x(2, 3, 4, 5))))
    target = Refusing(when=lambda n: any(v.type.dtype is DType.BF16 for v in (*n.inputs, *n.results)))
    target.casts_around = True
    steps = LEGALIZE.run(graph, Context(target))
    assert 2 <= steps <= 10
    assert any(target.refusal(node) for node in graph.nodes)


def test_many_windows_stay_in_one_piece() -> None:
    graph = build(lambda b: b.add(o.Unfold(0, 65), b.x(129)))
    rewritten(graph, [LEGALIZE], Refusing(o.Unfold))
    assert kinds(graph) == ["Unfold"]


def test_a_pool_of_integers_moves_before_their_quantization() -> None:
    def make(b: B) -> Value:
        scale, zero = b.n(0.05), b.constant(np.int8(3))
        quantized = b.add(o.Quantize(DType.I8), b.x(1, 2, 6, 6), scale, zero)
        pooled = b.add(o.MaxPool((2, 2), (2, 2), (0,) * 4, (1, 1)), quantized)
        return b.add(o.Dequantize(), pooled, scale, zero)

    graph = build(make)
    rewritten(
        graph, [LEGALIZE], Refusing(when=lambda n: isinstance(n.op, o.MaxPool) and n.inputs[0].type.dtype is DType.I8)
    )
    assert kinds(graph) == ["MaxPool", "Quantize", "Dequantize"]


@pytest.mark.parametrize(
    "op",
    [
        o.DetectionOutput(3, code="center_size", overlap=0.4, top_k=6, keep_top_k=7, score_threshold=0.3),
        o.DetectionOutput(3, 1, code="corner_size", clip=True, overlap=0.5),
        o.DetectionOutput(3, -1, variance_encoded=True, overlap=0.5, top_k=4),
        o.DetectionOutput(3, score_threshold=2.0),
    ],
)
def test_detections_are_taken_apart(op: o.DetectionOutput) -> None:
    """Ten boxes, three classes; how many are found only running tells, so that the result has another symbol."""
    corners = np.sort(np.random.default_rng(2).uniform(0, 1, (10, 2, 2)), axis=1).reshape(-1)
    priors = np.stack([corners, np.full(40, 0.1)])[None].astype(np.float32)
    scores = np.random.default_rng(4).uniform(0, 1, (1, 30)).astype(np.float32)
    graph = build(lambda b: b.add(op, b.x(1, 40), b.constant(scores), b.constant(priors)))
    given = feeds(graph)
    before = run(graph, given)
    pipeline.run([LEGALIZE], graph, Context(Refusing(o.DetectionOutput)), check=True)
    assert "DetectionOutput" not in kinds(graph)
    for name, array in run(graph, given).items():
        assert array.shape == before[name].shape
        np.testing.assert_allclose(array, before[name], rtol=1e-5, atol=1e-6)
