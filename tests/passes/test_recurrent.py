"""Loops whose turns are the steps of a cell become layers, however the cell is written; other loops stay."""

from __future__ import annotations

import numpy as np
import pytest

from mconv import backends
from mconv.ir import Builder, DType, Graph, TensorType, Value, ops
from mconv.ir.interpreter import run
from mconv.ir.verify import verify
from mconv.passes import pipeline
from mconv.passes.base import Context

T, N, X, H = 5, 2, 3, 4
F32, I64, BOOL = DType.F32, DType.I64, DType.BOOL
RANDOM = np.random.default_rng(3)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


class Body:
    """The inside of a Loop over a sequence: a counter, and states of [N, H]."""

    def __init__(self, states: int, index=lambda b, t: t) -> None:
        self.b = Builder(Graph("body"))
        add_input = self.b.graph.add_input
        add_input("turn", TensorType(I64, ()))
        add_input("going", TensorType(BOOL, ()))
        self.time = add_input("time", TensorType(I64, ()))
        self.states = [add_input(f"s{i}", TensorType(F32, (N, H))) for i in range(states)]
        self.sequence = add_input("sequence", TensorType(F32, (T, N, X)))
        self.x = self.b.add(ops.Gather(0), self.sequence, index(self, self.time))

    def __call__(self, op, *operands):
        return self.b.add(op, *(v if isinstance(v, Value) else self.b.constant(v) for v in operands))

    def split(self, value: Value, count: int):
        return self.b.add_all(ops.Split(1, (H,) * count), value)

    def affine(self, x: Value, w, b=None):
        y = self(ops.MatMul(), x, w)
        return y if b is None else self(ops.Add(), y, b)

    def graph(self, *new: Value, scan: Value | None = None, stop=T, begin=None) -> Graph:
        later = self(ops.Add(), self.time, np.int64(1))
        body = [self(ops.Less(), later, np.int64(stop)), later, *new, new[0] if scan is None else scan]
        for index, value in enumerate(body):
            self.b.output(value, f"o{index}")
        loop = Builder(Graph("g"))
        x = loop.graph.add_input("x", TensorType(F32, (T, N, X)))
        first = (lambda: begin((N, H), np.float32)) if begin else (lambda: numbers(N, H))
        rows = [loop.constant(first()) for _ in new]
        count = [loop.constant(np.int64(0)), *rows, x]
        op = ops.Loop(self.b.graph, 1 + len(new))
        results = loop.add_all(op, None, loop.constant(np.array(True)), *count)
        for index, value in enumerate(results[1:]):
            loop.output(value, f"r{index}")
        return loop.graph


def lstm(body: Body, order: str, joined: bool) -> list[Value]:
    h, c = body.states
    if joined:
        z = body.affine(body(ops.Concat(1), body.x, h), numbers(X + H, 4 * H), numbers(4 * H))
    else:
        z = body(ops.Add(), body.affine(body.x, numbers(X, 4 * H)), body.affine(h, numbers(H, 4 * H), numbers(4 * H)))
    gates = dict(zip(order, body.split(z, 4), strict=True))
    if joined:
        gates["f"] = body(ops.Add(), gates["f"], np.float32(1.0))
    i, f, o = (body(ops.Sigmoid(), gates[k]) for k in "ifo")
    new_c = body(ops.Add(), body(ops.Mul(), f, c), body(ops.Mul(), i, body(ops.Tanh(), gates["c"])))
    return [body(ops.Mul(), o, body(ops.Tanh(), new_c)), new_c]


def gru(body: Body, after: bool, swapped: bool) -> list[Value]:
    (h,) = body.states
    xz, xr, xh = body.split(body.affine(body.x, numbers(X, 3 * H), numbers(3 * H)), 3)
    if after:
        bias = body(ops.Squeeze((0,)), body.b.add_all(ops.Split(0, (1, 1)), body.b.constant(numbers(2, 3 * H)))[1])
        hz, hr, hh = body.split(body(ops.Add(), body.affine(h, numbers(H, 3 * H)), bias), 3)
    else:
        hz, hr = body.split(body.affine(h, numbers(H, 2 * H)), 2)
    z, r = body(ops.Sigmoid(), body(ops.Add(), xz, hz)), body(ops.Sigmoid(), body(ops.Add(), xr, hr))
    behind = body(ops.Mul(), r, hh) if after else body.affine(body(ops.Mul(), r, h), numbers(H, H))
    n = body(ops.Tanh(), body(ops.Add(), xh, behind))
    rest = body(ops.Sub(), np.float32(1.0), z)
    kept, taken = (rest, z) if swapped else (z, rest)
    return [body(ops.Add(), body(ops.Mul(), kept, h), body(ops.Mul(), taken, n))]


def rnn(body: Body) -> list[Value]:
    (h,) = body.states
    z = body(ops.Add(), body.affine(body.x, numbers(X, H), numbers(H)), body.affine(h, numbers(H, H)))
    return [body(ops.Relu(), z)]


def backwards(body: Body, t: Value) -> Value:
    return body(ops.Sub(), np.int64(T - 1), t)


CELLS = {
    "LSTM in Keras's order": (2, lambda b: lstm(b, "ifco", False), "LSTM"),
    "LSTM with x and h joined": (2, lambda b: lstm(b, "icfo", True), "LSTM"),
    "GRU with its reset after the product": (1, lambda b: gru(b, True, False), "GRU"),
    "GRU with its reset before the product": (1, lambda b: gru(b, False, False), "GRU"),
    "GRU that keeps the rest": (1, lambda b: gru(b, True, True), "GRU"),
    "RNN of Relu": (1, rnn, "RNN"),
}


