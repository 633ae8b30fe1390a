"""Convolutions: channels last in the file, with the filters' axes in orders of their own."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, DType, Value, ops

from ...forms import same_pads, to_first, to_last
from .. import errors
from ..node import TfliteNode
from ..registry import tflite

BIAS_TYPE = {"QuantizedBiasType": "the bias's own tensor tells it"}


def pads_of(
    n: TfliteNode, x: Value, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """All begins, then all ends, of a window over x [N, C, *S]: none for VALID.

    SAME makes ceil(size / stride) places, and puts the odd element at the end.
    """
    rank = len(kernel)
    for numbers, what in ((kernel, "sizes"), (strides, "strides"), (dilations, "dilations")):
        if any(i < 1 for i in numbers):
            raise errors.misfit(f"{n.name} with window {what} {tuple(numbers)}")
    if n.choice("Padding", "Padding") == "VALID":
        return (0,) * (2 * rank)
    return same_pads(n.name, x.type.shape[2:], kernel, strides, dilations)


def _sizes(n: TfliteNode, w: Value) -> tuple[int, ...]:
    if not w.type.is_static:
        raise errors.needs_static(f"the shape of {n.name}'s filters {w.type}")
    return w.type.static_shape


def bias_of(n: TfliteNode, index: int, x: int, w: int, g: Builder) -> Value | None:
    """The bias [O] as real numbers; integers count in steps of the scales of x times w."""
    if n.absent(index):
        return None
    x_scale, w_scale = n.quantization(x), n.quantization(w)
    if n[index].type.dtype.is_integer:
        if x_scale is None or w_scale is None:
            raise errors.misfit(f"{n.name} with a bias of integers, {n[index].type}, and operands of real numbers")
        found = n.quantized_bias(index, [x_scale.scale[0] * s for s in w_scale.scale])
    else:
        found = n.real(index)
    return found if found.type.rank == 1 else g.add(ops.Reshape((-1,)), found)


def tell_hybrid(n: TfliteNode, x: int, w: int) -> None:
    """Note that the runtime quantizes a real x on the way when the weights are stored integers."""
    if n.quantization(w) is not None and n.quantization(x) is None and n[w].type.dtype.size == 1:
        what = "LiteRT quantizes the inputs of operators whose weights alone are integers; here they stay real numbers"
        n.translation.note(what, f"{n.name} '{n.out().name}'")


@tflite("CONV_2D", options="Conv2DOptions", ignores=BIAS_TYPE)
def conv_2d(n: TfliteNode, g: Builder) -> Value:
    """CONV_2D: x [N, H, W, C], filters [O, h, w, C / groups], bias [O]."""
    n.expect_rank(4)
    n.expect_rank(4, 1)
    tell_hybrid(n, 0, 1)
    x, w = to_first(g, n.real(0)), n.turned(1, (0, 3, 1, 2))
    _, inner, *kernel = _sizes(n, w)
    channels = x.type.shape[1]
    if not isinstance(channels, int):
        raise errors.needs_static(f"the channels of {n.name}'s {n[0].type}")
    if inner < 1 or channels % inner:
        raise errors.misfit(f"{n.name} of {n[0].type} with filters {n[1].type}")
    strides = n.option("StrideH"), n.option("StrideW")
    dilations = n.option("DilationHFactor"), n.option("DilationWFactor")
    op = ops.Conv(strides, pads_of(n, x, kernel, strides, dilations), dilations, channels // inner)
    return n.activation(to_last(g, g.add(op, x, w, bias_of(n, 2, 0, 1, g))))


@tflite("DEPTHWISE_CONV_2D", options="DepthwiseConv2DOptions",
        ignores={"DepthMultiplier": "the filters' shape tells it"})  # fmt: skip
def depthwise_conv_2d(n: TfliteNode, g: Builder) -> Value:
    """DEPTHWISE_CONV_2D: x [N, H, W, C], filters [1, h, w, C * multiplier], bias [C * multiplier]."""
    n.expect_rank(4)
    n.expect_rank(4, 1)
    tell_hybrid(n, 0, 1)
    x, w = to_first(g, n.real(0)), n.turned(1, (3, 0, 1, 2))
    makers, one, *kernel = _sizes(n, w)
    channels = x.type.shape[1]
    if not isinstance(channels, int):
        raise errors.needs_static(f"the channels of {n.name}'s {n[0].type}")
    if one != 1 or channels < 1 or makers % channels:
        raise errors.misfit(f"{n.name} of {n[0].type} with filters {n[1].type}")
    strides = n.option("StrideH"), n.option("StrideW")
    dilations = n.option("DilationHFactor"), n.option("DilationWFactor")
    op = ops.Conv(strides, pads_of(n, x, kernel, strides, dilations), dilations, channels)
    return n.activation(to_last(g, g.add(op, x, w, bias_of(n, 2, 0, 1, g))))


@tflite("CONV_3D", options="Conv3DOptions")
def conv_3d(n: TfliteNode, g: Builder) -> Value:
    """CONV_3D: x [N, D, H, W, C], filters [d, h, w, C, O], bias [O]."""
    n.expect_rank(5)
    n.expect_rank(5, 1)
    x, w = to_first(g, n.real(0)), n.turned(1, (4, 3, 0, 1, 2))
    kernel = _sizes(n, w)[2:]
    strides, dilations = _steps_3d(n)
    op = ops.Conv(strides, pads_of(n, x, kernel, strides, dilations), dilations)
    return n.activation(to_last(g, g.add(op, x, w, bias_of(n, 2, 0, 1, g))))


def _steps_3d(n: TfliteNode) -> tuple[tuple[int, ...], tuple[int, ...]]:
    strides = n.option("StrideD"), n.option("StrideH"), n.option("StrideW")
    return strides, (n.option("DilationDFactor"), n.option("DilationHFactor"), n.option("DilationWFactor"))


@tflite("TRANSPOSE_CONV", options="TransposeConvOptions", ignores=BIAS_TYPE)
def transpose_conv(n: TfliteNode, g: Builder) -> Value:
    """TRANSPOSE_CONV: the result's shape, filters [O, h, w, C], x [N, H, W, C], bias [O]."""
    n.expect_rank(4, 2)
    n.expect_rank(4, 1)
    tell_hybrid(n, 2, 1)
    strides = n.option("StrideH"), n.option("StrideW")
    y = _spread(n, g, n.turned(1, (3, 0, 1, 2)), strides, (1, 1))
    return n.activation(y)


