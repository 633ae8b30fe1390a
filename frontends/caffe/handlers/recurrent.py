"""LSTM and RNN. Bottoms: x [T, N, ...], then marks [T, N] that are 0 where a sequence begins.

Where the marks are constants that begin sequences only at the first time, the layer is one operator; where they come
from outside it is written out step by step.
"""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Array, Builder, Value, ops

from ..node import CaffeNode
from ..registry import caffe

MOST_STEPS = 256
"""Times of a layer that is written out."""


class _Sequence:
    """What both layers read: x as [T, N, I], the marks, a static x, states of the first time."""

    def __init__(self, n: CaffeNode, b: Builder, states: int) -> None:
        p = n.param("recurrent_param")
        self.n, self.b, self.hidden, self.exposed = n, b, p.integer("num_output"), p.flag("expose_hidden")
        extra = states if self.exposed else 0
        n.takes(1 + extra, 3 + extra)
        n.require(self.hidden > 0, "no num_output")
        n.require(n.rank >= 2, f"a blob of {n.rank} axes")
        self.times, self.batch, *inner = n.sizes()
        self.inputs = math.prod(inner)
        x = n[0]
        self.x = x if len(inner) == 1 else b.add(ops.Reshape((self.times, self.batch, self.inputs)), x)
        rest = n.bottoms[1 : len(n) - extra]
        self.marks = rest[0] if rest else None
        self.static = rest[1] if len(rest) > 1 else None
        n.require(self.marks is None or self.marks.type.shape == (self.times, self.batch),
                  f"marks {self.marks and self.marks.type} for {n[0].type}")  # fmt: skip
        self.initial = n.bottoms[len(n) - extra :]
        for each in self.initial:
            n.require(each.type.numel == self.batch * self.hidden, f"a state {each.type}")

    @property
    def whole(self) -> bool:
        """Whether no sequence begins after the first time."""
        if self.marks is None:
            return True
        data = self.marks.data
        fresh = not self.initial or data is None or bool((data[:1] == 1).all())
        return data is not None and bool((data[1:] == 1).all()) and fresh

    def states(self, count: int) -> list[Value]:
        """The states before the first time, [1, N, H]."""
        if self.initial:
            return [self.b.add(ops.Reshape((1, self.batch, self.hidden)), each) for each in self.initial]
        zeros = np.zeros((1, self.batch, self.hidden), np.float32)
        return [self.n.constant(zeros, f"{self.n.layer.name}_start") for _ in range(count)]

    def at(self, value: Value, time: int) -> Value:
        """[1, ...] of one time."""
        return self.b.add(ops.Slice((time,), (time + 1,), (0,)), value)

    def mark(self, time: int) -> Value:
        """[1, N, 1] of one time."""
        assert self.marks is not None
        return self.b.add(ops.Unsqueeze((2,)), self.at(self.marks, time))

    def sum(self, values: list[Value]) -> Value:
        """The sum of values."""
        total = values[0]
        for value in values[1:]:
            total = self.b.add(ops.Add(), total, value)
        return total

    def finish(self, y: Value, states: list[Value]) -> list[Value]:
        """The tops."""
        return [y, *states] if self.exposed else [y]


@caffe("LSTM")
def lstm(n: CaffeNode, b: Builder) -> list[Value]:
    """Gates in the order i, f, o, g; blobs of x, bias, (of the static x,) of h."""
    s = _Sequence(n, b, 2)
    w = n.array(0, (4 * s.hidden, s.inputs), "weight")
    bias = n.array(1, (4 * s.hidden,), "bias")
    place = 2
    static = None
    if s.static is not None:
        outer = b.add(ops.Flatten(1), s.static) if s.static.type.rank != 2 else s.static
        inputs = outer.type.static_shape[1]
        static = b.add(ops.Linear(), outer, n.weight(2, (4 * s.hidden, inputs), "weight"))
        place = 3
    r = n.array(place, (4 * s.hidden, s.hidden), "weight")
    if s.whole and static is None:
        return _whole_lstm(s, w, bias, r)
    n.refuse(s.times > MOST_STEPS, f"{s.times} times and marks that come from outside", "cutting the sequences before")
    return _written_out(s, w, bias, r, static)


