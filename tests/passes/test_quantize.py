"""What stands between Dequantize and Quantize works on the integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pytest

from mconv import frontends
from mconv.ir import DType, Graph, Value
from mconv.ir import ops as o
from mconv.ir.interpreter import run
from mconv.ir.parse import parse_graph
from mconv.ir.text import format_graph
from mconv.passes import pipeline
from mconv.passes.base import Context

from ..ir.ops.oracle import Case
from ..ir.ops.test_set import cases
from .graphs import B, Refusing, build, kinds, rewritten
from .qdq import Net, residual

Make = Callable[[B], Value | Sequence[Value]]
STEP, POINT = 0.05, np.int8(3)
QUANTIZATION = (o.Quantize, o.Dequantize, o.Quantized)
CASES_OF: dict[str, list[Case]] = {}
for _case in cases():
    if not isinstance(_case.op, QUANTIZATION):
        CASES_OF.setdefault(type(_case.op).__name__, []).append(_case)


def coded(b: B) -> tuple[Value, Value]:
    return b.n(STEP), b.constant(POINT)


def q(b: B, x: Value, scale: float = STEP) -> Value:
    return b.add(o.Quantize(DType.I8), x, b.n(scale), b.constant(POINT))


def dq(b: B, x: Value, scale: float = STEP) -> Value:
    return b.add(o.Dequantize(), x, b.n(scale), b.constant(POINT))


def x8(b: B, *shape: int, name: str = "x") -> Value:
    """Integers that stand for real numbers."""
    return q(b, b.x(*shape, name=name))


def weight(b: B, *shape: int, axis: int = 0) -> Value:
    data = b.random.integers(-64, 64, shape).astype(np.int8)
    return b.add(o.Dequantize(axis), b.constant(data), b.c(shape[axis]))


def bias(b: B, size: int) -> Value:
    data = b.random.integers(-100, 100, size).astype(np.int32)
    return b.add(o.Dequantize(0), b.constant(data), b.add(o.Mul(), b.n(STEP), b.c(size)))


def conv(b: B, x: Value, m: int, with_bias: Value | None = None) -> Value:
    c = x.type.static_shape[1]
    return b.add(o.Conv((1, 1), (1,) * 4, (1, 1)), dq(b, x), weight(b, m, c, 3, 3), with_bias)


def kept(b: B, move: Callable[[Value], Value], *shape: int) -> Value:
    """A movement of real numbers whose result is stored as its operand is."""
    return q(b, move(dq(b, x8(b, *shape))))


def shared(b: B) -> list[Value]:
    real = dq(b, x8(b, 2, 3))
    return [q(b, b.add(o.Sigmoid(), real)), q(b, b.add(o.Tanh(), real))]


RESIZE = o.Resize("nearest", (2, 3), "asymmetric", "floor", scales=(2.0, 2.0))
CASES: dict[str, tuple[Make, list[str]]] = {
    "conv with bias": (
        lambda b: q(b, conv(b, x8(b, 1, 2, 5, 5), 4, bias(b, 4)), 20),
        ["Quantize", "Quantized"],
    ),
    "bias left real": (
        lambda b: q(b, conv(b, x8(b, 1, 2, 5, 5), 4, b.w(4)), 20),
        ["Quantize", "Quantized"],
    ),
    "conv and its activation": (
        lambda b: q(b, b.add(o.Clip(0.0, 6.0), conv(b, x8(b, 1, 2, 5, 5), 4, bias(b, 4))), 20),
        ["Quantize", "Quantized"],
    ),
    "matmul of two results": (
        lambda b: q(b, b.add(o.MatMul(), dq(b, x8(b, 2, 3)), dq(b, x8(b, 3, 4, name="z")))),
        ["Quantize", "Quantize", "Quantized"],
    ),
    "a transposed weight": (
        lambda b: q(
            b, b.add(o.Linear(), dq(b, x8(b, 2, 3)), b.add(o.Transpose((1, 0)), weight(b, 3, 4, axis=1)), bias(b, 4)), 9
        ),
        ["Quantize", "Quantized"],
    ),
    "one dequantize, two readers": (shared, ["Quantize", "Quantized", "Quantized"]),
    "a sum with itself": (
        lambda b: q(b, (lambda r: b.add(o.Add(), r, r))(dq(b, x8(b, 2, 3)))),
        ["Quantize", "Quantized"],
    ),
    "a condition is no number": (
        lambda b: q(
            b, b.add(o.Where(), b.x(2, 3, dtype=DType.BOOL), dq(b, x8(b, 2, 3, name="y")), dq(b, x8(b, 2, 3, name="z")))
        ),
        ["Quantize", "Quantize", "Quantized"],
    ),
    "reshape and transpose": (
        lambda b: kept(b, lambda r: b.add(o.Transpose((1, 0)), b.add(o.Reshape((3, 4)), r)), 2, 6),
        ["Quantize", "Reshape", "Transpose"],
    ),
    "max pool": (
        lambda b: kept(b, lambda r: b.add(o.MaxPool((2, 2), (2, 2), (0,) * 4, (1, 1)), r), 1, 2, 4, 4),
        ["Quantize", "MaxPool"],
    ),
    "pad with zeros": (
        lambda b: kept(b, lambda r: b.add(o.Pad("constant", (0, 1, 0, 2)), r), 2, 3),
        ["Quantize", "Pad"],
    ),
    "pad with ones": (
        lambda b: kept(b, lambda r: b.add(o.Pad("constant", (0, 1, 0, 2), 1.0), r), 2, 3),
        ["Quantize", "Quantized"],
    ),
    "resize": (lambda b: kept(b, lambda r: b.add(RESIZE, r), 1, 2, 3, 3), ["Quantize", "Resize"]),
    "resize with another mode": (
        lambda b: kept(b, lambda r: b.add(RESIZE.replace(mode="linear"), r), 1, 2, 3, 3),
        ["Quantize", "Quantized"],
    ),
    "concat of one scale": (
        lambda b: q(b, b.add(o.Concat(0), dq(b, x8(b, 2, 3)), dq(b, x8(b, 1, 3, name="z")))),
        ["Quantize", "Quantize", "Concat"],
    ),
    "concat of two scales": (
        lambda b: q(b, b.add(o.Concat(0), dq(b, x8(b, 2, 3)), dq(b, q(b, b.x(1, 3, name="z"), 0.1), 0.1))),
        ["Quantize", "Quantize", "Quantized"],
    ),
    "concat with a constant": (
        lambda b: q(b, b.add(o.Concat(0), dq(b, x8(b, 2, 3)), dq(b, b.constant(np.ones((1, 3), np.int8))))),
        ["Quantize", "Concat"],
    ),
    "stored with another scale": (
        lambda b: q(b, b.add(o.Reshape((6,)), dq(b, x8(b, 2, 3))), 0.1),
        ["Quantize", "Quantized"],
    ),
    "moved, then computed": (
        lambda b: q(b, b.add(o.Softmax(1), b.add(o.Transpose((1, 0)), dq(b, x8(b, 2, 3))))),
        ["Quantize", "Transpose", "Quantized"],
    ),
    "computed, then moved": (
        lambda b: q(b, b.add(o.Transpose((1, 0)), b.add(o.Softmax(1), dq(b, x8(b, 2, 3))))),
        ["Quantize", "Quantized", "Transpose"],
    ),
    "conv, activation, pool": (
        lambda b: q(
            b,
            b.add(
                o.MaxPool((2, 2), (1, 1), (1,) * 4, (1, 1)),
                b.add(o.Relu(), conv(b, x8(b, 1, 2, 5, 5), 4, bias(b, 4))),
            ),
            20,
        ),
        ["Quantize", "Quantized", "MaxPool"],
    ),
    "stored anew": (lambda b: q(b, dq(b, x8(b, 2, 3))), ["Quantize"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_left(name: str) -> None:
    make, expected = CASES[name]
    graph = build(make)
    rewritten(graph, pipeline.simplify(), tolerance=0)
    assert kinds(graph) == expected


REFUSED: dict[str, tuple[Make, str]] = {
    "read elsewhere": (
        lambda b: (lambda y: [q(b, y), y])(b.add(o.Sigmoid(), dq(b, x8(b, 2, 3)))),
        "the real result is read elsewhere",
    ),
    "an operand is real": (
        lambda b: q(b, b.add(o.Add(), dq(b, x8(b, 2, 3)), b.x(2, 3, name="z"))),
        "an operand is not dequantized",
    ),
    "several results": (
        lambda b: q(b, b.add_all(o.Split(1, (2, 1)), dq(b, x8(b, 2, 3)))[0]),
        "Split is no arithmetic with one result",
    ),
    "a size that only running tells": (
        lambda b: q(b, b.add(o.Compress(0), dq(b, x8(b, 4, 2)), b.x(4, name="which", dtype=DType.BOOL))),
        "sizes are known only at run time",
    ),
    "blocks": (
        lambda b: b.add(
            o.Quantize(DType.I8, 1, 2), b.add(o.Sigmoid(), dq(b, x8(b, 2, 4))), b.c(2, 2), None
        ),
        "a scale for each block",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    make, reason = REFUSED[name]
    graph = build(make)
    events = rewritten(graph, pipeline.simplify())
    assert "Quantized" not in kinds(graph)
    assert reason in {e.refusal for e in events if e.rule == "join_into_quantized"}


def between_integers(case: Case) -> Graph | None:
    """The case's operator on stored integers; None where it has no real operand, or a result that is not real."""
    b = B()
    operands: list[Value | None] = []
    for index, given in enumerate(case.operands):
        array = None if given is None else np.asarray(given)
        if array is None or array.dtype.kind in "iub":
            operands.append(None if array is None else b.constant(array))
        elif array.dtype == np.float32:
            operands.append(dq(b, x8(b, *array.shape, name=f"x{index}")))
        else:
            return None
    result = b.add(case.op, *operands)
    if not b.graph.inputs or result.type.dtype is not DType.F32:
        return None
    # not the operands' scale: sums of products would lie exactly half-way between two integers, and go to either
    scale = STEP * 1.037 if isinstance(case.op, o.Conv | o.Linear) else STEP
    b.output(q(b, result, scale), "y")
    return b.graph


