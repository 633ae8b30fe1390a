"""LSTM, GRU, RNN over one sequence: x as [L, I]; y as [L, D * H], states as [D, H]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import GRU, LSTM, RNN, Sigmoid, Tanh
from mconv.ir.types import Array

from ..backend import ncnn
from ..net import Blob, Net, Param, numbers
from .conditions import constant

_DIRECTIONS = {"forward": 0, "reverse": 1, "bidirectional": 2}
_FUNCTIONS = {LSTM: (Sigmoid(), Tanh(), Tanh()), GRU: (Sigmoid(), Tanh()), RNN: (Tanh(),)}
# ncnn's order of gates, as places in the IR's (LSTM i o f c, GRU z r h)
_GATES = {LSTM: (0, 2, 1, 3), GRU: (1, 0, 2), RNN: (0,)}


def one_sequence(node: Node) -> bool | str:
    """the batch is 1."""
    batch = node.inputs[0].type.shape[1]
    return True if batch == 1 else f"ncnn takes one sequence, here are {batch}"


def usual_cell(node: Node) -> bool | str:
    """the activations are the usual ones, without clipping, peepholes or coupled gates."""
    op = node.op
    assert isinstance(op, LSTM | GRU | RNN)
    usual = _FUNCTIONS[type(op)]
    if any(f != usual[i % len(usual)] for i, f in enumerate(op.activations)):
        return f"its activations are {op.activations}"
    if op.clip is not None:
        return "it clips what goes into the activations"
    if isinstance(op, LSTM) and (op.input_forget or node.operand("p") is not None):
        return "it has peepholes or coupled gates"
    if isinstance(op, GRU) and not op.linear_before_reset:
        return "it resets before the linear part; ncnn's resets after it"
    return True


def whole_sequences(node: Node) -> bool | str:
    """the sequence is read to its end."""
    lengths = node.operand("sequence_lens")
    if lengths is None:
        return True
    steps = node.inputs[0].type.shape[0]
    full = lengths.data is not None and isinstance(steps, int) and bool((lengths.data == steps).all())
    return True if full else "sequence_lens may cut the sequence"


@ncnn.emits(LSTM, GRU, RNN, where=(constant("w", "r", "b"), one_sequence, usual_cell, whole_sequences))
def recurrent(node: Node, net: Net) -> None:
    """One layer; with states in, with states out, as the model asks."""
    op, (x, w, r) = node.op, node.inputs[:3]
    assert isinstance(op, LSTM | GRU | RNN)
    directions, rows, inputs_ = w.type.static_shape
    hidden = r.type.static_shape[2]
    steps = x.type.shape[0]
    gates = _GATES[type(op)]
    weights = [
        numbers(w.constant, tagged=True, make=lambda: _reordered(w.constant, gates)),
        numbers(_biases(op, node.operand("b"), directions, hidden), tagged=True),
        numbers(r.constant, tagged=True, make=lambda: _reordered(r.constant, gates)),
    ]
    params: dict[int, Param] = {0: hidden, 1: directions * rows * inputs_, 2: _DIRECTIONS[op.direction]}
    if isinstance(op, LSTM):
        params[3] = hidden
    params[8] = 0
    bottoms = [net.shaped(x, (steps, inputs_)), *_states(node, net, directions, hidden)]
    shapes = [(steps, directions * hidden)]
    states_read = any(value.uses or net.graph.is_output(value) for value in node.results[1:])
    if states_read:
        shapes += [(directions, hidden)] * (len(node.results) - 1)
    blobs = net.layers_of(type(op).__name__, bottoms, shapes, params, weights)
    for value, blob in zip(node.results, blobs, strict=False):
        net.give(value, blob)


def _states(node: Node, net: Net, directions: int, hidden: int) -> list[Blob]:
    """The initial states, zeros for the one that is left out; none where all are."""
    names = ("initial_h", "initial_c") if isinstance(node.op, LSTM) else ("initial_h",)
    values = [node.operand(name) for name in names]
    if all(value is None for value in values):
        return []
    zeros = np.zeros((directions, hidden), np.float32)
    return [
        net.data(zeros, zeros.shape, f"{node.name}/{name}") if v is None else net.shaped(v, (directions, hidden))
        for name, v in zip(names, values, strict=True)
    ]


def _reordered(weight: Array, gates: Sequence[int]) -> Array:
    """[D, gates * H, I] with the gates in ncnn's order."""
    directions, rows, columns = weight.shape
    parts = weight.reshape(directions, len(gates), rows // len(gates), columns)
    return np.ascontiguousarray(parts[:, list(gates)])


def _biases(op: LSTM | GRU | RNN, b: Value | None, directions: int, hidden: int) -> Array:
    """Both biases added, gate by gate; a GRU keeps the two of its new state apart, as the reset stands between."""
    gates = _GATES[type(op)]
    count = len(gates)
    both: Array = (
        np.zeros((directions, 2, count, hidden), np.float32)
        if b is None
        else b.constant.astype(np.float32).reshape(directions, 2, count, hidden)
    )
    both = both[:, :, list(gates)]
    summed: Array = both.sum(axis=1)
    if isinstance(op, GRU):
        return np.concatenate([summed[:, :2], both[:, 0, 2:], both[:, 1, 2:]], axis=1)
    return summed