@tflite("CONV_3D_TRANSPOSE", options="Conv3DOptions")
def conv_3d_transpose(n: TfliteNode, g: Builder) -> Value:
    """CONV_3D_TRANSPOSE: the result's shape, filters [d, h, w, O, C], x [N, D, H, W, C], bias [O]."""
    n.expect_rank(5, 2)
    n.expect_rank(5, 1)
    return n.activation(_spread(n, g, n.turned(1, (4, 3, 0, 1, 2)), *_steps_3d(n)))


def _spread(n: TfliteNode, g: Builder, w: Value, strides: tuple[int, ...], dilations: tuple[int, ...]) -> Value:
    """A transposed convolution to the sizes in operand 0.

    What is more than these is cut off, SAME half of it (the lesser) at the begin; where they are more, nothing but the
    bias stands at the end.
    """
    x, kernel = to_first(g, n.real(2)), _sizes(n, w)[2:]
    wanted = n.content(0)
    sizes = None if wanted is None or wanted.ndim != 1 else wanted.tolist()[1:-1]
    own = x.type.shape[2:]
    if sizes is None or len(sizes) != len(kernel) or not all(isinstance(d, int) for d in (*sizes, *own)):
        raise errors.needs_static(f"the sizes of {n.name}")
    same = n.choice("Padding", "Padding") == "SAME"
    begins, ends, more = [], [], []
    for size, wish, k, stride, dilation in zip(own, sizes, kernel, strides, dilations, strict=True):
        if min(stride, dilation, k, wish) < 1:
            raise errors.misfit(f"{n.name} with strides {strides}, dilations {dilations}, sizes {sizes}")
        total = (int(str(size)) - 1) * stride + (k - 1) * dilation + 1 - wish
        if -total >= stride or (total > 0 and not same):
            raise errors.misfit(f"{n.name} from {n[2].type} to {sizes}")
        begins.append(max(total, 0) // 2)
        ends.append(max(total, 0) - max(total, 0) // 2)
        more.append(max(-total, 0))
    op = ops.ConvTranspose(strides, (*begins, *ends), dilations, 1, tuple(more))
    return to_last(g, g.add(op, x, w, bias_of(n, 3, 2, 1, g)))


@tflite("FULLY_CONNECTED", options="FullyConnectedOptions",
        ignores={"AsymmetricQuantizeInputs": "inputs stay real numbers", **BIAS_TYPE})  # fmt: skip
def fully_connected(n: TfliteNode, g: Builder) -> Value:
    """FULLY_CONNECTED: x [..., I], weights [O, I], bias [O]; without keep_num_dims x becomes a matrix first."""
    if n.choice("WeightsFormat", "FullyConnectedOptionsWeightsFormat") != "DEFAULT":
        raise errors.form("FULLY_CONNECTED with shuffled weights")
    n.expect_rank(2, 1)
    tell_hybrid(n, 0, 1)
    x, w = n.real(0), n.real(1)
    inner = w.type.shape[1]
    if not n.option("KeepNumDims") and (x.type.rank != 2 or x.type.shape[1] != inner):
        if not isinstance(inner, int):
            raise errors.needs_static(f"the shape of {n.name}'s weights {w.type}")
        x = g.add(ops.Reshape((-1, inner)), x)
    return n.activation(g.add(ops.Linear(), x, w, bias_of(n, 2, 0, 1, g)))


@tflite("BATCH_MATMUL", options="BatchMatMulOptions",
        ignores={"AsymmetricQuantizeInputs": "inputs stay real numbers"})  # fmt: skip
def batch_matmul(n: TfliteNode, g: Builder) -> Value:
    """BATCH_MATMUL: matrices in the last two axes, either transposed first."""
    tell_hybrid(n, 0, 1)
    operands = []
    for index, name in enumerate(("AdjX", "AdjY")):
        rank = n[index].type.rank
        if rank < 2:
            raise errors.misfit(f"{n.name} of {n[index].type}")
        turn = (*range(rank - 2), rank - 1, rank - 2)
        operands.append(n.turned(index, turn) if n.option(name) else n.real(index))
    return g.add(ops.MatMul(), *operands)


@tflite("EMBEDDING_LOOKUP")
def embedding_lookup(n: TfliteNode, g: Builder) -> Value:
    """EMBEDDING_LOOKUP: rows of a table, which is stored in integers where the rows are real."""
    table = n[1] if n.out().type == n.tensor(1).type else n.real(1)
    return g.add(ops.Gather(0), table, n.wide(0) if n[0].type.dtype is not DType.I32 else n[0])
