"""Activations: as layers of their own, and as what a convolution or a fully connected layer carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mconv.ir import Node, Op, Value
from mconv.ir.ops import (
    Affine,
    Celu,
    Clip,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Mish,
    PRelu,
    Relu,
    ScaledTanh,
    Selu,
    Shrink,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    ThresholdedRelu,
)
from mconv.ir.types import Shape

from ..backend import ncnn
from ..net import Blob, Net, Param, numbers
from .binary import DIV, MAX, MUL, SUB, binary_layer, scalar_layer
from .conditions import exact, floats

LARGEST = 3.4028234663852886e38
FUSED = (Relu, LeakyRelu, Clip, Sigmoid, Mish, HardSwish)


def fused(op: Op | None) -> tuple[int, tuple[float, ...]]:
    """The activation_type and activation_params of an activation that a layer carries."""
    match op:
        case None:
            return 0, ()
        case Relu():
            return 1, ()
        case LeakyRelu(alpha=alpha):
            return 2, (float(alpha),)
        case Clip():
            return 3, _clip_bounds(op)
        case Sigmoid():
            return 4, ()
        case Mish():
            return 5, ()
        case HardSwish():
            return 6, (1 / 6, 0.5)
    raise TypeError(f"{op!r} is no activation that a layer carries")


def activate(net: Net, blob: Blob, op: Op) -> Blob:
    """A layer of its own for an activation that could also be carried."""
    return net.layer(*_layer(op, blob), suffix="activation")


def _layer(op: Op, blob: Blob) -> tuple[str, list[Blob], Shape, Mapping[int, Param]]:
    kind, params = _KINDS[type(op)]
    return kind, [blob], blob.shape, params(op)


def _clip_bounds(op: Clip) -> tuple[float, float]:
    low = -LARGEST if op.min is None else max(-LARGEST, float(op.min))
    return low, LARGEST if op.max is None else min(LARGEST, float(op.max))


_KINDS: dict[type[Op], tuple[str, Callable[[Any], dict[int, Param]]]] = {
    Relu: ("ReLU", lambda op: {0: 0.0}),
    LeakyRelu: ("ReLU", lambda op: {0: float(op.alpha)}),
    Clip: ("Clip", lambda op: dict(enumerate(_clip_bounds(op)))),
    Sigmoid: ("Sigmoid", lambda op: {}),
    Elu: ("ELU", lambda op: {0: float(op.alpha)}),
    Selu: ("SELU", lambda op: {0: float(op.alpha), 1: float(op.gamma)}),
    Celu: ("CELU", lambda op: {0: float(op.alpha)}),
    Gelu: ("GELU", lambda op: {0: int(op.approximate == "tanh")}),
    HardSigmoid: ("HardSigmoid", lambda op: {0: float(op.alpha), 1: float(op.beta)}),
    HardSwish: ("HardSwish", lambda op: {0: 1 / 6, 1: 0.5}),
    Mish: ("Mish", lambda op: {}),
    Shrink: ("Shrink", lambda op: {0: float(op.bias), 1: float(op.lambd)}),
}


@ncnn.emits(Relu, LeakyRelu, Sigmoid, Elu, Selu, Celu, Gelu, HardSigmoid, HardSwish, Mish, Shrink, where=(floats,))
def activation(node: Node, net: Net) -> None:
    """One layer; it keeps the form in which the operand is held."""
    net.give(node.result, net.layer(*_layer(node.op, net.blob(node.inputs[0]))))


@ncnn.emits(Clip, where=(exact,))
def clip(node: Node, net: Net) -> None:
    """Clip, or ReLU where it is one."""
    assert isinstance(node.op, Clip)
    op: Op = Relu() if node.op.min == 0 and node.op.max is None else node.op
    net.give(node.result, net.layer(*_layer(op, net.blob(node.inputs[0]))))


@ncnn.emits(Silu, where=(floats,))
def silu(node: Node, net: Net) -> None:
    """Swish; with another beta x * sigmoid(beta x)."""
    assert isinstance(node.op, Silu)
    x = net.blob(node.inputs[0])
    if node.op.beta == 1:
        net.give(node.result, net.layer("Swish", [x], x.shape, {}))
        return
    gate = scalar_layer(net, x, MUL, node.op.beta, suffix="beta")
    gate = net.layer("Sigmoid", [gate], x.shape, {}, suffix="gate")
    net.give(node.result, net.layer("BinaryOp", [x, gate], x.shape, {0: MUL, 1: 0, 2: 0.0}))


_FLAT = 30.0  # from here on softplus(x) is x in float32


@ncnn.emits(Softplus, where=(floats,))
def softplus(node: Node, net: Net) -> None:
    """max(x, softplus(min(x, 30))): ncnn's own is infinite from 89 on."""
    x = net.blob(node.inputs[0])
    low = net.layer("Clip", [x], x.shape, {0: -LARGEST, 1: _FLAT}, suffix="low")
    low = net.layer("Softplus", [low], x.shape, {}, suffix="softplus")
    net.give(node.result, binary_layer(net, x, low, MAX, x.shape))


