"""Convolution, transposed convolution and linear take in what scales or shifts their result or operand."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, Op, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import BatchNorm, Conv, ConvTranspose, Linear, Mul, Transpose

from ..pattern import Match, pat
from ..rewrite import Add, rule
from .channels import per_channel, scaled

PRODUCTS = (Conv, ConvTranspose, Linear)


def _product(m: Match) -> tuple[Op, Value]:
    """The matched product and its result; a refusal where nothing may be taken into it."""
    node = m.node("product")
    m.require(m.only_reader("product"), "its result is read elsewhere")
    m.require(node.op.activation is None, "it already carries an activation")  # type: ignore[attr-defined]
    return node.op, node.result


def _channel_axis(op: Op, value: Value) -> int:
    return value.type.rank - 1 if isinstance(op, Linear) else 1


def _scale_weight(op: Op, weight: Array, scale: Array) -> Array:
    """The weight whose product is ``scale`` times as large, channel by channel of the result."""
    if not isinstance(op, ConvTranspose):
        return scaled(weight, scale, 0)
    grouped = weight.reshape(op.groups, -1, *weight.shape[1:])  # [g, C/g, M/g, *K]
    by_group = scale.reshape(op.groups, 1, -1, *(1,) * (weight.ndim - 2)).astype(weight.dtype)
    result: Array = grouped * by_group
    return result.reshape(weight.shape).astype(weight.dtype, copy=False)


def _rebuilt(m: Match, add: Add, op: Op, scale: Array | None, shift: Array | None) -> Value:
    weight, bias = m.const("w"), m.const("b", default=0.0)
    new_weight: Value | Array = m["w"]
    count = m.node("product").result.type.shape[_channel_axis(op, m.node("product").result)]
    new_bias = np.broadcast_to(bias.astype(np.float64).reshape(-1), (count,))  # type: ignore[arg-type]
    if scale is not None:
        new_weight = _scale_weight(op, weight, scale)
        new_bias = new_bias * scale
    if shift is not None:
        new_bias = new_bias + shift
    if not m.has("b") and shift is None:
        return add(op, m["x"], new_weight)
    return add(op, m["x"], new_weight, new_bias.astype(weight.dtype))


@rule(pat(BatchNorm, pat(PRODUCTS, "x", "w", "b", label="product"), "gamma", "beta", "mean", "var"))
def fold_batchnorm_into_product(m: Match, add: Add) -> Value:
    """BatchNorm(Conv(x, w, b)) is one Conv with scaled weights; likewise ConvTranspose and Linear."""
    op, value = _product(m)
    m.require(not isinstance(op, Linear) or value.type.rank == 2, "the channels are not the last axis")
    scale = m.const("gamma") / np.sqrt(m.const("var").astype(np.float64) + m.op(BatchNorm).epsilon)
    return _rebuilt(m, add, op, scale, m.const("beta") - m.const("mean") * scale)


@rule(pat(Mul, pat(PRODUCTS, "x", "w", "b", label="product"), "c"))
def fold_scale_into_product(m: Match, add: Add) -> Value:
    """Conv(x, w, b) * c with one number a channel is one Conv; likewise ConvTranspose and Linear."""
    op, value = _product(m)
    return _rebuilt(m, add, op, per_channel(m, "c", value, _channel_axis(op, value)), None)


@rule(pat(AddOp, pat(PRODUCTS, "x", "w", "b", label="product"), "c"))
def fold_shift_into_product(m: Match, add: Add) -> Value:
    """Conv(x, w, b) + c with one number a channel is one Conv; likewise ConvTranspose and Linear."""
    op, value = _product(m)
    return _rebuilt(m, add, op, None, per_channel(m, "c", value, _channel_axis(op, value)))


@rule(
    pat((Conv, Linear), pat(Mul, "x", "c"), "w", "b"),
    pat((Conv, Linear), pat(Transpose, pat(Mul, "x", "c")), "w", "b"),
)
def fold_operand_scale_into_product(m: Match, add: Add) -> Value:
    """Conv(x * c, w) with one number a channel is Conv(x, scaled w), also past a transpose; likewise Linear."""
    op = m.root.op
    m.require(m.only_reader(Mul), "the scaled value is read elsewhere")
    m.require(m["x"].type.shape == m.node(Mul).result.type.shape, "the constant broadcasts the value")
    perm = tuple(range(m["x"].type.rank))
    if len(m.nodes) > 2:
        m.require(m.only_reader(Transpose), "the transposed value is read elsewhere")
        perm = m.op(Transpose).perm
    scale = _operand_channels(m, m["x"], perm[1 if isinstance(op, Conv) else -1])
    weight = m.const("w")
    if isinstance(op, Conv):
        per_group = scale.reshape(op.groups, -1)
        parts = np.split(weight, op.groups)
        new = np.concatenate([scaled(part, s, 1) for part, s in zip(parts, per_group, strict=True)])
    else:
        new = scaled(weight, scale, 1)
    x = m["x"] if len(m.nodes) == 2 else add(Transpose(perm), m["x"])
    return add(op, x, new, m.get("b"))


@rule(pat((Conv, Linear), pat(AddOp, "x", "c"), "w", "b"))
def fold_operand_shift_into_product(m: Match, add: Add) -> Value:
    """Conv(x + c, w, b) without padding is Conv(x, w, b + w c); likewise Linear."""
    op = m.root.op
    m.require(m.only_reader(AddOp), "the shifted value is read elsewhere")
    m.require(not isinstance(op, Conv) or not any(op.pads), "the padding is zero, not the constant")
    m.require(m["x"].type.shape == m.node(AddOp).result.type.shape, "the constant broadcasts the value")
    shift = _operand_channels(m, m["x"], 1 if isinstance(op, Conv) else m["x"].type.rank - 1).astype(np.float64)
    weight, bias = m.const("w"), m.const("b", default=0.0)
    sums = weight.astype(np.float64).reshape(*weight.shape[:2], -1).sum(axis=2)  # [O, C/g]
    groups = op.groups if isinstance(op, Conv) else 1
    spread = np.repeat(shift.reshape(groups, -1), weight.shape[0] // groups, axis=0)
    return add(op, m["x"], m["w"], ((sums * spread).sum(axis=1) + bias).astype(weight.dtype))


def _operand_channels(m: Match, x: Value, axis: int) -> Array:
    """The constant as one number an element of ``axis`` of x."""
    data = m.const("c")
    full = (1,) * (x.type.rank - data.ndim) + data.shape
    m.require(all(d == 1 for i, d in enumerate(full) if i != axis), "the constant varies along another axis")
    channels = x.type.shape[axis]
    m.require(isinstance(channels, int), "the number of channels is known only at run time")
    return np.broadcast_to(data.reshape(-1), (channels,))  # type: ignore[arg-type]


@rule(
    pat(Mul, pat(BatchNorm, "x", "gamma", "beta", "mean", "var"), "c"),
    pat(AddOp, pat(BatchNorm, "x", "gamma", "beta", "mean", "var"), "c"),
)
def fold_affine_into_batchnorm(m: Match, add: Add) -> Value:
    """BatchNorm(x) times or plus one number a channel is one BatchNorm."""
    m.require(m.only_reader(BatchNorm), "its result is read elsewhere")
    data = per_channel(m, "c", m.node(BatchNorm).result, 1)
    gamma, beta = m.const("gamma"), m.const("beta")
    if isinstance(m.root.op, Mul):
        gamma, beta = gamma * data, beta * data
    else:
        beta = beta + data
    return add(m.op(BatchNorm), m["x"], gamma.astype(data.dtype), beta.astype(data.dtype), m["mean"], m["var"])


AFFINE = (
    fold_batchnorm_into_product,
    fold_scale_into_product,
    fold_shift_into_product,
    fold_operand_scale_into_product,
    fold_operand_shift_into_product,
    fold_affine_into_batchnorm,
)
