"""Movement of data in terms of Reshape, Transpose, Slice, Concat and Pad."""

from __future__ import annotations

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    ChannelShuffle,
    Concat,
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    MaxPool,
    Mul,
    Pad,
    Quantize,
    Reshape,
    Resize,
    Slice,
    SpaceToDepth,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Trilu,
    Unfold,
    Unsqueeze,
    Where,
)

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

MAX_PIECES = 64
"""A node is not taken apart into more pieces than this."""


def cut(add: Add, x: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """x[start:end:step] along one axis."""
    return add(Slice((start,), (end,), (axis,), (step,)), x)


@decompose(Squeeze, Unsqueeze, Flatten)
def reshape_for_unit_axes(m: Match, add: Add) -> Value:
    """Squeeze, Unsqueeze and Flatten are Reshape."""
    return add(reshape_to(m["x"].type, m.root.result.type.shape), m["x"])


@decompose(Split)
def slices_for_split(m: Match, add: Add) -> tuple[Value, ...]:
    """Split is one Slice a part."""
    op = m.op(Split)
    m.require(len(op.sizes) <= MAX_PIECES, f"more than {MAX_PIECES} parts")
    ends = np.cumsum(op.sizes).tolist()
    return tuple(cut(add, m["x"], op.axis, e - s, e) for s, e in zip(op.sizes, ends, strict=True))


@decompose(ChannelShuffle)
def transpose_for_channel_shuffle(m: Match, add: Add) -> Value:
    """ChannelShuffle is Reshape, Transpose, Reshape."""
    x, groups = m["x"], m.op(ChannelShuffle).groups
    m.require(x.type.is_static, "sizes are known only at run time")
    n, c, *rest = x.type.static_shape
    split = add(Reshape((n, groups, c // groups, int(np.prod(rest)))), x)
    return add(Reshape(x.type.static_shape), add(Transpose((0, 2, 1, 3)), split))


@decompose(DepthToSpace)
def transpose_for_depth_to_space(m: Match, add: Add) -> Value:
    """DepthToSpace is Reshape, Transpose, Reshape."""
    x, op = m["x"], m.op(DepthToSpace)
    m.require(x.type.is_static, "sizes are known only at run time")
    n, c, h, w = x.type.static_shape
    r = op.blocksize
    if op.mode == "CRD":
        split, perm = (n, c // (r * r), r, r, h, w), (0, 1, 4, 2, 5, 3)
    else:
        split, perm = (n, r, r, c // (r * r), h, w), (0, 3, 4, 1, 5, 2)
    return add(Reshape((n, c // (r * r), h * r, w * r)), add(Transpose(perm), add(Reshape(split), x)))


@decompose(SpaceToDepth)
def transpose_for_space_to_depth(m: Match, add: Add) -> Value:
    """SpaceToDepth is Reshape, Transpose, Reshape."""
    x, r = m["x"], m.op(SpaceToDepth).blocksize
    m.require(x.type.is_static, "sizes are known only at run time")
    n, c, h, w = x.type.static_shape
    turned = add(Transpose((0, 3, 5, 1, 2, 4)), add(Reshape((n, c, h // r, r, w // r, r)), x))
    return add(Reshape((n, c * r * r, h // r, w // r)), turned)


@decompose(Gather)
def slices_for_gather(m: Match, add: Add) -> Value:
    """Gather with few known indices is a Concat of Slices, one a run of indices with equal steps."""
    x, axis = m["x"], m.op(Gather).axis
    indices = m.const("indices")
    m.require(x.data is None, "a table of constants")
    size = x.type.shape[axis]
    m.require(isinstance(size, int), "sizes are known only at run time")
    assert isinstance(size, int)
    runs = _runs([int(i) + size if i < 0 else int(i) for i in indices.reshape(-1)])
    m.require(0 < len(runs) <= MAX_PIECES, f"more than {MAX_PIECES} runs of indices, or none")
    parts = [cut(add, x, axis, first, first + count * step, step) for first, step, count in runs]
    joined = parts[0] if len(parts) == 1 else add(Concat(axis), *parts)
    return add(reshape_to(joined.type, m.root.result.type.shape), joined)


def _runs(indices: list[int]) -> list[tuple[int, int, int]]:
    """(first, step, count) of the runs with equal positive steps, greedily from the left."""
    runs: list[tuple[int, int, int]] = []
    for index in indices:
        if runs:
            first, step, count = runs[-1]
            gap = index - (first + (count - 1) * step)
            if gap > 0 and (count == 1 or gap == step):
                runs[-1] = (first, gap, count + 1)
                continue
        runs.append((index, 1, 1))
    return runs


@decompose(Unfold)
def slices_for_unfold(m: Match, add: Add) -> Value:
    """Unfold is a Concat of Slices: of its windows, or of each place in all windows, whichever are fewer."""
    x, op = m["x"], m.op(Unfold)
    shape = m.root.result.type.shape
    windows, axis, last = shape[op.axis], op.axis, x.type.rank
    m.require(isinstance(windows, int), "sizes are known only at run time")
    assert isinstance(windows, int)
    m.require(min(windows, op.size) <= MAX_PIECES, f"more than {MAX_PIECES} windows and places in them")
    if windows < op.size:
        behind = add(Transpose((*(a for a in range(last) if a != axis), axis)), x)
        begins = range(0, windows * op.step, op.step)
        parts = [cut(add, behind, last - 1, begin, begin + op.size) for begin in begins]
        along, single = axis, (*shape[:axis], 1, *shape[axis + 1 :])
    else:
        span = (windows - 1) * op.step + 1
        parts = [cut(add, x, axis, place, place + span, op.step) for place in range(op.size)]
        along, single = last, (*shape[:-1], 1)
    pieces = [add(reshape_to(part.type, single), part) for part in parts]
    return pieces[0] if len(pieces) == 1 else add(Concat(along), *pieces)


@decompose(Slice)
def gather_runs_for_steps(m: Match, add: Add) -> Value:
    """A Slice with steps is a Reshape that sets every step-th element apart, after padding to whole steps."""
    x, op = m["x"], m.op(Slice)
    m.require(op.axes is not None and op.steps is not None and x.type.is_static, "bounds or sizes unknown")
    assert op.axes is not None
    assert op.steps is not None
    m.require(any(s != 1 for s in op.steps) and all(s > 0 for s in op.steps), "no steps, or backwards")
    assert op.starts is not None
    value = x
    for axis, step, start in zip(op.axes, op.steps, op.starts, strict=True):
        count = m.root.result.type.shape[axis]
        size = value.type.static_shape[axis]
        assert isinstance(count, int)
        first = max(0, min(size, start + size if start < 0 else start))
        m.require(count > 0, "an empty result")
        if step == 1:
            value = cut(add, value, axis, first, first + count)
        else:
            value = _every(add, value, axis, first, step, count)
    return value


def _every(add: Add, x: Value, axis: int, first: int, step: int, count: int) -> Value:
    """Elements first, first + step, ... (count of them) along an axis."""
    shape = list(x.type.static_shape)
    end = first + count * step
    if end > shape[axis]:  # whole steps only
        pads = [0] * (2 * len(shape))
        pads[len(shape) + axis] = end - shape[axis]
        x = add(Pad("constant", tuple(pads)), x)
    if (first, end) != (0, x.type.shape[axis]):
        x = cut(add, x, axis, first, end)
    before, after = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    apart = cut(add, add(Reshape((before * count, step, after)), x), 1, 0, 1)
    return add(Reshape((*shape[:axis], count, *shape[axis + 1 :])), apart)


@decompose(Slice)
def flipped_for_negative_steps(m: Match, add: Add) -> Value:
    """A Slice that reverses a short axis is a Concat of single elements."""
    x, op = m["x"], m.op(Slice)
    m.require(op.axes is not None and op.steps is not None and x.type.is_static, "bounds or sizes unknown")
    assert op.axes is not None
    assert op.steps is not None
    m.require(len(op.axes) == 1 and op.steps[0] < 0, "it does not reverse one axis")
    axis, step = op.axes[0], op.steps[0]
    count = m.root.result.type.static_shape[axis]
    m.require(0 < count <= MAX_PIECES, f"more than {MAX_PIECES} elements, or none")
    size = x.type.static_shape[axis]
    assert op.starts is not None
    start = op.starts[0] + size if op.starts[0] < 0 else min(op.starts[0], size - 1)
    return add(Concat(axis), *(cut(add, x, axis, start + i * step, start + i * step + 1) for i in range(count)))


@decompose(Slice)
def one_axis_at_a_time(m: Match, add: Add) -> Value:
    """A Slice along several axes is a chain of Slices along one."""
    op, value = m.op(Slice), m["x"]
    parts = (op.starts, op.ends, op.axes, op.steps)
    m.require(all(p is not None for p in parts) and len(op.axes or ()) > 1, "one axis, or bounds unknown")
    for start, end, axis, step in zip(*parts, strict=True):  # type: ignore[arg-type]
        value = add(Slice((start,), (end,), (axis,), (step,)), value)
    return value


@decompose(Tile)
def concat_for_tile(m: Match, add: Add) -> Value:
    """Tile is a Concat along each axis that repeats."""
    value, op = m["x"], m.op(Tile)
    m.require(op.repeats is not None and all(0 < r <= MAX_PIECES for r in op.repeats), "repeats unknown, zero or many")
    for axis, times in enumerate(op.repeats or ()):
        if times > 1:
            value = add(Concat(axis), *[value] * times)
    return value


@decompose(Expand)
def ones_for_expand(m: Match, add: Add) -> Value:
    """Expand is an addition of zeros of the larger shape."""
    x = m["x"]
    m.require(m.root.result.type.is_static, "sizes are known only at run time")
    m.require(x.type.dtype.is_float, "not of floating point")
    shape = m.root.result.type.static_shape
    value = x if x.type.rank == len(shape) else add(
        reshape_to(x.type, (1,) * (len(shape) - x.type.rank) + x.type.shape), x
    )  # fmt: skip
    return add(AddOp(), value, add.constant(np.zeros(shape, x.type.dtype.numpy)))


@decompose(Pad)
def slice_for_negative_pads(m: Match, add: Add) -> Value:
    """A Pad with negative pads is a Slice, then a Pad."""
    x, op = m["x"], m.op(Pad)
    m.require(op.pads is not None and min(op.pads) < 0 and x.type.is_static, "it crops nothing, or sizes unknown")
    assert op.pads is not None
    rank = x.type.rank
    begins, ends = op.pads[:rank], op.pads[rank:]
    sizes = x.type.static_shape
    axes = tuple(range(rank))
    starts = tuple(max(0, -b) for b in begins)
    stops = tuple(s - max(0, -e) for s, e in zip(sizes, ends, strict=True))
    value = add(Slice(starts, stops, axes, (1,) * rank), x)
    return add(op.replace(pads=tuple(max(0, p) for p in op.pads)), value)


@decompose(Pad)
def concat_for_reflection(m: Match, add: Add) -> Value:
    """A Pad that repeats content is a Concat of Slices, axis by axis."""
    value, op = m["x"], m.op(Pad)
    m.require(op.mode in ("reflect", "edge", "wrap") and op.pads is not None, "it pads with a number")
    m.require(value.type.is_static and sum(op.pads or ()) <= MAX_PIECES, "sizes unknown, or many pieces")
    assert op.pads is not None
    rank = value.type.rank
    for axis in range(rank):
        before, after = op.pads[axis], op.pads[rank + axis]
        size = value.type.static_shape[axis]
        m.require(before >= 0 and after >= 0 and max(before, after) < size, "pads reach beyond the axis")
        if before or after:
            indices = np.pad(np.arange(size), (before, after), mode=op.mode)  # type: ignore[call-overload]
            value = add(Gather(axis), value, add.constant(indices))
    return value


@decompose(Where)
def blend_for_known_condition(m: Match, add: Add) -> Value:
    """Where with a known condition is a + (b - a) (1 - c): exact, for the factors are zero and one."""
    c, a, b = m.const("condition"), m["a"], m["b"]
    dtype = a.type.dtype
    m.require(dtype.is_float, "not of floating point")
    for value in (a, b):
        m.require(value.data is None or np.all(np.isfinite(value.data)), "a branch holds an infinity")
    left = add(Mul(), a, add.constant(c.astype(dtype.numpy)))
    return add(AddOp(), left, add(Mul(), b, add.constant((~c).astype(dtype.numpy))))


@decompose(Trilu)
def mask_for_trilu(m: Match, add: Add) -> Value:
    """Trilu is a product with a triangle of ones."""
    x, op = m["x"], m.op(Trilu)
    m.require(op.k is not None and x.type.is_static and x.type.dtype.is_float, "sizes unknown, or integers")
    assert op.k is not None
    ones = np.ones(x.type.static_shape[-2:], x.type.dtype.numpy)
    return add(Mul(), x, add.constant(np.triu(ones, op.k) if op.upper else np.tril(ones, op.k)))


@decompose(Resize)
def repeat_for_nearest(m: Match, add: Add) -> Value:
    """A Resize to nearest elements is a Gather along each axis."""
    value, op = m["x"], m.op(Resize)
    m.require(op.mode == "nearest" and value.type.is_static and op.axes is not None, "not nearest, or sizes unknown")
    m.require(m.root.result.type.is_static, "sizes are known only at run time")
    for axis in op.axes or ():
        size, new = value.type.static_shape[axis], m.root.result.type.static_shape[axis]
        line = np.arange(size, dtype=np.float32).reshape([-1 if i == axis else 1 for i in range(value.type.rank)])
        probe = op.replace(
            axes=(axis,), scales=_only(op.scales, op.axes, axis), sizes=_only(op.sizes, op.axes, axis), roi=None
        )
        picked = np.asarray(probe.evaluate(line, None, None, None)).reshape(-1)
        m.require(picked.size == new and op.coordinates != "tf_crop_and_resize", "it crops")
        value = add(Gather(axis), value, add.constant(picked.astype(np.int64)))
    return value


def _only(values: tuple[float, ...] | None, axes: tuple[int, ...] | None, axis: int) -> tuple[float, ...] | None:
    return None if values is None or axes is None else (values[axes.index(axis)],)


@decompose(MaxPool, Reshape, Transpose, Slice, Squeeze, Unsqueeze, Flatten, Split)
def before_quantize(m: Match, add: Add) -> tuple[Value, ...]:
    """Movement and MaxPool of Quantize(x) are Quantize of the same of x: rounding keeps the order of numbers."""
    x = m["x"]
    node = x.producer
    m.require(node is not None and isinstance(node.op, Quantize), "its operand is not quantized just before")
    assert node is not None
    source, scale = node.inputs[:2]
    m.require(scale.type.numel == 1, "a scale for each element of an axis")
    m.require(scale.data is not None and np.all(scale.data > 0), "a scale that is not positive")
    return tuple(add(node.op, result, *node.operands[1:]) for result in add.all(m.root.op, source))
