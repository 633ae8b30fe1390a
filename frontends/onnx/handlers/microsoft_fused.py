"""Operators that onnxruntime's optimizer fuses, taken apart again, its twins of standard ones, and UnfoldTensor."""

from __future__ import annotations

from mconv.ir import Builder, Op, Value, ops

from ..errors import RE_EXPORT, form, unreadable
from ..node import OnnxNode
from ..registry import Results, microsoft
from .constant import number_range
from .conv import conv
from .gather import gather_nd
from .linear import general_product
from .microsoft_quantized import plus
from .pool import window
from .shape import pad, trilu
from .spatial import grid_sample

microsoft("Pad")(pad)
microsoft("Trilu")(trilu)
microsoft("GatherND")(gather_nd)
microsoft("GridSample")(grid_sample)


@microsoft("Range")
def counted(n: OnnxNode, g: Builder) -> Results:
    """Range, whose step may be left out."""
    if n.get(2) is not None:
        return number_range(n, g)
    return g.add(ops.Range(), n[0], n[1], g.constant(1, n[0].type.dtype))


@microsoft("ExpandDims")
def expand_dims(n: OnnxNode, g: Builder) -> Value:
    """ExpandDims: one new axis."""
    axis = int(n.constant(1, "axis").reshape(()))
    return g.add(ops.Unsqueeze((n.axis(axis, n.rank + 1),)), n[0])


@microsoft("UnfoldTensor")
def unfold(n: OnnxNode, g: Builder) -> Value:
    """UnfoldTensor: PyTorch's unfold."""
    return g.add(ops.Unfold(n.axis(n.integer("dim")), n.integer("size"), n.integer("step")), n[0])


def _activation(n: OnnxNode, name: str, alpha: float | None, beta: float | None) -> Op | None:
    """The activation of a fused operator, by its name and up to two numbers."""
    given = {key: value for key, value in (("alpha", alpha), ("beta", beta)) if value is not None}
    if name in ("", "Relu", "Tanh", "Sigmoid", "HardSwish"):
        return {"": None, "Relu": ops.Relu(), "Tanh": ops.Tanh(), "Sigmoid": ops.Sigmoid()}.get(name, ops.HardSwish())
    if name == "LeakyRelu":
        return ops.LeakyRelu(**{key: value for key, value in given.items() if key == "alpha"})
    if name == "HardSigmoid":
        return ops.HardSigmoid(**given)
    if name == "Clip":
        return ops.Clip(alpha, beta)
    raise form(f"{n.op_type} with activation '{name}'")


@microsoft("FusedConv")
def fused_conv(n: OnnxNode, g: Builder) -> Value:
    """FusedConv: Conv, plus another tensor, then an activation."""
    y = conv(n, g)
    assert isinstance(y, Value)
    y = plus(g, y, n.get(3))
    numbers = [*(n.numbers("activation_params") or ()), None, None]
    op = _activation(n, n.text("activation") if n.has("activation") else "", numbers[0], numbers[1])
    return y if op is None else g.add(op, y)


@microsoft("FusedGemm")
def fused_gemm(n: OnnxNode, g: Builder) -> Value:
    """FusedGemm: Gemm, then an activation."""
    a, b = (n[0], n.boolean("transA")), (n[1], n.boolean("transB"))
    y = general_product(g, a, b, n.get(2), n.number("alpha"), n.number("beta"))
    if n.maybe_number("activation_gamma") is not None:
        raise form("FusedGemm with activation_gamma")
    name = n.text("activation") if n.has("activation") else ""
    op = _activation(n, name, n.maybe_number("activation_alpha"), n.maybe_number("activation_beta"))
    return y if op is None else g.add(op, y)


@microsoft("FusedMatMul", "TransposeMatMul")
def fused_matmul(n: OnnxNode, g: Builder) -> Value:
    """FusedMatMul: a scaled product of matrices, of which either may be transposed."""
    for name in ("transBatchA", "transBatchB"):
        if name in n.schema.attributes and n.boolean(name):
            raise form(f"{n.op_type} with {name}")
    a = _turned(g, n[0]) if n.boolean("transA") else n[0]
    b = _turned(g, n[1]) if n.boolean("transB") else n[1]
    y, alpha = g.add(ops.MatMul(), a, b), n.number("alpha")
    return y if alpha == 1 else g.add(ops.Mul(), y, g.constant(alpha, y.type.dtype))


def _turned(g: Builder, x: Value) -> Value:
    rank = x.type.rank
    return x if rank < 2 else g.add(ops.Transpose((*range(rank - 2), rank - 1, rank - 2)), x)


