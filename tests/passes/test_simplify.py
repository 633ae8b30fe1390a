"""Each canonicalization, fusion and recogniser: what is left, and that the numbers stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mconv.ir import DType, Value
from mconv.ir import ops as o
from mconv.passes import pipeline

from .graphs import B, Refusing, build, kinds, rewritten

Make = Callable[[B], Value | Sequence[Value]]


def conv(b: B, x: Value, m: int, k: int = 3, pad: int = 1, groups: int = 1, bias: bool = False) -> Value:
    c = x.type.shape[1]
    assert isinstance(c, int)
    operands = [x, b.w(m, c // groups, k, k), *([b.w(m)] if bias else [])]
    return b.add(o.Conv((1, 1), (pad,) * 4, (1, 1), groups), *operands)


def norm(b: B, x: Value) -> Value:
    c = x.type.shape[1]
    assert isinstance(c, int)
    return b.add(o.BatchNorm(1e-5), x, b.c(c), b.w(c), b.w(c), b.c(c))


def layer_norm(b: B, x: Value, *, rms: bool = False) -> Value:
    axis = x.type.rank - 1
    d = x if rms else b.add(o.Sub(), x, b.add(o.ReduceMean((axis,), True), x))
    var = b.add(o.ReduceMean((axis,), True), b.add(o.Pow(), d, b.n(2)))
    return b.add(o.Div(), d, b.add(o.Sqrt(), b.add(o.Add(), var, b.n(1e-5))))


def spread_layer_norm(b: B, form: str) -> Value:
    """As TensorFlow's batch_normalization, and Keras 3, write it."""
    x = b.x(2, 5, 8)
    mean = b.add(o.ReduceMean((2,), True), x)
    var = b.add(o.ReduceMean((2,), True), b.add(o.Square(), b.add(o.Sub(), x, mean)))
    scale = b.add(o.Rsqrt(), b.add(o.Add(), var, b.n(1e-3)))
    scale = b.add(o.Mul(), scale, b.c(1, 1, 8)) if form != "plain" else scale
    if form == "offset":
        rest = b.add(o.Sub(), b.w(8), b.add(o.Mul(), mean, scale))
    else:
        rest = b.add(o.Mul(), b.add(o.Neg(), mean), scale)
        rest = b.add(o.Add(), rest, b.w(8)) if form == "negative" else rest
    return b.add(o.Add(), b.add(o.Mul(), x, scale), rest)


def joined_rows(b: B, x: Value) -> Value:
    for size, last in ((5, False), (6, True)):
        *lead, width = x.type.static_shape
        rows = b.add(o.MatMul(), b.add(o.Reshape((-1, width)), x), b.w(width, size))
        x = b.add(o.Reshape((*lead, size)), rows)
        x = x if last else b.add(o.Relu(), x)
    return x


def closed(b: B, x: Value) -> Value:
    seven = b.constant(np.int64(7))
    return b.add(o.Min(), b.add(o.Max(), b.add(o.ReduceMax((0,), False), x), seven), seven)


def gelu_erfc(b: B, x: Value) -> Value:
    erf = b.add(o.Erf(), b.add(o.Mul(), b.add(o.Neg(), x), b.n(0.5**0.5)))
    return b.add(o.Mul(), b.add(o.Mul(), b.n(0.5), x), b.add(o.Sub(), b.n(1), erf))


def gelu(b: B, x: Value, order: int) -> Value:
    erf = b.add(o.Add(), b.add(o.Erf(), b.add(o.Div(), x, b.n(2**0.5))), b.n(1))
    if order == 0:
        return b.add(o.Mul(), b.add(o.Mul(), x, erf), b.n(0.5))
    if order == 1:
        return b.add(o.Mul(), b.add(o.Mul(), x, b.n(0.5)), erf)
    return b.add(o.Mul(), x, b.add(o.Mul(), erf, b.n(0.5)))


def gelu_tanh(b: B, x: Value) -> Value:
    inner = b.add(o.Add(), x, b.add(o.Mul(), b.add(o.Pow(), x, b.n(3)), b.n(0.044715)))
    tanh = b.add(o.Tanh(), b.add(o.Mul(), inner, b.n((2 / np.pi) ** 0.5)))
    return b.add(o.Mul(), b.add(o.Mul(), x, b.add(o.Add(), tanh, b.n(1))), b.n(0.5))


