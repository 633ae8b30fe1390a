"""Small graphs for the tests of passes: built, rewritten, and run before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Graph, Node, Op, Value
from mconv.ir.interpreter import run
from mconv.passes import pipeline
from mconv.passes.base import Context, Event


class B(Builder):
    """A builder with random constants: ``b.c(8)`` positive, ``b.w(4, 3)`` of both signs, ``b.n(0.5)`` a number."""

    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(0)

    def x(self, *shape: int, name: str = "x", dtype: DType = DType.F32) -> Value:
        return self.input(name, dtype, shape)

    def c(self, *shape: int) -> Value:
        return self.constant(self.random.uniform(0.5, 1.5, shape).astype(np.float32))

    def w(self, *shape: int) -> Value:
        return self.constant(self.random.standard_normal(shape).astype(np.float32))

    def n(self, number: float) -> Value:
        return self.constant(np.float32(number))


def build(make: Callable[[B], Value | Sequence[Value]]) -> Graph:
    """The graph whose outputs ``make`` returns."""
    b = B()
    made = make(b)
    for index, value in enumerate([made] if isinstance(made, Value) else made):
        b.output(value, f"y{index}")
    return b.graph


def feeds(graph: Graph) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {v.name: random.standard_normal(v.type.static_shape).astype(v.type.dtype.numpy) for v in graph.inputs}


def kinds(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes]


def rewritten(graph: Graph, passes: pipeline.Pipeline, target: Any = None, tolerance: float = 1e-5) -> list[Event]:
    """Run the passes; assert that the outputs' numbers, types and names stay; the events of the trace."""
    given = feeds(graph)
    before, types, names = run(graph, given), [v.type for v in graph.outputs], graph.output_names
    events: list[Event] = []
    pipeline.run(passes, graph, Context(target, events.append), check=True)
    after = run(graph, given)
    assert names == graph.output_names
    assert types == [v.type for v in graph.outputs]
    for name, expected in before.items():
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=tolerance * scale)
    return events


class Refusing:
    """A target that refuses some operators (or nodes), for tests of legalization."""

    name = "test"
    max_rank = 4
    layout = ""
    signed_integers = averages_round_away = False
    casts_around = False
    window_ranks: tuple[int, ...] = ()

    def __init__(
        self, *ops: type[Op], activations: Sequence[type[Op]] = (), when: Callable[[Node], bool] | None = None
    ):
        self.ops, self.activations, self.when = ops, tuple(activations), when

    def refusal(self, node: Node) -> str | None:
        if isinstance(node.op, self.ops) or (self.when is not None and self.when(node)):
            return "the test refuses it"
        return None

    def accepts_activation(self, op: Op, activation: Op) -> bool:
        return isinstance(activation, self.activations)
