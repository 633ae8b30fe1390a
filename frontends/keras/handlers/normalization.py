"""Normalisations, and scales that are weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mconv.ir import Builder, Value, ops
from mconv.ir.types import Array

from .. import errors
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..weights import Slots, SlotsOf, slots
from .merge import unit

KERAS_1 = {"mode": "0, or it is refused", "gamma_init": "of training", "beta_init": "of training"}
TRAINED = {
    "momentum": "of training", "synchronized": "of training", "renorm": "of training", "renorm_clipping": "of training",
    "renorm_momentum": "of training", "virtual_batch_size": "of training", "fused": "how it is computed",
    "adjustment": "of training",
}  # fmt: skip


def _scaled(layer: Layer) -> list[str]:
    return [name for name, key in (("gamma", "scale"), ("beta", "center")) if layer.config.get(key, True)]


def _batch_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    renorm = ["renorm_mean", "renorm_stddev"] if layer.config.get("renorm") else []
    return slots(*_scaled(layer), fixed=("moving_mean", "moving_variance", *renorm))


@keras("BatchNormalization", weights=_batch_slots, mask="pass", ignores=TRAINED)
def batch_normalization(n: KerasNode, g: Builder) -> Value:
    """BatchNormalization with its moving means, along any axis."""
    if n.settings.get("mode", 0) != 0:
        raise errors.form(
            f"{n.settings.what} with mode {n.settings.get('mode')}, which uses the batch's own statistics"
        )
    x = n.only()
    axis = n.axis(n.settings.integer("axis", -1))
    size = n.static(x, axis, "the number of channels")
    mean, var = (n.weight(name, size) for name in ("moving_mean", "moving_variance"))
    gamma = n.weight("gamma", size) if n.settings.flag("scale", True) else np.ones_like(mean)
    beta = n.weight("beta", size) if n.settings.flag("center", True) else np.zeros_like(mean)
    op = ops.BatchNorm(n.settings.number("epsilon", 1e-3))
    vectors = [n.constant(v, name) for v, name in ((gamma, "gamma"), (beta, "beta"), (mean, "mean"), (var, "variance"))]
    return _beside(g, x, axis, lambda moved: g.add(op, moved, *vectors))


def _beside(g: Builder, x: Value, axis: int, work: Any) -> Value:
    """``work`` on x with ``axis`` at the second place, and the result in x's order."""
    if x.type.rank == 1:
        raise errors.misfit(f"a normalisation of {x.type}")
    if axis == 1 or axis == 0:
        if axis == 0:
            raise errors.misfit("a normalisation along the axis of the batch")
        result: Value = work(x)
        return result
    there = (0, axis, *(a for a in range(1, x.type.rank) if a != axis))
    back = tuple(int(i) for i in np.argsort(there))
    return g.add(ops.Transpose(back), work(g.add(ops.Transpose(there), x)))


def _layer_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    return slots("gamma") if layer.config.get("rms_scaling") else slots(*_scaled(layer))


@keras("LayerNormalization", weights=_layer_slots, mask="pass")
def layer_normalization(n: KerasNode, g: Builder) -> Value:
    """LayerNormalization over one axis or several."""
    x = n.only()
    axes = n.axes(n.settings.get("axis", -1))
    epsilon = n.settings.number("epsilon", 1e-3)
    names = ("gamma", "beta")
    keys = dict(zip(names, ("scale", "center"), strict=True))
    sizes = [n.static(x, a, "a normalised size") for a in axes]
    wanted = [name for name in names if n.settings.flag(keys[name], True)]
    if n.settings.flag("rms_scaling", False):
        return _spread_scaled(n, g, x, axes, epsilon, _shaped(n, "gamma", sizes))
    given = {name: _shaped(n, name, sizes) for name in wanted}
    return normalised(n, g, x, axes, epsilon, given.get("gamma"), given.get("beta"))


def _shaped(n: KerasNode, name: str, sizes: Sequence[int]) -> Array:
    """A weight with the normalised axes' sizes."""
    array = n.weight(name)
    if array.size != int(np.prod(sizes, dtype=np.int64)):
        raise errors.bad_weights(f"{name} of {n.settings.what} has shape {list(array.shape)}, not {list(sizes)}")
    return array.reshape(tuple(sizes))


