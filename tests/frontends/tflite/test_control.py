"""Subgraphs, variables, and recurrent layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv import frontends
from mconv.ir import Symbol, UnreadableError, UnsupportedError, ops
from mconv.ir.interpreter import run

from .models import C, In, Net, Out, State, agree, litert

chance = np.random.default_rng(11)


def f(*shape: int) -> C:
    return C((chance.standard_normal(shape) * 0.5).astype(np.float32))


def branch(net: Net, name: str) -> int:
    index = net.subgraph()
    a, b, y = net.input(In((3,)), "a"), net.input(In((3,)), "b"), net.tensor(Out((3,)))
    net.op(name, [a, b], [y], f"{name.title()}Options")
    net.graph.outputs = [y]
    return index


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_if(seed: int, tmp_path: Path) -> None:
    net = Net()
    main = net.graph
    c, x, z = net.input(In((1,), "bool"), "c"), net.input(In((3,)), "x"), net.input(In((3,)), "z")
    y = net.tensor(Out((3,)), "y")
    net.op("IF", [c, x, z], [y], "IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2)
    main.outputs = [y]
    branch(net, "ADD")
    branch(net, "MUL")
    graph = agree(net, tmp_path, seed=seed)
    assert any(isinstance(n.op, ops.If) for n in graph)


def counting(grows: bool) -> Net:
    """i < 4: i + 1, and s + s or s joined with itself."""
    net = Net()
    main = net.graph
    start, s = net.input(In((), "int32", low=0, high=5), "i"), net.input(In((2,)), "s")
    out = [net.tensor(Out((), "int32"), "count"), net.tensor(Out((2,)), "y")]
    net.op("WHILE", [start, s], out, "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    main.outputs = out
    net.subgraph()
    a, _ = net.input(In((), "int32"), "a"), net.input(In((2,)), "b")
    going = net.tensor(Out((), "bool"))
    net.op("LESS", [a, net.tensor(C(np.int32(4)))], [going], "LessOptions")
    net.graph.outputs = [going]
    net.subgraph()
    a, b = net.input(In((), "int32"), "a"), net.input(In((2,)), "b")
    more, doubled = net.tensor(Out((), "int32")), net.tensor(Out((4,) if grows else (2,)))
    net.op("ADD", [a, net.tensor(C(np.int32(1)))], [more], "AddOptions")
    if grows:
        net.op("CONCATENATION", [b, b], [doubled], "ConcatenationOptions", axis=0)
    else:
        net.op("ADD", [b, b], [doubled], "AddOptions")
    net.graph.outputs = [more, doubled]
    return net


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_while(seed: int, tmp_path: Path) -> None:
    graph = agree(counting(False), tmp_path, seed=seed)
    assert any(isinstance(n.op, ops.Loop) for n in graph)


def test_a_state_that_grows(tmp_path: Path) -> None:
    net = counting(True)
    net.model.subgraphs[0].tensors[3].shape = []
    graph = frontends.load(net.write(tmp_path))
    feeds = {"i": np.array(2, np.int32), "s": np.array([1, 2], np.float32)}
    assert run(graph, feeds)["y"].tolist() == [1, 2, 1, 2, 1, 2, 1, 2]
    assert isinstance(graph.outputs[1].type.shape[0], Symbol)


def test_subgraphs_in_a_circle(tmp_path: Path) -> None:
    net = counting(False)
    net.op("WHILE", [0, 1], net.graph.outputs, "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    with pytest.raises(UnreadableError, match="MC285"):
        frontends.load(net.write(tmp_path))


def accumulating() -> Net:
    """total += x, which begins as [5, 6]."""
    net = Net()
    main = net.graph
    x, handle = net.input(In((2,)), "x"), net.tensor(Out((), "int32"))
    old, new = net.tensor(Out((2,))), net.tensor(Out((2,)), "y")
    net.op("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    net.op("VAR_HANDLE", [], [handle], "VarHandleOptions", sharedName="total")
    net.op("READ_VARIABLE", [handle], [old], "ReadVariableOptions")
    net.op("ADD", [old, x], [new], "AddOptions")
    net.op("ASSIGN_VARIABLE", [handle, new], [], "AssignVariableOptions")
    main.outputs = [new]
    net.subgraph()
    inner, start = net.tensor(Out((), "int32")), net.tensor(C(np.array([5, 6], np.float32)))
    net.op("VAR_HANDLE", [], [inner], "VarHandleOptions", sharedName="total")
    net.op("ASSIGN_VARIABLE", [inner, start], [], "AssignVariableOptions")
    for graph in net.model.subgraphs:
        for tensor in graph.tensors:
            if tensor.type == 2:
                tensor.type = 13  # a resource
    return net


def test_a_variable_is_an_input_and_an_output(tmp_path: Path) -> None:
    net = accumulating()
    path = net.write(tmp_path)
    graph = frontends.load(path)
    assert [v.name for v in graph.inputs] == ["x", "total"]
    assert graph.output_names[1:] == ("total_next",)
    assert "not zeros" in graph.notes[0]
    x = np.array([1, 2], np.float32)
    found = run(graph, {"x": x, "total": np.array([5, 6], np.float32)})
    (name,) = graph.output_names[:1]
    assert (found[name] == litert(path, {"x": x}, [name])[name]).all()
    assert (found["total_next"] == [6, 8]).all()


# Recurrent layers ----------------------------------------------------------------------------------------------

H, I, B, T = 4, 3, 2, 5  # noqa: E741  units, features, batch, time


def direction(coupled: bool, peepholes: bool) -> list[Any]:
    """Operands 1 to 17 of an LSTM."""
    first = None if coupled else f(H, I)
    gates: list[Any] = [first, f(H, I), f(H, I), f(H, I), None if coupled else f(H, H), f(H, H), f(H, H), f(H, H)]
    gates += [None if coupled or not peepholes else f(H), *(f(H) if peepholes else None for _ in range(2))]
    return [*gates, None if coupled else f(H), f(H), f(H), f(H), None, None]


def places(net: Net, operands: list[Any]) -> list[int]:
    return [-1 if o is None else net.tensor(o) for o in operands]


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("major", [False, True])
def test_lstm(coupled: bool, peepholes: bool, major: bool, tmp_path: Path) -> None:
    net = Net()
    shape = (T, B, I) if major else (B, T, I)
    x, y = net.input(In(shape), "x"), net.tensor(Out((*shape[:2], H)), "y")
    operands = [*direction(coupled, peepholes), State((B, H)), State((B, H)), None, None, None, None]
    net.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *places(net, operands)], [y], "UnidirectionalSequenceLSTMOptions",
           timeMajor=major, fusedActivationFunction=4)  # fmt: skip
    net.graph.outputs = [y]
    graph = agree(net, tmp_path, delegate=False)
    assert "begins as zeros" in graph.notes[0]


@pytest.mark.parametrize("merged", [False, True])
def test_bidirectional_lstm(merged: bool, tmp_path: Path) -> None:
    net = Net()
    x = net.input(In((T, B, I)), "x")
    ys = [net.tensor(Out((T, B, 2 * H if merged else H)), f"y{i}") for i in range(1 if merged else 2)]
    states = [State((B, H))] * 4
    operands = [*direction(False, False), *direction(False, False), *states, *[None] * 9]
    net.op("BIDIRECTIONAL_SEQUENCE_LSTM", [x, *places(net, operands)], ys, "BidirectionalSequenceLSTMOptions",
           mergeOutputs=merged, timeMajor=True, fusedActivationFunction=4)  # fmt: skip
    net.graph.outputs = ys
    agree(net, tmp_path, delegate=False)


@pytest.mark.parametrize("activation", [0, 1, 4])
def test_rnn(activation: int, tmp_path: Path) -> None:
    net = Net()
    x, y = net.input(In((B, T, I)), "x"), net.tensor(Out((B, T, H)), "y")
    net.op("UNIDIRECTIONAL_SEQUENCE_RNN", [x, *places(net, [f(H, I), f(H, H), f(H), State((B, H))])], [y],
           "SequenceRNNOptions", fusedActivationFunction=activation)  # fmt: skip
    net.graph.outputs = [y]
    agree(net, tmp_path, delegate=False)


def test_bidirectional_rnn(tmp_path: Path) -> None:
    net = Net()
    x, y = net.input(In((B, T, I)), "x"), net.tensor(Out((B, T, 2 * H)), "y")
    side = [f(H, I), f(H, H), f(H), State((B, H))]
    operands = [*side, f(H, I), f(H, H), f(H), State((B, H)), None, None, None]
    net.op("BIDIRECTIONAL_SEQUENCE_RNN", [x, *places(net, operands)], [y], "BidirectionalSequenceRNNOptions",
           mergeOutputs=True, fusedActivationFunction=4)  # fmt: skip
    net.graph.outputs = [y]
    agree(net, tmp_path, delegate=False)


def test_basic_lstm_step(tmp_path: Path) -> None:
    net = Net()
    x, h, c = net.input(In((B, I)), "x"), net.input(In((B, H)), "h"), net.input(In((B, H)), "c")
    outs = [net.tensor(Out(s), n) for s, n in (((B, H), "y"), ((B, H), "c2"), ((B, I + H), "s"), ((B, 4 * H), "t"))]
    w, b = net.tensor(f(4 * H, I + H)), net.tensor(f(4 * H))
    net.op("LSTM", [x, h, w, b, c], outs, "LSTMOptions", 2, kernelType=1, fusedActivationFunction=4)
    net.graph.outputs = outs[:2]
    agree(net, tmp_path, delegate=False)


def test_lstm_with_a_projection_is_refused(tmp_path: Path) -> None:
    net = Net()
    x, y = net.input(In((B, T, I)), "x"), net.tensor(Out((B, T, H)), "y")
    operands = [*direction(False, False)[:-2], f(H, H), None, State((B, H)), State((B, H))]
    net.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *places(net, operands)], [y], "UnidirectionalSequenceLSTMOptions",
           fusedActivationFunction=4)  # fmt: skip
    net.graph.outputs = [y]
    with pytest.raises(UnsupportedError, match=r"MC372 .* with a projection"):
        frontends.load(net.write(tmp_path))
