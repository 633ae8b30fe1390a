"""Activations and what normalises along the last axis."""

from __future__ import annotations

from mconv.ir import Builder, Op, Value, ops

from .. import errors
from ..node import TfliteNode
from ..registry import tflite

PLAIN: dict[str, tuple[Op, str]] = {
    "RELU": (ops.Relu(), ""), "RELU6": (ops.Clip(0.0, 6.0), ""), "RELU_N1_TO_1": (ops.Clip(-1.0, 1.0), ""),
    "RELU_0_TO_1": (ops.Clip(0.0, 1.0), ""), "LOGISTIC": (ops.Sigmoid(), ""), "TANH": (ops.Tanh(), ""),
    "ELU": (ops.Elu(1.0), ""), "HARD_SWISH": (ops.HardSwish(), "HardSwishOptions"),
}  # fmt: skip


def _plain(n: TfliteNode, g: Builder) -> Value:
    """One operand, and nothing to choose."""
    return g.add(PLAIN[n.name][0], n.real(0))


for _name, (_, _options) in PLAIN.items():
    tflite(_name, options=_options)(_plain)


@tflite("LEAKY_RELU", options="LeakyReluOptions")
def leaky_relu(n: TfliteNode, g: Builder) -> Value:
    """LEAKY_RELU."""
    return g.add(ops.LeakyRelu(n.option("Alpha")), n.real(0))


@tflite("PRELU")
def prelu(n: TfliteNode, g: Builder) -> Value:
    """PRELU; the slopes broadcast."""
    return g.add(ops.PRelu(), n.real(0), n.real(1))


@tflite("GELU", options="GeluOptions")
def gelu(n: TfliteNode, g: Builder) -> Value:
    """GELU, exact or by tanh."""
    return g.add(ops.Gelu("tanh" if n.option("Approximate") else "none"), n.real(0))


def _last(n: TfliteNode) -> int:
    return n.axis(-1)


@tflite("SOFTMAX", options="SoftmaxOptions")
def softmax(n: TfliteNode, g: Builder) -> Value:
    """SOFTMAX of beta x along the last axis."""
    x, beta = n.real(0), float(n.option("Beta"))
    if beta != 1:
        x = g.add(ops.Mul(), x, n.number(beta, x))
    return g.add(ops.Softmax(_last(n)), x)


@tflite("LOG_SOFTMAX", options="LogSoftmaxOptions")
def log_softmax(n: TfliteNode, g: Builder) -> Value:
    """LOG_SOFTMAX along the last axis."""
    return g.add(ops.LogSoftmax(_last(n)), n.real(0))


@tflite("L2_NORMALIZATION", options="L2NormOptions")
def l2_normalization(n: TfliteNode, g: Builder) -> Value:
    """L2_NORMALIZATION along the last axis; the norm is 1e-6 at least (1e-12 under the kernel's root)."""
    if n.choice("FusedActivationFunction", "ActivationFunctionType") != "NONE":
        raise errors.form("L2_NORMALIZATION with a fused activation")
    return g.add(ops.LpNormalize(_last(n), 2, 1e-6), n.real(0))