def normalised(
    n: KerasNode, g: Builder, x: Value, axes: tuple[int, ...], epsilon: float, gamma: Array | None, beta: Array | None
) -> Value:
    """LayerNorm over any axes: those that are not the last ones are moved there, and back."""
    rank = x.type.rank
    others = [a for a in range(rank) if a not in axes]
    there = (*others, *axes)
    vectors = [None if v is None else n.constant(v, name) for v, name in ((gamma, "gamma"), (beta, "beta"))]
    moved = there == tuple(range(rank))
    y = x if moved else g.add(ops.Transpose(there), x)
    y = g.add(ops.LayerNorm(rank - len(axes), epsilon), y, *vectors)
    return y if moved else g.add(ops.Transpose(tuple(int(i) for i in np.argsort(there))), y)


def _along(x: Value, axes: tuple[int, ...], array: Array) -> Array:
    """A weight of the axes' sizes so that it broadcasts to x."""
    shape = [1] * x.type.rank
    for axis, size in zip(axes, array.shape, strict=True):
        shape[axis] = size
    return array.reshape(shape)


def _spread_scaled(n: KerasNode, g: Builder, x: Value, axes: tuple[int, ...], epsilon: float, gamma: Array) -> Value:
    """Keras's rms_scaling: x by the root of its variance, without taking the mean away."""
    centred = g.add(ops.Sub(), x, g.add(ops.ReduceMean(axes, True), x))
    variance = g.add(ops.ReduceMean(axes, True), g.add(ops.Square(), centred))
    y = g.add(ops.Mul(), x, g.add(ops.Rsqrt(), g.add(ops.Add(), variance, n.scalar(epsilon, x))))
    return g.add(ops.Mul(), y, n.constant(_along(x, axes, gamma), "gamma"))


@keras("RMSNormalization", weights=lambda layer, _: slots("scale"))
def rms_normalization(n: KerasNode, g: Builder) -> Value:
    """RMSNormalization over one axis or several."""
    x = n.only()
    axes = n.axes(n.settings.get("axis", -1))
    epsilon = n.settings.number("epsilon", 1e-6)
    scale = _shaped(n, "scale", [n.static(x, a, "a normalised size") for a in axes])
    if axes == tuple(range(x.type.rank - len(axes), x.type.rank)):
        return g.add(ops.RMSNorm(axes[0], epsilon), x, n.constant(scale, "scale"))
    squares = g.add(ops.ReduceMean(axes, True), g.add(ops.Square(), x))
    y = g.add(ops.Mul(), x, g.add(ops.Rsqrt(), g.add(ops.Add(), squares, n.scalar(epsilon, x))))
    return g.add(ops.Mul(), y, n.constant(_along(x, axes, scale), "scale"))


@keras("GroupNormalization", weights=lambda layer, _: slots(*_scaled(layer)), mask="pass")
def group_normalization(n: KerasNode, g: Builder) -> Value:
    """GroupNormalization along any axis; -1 groups are as many as channels."""
    x = n.only()
    axis = n.axis(n.settings.integer("axis", -1))
    size = n.static(x, axis, "the number of channels")
    groups = n.settings.integer("groups", 32)
    groups = size if groups == -1 else groups
    gamma = n.weight("gamma", size) if n.settings.flag("scale", True) else None
    beta = n.weight("beta", size) if n.settings.flag("center", True) else None
    vectors = [None if v is None else n.constant(v, name) for v, name in ((gamma, "gamma"), (beta, "beta"))]
    op = ops.GroupNorm(groups, n.settings.number("epsilon", 1e-3))
    return _beside(g, x, axis, lambda moved: g.add(op, moved, *vectors))


@keras("UnitNormalization", mask="pass")
def unit_normalization(n: KerasNode, g: Builder) -> Value:
    """UnitNormalization: length one along axes."""
    return unit(n, g, n.only(), n.axes(n.settings.get("axis", -1)))


@keras("LayerScale", weights=lambda layer, _: slots("gamma"),
       ignores={"init_values": "of training", "projection_dim": "the weight's shape tells it"})  # fmt: skip
def layer_scale(n: KerasNode, g: Builder) -> Value:
    """ConvNeXt's LayerScale: each channel times a weight."""
    x = n.only()
    return g.add(ops.Mul(), x, n.constant(n.weight("gamma", n.static(x, -1, "the number of channels")), "gamma"))


@keras("CustomScaleLayer")
def custom_scale(n: KerasNode, g: Builder) -> Value:
    """Inception-ResNet's CustomScaleLayer: the first plus the second times a number."""
    if len(n.xs) != 2:
        raise errors.misfit(f"{n.settings.what} is called with {len(n.xs)} tensors, not 2")
    scaled = g.add(ops.Mul(), n[1], n.scalar(n.settings.number("scale"), n[1]))
    return g.add(ops.Add(), n[0], scaled)
