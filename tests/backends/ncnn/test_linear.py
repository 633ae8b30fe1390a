"""Matrix products, attention, recurrent layers and quantisation in the real runtime."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mconv.ir import Builder, DType
from mconv.ir.ops import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Dequantize,
    Gelu,
    LayerNorm,
    Linear,
    MatMul,
    Quantize,
    Relu,
    Sigmoid,
    Tanh,
)

from .nets import check, numbers, refused, same


@pytest.mark.parametrize("outer", [(1, 4, 16), (1, 4), (2, 4, 16), (4,), (1,), (), (1, 2, 3, 4)], ids=str)
def test_linear(outer: tuple[int, ...]) -> None:
    same(Linear(), (*outer, 16), (8, 16), (8,), constants=(1, 2))
    same(Linear(Relu()), (*outer, 16), (8, 16), constants=(1,))


def test_rows_stay_a_matrix_between_linear_layers() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (1, 6, 5, 16))
    y = b.add(LayerNorm(3), x, b.constant(numbers(16)), b.constant(numbers(16)))
    y = b.add(Linear(), y, b.constant(numbers(32, 16)), b.constant(numbers(32)))
    y = b.add(Linear(), b.add(Gelu(), y), b.constant(numbers(16, 32)), b.constant(numbers(16)))
    b.output(y, "y")
    text = check(b.graph, {"x": numbers(1, 6, 5, 16)})
    assert text.count("Reshape ") == 2, "one into the matrix, one out of it"


@pytest.mark.parametrize(
    ("a", "b"),
    [((4, 5), (5, 6)), ((1, 4, 5), (5, 6)), ((2, 4, 5), (2, 5, 6)), ((2, 3, 4, 5), (2, 3, 5, 6)),
     ((1, 3, 4, 5), (1, 3, 5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((2, 3, 4, 5), (5, 6)), ((4, 5), (2, 3, 5, 6)),
     ((5,), (5, 6)), ((4, 5), (5,)), ((5,), (5,)), ((5,), (3, 5, 6)), ((1, 4, 5), (3, 5, 6)),
     ((2, 1, 4, 5), (1, 3, 5, 6)), ((3, 1, 4, 5), (3, 4, 5, 6)), ((1, 8, 16, 32), (1, 8, 32, 16))],
)  # fmt: skip
def test_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    same(MatMul(), a, b)
    same(MatMul(), a, b, constants=(1,))


HEADS = [(1, 4, 4, 7, 9, 8, 8), (2, 4, 2, 7, 9, 8, 6), (1, 3, 3, 49, 49, 32, 32), (1, 2, 1, 1, 6, 16, 16)]


@pytest.mark.parametrize("sizes", HEADS, ids=str)
def test_attention(sizes: tuple[int, ...]) -> None:
    batch, heads, groups, rows, columns, width, out = sizes
    qkv = (batch, heads, rows, width), (batch, groups, columns, width), (batch, groups, columns, out)
    for op in (Attention(), Attention(0.3), Attention(causal=True)):
        same(op, *qkv)
    for n, h in ((1, 1), (batch, heads), (1, heads), (batch, 1)):
        mask = numbers(n, h, rows, columns)
        keep = mask > -0.5
        for op in (Attention(), Attention(causal=True)):
            for given, constants in itertools.product((mask, keep), ((), (3,))):
                same(op, *qkv, given, constants=constants)
    same(Attention(), *qkv, np.float32(0.5), constants=(3,))


@pytest.mark.parametrize("causal", [False, True])
def test_rows_of_which_all_is_hidden_give_zeros(causal: bool) -> None:
    keep = np.ones((5, 6), bool)
    keep[2], keep[1, 3] = False, False
    qkv = (2, 2, 5, 8), (2, 2, 6, 8), (2, 2, 6, 8)
    for mask in (keep, np.where(keep, 0, -np.inf).astype(np.float32), np.stack([keep, ~keep])[:, None]):
        for constants in ((), (3,)):
            same(Attention(causal=causal), *qkv, mask, constants=constants)


def test_capped_scores_are_refused() -> None:
    assert "capped" in refused(Attention(softcap=2.0), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4))


H, I, L = 6, 5, 7  # noqa: E741


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_recurrent(kind: type, direction: str) -> None:
    ways = 2 if direction == "bidirectional" else 1
    gates, options = {LSTM: (4, {}), GRU: (3, {"linear_before_reset": True}), RNN: (1, {})}[kind]
    op = kind(hidden_size=H, direction=direction, **options)
    w, r, b, h = (ways, gates * H, I), (ways, gates * H, H), (ways, 2 * gates * H), (ways, 1, H)
    results = 3 if kind is LSTM else 2
    same(op, (L, 1, I), w, r, b, constants=(1, 2, 3), results=results)
    same(op, (L, 1, I), w, r, constants=(1, 2))
    same(op, (L, 1, I), w, r, b, None, h, constants=(1, 2, 3), results=results)
    same(op, (L, 1, I), w, r, b, np.array([L], np.int32), h, constants=(1, 2, 3, 4), results=results)
    if kind is LSTM:
        same(op, (L, 1, I), w, r, b, None, h, h, constants=(1, 2, 3), results=results)


def test_refused_cells() -> None:
    gru = GRU(hidden_size=H)
    assert "resets before" in refused(gru, (L, 1, I), (1, 3 * H, I), (1, 3 * H, H), constants=(1, 2))
    clipped = LSTM(hidden_size=H, clip=3.0)
    assert "clips" in refused(clipped, (L, 1, I), (1, 4 * H, I), (1, 4 * H, H), constants=(1, 2))
    other = RNN(hidden_size=H, activations=(Sigmoid(),))
    assert "activations" in refused(other, (L, 1, I), (1, H, I), (1, H, H), constants=(1, 2))
    usual = RNN(hidden_size=H, activations=(Tanh(),))
    assert "one sequence" in refused(usual, (L, 3, I), (1, H, I), (1, H, H), constants=(1, 2))


def test_quantisation() -> None:
    scales, zeros = np.array([0.1, 0.2, 0.3], np.float32), np.array([1, 0, -3], np.int8)
    same(Quantize(), numbers(3, 4) * 5, np.float32(0.1), np.uint8(100), constants=(1, 2))
    same(Quantize(DType.I8, 1), numbers(1, 3, 4, 4) * 5, scales, zeros, constants=(1, 2))
    codes = (np.abs(numbers(3, 4)) * 50).astype(np.uint8)
    same(Dequantize(), codes, np.float32(0.1), np.uint8(100), constants=(1, 2))
    same(Dequantize(0), codes.astype(np.int8), scales, constants=(1,))
    same(Dequantize(0), codes, scales, np.array([100, 50, 1], np.uint8))
    assert "computed" in refused(Quantize(), (3, 4), np.float32(0.1))
