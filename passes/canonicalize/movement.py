"""Movement of data: chains compose; what only renames axes is a Reshape."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Dim, TensorType, Value
from mconv.ir.ops import Concat, Expand, Flatten, Reshape, Slice, Squeeze, Transpose, Unsqueeze
from mconv.ir.types import product

from ..pattern import Match, Refusal, pat
from ..rewrite import Add, rule


def reshape_to(x: TensorType, shape: Sequence[Dim]) -> Reshape:
    """The Reshape from ``x`` to ``shape``; Refusal where 0 (copy) and -1 (infer) cannot say a symbol."""
    dims: list[int] = []
    for axis, dim in enumerate(shape):
        if isinstance(dim, int):
            dims.append(dim)
        elif axis < x.rank and x.shape[axis] == dim:
            dims.append(0)
        else:
            dims.append(-1)
    if dims.count(-1) > 1:
        raise Refusal("more than one size is known only at run time")
    if -1 in dims and product(x.shape) == 0:
        raise Refusal("an empty tensor")
    if 0 in shape:
        return Reshape(tuple(dims), allow_zero=True)
    return Reshape(tuple(dims))


@rule(pat((Squeeze, Unsqueeze, Flatten), "x"))
def name_reshape(m: Match, add: Add) -> Value:
    """Squeeze, Unsqueeze and Flatten are Reshape."""
    return add(reshape_to(m["x"].type, m.root.result.type.shape), m["x"])


@rule(pat(Reshape, pat(Reshape, "x")))
def compose_reshapes(m: Match, add: Add) -> Value:
    """Reshape(Reshape(x)) is Reshape(x)."""
    m.require(m.op(Reshape).shape is not None, "the shape is known only at run time")
    return add(reshape_to(m["x"].type, m.root.result.type.shape), m["x"])


@rule(pat(Transpose, pat(Transpose, "x")))
def compose_transposes(m: Match, add: Add) -> Value:
    """Transpose(Transpose(x)) is one Transpose."""
    outer, inner = (node.op for node in m.nodes)
    assert isinstance(outer, Transpose)
    assert isinstance(inner, Transpose)
    return add(Transpose(tuple(inner.perm[axis] for axis in outer.perm)), m["x"])


@rule(pat(Transpose, "x"))
def name_transpose_of_units_reshape(m: Match, add: Add) -> Value:
    """A Transpose that moves only axes of size one is a Reshape."""
    shape = m["x"].type.shape
    moved = [axis for axis in m.op(Transpose).perm if shape[axis] != 1]
    m.require(moved == sorted(moved), "an axis longer than one changes places")
    return add(reshape_to(m["x"].type, m.root.result.type.shape), m["x"])


@rule(pat(Transpose, pat(Reshape, "x")))
def pull_units_out_of_transpose(m: Match, add: Add) -> Value:
    """Transpose(Reshape(x)) where the reshape only adds axes of size one is Reshape(Transpose(x))."""
    m.require(m.only_reader(Reshape), "the reshaped value is read elsewhere")
    x = m["x"].type
    inner = m.node(Reshape).result.type.shape
    m.require(len(inner) > x.rank, "no axis is added")
    kept = [axis for axis, dim in enumerate(inner) if dim != 1]
    m.require([d for d in inner if d != 1] == [d for d in x.shape if d != 1], "axes are merged or split")
    m.require(all(d != 1 for d in x.shape), "x has axes of size one itself")
    perm = tuple(kept.index(axis) for axis in m.op(Transpose).perm if axis in kept)
    turned = add(Transpose(perm), m["x"])
    return add(reshape_to(turned.type, m.root.result.type.shape), turned)


@rule(pat(Expand, "x"))
def name_expand_of_units_reshape(m: Match, add: Add) -> Value:
    """An Expand that only adds leading axes of size one is a Reshape."""
    op = m.op(Expand)
    m.require(op.shape is not None, "the shape is known only at run time")
    x, y = m["x"].type.shape, m.root.result.type.shape
    m.require(y[len(y) - len(x) :] == x and all(d == 1 for d in y[: len(y) - len(x)]), "it repeats")
    return add(reshape_to(m["x"].type, y), m["x"])


@rule(pat(Slice, pat(Slice, "x")))
def compose_slices_of_different_axes(m: Match, add: Add) -> Value:
    """Slice(Slice(x)) along different axes is one Slice."""
    outer, inner = (node.op for node in m.nodes)
    assert isinstance(outer, Slice)
    assert isinstance(inner, Slice)
    m.require(m.inner_unshared(), "the inner slice is read elsewhere")
    parts = [(op.starts, op.ends, op.axes, op.steps) for op in (inner, outer)]
    m.require(all(p is not None for each in parts for p in each), "bounds are known only at run time")
    m.require(not set(inner.axes or ()) & set(outer.axes or ()), "both cut the same axis")
    joined = [tuple(a or ()) + tuple(b or ()) for a, b in zip(*parts, strict=True)]
    return add(Slice(*joined), m["x"])


@rule(pat(Concat))
def merge_concats(m: Match, add: Add) -> Value:
    """A Concat among the operands of a Concat along the same axis joins it."""
    axis = m.op(Concat).axis
    parts: list[Value] = []
    for value in m.root.inputs:
        node = value.producer
        if node is not None and node.op == Concat(axis) and m.graph.use_count(value) == 1:
            parts.extend(node.inputs)
        else:
            parts.append(value)
    m.require(len(parts) > len(m.root.inputs), "no operand is a Concat of its own along this axis")
    return add(Concat(axis), *parts)


@rule(pat(Concat))
def continue_earlier_concat(m: Match, add: Add) -> Value:
    """Concat(a, b, c) beside Concat(a, b) is Concat(Concat(a, b), c): dense blocks join ever more of the same parts."""
    parts, op = m.root.inputs, m.op(Concat)
    shorter = [
        node for node in parts[0].readers if node.op == op and 1 < len(node.inputs) < len(parts)
        and all(a is b for a, b in zip(node.inputs, parts, strict=False))
    ]  # fmt: skip
    m.require(shorter, "no earlier Concat begins it")
    longest = max(shorter, key=lambda node: len(node.inputs))
    return add(op, longest.result, *parts[len(longest.inputs) :])


@rule(pat(Concat))
def drop_empty_parts(m: Match, add: Add) -> Value:
    """Concat of parts of which some are empty along its axis is the Concat of the others."""
    op = m.op(Concat)
    parts = [v for v in m.root.inputs if v.type.shape[op.axis] != 0]
    m.require(0 < len(parts) < len(m.root.inputs), "no part is empty, or all are")
    return parts[0] if len(parts) == 1 else add(op, *parts)


MOVEMENT = (
    drop_empty_parts,
    name_reshape,
    compose_reshapes,
    compose_transposes,
    name_transpose_of_units_reshape,
    pull_units_out_of_transpose,
    name_expand_of_units_reshape,
    compose_slices_of_different_axes,
    merge_concats,
)
