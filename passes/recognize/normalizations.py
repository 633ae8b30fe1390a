"""Normalisations written out as means, squares and roots."""

from __future__ import annotations

import numpy as np

from mconv.ir import Array, Node, Op, Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    Clip,
    Div,
    Expand,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LpNormalize,
    Mul,
    Neg,
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

from ..fuse.channels import per_channel
from ..pattern import Match, pat
from ..rewrite import Add, rule


def _trailing_axis(m: Match, axes: tuple[int, ...] | None) -> int:
    rank = m["x"].type.rank
    m.require(axes is not None, "the axes are known only at run time")
    found = sorted(axes or ())
    m.require(found and found == list(range(found[0], rank)), "not over the last axes")
    return found[0]


_CENTRED = pat(Sub, "x", pat(ReduceMean, "x", label="mean"), label="centre")
_VARIANCE = pat(ReduceMean, pat(Square, _CENTRED), label="variance")


@rule(pat(Mul, _CENTRED, pat(Rsqrt, pat(AddOp, _VARIANCE, "epsilon"))))
def recognize_layer_norm(m: Match, add: Add) -> Value:
    """(x - mean) * Rsqrt(mean((x - mean)^2) + epsilon) is LayerNorm(x)."""
    mean, variance = m.node("mean").op, m.node("variance").op
    assert isinstance(mean, ReduceMean)
    m.require(mean == variance and mean.keepdims, "mean and variance differ in their axes")
    axis = _trailing_axis(m, mean.axes)
    return add(LayerNorm(axis, m.scalar("epsilon")), m["x"])


@rule(pat(Mul, "x", pat(Rsqrt, pat(AddOp, pat(ReduceMean, pat(Square, "x")), "epsilon"))))
def recognize_rms_norm(m: Match, add: Add) -> Value:
    """x * Rsqrt(mean(x^2) + epsilon) is RMSNorm(x)."""
    op = m.op(ReduceMean)
    m.require(op.keepdims, "the mean drops its axes")
    return add(RMSNorm(_trailing_axis(m, op.axes), m.scalar("epsilon")), m["x"])


@rule(pat(AddOp, pat(Mul, "x", "scale"), "rest"))
def recognize_spread_layer_norm(m: Match, add: Add) -> Value:
    """x * s + (beta - mean * s), where s is gamma * Rsqrt(variance + epsilon), is LayerNorm(x)."""
    x, scale = m["x"], m["scale"]
    mean, beta = _shift_of(m["rest"], scale)
    root, gamma = _scale_of(scale)
    m.require(mean is not None and root is not None, "not scaled by a deviation and shifted by a mean")
    assert mean is not None
    assert root is not None
    found = _deviation_of(root, x, mean)
    m.require(found is not None, "the deviation is of something else")
    assert found is not None
    axes, epsilon = found
    axis = _trailing_axis(m, axes)
    operands = [None if c is None else _along_trailing(m, c.constant, x, axis) for c in (gamma, beta)]
    return add(LayerNorm(axis, epsilon), x, *operands)


def _factors(value: Value, op: type[Op]) -> list[tuple[Value, Value]]:
    """The two operands of a product, or of a sum, both ways round; none where it is none."""
    node = value.producer
    if node is None or not isinstance(node.op, op):
        return []
    a, b = node.inputs
    return [(a, b), (b, a)]


def _shift_of(rest: Value, scale: Value) -> tuple[Value | None, Value | None]:
    """The mean and the constant of ``constant - mean * scale``, however the signs are written."""
    node = rest.producer
    for constant, other in _factors(rest, AddOp):
        if constant.data is not None:
            return _shift_of(other, scale)[0], constant
    if node is not None and isinstance(node.op, Sub) and node.inputs[0].data is not None:
        return next((a for a, b in _factors(node.inputs[1], Mul) if b is scale), None), node.inputs[0]
    if node is not None and isinstance(node.op, Neg):
        return next((a for a, b in _factors(node.inputs[0], Mul) if b is scale), None), None
    for negative, other in _factors(rest, Mul):
        inner = negative.producer
        if other is scale and inner is not None and isinstance(inner.op, Neg):
            return inner.inputs[0], None
    return None, None


def _scale_of(scale: Value) -> tuple[Node | None, Value | None]:
    """The root in ``Rsqrt(...) * gamma``, and gamma, if there is one."""
    for constant, other in _factors(scale, Mul):
        if constant.data is not None:
            return _scale_of(other)[0], constant
    node = scale.producer
    return (node, None) if node is not None and isinstance(node.op, Rsqrt) else (None, None)


def _deviation_of(root: Node, x: Value, mean: Value) -> tuple[tuple[int, ...] | None, float] | None:
    """The axes and epsilon of Rsqrt(mean((x - mean)^2) + epsilon); None for another root."""
    middle = mean.producer
    if middle is None or not isinstance(middle.op, ReduceMean) or middle.inputs[0] is not x:
        return None
    for epsilon, variance in _factors(root.inputs[0], AddOp):
        node = variance.producer
        if epsilon.data is None or epsilon.data.size != 1 or node is None or node.op != middle.op:
            continue
        square = node.inputs[0].producer
        centre = square.inputs[0].producer if square is not None and isinstance(square.op, Square) else None
        if centre is not None and isinstance(centre.op, Sub) and set(centre.inputs) == {x, mean}:
            return (middle.op.axes, float(epsilon.data.reshape(()))) if middle.op.keepdims else None
    return None


def _affine(m: Match, name: str, x: Value, axis: int) -> Array:
    """The constant as the normalised shape: it varies only along the axes that are normalised."""
    return _along_trailing(m, m.const(name), x, axis)


