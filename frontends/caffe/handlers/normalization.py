"""Normalisations, and the scales and offsets that belong to them."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, Op, Value, ops

from ..node import CaffeNode
from ..registry import caffe


def _channels(n: CaffeNode) -> int:
    n.require(n.rank >= 1, "a scalar")
    channels = n[0].type.shape[1] if n.rank > 1 else 1
    n.require(isinstance(channels, int), "the number of channels is not known")
    return int(str(channels))


@caffe("BatchNorm")
def batch_norm(n: CaffeNode, b: Builder) -> Value:
    """Blobs: mean and variance, both times a factor, and that factor; NVIDIA's branch has scale and bias behind."""
    n.takes(1)
    p = n.param("batch_norm_param")
    channels = _channels(n)
    n.refuse(p.get("use_global_stats") is False, "use_global_stats: false, the statistics of the batch at hand",
             "use_global_stats: true, if the net was trained to be used one image at a time")  # fmt: skip
    mean, variance = n.array(0, (channels,), "mean"), n.array(1, (channels,), "variance")
    factor = n.array(2, (1,), "factor").astype(np.float32)
    share = np.float32(0) if factor[0] == 0 else np.float32(1) / factor[0]
    gamma, beta = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    if p.flag("scale_bias"):
        gamma, beta = n.array(3, (channels,), "scale"), n.array(4, (channels,), "bias")
    names = ("gamma", "beta", "mean", "variance")
    parts = (gamma, beta, mean * share, variance * share)
    constants = [n.constant(array, f"{n.layer.name}_{name}") for array, name in zip(parts, names, strict=True)]
    return b.add(ops.BatchNorm(p.number("eps")), n[0], *constants)


@caffe("BN", ignores={"frozen": "whether training changes it"})
def bn(n: CaffeNode, b: Builder) -> Value:
    """SegNet's: scale and shift alone, into which its statistics were folded. PSPNet's has mean and variance behind."""
    n.takes(1)
    p = n.param("bn_param")
    channels = _channels(n)
    words = ("slope_filler", "momentum", "frozen", "eps")  # of PSPNet's
    whole = n.blobs == 4 if n.blobs is not None else bool([word for word in words if p.has(word)])
    epsilon, folded = p.number("eps"), p.choice("bn_mode") == "INFERENCE"
    p.number("var_eps")
    scale, shift = (n.array(i, (1, channels, 1, 1), role).reshape(-1) for i, role in enumerate(("scale", "bias")))
    if not whole:
        n.refuse(not folded, "bn_mode LEARN, the statistics of the batch at hand", "SegNet's script that folds them in")
        mean, variance, epsilon = np.zeros(channels, np.float32), np.ones(channels, np.float32), 0.0
    else:
        mean, variance = (
            n.array(i, (1, channels, 1, 1), role).reshape(-1) for i, role in ((2, "mean"), (3, "variance"))
        )
    return b.add(ops.BatchNorm(epsilon), n[0], *map(n.constant, (scale, shift, mean, variance)))