@ncnn.emits(Softsign, where=(floats,))
def softsign(node: Node, net: Net) -> None:
    """x / (1 + abs(x))."""
    x = net.blob(node.inputs[0])
    size = net.layer("AbsVal", [x], x.shape, {}, suffix="abs")
    divisor = scalar_layer(net, size, 0, 1.0, suffix="plus")
    net.give(node.result, net.layer("BinaryOp", [x, divisor], x.shape, {0: DIV, 1: 0, 2: 0.0}))


@ncnn.emits(ThresholdedRelu, where=(floats,))
def thresholded_relu(node: Node, net: Net) -> None:
    """x times 1 where it exceeds alpha, else 0."""
    assert isinstance(node.op, ThresholdedRelu)
    x = net.blob(node.inputs[0])
    mask = net.layer("Threshold", [x], x.shape, {0: float(node.op.alpha)}, suffix="above")
    net.give(node.result, net.layer("BinaryOp", [x, mask], x.shape, {0: MUL, 1: 0, 2: 0.0}))


@ncnn.emits(Affine, where=(floats,))
def affine(node: Node, net: Net) -> None:
    """alpha x + beta as a Power of one."""
    assert isinstance(node.op, Affine)
    x = net.blob(node.inputs[0])
    params: dict[int, Param] = {0: 1.0, 1: float(node.op.alpha), 2: float(node.op.beta)}
    net.give(node.result, net.layer("Power", [x], x.shape, params))


@ncnn.emits(ScaledTanh, where=(floats,))
def scaled_tanh(node: Node, net: Net) -> None:
    """alpha tanh(beta x)."""
    assert isinstance(node.op, ScaledTanh)
    x = scalar_layer(net, net.blob(node.inputs[0]), MUL, node.op.beta, suffix="beta")
    x = net.layer("TanH", [x], x.shape, {}, suffix="tanh")
    net.give(node.result, scalar_layer(net, x, MUL, node.op.alpha))


def _slopes(node: Node) -> int | None:
    """How many slopes a PReLU layer would have; None where they are not one, or one a channel."""
    x, slope = node.operands
    assert x is not None
    assert slope is not None
    if slope.data is None:
        return None
    if slope.data.size == 1:
        return 1
    shape = (1,) * (x.type.rank - slope.type.rank) + slope.data.shape
    channels = 1 if x.type.shape[0] == 1 or x.type.rank == 1 else None
    if x.type.rank < 2 or channels is None:
        return None
    return slope.data.size if all(d == 1 for i, d in enumerate(shape) if i != 1) else None


@ncnn.emits(PRelu, where=(floats,))
def prelu(node: Node, net: Net) -> None:
    """PReLU where there is one slope, or one a channel; else relu(x) - slope * relu(-x)."""
    x, slope = node.operands
    assert x is not None
    assert slope is not None
    count = _slopes(node)
    if count is None:
        _general_prelu(node, net, x, slope)
        return
    data = slope.constant
    weight = numbers(np.ascontiguousarray(data).reshape(-1), tagged=False)
    blob = net.blob(x) if count == 1 else net.held(x)
    net.give(node.result, net.layer("PReLU", [blob], blob.shape, {0: count}, [weight]))


def _general_prelu(node: Node, net: Net, x: Value, slope: Value) -> None:
    from .binary import aligned

    (a, s), shape = aligned(net, (x, slope), node.result)
    above = net.layer("ReLU", [a], shape, {0: 0.0}, suffix="above")
    below = scalar_layer(net, a, MUL, -1.0, suffix="negative")
    below = net.layer("ReLU", [below], shape, {0: 0.0}, suffix="below")
    scaled = net.layer("BinaryOp", [below, s], shape, {0: MUL, 1: 0, 2: 0.0}, suffix="sloped")
    net.give(node.result, net.layer("BinaryOp", [above, scaled], shape, {0: SUB, 1: 0, 2: 0.0}))
