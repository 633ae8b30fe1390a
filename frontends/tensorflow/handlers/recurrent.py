"""Cells and layers of recurrent networks that are one operator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, Value, ops

from .. import errors
from ..node import TfNode
from ..registry import tensorflow


@tensorflow("LSTMBlockCell")
def lstm_cell(n: TfNode, g: Builder) -> Sequence[Value]:
    """LSTMBlockCell: x, c, h, w [I + H, 4 H] (gates i, c, f, o), peepholes of i, f and o, b -> i, c, f, o, n, m, h."""
    x, c, h, w = (n[i] for i in range(4))
    total = g.add(ops.Add(), g.add(ops.MatMul(), g.add(ops.Concat(1), x, h), w), n[7])
    size = _quarter(n, w)
    i, new, f, o = g.add_all(ops.Split(1, (size,) * 4), total)
    peepholes = n.flag("use_peephole")
    bias = n.real("forget_bias")
    f = g.add(ops.Add(), f, n.like(bias, f)) if bias else f

    def peeped(gate: Value, state: Value, weights: Value) -> Value:
        return g.add(ops.Add(), gate, g.add(ops.Mul(), state, weights)) if peepholes else gate

    i, f = g.add(ops.Sigmoid(), peeped(i, c, n[4])), g.add(ops.Sigmoid(), peeped(f, c, n[5]))
    new = g.add(ops.Tanh(), new)
    state = g.add(ops.Add(), g.add(ops.Mul(), new, i), g.add(ops.Mul(), c, f))
    clip = n.real("cell_clip")
    state = g.add(ops.Clip(-clip, clip), state) if clip > 0 else state
    o = g.add(ops.Sigmoid(), peeped(o, state, n[6]))
    squashed = g.add(ops.Tanh(), state)
    return [i, state, f, o, new, squashed, g.add(ops.Mul(), squashed, o)]


def _quarter(n: TfNode, w: Value) -> int:
    size = w.type.shape[-1] if w.type.rank == 2 else None
    if not isinstance(size, int) or size % 4:
        raise errors.misfit(f"{n.op} with weights {w.type}")
    return size // 4


@tensorflow("BlockLSTM", "BlockLSTMV2")
def block_lstm(n: TfNode, g: Builder) -> Sequence[Value | None]:
    """BlockLSTM: length, x [L, N, I], c, h, w, peepholes, b -> ..., h of all steps (the other results are not made)."""
    x, w, b = n[1], n.constant(4, "weights"), n.constant(8, "bias")
    hidden, length = _quarter(n, n[4]), n.content(0)
    if length is None or length.size != 1 or length.item() != x.type.shape[0]:
        raise errors.form(f"{n.op} of fewer steps than x has")
    if n.real("cell_clip") > 0:
        raise errors.form(f"{n.op} with a bound of its cell")
    order = "icfo" if n.op == "BlockLSTM" else "ifco"
    bias = dict(zip(order, np.split(b, 4), strict=True))
    if n.op == "BlockLSTM":
        bias["f"] = bias["f"] + b.dtype.type(n.real("forget_bias"))
    columns = dict(zip(order, np.split(w, 4, axis=1), strict=True))
    turned = np.concatenate([columns[gate] for gate in "iofc"], axis=1).T[None]
    inner = turned.shape[2] - hidden
    biases = np.concatenate([*(bias[gate] for gate in "iofc"), np.zeros(4 * hidden, b.dtype)])[None]
    peepholes = None
    if n.flag("use_peephole"):
        parts = [n.constant(i, "peepholes").ravel() for i in (5, 7, 6)]  # of i, o, f
        peepholes = g.constant(np.concatenate(parts)[None])
    h, c = (g.add(ops.Unsqueeze((0,)), n[i]) for i in (3, 2))
    weights = (turned[:, :, :inner], turned[:, :, inner:], biases)
    constants = [g.constant(np.ascontiguousarray(part)) for part in weights]
    y = g.add(ops.LSTM(hidden), x, *constants, None, h, c, peepholes)
    return [None] * 6 + [g.add(ops.Squeeze((1,)), y)]


@tensorflow("GRUBlockCell")
def gru_cell(n: TfNode, g: Builder) -> Sequence[Value]:
    """GRUBlockCell: x, h, w of r and u [I + H, 2 H], w of c [I + H, H], their biases -> r, u, c, h."""
    x, h = n[0], n[1]
    both = g.add(ops.Add(), g.add(ops.MatMul(), g.add(ops.Concat(1), x, h), n[2]), n[4])
    size = both.type.shape[1]
    if not isinstance(size, int) or size % 2:
        raise errors.misfit(f"{n.op} with weights {n[2].type}")
    r, u = g.add_all(ops.Split(1, (size // 2,) * 2), g.add(ops.Sigmoid(), both))
    joined = g.add(ops.Concat(1), x, g.add(ops.Mul(), h, r))
    c = g.add(ops.Tanh(), g.add(ops.Add(), g.add(ops.MatMul(), joined, n[3]), n[5]))
    kept, new = g.add(ops.Mul(), u, h), g.add(ops.Mul(), g.add(ops.Sub(), n.like(1, u), u), c)
    return [r, u, c, g.add(ops.Add(), kept, new)]
