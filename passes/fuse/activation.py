"""An activation becomes the epilogue of the product before it, where the target can run it so."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.op import Op
from mconv.ir.ops import (
    Clip,
    Conv,
    ConvTranspose,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Linear,
    Mish,
    Relu,
    Sigmoid,
    Silu,
    Tanh,
)

from ..pattern import Match, pat
from ..rewrite import Add, rule

EPILOGUES: tuple[type[Op], ...] = (
    Clip, HardSigmoid, HardSwish, LeakyRelu, Mish, Relu, Sigmoid, Silu, Tanh,
)  # fmt: skip


@rule(pat(EPILOGUES, pat((Conv, ConvTranspose, Linear), "x", "w", "b", label="product")))
def fuse_activation_into_product(m: Match, add: Add) -> Value:
    """Relu(Conv(x)) is Conv(x) with the activation Relu; likewise ConvTranspose, Linear and other activations."""
    op = m.node("product").op
    assert isinstance(op, Conv | ConvTranspose | Linear)
    m.require(m.only_reader("product"), "its result is read elsewhere")
    m.require(op.activation is None, "it already carries an activation")
    m.require(add.accepts_activation(op, m.root.op), "the target has no such epilogue")
    return add(op.replace(activation=m.root.op), m["x"], m["w"], m.get("b"))


ACTIVATION = (fuse_activation_into_product,)
