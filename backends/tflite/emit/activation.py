"""Activations that ride on another operation, and Clip, which is one of several operations by its bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node, Op, Value
from mconv.ir.ops import Clip, Gelu, HardSigmoid, LeakyRelu, PRelu
from mconv.ir.types import Array

from ..backend import tflite
from ..fused import NAMES, can_fuse, fused_code
from ..net import Net
from .conditions import floats, takes


def carried(node: Node, net: Net) -> tuple[Value, int]:
    """The value that the node's operation makes, and the code of the activation that it carries.

    Either the node has it as its attribute, or the elementwise node after it is taken over.
    """
    own: Op | None = getattr(node.op, "activation", None)
    if own is not None:
        return node.result, fused_code(own)
    result, activation = net.epilogue(node, can_fuse)
    return result, fused_code(activation)


@tflite.emits(Clip, where=(takes("f32 i8 u8 i16 i32 i64"),))
def clip(node: Node, net: Net) -> None:
    """RELU6 and its kin for their bounds, MAXIMUM and MINIMUM for others (RELU_0_TO_1 is taken by no delegate)."""
    op, x, y = node.op, node.inputs[0], node.result
    assert isinstance(op, Clip)
    named = NAMES.get((op.min, op.max))
    if named is not None and x.type.dtype.is_float:
        net.add(named, [x], [y])
        return
    bounds = [(name, b) for name, b in (("MAXIMUM", op.min), ("MINIMUM", op.max)) if b is not None]
    if not bounds:
        net.alias(y, x)
        return
    current = net.tensor(x)
    for name, bound in bounds:
        made = net.tensor(y) if name == bounds[-1][0] else net.scratch(y, f"{y.name}_bounded")
        limit = net.constant(_limit(bound, x.type.dtype.numpy), "bound")
        net.add(name, [limit, current], [made], "MaximumMinimumOptions")  # in this order a NaN stays one
        current = made


def _limit(bound: float, dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        bound = int(min(max(bound, info.min), info.max))
    return np.array(bound, dtype)


def is_a_sixth(node: Node) -> bool:
    """its slope is a sixth."""
    assert isinstance(node.op, HardSigmoid)
    return abs(node.op.alpha * 6 - 1) < 1e-6


@tflite.emits(HardSigmoid, where=(floats, is_a_sixth))
def hard_sigmoid(node: Node, net: Net) -> None:
    """ADD that carries RELU6, and MUL by a sixth: RELU_0_TO_1 would not be taken by the runtime's delegates."""
    op, x, y = node.op, node.inputs[0], node.result
    assert isinstance(op, HardSigmoid)
    shifted = net.scratch(y, f"{y.name}_shifted")
    shift = net.constant(np.array(op.beta * 6, np.float32), "shift")
    net.add("ADD", [x, shift], [shifted], "AddOptions", FusedActivationFunction=fused_code(Clip(0.0, 6.0)),
            PotScaleInt16=False)  # fmt: skip
    sixth = net.constant(np.array(1 / 6, np.float32), "sixth")
    net.add("MUL", [shifted, sixth], [y], "MulOptions", FusedActivationFunction=0)


@tflite.emits(LeakyRelu, where=(floats,))
def leaky_relu(node: Node, net: Net) -> None:
    """LEAKY_RELU."""
    assert isinstance(node.op, LeakyRelu)
    net.add("LEAKY_RELU", node.inputs, node.results, "LeakyReluOptions", Alpha=node.op.alpha)


@tflite.emits(Gelu, where=(floats,))
def gelu(node: Node, net: Net) -> None:
    """GELU, by erf or by tanh."""
    assert isinstance(node.op, Gelu)
    net.add("GELU", node.inputs, node.results, "GeluOptions", Approximate=node.op.approximate == "tanh")


def slope_fits(node: Node) -> bool | str:
    """the slope broadcasts to x."""
    x, slope = node.inputs
    return True if slope.type.rank <= x.type.rank else "the slope has more axes than x"


@tflite.emits(PRelu, where=(floats, slope_fits))
def prelu(node: Node, net: Net) -> None:
    """PRELU; a constant slope is given without x's leading axes of size one."""
    x, slope = node.inputs
    given: Value | int = slope
    if slope.data is not None:
        data = slope.data
        while data.ndim > max(x.type.rank - 1, 1) and data.shape[0] == 1:
            data = data[0]
        given = net.constant(data, slope.name)
    net.add("PRELU", [x, given], node.results)
