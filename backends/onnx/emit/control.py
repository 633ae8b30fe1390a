"""Control flow: the IR's bodies are closed, ONNX's read the graph around them by name."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Graph, Node, UnsupportedError, Value
from mconv.ir.ops import If, Loop, Scan

from ..backend import no_bfloat, onnx_backend
from ..model import Model


def _body_problems(graph: Graph, model: Model) -> None:
    onnx_backend.check(graph)
    problems = onnx_backend.emit_nodes(graph, model)
    if problems:
        raise UnsupportedError(problems)


def _capture(model: Model, body: Graph, values: Sequence[Value | None], first: int) -> None:
    """The inputs of ``body`` from ``first`` on are known by the names of the captured values."""
    for inner, outer in zip(body.inputs[first:], values, strict=True):
        assert outer is not None
        model.bind(inner, model.name_of(outer))


def bodies_too(node: Node) -> bool | str:
    """its bodies can be written too."""
    bodies = [b for name in node.op.attributes() if isinstance(b := getattr(node.op, name), Graph)]
    for body in bodies:
        for inner in body.nodes:
            why = onnx_backend.refusal(inner)
            if why is not None:
                return f"{type(inner.op).__name__} inside it: {why}"
    return True


@onnx_backend.emits(If, where=(no_bfloat, bodies_too))
def if_(node: Node, model: Model) -> None:
    """If."""
    op = node.op
    assert isinstance(op, If)
    branches = {}
    for key, body in (("then_branch", op.then_branch), ("else_branch", op.else_branch)):
        _capture(model, body, node.operands[1:], 0)
        branches[key] = model.body(body, (), _body_problems)
        model.begin(node)
    model.node("If", [model.name_of(node.inputs[0])], [model.name_of(v) for v in node.results], **branches)


@onnx_backend.emits(Loop, where=(no_bfloat, bodies_too))
def loop(node: Node, model: Model) -> None:
    """Loop."""
    op = node.op
    assert isinstance(op, Loop)
    states = 2 + op.states
    _capture(model, op.body, node.operands[states:], states)
    body = model.body(op.body, op.body.inputs[:states], _body_problems)
    model.begin(node)
    inputs = ["" if v is None else model.name_of(v) for v in node.operands[:states]]
    outputs = [model.name_of(v) for v in node.results]
    model.node("Loop", inputs, outputs, body=body)


@onnx_backend.emits(Scan, where=(no_bfloat, bodies_too))
def scan(node: Node, model: Model) -> None:
    """Scan."""
    op = node.op
    assert isinstance(op, Scan)
    count = op.states + len(op.input_axes)
    _capture(model, op.body, node.operands[count:], count)
    body = model.body(op.body, op.body.inputs[:count], _body_problems)
    model.begin(node)
    model.node(
        "Scan",
        [model.name_of(v) for v in node.inputs[:count]],
        [model.name_of(v) for v in node.results],
        body=body,
        num_scan_inputs=len(op.input_axes),
        scan_input_axes=op.input_axes,
        scan_input_directions=[int(d) for d in op.input_directions],
        scan_output_axes=op.output_axes,
        scan_output_directions=[int(d) for d in op.output_directions],
    )
