"""The cells of recurrent layers in what one turn of a loop computes: sums of products with weights, and gates of them.

Which way a cell is written does not matter: one product for all gates or one for each, of x and h apart or joined,
biases added in any order, gates cut from the sum in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mconv.ir import Array, Op, Value
from mconv.ir.interpreter import evaluate
from mconv.ir.ops import (
    GRU,
    LSTM,
    RNN,
    Affine,
    Concat,
    HardSigmoid,
    If,
    Linear,
    Loop,
    MatMul,
    Mul,
    Relu,
    Scan,
    Sigmoid,
    Slice,
    Split,
    Sub,
    Tanh,
)
from mconv.ir.ops import Add as AddOp
from mconv.ir.record import Record

FUNCTIONS = (Sigmoid, Tanh, Relu, HardSigmoid)
"""What recurrent layers use as activation functions."""


class Sum(Record):
    """The sum of products with weights and a bias, [N, O]: ``terms`` maps factors [N, I] to their weights [I, O]."""

    terms: dict[Value, Array]
    bias: Array

    def columns(self, begin: int, end: int) -> Sum:
        """Some columns of it."""
        return Sum({v: w[:, begin:end] for v, w in self.terms.items()}, self.bias[begin:end])

    def plus(self, other: Sum, sign: float = 1.0) -> Sum:
        """Both added; ``sign`` times the other one."""
        terms = dict(self.terms)
        for value, weight in other.terms.items():
            terms[value] = terms[value] + sign * weight if value in terms else sign * weight
        return Sum(terms, self.bias + sign * other.bias)

    def times(self, scale: Any) -> Sum:
        """Each column times a number."""
        return Sum({v: w * scale for v, w in self.terms.items()}, self.bias * scale)


class Sums:
    """Values of one body as sums of products; a value that is none is a sum of itself alone."""

    def __init__(self) -> None:
        self._found: dict[Value, Sum | None] = {}
        self._constants: dict[Value, Array | None] = {}

    def of(self, value: Value) -> Sum | None:
        """The sum that a value [N, O] is; None for values of another kind."""
        if value not in self._found:
            shape = value.type.shape
            if not value.type.dtype.is_float or not shape or not isinstance(shape[-1], int):
                self._found[value] = None
            elif (data := self.data(value)) is not None:
                self._found[value] = _constant(data)
            elif len(shape) != 2:
                self._found[value] = None
            else:
                self._found[value] = self._made(value) or _itself(value, shape[-1])
        return self._found[value]

    def data(self, value: Value) -> Array | None:
        """What a value is in every turn, where it hangs on constants alone."""
        if value.data is not None:
            return value.data
        if value not in self._constants:
            node = value.producer
            self._constants[value] = None
            if node is not None and not isinstance(node.op, Loop | If | Scan):
                arrays = [None if v is None else self.data(v) for v in node.operands]
                if all(a is not None or v is None for a, v in zip(arrays, node.operands, strict=True)):
                    self._constants.update(zip(node.results, evaluate(node.op, arrays), strict=True))
        return self._constants[value]

    def _made(self, value: Value) -> Sum | None:
        node = value.producer
        if node is None:
            return None
        op, inputs = node.op, node.inputs
        width = value.type.shape[-1]
        if isinstance(op, AddOp | Sub):
            left, right = self._wide(inputs[0], width), self._wide(inputs[1], width)
            if left is None or right is None:
                return None
            return left.plus(right, -1.0 if isinstance(op, Sub) else 1.0)
        if isinstance(op, Linear | MatMul):
            return self._multiplied(op, inputs)
        if isinstance(op, Mul):
            return self._scaled(inputs)
        if isinstance(op, Affine):
            found = self.of(inputs[0])
            return None if found is None else Sum(found.times(op.alpha).terms, found.bias * op.alpha + op.beta)
        return self._part(value)

    def _multiplied(self, op: Linear | MatMul, inputs: tuple[Value, ...]) -> Sum | None:
        weight = self.data(inputs[1])
        if weight is None or weight.ndim != 2 or (isinstance(op, Linear) and op.activation is not None):
            return None
        weight = weight.T if isinstance(op, Linear) else weight
        bias = self.data(inputs[2]) if len(inputs) > 2 else np.zeros(weight.shape[1], np.float32)
        return None if bias is None else self._product(inputs[0], weight, bias)

    def _part(self, value: Value) -> Sum | None:
        """Of values that are moved along the last axis."""
        node = value.producer
        assert node is not None
        op, last = node.op, value.type.rank - 1
        if isinstance(op, Split) and op.axis in (last, -1):
            index = node.results.index(value)
            begin = sum(op.sizes[:index])
            found = self.of(node.inputs[0])
            return None if found is None else found.columns(begin, begin + op.sizes[index])
        if isinstance(op, Slice) and op.axes == (last,) and op.steps in (None, (1,)):
            found = self.of(node.inputs[0])
            begin, end = (op.starts or (0,))[0], (op.ends or (0,))[0]
            return None if found is None or begin < 0 else found.columns(begin, min(end, len(found.bias)))
        if isinstance(op, Concat) and op.axis in (last, -1):
            return _joined([self.of(v) for v in node.inputs])
        return None

    def _wide(self, value: Value, width: Any) -> Sum | None:
        """The sum of a value; a constant that is one number for all columns is spread over them."""
        found = self.of(value)
        data = self.data(value)
        if found is None and data is not None and data.size == 1 and value.type.dtype.is_float:
            return Sum({}, np.full(width, data.reshape(())))
        if found is not None and len(found.bias) == 1 and not found.terms:
            return Sum({}, np.full(width, found.bias[0]))
        return found if found is None or len(found.bias) == width else None

    def _product(self, factor: Value, weight: Array, bias: Array) -> Sum | None:
        """The product of a sum with a weight [I, O]."""
        inner = self.of(factor)
        if inner is None:
            return None
        terms = {v: w @ weight if not _is_identity(w) else weight for v, w in inner.terms.items()}
        return Sum(terms, inner.bias @ weight + bias)

    def _scaled(self, inputs: tuple[Value, ...]) -> Sum | None:
        for one, other in (inputs, inputs[::-1]):
            data = self.data(one)
            if data is not None and (data.size == 1 or data.ndim == 1):
                found = self.of(other)
                return None if found is None else found.times(data.reshape(-1))
        return None


def _constant(data: Array) -> Sum | None:
    return Sum({}, data.reshape(-1)) if data.size == data.shape[-1] else None


def _itself(value: Value, width: int) -> Sum:
    return Sum({value: np.eye(width, dtype=np.float32)}, np.zeros(width, np.float32))


def _is_identity(weight: Array) -> bool:
    return weight.shape[0] == weight.shape[1] and np.array_equal(weight, np.eye(len(weight)))


def _joined(parts: list[Sum | None]) -> Sum | None:
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    width = sum(len(part.bias) for part in found)
    total, begin = Sum({}, np.zeros(width, np.float32)), 0
    for part in found:
        end = begin + len(part.bias)
        terms = {v: np.pad(w, ((0, 0), (begin, width - end))) for v, w in part.terms.items()}
        total = total.plus(Sum(terms, np.pad(part.bias, (begin, width - end))))
        begin = end
    return total


# Cells -------------------------------------------------------------------------------------------------------


class Cell(Record):
    """A cell: its operator, the factor x (None where there is none), and its weights in the order of ONNX's gates.

    w [gates * H, I], r [gates * H, H], b [2 * gates * H] (those of w, then those of r). ``states`` are the body's
    values before the turn, ``new`` those after it, h first.
    """

    op: Op
    x: Value | None
    w: Array | None
    r: Array
    b: Array
    states: tuple[Value, ...]
    new: tuple[Value, ...]


class _Gate(Record):
    """An activation of a sum."""

    function: Op
    total: Sum


def cells(states: dict[Value, Value]) -> Iterator[Cell]:
    """The cells that a body computes; ``states`` maps states before the turn to those after it."""
    sums = Sums()
    for h, new_h in states.items():
        for c, new_c in states.items():
            if c is not h and (found := _lstm(sums, h, c, new_h, new_c)) is not None:
                yield found
    for h, new_h in states.items():
        found = _gru(sums, h, new_h) or _rnn(sums, h, new_h)
        if found is not None:
            yield found


def _gate(sums: Sums, value: Value) -> _Gate | None:
    node = value.producer
    if node is None or not isinstance(node.op, FUNCTIONS):
        return None
    total = sums.of(node.inputs[0])
    return None if total is None else _Gate(node.op, total)


def _products(value: Value) -> list[tuple[Value, Value]]:
    """The factors of a product, both ways round; none where it is no product."""
    node = value.producer
    if node is None or not isinstance(node.op, Mul):
        return []
    a, b = node.inputs
    return [(a, b), (b, a)]


def _summands(value: Value) -> list[tuple[Value, Value]]:
    node = value.producer
    if node is None or not isinstance(node.op, AddOp):
        return []
    a, b = node.inputs
    return [(a, b), (b, a)]


def _lstm(sums: Sums, h: Value, c: Value, new_h: Value, new_c: Value) -> Cell | None:
    """h' = o * g(c'), c' = f * c + i * n."""
    for out, shown in _products(new_h):
        node = shown.producer
        if node is None or not isinstance(node.op, FUNCTIONS) or node.inputs[0] is not new_c:
            continue
        for kept, taken in _summands(new_c):
            for forget, old in _products(kept):
                if old is not c:
                    continue
                for into, new in _products(taken):
                    gates = [_gate(sums, v) for v in (into, out, forget, new)]
                    found = _lstm_of(gates, node.op, (h, c), (new_h, new_c))
                    if found is not None:
                        return found
    return None


