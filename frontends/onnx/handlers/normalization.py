"""Normalisations."""

from __future__ import annotations

from mconv.ir import Builder, DType, Value, ops

from ..errors import form, needs_static
from ..node import OnnxNode
from ..registry import onnx

PRECISION = {"stash_type": "the precision of intermediate numbers; float32 is never less than what is asked for"}


@onnx("BatchNormalization", ignores={"momentum": "only training updates the statistics"})
def batch_norm(n: OnnxNode, g: Builder) -> Value:
    """BatchNormalization at inference."""
    if "training_mode" in n.schema.attributes:
        training = n.boolean("training_mode")
    else:
        training = any(n.wants(index) for index in range(1, 5))
    if training:
        raise form("BatchNormalization in training mode", "exporting the model in eval mode")
    if "spatial" in n.schema.attributes and not n.boolean("spatial"):
        raise form("BatchNormalization with statistics for each pixel (spatial = 0)")
    dtype = n[0].type.dtype
    parameters = [n[i] if n[i].type.dtype is dtype else g.add(ops.Cast(dtype), n[i]) for i in range(1, 5)]
    return g.add(ops.BatchNorm(n.number("epsilon")), n[0], *parameters)


@onnx("LayerNormalization", ignores=PRECISION)
def layer_norm(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """LayerNormalization, and its mean and inverse deviation where they are wanted."""
    axis, epsilon = n.axis(n.integer("axis")), n.number("epsilon")
    y = g.add(ops.LayerNorm(axis, epsilon), n[0], n[1], n.get(2))
    return (y, *statistics(n, g, axis, epsilon))


def statistics(n: OnnxNode, g: Builder, axis: int, epsilon: float) -> tuple[Value | None, Value | None]:
    """Mean and 1 / sqrt(variance + epsilon) of the first operand from ``axis`` on, where outputs 1 and 2 are wanted."""
    if not (n.wants(1) or n.wants(2)):
        return None, None
    x = n[0] if n[0].type.dtype is DType.F64 else g.add(ops.Cast(DType.F32), n[0])
    axes = tuple(range(axis, n.rank))
    mean = g.add(ops.ReduceMean(axes), x)
    variance = g.add(ops.ReduceMean(axes), g.add(ops.Square(), g.add(ops.Sub(), x, mean)))
    shifted = g.add(ops.Add(), variance, g.constant(epsilon, x.type.dtype))
    return mean, g.add(ops.Reciprocal(), g.add(ops.Sqrt(), shifted))


@onnx("RMSNormalization", ignores=PRECISION)
def rms_norm(n: OnnxNode, g: Builder) -> Value:
    """RMSNormalization."""
    y = g.add(ops.RMSNorm(n.axis(n.integer("axis")), n.number("epsilon")), n[0], _as(g, n[1], n[0].type.dtype))
    return _as(g, y, n[1].type.dtype)


def _as(g: Builder, value: Value, dtype: DType) -> Value:
    return value if value.type.dtype is dtype else g.add(ops.Cast(dtype), value)


@onnx("GroupNormalization", since=18, ignores=PRECISION)
def group_norm_of_groups(n: OnnxNode, g: Builder) -> Value:
    """GroupNormalization before opset 21: one scale and bias a group, here repeated for its channels."""
    groups, channels = n.integer("num_groups"), n[0].type.shape[1]
    if not isinstance(channels, int):
        raise needs_static(f"the number of channels of {n[0].type}")
    shape = (groups, channels // groups)
    spread = []
    for index in (1, 2):
        columns = g.add(ops.Unsqueeze((1,)), n[index])
        rows = g.add(ops.Expand(), columns, g.constant(shape))
        spread.append(g.add(ops.Reshape((channels,)), rows))
    return g.add(ops.GroupNorm(groups, n.number("epsilon")), n[0], *spread)


@onnx("GroupNormalization", since=21, ignores=PRECISION)
def group_norm(n: OnnxNode, g: Builder) -> Value:
    """GroupNormalization, one scale and bias a channel."""
    return g.add(ops.GroupNorm(n.integer("num_groups"), n.number("epsilon")), n[0], n[1], n[2])


@onnx("InstanceNormalization")
def instance_norm(n: OnnxNode, g: Builder) -> Value:
    """InstanceNormalization."""
    return g.add(ops.InstanceNorm(n.number("epsilon")), n[0], n[1], n[2])


@onnx("LRN")
def local_response_norm(n: OnnxNode, g: Builder) -> Value:
    """LRN across channels."""
    return g.add(ops.LRN(n.integer("size"), n.number("alpha"), n.number("beta"), n.number("bias")), n[0])


@onnx("LpNormalization")
def lp_normalize(n: OnnxNode, g: Builder) -> Value:
    """LpNormalization."""
    return g.add(ops.LpNormalize(n.axis(n.integer("axis")), n.integer("p")), n[0])


@onnx("MeanVarianceNormalization")
def mean_variance_normalize(n: OnnxNode, g: Builder) -> Value:
    """MeanVarianceNormalization."""
    return g.add(ops.MeanVarianceNormalize(n.axes(n.integers("axes") or ())), n[0])


@onnx("SimplifiedLayerNormalization", ignores=PRECISION)
def simplified_layer_norm(n: OnnxNode, g: Builder) -> Value:
    """SimplifiedLayerNormalization is RMSNorm; onnxruntime's optimizer writes it into ONNX's domain."""
    if n.wants(1):
        raise form("SimplifiedLayerNormalization whose inverse deviation is read")
    return g.add(ops.RMSNorm(n.axis(n.integer("axis")), n.number("epsilon")), n[0], n[1])
