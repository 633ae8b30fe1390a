"""Operators that do nothing are their operand."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import (
    Cast,
    Clip,
    Concat,
    Expand,
    Flatten,
    Identity,
    Pad,
    Reshape,
    Resize,
    Slice,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)

from ..pattern import Match, pat
from ..rewrite import Add, rule


@rule(pat((Identity,), "x"))
def drop_identity(m: Match, add: Add) -> Value:
    """Identity(x) is x."""
    return m["x"]


@rule(pat(Cast, "x"))
def drop_cast_to_same_type(m: Match, add: Add) -> Value:
    """Cast(x) to x's own type is x."""
    m.require(m["x"].type.dtype == m.root.result.type.dtype, "the cast changes the element type")
    return m["x"]


@rule(pat((Reshape, Expand, Tile, Slice, Squeeze, Unsqueeze, Flatten), "x"))
def drop_movement_that_keeps_shape(m: Match, add: Add) -> Value:
    """Reshape, Expand, Tile or Slice(x) with x's own shape is x."""
    x = m["x"]
    op = m.root.op
    m.require(x.type.shape == m.root.result.type.shape, "the shape changes")
    m.require(not isinstance(op, Slice) or all(s == 1 for s in op.steps or (-1,)), "a slice that reverses")
    m.require(x.type.is_static or not isinstance(op, Slice | Tile), "sizes are known only at run time")
    return x


@rule(pat(Transpose, "x"))
def drop_identity_transpose(m: Match, add: Add) -> Value:
    """Transpose(x) by the identical permutation is x."""
    m.require(m.op(Transpose).perm == tuple(range(m["x"].type.rank)), "axes change places")
    return m["x"]


@rule(pat(Pad, "x"))
def drop_empty_pad(m: Match, add: Add) -> Value:
    """Pad(x) by nothing is x."""
    pads = m.op(Pad).pads
    m.require(pads is not None and not any(pads), "it pads")
    return m["x"]


@rule(pat(Clip, "x"))
def drop_open_clip(m: Match, add: Add) -> Value:
    """Clip(x) without bounds is x."""
    op = m.op(Clip)
    m.require(op.min is None and op.max is None, "it has a bound")
    return m["x"]


@rule(pat(Split, pat(Concat, label="joined")))
def drop_split_of_concat(m: Match, add: Add) -> tuple[Value, ...]:
    """Split(Concat(xs)) into the parts that were joined is xs."""
    split, parts = m.op(Split), m.node("joined").inputs
    m.require(m.op(Concat).axis == split.axis, "along different axes")
    m.require(tuple(v.type.shape[split.axis] for v in parts) == split.sizes, "into other parts")
    return parts


@rule(pat((Concat, Split)))
def drop_concat_of_one(m: Match, add: Add) -> Value:
    """Concat of one operand, or Split into one part, is that operand."""
    m.require(len(m.root.operands) == 1 and len(m.root.results) == 1, "more than one part")
    return m.root.inputs[0]


@rule(pat(Resize, "x"))
def drop_resize_to_same_size(m: Match, add: Add) -> Value:
    """Resize(x) by factors of one is x."""
    op = m.op(Resize)
    x = m["x"]
    m.require(op.scales is None or all(s == 1 for s in op.scales), "a factor is not one")
    m.require(x.type.is_static and x.type.shape == m.root.result.type.shape, "the size changes")
    m.require(op.coordinates != "tf_crop_and_resize", "it crops")
    return x


IDENTITY = (
    drop_identity,
    drop_cast_to_same_type,
    drop_movement_that_keeps_shape,
    drop_identity_transpose,
    drop_empty_pad,
    drop_open_clip,
    drop_concat_of_one,
    drop_split_of_concat,
    drop_resize_to_same_size,
)
