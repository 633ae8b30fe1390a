"""Grouped and transposed convolutions, normalisations, matrix products and attention, as in test_kernels.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mconv.backends.cpp import packing

from .kernels import Floats, call
from .reference import Real, Shape, activation
from .test_kernels import ADD_RELU, RELU6, SILU_ADD, Layer, Post, conv_ints, dirty, isa, numbers, result, seeded

__all__ = ["isa", "seeded"]

LANES = {
    "2": (50, Shape(20, 20, 9, 20, 3, 3).same(), 2),
    "4": (51, Shape(36, 36, 9, 14, 3, 3).same(), 4),
    "4, narrow": (51, Shape(36, 36, 9, 5, 3, 3).same(), 4),
    "8": (52, Shape(24, 24, 9, 30, 3, 3).same(), 8),
    "4, stride 2": (53, Shape(32, 32, 9, 15, 3, 3, 2, 2, pads=(1, 1, 1, 1)), 4),
    "8, 5x5, stride 2": (54, Shape(32, 32, 9, 16, 5, 5, 2, 2, pads=(2, 2, 1, 1)), 8),
}


@pytest.mark.parametrize("post", [ADD_RELU, SILU_ADD], ids=["add, relu", "silu, add"])
@pytest.mark.parametrize("name", LANES)
def test_groups_within_a_block(isa: str, name: str, post: Post) -> None:
    kernel, s, width = LANES[name]
    layer = Layer(s, post, s.c // width)
    arrays = layer.arrays(dirty(layer.x), packing.pack_lanes(layer.weight), result(s))
    layer.check(call(isa, conv_ints(kernel, s, post), post.floats, arrays)[5])


GROUPED = {
    "24 a group": (Shape(72, 72, 9, 20, 3, 3).same(), 3),
    "24 a group, stride 2": (Shape(72, 72, 9, 20, 3, 3, 2, 2).same(), 3),
    "40 in, 20 out": (Shape(80, 40, 5, 7, 3, 3).same(), 2),
    "3 in, 5 out": (Shape(12, 20, 5, 7, 3, 3).same(), 4),
    "1 in, 2 out": (Shape(20, 40, 5, 7, 3, 3).same(), 20),
    "1x1": (Shape(24, 36, 5, 7), 2),
    "16 a group": (Shape(48, 48, 5, 17, 3, 3).same(), 3),
}


@pytest.mark.parametrize("name", GROUPED)
def test_grouped(isa: str, name: str) -> None:
    s, groups = GROUPED[name]
    layer = Layer(s, SILU_ADD, groups)
    plan = packing.grouped_plan(s.c, s.k, groups, (s.oh, s.ow), (s.kh, s.kw), (s.sy, s.sx), (s.dy, s.dx))
    arrays = layer.arrays(dirty(layer.x), packing.pack_grouped(layer.weight, groups), result(s))
    ints = [*conv_ints(56, s, layer.post, plan=plan), groups]
    layer.check(call(isa, ints, layer.post.floats, arrays)[5])


@pytest.mark.parametrize("width", [(16, 32), (48, 16)], ids=["16 to 32", "48 to 16"])
def test_groups_of_whole_blocks(isa: str, width: tuple[int, int]) -> None:
    one = Shape(*width, 9, 15, 3, 3).same()
    s = replace(one, c=one.c * 3, k=one.k * 3)
    layer = Layer(s, ADD_RELU, 3)
    weights = np.concatenate([packing.pack_dense(part) for part in np.split(layer.weight, 3)])
    arrays = layer.arrays(dirty(layer.x), weights, result(s))
    layer.check(call(isa, [*conv_ints(55, one, layer.post), 3], layer.post.floats, arrays)[5])


STRASSEN = {
    "even": Shape(64, 64, 4, 14),
    "odd pixels": Shape(32, 96, 7, 7),
    "odd panels": Shape(96, 160, 7, 7),
    "a pixel": Shape(32, 32, 1, 1),
    "blocks": Shape(64, 64, 33, 11),
}


def strassen_ints(s: Shape, post: Post, block: int = 0, threads: int = 1) -> list[int]:
    plan = packing.strassen_plan(s.c, s.h * s.w)
    return [
        *(90, threads, plan[1], 1, s.c, s.k, s.w, s.h * s.w * 16, s.h * s.w * 16, 0, 0, block or plan[0], 0),
        *(*post.ints(s.h * s.w * 16), 0, s.h, 0),
    ]


@pytest.mark.parametrize("post", [RELU6, ADD_RELU, SILU_ADD], ids=["relu6", "add, relu", "silu, add"])
@pytest.mark.parametrize("name", STRASSEN)
def test_strassen(isa: str, name: str, post: Post) -> None:
    s = STRASSEN[name]
    layer = Layer(s, post)
    u = np.full(7 * s.c * s.k // 4, np.nan, np.float32)
    arrays = [*layer.arrays(dirty(layer.x), packing.pack_pointwise(layer.weight), result(s)), u]
    for threads, block in ((1, 0), (1, 51), (2, 0)) if isa == "avx2" else ((1, 0), (1, 51)):
        ints = strassen_ints(s, post, min(block, s.h * s.w), threads)
        layer.check(call(isa, ints, post.floats, arrays)[5], 2)


# c, k, h, w of the input, kernel, stride, dilation, pads above and left, size of the result
TRANSPOSED = {
    "2x2 stride 2": ((20, 40, 5, 7), (2, 2), (2, 2), (1, 1), (0, 0), (10, 14)),
    "4x4 stride 2": ((20, 17, 5, 7), (4, 4), (2, 2), (1, 1), (1, 1), (10, 14)),
    "3x3 stride 2": ((16, 33, 5, 7), (3, 3), (2, 2), (1, 1), (1, 1), (10, 14)),
    "3x3 stride 1": ((19, 20, 5, 17), (3, 3), (1, 1), (1, 1), (1, 1), (5, 17)),
    "2x3 stride 3x4": ((19, 20, 5, 3), (2, 3), (3, 4), (1, 1), (0, 2), (14, 10)),
    "dilated": ((16, 16, 5, 6), (3, 2), (2, 3), (2, 3), (2, 1), (11, 18)),
    "many rows": ((33, 16, 40, 6), (4, 4), (4, 4), (1, 1), (0, 0), (160, 24)),
}


def transposed(x: Real, w: Real, stride: tuple[int, int], dilation: tuple[int, int], pads: tuple[int, int],
               size: tuple[int, int]) -> Real:  # fmt: skip
    """Scatters every input into a canvas; ``w`` is ``[C, K, kh, kw]``."""
    room = (size[0] + 200, size[1] + 200)
    canvas = np.zeros((w.shape[1], *room))
    for ky in range(w.shape[2]):
        for kx in range(w.shape[3]):
            part = np.einsum("chw,ck->khw", x, w[:, :, ky, kx])
            y, z = 50 + ky * dilation[0], 50 + kx * dilation[1]
            canvas[:, y : y + x.shape[1] * stride[0] : stride[0], z : z + x.shape[2] * stride[1] : stride[1]] += part
    y, z = 50 + pads[0], 50 + pads[1]
    return canvas[:, y : y + size[0], z : z + size[1]]


class TransposedLayer(Layer):
    """A layer whose result is that of the transposed convolution."""

    def __init__(self, name: str, post: Post, depthwise: bool = False) -> None:
        (c, k, h, w), kernel, stride, dilation, pads, size = TRANSPOSED[name]
        k = c if depthwise else k
        self.kernel_shape, self.stride, self.dilation, self.pads, self.size = kernel, stride, dilation, pads, size
        self.post = post
        self.x, self.weight = numbers(c, h, w), numbers(c, k, *kernel)
        if depthwise:
            self.weight *= np.eye(c, dtype=np.float32)[:, :, None, None]
        self.bias, self.slope, self.residual = numbers(k), numbers(k), numbers(k, *size)

        def of(x: Floats, w: Floats) -> Real:
            return transposed(x.astype(np.float64), w.astype(np.float64), stride, dilation, pads, size)

        self.want = post.of(of(self.x, self.weight), self.bias, self.residual, self.slope)
        self.allowed = 2e-6 * (of(abs(self.x), abs(self.weight)) + 1)

    def ints(self, number: int, rows: tuple[int, int] | None = None) -> list[int]:
        c, k = self.weight.shape[:2]
        h, w = self.x.shape[1:]
        plan = packing.transposed_plan(c, self.size, self.kernel_shape, self.stride, self.dilation)
        first, end = rows or (0, self.size[0])
        ys = self.size[0] * self.size[1] * 16
        return [
            *(number, 1, plan.scratch, 1, c, k, h, w, *self.size, *self.kernel_shape, *self.stride, *self.dilation),
            *(*self.pads, h * w * 16, ys, 0, 0, plan.band, 0, *self.post.ints(ys), first, end),
        ]


@pytest.mark.parametrize("post", [RELU6, SILU_ADD], ids=["relu6", "silu, add"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed(isa: str, name: str, post: Post) -> None:
    layer = TransposedLayer(name, post)
    y = np.full(packing.blocks_of(layer.weight.shape[1]) * layer.size[0] * layer.size[1] * 16, np.nan, np.float32)
    w = packing.pack_transposed(layer.weight, layer.stride, layer.dilation)
    got = call(isa, layer.ints(60), post.floats, layer.arrays(dirty(layer.x), w, y))[5]
    layer.check(got)
    middle = layer.size[0] // 2
    first = call(isa, layer.ints(60, (0, middle)), post.floats, layer.arrays(dirty(layer.x), w, y))[5]
    assert first is not None
    layer.check(
        call(isa, layer.ints(60, (middle, layer.size[0])), post.floats, layer.arrays(dirty(layer.x), w, first))[5]
    )


@pytest.mark.parametrize("name", TRANSPOSED)
def test_depthwise_transposed(isa: str, name: str) -> None:
    layer = TransposedLayer(name, ADD_RELU, True)
    c = layer.weight.shape[0]
    y = np.full(packing.blocks_of(c) * layer.size[0] * layer.size[1] * 16, np.nan, np.float32)
    w = packing.pack_depthwise(layer.weight[range(c), range(c)][:, None])
    layer.check(call(isa, layer.ints(61), layer.post.floats, layer.arrays(dirty(layer.x), w, y))[5])


@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("kind", ["layer", "rms", "group", "instance"])
@pytest.mark.parametrize("shape", [(48, 9), (20, 1), (5, 7), (100, 33)])
def test_norm(isa: str, kind: str, shape: tuple[int, int], affine: bool) -> None:
    c, pixels = shape
    groups = {"group": 5 if c % 5 == 0 else 4, "instance": c}.get(kind, 1)
    x = numbers(c, pixels) * 3 + 10
    gamma, beta = (numbers(c), numbers(c)) if affine else (np.ones(c, np.float32), np.zeros(c, np.float32))
    real = x.astype(np.float64)
    grouped = real.reshape(groups, -1) if kind in ("group", "instance") else real.T
    mean = 0 if kind == "rms" else grouped.mean(1, keepdims=True)
    normal = (grouped - mean) / np.sqrt(((grouped - mean) ** 2).mean(1, keepdims=True) + 1e-5)
    normal = normal.reshape(c, pixels) if kind in ("group", "instance") else normal.T
    want = normal * gamma[:, None] + beta[:, None]
    side = [dirty(v[:, None]) if affine else None for v in (gamma, beta)]
    y = np.full(packing.blocks_of(c) * 16 * pixels, np.nan, np.float32)
    number = {"layer": 70, "rms": 71}.get(kind, 72)
    ints = [number, 1, 32 * packing.blocks_of(c), 1, c, groups, pixels, pixels * 16]
    got = call(isa, ints, [0.0] * 4 + [1e-5], [dirty(x), *side, None, None, y])[5]
    assert got is not None
    np.testing.assert_allclose(packing.unpack_image(got, want.shape), want, 2e-5, 2e-5)


def softmax(x: Real, axis: int) -> Real:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


@pytest.mark.parametrize("logarithm", [False, True], ids=["softmax", "log softmax"])
@pytest.mark.parametrize("shape", [(48, 9), (20, 1), (5, 7), (1, 3), (1000, 2)])
def test_softmax(isa: str, shape: tuple[int, int], logarithm: bool) -> None:
    x = numbers(*shape) * 8  # differences of up to 60, which float32 rounds to 4e-6
    want = softmax(x.astype(np.float64), 0)
    want = np.log(want) if logarithm else want
    c, pixels = shape
    y = np.full(packing.blocks_of(c) * 16 * pixels, np.nan, np.float32)
    ints = [73, 1, 0, 1, c, pixels, pixels * 16, int(logarithm)]
    got = call(isa, ints, [0.0] * 4, [dirty(x), None, None, None, None, y])[5]
    assert got is not None
    np.testing.assert_allclose(packing.unpack_image(got, shape), want, 8e-6, 1e-6 if logarithm else 1e-37)
    rows = np.ascontiguousarray(x.T)
    ints = [74, 1, 0, 1, pixels, c, int(logarithm)]
    got = call(isa, ints, [0.0] * 4, [rows, None, None, None, None, np.full(x.size, np.nan, np.float32)])[5]
    assert got is not None
    np.testing.assert_allclose(got.reshape(pixels, c).T, want, 8e-6, 1e-6 if logarithm else 1e-37)


@pytest.mark.parametrize("stored", [False, True], ids=["plain", "transposed"])
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (17, 35, 20, 3), (130, 16, 33, 1), (5, 100, 1, 2)])
def test_matmul(isa: str, size: tuple[int, int, int, int], stored: bool) -> None:
    m, n, k, batch = size
    x, z = numbers(batch, m, k), numbers(k, n)
    product = x.astype(np.float64) @ z.astype(np.float64)
    want = activation("TANH", np.clip(product, -2, 2))
    post = Post(-2.0, 2.0, "TANH")
    ints = [
        *(80, 1, packing.matmul_scratch(m, k, n), 1, m, n, k, batch, m * k, 0, m * n, k, k if stored else n, n),
        *(int(stored), *post.ints(0)),
    ]
    y = np.full(want.size, np.nan, np.float32)
    got = call(isa, ints, post.floats, [x, np.ascontiguousarray(z.T) if stored else z, None, None, None, y])[5]
    assert got is not None
    np.testing.assert_allclose(got.reshape(want.shape), want, 1e-5, 1e-5)


ATTENTION = {
    "vision": (3, 1, 50, 50, 64, 64, False, False),
    "odd": (2, 1, 17, 35, 20, 24, False, True),
    "causal": (2, 1, 40, 40, 32, 32, True, False),
    "causal with a past": (4, 2, 5, 37, 16, 16, True, False),
    "one query": (4, 4, 1, 33, 16, 16, False, True),
}


@pytest.mark.parametrize("rows", [0, 14])
@pytest.mark.parametrize("name", ATTENTION)
def test_attention(isa: str, name: str, rows: int) -> None:
    heads, share, tq, tk, d, dv, causal, masked = ATTENTION[name]
    few = heads // share
    q, k, v = numbers(heads, d, tq), numbers(few, d, tk), numbers(few, dv, tk)
    mask = numbers(heads, tq, tk)
    if masked:
        mask[:, :, 1] = -np.inf
    scores = 0.3 * np.einsum("hdq,hdk->hqk", q.astype(np.float64), np.repeat(k, share, 0).astype(np.float64))
    if masked:
        scores += mask
    if causal:
        scores[:, np.arange(tk) > np.arange(tq)[:, None] + tk - tq] = -np.inf
    want = np.einsum("hqk,hdk->hdq", softmax(scores, 2), np.repeat(v, share, 0).astype(np.float64))
    most, scratch = packing.attention_plan(tq, tk, d, dv)
    db, vb = packing.blocks_of(d), packing.blocks_of(dv)
    ints = [
        *(81, 1, scratch, 1, heads, share, tq, tk, d, dv, db * tq * 16, db * tk * 16, vb * tk * 16, vb * tq * 16),
        *(tq * 16, tk * 16, tk * 16, tq * 16, int(causal), tq * tk, rows or most),
    ]
    y = np.full(heads * vb * tq * 16, np.nan, np.float32)
    blocked = [np.concatenate([dirty(head) for head in part]) for part in (q, k, v)]
    got = call(isa, ints, [0.0] * 4 + [0.3], [*blocked, mask if masked else None, None, y])[5]
    assert got is not None
    for head in range(heads):
        one = packing.unpack_image(got.reshape(heads, -1)[head], (dv, tq))
        np.testing.assert_allclose(one, want[head], 1e-5, 1e-5)