def _lstm_of(gates: list[_Gate | None], shown: Op, states: tuple[Value, ...], new: tuple[Value, ...]) -> Cell | None:
    known = [gate for gate in gates if gate is not None]
    if len(known) < 4 or not known[0].function == known[1].function == known[2].function:
        return None
    functions = (known[0].function, known[3].function, shown)
    op = LSTM(_width(states[0]), activations=() if functions == LSTM.functions else functions)
    return _assembled(op, [gate.total for gate in known], states, new)


def _rnn(sums: Sums, h: Value, new_h: Value) -> Cell | None:
    """h' = f(W x + R h + b)."""
    gate = _gate(sums, new_h)
    if gate is None:
        return None
    op = RNN(_width(h), activations=() if isinstance(gate.function, Tanh) else (gate.function,))
    return _assembled(op, [gate.total], (h,), (new_h,))


def _gru(sums: Sums, h: Value, new_h: Value) -> Cell | None:
    """h' = z * h + (1 - z) * n."""
    for kept, taken in _summands(new_h):
        for update, old in _products(kept):
            if old is not h:
                continue
            for rest, new in _products(taken):
                z = _gate(sums, update)
                if z is not None and _is_rest(rest, update):
                    return _gru_of(sums, h, new_h, z, new)
                z = _gate(sums, rest)
                if z is not None and isinstance(z.function, Sigmoid) and _is_rest(update, rest):
                    return _gru_of(sums, h, new_h, _Gate(z.function, z.total.times(-1.0)), new)  # 1 - s(x) = s(-x)
    return None


