"""The reference interpreter."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from mconv.ir import Builder, DType, InternalError, Symbol, TensorType, UsageError
from mconv.ir.interpreter import evaluate, run
from mconv.ir.ops import Add, Clip, Conv, Linear, Mul, Relu, Softmax, TopK


@pytest.fixture
def graph():
    b = Builder()
    x = b.input("x", DType.F32, (Symbol("n"), 4))
    y = b.add(Relu(), b.add(Linear(), x, b.constant(np.eye(4, dtype=np.float32)), b.constant(np.ones(4, np.float32))))
    b.output(y, "out")
    b.output(x, "in")
    return b.graph


def test_outputs_by_name(graph):
    x = np.array([[1, -2, 3, -4]], np.float32)
    found = run(graph, {"x": x})
    assert list(found) == ["out", "in"]
    assert found["out"].tolist() == [[2, 0, 4, 0]]
    assert found["in"] is x


def test_observer_sees_every_node_in_order(graph):
    seen = []
    run(
        graph,
        {"x": np.zeros((2, 4), np.float32)},
        observe=lambda node, results: seen.append((type(node.op), results[0].shape)),
    )
    assert seen == [(Linear, (2, 4)), (Relu, (2, 4))]


def test_an_array_is_let_go_after_its_last_reader():
    b = Builder()
    x = b.input("x", DType.F32, (3,))
    value = x
    for _ in range(4):
        value = b.add(Mul(), value, x)
    b.output(value, "y")
    alive = []
    refs = []

    def observe(node, results):
        gc.collect()
        refs.append(weakref.ref(results[0]))
        alive.append(sum(r() is not None for r in refs))

    run(b.graph, {"x": np.ones(3, np.float32)}, observe=observe)
    assert max(alive) <= 3


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"x": np.zeros((1, 4), np.float32), "z": 1},
        {"x": np.zeros((1, 4))},
        {"x": np.zeros(4, np.float32)},
        {"x": np.zeros((1, 5), np.float32)},
    ],
)
def test_feeds_that_do_not_fit(graph, feeds):
    with pytest.raises(UsageError, match="MC113"):
        run(graph, feeds)


def test_one_symbol_has_one_size():
    b = Builder()
    n = Symbol("n")
    b.output(b.add(Add(), b.input("a", DType.F32, (n,)), b.input("b", DType.F32, (n,))), "y")
    with pytest.raises(UsageError):
        run(b.graph, {"a": np.zeros(1, np.float32), "b": np.zeros(2, np.float32)})


@pytest.mark.parametrize(
    "wrong", [TensorType(DType.F32, (1, 5)), TensorType(DType.F16, (1, 4)), TensorType(DType.F32, (4,))]
)
def test_disagreement_with_the_inferred_type_is_told(graph, wrong):
    node = graph.nodes[-1]
    graph.set_type(node.result, wrong)
    with pytest.raises(InternalError, match="MC510"):
        run(graph, {"x": np.zeros((1, 4), np.float32)})


def test_absent_operands_may_be_left_out():
    x = np.ones((1, 1, 3, 3), np.float32)
    (y,) = evaluate(Conv((1, 1), (0,) * 4, (1, 1)), [x, x])
    assert y.tolist() == [[[[9]]]]


def test_results_are_arrays_and_warnings_are_not_raised():
    (y,) = evaluate(Clip(0, 1), [np.float32(np.inf)])
    assert isinstance(y, np.ndarray)
    assert np.isnan(evaluate(Softmax(0), [np.full(2, -np.inf, np.float32)])[0]).all()
    assert len(evaluate(TopK(0, k=1), [np.array([1.0, 2.0], np.float32)])) == 2
