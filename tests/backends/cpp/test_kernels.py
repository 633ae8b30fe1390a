"""The kernels on odd shapes, on every instruction set this machine can run, against numpy's float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mconv.backends.cpp import packing

from .kernels import ACTIVATIONS, FLAGS, Floats, call, cpu_has
from .reference import Real, Shape, activation, conv, windows

ISAS = [pytest.param(i, marks=pytest.mark.skipif(not cpu_has(i), reason=f"no {i} here")) for i in FLAGS]
INF = float("inf")
RNG = np.random.default_rng(7)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same numbers, whatever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(7).bit_generator.state


def numbers(*shape: int) -> Floats:
    return RNG.standard_normal(shape, np.float32)


def dirty(image: Floats) -> Floats:
    """The blocked image with NaN in the lanes that hold no channel."""
    flat = packing.pack_image(image)
    lanes = image.shape[0] % 16
    if lanes:
        flat.reshape(packing.blocks_of(image.shape[0]), -1, 16)[-1, :, lanes:] = np.nan
    return flat


@dataclass(frozen=True)
class Post:
    """An epilogue: what is added and applied."""

    lo: float = -INF
    hi: float = INF
    act: str = "NONE"
    a: float = 0.0
    b: float = 0.0
    after: bool = False
    bias: bool = True
    residual: bool = False

    @property
    def floats(self) -> list[float]:
        return [self.lo, self.hi, self.a, self.b]

    def ints(self, rs: int, rring: int = 0) -> list[int]:
        return [ACTIVATIONS.index(self.act), int(self.after), rs, rring]

    def of(self, y: Real, bias: Floats, residual: Floats, slope: Floats) -> Real:
        wide = (slice(None), None, None)
        if self.bias:
            y = y + bias[wide]
        if self.residual and not self.after:
            y = y + residual
        y = activation(self.act, np.clip(y, self.lo, self.hi), self.a, self.b, slope[wide].astype(np.float64))
        return y + residual if self.residual and self.after else y


RELU6 = Post(0.0, 6.0)
ADD_RELU = Post(0.0, residual=True)
SILU_ADD = Post(act="SILU", after=True, residual=True)


@dataclass
class Layer:
    """One convolution with its operands and the result numpy gives."""

    shape: Shape
    post: Post = field(default_factory=Post)
    groups: int = 1

    def __post_init__(self) -> None:
        s = self.shape
        self.x = numbers(s.c, s.h, s.w)
        self.weight = numbers(s.k, s.c // self.groups, s.kh, s.kw)
        self.bias, self.slope = numbers(s.k), numbers(s.k)
        self.residual = numbers(s.k, s.oh, s.ow)
        plain = conv(s, self.x.astype(np.float64), self.weight.astype(np.float64), self.groups)
        self.want = self.post.of(plain, self.bias, self.residual, self.slope)
        magnitude = conv(s, abs(self.x).astype(np.float64), abs(self.weight).astype(np.float64), self.groups)
        self.allowed = 2e-6 * (magnitude + 1)

    def arrays(self, x: Floats, w: Floats, y: Floats, residual: Floats | None = None) -> list[Floats | None]:
        if residual is None:
            residual = dirty(self.residual)
        return [
            x,
            w,
            packing.pack_vector(self.bias) if self.post.bias else None,
            residual if self.post.residual else None,
            packing.pack_vector(self.slope),
            y,
        ]

    def check(self, y: Floats | None, tolerance: float = 1.0) -> None:
        assert y is not None
        got = packing.unpack_image(y, self.want.shape)
        assert (abs(got - self.want) <= tolerance * self.allowed).all(), abs(got - self.want).max()


def result(s: Shape) -> Floats:
    return np.full(packing.blocks_of(s.k) * s.oh * s.ow * 16, np.nan, np.float32)


def pointwise_ints(s: Shape, post: Post, scale: int = 0, threads: int = 1) -> list[int]:
    pixels = s.oh * s.ow
    scratch = 16 * packing.blocks_of(s.c) * max(32, pixels) if scale else 0
    block = packing.gemm_block(s.c, s.k, pixels)
    return [
        *(1, threads, scratch, 1, s.c, s.k, s.ow, s.h * s.w * 16, s.oh * s.ow * 16, 0, 0, block, scale),
        *(*post.ints(s.oh * s.ow * 16), 0, s.oh),
    ]


POINTWISE = {
    "even": Shape(32, 64, 7, 7),
    "odd channels": Shape(19, 37, 5, 9),
    "one pixel": Shape(70, 100, 1, 1),
    "one pixel, one block": Shape(16, 10, 1, 1),
    "one channel": Shape(1, 1, 3, 3),
    "two pixels": Shape(33, 48, 1, 2),
    "many pixels": Shape(24, 40, 31, 33),
    "tokens": Shape(48, 96, 1, 197),
}
POSTS = {"plain": Post(), "relu6": RELU6, "add, relu": ADD_RELU, "silu, add": SILU_ADD, "no bias": Post(bias=False)}


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(isa: str, name: str, post: str) -> None:
    layer = Layer(POINTWISE[name], POSTS[post])
    s = layer.shape
    arrays = layer.arrays(dirty(layer.x), packing.pack_pointwise(layer.weight), result(s))
    layer.check(call(isa, pointwise_ints(s, layer.post), layer.post.floats, arrays)[5])


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("name", ["odd channels", "one pixel", "many pixels"])
def test_pointwise_with_a_scale_per_channel(isa: str, name: str, scale: int) -> None:
    layer = Layer(POINTWISE[name], ADD_RELU)
    s = layer.shape
    factor = abs(numbers(s.c)) + 0.5
    arrays = [
        *layer.arrays(dirty(layer.x / factor[:, None, None]), packing.pack_pointwise(layer.weight), result(s)),
        dirty(factor[:, None, None]),
    ]
    layer.check(call(isa, pointwise_ints(s, layer.post, scale), layer.post.floats, arrays)[5], 2)


def conv_ints(
    kernel: int,
    s: Shape,
    post: Post,
    rows: tuple[int, int] | None = None,
    rings: tuple[int, int] = (0, 0),
    plan: packing.Plan | None = None,
    threads: int = 1,
    planar: bool = False,
) -> list[int]:
    plan = plan or packing.conv2d_plan(s.c, (s.oh, s.ow), (s.kh, s.kw), (s.sy, s.sx), (s.dy, s.dx), planar)
    xs = (rings[0] or s.h) * s.w * (1 if planar else 16)
    ys = (rings[1] or s.oh) * s.ow * 16
    first, end = rows or (0, s.oh)
    return [
        *(kernel, threads, plan.scratch, 1, s.c, s.k, s.h, s.w, s.oh, s.ow, s.kh, s.kw, s.sy, s.sx, s.dy, s.dx),
        *(s.pads[0], s.pads[1], xs, ys, *rings, plan.band, plan.chunk, *post.ints(ys, rings[1]), first, end),
    ]


DENSE = {
    "3x3": Shape(32, 32, 8, 20, 3, 3).same(),
    "3x3 odd": Shape(19, 53, 9, 13, 3, 3).same(),
    "3x3 on 7x7": Shape(40, 64, 7, 7, 3, 3).same(),
    "3x3 on 5x3": Shape(20, 48, 5, 3, 3, 3).same(),
    "3x3 on 1x1": Shape(20, 17, 1, 1, 3, 3).same(),
    "3x3 stride 2": Shape(20, 40, 15, 14, 3, 3, 2, 2, pads=(1, 1, 0, 0)),
    "1x1 stride 2": Shape(35, 32, 9, 15, 1, 1, 2, 2),
    "3x1": Shape(17, 20, 9, 11, 3, 1).same(),
    "1x7": Shape(17, 20, 9, 11, 1, 7).same(),
    "5x4, stride 3x2, uneven pads": Shape(18, 35, 17, 16, 5, 4, 3, 2, pads=(2, 0, 1, 3)),
    "dilation 2x3": Shape(18, 35, 17, 16, 3, 3, 1, 1, 2, 3).same(),
    "dilation and stride": Shape(16, 16, 17, 16, 3, 3, 2, 2, 2, 2).same(),
    "no pads": Shape(33, 16, 9, 12, 3, 3),
    "wide pads": Shape(3, 16, 4, 5, 3, 3, pads=(3, 4, 5, 4)),
    "the whole image": Shape(20, 18, 6, 5, 6, 5),
    # more terms a block than are added up at once (SUM_TERMS)
    "7x7, parts of a block": Shape(40, 48, 9, 9, 7, 7).same(),
    "7x7, parts of a small block": Shape(12, 20, 6, 15, 7, 7).same(),
}


@pytest.mark.parametrize("chunks", [False, True], ids=["one pass", "two blocks a pass"])
@pytest.mark.parametrize("name", DENSE)
def test_dense(isa: str, name: str, chunks: bool) -> None:
    layer = Layer(DENSE[name], SILU_ADD if chunks else ADD_RELU)
    s = layer.shape
    plan = packing.conv2d_plan(s.c, (s.oh, s.ow), (s.kh, s.kw), (s.sy, s.sx), (s.dy, s.dx))
    if chunks:
        plan = replace(plan, chunk=2, band=min(plan.band, 3))
    arrays = layer.arrays(dirty(layer.x), packing.pack_dense(layer.weight), result(s))
    layer.check(call(isa, conv_ints(2, s, layer.post, plan=plan), layer.post.floats, arrays)[5])


PLANAR = {
    "3x3 stride 2": Shape(3, 32, 21, 30, 3, 3, 2, 2, pads=(0, 0, 1, 1)),
    "7x7 stride 2": Shape(3, 40, 40, 70, 7, 7, 2, 2, pads=(3, 3, 3, 3)),
    "11x11 stride 4": Shape(3, 16, 43, 47, 11, 11, 4, 4, pads=(2, 2, 2, 2)),
    "patches": Shape(3, 48, 32, 32, 16, 16, 16, 16),
    "patches with more terms than are added up at once": Shape(3, 16, 32, 96, 32, 32, 32, 32),
    "3x3": Shape(1, 20, 9, 17, 3, 3).same(),
    "1x1": Shape(5, 20, 9, 17),
    "stride 3, pads 2": Shape(4, 20, 9, 17, 3, 5, 3, 3, pads=(2, 2, 2, 2)),
    "stride 2, wide pads": Shape(2, 20, 3, 5, 7, 7, 2, 2, pads=(5, 6, 5, 6)),
}


@pytest.mark.parametrize("name", PLANAR)
def test_planar(isa: str, name: str) -> None:
    layer = Layer(PLANAR[name], RELU6)
    s = layer.shape
    arrays = layer.arrays(layer.x.reshape(-1), packing.pack_planar(layer.weight), result(s))
    layer.check(call(isa, conv_ints(3, s, layer.post, planar=True), layer.post.floats, arrays)[5])


DEPTHWISE = {
    "3x3": Shape(33, 33, 9, 20, 3, 3).same(),
    "3x3 on 28": Shape(16, 16, 5, 28, 3, 3).same(),
    "3x3 on 7x7": Shape(20, 20, 7, 7, 3, 3).same(),
    "3x3 on 1x1": Shape(20, 20, 1, 1, 3, 3).same(),
    "3x3 on 2x2": Shape(20, 20, 2, 2, 3, 3).same(),
    "3x3 stride 2": Shape(20, 20, 15, 28, 3, 3, 2, 2, pads=(1, 1, 1, 1)),
    "3x3 stride 2, uneven": Shape(20, 20, 14, 28, 3, 3, 2, 2, pads=(0, 0, 1, 1)),
    "5x5": Shape(20, 20, 9, 13, 5, 5).same(),
    "5x5 stride 2": Shape(20, 20, 14, 14, 5, 5, 2, 2, pads=(2, 2, 2, 2)),
    "7x7": Shape(20, 20, 9, 14, 7, 7).same(),
    "7x7 stride 2": Shape(20, 20, 15, 15, 7, 7, 2, 2, pads=(3, 3, 3, 3)),
    "1x3, rows dilated": Shape(20, 20, 9, 10, 2, 3, 1, 1, 3, 1).same(),
    "stride 3": Shape(20, 20, 15, 15, 3, 3, 3, 3).same(),
    "dilation 2": Shape(20, 20, 15, 15, 3, 3, 1, 1, 2, 2).same(),
    "4x2": Shape(20, 20, 9, 9, 4, 2).same(),
}


def depthwise_kernel(s: Shape) -> int:
    table = {(3, 1): 11, (3, 2): 12, (5, 1): 13, (5, 2): 14, (7, 1): 15, (7, 2): 16}
    return table.get((s.kw, s.sx), 10) if s.dx == 1 else 10


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise(isa: str, name: str, post: str) -> None:
    s = DEPTHWISE[name]
    layer = Layer(s, POSTS[post], groups=s.c)
    arrays = layer.arrays(dirty(layer.x), packing.pack_depthwise(layer.weight), result(s))
    for kernel in {depthwise_kernel(s), 10}:
        layer.check(call(isa, conv_ints(kernel, s, layer.post), layer.post.floats, arrays)[5])


POOLS = {
    "2x2": Shape(20, 20, 8, 10, 2, 2, 2, 2),
    "3x3 stride 2": Shape(20, 20, 9, 11, 3, 3, 2, 2, pads=(1, 1, 1, 1)),
    "uneven": Shape(16, 16, 9, 8, 3, 2, 2, 1, pads=(0, 1, 2, 0)),
    "dilated": Shape(16, 16, 9, 8, 2, 2, 1, 1, 2, 3, pads=(1, 1, 1, 1)),
    "wider than the image": Shape(16, 16, 3, 3, 5, 5, 1, 1, pads=(2, 2, 2, 2)),
}


@pytest.mark.parametrize("kind", ["max", "inside", "all"])
@pytest.mark.parametrize("name", POOLS)
def test_pool(isa: str, name: str, kind: str) -> None:
    s = POOLS[name]
    x = numbers(s.c, s.h, s.w)
    ones = windows(s, np.ones((s.c, s.h, s.w)))
    if kind == "max":
        want = windows(s, x.astype(np.float64), -INF).max(1)
    else:
        want = windows(s, x.astype(np.float64)).sum(1) / (ones.sum(1) if kind == "inside" else s.kh * s.kw)
    divisor = 0.0 if kind != "all" else float(s.kh * s.kw)
    arrays = [dirty(x), None, None, None, None, result(s)]
    ints = conv_ints(20 if kind == "max" else 21, s, Post())
    got = call(isa, ints, [*Post().floats, divisor], arrays)[5]
    assert got is not None
    np.testing.assert_allclose(packing.unpack_image(got, want.shape), want, 1e-6, 1e-6)


@pytest.mark.parametrize("pixels", [1, 7, 49, 100])
def test_global_pool(isa: str, pixels: int) -> None:
    x = numbers(37, pixels)
    for kernel, want in ((22, x.astype(np.float64).mean(1)), (23, x.max(1))):
        arrays = [dirty(x), None, None, None, None, np.full(48, np.nan, np.float32)]
        got = call(isa, [kernel, 1, 0, 1, 37, pixels, pixels * 16, 16], [0.0] * 4, arrays)[5]
        assert got is not None
        np.testing.assert_allclose(got[:37], want, 1e-6, 1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(isa: str, name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 4000), [-100, 100, 0], RNG.standard_normal(4000) * 0.1, np.zeros(13)])
    x = x.astype(np.float32)
    a, b = {"SELU": (1.67326324, 1.05070098), "HARD_SIGMOID": (0.2, 0.5), "QUICK_GELU": (1.702, 0)}.get(name, (0.3, 0))
    slope = numbers(16)
    post = Post(act=name, a=a, b=b)
    got = call(isa, [30, 1, 0, 1, *post.ints(0), x.size], post.floats, [None, None, None, None, slope, x])[5]
    assert got is not None
    real = x.astype(np.float64)
    want = activation(name, real, np.float32(a), np.float32(b), np.tile(slope, x.size // 16).astype(np.float64))
    # relative to the result; where that is a difference of larger numbers or a far tail, to x
    loose = 1.0 if name.startswith("HARD") else 1e-6 * (abs(real) > (3 if "GELU" in name else 15))
    error = abs(got - want) / (abs(want) + 1e-30 + loose * (abs(real) + 1))
    assert error.max() < 2e-6, (x[error.argmax()], got[error.argmax()], want[error.argmax()])


WINOGRAD = {
    "even": Shape(32, 64, 16, 20, 3, 3).same(),
    "odd": Shape(19, 53, 9, 13, 3, 3).same(),
    "7x7": Shape(40, 64, 7, 7, 3, 3).same(),
    "1x1": Shape(20, 17, 1, 1, 3, 3).same(),
    "no pads": Shape(33, 16, 9, 12, 3, 3),
    "one-sided pads": Shape(16, 32, 9, 12, 3, 3, pads=(0, 1, 2, 0)),
    "wide": Shape(16, 32, 6, 70, 3, 3).same(),
}


def winograd_arrays(layer: Layer, tile: int) -> list[Floats | None]:
    s = layer.shape
    u = np.full((tile + 2) ** 2 * s.c * packing.blocks_of(s.k) * 16, np.nan, np.float32)
    return [*layer.arrays(dirty(layer.x), packing.pack_winograd(layer.weight), result(s)), u]


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize("tile", [2, 4, 5, 6])
@pytest.mark.parametrize("name", WINOGRAD)
def test_winograd(isa: str, name: str, tile: int, band: int) -> None:
    layer = Layer(WINOGRAD[name], SILU_ADD if band else ADD_RELU)
    s = layer.shape
    plan = packing.winograd_plan(tile, s.c, s.k, (s.oh, s.ow))
    if band:
        plan = replace(plan, band=1, chunk=min(plan.chunk, 3))
    ints = [*conv_ints(40, s, layer.post, plan=plan), tile, 0]
    layer.check(call(isa, ints, layer.post.floats, winograd_arrays(layer, tile))[5], {2: 2, 4: 4, 5: 8, 6: 16}[tile])


STEM = {
    "7x7": Shape(3, 40, 40, 70, 7, 7, 2, 2, pads=(3, 3, 3, 3)),
    "8x8": Shape(2, 16, 33, 29, 8, 8, 2, 2, pads=(3, 3, 4, 4)),
    "6x7 without pads": Shape(4, 33, 27, 90, 6, 7, 2, 2),
    "5x3": Shape(1, 32, 19, 21, 5, 3, 2, 2, pads=(2, 1, 2, 1)),
    "wider than the image": Shape(2, 20, 3, 5, 7, 7, 2, 2, pads=(5, 6, 5, 6)),
    "one result": Shape(3, 48, 7, 7, 7, 7, 2, 2),
}


@pytest.mark.parametrize("parts", [False, True], ids=["at once", "in parts"])
@pytest.mark.parametrize("name", STEM)
def test_stem(isa: str, name: str, parts: bool) -> None:
    layer = Layer(STEM[name], SILU_ADD if parts else ADD_RELU)
    s = layer.shape
    plan = packing.stem_plan(s.c, (s.oh, s.ow))
    if parts:
        plan = replace(plan, band=4, chunk=min(plan.chunk, 3))
    u = np.full(49 * 4 * s.c * packing.blocks_of(s.k) * 16, np.nan, np.float32)
    arrays = [*layer.arrays(layer.x.reshape(-1), packing.pack_planar(layer.weight), result(s)), u]
    ints = conv_ints(42, s, layer.post, plan=plan, planar=True)
    layer.check(call(isa, ints, layer.post.floats, arrays)[5], 4)
    rows = range(0, s.oh, 3)  # as rows of a stream are: not from a multiple of four on
    got = arrays[5] = result(s)
    for first in rows:
        ints = conv_ints(42, s, layer.post, (first, min(s.oh, first + 3)), plan=plan, planar=True)
        done = call(isa, ints, layer.post.floats, arrays)[5]
        assert done is not None
        new = done.reshape(-1, s.oh, s.ow * 16)[:, first : first + 3]
        got.reshape(-1, s.oh, s.ow * 16)[:, first : first + 3] = new
    layer.check(got, 4)


@pytest.mark.parametrize("shape", [WINOGRAD["odd"], Shape(16, 40, 70, 9, 3, 3).same()], ids=["few rows", "many rows"])
def test_winograd_with_threads(shape: Shape) -> None:
    layer = Layer(shape, ADD_RELU)
    plan = replace(packing.winograd_plan(4, shape.c, shape.k, (shape.oh, shape.ow)), band=1)
    ints = [*conv_ints(40, shape, layer.post, plan=plan, threads=3), 4, 0]
    got = call("avx2" if cpu_has("avx2") else "sse2", ints, layer.post.floats, winograd_arrays(layer, 4))[5]
    layer.check(got, 4)


RINGED: dict[str, tuple[int, Shape, Callable[[Floats], Floats]]] = {
    "pointwise": (1, Shape(20, 35, 12, 9), packing.pack_pointwise),
    "dense": (2, Shape(20, 35, 12, 9, 3, 3).same(), packing.pack_dense),
    "dense on 7": (2, Shape(20, 35, 12, 7, 3, 3).same(), packing.pack_dense),
    "winograd": (40, Shape(20, 35, 14, 9, 3, 3).same(), packing.pack_winograd),
    "dense, stride 2": (2, Shape(20, 35, 13, 9, 3, 3, 2, 2).same(), packing.pack_dense),
    "depthwise": (11, Shape(20, 20, 12, 9, 3, 3).same(), packing.pack_depthwise),
    "depthwise, stride 2": (14, Shape(20, 20, 12, 14, 5, 5, 2, 2).same(), packing.pack_depthwise),
}


@pytest.mark.parametrize("name", RINGED)
def test_rows_come_and_go_in_rings(isa: str, name: str) -> None:
    kernel, s, pack = RINGED[name]
    layer = Layer(s, ADD_RELU, groups=s.c if kernel in range(10, 20) else 1)
    step = 4 if kernel == 40 else 3
    kept, made = (step - 1) * s.sy + s.kh + 1, 4
    x = dirty(layer.x).reshape(-1, s.h, s.w * 16)
    residual = dirty(layer.residual).reshape(-1, s.oh, s.ow * 16)
    ring = np.full((x.shape[0], kept, s.w * 16), np.nan, np.float32)
    side = np.full((residual.shape[0], made, s.ow * 16), np.nan, np.float32)
    out = np.full((residual.shape[0], s.oh, s.ow * 16), np.nan, np.float32)
    y = np.full((residual.shape[0], made, s.ow * 16), np.nan, np.float32)
    here = 0
    for first in range(0, s.oh, step):
        end = min(s.oh, first + step)
        need = min(s.h, (end - 1) * s.sy - s.pads[0] + s.kh)
        for row in range(here, need):
            ring[:, row % kept] = x[:, row]
        here = max(here, need)
        for row in range(first, end):
            side[:, row % made] = residual[:, row]
        if kernel == 1:
            ints = [
                *(1, 1, 0, 1, s.c, s.k, s.w, kept * s.w * 16, made * s.ow * 16, kept, made, 50, 0),
                *(*layer.post.ints(made * s.ow * 16, made), first, end),
            ]
        else:
            plan = packing.winograd_plan(4, s.c, s.k, (s.oh, s.ow)) if kernel == 40 else None
            ints = [*conv_ints(kernel, s, layer.post, (first, end), (kept, made), plan), 4, 0]
        arrays = layer.arrays(ring.reshape(-1), pack(layer.weight), y.reshape(-1), side.reshape(-1))
        u = np.full(36 * s.c * packing.blocks_of(s.k) * 16, np.nan, np.float32)
        got = call(isa, ints, layer.post.floats, [*arrays, u])[5]
        assert got is not None
        y = got.reshape(y.shape).copy()
        for row in range(first, end):
            out[:, row] = y[:, row % made]
    layer.check(out.reshape(-1), 4 if kernel == 40 else 1)


@pytest.mark.parametrize("name", ["pointwise", "dense", "depthwise"])
def test_threads_give_the_same_bits(name: str) -> None:
    kernel, s, pack = RINGED[name]
    s = replace(s, h=40, w=30)
    layer = Layer(s, ADD_RELU, groups=s.c if kernel > 10 else 1)
    arrays = layer.arrays(dirty(layer.x), pack(layer.weight), result(s))

    def run(threads: int) -> Floats:
        ints = pointwise_ints(s, layer.post) if kernel == 1 else conv_ints(kernel, s, layer.post)
        ints[1] = threads
        ints[3] = 50 if threads > 1 else 1
        got = call("avx2" if cpu_has("avx2") else "sse2", ints, layer.post.floats, arrays)[5]
        assert got is not None
        return got

    one = run(1)
    layer.check(one)
    np.testing.assert_array_equal(run(3), one)
