"""Normalisations in terms of means and roots."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import (
    LRN,
    AveragePool,
    BatchNorm,
    Clip,
    Div,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LpNormalize,
    MeanVarianceNormalize,
    Mul,
    Pow,
    ReduceL1,
    ReduceL2,
    ReduceMean,
    ReduceSum,
    Reshape,
    RMSNorm,
    Rsqrt,
    Sqrt,
    Square,
    Sub,
)
from mconv.ir.ops import Add as AddOp

from ..canonicalize.movement import reshape_to
from ..fuse.channels import along
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose


def _centred(add: Add, x: Value, axes: tuple[int, ...]) -> Value:
    return add(Sub(), x, add(ReduceMean(axes, True), x))


def _over_root(add: Add, x: Value, axes: tuple[int, ...], epsilon: float) -> Value:
    variance = add(ReduceMean(axes, True), add(Square(), x))
    return add(Mul(), x, add(Rsqrt(), add(AddOp(), variance, add.constant(epsilon, like=x))))


def _with_affine(add: Add, x: Value, gamma: Value | None, beta: Value | None) -> Value:
    if gamma is not None:
        x = add(Mul(), x, gamma)
    return x if beta is None else add(AddOp(), x, beta)


@decompose(LayerNorm)
def layer_norm_from_means(m: Match, add: Add) -> Value:
    """LayerNorm(x) is (x - mean) / sqrt(variance + epsilon) gamma + beta."""
    x, op = m["x"], m.op(LayerNorm)
    axes = tuple(range(op.axis, x.type.rank))
    return _with_affine(add, _over_root(add, _centred(add, x, axes), axes, op.epsilon), m.get("gamma"), m.get("beta"))


@decompose(RMSNorm)
def rms_norm_from_means(m: Match, add: Add) -> Value:
    """RMSNorm(x) is x / sqrt(mean(x^2) + epsilon) gamma."""
    x, op = m["x"], m.op(RMSNorm)
    axes = tuple(range(op.axis, x.type.rank))
    return _with_affine(add, _over_root(add, x, axes, op.epsilon), m.get("gamma"), None)


@decompose(GroupNorm)
def group_norm_from_instance_norm(m: Match, add: Add) -> Value:
    """GroupNorm(x) is an InstanceNorm of the groups as channels, times gamma plus beta a channel."""
    x, op = m["x"], m.op(GroupNorm)
    m.require(x.type.is_static, "sizes are known only at run time")
    split = add(Reshape((x.type.static_shape[0], op.groups, -1)), x)
    back = add(reshape_to(split.type, x.type.shape), add(InstanceNorm(op.epsilon), split))
    return _channel_affine(m, add, back)


@decompose(InstanceNorm)
def instance_norm_from_means(m: Match, add: Add) -> Value:
    """InstanceNorm(x) is (x - mean) / sqrt(variance + epsilon) over the spatial axes, times gamma plus beta."""
    x, op = m["x"], m.op(InstanceNorm)
    axes = tuple(range(2, x.type.rank))
    return _channel_affine(m, add, _over_root(add, _centred(add, x, axes), axes, op.epsilon))


def _channel_affine(m: Match, add: Add, x: Value) -> Value:
    parts: list[Value | None] = []
    for name in ("gamma", "beta"):
        value = m.get(name)
        if value is not None and value.data is not None:
            value = add.constant(along(value.data, 1, x.type.rank))
        elif value is not None:
            value = add(Reshape(tuple(-1 if i == 1 else 1 for i in range(x.type.rank))), value)
        parts.append(value)
    return _with_affine(add, x, *parts)


@decompose(BatchNorm)
def batch_norm_from_affine(m: Match, add: Add) -> Value:
    """BatchNorm(x) with constant statistics is x times one number a channel plus another."""
    x = m["x"]
    scale = m.const("gamma") / np.sqrt(m.const("var").astype(np.float64) + m.op(BatchNorm).epsilon)
    shift = m.const("beta") - m.const("mean") * scale
    axis = min(1, x.type.rank - 1)
    parts = [add.constant(along(v, axis, x.type.rank), like=x) for v in (scale, shift)]
    return _with_affine(add, x, *parts)


@decompose(BatchNorm)
def batch_norm_from_root(m: Match, add: Add) -> Value:
    """BatchNorm(x) with computed statistics is (x - mean) gamma / sqrt(variance + epsilon) + beta."""
    x = m["x"]
    axis = min(1, x.type.rank - 1)
    shape = tuple(-1 if i == axis else 1 for i in range(x.type.rank))
    gamma, beta, mean, var = (add(Reshape(shape), m[name]) for name in ("gamma", "beta", "mean", "var"))
    root = add(Sqrt(), add(AddOp(), var, add.constant(m.op(BatchNorm).epsilon, like=var)))
    return add(AddOp(), add(Mul(), add(Sub(), x, mean), add(Div(), gamma, root)), beta)


@decompose(MeanVarianceNormalize)
def mean_variance_normalize_from_means(m: Match, add: Add) -> Value:
    """MeanVarianceNormalize(x) is (x - mean) / (sqrt(variance) + epsilon)."""
    x, op = m["x"], m.op(MeanVarianceNormalize)
    centred = _centred(add, x, op.axes)
    variance = add(ReduceMean(op.axes, True), add(Square(), centred))
    root = add(Pow(), variance, add.constant(0.5, like=x))
    return add(Div(), centred, add(AddOp(), root, add.constant(op.epsilon, like=x)))


@decompose(LpNormalize)
def lp_normalize_from_norm(m: Match, add: Add) -> Value:
    """LpNormalize(x) is x / norm; a norm of zero is of zeros only, which any divisor keeps."""
    x, op = m["x"], m.op(LpNormalize)
    if op.epsilon and op.epsilon_mode == "add" and op.p == 2:
        total = add(ReduceSum((op.axis,), True), add(Square(), x))
        return add(Div(), x, add(Sqrt(), add(AddOp(), total, add.constant(op.epsilon, like=x))))
    norm = add((ReduceL1 if op.p == 1 else ReduceL2)((op.axis,), True), x)
    if op.epsilon and op.epsilon_mode == "add":
        return add(Div(), x, add(AddOp(), norm, add.constant(op.epsilon, like=x)))
    least = float(np.finfo(np.float32).tiny)
    return add(Div(), x, add(Clip(max(op.epsilon, least), None), norm))


@decompose(LRN)
def lrn_from_average_pool(m: Match, add: Add) -> Value:
    """LRN(x) is x / (bias + alpha mean of squares over neighbouring channels)^beta."""
    x, op = m["x"], m.op(LRN)
    m.require(x.type.is_static, "sizes are known only at run time")
    n, c, *spatial = x.type.static_shape
    rows = add(Reshape((n, 1, c, int(np.prod(spatial)))), add(Square(), x))
    before, after = (op.size - 1) // 2, op.size - 1 - (op.size - 1) // 2
    pool = AveragePool(
        kernel=(op.size, 1), strides=(1, 1), pads=(before, 0, after, 0), dilations=(1, 1), count_include_pad=True
    )
    means = add(Reshape(x.type.static_shape), add(pool, rows))
    base = add(AddOp(), add(Mul(), means, add.constant(op.alpha, like=x)), add.constant(op.bias, like=x))
    return add(Div(), x, add(Pow(), base, add.constant(op.beta, like=x)))
