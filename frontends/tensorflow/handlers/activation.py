"""Activations, and what normalises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from ...forms import first, last
from .. import errors
from ..node import TfNode
from ..registry import tensorflow

PLAIN: dict[str, Op] = {
    "Relu": ops.Relu(), "Relu6": ops.Clip(0.0, 6.0), "Elu": ops.Elu(1.0), "Selu": ops.Selu(),
    "Softplus": ops.Softplus(), "Softsign": ops.Softsign(), "Sigmoid": ops.Sigmoid(), "Tanh": ops.Tanh(),
}  # fmt: skip
FUSED: dict[str, Op] = {**PLAIN, "GeluExact": ops.Gelu(), "GeluApproximate": ops.Gelu("tanh")}
"""Activations behind a product, by the names that grappler gives them."""


@tensorflow(*PLAIN)
def plain(n: TfNode, g: Builder) -> Value:
    """One operand, and nothing to choose."""
    return g.add(PLAIN[n.op], n[0])


@tensorflow("LeakyRelu")
def leaky_relu(n: TfNode, g: Builder) -> Value:
    """LeakyRelu."""
    return g.add(ops.LeakyRelu(n.real("alpha")), n[0])


@tensorflow("Softmax", "LogSoftmax")
def softmax(n: TfNode, g: Builder) -> Value:
    """Softmax and LogSoftmax along the last axis."""
    axis = n.axis(-1)
    return g.add(ops.Softmax(axis) if n.op == "Softmax" else ops.LogSoftmax(axis), n[0])


@tensorflow("L2Loss")
def l2_loss(n: TfNode, g: Builder) -> Value:
    """L2Loss: half the sum of squares."""
    total = g.add(ops.ReduceSum(tuple(range(n.rank)), False), g.add(ops.Square(), n[0]))
    return g.add(ops.Mul(), total, n.like(0.5, n[0]))


@tensorflow("LRN")
def lrn(n: TfNode, g: Builder) -> Value:
    """LRN over 2 radius + 1 channels, whose alpha is of each square and not of their mean."""
    n.expect_rank(4)
    size = 2 * n.whole("depth_radius") + 1
    op = ops.LRN(size, n.real("alpha") * size, n.real("beta"), n.real("bias"))
    return g.add(ops.Transpose(last(4)), g.add(op, g.add(ops.Transpose(first(4)), n[0])))


# Batch normalisation -----------------------------------------------------------------------------------------

_AVERAGE = {"exponential_avg_factor": "of the running statistics, which training keeps", "U": "the operands tell it"}


@tensorflow("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", ignores=_AVERAGE)
def fused_batch_norm(n: TfNode, g: Builder) -> Sequence[Value | None]:
    """FusedBatchNorm with given statistics, or with is_training those of the batch itself."""
    y, mean, var = _normalized(n, g, n[0])
    return [y, mean, var, None, None, None]


@tensorflow("_FusedBatchNormEx", ignores={**_AVERAGE, "num_side_inputs": "the operands tell it"})
def fused_batch_norm_ex(n: TfNode, g: Builder) -> Sequence[Value | None]:
    """FusedBatchNorm with a sum and an activation that grappler fused behind it."""
    y, mean, var = _normalized(n, g, n[0])
    if len(n) > 5:
        y = g.add(ops.Add(), y, n[5])
    name = n.text("activation_mode")
    if name != "Identity":
        if name not in FUSED:
            raise errors.form(f"{n.op} with a fused {name}")
        y = g.add(FUSED[name], y)
    return [y, mean, var, None, None, None]


def _normalized(n: TfNode, g: Builder, x: Value) -> tuple[Value, Value | None, Value | None]:
    from .conv import Layout

    layout = Layout(n, g)
    epsilon = n.real("epsilon")
    first = n.cast(layout.first(x), n[1].type.dtype)
    if not n.flag("is_training"):
        y = g.add(ops.BatchNorm(epsilon), first, n[1], n[2], n[3], n[4])
        return n.cast(layout.back(y), x.type.dtype), n[3], n[4]
    axes = (0, *range(2, first.type.rank))
    mean = g.add(ops.ReduceMean(axes, True), first)
    off = g.add(ops.Sub(), first, mean)
    var = g.add(ops.ReduceMean(axes, True), g.add(ops.Square(), off))
    n.translation.note("a batch norm is in training mode: it normalises each batch by itself", n.node.name)
    scale, offset = (g.add(ops.Unsqueeze(tuple(range(1, first.type.rank - 1))), n[i]) for i in (1, 2))
    root = g.add(ops.Rsqrt(), g.add(ops.Add(), var, n.like(epsilon, var)))
    y = g.add(ops.Add(), g.add(ops.Mul(), off, g.add(ops.Mul(), root, scale)), offset)
    return n.cast(layout.back(y), x.type.dtype), g.add(ops.Squeeze(axes), mean), None


@tensorflow("BatchNormWithGlobalNormalization")
def batch_norm_global(n: TfNode, g: Builder) -> Value:
    """BatchNormWithGlobalNormalization: x, mean, variance, beta, gamma."""
    n.expect_rank(4)
    x = g.add(ops.Transpose(first(4)), n[0])
    gamma = n[4]
    if not n.flag("scale_after_normalization"):
        gamma = g.add(ops.Expand(), n.like(1, gamma), g.add(ops.Shape(), gamma))
    y = g.add(ops.BatchNorm(n.real("variance_epsilon")), x, gamma, n[3], n[1], n[2])
    return g.add(ops.Transpose(last(4)), y)


# Quantization in training ------------------------------------------------------------------------------------


@tensorflow("FakeQuantWithMinMaxArgs")
def fake_quant_args(n: TfNode, g: Builder) -> Value:
    """FakeQuantWithMinMaxArgs: the range is in attributes."""
    return _fake(n, g, [n.real("min")], [n.real("max")], None)


@tensorflow("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_vars(n: TfNode, g: Builder) -> Value:
    """FakeQuantWithMinMaxVars: the range is in operands, one for all or one for each element of the last axis."""
    lows, highs = (n.constant(i, "range").ravel().tolist() for i in (1, 2))
    axis = n.axis(-1) if n.op.endswith("PerChannel") else None
    if len(lows) != len(highs) or not lows or (axis is None and len(lows) != 1):
        raise errors.misfit(f"{n.op} with ranges of {n[1].type} and {n[2].type}")
    return _fake(n, g, lows, highs, axis)


def _fake(n: TfNode, g: Builder, lows: Sequence[float], highs: Sequence[float], axis: int | None) -> Value:
    """x rounded to one of 2^bits steps between the ends of a range, which is moved so that zero is a step."""
    bits = n.whole("num_bits")
    if not 2 <= bits <= 16:
        raise errors.misfit(f"{n.op} with {bits} bits")
    least, most = int(n.flag("narrow_range")), 2**bits - 1
    low, high = np.array(lows, np.float32), np.array(highs, np.float32)
    if not np.all(low < high) or not np.all(np.isfinite(high - low)):
        raise errors.misfit(f"{n.op} with a range from {low.max()} to {high.min()}")
    scale = (high - low) / np.float32(most - least)
    zero = np.clip(np.floor(least - low / scale + np.float32(0.5)), least, most)
    dtype = DType.U8 if bits <= 8 else DType.U16
    x = n[0]
    if least or bits not in (8, 16):
        bounds = [((edge - zero) * scale).astype(np.float32) for edge in (least, most)]
        if axis is None:
            x = g.add(ops.Clip(*(float(b[0]) for b in bounds)), x)
        else:
            x = g.add(ops.Min(), g.add(ops.Max(), x, g.constant(bounds[0])), g.constant(bounds[1]))
    shape = () if axis is None else (len(scale),)
    factor = g.constant(scale.reshape(shape), name="scale")
    point = g.constant(zero.astype(dtype.numpy).reshape(shape), name="zero_point")
    return g.add(ops.Dequantize(axis), g.add(ops.Quantize(dtype, axis), x, factor, point), factor, point)