def _is_rest(value: Value, of: Value) -> bool:
    """Whether a value is one minus another."""
    node = value.producer
    if node is None:
        return False
    if isinstance(node.op, Affine):
        return node.inputs[0] is of and (node.op.alpha, node.op.beta) == (-1.0, 1.0)
    if not isinstance(node.op, Sub):
        return False
    one, other = node.inputs
    return other is of and one.data is not None and bool(np.all(one.data == 1.0))


def _gru_of(sums: Sums, h: Value, new_h: Value, z: _Gate, new: Value) -> Cell | None:
    n = _gate(sums, new)
    if n is None:
        return None
    width = _width(h)
    for product in n.total.terms:
        for reset, other in _products(product):
            r = _gate(sums, reset)
            if r is None or r.function != z.function:
                continue
            behind = sums.of(other)
            weight = n.total.terms[product]
            ahead = Sum({v: w for v, w in n.total.terms.items() if v is not product}, n.total.bias)
            if other is h:
                total, after, linear = ahead.plus(Sum({h: weight}, np.zeros(width, np.float32))), None, False
            elif behind is not None and set(behind.terms) == {h} and _is_identity(weight):
                total, after, linear = ahead.plus(Sum(behind.terms, np.zeros(width, np.float32))), behind.bias, True
            else:
                continue
            if h in ahead.terms:
                continue
            functions = (z.function, n.function)
            usual = functions == GRU.functions
            op = GRU(width, activations=() if usual else functions, linear_before_reset=linear)
            cell = _assembled(op, [z.total, r.total, total], (h,), (new_h,))
            if cell is None or after is None:
                return cell
            bias = cell.b.copy()
            bias[5 * width :] = after
            full: Cell = cell.replace(b=bias)
            return full
    return None


def _width(h: Value) -> int:
    width = h.type.shape[-1]
    return width if isinstance(width, int) else 0


def _assembled(op: Op, gates: list[Sum], states: tuple[Value, ...], new: tuple[Value, ...]) -> Cell | None:
    """The cell of these gates: each sums products of h, and of one other factor, which is the same for all."""
    h, width = states[0], _width(states[0])
    if any(len(gate.bias) != width for gate in gates):
        return None
    others = {v for gate in gates for v in gate.terms} - {h}
    if len(others) > 1:
        return None
    x = next(iter(others), None)
    zeros = np.zeros((width, width), np.float32)
    r = np.concatenate([gate.terms.get(h, zeros).T for gate in gates]).astype(np.float32)
    b = np.concatenate([*(gate.bias for gate in gates), np.zeros(len(gates) * width)]).astype(np.float32)
    w = None
    if x is not None:
        size = next(gate.terms[x].shape[0] for gate in gates if x in gate.terms)
        none = np.zeros((size, width), np.float32)
        w = np.concatenate([gate.terms.get(x, none).T for gate in gates]).astype(np.float32)
    return Cell(op, x, w, r, b, states, new)
