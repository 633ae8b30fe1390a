"""Reads the text form (see ``ir.text``) back into a graph."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import lark
import numpy as np

from .errors import Problem, UnreadableError
from .graph import NOWHERE, Graph, Origin, Value
from .op import OPERATORS
from .types import DType, Symbol, TensorType

_GRAMMAR = r"""
    graph: "graph" STRING "{" line* "}"
    ?line: input | const | node | result
    input: names "=" "input" ":" type
    const: names "=" "const" content ":" type
    node: names "=" call operands? ":" types origin?
    result: "return" STRING "=" NAME
    names: NAME ("," NAME)*
    operands: operand ("," operand)*
    operand: NAME | "_"
    types: type ("," type)*
    type: WORD "[" [dim ("," dim)*] "]"
    dim: INT | WORD | STRING
    origin: "@" STRING STRING
    content: "[" [scalar ("," scalar)*] "]" | "base64" STRING -> base64 | "elided" STRING -> elided
    call: WORD "(" [attribute ("," attribute)*] ")"
    attribute: WORD "=" value
    ?value: scalar | STRING -> string | tuple | call | graph
    tuple: "(" [value ("," value)*] ")"
    scalar: INT -> integer | FLOAT -> real | WORD -> word
    NAME: "%" (/[A-Za-z0-9_.\/:\-]+/ | STRING)
    STRING: /"(\\.|[^"\\])*"/
    INT.2: /-?[0-9]+(?![0-9.e])/
    FLOAT.2: /-?([0-9]+\.[0-9]*(e[+-]?[0-9]+)?|[0-9]+e[+-]?[0-9]+|inf)/
    WORD: /[A-Za-z_][A-Za-z0-9_]*/
    %ignore /\s+/
    %ignore /#[^\n]*/
"""


@cache
def _parser() -> lark.Lark:
    return lark.Lark(_GRAMMAR, start="graph", parser="lalr", propagate_positions=True)


def parse_graph(text: str) -> Graph:
    """The graph that ``text`` describes; UnreadableError (MC250) with line and column where it is not one."""
    try:
        return _graph(_parser().parse(text))
    except lark.exceptions.UnexpectedInput as error:
        context = error.get_context(text).rstrip()
        place = f"line {error.line}, column {error.column}"
        raise UnreadableError(Problem("MC250", f"not the text of a graph:\n{context}", where=place)) from None
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(Problem("MC250", f"not the text of a graph: {error}")) from None


def _graph(tree: Any) -> Graph:
    name, *lines = tree.children
    graph = Graph(json.loads(name))
    known: dict[str, Value] = {}
    for line in lines:
        _LINES[str(line.data)](graph, known, *line.children)
    return graph


def _input(graph: Graph, known: dict[str, Value], names: Any, type: Any) -> None:
    (name,) = names.children
    known[_name(name)] = graph.add_input(_name(name), _type(type))


def _const(graph: Graph, known: dict[str, Value], names: Any, content: Any, type: Any) -> None:
    (name,) = names.children
    wanted = _type(type)
    shape, dtype = wanted.static_shape, wanted.dtype.numpy
    if content.data == "elided":
        raise ValueError(f'constant %{_name(name)} was elided; print the graph with constants="full"')
    if content.data == "base64":
        data = np.frombuffer(base64.b64decode(json.loads(content.children[0])), dtype=dtype.newbyteorder("<"))
    else:
        data = np.array([_value(c) for c in content.children if c is not None])
    known[_name(name)] = graph.add_constant(data.astype(dtype).reshape(shape), _name(name))


def _node(graph: Graph, known: dict[str, Value], names: Any, call: Any, *rest: Any) -> None:
    parts = {part.data: part for part in rest if part is not None}
    operands = [known[_name(o.children[0])] if o.children else None for o in _children(parts.get("operands"))]
    origin = Origin(*(json.loads(s) for s in parts["origin"].children)) if "origin" in parts else NOWHERE
    wanted = [_name(n) for n in names.children]
    node = graph.add(_value(call), operands, name=wanted[0], result_names=wanted, origin=origin)
    for result, name, type in zip(node.results, wanted, parts["types"].children, strict=True):
        graph.set_type(result, _type(type))
        known[name] = result


def _result(graph: Graph, known: dict[str, Value], name: Any, value: Any) -> None:
    graph.add_output(known[_name(value)], json.loads(name))


_LINES: dict[str, Callable[..., None]] = {"input": _input, "const": _const, "node": _node, "result": _result}


def _children(tree: Any) -> list[Any]:
    return tree.children if tree is not None else []


def _name(token: str) -> str:
    return str(json.loads(token[1:])) if token.startswith('%"') else str(token[1:])


def _type(tree: Any) -> TensorType:
    dtype, *dims = tree.children
    return TensorType(DType(str(dtype)), tuple(_dim(d.children[0]) for d in dims if d is not None))


def _dim(token: Any) -> int | Symbol:
    if token.type == "INT":
        return int(token)
    return Symbol(json.loads(token) if token.type == "STRING" else str(token))


def _value(tree: Any) -> Any:
    match tree.data:
        case "integer":
            return int(tree.children[0])
        case "real":
            return float(tree.children[0])
        case "word":
            return _word(str(tree.children[0]))
        case "string":
            return json.loads(tree.children[0])
        case "tuple":
            return tuple(_value(c) for c in tree.children if c is not None)
        case "graph":
            return _graph(tree)
    name, *attributes = tree.children
    if str(name) not in OPERATORS:
        raise KeyError(f"no operator is called {name}")
    pairs = (a.children for a in attributes if a is not None)
    return OPERATORS[str(name)](**{str(key): _value(value) for key, value in pairs})


def _word(word: str) -> Any:
    words = {"true": True, "false": False, "none": None, "inf": float("inf"), "nan": float("nan")}
    return words[word] if word in words else DType(word)