def _whole_lstm(s: _Sequence, w: Array, bias: Array, r: Array) -> list[Value]:
    """One operator, whose gates come in the order i, o, f, g."""
    order = [0, 2, 1, 3]

    def turned(array: Array) -> Array:
        gates = array.reshape(4, s.hidden, *array.shape[1:])[order]
        return np.ascontiguousarray(gates.reshape(1, *array.shape))

    both = np.concatenate([turned(bias), np.zeros((1, 4 * s.hidden), np.float32)], axis=1)
    weights = [
        s.n.constant(a, f"{s.n.layer.name}_{name}") for a, name in ((turned(w), "w"), (turned(r), "r"), (both, "b"))
    ]
    starts = s.states(2) if s.initial else []
    y, h, c = s.b.add_all(ops.LSTM(s.hidden), s.x, *weights, None, *starts)
    return s.finish(s.b.add(ops.Reshape((s.times, s.batch, s.hidden)), y), [h, c])


def _written_out(s: _Sequence, w: Array, bias: Array, r: Array, static: Value | None) -> list[Value]:
    """Step by step: where a mark is 0, both states begin anew."""
    b, n = s.b, s.n
    inner = b.add(ops.Linear(), s.x, n.constant(w, f"{n.layer.name}_w"), n.constant(bias, f"{n.layer.name}_b"))
    back = n.constant(r, f"{n.layer.name}_r")
    h, c = s.states(2)
    steps = []
    for time in range(s.times):
        if s.marks is not None:
            h, c = (b.add(ops.Mul(), state, s.mark(time)) for state in (h, c))
        parts = [s.at(inner, time), b.add(ops.Linear(), h, back), *([static] if static is not None else [])]
        gates = b.add_all(ops.Split(2, (s.hidden,) * 4), s.sum(parts))
        i, f, o = (b.add(ops.Sigmoid(), gate) for gate in gates[:3])
        new = b.add(ops.Mul(), i, b.add(ops.Tanh(), gates[3]))
        c = b.add(ops.Add(), b.add(ops.Mul(), f, c), new)
        h = b.add(ops.Mul(), o, b.add(ops.Tanh(), c))
        steps.append(h)
    return s.finish(b.add(ops.Concat(0), *steps), [h, c])


@caffe("RNN")
def rnn(n: CaffeNode, b: Builder) -> list[Value]:
    """h' = tanh(W h + V x + b), y = tanh(U h' + c); blobs V, b, (of the static x,) W, U, c."""
    s = _Sequence(n, b, 1)
    hidden = s.hidden
    v, bias = n.weight(0, (hidden, s.inputs), "weight"), n.weight(1, (hidden,), "bias")
    place, static = 2, None
    if s.static is not None:
        outer = b.add(ops.Flatten(1), s.static) if s.static.type.rank != 2 else s.static
        static = b.add(ops.Linear(), outer, n.weight(2, (hidden, outer.type.static_shape[1]), "weight"))
        place = 3
    w = n.weight(place, (hidden, hidden), "weight")
    u, c = n.weight(place + 1, (hidden, hidden), "weight"), n.weight(place + 2, (hidden,), "bias")
    if s.whole and static is None:
        h, y = _whole_rnn(s, v, bias, w)
    else:
        n.refuse(s.times > MOST_STEPS, f"{s.times} times and marks that come from outside")
        h, y = _rnn_written_out(s, b.add(ops.Linear(), s.x, v, bias), w, static)
    return s.finish(b.add(ops.Tanh(), b.add(ops.Linear(), y, u, c)), [h])


def _whole_rnn(s: _Sequence, v: Value, bias: Value, w: Value) -> tuple[Value, Value]:
    both = np.concatenate([bias.constant, np.zeros(s.hidden, np.float32)])[None]
    weights = [s.n.constant(a, s.n.layer.name) for a in (v.constant[None], w.constant[None], both)]
    starts = s.states(1) if s.initial else []
    y, h = s.b.add_all(ops.RNN(s.hidden), s.x, *weights, None, *starts)
    return h, s.b.add(ops.Reshape((s.times, s.batch, s.hidden)), y)


def _rnn_written_out(s: _Sequence, inner: Value, w: Value, static: Value | None) -> tuple[Value, Value]:
    b, (h,), steps = s.b, s.states(1), []
    for time in range(s.times):
        if s.marks is not None:
            h = b.add(ops.Mul(), h, s.mark(time))
        parts = [s.at(inner, time), b.add(ops.Linear(), h, w), *([static] if static is not None else [])]
        h = b.add(ops.Tanh(), s.sum(parts))
        steps.append(h)
    return h, b.add(ops.Concat(0), *steps)