def attention(b: B, *, mask: bool, scale: str, rank: int = 4) -> Value:
    lead = (1, 2) if rank == 4 else (3,)
    q, k, v = (b.x(*lead, 5, 8, name=n) for n in "qkv")
    turned = b.add(o.Transpose((*range(rank - 2), rank - 1, rank - 2)), k)
    if scale == "both":
        q, turned = b.add(o.Mul(), q, b.n(0.6)), b.add(o.Mul(), turned, b.n(0.6))
    scores = b.add(o.MatMul(), q, turned)
    if scale == "div":
        scores = b.add(o.Div(), scores, b.n(8**0.5))
    if mask:
        scores = b.add(o.Add(), scores, b.w(5, 5))
    return b.add(o.MatMul(), b.add(o.Softmax(rank - 1), scores), v)


def group_norm(b: B, x: Value) -> Value:
    n, c, h, w = x.type.static_shape
    split = b.add(o.Reshape((n, 2, -1)), x)
    inner = b.add(o.InstanceNorm(1e-5), split, b.c(2), b.w(2))
    back = b.add(o.Reshape((n, c, h, w)), inner)
    return b.add(o.Add(), b.add(o.Mul(), back, b.c(c, 1, 1)), b.w(c, 1, 1))


def chain(b: B, x: Value, split: tuple[int, ...], perm: tuple[int, ...], join: tuple[int, ...]) -> Value:
    return b.add(o.Reshape(join), b.add(o.Transpose(perm), b.add(o.Reshape(split), x)))