@pytest.mark.parametrize("name", sorted(CASES_OF))
def test_every_operator_keeps_its_numbers(name: str) -> None:
    """Joined into Quantized, moved, or left; and taken apart again."""
    for case in CASES_OF[name]:
        graph = between_integers(case)
        if graph is not None:
            rewritten(graph, pipeline.simplify(), tolerance=0)
            again = parse_graph(format_graph(graph, constants="full"))
            assert [node.op for node in again.nodes] == [node.op for node in graph.nodes]
            rewritten(graph, pipeline.prepare(Refusing()), Refusing(o.Quantized), tolerance=0)


def constants(graph: Graph) -> set[DType]:
    return {v.type.dtype for v in graph.constants if v.type.rank > 1}


def test_weights_stay_integers_only_where_the_arithmetic_does() -> None:
    graph = build(lambda b: q(b, conv(b, x8(b, 1, 2, 5, 5), 4)))
    rewritten(graph, pipeline.simplify())
    assert constants(graph) == {DType.I8}
    graph = build(lambda b: conv(b, x8(b, 1, 2, 5, 5), 4))  # its result stays real
    rewritten(graph, pipeline.simplify())
    assert constants(graph) == {DType.F32}


def test_a_weight_that_two_read_is_real_for_the_one_that_needs_it() -> None:
    def make(b: B) -> list[Value]:
        w = weight(b, 3, 3)
        return [q(b, b.add(o.Linear(), dq(b, x8(b, 2, 3)), w)), b.add(o.Linear(), b.x(2, 3, name="z"), w)]

    graph = build(make)
    rewritten(graph, pipeline.simplify())
    assert kinds(graph) == ["Quantize", "Quantized", "Linear"]
    assert constants(graph) == {DType.I8, DType.F32}


