"""Activations and the softmax family."""

from __future__ import annotations

from mconv.ir import Builder, Op, Value, ops

from ..node import OnnxNode
from ..registry import Function, onnx

_PLAIN: dict[str, type[Op]] = {
    name: getattr(ops, name) for name in ("Relu", "Sigmoid", "HardSwish", "Mish", "Softplus", "Softsign")
}

# ONNX name: our class, and ONNX's name for each of our attributes.
_WITH_NUMBERS: dict[str, tuple[type[Op], dict[str, str]]] = {
    "LeakyRelu": (ops.LeakyRelu, {"alpha": "alpha"}),
    "Elu": (ops.Elu, {"alpha": "alpha"}),
    "Selu": (ops.Selu, {"alpha": "alpha", "gamma": "gamma"}),
    "Celu": (ops.Celu, {"alpha": "alpha"}),
    "HardSigmoid": (ops.HardSigmoid, {"alpha": "alpha", "beta": "beta"}),
    "ThresholdedRelu": (ops.ThresholdedRelu, {"alpha": "alpha"}),
    "Shrink": (ops.Shrink, {"lambd": "lambd", "bias": "bias"}),
    "Swish": (ops.Silu, {"beta": "alpha"}),
}


def _plain(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        return g.add(op(), n[0])

    return handler


def _with_numbers(op: type[Op], names: dict[str, str]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        return g.add(op(**{ours: n.number(theirs) for ours, theirs in names.items()}), n[0])

    return handler


for _name, _op in _PLAIN.items():
    onnx(_name)(_plain(_op))
for _name, (_op, _names) in _WITH_NUMBERS.items():
    onnx(_name)(_with_numbers(_op, _names))


@onnx("Gelu")
def gelu(n: OnnxNode, g: Builder) -> Value:
    """Gelu, exact or by tanh."""
    return g.add(ops.Gelu(n.choice("approximate", "none", "tanh")), n[0])


@onnx("PRelu")
def prelu(n: OnnxNode, g: Builder) -> Value:
    """PRelu; its slope broadcasts to x only."""
    return g.add(ops.PRelu(), n[0], n[1])


_SOFTMAX: dict[str, type[Op]] = {"Softmax": ops.Softmax, "LogSoftmax": ops.LogSoftmax, "Hardmax": ops.Hardmax}


def _softmax(op: type[Op]) -> Function:
    def handler(n: OnnxNode, g: Builder) -> Value:
        return g.add(op(n.axis(n.integer("axis"))), n[0])

    return handler


def _softmax_of_matrix(op: type[Op]) -> Function:
    """Before opset 13 the axes from ``axis`` on were taken as one."""

    def handler(n: OnnxNode, g: Builder) -> Value:
        x, axis = n[0], n.axis(n.integer("axis"))
        if all(dim == 1 for dim in x.type.shape[axis + 1 :]):
            return g.add(op(axis), x)
        y = g.add(op(1), g.add(ops.Flatten(axis), x))
        return g.add(ops.Reshape(), y, g.add(ops.Shape(), x))

    return handler


for _name, _op in _SOFTMAX.items():
    onnx(_name, since=1)(_softmax_of_matrix(_op))
    onnx(_name, since=13)(_softmax(_op))
