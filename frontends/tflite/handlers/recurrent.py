"""Recurrent layers: one tensor a gate in the file, all gates in one in the IR. States begin as zeros."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Op, Value, ops

from .. import errors
from ..node import TfliteNode
from ..registry import tflite

KERNEL_ONLY = {"AsymmetricQuantizeInputs": "inputs stay real numbers"}
STATE = "a state that the runtime keeps between calls begins as zeros in each; what is read computes one call"


def _activation(n: TfliteNode) -> Op:
    name = n.choice("FusedActivationFunction", "ActivationFunctionType")
    found = {"TANH": ops.Tanh(), "RELU": ops.Relu(), "RELU6": ops.Clip(0.0, 6.0), "NONE": ops.Affine(1.0, 0.0)}
    if name not in found or (name == "NONE" and "LSTM" in n.name):
        raise errors.form(f"{n.name} with the activation {name}")
    return found[name]


def _states(n: TfliteNode, *indices: int) -> None:
    """The operands that hold states must be variables; what they begin with is noted."""
    for index in indices:
        if not n.tensor(index).variable:
            raise errors.form(f"{n.name} whose state is no variable")
    n.translation.note(STATE, f"{n.name} '{n.out().name}'")


def _sequence(n: TfliteNode, g: Builder, major: bool) -> Value:
    """x as [time, batch, features]."""
    n.expect_rank(3)
    return n.real(0) if major else g.add(ops.Transpose((1, 0, 2)), n.real(0))


def _direction(n: TfliteNode, g: Builder, y: Value, which: int, major: bool) -> Value:
    """One direction of y [L, D, N, H], in the file's order."""
    one = g.add(ops.Squeeze((1,)), g.add(ops.Slice((which,), (which + 1,), (1,), (1,)), y))
    return one if major else g.add(ops.Transpose((1, 0, 2)), one)


# RNN ---------------------------------------------------------------------------------------------------------


def _rnn(n: TfliteNode, g: Builder, x: Value, places: Sequence[Sequence[int]], f: Op) -> Value:
    """y [L, D, N, H] of cells whose weights, recurrent weights and biases stand at ``places``, a triple a direction."""
    sides = [[_row(g, n.real(i)) for i in triple] for triple in places]
    w, r, b = (_joined(g, [side[k] for side in sides], 0) for k in range(3))
    hidden = r.type.shape[2]
    if not isinstance(hidden, int):
        raise errors.needs_static(f"the size of {n.name}'s state")
    zeros = g.add(ops.Sub(), b, b)
    direction = "bidirectional" if len(places) == 2 else "forward"
    op = ops.RNN(hidden, direction, (f,) * len(places))
    return g.add(op, x, w, r, g.add(ops.Concat(1), b, zeros))


def _row(g: Builder, value: Value) -> Value:
    return g.add(ops.Unsqueeze((0,)), value)


def _joined(g: Builder, values: Sequence[Value], axis: int) -> Value:
    return values[0] if len(values) == 1 else g.add(ops.Concat(axis), *values)


@tflite("UNIDIRECTIONAL_SEQUENCE_RNN", options="SequenceRNNOptions", ignores=KERNEL_ONLY)
def sequence_rnn(n: TfliteNode, g: Builder) -> Value:
    """UNIDIRECTIONAL_SEQUENCE_RNN."""
    major = bool(n.option("TimeMajor"))
    _states(n, 4)
    y = _rnn(n, g, _sequence(n, g, major), [(1, 2, 3)], _activation(n))
    return _direction(n, g, y, 0, major)


@tflite("RNN", options="RNNOptions", ignores=KERNEL_ONLY)
def rnn(n: TfliteNode, g: Builder) -> Value:
    """RNN: one step."""
    n.expect_rank(2)
    _states(n, 4)
    y = _rnn(n, g, _row(g, n.real(0)), [(1, 2, 3)], _activation(n))
    return g.add(ops.Squeeze((0, 1)), y)


@tflite("BIDIRECTIONAL_SEQUENCE_RNN", options="BidirectionalSequenceRNNOptions", ignores=KERNEL_ONLY)
def bidirectional_rnn(n: TfliteNode, g: Builder) -> list[Value]:
    """BIDIRECTIONAL_SEQUENCE_RNN without auxiliary input."""
    if any(not n.absent(i) for i in (9, 10, 11)):
        raise errors.form(f"{n.name} with an auxiliary input")
    major = bool(n.option("TimeMajor"))
    _states(n, 4, 8)
    y = _rnn(n, g, _sequence(n, g, major), [(1, 2, 3), (5, 6, 7)], _activation(n))
    return _sides(n, g, y, major)


def _sides(n: TfliteNode, g: Builder, y: Value, major: bool) -> list[Value]:
    both = [_direction(n, g, y, side, major) for side in (0, 1)]
    return [g.add(ops.Concat(2), *both)] if n.option("MergeOutputs") else both


# LSTM --------------------------------------------------------------------------------------------------------


