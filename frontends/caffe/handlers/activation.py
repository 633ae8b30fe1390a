"""Functions of one element, and arithmetic between blobs."""

from __future__ import annotations

import math
from functools import reduce

from mconv.ir import Builder, DType, Op, Value, ops

from ..node import CaffeNode
from ..registry import caffe


@caffe("ReLU")
def relu(n: CaffeNode, b: Builder) -> Value:
    """max(x, 0), or with a slope below zero."""
    n.takes(1)
    slope = n.param("relu_param").number("negative_slope")
    return b.add(ops.LeakyRelu(slope) if slope else ops.Relu(), n[0])


@caffe("ReLU6")
def relu6(n: CaffeNode, b: Builder) -> Value:
    """min(max(x, 0), 6)."""
    n.takes(1)
    for name in ("relu6_param", "relu_param"):
        n.refuse(n.param(name).number("negative_slope"), "a slope")
    return b.add(ops.Clip(0.0, 6.0), n[0])


@caffe("PReLU")
def prelu(n: CaffeNode, b: Builder) -> Value:
    """x, below zero times a slope for each channel, or one for all."""
    n.takes(1)
    if n.param("prelu_param").flag("channel_shared"):
        return b.add(ops.PRelu(), n[0], n.weight(0, (), "slope"))
    channels = n[0].type.shape[1]
    n.require(isinstance(channels, int), "the number of channels is not known")
    return b.add(ops.PRelu(), n[0], n.weight(0, (int(str(channels)),), "slope", (-1, *(1,) * (n.rank - 2))))


_PLAIN: dict[str, Op] = {
    "AbsVal": ops.Abs(), "BNLL": ops.Softplus(), "HardSwish": ops.HardSwish(), "Hswish": ops.HardSwish(),
    "Mish": ops.Mish(), "Sigmoid": ops.Sigmoid(), "TanH": ops.Tanh(),
}  # fmt: skip


@caffe(*_PLAIN, ignores={"sigmoid_param": "only says which library", "tanh_param": "only says which library",
                         "mish_param": "only says which library"})  # fmt: skip
def plain(n: CaffeNode, b: Builder) -> Value:
    """A function without parameters."""
    n.takes(1)
    return b.add(_PLAIN[n.type], n[0])


@caffe("ELU")
def elu(n: CaffeNode, b: Builder) -> Value:
    """x, below zero alpha * (exp(x) - 1)."""
    n.takes(1)
    return b.add(ops.Elu(n.param("elu_param").number("alpha")), n[0])


@caffe("Swish")
def swish(n: CaffeNode, b: Builder) -> Value:
    """x * sigmoid(beta * x)."""
    n.takes(1)
    return b.add(ops.Silu(n.param("swish_param").number("beta")), n[0])


@caffe("HardSigmoid")
def hard_sigmoid(n: CaffeNode, b: Builder) -> Value:
    """max(0, min(1, alpha * x + beta))."""
    n.takes(1)
    p = n.param("hardsigmoid_param" if n.fields.has("hardsigmoid_param") else "hard_sigmoid_param")
    return b.add(ops.HardSigmoid(p.number("alpha"), p.number("beta")), n[0])


@caffe("Clip")
def clip(n: CaffeNode, b: Builder) -> Value:
    """min(max(x, min), max)."""
    n.takes(1)
    p = n.param("clip_param")
    return b.add(ops.Clip(p.number("min"), p.number("max")), n[0])


@caffe("Threshold")
def threshold(n: CaffeNode, b: Builder) -> Value:
    """1 where x is greater, else 0."""
    n.takes(1)
    greater = b.add(ops.Greater(), n[0], n.number(n.param("threshold_param").number("threshold")))
    return b.add(ops.Cast(DType.F32), greater)


def _affine(n: CaffeNode, b: Builder, x: Value, scale: float, shift: float) -> Value:
    """scale * x + shift."""
    if scale != 1:
        x = b.add(ops.Mul(), x, n.number(scale))
    return b.add(ops.Add(), x, n.number(shift)) if shift else x


