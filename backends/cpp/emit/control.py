"""If, Loop and Scan: a body's steps are parts of one step, inside an if or a for.

All memory of a body lives as long as that step, so nothing in it is shared with what lives outside.
"""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import DType, Graph, Node, Value
from mconv.ir import ops as o

from .. import reorder
from ..backend import cpp
from ..net import Net
from ..step import Step
from ..view import Buffer, View, row_major, transposed


def bodies_taken(node: Node) -> bool | str:
    """each operator of the bodies is taken"""
    op = node.op
    bodies = [op.then_branch, op.else_branch] if isinstance(op, o.If) else [op.body]  # type: ignore[attr-defined]
    for body in bodies:
        for inner in body.nodes:
            why = cpp.refusal(inner)
            if why is not None:
                return f"{type(inner.op).__name__} in its body: {why}"
        loose = [v for v in (*body.inputs, *body.outputs) if not v.type.is_static]
        if loose:
            return f"%{loose[0].name} in its body is {loose[0].type}, whose size only running tells"
    return True


class Body:
    """The steps of a body, joined, and where its results lie (dense)."""

    def __init__(self, net: Net, graph: Graph, inputs: Sequence[Sequence[View]]) -> None:
        kept = net.graph, net.output_buffers, net.steps, net._node
        buffers = [net.allocate(v.type.nbytes or 0) for v in graph.outputs]
        net.graph, net.output_buffers, net.steps = graph, buffers, []
        for value, views in zip(graph.inputs, inputs, strict=True):
            net._views[value] = list(views)
        for node in graph.nodes:
            problem = cpp._emit_node(node, net)
            assert problem is None, problem
        net.finish()
        self.steps: list[Step] = net.steps
        net.graph, net.output_buffers, net.steps, net._node = kept
        for value in [*graph.inputs, *(v for n in graph.nodes for v in n.results)]:
            net._views.pop(value, None)
        self.results = [
            View(b, v.type.dtype, v.type.static_shape, row_major(v.type.static_shape))
            for b, v in zip(buffers, graph.outputs, strict=True)
        ]

    @property
    def lines(self) -> list[str]:
        """The steps' texts, each in a block of its own."""
        lines = []
        for step in self.steps:
            text = step.text if step.stream is None else step.stream.filled(step.text, {}, "0", str(step.stream.rows))
            lines += ["  {", *(f"    {line}" for line in text.splitlines()), "  }"]
        return lines

    @property
    def scratch(self) -> int:
        """Bytes a worker."""
        return max((s.scratch for s in self.steps), default=0)

    def touched(self) -> list[Buffer]:
        """All buffers that a step reads or writes."""
        return list(dict.fromkeys(b for s in self.steps for b in (*s.reads, *s.writes)))


def _copied(net: Net, source: View, target: View) -> str:
    """C++ that copies one dense value into another."""
    size = target.dtype.size
    for n in target.shape:
        size *= n
    return f"memcpy({net.ptr(target)}, {net.ptr(source)}, {size});"


def _filled(net: Net, value: Value, result: Value) -> View:
    """Memory for a result, with an operand's content."""
    y = net.result(result)
    reorder.copy(net, net.view(value), y)
    return y


@cpp.emits(o.If, where=(bodies_taken,))
def branches(node: Node, net: Net) -> None:
    """Both branches' steps, of which one runs."""
    op = node.op
    assert isinstance(op, o.If)
    condition = net.planar(node.inputs[0])
    captures = [net.views(v) for v in node.inputs[1:]]
    results = [net.result(v) for v in node.results]
    lines, scratch, touched = [f"if (*{net.ptr(condition)}) {{"], 0, []
    for number, graph in enumerate((op.then_branch, op.else_branch)):
        body = Body(net, graph, captures)
        lines += ["} else {"] if number else []
        lines += body.lines
        lines += [f"  {_copied(net, a, b)}" for a, b in zip(body.results, results, strict=True)]
        scratch = max(scratch, body.scratch)
        touched += [*body.touched(), *(v.buffer for v in body.results)]
    net.step("\n".join([*lines, "}"]), [condition, *touched], [*touched, *results], scratch=scratch)