CASES: dict[str, tuple[Make, list[str]]] = {
    "nearly a square": (lambda b: b.add(o.Pow(), b.add(o.Exp(), b.x(2, 3)), b.n(2.0001)), ["Exp", "Pow"]),
    "identity": (lambda b: b.add(o.Relu(), b.add(o.Identity(), b.x(2, 3))), ["Relu"]),
    "cast to same": (lambda b: b.add(o.Relu(), b.add(o.Cast(DType.F32), b.x(2, 3))), ["Relu"]),
    "add zero, multiply one": (
        lambda b: b.add(o.Relu(), b.add(o.Mul(), b.add(o.Add(), b.x(2, 3), b.n(0)), b.n(1))),
        ["Relu"],
    ),
    "zero that broadcasts stays": (
        lambda b: b.add(o.Add(), b.x(1, 3), b.constant(np.zeros((2, 3), np.float32))),
        ["Add"],
    ),
    "sub and div by constants": (
        lambda b: b.add(o.Div(), b.add(o.Sub(), b.x(2, 3), b.c(3)), b.c(3)),
        ["Add", "Mul"],
    ),
    "constants meet": (
        lambda b: b.add(o.Mul(), b.add(o.Mul(), b.x(2, 3), b.n(3)), b.c(3)),
        ["Mul"],
    ),
    "square root reciprocal": (
        lambda b: b.add(o.Div(), b.n(1), b.add(o.Sqrt(), b.add(o.Abs(), b.x(2, 3)))),
        ["Abs", "Rsqrt"],
    ),
    "double negation": (lambda b: b.add(o.Neg(), b.add(o.Neg(), b.add(o.Relu(), b.x(3)))), ["Relu"]),
    "a minus b": (lambda b: b.add(o.Add(), b.x(3), b.add(o.Neg(), b.x(3, name="z"))), ["Sub"]),
    "relu6 of max and min": (
        lambda b: b.add(o.Min(), b.add(o.Max(), b.x(2, 3), b.n(0)), b.n(1)),
        ["Clip"],
    ),
    "clip from zero is relu": (lambda b: b.add(o.Clip(0.0, None), b.x(3)), ["Relu"]),
    "relu of relu": (lambda b: b.add(o.Relu(), b.add(o.Relu(), b.x(3))), ["Relu"]),
    "matmul is linear, bias taken in": (
        lambda b: b.add(o.Add(), b.add(o.MatMul(), b.x(2, 3), b.w(3, 5)), b.w(5)),
        ["Linear"],
    ),
    "global pool": (
        lambda b: b.add(o.AveragePool((4, 4), (1, 1), (0,) * 4, (1, 1)), b.x(1, 3, 4, 4)),
        ["ReduceMean"],
    ),
    "squeeze, unsqueeze, flatten, reshape": (
        lambda b: b.add(o.Reshape((6, 2)), b.add(o.Flatten(1), b.add(o.Unsqueeze((0,)), b.add(o.Relu(), b.x(3, 4))))),
        ["Relu", "Reshape"],
    ),
    "transposes cancel": (
        lambda b: b.add(o.Transpose((0, 3, 1, 2)), b.add(o.Transpose((0, 2, 3, 1)), b.add(o.Relu(), b.x(1, 2, 3, 4)))),
        ["Relu"],
    ),
    "transpose of units": (lambda b: b.add(o.Transpose((0, 2, 1)), b.x(4, 1, 3)), ["Reshape"]),
    "concat of concat": (
        lambda b: b.add(o.Concat(1), b.add(o.Concat(1), b.x(1, 2), b.x(1, 3, name="z")), b.x(1, 1, name="t")),
        ["Concat"],
    ),
    "slices of two axes": (
        lambda b: b.add(
            o.Slice((0,), (2,), (1,), (1,)), b.add(o.Slice((1,), (4,), (0,), (2,)), b.x(5, 4))
        ),
        ["Slice"],
    ),
    "conv, batch norm": (lambda b: norm(b, conv(b, b.x(1, 4, 6, 6), 8)), ["Conv"]),
    "grouped conv with bias, batch norm": (
        lambda b: norm(b, conv(b, b.x(1, 4, 6, 6), 8, groups=2, bias=True)),
        ["Conv"],
    ),
    "transposed conv, batch norm": (
        lambda b: norm(
            b,
            b.add(o.ConvTranspose((2, 2), (1,) * 4, (1, 1), 2, (1, 1)), b.x(1, 4, 5, 5), b.w(4, 3, 3, 3), b.w(6)),
        ),
        ["ConvTranspose"],
    ),
    "linear, batch norm": (
        lambda b: norm(b, b.add(o.Linear(), b.x(2, 3), b.w(5, 3), b.w(5))),
        ["Linear"],
    ),
    "conv, scale, shift": (
        lambda b: b.add(o.Add(), b.add(o.Mul(), conv(b, b.x(1, 4, 6, 6), 8), b.c(8, 1, 1)), b.w(1, 8, 1, 1)),
        ["Conv"],
    ),
    "conv, plane added stays": (
        lambda b: b.add(o.Add(), conv(b, b.x(1, 4, 6, 6), 8), b.w(6, 6)),
        ["Conv", "Add"],
    ),
    "scale, conv": (
        lambda b: conv(b, b.add(o.Mul(), b.x(1, 4, 6, 6), b.c(4, 1, 1)), 8, groups=2),
        ["Conv"],
    ),
    "shift, conv without padding": (
        lambda b: conv(b, b.add(o.Add(), b.x(1, 4, 6, 6), b.w(4, 1, 1)), 8, pad=0, groups=2, bias=True),
        ["Conv"],
    ),
    "shift, conv with padding stays": (
        lambda b: conv(b, b.add(o.Add(), b.x(1, 4, 6, 6), b.w(4, 1, 1)), 8),
        ["Add", "Conv"],
    ),
    "scale, transpose, conv": (
        lambda b: conv(b, b.add(o.Transpose((0, 3, 1, 2)), b.add(o.Mul(), b.x(1, 6, 6, 4), b.c(4))), 8, groups=2),
        ["Transpose", "Conv"],
    ),
    "scale and shift, linear": (
        lambda b: b.add(o.Linear(), b.add(o.Add(), b.add(o.Mul(), b.x(2, 3), b.c(3)), b.w(3)), b.w(4, 3)),
        ["Linear"],
    ),
    "batch norm, scale, shift": (
        lambda b: b.add(o.Add(), b.add(o.Mul(), norm(b, b.x(1, 4, 6, 6)), b.c(4, 1, 1)), b.w(4, 1, 1)),
        ["BatchNorm"],
    ),
    "shared conv stays": (
        lambda b: (lambda y: [norm(b, y), y])(conv(b, b.x(1, 4, 6, 6), 8)),
        ["Conv", "BatchNorm"],
    ),
    "pad, conv": (
        lambda b: conv(b, b.add(o.Pad("constant", (0, 0, 1, 0, 0, 0, 2, 1)), b.x(1, 4, 6, 6)), 8),
        ["Conv"],
    ),
    "pad with ones, conv stays": (
        lambda b: conv(b, b.add(o.Pad("constant", (0, 0, 1, 0, 0, 0, 2, 1), 1.0), b.x(1, 4, 6, 6)), 8),
        ["Pad", "Conv"],
    ),
    "pad, average pool": (
        lambda b: b.add(
            o.AveragePool((3, 3), (1, 1), (0,) * 4, (1, 1)),
            b.add(o.Pad("constant", (0, 0, 1, 1, 0, 0, 1, 1)), b.x(1, 2, 6, 6)),
        ),
        ["AveragePool"],
    ),
    "gelu 0": (lambda b: gelu(b, b.x(2, 3), 0), ["Gelu"]),
    "gelu 1": (lambda b: gelu(b, b.x(2, 3), 1), ["Gelu"]),
    "gelu 2": (lambda b: gelu(b, b.x(2, 3), 2), ["Gelu"]),
    "gelu tanh": (lambda b: gelu_tanh(b, b.x(2, 3)), ["Gelu"]),
    "hard swish of clip": (
        lambda b: (
            lambda x: b.add(
                o.Div(), b.add(o.Mul(), x, b.add(o.Clip(0.0, 6.0), b.add(o.Add(), x, b.n(3)))), b.n(6)
            )
        )(b.x(2, 3)),
        ["HardSwish"],
    ),
    "hard swish of hard sigmoid": (
        lambda b: (lambda x: b.add(o.Mul(), x, b.add(o.HardSigmoid(1 / 6, 0.5), x)))(b.x(2, 3)),
        ["HardSwish"],
    ),
    "hard sigmoid of clip": (
        lambda b: b.add(o.Div(), b.add(o.Clip(0.0, 6.0), b.add(o.Add(), b.x(2, 3), b.n(3))), b.n(6)),
        ["HardSigmoid"],
    ),
    "silu": (lambda b: (lambda x: b.add(o.Mul(), x, b.add(o.Sigmoid(), x)))(b.x(2, 3)), ["Silu"]),
    "silu with beta": (
        lambda b: (lambda x: b.add(o.Mul(), x, b.add(o.Sigmoid(), b.add(o.Mul(), x, b.n(1.7)))))(b.x(2, 3)),
        ["Silu"],
    ),
    "mish": (
        lambda b: (lambda x: b.add(o.Mul(), x, b.add(o.Tanh(), b.add(o.Softplus(), x))))(b.x(2, 3)),
        ["Mish"],
    ),
    "softplus": (lambda b: b.add(o.Log(), b.add(o.Add(), b.add(o.Exp(), b.x(2, 3)), b.n(1))), ["Softplus"]),
    "softsign": (
        lambda b: (lambda x: b.add(o.Div(), x, b.add(o.Add(), b.add(o.Abs(), x), b.n(1))))(b.x(2, 3)),
        ["Softsign"],
    ),
    "leaky relu of max": (
        lambda b: (lambda x: b.add(o.Max(), x, b.add(o.Mul(), x, b.n(0.1))))(b.x(2, 3)),
        ["LeakyRelu"],
    ),
    "prelu of relu and abs": (
        lambda b: (
            lambda x: b.add(
                o.Add(),
                b.add(o.Relu(), x),
                b.add(o.Mul(), b.add(o.Sub(), x, b.add(o.Abs(), x)), b.c(3, 1, 1)),
            )
        )(b.x(1, 3, 2, 2)),
        ["PRelu"],
    ),
    "layer norm": (
        lambda b: b.add(o.Add(), b.add(o.Mul(), layer_norm(b, b.x(2, 3, 8)), b.c(8)), b.w(8)),
        ["LayerNorm"],
    ),
    "rms norm": (lambda b: b.add(o.Mul(), layer_norm(b, b.x(2, 3, 8), rms=True), b.c(8)), ["RMSNorm"]),
    "group norm": (lambda b: group_norm(b, b.x(1, 4, 3, 3)), ["GroupNorm"]),
    "l2 normalize": (
        lambda b: (
            lambda x: b.add(
                o.Div(),
                x,
                b.add(o.Expand((2, 8)), b.add(o.Clip(1e-12, None), b.add(o.ReduceL2((1,), True), x))),
            )
        )(b.x(2, 8)),
        ["LpNormalize"],
    ),
    **{
        f"layer norm, spread, {form}": (lambda b, form=form: spread_layer_norm(b, form), ["LayerNorm"])
        for form in ("plain", "scaled", "offset", "negative")
    },
    "gelu by erfc": (lambda b: gelu_erfc(b, b.x(2, 8)), ["Gelu"]),
    "rows joined and parted around each linear": (
        lambda b: joined_rows(b, b.x(2, 3, 4, 8)),
        ["Linear", "Relu", "Linear"],
    ),
    "integers between a bound and itself": (
        lambda b: b.add(o.Mul(), b.x(2, 3), b.add(o.Cast(DType.F32), closed(b, b.x(4, name="i", dtype=DType.I64)))),
        ["Mul"],
    ),
    "attention": (lambda b: attention(b, mask=False, scale="div"), ["Attention"]),
    "attention, masked": (lambda b: attention(b, mask=True, scale="div"), ["Attention"]),
    "attention, scaled on both": (lambda b: attention(b, mask=False, scale="both"), ["Attention"]),
    "attention of rank 3": (
        lambda b: attention(b, mask=True, scale="div", rank=3),
        ["Reshape", "Reshape", "Reshape", "Attention", "Reshape"],
    ),
    "channel shuffle": (
        lambda b: chain(b, b.x(1, 6, 2, 3), (1, 2, 3, 2, 3), (0, 2, 1, 3, 4), (1, 6, 2, 3)),
        ["ChannelShuffle"],
    ),
    "pixel shuffle": (
        lambda b: chain(b, b.x(1, 8, 2, 3), (1, 2, 2, 2, 2, 3), (0, 1, 4, 2, 5, 3), (1, 2, 4, 6)),
        ["DepthToSpace"],
    ),
    "depth to space, depth first": (
        lambda b: chain(b, b.x(1, 8, 2, 3), (1, 2, 2, 2, 2, 3), (0, 3, 4, 1, 5, 2), (1, 2, 4, 6)),
        ["DepthToSpace"],
    ),
    "space to depth": (
        lambda b: chain(b, b.x(1, 2, 4, 6), (1, 2, 2, 2, 3, 2), (0, 3, 5, 1, 2, 4), (1, 8, 2, 3)),
        ["SpaceToDepth"],
    ),
    "equal nodes are one": (
        lambda b: (lambda x: b.add(o.Add(), b.add(o.Exp(), x), b.add(o.Exp(), x)))(b.x(2, 3)),
        ["Exp", "Add"],
    ),
    "constants fold": (
        lambda b: b.add(o.Add(), b.x(2, 3), b.add(o.Exp(), b.add(o.Relu(), b.w(3)))),
        ["Add"],
    ),
    "unread nodes go": (lambda b: (lambda x: (b.add(o.Exp(), x), b.add(o.Relu(), x))[1])(b.x(2, 3)), ["Relu"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_left(name: str) -> None:
    make, expected = CASES[name]
    graph = build(make)
    rewritten(graph, pipeline.simplify())
    assert kinds(graph) == expected


def test_attention_of_which_a_known_mask_hides_a_row_stays_what_it_is() -> None:
    def make(b: B) -> Value:
        q, k, v = (b.x(1, 2, 4, 8, name=n) for n in "qkv")
        mask = np.zeros((4, 4), np.float32)
        mask[2] = -np.inf
        scores = b.add(o.Add(), b.add(o.MatMul(), q, b.add(o.Transpose((0, 1, 3, 2)), k)), b.constant(mask))
        return b.add(o.MatMul(), b.add(o.Softmax(3), scores), v)

    graph = build(make)
    events = rewritten(graph, pipeline.simplify())  # NaN in row 2, before and after
    assert "Attention" not in kinds(graph)
    assert any(e.refusal == "a mask hides a whole row, which is NaN here" for e in events)


def test_refusals_carry_their_reason() -> None:
    graph = build(lambda b: (lambda y: [norm(b, y), y])(conv(b, b.x(1, 4, 6, 6), 8)))
    events = rewritten(graph, pipeline.simplify())
    assert any(e.rule == "fold_batchnorm_into_product" and e.refusal == "its result is read elsewhere" for e in events)


@pytest.mark.parametrize("activation", [o.Relu(), o.Clip(0.0, 6.0), o.LeakyRelu(0.2), o.HardSwish(), o.Sigmoid()])
def test_activation_becomes_epilogue_only_where_the_target_has_it(activation: o.Relu) -> None:
    def make(b: B) -> Value:
        return b.add(activation, conv(b, b.x(1, 4, 6, 6), 8))

    target = Refusing(activations=[type(activation)])
    graph = build(make)
    rewritten(graph, [pipeline.simplify(), pipeline.prepare(target)], target)
    assert kinds(graph) == ["Conv"]
    graph = build(make)
    rewritten(graph, [pipeline.simplify(), pipeline.prepare(Refusing())], Refusing())
    assert kinds(graph) == ["Conv", type(activation).__name__]


def test_outputs_keep_their_names_when_equal_nodes_merge() -> None:
    graph = build(lambda b: (lambda x: [b.add(o.Exp(), x), b.add(o.Exp(), x)])(b.x(3)))
    rewritten(graph, pipeline.simplify())
    assert graph.output_names == ("y0", "y1")
