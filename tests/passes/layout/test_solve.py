"""The solved layout: as cheap as brute force finds, the same numbers, and no transpose where none is needed."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from mconv.ir import Graph, Node, Value
from mconv.ir import ops as o
from mconv.ir.interpreter import run
from mconv.ir.verify import verify
from mconv.passes import pipeline
from mconv.passes.base import Context
from mconv.passes.fold import FoldConstants, MergeEqual, RemoveDead
from mconv.passes.layout import MERGE_TRANSPOSES, SolveLayout
from mconv.passes.layout.mover import Mover
from mconv.passes.layout.plan import PER_TRANSPOSE, Plan, Role, Side, make_plan

from ..graphs import B, build, feeds, kinds, rewritten

MOST_FREE = 14
SIZE = (2, 3, 4, 4)


def conv(b: B, x: Value, channels: int) -> Value:
    own = x.type.static_shape[1]
    return b.add(o.Conv((1, 1), (1, 1, 1, 1), (1, 1)), x, b.w(channels, own, 3, 3), b.w(channels))


def random_graph(seed: int, nodes: int) -> Graph:
    """Convolutions, sums, concatenations, reductions, renamings, and products that run as they are written."""
    b = B()
    random = np.random.default_rng(seed)
    values = [b.x(*SIZE), b.x(*SIZE, name="x2")]

    def any_of() -> Value:
        return values[int(random.integers(max(0, len(values) - 4), len(values)))]

    for _ in range(nodes):
        kind, x = random.integers(9), any_of()
        if x.type.rank != 4:
            x = b.add(o.Reshape(SIZE), x)
        if kind < 2:
            made = conv(b, x, 3)
        elif kind < 4:
            made = b.add(o.Relu(), x)
        elif kind == 4:
            y = any_of()
            made = b.add(o.Add(), x, y if y.type.shape == x.type.shape else b.w(3, 1, 1))
        elif kind == 5:
            made = b.add(o.Slice((0,), (3,), (1,), (1,)), b.add(o.Concat(1), x, x))
        elif kind == 6:
            made = b.add(o.MatMul(), x, b.w(4, 4))
        elif kind == 7:
            turned = b.add(o.Transpose((0, 2, 3, 1)), x)
            made = b.add(o.Transpose((0, 3, 1, 2)), b.add(o.Sigmoid(), turned))
        else:
            flat = b.add(o.Reshape((2, 3, 16)), x)
            made = b.add(o.Reshape(SIZE), b.add(o.Tanh(), flat))
        values.append(made)
    for index, value in enumerate(values[-2:]):
        b.output(value, f"y{index}")
    RemoveDead().run(b.graph, Context())
    return b.graph


def free_nodes(plan: Plan) -> list[Node]:
    return list(dict.fromkeys(c for cost in plan.costs for c in (cost.made, *cost.read) if isinstance(c, Node)))


def cheapest(plan: Plan) -> int:
    """The least cost over all choices of sides."""
    free = free_nodes(plan)
    choices = itertools.product(Side, repeat=len(free))
    return min(plan.total({**plan.sides, **dict(zip(free, sides, strict=True))}) for sides in choices)


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_is_as_cheap_as_brute_force(seed: int) -> None:
    for pinned in Side:
        plan = make_plan(random_graph(seed, 4 + seed % 12), pinned)
        if len(free_nodes(plan)) <= MOST_FREE:
            assert plan.total(plan.sides) == cheapest(plan)


def moved_bytes(graph: Graph) -> int:
    made = [n.result.type.nbytes for n in graph.nodes if isinstance(n.op, o.Transpose)]
    return sum(size + PER_TRANSPOSE for size in made if size is not None)


@pytest.mark.parametrize("seed", range(40))
def test_no_choice_of_sides_moves_fewer_bytes_in_the_rewritten_graph(seed: int) -> None:
    """Every choice is carried out and its transposes are weighed: this does not trust the plan's own account."""
    graph = random_graph(seed, 3 + seed % 6)
    plan = make_plan(graph, Side.LAST)
    free = free_nodes(plan)
    if len(free) > 6:
        pytest.skip("too many choices to carry out each")
    found = {}
    names = [node.name for node in free]
    for sides in itertools.product(Side, repeat=len(free)):
        copy = graph.copy()
        trial = make_plan(copy, Side.LAST)
        for node in trial.sides:
            if node.name in names:
                trial.sides[node] = sides[names.index(node.name)]
        Mover(copy, trial, Context()).run()
        found[sides] = moved_bytes(copy)
    assert found[tuple(plan.sides[node] for node in free)] == min(found.values())


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("pinned", Side)
def test_numbers_stay(seed: int, pinned: Side) -> None:
    graph = random_graph(seed, 12)
    rewritten(graph, [SolveLayout(pinned=pinned.value), FoldConstants(), MERGE_TRANSPOSES, MergeEqual(), RemoveDead()])
    for node in graph.nodes:
        if isinstance(node.op, o.Conv):
            assert node.op.channels_last is (pinned is Side.LAST)


def picture(b: B) -> Value:
    return b.x(1, 3, 8, 8)


