"""Other subgraphs, and variables that keep what they hold between calls of the model."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, TensorType, Value, ops
from mconv.ir.types import Array

from .. import errors
from ..node import TfliteNode
from ..registry import tflite
from ..scope import Variables
from ..tensors import dtype_of
from ..translate import scalar


@tflite("IF", options="IfOptions")
def branch(n: TfliteNode, g: Builder) -> list[Value]:
    """IF: the branch itself where the condition is known, else both."""
    then, other = n.option("ThenSubgraphIndex"), n.option("ElseSubgraphIndex")
    known, arguments = n.known(0), n.all()[1:]
    if known is not None:
        if known.size != 1:
            raise errors.misfit(f"IF's condition is {n[0].type}, not one truth value")
        return n.translation.call(then if known.item() else other, arguments, g)
    bodies = [n.translation.closed(index, [v.type for v in arguments]) for index in (then, other)]
    return list(g.add_all(ops.If(*bodies), scalar(n[0], g), *arguments))


@tflite("WHILE", options="WhileOptions")
def loop(n: TfliteNode, g: Builder) -> list[Value]:
    """WHILE: the condition is asked before the first turn, and after each for the next."""
    condition, body = n.option("CondSubgraphIndex"), n.option("BodySubgraphIndex")
    states = n.all()
    counters = (TensorType(DType.I64, ()), TensorType(DType.BOOL, ()))
    graph = n.translation.loop_body(condition, body, counters, [v.type for v in states])
    going = n.translation.condition(condition, states, g)
    return list(g.add_all(ops.Loop(graph, len(states)), None, going, *states))


@tflite("STABLEHLO_COMPOSITE", options="StableHLOCompositeOptions", ignores={
    "Name": "its decomposition tells what it does", "Version": "as the name", "CompositeAttributes": "as the name",
    "CompositeAttributesFormat": "as the name"})  # fmt: skip
def composite(n: TfliteNode, g: Builder) -> list[Value]:
    """STABLEHLO_COMPOSITE: a call of the subgraph that defines it."""
    return n.translation.call(n.option("DecompositionSubgraphIndex"), n.all(), g)


# Variables ---------------------------------------------------------------------------------------------------


@tflite("CALL_ONCE", options="CallOnceOptions")
def call_once(n: TfliteNode, g: Builder) -> None:
    """CALL_ONCE: what the subgraph assigns is what variables hold before the first call."""
    variables = _variables(n)
    started = Variables()
    n.translation.call(n.option("InitSubgraphIndex"), [], g, started)
    for name, value in started.now.items():
        if value.data is None:
            raise errors.needs_constant(f"the first content of variable '{name}'")
        variables.initial[name] = value.data


@tflite("VAR_HANDLE", options="VarHandleOptions")
def var_handle(n: TfliteNode, g: Builder) -> list[Value | None]:
    """VAR_HANDLE: a variable's name."""
    names = []
    for option in ("Container", "SharedName"):
        told = n.option(option)
        if told:
            names.append(told.decode("utf-8", errors="replace"))
    for index in n.operator.outputs:
        n.scope.handles[index] = "/".join(names) or "variable"
    return [None] * len(n.operator.outputs)


@tflite("READ_VARIABLE", options="ReadVariableOptions")
def read_variable(n: TfliteNode, g: Builder) -> Value:
    """READ_VARIABLE: what was assigned last, or else an input of the model."""
    variables, name = _variables(n), _handle(n)
    if name not in variables.now:
        start = variables.initial.get(name)
        type = TensorType.of(start) if start is not None else TensorType(dtype_of(n.out()), n.out().shape)
        value = g.graph.add_input(_free(g, name), type)
        variables.now[name] = value
        n.translation.note(_told(name, start))
    return variables.now[name]


@tflite("ASSIGN_VARIABLE", options="AssignVariableOptions")
def assign_variable(n: TfliteNode, g: Builder) -> None:
    """ASSIGN_VARIABLE: an output of the model, if nothing else is assigned later."""
    _variables(n).now[_handle(n)] = n[1]


def _variables(n: TfliteNode) -> Variables:
    if not n.scope.variables.allowed:
        raise errors.form(f"{n.name} inside of IF, WHILE or a composite")
    return n.scope.variables


def _handle(n: TfliteNode) -> str:
    index = n.operator.inputs[0] if len(n) else -1
    if index not in n.scope.handles:
        raise errors.form(f"{n.name} of a variable that is handed in")
    return n.scope.handles[index]


def _free(g: Builder, name: str) -> str:
    taken, count = {v.name for v in g.graph.inputs}, 0
    found = name
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    if found not in taken and any(v.name == found for v in g.graph.constants):
        g.graph.rename(g.graph.value(found), f"{found}_value")
    return found


def _told(name: str, start: Array | None) -> str:
    zero = start is None or not np.any(start)
    begin = "zeros" if zero else "what the model's own initialisation assigns, which is not zeros"
    return f"variable '{name}' is an input, and '{name}_next' the output to feed to the next call; it begins as {begin}"