class _Cell:
    """The operands of one direction of an LSTM; ``at`` is the index of the first input weight.

    Four input weights, four recurrent ones, three peepholes and four biases, each in the order input, forget, cell,
    output; without the input gate's weights it is 1 - forget: the forget gate's negated, from which the IR takes 1 - i.
    """

    def __init__(self, n: TfliteNode, g: Builder, at: int) -> None:
        self.n, self.g = n, g
        if not (n.absent(at + 15) and n.absent(at + 16)):
            raise errors.form(f"{n.name} with a projection")
        self.coupled = n.absent(at)
        self.w, self.r = self._gates(at), self._gates(at + 4)
        self.b = self._gates(at + 11)
        self.p = self._peepholes(at + 8)

    def _gates(self, at: int) -> Value:
        """[4 H, ...] in the IR's order: input, output, forget, cell."""
        n, g = self.n, self.g
        forget = n.real(at + 1)
        first = g.add(ops.Neg(), forget) if self.coupled else n.real(at)
        return _row(g, g.add(ops.Concat(0), first, n.real(at + 3), forget, n.real(at + 2)))

    def _peepholes(self, at: int) -> Value | None:
        """[3 H] in the IR's order: input, output, forget; None without any."""
        n, g = self.n, self.g
        if n.absent(at + 1):
            return None
        forget = n.real(at + 1)
        first = g.add(ops.Neg(), forget) if self.coupled else n.real(at)
        return _row(g, g.add(ops.Concat(0), first, n.real(at + 2), forget))


def _lstm(n: TfliteNode, g: Builder, x: Value, places: Sequence[int]) -> tuple[Value, ...]:
    """The IR's results, of cells whose input weights begin at ``places``."""
    if n.option("CellClip") or n.option("ProjClip"):
        raise errors.form(f"{n.name} with a clip")
    cells = [_Cell(n, g, at) for at in places]
    if len({cell.coupled for cell in cells}) > 1 or len({cell.p is None for cell in cells}) > 1:
        raise errors.form(f"{n.name} whose directions are of different kinds")
    w, r, b = (_joined(g, [getattr(cell, name) for cell in cells], 0) for name in ("w", "r", "b"))
    peepholes = [cell.p for cell in cells if cell.p is not None]
    hidden = r.type.shape[2]
    if not isinstance(hidden, int):
        raise errors.needs_static(f"the size of {n.name}'s state")
    f = _activation(n)
    direction = "bidirectional" if len(places) == 2 else "forward"
    op = ops.LSTM(hidden, direction, (ops.Sigmoid(), f, f) * len(places), input_forget=cells[0].coupled)
    bias = g.add(ops.Concat(1), b, g.add(ops.Sub(), b, b))
    p = _joined(g, peepholes, 0) if peepholes else None
    return g.add_all(op, x, w, r, bias, None, None, None, p)


@tflite("UNIDIRECTIONAL_SEQUENCE_LSTM", options="UnidirectionalSequenceLSTMOptions", ignores=KERNEL_ONLY)
def sequence_lstm(n: TfliteNode, g: Builder) -> Value:
    """UNIDIRECTIONAL_SEQUENCE_LSTM."""
    if n.option("DiagonalRecurrentTensors"):
        raise errors.form(f"{n.name} with diagonal recurrent weights")
    major = bool(n.option("TimeMajor"))
    _normalised(n)
    _states(n, 18, 19)
    return _direction(n, g, _lstm(n, g, _sequence(n, g, major), [1])[0], 0, major)


def _normalised(n: TfliteNode) -> None:
    if any(not n.absent(i) for i in range(20, 24)):
        raise errors.form(f"{n.name} with layer normalisation")


@tflite("BIDIRECTIONAL_SEQUENCE_LSTM", options="BidirectionalSequenceLSTMOptions", ignores=KERNEL_ONLY)
def bidirectional_lstm(n: TfliteNode, g: Builder) -> list[Value]:
    """BIDIRECTIONAL_SEQUENCE_LSTM without auxiliary input."""
    if any(not n.absent(i) for i in range(39, 48)):
        raise errors.form(f"{n.name} with an auxiliary input")
    major = bool(n.option("TimeMajor"))
    _states(n, 35, 36, 37, 38)
    return _sides(n, g, _lstm(n, g, _sequence(n, g, major), [1, 18])[0], major)


@tflite("LSTM", options="LSTMOptions", ignores=KERNEL_ONLY)
def lstm(n: TfliteNode, g: Builder) -> Sequence[Value | None]:
    """LSTM: one step; the basic kernel takes and gives its states."""
    n.expect_rank(2)
    if n.choice("KernelType", "LSTMKernelType") == "BASIC":
        return _basic(n, g)
    _normalised(n)
    _states(n, 18, 19)
    y = _lstm(n, g, _row(g, n.real(0)), [1])[0]
    found = g.add(ops.Squeeze((0, 1)), y)
    return [None] * (len(n.operator.outputs) - 1) + [found]


def _basic(n: TfliteNode, g: Builder) -> Sequence[Value | None]:
    """One matrix of weights over [x, h], rows in the order input, cell, forget, output; results h, c and scratch."""
    if n.option("CellClip") or n.option("ProjClip"):
        raise errors.form("LSTM with a clip")
    f = _activation(n)
    h, c = n.real(1), n.real(4)
    hidden = c.type.shape[-1]
    if not isinstance(hidden, int):
        raise errors.needs_static("the size of LSTM's state")
    z = g.add(ops.Linear(), g.add(ops.Concat(1), n.real(0), h), n.real(2), n.real(3))
    i, new, forget, out = g.add_all(ops.Split(1, (hidden,) * 4), z)
    i, forget, out = (g.add(ops.Sigmoid(), v) for v in (i, forget, out))
    kept = g.add(ops.Mul(), forget, c)
    c = g.add(ops.Add(), kept, g.add(ops.Mul(), i, g.add(f, new)))
    return [g.add(ops.Mul(), out, g.add(f, c)), c, *[None] * (len(n.operator.outputs) - 2)]
