"""Products of matrices."""

from __future__ import annotations

import numpy as np

from mconv.ir import Node
from mconv.ir.ops import Linear, MatMul

from ..backend import tflite
from ..fused import FUSED
from ..net import Net
from .activation import carried
from .conditions import constant, floats


def rank_of_product(node: Node) -> bool | str:
    """there are 2 to 5 axes."""
    for value in node.inputs:
        if not 2 <= value.type.rank <= 5:
            return f"%{value.name} is of rank {value.type.rank}, and TFLite multiplies 2 to 5 axes"
    return True


def some_axes(node: Node) -> bool | str:
    """there are 2 to 6 axes."""
    rank = node.inputs[0].type.rank
    return 2 <= rank <= 6 or f"it has {rank} axes, and TFLite takes 2 to 6"


@tflite.emits(Linear, where=(floats, constant("w", "b"), some_axes), activation=FUSED)
def fully_connected(node: Node, net: Net) -> None:
    """FULLY_CONNECTED over the last axis, the other axes kept."""
    x, w = node.inputs[:2]
    b = node.operand("b")
    bias = net.tensor(b) if b is not None else net.constant(np.zeros(w.type.static_shape[0], np.float32), "zero_bias")
    result, activation = carried(node, net)
    net.add(
        "FULLY_CONNECTED",
        [x, w, bias],
        [result],
        "FullyConnectedOptions",
        FusedActivationFunction=activation,
        WeightsFormat=0,
        KeepNumDims=x.type.rank > 2,
        AsymmetricQuantizeInputs=False,
    )


@tflite.emits(MatMul, where=(floats, rank_of_product))
def batch_matmul(node: Node, net: Net) -> None:
    """BATCH_MATMUL."""
    net.add("BATCH_MATMUL", node.inputs, node.results, "BatchMatMulOptions", AdjX=False, AdjY=False,
            AsymmetricQuantizeInputs=False)  # fmt: skip