def test_taken_apart_where_the_target_refuses_it() -> None:
    def make(b: B) -> Value:
        return q(b, b.add(o.Relu(), conv(b, x8(b, 1, 2, 5, 5), 4, bias(b, 4))), 20)

    graph = build(make)
    rewritten(graph, [pipeline.simplify(), pipeline.prepare(Refusing())], Refusing(o.Quantized), tolerance=0)
    assert kinds(graph) == ["Quantize", "Dequantize", "Conv", "Quantize"]
    assert constants(graph) == {DType.F32}
    graph = build(make)
    rewritten(graph, [pipeline.simplify(), pipeline.prepare(Refusing())], Refusing())
    assert kinds(graph) == ["Quantize", "Quantized"]


def test_float_graphs_are_left_alone() -> None:
    graph = build(lambda b: b.add(o.Relu(), b.add(o.Conv((1, 1), (1,) * 4, (1, 1)), b.x(1, 2, 5, 5), b.w(4, 2, 3, 3))))
    before = str(graph)
    events = rewritten(graph, pipeline.simplify())
    assert str(graph) == before
    assert not events


# Against onnxruntime --------------------------------------------------------------------------------------


def test_residual_network_agrees_with_onnxruntime() -> None:
    model = residual()
    graph = frontends.load(model)
    pipeline.run(pipeline.simplify(), graph, Context(), check=True)
    assert kinds(graph) == [
        "Quantize", "Quantized", "Quantized", "Quantized", "MaxPool", "Quantized", "Reshape", "Quantized", "Quantized",
        "Dequantize",
    ]  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((1, 3, 8, 8)).astype(np.float32)
        (found,) = run(graph, {"x": x}).values()
        (wanted,) = session.run(None, {"x": x})
        assert np.abs(found - wanted).max() <= 1 / 256 + 1e-6  # at most one step, where a half is rounded
        assert np.count_nonzero(found != wanted) <= 1


@pytest.mark.parametrize("turned", [False, True])
def test_gemm_keeps_the_integers_of_its_weight(turned: bool) -> None:
    n = Net()
    x = n.through(n.node("Flatten", "x"), 0.02, 128)
    w, scale = n.weight(10, 192, axis=0) if turned else n.weight(192, 10, axis=1)
    y = n.node("Gemm", x, w, n.bias(np.float32(0.02) * scale, 10), transB=int(turned))
    model = n.model(n.through(y, 0.1, 120))
    graph = frontends.load(model)
    pipeline.run(pipeline.simplify(), graph, Context(), check=True)
    assert kinds(graph) == ["Reshape", "Quantize", "Quantized", "Dequantize"]
    assert [v.type.shape for v in graph.constants if v.type.dtype is DType.I8 and v.type.rank > 1] == [(10, 192)]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x_value = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (found,), (wanted,) = run(graph, {"x": x_value}).values(), session.run(None, {"x": x_value})
    np.testing.assert_allclose(found, wanted, atol=0.1 + 1e-6)
    assert np.count_nonzero(np.abs(found - wanted) > 1e-6) <= 1