def _spread(n: CaffeNode, axis: int, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sizes of weights that cover ``count`` axes from ``axis`` on (-1: all), and with which they broadcast."""
    n.require(-1 <= count <= n.rank - axis, f"{count} axes from axis {axis} of a blob of {n.rank}")
    end = n.rank if count == -1 else axis + count
    sizes = n[0].type.with_shape(n[0].type.shape[axis:end]).static_shape
    return sizes, sizes + (1,) * (n.rank - end)


def _aligned(n: CaffeNode, b: Builder, other: Value, axis: int) -> Value:
    """A second bottom with ones behind, so that it broadcasts from ``axis`` on."""
    behind = n.rank - axis - other.type.rank
    n.require(behind >= 0, f"{other.type} does not fit {n[0].type} from axis {axis}")
    rank = other.type.rank
    return b.add(ops.Unsqueeze(tuple(range(rank, rank + behind))), other) if behind else other


@caffe("Scale")
def scale(n: CaffeNode, b: Builder) -> Value:
    """x times weights, or times a second bottom, from an axis on; then perhaps plus a bias."""
    n.takes(1, 2)
    p = n.param("scale_param")
    count = p.integer("num_axes")
    if len(n) == 2:
        other = n[1]
        axis = 0 if other.type.rank == 0 else n.axis(p.integer("axis"))
        p.read.add("axis")
        y = b.add(ops.Mul(), n[0], _aligned(n, b, other, axis))
        bias_shape = other.type
        if not p.flag("bias_term"):
            return y
        sizes = bias_shape.static_shape
        like = sizes + (1,) * (n.rank - axis - len(sizes))
        return b.add(ops.Add(), y, n.weight(0, sizes, "bias", like))
    sizes, like = _spread(n, n.axis(p.integer("axis")), count)
    y = b.add(ops.Mul(), n[0], n.weight(0, sizes, "scale", like))
    return b.add(ops.Add(), y, n.weight(1, sizes, "bias", like)) if p.flag("bias_term") else y


@caffe("Bias")
def bias(n: CaffeNode, b: Builder) -> Value:
    """x plus weights, or plus a second bottom, from an axis on."""
    n.takes(1, 2)
    p = n.param("bias_param")
    count = p.integer("num_axes")
    if len(n) == 2:
        axis = 0 if n[1].type.rank == 0 else n.axis(p.integer("axis"))
        p.read.add("axis")
        return b.add(ops.Add(), n[0], _aligned(n, b, n[1], axis))
    sizes, like = _spread(n, n.axis(p.integer("axis")), count)
    return b.add(ops.Add(), n[0], n.weight(0, sizes, "bias", like))


@caffe("LRN")
def lrn(n: CaffeNode, b: Builder) -> Value:
    """Across channels: x / (k + alpha / size * sum x^2)^beta. Within one: x * (1 + alpha * mean x^2)^-beta."""
    n.takes(1)
    p = n.param("lrn_param")
    size, alpha, beta, k = p.integer("local_size"), p.number("alpha"), p.number("beta"), p.number("k")
    n.require(size % 2 == 1, f"local_size {size}, which is not odd")
    if p.choice("norm_region") == "ACROSS_CHANNELS":
        return b.add(ops.LRN(size, alpha, beta, k), n[0])
    n.require(n.rank == 4, f"a blob of {n.rank} axes")
    half = (size - 1) // 2
    pool = ops.AveragePool((size, size), (1, 1), (half,) * 4, (1, 1), count_include_pad=True)
    mean = b.add(pool, b.add(ops.Square(), n[0]))
    spread = b.add(ops.Add(), b.add(ops.Mul(), mean, n.number(alpha)), n.number(1.0))
    return b.add(ops.Mul(), n[0], b.add(ops.Pow(), spread, n.number(-beta)))


@caffe("Normalize")
def normalize(n: CaffeNode, b: Builder) -> Value:
    """x / sqrt(sum x^2 + eps) over an image, or over the channels of each place; times a scale."""
    n.takes(1)
    p = n.param("normalize_bbox_param" if n.fields.has("normalize_bbox_param") else "norm_param")
    across, shared, epsilon = p.flag("across_spatial"), p.flag("channel_shared"), p.number("eps")
    n.require(n.rank >= 2, f"a blob of {n.rank} axes")
    if across:
        total = b.add(ops.ReduceSumSquare(tuple(range(1, n.rank))), n[0])
        y = b.add(ops.Div(), n[0], b.add(ops.Sqrt(), b.add(ops.Add(), total, n.number(epsilon))))
    else:
        y = b.add(ops.LpNormalize(1, 2, epsilon, "add"), n[0])
    channels = _channels(n)
    like = () if shared else (channels, *(1,) * (n.rank - 2))
    return b.add(ops.Mul(), y, n.weight(0, () if shared else (channels,), "scale", like))


@caffe("MVN")
def mvn(n: CaffeNode, b: Builder) -> Value:
    """(x - mean) / (sqrt(var) + eps) over each channel, or each image; without normalize_variance x - mean."""
    n.takes(1)
    p = n.param("mvn_param")
    axes = tuple(range(1 if p.flag("across_channels") else 2, n.rank))
    n.require(axes, f"a blob of {n.rank} axes")
    epsilon = p.number("eps")
    if p.flag("normalize_variance"):
        return b.add(ops.MeanVarianceNormalize(axes, epsilon), n[0])
    return b.add(ops.Sub(), n[0], b.add(ops.ReduceMean(axes), n[0]))


@caffe("Softmax")
def softmax(n: CaffeNode, b: Builder) -> Value:
    """Along an axis."""
    n.takes(1)
    return b.add(ops.Softmax(n.axis(n.param("softmax_param").integer("axis"))), n[0])


@caffe("Reduction")
def reduction(n: CaffeNode, b: Builder) -> Value:
    """Over all axes from one on, which go; times a coefficient."""
    n.takes(1)
    p = n.param("reduction_param")
    kinds: dict[str, type[Op]] = {
        "SUM": ops.ReduceSum, "ASUM": ops.ReduceL1, "SUMSQ": ops.ReduceSumSquare, "MEAN": ops.ReduceMean,
    }  # fmt: skip
    axes = tuple(range(n.axis(p.integer("axis")), n.rank))
    y = b.add(kinds[p.choice("operation")](axes, False), n[0])
    factor = p.number("coeff")
    return y if factor == 1 else b.add(ops.Mul(), y, n.number(factor))
