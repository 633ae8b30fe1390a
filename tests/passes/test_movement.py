"""Cutting, sinking and turning: slices move up, transposes move down or become convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mconv.ir import DType, Value
from mconv.ir import ops as o
from mconv.passes import pipeline
from mconv.passes.layout import CHANNELS_FIRST

from .graphs import B, build, kinds, rewritten

Make = Callable[[B], Value | Sequence[Value]]


def qkv(b: B) -> list[Value]:
    """The packed projection of vision transformers: Linear, Reshape, Transpose, and a Gather for each of q, k and v."""
    y = b.add(o.Linear(), b.x(1, 5, 12), b.w(36, 12))
    parts = b.add(o.Transpose((2, 0, 3, 1, 4)), b.add(o.Reshape((1, 5, 3, 2, 6)), y))
    return [b.add(o.Exp(), b.add(o.Gather(0), parts, b.constant(np.int64(i)))) for i in range(3)]


def windowed(b: B) -> Value:
    """Attention of shifted windows: a bias for each head, then a mask for each window, on scores that gain an axis."""
    q, k, v = (b.x(4, 2, 5, 3, name=n) for n in "qkv")
    scores = b.add(o.MatMul(), b.add(o.Mul(), q, b.n(0.5)), b.add(o.Transpose((0, 1, 3, 2)), k))
    scores = b.add(o.Add(), scores, b.w(1, 2, 5, 5))
    scores = b.add(o.Add(), b.add(o.Reshape((1, 4, 2, 5, 5)), scores), b.w(1, 4, 1, 5, 5))
    scores = b.add(o.Reshape((4, 2, 5, 5)), scores)
    return b.add(o.MatMul(), b.add(o.Softmax(3), scores), v)


def grid(b: B) -> Value:
    """Attention written as two Einsums over batch, windows and heads."""
    q, k, v = (b.x(1, 3, 2, 5, 4, name=n) for n in "qkv")
    scores = b.add(o.Einsum("BGHID,BGHJD->BGHIJ"), q, b.add(o.Mul(), k, b.n(0.5)))
    scores = b.add(o.Add(), scores, b.w(2, 5, 5))
    return b.add(o.Einsum("BGHIJ,BGHJD->BGHID"), b.add(o.Softmax(4), scores), v)


CASES: dict[str, tuple[Make, list[str]]] = {
    "a gather of one is a slice": (
        lambda b: b.add(o.Gather(1), b.x(2, 5, 3), b.constant(np.int64(-1))),
        ["Slice", "Reshape"],
    ),
    "a gather of neighbours is a slice": (
        lambda b: b.add(o.Gather(1), b.x(2, 5, 3), b.constant(np.array([1, 2, 3]))),
        ["Slice"],
    ),
    "a gather of others stays": (
        lambda b: b.add(o.Gather(1), b.x(2, 5, 3), b.constant(np.array([1, 3]))),
        ["Gather"],
    ),
    "slices that cover are a split": (
        lambda b: (lambda x: [b.add(o.Slice((2,), (5,), (1,), (1,)), x), b.add(o.Slice((0,), (2,), (1,), (1,)), x)])(
            b.add(o.Relu(), b.x(2, 5))
        ),
        ["Relu", "Split"],
    ),
    "slices that leave a gap stay": (
        lambda b: (lambda x: [b.add(o.Slice((3,), (5,), (1,), (1,)), x), b.add(o.Slice((0,), (2,), (1,), (1,)), x)])(
            b.add(o.Relu(), b.x(2, 5))
        ),
        ["Relu", "Slice", "Slice"],
    ),
    "scale after transpose": (
        lambda b: b.add(
            o.Mul(),
            b.add(o.Transpose((0, 3, 1, 2)), b.add(o.Linear(), b.x(1, 4, 4, 3), b.w(5, 3), b.w(5))),
            b.c(5, 1, 1),
        ),
        ["Linear", "Transpose"],
    ),
    "a sum of transposes": (
        lambda b: b.add(
            o.Add(), b.add(o.Transpose((1, 0)), b.x(2, 3)), b.add(o.Transpose((1, 0)), b.x(2, 3, name="z"))
        ),
        ["Add", "Transpose"],
    ),
    "attention of shifted windows": (windowed, ["Attention"]),
    "attention of einsums": (grid, ["Reshape", "Reshape", "Reshape", "Attention", "Reshape"]),
    "einsum is matmul": (
        lambda b: b.add(o.Einsum("bij,bkj->bik"), b.x(2, 3, 4), b.x(2, 5, 4, name="z")),
        ["Transpose", "MatMul"],
    ),
    "einsum of another form stays": (
        lambda b: b.add(o.Einsum("ij,ij->i"), b.x(3, 4), b.x(3, 4, name="z")),
        ["Einsum"],
    ),
    "an empty part of a concat": (
        lambda b: b.add(o.Concat(1), b.x(2, 3), b.x(2, 0, name="none"), b.x(2, 1, name="z")),
        ["Concat"],
    ),
    "pool of one": (
        lambda b: b.add(o.Relu(), b.add(o.MaxPool((1, 1), (1, 1), (0,) * 4, (1, 1)), b.x(1, 2, 3, 3))),
        ["Relu"],
    ),
    "resize to the same size": (
        lambda b: b.add(o.Relu(), b.add(o.Resize("linear", (2, 3), scales=(1.0, 1.0)), b.x(1, 2, 3, 3))),
        ["Relu"],
    ),
    "expand of leading ones": (lambda b: b.add(o.Expand((1, 2, 3)), b.x(2, 3)), ["Reshape"]),
    "integers stay exact": (
        lambda b: b.add(o.Div(), b.x(2, 3, dtype=DType.I64), b.constant(np.int64(2))),
        ["Div"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_left(name: str) -> None:
    make, expected = CASES[name]
    graph = build(make)
    rewritten(graph, pipeline.simplify())
    assert kinds(graph) == expected


def test_a_packed_projection_is_split_before_it_is_turned() -> None:
    graph = build(qkv)
    rewritten(graph, pipeline.simplify())
    assert kinds(graph).count("Split") == 1
    assert "Gather" not in kinds(graph)
    split = next(n for n in graph.nodes if isinstance(n.op, o.Split))
    assert split.op == o.Split(2, (12, 12, 12))


def test_linear_between_transposes_is_a_convolution() -> None:
    def block(b: B) -> Value:
        x = b.add(o.Transpose((0, 2, 3, 1)), b.x(1, 4, 6, 6))
        hidden = b.add(o.Gelu("none"), b.add(o.Linear(), b.add(o.LayerNorm(3, 1e-6), x, b.c(4)), b.w(8, 4), b.w(8)))
        return b.add(o.Transpose((0, 3, 1, 2)), b.add(o.Linear(), hidden, b.w(4, 8), b.w(4)))

    graph = build(block)
    rewritten(graph, [CHANNELS_FIRST])
    assert kinds(graph) == ["Transpose", "LayerNorm", "Transpose", "Conv", "Gelu", "Conv"]


def test_a_transpose_that_others_read_is_left() -> None:
    def make(b: B) -> list[Value]:
        y = b.add(o.Linear(), b.x(1, 6, 6, 4), b.w(8, 4))
        return [b.add(o.Transpose((0, 3, 1, 2)), y), b.add(o.Relu(), y)]

    graph = build(make)
    events = rewritten(graph, [CHANNELS_FIRST])
    assert "Linear" in kinds(graph)
    assert any(e.refusal == "the linear's result is read elsewhere" for e in events)
