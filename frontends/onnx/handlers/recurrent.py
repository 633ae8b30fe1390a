"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

from mconv.ir import Builder, Op, Value, ops

from ..errors import RE_EXPORT, form, needs_static, unreadable
from ..node import OnnxNode
from ..registry import onnx

# Activation: our operator, and which of its attributes take the node's activation_alpha and activation_beta.
_ACTIVATIONS: dict[str, tuple[type[Op], tuple[str, ...]]] = {
    "relu": (ops.Relu, ()),
    "tanh": (ops.Tanh, ()),
    "sigmoid": (ops.Sigmoid, ()),
    "softsign": (ops.Softsign, ()),
    "softplus": (ops.Softplus, ()),
    "affine": (ops.Affine, ("alpha", "beta")),
    "leakyrelu": (ops.LeakyRelu, ("alpha",)),
    "thresholdedrelu": (ops.ThresholdedRelu, ("alpha",)),
    "scaledtanh": (ops.ScaledTanh, ("alpha", "beta")),
    "hardsigmoid": (ops.HardSigmoid, ("alpha", "beta")),
    "elu": (ops.Elu, ("alpha",)),
}


def _activations(n: OnnxNode) -> tuple[Op, ...]:
    """The activations by name; alphas and betas are handed out in order to those that take one."""
    numbers: dict[str, Iterator[float]] = {
        "alpha": iter(n.numbers("activation_alpha") or ()),
        "beta": iter(n.numbers("activation_beta") or ()),
    }
    found: list[Op] = []
    for name in n.texts("activations") if n.has("activations") else ():  # type: ignore[union-attr]
        if name.lower() not in _ACTIVATIONS:
            raise form(f"{n.op_type} with activation '{name}'")
        op, takes = _ACTIVATIONS[name.lower()]
        given = {attribute: next(numbers[attribute], None) for attribute in takes}
        found.append(op(**{attribute: value for attribute, value in given.items() if value is not None}))
    n.texts("activations")
    return tuple(found)


def _hidden(n: OnnxNode) -> int:
    size = n[2].type.shape[-1]
    declared = n.maybe_integer("hidden_size")
    if not isinstance(size, int):
        raise needs_static(f"the hidden size of {n.op_type}")
    if declared is not None and declared != size:
        raise unreadable("MC219", f"{n.op_type}: hidden_size {declared}, and weights of {n[2].type}", RE_EXPORT)
    return size


def _run(n: OnnxNode, g: Builder, op: Op, states: int) -> tuple[Value | None, ...]:
    """The layer with time first; a batch-first node's operands and results are transposed around it."""
    operands = [n.get(index) for index in range(len(n))]
    batch_first = "layout" in n.schema.attributes and n.boolean("layout")
    if not batch_first:
        return g.add_all(op, *operands)
    swap = ops.Transpose((1, 0, 2))
    for index in (0, *range(5, 5 + states)):
        value = operands[index] if index < len(operands) else None
        if value is not None:
            operands[index] = g.add(swap, value)
    y, *last = g.add_all(op, *operands)
    wanted = [g.add(swap, state) if n.wants(i + 1) else None for i, state in enumerate(last)]
    return (g.add(ops.Transpose((2, 0, 1, 3)), y) if n.wants(0) else None, *wanted)


def _direction(n: OnnxNode) -> str:
    return n.choice("direction", "forward", "reverse", "bidirectional")


@onnx("RNN")
def rnn(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """RNN."""
    op = ops.RNN(_hidden(n), _direction(n), _activations(n), n.maybe_number("clip"))
    return _run(n, g, op, 1)


@onnx("GRU")
def gru(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """GRU."""
    before = n.boolean("linear_before_reset")
    op = ops.GRU(_hidden(n), _direction(n), _activations(n), n.maybe_number("clip"), before)
    return _run(n, g, op, 1)


@onnx("LSTM")
def lstm(n: OnnxNode, g: Builder) -> tuple[Value | None, ...]:
    """LSTM."""
    forget = n.boolean("input_forget")
    op = ops.LSTM(_hidden(n), _direction(n), _activations(n), n.maybe_number("clip"), forget)
    return _run(n, g, op, 2)
