"""LSTM, GRU and RNN over one sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import GRU, LSTM, RNN, Reshape
from mconv.ir.types import Array

from ..param import Layer
from ..translate import Translation, layer, mat
from .conv import float_weights

_DIRECTIONS = ("forward", "reverse", "bidirectional")
_OPS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
# the IR's order of gates, as places in ncnn's (LSTM i f o c to i o f c, GRU r z h to z r h)
_GATES = {"LSTM": (0, 2, 1, 3), "GRU": (1, 0, 2), "RNN": (0,)}


@layer("LSTM", "GRU", "RNN")
def recurrent(t: Translation, each: Layer) -> list[Value]:
    """One layer; states in and out where it has blobs for them."""
    hidden, count, way = each.whole(0, 0), each.whole(1, 0), each.whole(2, 0)
    if each.kind == "LSTM":
        each.require(each.whole(3, hidden) == hidden, "a projected state")
    float_weights(each)
    each.require(0 <= way < 3 and hidden > 0, f"direction {way} of {hidden}")
    states = 2 if each.kind == "LSTM" else 1
    x, *given = t.inputs(1, 1 + states)
    each.require(len(given) in (0, states), f"{len(given)} states")
    directions, gates = 2 if way == 2 else 1, _GATES[each.kind]
    steps, size = mat(x)
    each.require(count == directions * len(gates) * hidden * size, f"{count} weights for inputs of {size}")
    w = _reordered(t.tagged_array(directions, len(gates), hidden, size), gates)
    rows = 4 if each.kind == "GRU" else len(gates)
    biases = _biases(each.kind, t.tagged_array(directions, rows, hidden), gates)
    r = _reordered(t.tagged_array(directions, len(gates), hidden, hidden), gates)
    first = [t.add(Reshape((directions, 1, hidden)), state) for state in given]
    kind = _OPS[each.kind]
    options = {"linear_before_reset": True} if each.kind == "GRU" else {}
    op = kind(hidden_size=hidden, direction=_DIRECTIONS[way], **options)
    sequence = t.add(Reshape((steps, 1, size)), x)
    found = t.add_all(op, sequence, t.constant(w), t.constant(r), t.constant(biases), None, *first)
    y = t.add(Reshape((1, steps, directions * hidden)), found[0])
    return [y, *(t.add(Reshape((1, directions, hidden)), state) for state in found[1:])][: len(each.outputs)]


def _reordered(weight: Array, gates: Sequence[int]) -> Array:
    directions, count, hidden, size = weight.shape
    return np.ascontiguousarray(weight[:, list(gates)]).reshape(directions, count * hidden, size)


def _biases(kind: str, bias: Array, gates: Sequence[int]) -> Array:
    """W's biases, then R's: ncnn's are sums, so R's are zeros; but for the new state of a GRU."""
    own = bias[:, : len(gates)][:, list(gates)]
    other = np.zeros_like(own)
    if kind == "GRU":
        other[:, 2] = bias[:, 3]
    return np.concatenate([own, other], axis=1).reshape(bias.shape[0], -1)