@microsoft("Gelu")
def gelu(n: OnnxNode, g: Builder) -> Value:
    """Gelu, exact."""
    return g.add(ops.Gelu(), n[0])


@microsoft("BiasGelu")
def bias_gelu(n: OnnxNode, g: Builder) -> Value:
    """BiasGelu: exact Gelu of a sum."""
    return g.add(ops.Gelu(), g.add(ops.Add(), n[0], n[1]))


@microsoft("FastGelu")
def fast_gelu(n: OnnxNode, g: Builder) -> Value:
    """FastGelu: Gelu by tanh, of a sum if there is a bias."""
    return g.add(ops.Gelu("tanh"), plus(g, n[0], n.get(1)))


@microsoft("GemmFastGelu")
def gemm_fast_gelu(n: OnnxNode, g: Builder) -> Value:
    """GemmFastGelu: Gelu by tanh of a product and a bias."""
    return g.add(ops.Gelu("tanh"), plus(g, g.add(ops.MatMul(), n[0], n[1]), n.get(2)))


@microsoft("QuickGelu")
def quick_gelu(n: OnnxNode, g: Builder) -> Value:
    """QuickGelu: x times the sigmoid of alpha x."""
    return g.add(ops.Silu(n.number("alpha")), n[0])


@microsoft("BiasAdd")
def bias_add(n: OnnxNode, g: Builder) -> Value:
    """BiasAdd: three tensors added."""
    return g.add(ops.Add(), g.add(ops.Add(), n[0], n[1]), n[2])


@microsoft("NhwcMaxPool")
def max_pool_channels_last(n: OnnxNode, g: Builder) -> Value:
    """NhwcMaxPool between two Transposes."""
    rank = n.rank
    x = g.add(ops.Transpose((0, rank - 1, *range(1, rank - 1))), n[0])
    y = g.add(ops.MaxPool(*window(n, x.type.shape[2:]), ceil_mode=n.boolean("ceil_mode")), x)
    return g.add(ops.Transpose((0, *range(2, rank), 1)), y)


@microsoft("SkipLayerNormalization")
def skip_layer_norm(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """SkipLayerNormalization: LayerNorm of a sum, and the sum."""
    total = _sum_of_skip(n, g, n.get(4))
    y = g.add(ops.LayerNorm(total.type.rank - 1, n.number("epsilon")), total, n[2], n.get(3))
    return y, None, None, total


@microsoft("SkipSimplifiedLayerNormalization")
def skip_rms_norm(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """SkipSimplifiedLayerNormalization: RMSNorm of a sum, and the sum."""
    total = _sum_of_skip(n, g, n.get(3))
    return g.add(ops.RMSNorm(total.type.rank - 1, n.number("epsilon")), total, n[2]), None, None, total


def _sum_of_skip(n: OnnxNode, g: Builder, bias: Value | None) -> Value:
    if n.wants(1) or n.wants(2):
        raise form(f"{n.op_type} whose mean or inverse deviation is read")
    return plus(g, g.add(ops.Add(), n[0], n[1]), bias)


@microsoft("EmbedLayerNormalization")
def embed_layer_norm(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """EmbedLayerNormalization: LayerNorm of word, position and segment embeddings; the mask's sums; the sum."""
    ids, positions = n[0], n.get(8)
    total = g.add(ops.Gather(0), n[2], ids)
    if positions is None:
        length = ids.type.shape[1]
        if not isinstance(length, int):
            raise form("EmbedLayerNormalization of a length known only at run time", "--input-shape")
        total = g.add(ops.Add(), total, g.add(ops.Slice((0,), (length,), (0,), (1,)), n[3]))
    else:
        total = g.add(ops.Add(), total, g.add(ops.Gather(0), n[3], positions))
    if (n.get(1) is None) != (n.get(4) is None):
        raise unreadable("MC218", "EmbedLayerNormalization has segments or their embedding, not both", RE_EXPORT)
    if n.get(1) is not None:
        total = g.add(ops.Add(), total, g.add(ops.Gather(0), n[4], n[1]))
    y = g.add(ops.LayerNorm(2, n.number("epsilon")), total, n[5], n[6])
    return y, _mask_index(n, g), total


def _mask_index(n: OnnxNode, g: Builder) -> Value | None:
    """How many tokens of each sentence count, or zeros without a mask."""
    n.maybe_integer("mask_index_type")
    if not n.wants(1):
        return None
    if n.get(7) is not None:
        return g.add(ops.ReduceSum((1,), False), n[7])
    column = g.add(ops.Slice((0,), (1,), (1,), (1,)), n[0])
    return g.add(ops.Mul(), g.add(ops.Squeeze((1,)), column), g.constant(0, n[0].type.dtype))
