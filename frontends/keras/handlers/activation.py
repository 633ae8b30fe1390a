"""Activations that are layers."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from .. import errors
from ..activations import activated
from ..node import KerasNode
from ..registry import keras
from ..weights import slots


@keras("Activation", mask="pass")
def activation(n: KerasNode, g: Builder) -> Value:
    """Activation: a function by its name."""
    n.settings.get("activation")
    return activated(n, g, n.only())


@keras("ReLU", mask="pass")
def relu(n: KerasNode, g: Builder) -> Value:
    """ReLU: with a slope below the threshold, and a maximum."""
    x = n.only()
    most, slope = n.settings.maybe_number("max_value"), n.settings.number("negative_slope", 0.0)
    threshold = n.settings.number("threshold", 0.0)
    return rectified(n, g, x, most, slope, threshold)


def rectified(n: KerasNode, g: Builder, x: Value, most: float | None, slope: float, threshold: float) -> Value:
    """x from the threshold on (``most`` at most), slope * (x - threshold) below it."""
    if threshold:
        above = g.add(ops.GreaterOrEqual(), x, n.scalar(threshold, x))
        below = g.add(ops.Mul(), g.add(ops.Sub(), x, n.scalar(threshold, x)), n.scalar(slope, x))
        x = g.add(ops.Where(), above, x, below)
    elif slope:
        x = g.add(ops.LeakyRelu(slope), x)
    else:
        return g.add(ops.Relu() if most is None else ops.Clip(0.0, most), x)
    return x if most is None else g.add(ops.Clip(None, most), x)


@keras("LeakyReLU", mask="pass")
def leaky_relu(n: KerasNode, g: Builder) -> Value:
    """LeakyReLU; its slope was called alpha."""
    key = "negative_slope" if "negative_slope" in n.settings.values else "alpha"
    return g.add(ops.LeakyRelu(n.settings.number(key, 0.3)), n.only())


@keras("PReLU", weights=lambda layer, _: slots("alpha"), mask="pass",
       ignores={"shared_axes": "the slope's shape tells it", "weights": "of training"})  # fmt: skip
def prelu(n: KerasNode, g: Builder) -> Value:
    """PReLU: a slope for each element, or shared along axes."""
    alpha = n.weight("alpha")
    return g.add(ops.PRelu(), n.only(), n.constant(alpha, "alpha"))


@keras("ELU", mask="pass")
def elu(n: KerasNode, g: Builder) -> Value:
    """ELU."""
    return g.add(ops.Elu(n.settings.number("alpha", 1.0)), n.only())


@keras("ThresholdedReLU", mask="pass")
def thresholded_relu(n: KerasNode, g: Builder) -> Value:
    """ThresholdedReLU of Keras 2: x where x > theta, else 0."""
    return g.add(ops.ThresholdedRelu(n.settings.number("theta", 1.0)), n.only())


@keras("Softmax", mask="pass")
def softmax(n: KerasNode, g: Builder) -> Value:
    """Softmax along an axis, or several; with a mask after what it hides is made very small."""
    x = n.only()
    mask = n.argument(1, "mask")
    if mask is None:
        mask = n.mask()
    if mask is not None:
        x = _hidden(n, g, x, n.value(mask))
    axes = n.axes(n.settings.get("axis", -1))
    if len(axes) == 1:
        return g.add(ops.Softmax(axes[0]), x)
    # Keras: exp(x - logsumexp(x)) over the axes
    top = g.add(ops.ReduceMax(axes, True), x)
    power = g.add(ops.Exp(), g.add(ops.Sub(), x, top))
    return g.add(ops.Div(), power, g.add(ops.ReduceSum(axes, True), power))


def _hidden(n: KerasNode, g: Builder, x: Value, mask: Value) -> Value:
    """x plus a very small number where the mask is false, as Keras adds it."""
    if mask.type.rank != x.type.rank:
        raise errors.masked(f"a mask of {mask.type} reaches {n.settings.what}")
    least = n.builder.constant(np.array(-1e9 if n.version < 3 else np.finfo(np.float32).min / 2, x.type.dtype.numpy))
    shown = n.cast(mask, DType.BOOL)
    return g.add(ops.Add(), x, g.add(ops.Where(), shown, n.scalar(0, x), least))