@caffe("Power")
def power(n: CaffeNode, b: Builder) -> Value:
    """(shift + scale * x) ^ power."""
    n.takes(1)
    p = n.param("power_param")
    exponent = p.number("power")
    x = _affine(n, b, n[0], p.number("scale"), p.number("shift"))
    if exponent == 1:
        return x if x is not n[0] else b.add(ops.Identity(), x)
    return b.add(ops.Square(), x) if exponent == 2 else b.add(ops.Pow(), x, n.number(exponent))


@caffe("Exp")
def exp(n: CaffeNode, b: Builder) -> Value:
    """base ^ (shift + scale * x); base -1 is e."""
    n.takes(1)
    p = n.param("exp_param")
    base = p.number("base")
    n.require(base > 0 or base == -1, f"base {base}")
    factor = 1.0 if base == -1 else math.log(base)
    return b.add(ops.Exp(), _affine(n, b, n[0], factor * p.number("scale"), factor * p.number("shift")))


@caffe("Log")
def log(n: CaffeNode, b: Builder) -> Value:
    """log to the base of (shift + scale * x); base -1 is e."""
    n.takes(1)
    p = n.param("log_param")
    base = p.number("base")
    n.require((base > 0 and base != 1) or base == -1, f"base {base}")
    y = b.add(ops.Log(), _affine(n, b, n[0], p.number("scale"), p.number("shift")))
    return y if base == -1 else b.add(ops.Mul(), y, n.number(1 / math.log(base)))


@caffe("Dropout")
def dropout(n: CaffeNode, b: Builder) -> Value:
    """x; only where scale_train is false it was not scaled in training, and is now."""
    n.takes(1)
    p = n.param("dropout_param")
    ratio = p.number("dropout_ratio")
    n.refuse(p.flag("sample_weights_test"), "sample_weights_test, which is random")
    return n[0] if p.flag("scale_train") else b.add(ops.Mul(), n[0], n.number(1 - ratio))


@caffe("Split")
def split(n: CaffeNode, b: Builder) -> list[Value]:
    """The same blob under several names."""
    n.takes(1)
    return [n[0]] * max(1, n.tops)


@caffe("Eltwise")
def eltwise(n: CaffeNode, b: Builder) -> Value:
    """The product, the sum (each times its coefficient) or the greatest of blobs of one shape."""
    p = n.param("eltwise_param")
    operation, factors = p.choice("operation"), p.all("coeff")
    n.require(len(n) >= 1, "no bottoms")
    n.require(all(v.type == n[0].type for v in n.bottoms), f"bottoms {', '.join(str(v.type) for v in n.bottoms)}")
    n.require(not factors or operation == "SUM", "coefficients, which only a SUM has")
    n.require(len(factors) in (0, len(n)), f"{len(factors)} coefficients for {len(n)} bottoms")
    values = n.bottoms
    if factors:
        values = [_affine(n, b, x, float(f), 0.0) for x, f in zip(values, factors, strict=True)]
    op: Op = {"PROD": ops.Mul(), "SUM": ops.Add(), "MAX": ops.Max()}[operation]
    y = reduce(lambda x, other: b.add(op, x, other), values)
    return y if y is not n[0] else b.add(ops.Identity(), y)


@caffe("Axpy")
def axpy(n: CaffeNode, b: Builder) -> Value:
    """a * x + y, with one a for each image and channel (bottoms a, x, y)."""
    n.takes(3)
    a, x, y = n.bottoms
    n.require(x.type == y.type and x.type.rank >= 2, f"x {x.type} and y {y.type}")
    if a.type.rank == 2 and x.type.rank > 2:
        a = b.add(ops.Unsqueeze(tuple(range(2, x.type.rank))), a)
    wanted = (*x.type.shape[:2], *(1,) * (x.type.rank - 2))
    n.require(a.type.shape == wanted, f"a factor {a.type} for x {x.type}")
    return b.add(ops.Add(), b.add(ops.Mul(), a, x), y)
