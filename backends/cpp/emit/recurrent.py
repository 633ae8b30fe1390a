"""Recurrent layers: what the inputs add as one product over all steps, then a loop over the steps."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import Net
from ..view import View
from .activate import finished
from .common import is_empty, not_empty, truth
from .formulas import VECTOR, literal
from .general_product import multiply


def known_functions(node: Node) -> bool | str:
    """the activation functions are known ones, and numbers are of f32"""
    op = node.op
    assert isinstance(op, o.RNN | o.GRU | o.LSTM)
    strange = [a for a in op.all_activations if type(a) not in VECTOR]
    if strange:
        return f"its activation {type(strange[0]).__name__} has no form for vectors"
    x = node.inputs[0].type
    return x.dtype is DType.F32 or f"%{node.inputs[0].name} is of {x.dtype.value}"


@cpp.emits(o.RNN, o.GRU, o.LSTM, where=(known_functions, not_empty))
def recurrent(node: Node, net: Net) -> None:
    """A direction after the other."""
    if is_empty(node, net):
        return
    op = node.op
    assert isinstance(op, o.RNN | o.GRU | o.LSTM)
    x = net.planar(node.inputs[0])
    steps, n, width = x.shape
    hidden = op.hidden_size
    y = net.result(node.results[0])
    states = [
        _state(net, result, node.operand(name))
        for result, name in zip(node.results[1:], ("initial_h", "initial_c"), strict=False)
    ]
    lengths = node.operand("sequence_lens")
    ends = None if lengths is None else net.planar(lengths)
    rows = op.gates * hidden
    for k in range(op.directions):
        w, r = (_turned(net, node.operand(name), k) for name in ("w", "r"))
        bias, peepholes = node.operand("b"), node.operand("p") if isinstance(op, o.LSTM) else None
        gates = net.fresh(DType.F32, (steps * n, rows))
        multiply(net, x.replace(shape=(steps * n, width), strides=(width, 1)), w, gates)
        rest: View | None = None
        if bias is not None:
            both = net.planar(bias)
            finished(net, gates, None, 1, None, vector=_slice(both, k * 2 * rows, rows))
            rest = _slice(both, k * 2 * rows + rows, rows)
        own = [_slice(s, k * n * hidden, n * hidden) for s in states]
        peep = None if peepholes is None else _slice(net.planar(peepholes), k * 3 * hidden, 3 * hidden)
        result = _slice(y, k * n * hidden, y.shape[0])
        _steps(node, net, k, (gates, r, rest, peep, ends), own, result)


def _steps(node: Node, net: Net, k: int, reads: tuple[View | None, ...], states: list[View], y: View) -> None:
    op = node.op
    assert isinstance(op, o.RNN | o.GRU | o.LSTM)
    gates, r, bias, peepholes, ends = reads
    assert gates is not None
    assert r is not None
    steps, n, hidden = node.inputs[0].type.static_shape[0], node.inputs[0].type.static_shape[1], op.hidden_size
    turned = op.direction == "reverse" or k == 1
    head = f"static const Cell s{{{steps}, {n}, {hidden}, {op.directions * n * hidden}, {truth(turned)}}};"
    name = {o.RNN: "rnn", o.GRU: "gru", o.LSTM: "lstm"}[type(op)]
    arguments = ["r", "s", net.ptr(gates), net.ptr(r), _ptr(net, bias)]
    if isinstance(op, o.LSTM):
        arguments.append(_ptr(net, peepholes))
    arguments.append("(const int32_t*)nullptr" if ends is None else net.ptr(ends))
    arguments += [net.ptr(s) for s in states]
    arguments.append(net.ptr(y))
    if isinstance(op, o.GRU):
        arguments.append(truth(op.linear_before_reset))
    if isinstance(op, o.LSTM):
        arguments.append(truth(op.input_forget))
    count = len(op.functions)
    lines = []
    for index, function in enumerate(op.all_activations[k * count : (k + 1) * count]):
        text = VECTOR[type(function)](function, ["x"], DType.F32)
        clip = op.clip if index < 2 else None
        bound = "" if clip is None else f"x = clamp(x, {literal(-clip, DType.F32)}, {literal(clip, DType.F32)}); "
        lines.append(f"[](vf x) {{ {bound}return {text}; }}")
    call = f"{name}_steps({', '.join(arguments)},\n  " + ",\n  ".join(lines) + ");"
    views = [v for v in reads if v is not None]
    scratch = 4 * n * hidden * (op.gates + 1)
    net.step(f"{head}\n{call}", [*views, *states], [y, *states], needs=["recurrent", "elementwise"], scratch=scratch)


def _ptr(net: Net, view: View | None) -> str:
    return "nullptr" if view is None else net.ptr(view)


def _slice(view: View, begin: int, size: int) -> View:
    return view.replace(shape=(size,), strides=(1,), offset=view.offset + begin)


def _turned(net: Net, value: Value | None, k: int) -> View:
    """One direction's weights, transposed."""
    assert value is not None
    if value.is_constant:
        return net.constant(np.ascontiguousarray(value.constant[k].T))
    view = net.planar(value)
    _, rows, columns = view.shape
    source = view.replace(shape=(columns, rows), strides=(1, columns), offset=view.offset + k * rows * columns)
    target = net.fresh(view.dtype, source.shape)
    reorder.copy(net, source, target)
    return target


def _state(net: Net, result: Value, initial: Value | None) -> View:
    """Memory for the last state, holding the first one."""
    y = net.result(result)
    if initial is not None:
        reorder.copy(net, net.view(initial), y)
    else:
        net.step(f"memset({net.ptr(y)}, 0, {result.type.nbytes});", [], [y], what="first state")
    return y
