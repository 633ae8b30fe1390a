"""Recurrent layers, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...types import Array

if TYPE_CHECKING:
    from ..recurrent import _Recurrent

States = tuple[Array, ...]
Step = Callable[[int, Array, Array, Array, States], States]
"""(direction, W x + Wb [N, G H], R [G H, H], Rb [G H], states) -> new states, h first."""


def run(
    op: _Recurrent,
    step: Step,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None,
    lengths: Array | None,
    initial: tuple[Array | None, ...],
) -> tuple[Array, ...]:
    """y [L, D, N, H] and the last states [D, N, H], for x [L, N, I]."""
    steps, n = x.shape[:2]
    hidden, d = op.hidden_size, op.directions
    ends = np.full(n, steps) if lengths is None else lengths.astype(np.int64)
    y = np.zeros((steps, d, n, hidden), x.dtype)
    last = [np.zeros((d, n, hidden), x.dtype) if i is None else i.copy() for i in initial]
    order = np.arange(steps)[:, None]
    backwards = np.where(order < ends, ends - 1 - order, order)[:, :, None]
    for k in range(d):
        turned = op.direction == "reverse" or k == 1
        sequence = np.take_along_axis(x, backwards, axis=0) if turned else x
        bias = np.zeros(2 * w.shape[1], x.dtype) if b is None else b[k]
        ahead = np.matmul(sequence, w[k].T) + bias[: w.shape[1]]
        states: States = tuple(s[k] for s in last)
        for t in range(steps):
            new = step(k, ahead[t], r[k], bias[w.shape[1] :], states)
            going = (t < ends)[:, None]
            states = tuple(np.where(going, a, old) for a, old in zip(new, states, strict=True))
            y[t, k] = np.where(going, new[0], 0)
        for whole, state in zip(last, states, strict=True):
            whole[k] = state
        if turned:
            y[:, k] = np.take_along_axis(y[:, k], backwards, axis=0)
    return (y, *last)


def _functions(op: _Recurrent, k: int) -> list[Callable[[Array], Array]]:
    """The activation functions of direction k, with the clip before f and g (and not before an LSTM's h)."""
    count = len(op.functions)

    def clipped(index: int) -> Callable[[Array], Array]:
        function = op.all_activations[k * count + index]
        clip = op.clip if index < 2 else None

        def apply(z: Array) -> Array:
            found = function.evaluate(z if clip is None else np.clip(z, -clip, clip))
            return found[0] if isinstance(found, tuple) else found

        return apply

    return [clipped(i) for i in range(count)]


def rnn_step(op: _Recurrent) -> Step:
    """h' = f(W x + R h + b)."""

    def step(k: int, ahead: Array, r: Array, rb: Array, states: States) -> States:
        (f,) = _functions(op, k)
        return (f(ahead + np.matmul(states[0], r.T) + rb),)

    return step


def gru_step(op: _Recurrent, linear_before_reset: bool) -> Step:
    """Gates z, r, h."""
    size = op.hidden_size

    def step(k: int, ahead: Array, r: Array, rb: Array, states: States) -> States:
        f, g = _functions(op, k)
        (h,) = states
        gates = ahead[:, : 2 * size] + np.matmul(h, r[: 2 * size].T) + rb[: 2 * size]
        z, reset = f(gates[:, :size]), f(gates[:, size:])
        if linear_before_reset:
            behind = reset * (np.matmul(h, r[2 * size :].T) + rb[2 * size :])
        else:
            behind = np.matmul(reset * h, r[2 * size :].T) + rb[2 * size :]
        new = g(ahead[:, 2 * size :] + behind)
        return ((1 - z) * new + z * h,)

    return step


def lstm_step(op: _Recurrent, input_forget: bool, peepholes: Array | None) -> Step:
    """Gates i, o, f, c; peepholes in the order i, o, f."""
    size = op.hidden_size

    def step(k: int, ahead: Array, r: Array, rb: Array, states: States) -> States:
        f, g, out = _functions(op, k)
        h, c = states
        i, o, forget, new = np.split(ahead + np.matmul(h, r.T) + rb, 4, axis=1)
        pi, po, pf = np.zeros((3, size), h.dtype) if peepholes is None else peepholes[k].reshape(3, size)
        i = f(i + pi * c)
        forget = 1 - i if input_forget else f(forget + pf * c)
        c = forget * c + i * g(new)
        return f(o + po * c) * out(c), c

    return step