def squeeze_and_excite(b: B) -> Value:
    x = conv(b, picture(b), 8)
    gate = b.add(o.Sigmoid(), conv(b, b.add(o.ReduceMean((2, 3), True), x), 8))
    return b.add(o.ReduceMean((2, 3), False), b.add(o.Mul(), x, b.add(o.Slice((0,), (1,), (2,), (1,)), gate)))


def classifier(b: B) -> Value:
    x = b.add(o.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)), conv(b, picture(b), 8))
    return b.add(o.Linear(), b.add(o.Reshape((1, -1)), x), b.w(10, 128), b.w(10))


def channels_last_block(b: B) -> Value:
    """A ConvNeXt block as PyTorch exports it: two transposes around what runs over the last axis."""
    x = conv(b, picture(b), 8)
    y = b.add(o.LayerNorm(3), b.add(o.Transpose((0, 2, 3, 1)), conv(b, x, 8)), b.w(8), b.w(8))
    y = b.add(o.Linear(), b.add(o.Gelu(), b.add(o.Linear(), y, b.w(16, 8))), b.w(8, 16))
    y = b.add(o.Add(), x, b.add(o.Mul(), b.w(8, 1, 1), b.add(o.Transpose((0, 3, 1, 2)), y)))
    return b.add(o.ReduceMean((2, 3), False), conv(b, y, 4))


def patches(b: B) -> Value:
    """A vision transformer's first layers."""
    x = b.add(o.Conv((4, 4), (0, 0, 0, 0), (1, 1)), picture(b), b.w(6, 3, 4, 4))
    tokens = b.add(o.Transpose((0, 2, 1)), b.add(o.Reshape((1, 6, -1)), x))
    return b.add(o.MatMul(), tokens, b.add(o.Transpose((0, 2, 1)), tokens))


def shuffled(b: B) -> Value:
    x = conv(b, picture(b), 6)
    parts = b.add(o.Transpose((0, 2, 1, 3, 4)), b.add(o.Reshape((1, 2, 3, 8, 8)), x))
    return b.add(o.ReduceMean((2, 3), False), conv(b, b.add(o.Reshape((1, 6, 8, 8)), parts), 4))


SETTLE = [SolveLayout(pinned="channels last"), FoldConstants(), MERGE_TRANSPOSES, MergeEqual(), RemoveDead()]

BODIES: dict[str, tuple[Callable[[B], Value], int]] = {
    "squeeze and excite": (squeeze_and_excite, 1),
    "flattened into weights": (classifier, 1),
    "channels-last block": (channels_last_block, 1),
    "patches": (patches, 2),  # the input's, and the transpose that MatMul needs
    "channel shuffle": (shuffled, 2),  # the input's, and the shuffle itself
}


@pytest.mark.parametrize("name", BODIES)
def test_only_the_input_is_transposed(name: str) -> None:
    make, transposes = BODIES[name]
    graph = build(make)
    rewritten(
        graph, [SolveLayout(pinned="channels last"), FoldConstants(), MERGE_TRANSPOSES, MergeEqual(), RemoveDead()]
    )
    assert kinds(graph).count("Transpose") == transposes


def test_inputs_and_outputs_turn_on_request() -> None:
    graph = build(lambda b: conv(b, b.add(o.Relu(), conv(b, picture(b), 8)), 4))
    given = feeds(graph)
    before = run(graph, given)
    context = Context()
    context.layout.ends_last = True
    pipeline.run([SolveLayout(pinned="channels last"), RemoveDead()], graph, context, check=True)
    assert kinds(graph) == ["Conv", "Relu", "Conv"]
    assert context.layout.ends == {"x": (0, 2, 3, 1), "y0": (0, 2, 3, 1)}
    after = run(graph, {"x": given["x"].transpose(0, 2, 3, 1)})
    np.testing.assert_allclose(after["y0"], before["y0"].transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)


def test_every_transpose_that_remains_has_a_reason() -> None:
    graph = build(lambda b: b.add(o.MatMul(), conv(b, picture(b), 8), b.w(8, 8)))
    context = Context()
    pipeline.run([SolveLayout(pinned="channels last"), RemoveDead()], graph, context, check=True)
    verify(graph)
    reasons = [context.layout.reasons[n.result.name] for n in graph.nodes if isinstance(n.op, o.Transpose)]
    assert reasons[0] == "the input 'x' keeps the model's layout"
    assert "runs as it is written" in reasons[1]


def test_the_trace_shows_the_cut() -> None:
    graph = build(lambda b: conv(b, b.add(o.Relu(), picture(b)), 4))
    lines: list[str] = []
    context = Context()
    context.layout.trace = lines.append
    SolveLayout(pinned="channels last").run(graph, context)
    assert lines[0].startswith("layout: spatial operators run channels last")
    assert any("transposed" in line for line in lines)
    assert any(line.startswith("layout: relu: channels") for line in lines)


def test_a_plan_names_the_role_of_each_node() -> None:
    graph = build(lambda b: b.add(o.Relu(), conv(b, picture(b), 4)))
    plan = make_plan(graph, Side.LAST)
    assert [plan.roles[node] for node in graph.nodes] == [Role.PINNED, Role.FREE]