@cpp.emits(o.Loop, where=(bodies_taken,))
def loop(node: Node, net: Net) -> None:
    """A loop whose trips are counted at run time; values that are stacked have a known number."""
    op = node.op
    assert isinstance(op, o.Loop)
    trips, condition = node.operands[0], node.operands[1]
    values = [v for v in node.operands[2:] if v is not None]
    states = [_filled(net, v, r) for v, r in zip(values[: op.states], node.results[: op.states], strict=True)]
    scans = [net.result(v) for v in node.results[op.states :]]
    step, going = net.fresh(DType.I64, ()), net.fresh(DType.BOOL, ())
    heads = [net.planar(v) for v in (trips, condition) if v is not None]
    body = Body(net, op.body, [[step], [going], *([s] for s in states), *(net.views(v) for v in values[op.states :])])
    bound = f" && trip < {scans[0].shape[0]}" if scans else ""
    limit = f"int64_t(*{net.ptr(heads[0])})" if trips is not None else "INT64_MAX"
    lines = [
        f"*{net.ptr(going)} = {'true' if condition is None else '*' + net.ptr(heads[-1])};",
        f"const int64_t trips = {limit};",
        f"for (int64_t trip = 0; trip < trips{bound} && *{net.ptr(going)}; trip++) {{",
        f"  *{net.ptr(step)} = trip;",
        *body.lines,
        f"  *{net.ptr(going)} = *{net.ptr(body.results[0])};",
        *(f"  {_copied(net, a, b)}" for a, b in zip(body.results[1:], states, strict=False)),
        *(_stacked(net, a, b, "trip") for a, b in zip(body.results[1 + op.states :], scans, strict=True)),
        "}",
    ]
    touched = [*body.touched(), *(v.buffer for v in (*body.results, step, going))]
    net.step("\n".join(lines), [*heads, *touched], [*touched, *states, *scans], needs=["run"], scratch=body.scratch)


def _stacked(net: Net, source: View, target: View, index: str) -> str:
    size = source.dtype.size
    for n in source.shape:
        size *= n
    return f"  memcpy((char*){net.ptr(target)} + {index} * {size}, {net.ptr(source)}, {size});"


@cpp.emits(o.Scan, where=(bodies_taken,))
def scan(node: Node, net: Net) -> None:
    """A loop over slices; sequences are brought into their order before, and results after."""
    op = node.op
    assert isinstance(op, o.Scan)
    count = len(op.input_axes)
    values = node.inputs
    states = [_filled(net, v, r) for v, r in zip(values[: op.states], node.results[: op.states], strict=True)]
    sequences, slices = [], []
    for value, axis in zip(values[op.states : op.states + count], op.input_axes, strict=True):
        view = net.planar(value)
        turned = transposed(view, (axis, *(a for a in range(len(view.shape)) if a != axis)))
        dense = view if axis == 0 else net.fresh(view.dtype, turned.shape)
        if axis != 0:
            reorder.copy(net, turned, dense)
        sequences.append(dense)
        slices.append(net.fresh(view.dtype, dense.shape[1:]))
    length = sequences[0].shape[0]
    captures = [net.views(v) for v in values[op.states + count :]]
    body = Body(net, op.body, [*([s] for s in states), *([s] for s in slices), *captures])
    outs = body.results[op.states :]
    stacks = [net.fresh(v.dtype, (length, *v.shape)) for v in outs]
    lines = [f"for (int64_t trip = 0; trip < {length}; trip++) {{"]
    for sequence, part, backwards in zip(sequences, slices, op.input_directions, strict=True):
        at = f"({length - 1} - trip)" if backwards else "trip"
        size = part.dtype.size
        for n in part.shape:
            size *= n
        lines.append(f"  memcpy({net.ptr(part)}, (const char*){net.ptr(sequence)} + {at} * {size}, {size});")
    lines += body.lines
    lines += [f"  {_copied(net, a, b)}" for a, b in zip(body.results, states, strict=False)]
    for source, stack, backwards in zip(outs, stacks, op.output_directions, strict=True):
        lines.append(_stacked(net, source, stack, f"({length - 1} - trip)" if backwards else "trip"))
    touched: list[Buffer] = [*body.touched(), *(v.buffer for v in (*body.results, *slices))]
    reads: list[View | Buffer] = [*sequences, *touched]
    writes: list[View | Buffer] = [*touched, *states, *stacks]
    net.step("\n".join([*lines, "}"]), reads, writes, needs=["run"], scratch=body.scratch)
    for result, stack, axis in zip(node.results[op.states :], stacks, op.output_axes, strict=True):
        rest = list(range(1, len(stack.shape)))
        net.give(result, transposed(stack, (*rest[:axis], 0, *rest[axis:])))
