"""Recurrent layers step by step, over a known number of times."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import DType, Op, Value
from mconv.ir.ops import (
    GRU,
    LSTM,
    RNN,
    Cast,
    Clip,
    Concat,
    Gather,
    Less,
    Linear,
    Mul,
    ReverseSequence,
    Slice,
    Split,
    Sub,
    Unsqueeze,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

MAX_STEPS = 128


class _Layer:
    """One direction of a recurrent layer: its weights, and what makes a step."""

    def __init__(self, m: Match, add: Add, direction: int) -> None:
        self.m, self.add = m, add
        op: Any = m.root.op
        self.op = op
        self.direction = direction
        self.hidden: int = op.hidden_size
        self.gates: int = op.gates
        self.w, self.r = self.of("w"), self.of("r")
        rows = self.gates * self.hidden
        bias = self.of("b") if m.has("b") else add.constant(np.zeros(2 * rows, np.float32))
        self.wb, self.rb = add.all(Split(0, (rows, rows)), bias)
        count = len(op.functions)
        self.functions = op.all_activations[direction * count : (direction + 1) * count]

    def of(self, name: str) -> Value:
        """This direction's part of an operand whose first axis is the directions'."""
        value = self.m[name]
        if value.data is not None:
            return self.add.constant(value.data[self.direction])
        return self.add(Gather(0), value, self.add.constant(np.int64(self.direction)))

    def state(self, name: str) -> Value:
        """An initial state [N, H], or zeros [1, H] where it is not given."""
        if self.m.has(name):
            return self.of(name)
        return self.add.constant(np.zeros((1, self.hidden), np.float32))

    def apply(self, which: int, x: Value) -> Value:
        """The activation function f, g or h, after the clip before f and g."""
        if self.op.clip is not None and which < 2:
            x = self.add(Clip(-self.op.clip, self.op.clip), x)
        function: Op = self.functions[which]
        return self.add(function, x)

    def parts(self, value: Value, count: int, axis: int) -> tuple[Value, ...]:
        """``count`` gates of ``value``, and what is left as one more."""
        rest = (self.gates - count) * self.hidden
        sizes = (*(self.hidden,) * count, *((rest,) if rest else ()))
        return (value,) if len(sizes) == 1 else self.add.all(Split(axis, sizes), value)


def _rnn(layer: _Layer, ahead: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    add = layer.add
    return (layer.apply(0, add(AddOp(), ahead, add(Linear(), states[0], layer.r, layer.rb))),)


def _gru(layer: _Layer, ahead: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    add, (h,) = layer.add, states
    r_zr, r_h = add.all(Split(0, (2 * layer.hidden, layer.hidden)), layer.r)
    b_zr, b_h = add.all(Split(0, (2 * layer.hidden, layer.hidden)), layer.rb)
    a_zr, a_h = add.all(Split(1, (2 * layer.hidden, layer.hidden)), ahead)
    gates = add(AddOp(), a_zr, add(Linear(), h, r_zr, b_zr))
    z, reset = add.all(Split(1, (layer.hidden, layer.hidden)), layer.apply(0, gates))
    if layer.op.linear_before_reset:
        behind = add(Mul(), reset, add(Linear(), h, r_h, b_h))
    else:
        behind = add(Linear(), add(Mul(), reset, h), r_h, b_h)
    new = layer.apply(1, add(AddOp(), a_h, behind))
    kept = add(Sub(), add.constant(1.0, like=z), z)
    return (add(AddOp(), add(Mul(), kept, new), add(Mul(), z, h)),)


def _lstm(layer: _Layer, ahead: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    add, (h, c) = layer.add, states
    gates = add(AddOp(), ahead, add(Linear(), h, layer.r, layer.rb))
    i, o, forget, new = layer.parts(gates, 4, 1)
    peep = layer.parts_of_peepholes() if isinstance(layer, _Peepholes) else None
    if peep is not None:
        i = add(AddOp(), i, add(Mul(), peep[0], c))
        forget = add(AddOp(), forget, add(Mul(), peep[2], c))
    i = layer.apply(0, i)
    forget = add(Sub(), add.constant(1.0, like=i), i) if layer.op.input_forget else layer.apply(0, forget)
    c = add(AddOp(), add(Mul(), forget, c), add(Mul(), i, layer.apply(1, new)))
    if peep is not None:
        o = add(AddOp(), o, add(Mul(), peep[1], c))
    return add(Mul(), layer.apply(0, o), layer.apply(2, c)), c


class _Peepholes(_Layer):
    """A direction of an LSTM whose gates see the cell."""

    def parts_of_peepholes(self) -> tuple[Value, ...]:
        """Pi, Po, Pf, each [H]."""
        return self.add.all(Split(0, (self.hidden,) * 3), self.of("p"))


_STEPS = {RNN: _rnn, GRU: _gru, LSTM: _lstm}
_STATES = {RNN: ("initial_h",), GRU: ("initial_h",), LSTM: ("initial_h", "initial_c")}


@decompose(RNN, GRU, LSTM)
def steps_written_out(m: Match, add: Add) -> tuple[Value, ...]:
    """A recurrent layer over a few known times is its formulas, once a time."""
    x, op = m["x"], m.root.op
    assert isinstance(op, RNN | GRU | LSTM)
    steps, _, features = x.type.shape
    m.require(m["w"].type.is_static and isinstance(features, int), "sizes are known only at run time")
    m.require(isinstance(steps, int), "the number of times is known only at run time")
    m.require(x.type.dtype is DType.F32, "not of 32-bit floats")
    assert isinstance(steps, int)
    m.require(0 < steps <= MAX_STEPS, f"more than {MAX_STEPS} times, or none")
    ys, lasts = [], []
    for direction in range(op.directions):
        turned = op.direction == "reverse" or direction == 1
        layer = (_Peepholes if m.has("p") else _Layer)(m, add, direction)
        y, last = _run(m, add, layer, steps, turned)
        ys.append(add(Unsqueeze((1,)), y))
        lasts.append([add(Unsqueeze((0,)), state) for state in last])
    if len(ys) == 1:
        return (ys[0], *lasts[0])
    return (add(Concat(1), *ys), *(add(Concat(0), *pair) for pair in zip(*lasts, strict=True)))


def _reversed(m: Match, add: Add, value: Value) -> Value:
    lengths = m.get("sequence_lens")
    if lengths is None:
        return add(Slice((-1,), (-(2**31),), (0,), (-1,)), value)
    return add(ReverseSequence(1, 0), value, lengths)


def _run(m: Match, add: Add, layer: _Layer, steps: int, turned: bool) -> tuple[Value, tuple[Value, ...]]:
    """y [L, N, H] and the last states of one direction."""
    kind = type(m.root.op)
    sequence = _reversed(m, add, m["x"]) if turned else m["x"]
    ahead = add(Linear(), sequence, layer.w, layer.wb)
    states = tuple(layer.state(name) for name in _STATES[kind])
    lengths = m.get("sequence_lens")
    ends = None if lengths is None else add(Unsqueeze((1,)), add(Cast(DType.I32), lengths))
    zeros = add.constant(np.zeros((1, layer.hidden), np.float32))
    outputs = []
    for time in range(steps):
        now = add(Gather(0), ahead, add.constant(np.int64(time)))
        new = _STEPS[kind](layer, now, states)
        shown = new[0]
        if ends is not None:
            going = add(Less(), add.constant(np.full((1, 1), time, np.int32)), ends)
            new = tuple(add(Where(), going, a, old) for a, old in zip(new, states, strict=True))
            shown = add(Where(), going, shown, zeros)
        states = new
        outputs.append(add(Unsqueeze((0,)), shown))
    y = outputs[0] if steps == 1 else add(Concat(0), *outputs)
    return (_reversed(m, add, y) if turned else y), states