def _along_trailing(m: Match, data: Array, x: Value, axis: int) -> Array:
    m.require(m.root.result.type.shape == x.type.shape and data.ndim <= x.type.rank, "the constant broadcasts x")
    full = data.reshape((1,) * (x.type.rank - data.ndim) + data.shape)
    m.require(all(d == 1 for d in full.shape[:axis]), "the constant varies outside the normalised axes")
    shape = x.type.with_shape(x.type.shape[axis:])
    m.require(shape.is_static, "sizes are known only at run time")
    return np.ascontiguousarray(np.broadcast_to(full.reshape(full.shape[axis:]), shape.static_shape))


@rule(pat(Mul, pat(LayerNorm, "x", "gamma", "beta"), "c"), pat(AddOp, pat(LayerNorm, "x", "gamma", "beta"), "c"))
def fold_affine_into_layer_norm(m: Match, add: Add) -> Value:
    """LayerNorm(x) times or plus constants of the normalised shape is one LayerNorm."""
    op = m.op(LayerNorm)
    m.require(m.only_reader(LayerNorm), "its result is read elsewhere")
    data = _affine(m, "c", m["x"], op.axis)
    gamma = m.const("gamma", default=1.0).astype(data.dtype)
    beta = m.const("beta", default=0.0).astype(data.dtype)
    if isinstance(m.root.op, Mul):
        return add(op, m["x"], gamma * data, *((beta * data,) if m.has("beta") else ()))
    return add(op, m["x"], np.broadcast_to(gamma, data.shape).copy(), beta + data)


@rule(pat(Mul, pat(RMSNorm, "x", "gamma"), "c"))
def fold_scale_into_rms_norm(m: Match, add: Add) -> Value:
    """RMSNorm(x) times a constant of the normalised shape is one RMSNorm."""
    op = m.op(RMSNorm)
    m.require(m.only_reader(RMSNorm), "its result is read elsewhere")
    data = _affine(m, "c", m["x"], op.axis)
    return add(op, m["x"], data * m.const("gamma", default=1.0).astype(data.dtype))


@rule(pat(Reshape, pat(InstanceNorm, pat(Reshape, "x", label="split"), "gamma", "beta"), label="join"))
def recognize_group_norm(m: Match, add: Add) -> Value:
    """InstanceNorm over channels gathered in groups by Reshape is GroupNorm."""
    x, split = m["x"].type, m.node("split").result.type
    m.require(m.only_reader(InstanceNorm, "split"), "an inner result is read elsewhere")
    m.require(m.root.result.type.shape == x.shape and x.rank >= 3, "the shape is not restored")
    groups = split.shape[1]
    channels = x.shape[1]
    m.require(split.shape[0] == x.shape[0], "the batch is taken apart")
    m.require(isinstance(groups, int) and isinstance(channels, int) and channels % groups == 0, "no whole groups")
    assert isinstance(groups, int)
    assert isinstance(channels, int)
    gamma, beta = m.const("gamma", default=1.0), m.const("beta", default=0.0)
    dtype = x.dtype.numpy
    per = channels // groups
    spread = [np.repeat(np.broadcast_to(v.reshape(-1), (groups,)), per).astype(dtype) for v in (gamma, beta)]
    return add(GroupNorm(groups, m.op(InstanceNorm).epsilon), m["x"], *spread)


@rule(
    pat(Mul, pat((GroupNorm, InstanceNorm), "x", "gamma", "beta", label="norm"), "c"),
    pat(AddOp, pat((GroupNorm, InstanceNorm), "x", "gamma", "beta", label="norm"), "c"),
)
def fold_affine_into_group_norm(m: Match, add: Add) -> Value:
    """GroupNorm(x) or InstanceNorm(x), times or plus one number a channel, is one of its kind."""
    m.require(m.only_reader("norm"), "its result is read elsewhere")
    data = per_channel(m, "c", m["x"], 1)
    gamma = np.broadcast_to(m.const("gamma", default=1.0).astype(data.dtype), data.shape)
    beta = np.broadcast_to(m.const("beta", default=0.0).astype(data.dtype), data.shape)
    if isinstance(m.root.op, Mul):
        return add(m.node("norm").op, m["x"], gamma * data, beta * data)
    return add(m.node("norm").op, m["x"], gamma.copy(), beta + data)


_NORMS = (
    pat(ReduceL2, "x", label="norm"),
    pat(Sqrt, pat(ReduceSum, pat(Square, "x"), label="norm")),
)


@rule(
    *(pat(Div, "x", p) for norm in _NORMS for p in (norm, pat(Clip, norm, label="clip"), pat(Expand, norm))),
    *(pat(Div, "x", pat(Expand, pat(Clip, norm, label="clip"))) for norm in _NORMS),
)
def recognize_l2_normalize(m: Match, add: Add) -> Value:
    """x / max(|x|_2, epsilon) is LpNormalize(x)."""
    op = m.node("norm").op
    assert isinstance(op, ReduceL2 | ReduceSum)
    m.require(op.keepdims and op.axes is not None and len(op.axes) == 1, "not along one axis, kept")
    epsilon = 0.0
    if any(isinstance(n.op, Clip) for n in m.nodes):
        clip = m.op(Clip)
        m.require(clip.max is None and clip.min is not None, "the norm is bounded from above")
        epsilon = clip.min or 0.0
    assert op.axes is not None
    return add(LpNormalize(axis=op.axes[0], p=2, epsilon=epsilon, epsilon_mode="max"), m["x"])


NORMALIZATIONS = (
    recognize_layer_norm,
    recognize_spread_layer_norm,
    recognize_rms_norm,
    fold_affine_into_layer_norm,
    fold_scale_into_rms_norm,
    recognize_group_norm,
    fold_affine_into_group_norm,
    recognize_l2_normalize,
)