def simplified(graph: Graph) -> tuple[set[str], dict[str, np.ndarray], dict[str, np.ndarray]]:
    feeds = {"x": numbers(T, N, X)}
    before = run(graph, feeds)
    pipeline.run(pipeline.simplify(), graph, Context(), check=True)
    verify(graph)
    return {type(node.op).__name__ for node in graph.nodes}, before, run(graph, feeds)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("index", [lambda b, t: t, backwards], ids=["forwards", "backwards"])
def test_a_loop_of_a_cell_is_a_layer(name, index):
    states, cell, layer = CELLS[name]
    body = Body(states, index)
    found, before, after = simplified(body.graph(*cell(body)))
    assert layer in found
    assert "Loop" not in found
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_a_part_of_the_sequence(name):
    states, cell, layer = CELLS[name]
    body = Body(states)
    found, before, after = simplified(body.graph(*cell(body), stop=T - 2))
    assert layer in found
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, rtol=1e-5, atol=1e-6)


def test_states_that_begin_as_zeros_are_left_out():
    body = Body(2)
    graph = body.graph(*lstm(body, "ifco", False), begin=np.zeros)
    _, before, after = simplified(graph)
    (layer,) = (node for node in graph.nodes if isinstance(node.op, ops.LSTM))
    assert layer.operand("initial_h") is None
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, rtol=1e-5, atol=1e-6)


def peephole(body: Body) -> list[Value]:
    h, c = body.states
    z = body(ops.Add(), body.affine(body.x, numbers(X, 4 * H)), body.affine(h, numbers(H, 4 * H)))
    i, f, o, g = body.split(z, 4)
    i = body(ops.Sigmoid(), body(ops.Add(), i, body(ops.Mul(), c, numbers(H))))
    f, o = body(ops.Sigmoid(), f), body(ops.Sigmoid(), o)
    new_c = body(ops.Add(), body(ops.Mul(), f, c), body(ops.Mul(), i, body(ops.Tanh(), g)))
    return [body(ops.Mul(), o, body(ops.Tanh(), new_c)), new_c]


def squared(body: Body) -> list[Value]:
    (h,) = body.states
    return [
        body(
            ops.Tanh(),
            body(ops.Add(), body.affine(body(ops.Mul(), h, h), numbers(H, H)), body.affine(body.x, numbers(X, H))),
        )
    ]


def unshared_reset(body: Body) -> list[Value]:
    (h,) = body.states
    z = body(ops.Sigmoid(), body.affine(h, numbers(H, H)))
    n = body(ops.Tanh(), body.affine(body.x, numbers(X, H)))
    rest = body(ops.Sub(), np.float32(2.0), z)
    return [body(ops.Add(), body(ops.Mul(), z, h), body(ops.Mul(), rest, n))]


@pytest.mark.parametrize(("states", "cell"), [(2, peephole), (1, squared), (1, unshared_reset)])
def test_other_cells_stay_loops(states, cell):
    body = Body(states)
    found, before, after = simplified(body.graph(*cell(body)))
    assert "Loop" in found
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, rtol=1e-6)


def test_a_cell_of_another_element_type_stays():
    b = Builder(Graph("body"))
    b.graph.add_input("turn", TensorType(I64, ()))
    b.graph.add_input("going", TensorType(BOOL, ()))
    h = b.graph.add_input("h", TensorType(DType.F64, (N, H)))
    sequence = b.graph.add_input("sequence", TensorType(DType.F64, (T, N, X)))
    turn = b.graph.inputs[0]
    x = b.add(ops.Gather(0), sequence, turn)
    wide = b.add(ops.MatMul(), x, b.constant(RANDOM.standard_normal((X, H))))
    new = b.add(ops.Tanh(), b.add(ops.Add(), wide, b.add(ops.MatMul(), h, b.constant(RANDOM.standard_normal((H, H))))))
    for index, value in enumerate((b.constant(np.array(True)), new, new)):
        b.output(value, f"o{index}")
    loop = Builder(Graph("g"))
    given = loop.graph.add_input("x", TensorType(DType.F64, (T, N, X)))
    operands = (loop.constant(np.int64(T)), None, loop.constant(RANDOM.standard_normal((N, H))), given)
    loop.output(loop.add_all(ops.Loop(b.graph, 1), *operands)[0], "y")
    pipeline.run(pipeline.simplify(), loop.graph, Context(), check=True)
    assert "Loop" in {type(node.op).__name__ for node in loop.graph.nodes}


def test_a_loop_that_collects_something_else_stays():
    body = Body(1)
    (new,) = rnn(body)
    assert "Loop" in simplified(body.graph(new, scan=body(ops.Neg(), new)))[0]


@pytest.mark.parametrize("target", ["ncnn", "tflite"])
def test_a_loop_that_stays_is_written_out_where_a_target_has_none(target):
    body = Body(2)
    graph = body.graph(*peephole(body))
    feeds = {"x": numbers(T, N, X)}
    before = run(graph, feeds)
    pipeline.run(
        [pipeline.simplify(), pipeline.prepare(backends.get(target))], graph, Context(backends.get(target)), check=True
    )
    assert not any(isinstance(node.op, ops.Loop) for node in graph.nodes)
    for key, value in run(graph, feeds).items():
        np.testing.assert_allclose(value, before[key], rtol=1e-5, atol=1e-6)
