"""Windows of other numbers of axes, gaps and groups than a target takes, in terms of those that it takes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mconv.ir import Value
from mconv.ir.ops import Add as AddOp
from mconv.ir.ops import (
    ArgMax,
    AveragePool,
    Concat,
    Conv,
    ConvInteger,
    ConvTranspose,
    Gather,
    LpPool,
    MaxPool,
    MaxPoolIndices,
    Mul,
    Pad,
    ReduceMax,
    Reshape,
    Slice,
    Split,
)

from ..canonicalize.movement import reshape_to
from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose
from .pooling import MAX_TAPS

SIZES = "sizes are known only at run time"
MAX_DENSE = 1 << 22
"""Elements of a filter up to which groups are written into one as zeros."""


def _widened(op: Any) -> Any:
    """The operator with a first spatial axis of one element."""
    fields: dict[str, Any] = {
        "strides": (1, *op.strides), "dilations": (1, *op.dilations), "pads": (0, op.pads[0], 0, op.pads[1]),
    }  # fmt: skip
    if hasattr(op, "kernel"):
        fields["kernel"] = (1, *op.kernel)
    if getattr(op, "output_padding", ()):
        fields["output_padding"] = (0, *op.output_padding)
    return op.replace(**fields)


@decompose(Conv, ConvTranspose, MaxPool, AveragePool, LpPool, ConvInteger, MaxPoolIndices)
def one_axis_as_two(m: Match, add: Add) -> tuple[Value, ...]:
    """A window over one axis is one over two, of which the first has one element."""
    x = m["x"]
    ranks = add.target.window_ranks if add.target is not None else ()
    m.require(x.type.rank == 3 and ranks and 3 not in ranks, "not over one axis, or the target takes that")
    m.require(not getattr(m.root.op, "channels_last", False), "channels are last already")
    n, c, size = x.type.shape
    operands: list[Value | None] = [add(reshape_to(x.type, (n, c, 1, size)), x), *m.root.operands[1:]]
    if m.has("w"):
        w = m["w"].type
        operands[1] = add(reshape_to(w, (*w.shape[:2], 1, w.shape[2])), m["w"])
    results = add.all(_widened(m.root.op), *operands)
    pairs = zip(results, m.root.results, strict=True)
    return tuple(add(reshape_to(made.type, old.type.shape), made) for made, old in pairs)


@decompose(MaxPool, AveragePool)
def axes_in_turn(m: Match, add: Add) -> Value:
    """A pool over three axes is one over the last two, then one over the first.

    So are means: the elements that count in a window are those of each axis, multiplied.
    """
    x, op = m["x"], m.root.op
    assert isinstance(op, MaxPool | AveragePool)
    ranks = add.target.window_ranks if add.target is not None else ()
    m.require(x.type.rank == 5 and ranks and not op.channels_last, "not over three axes")
    m.require(x.type.is_static and m.root.result.type.is_static, SIZES)
    n, c, depth, h, w = x.type.static_shape
    *_, made_d, made_h, made_w = m.root.result.type.static_shape
    pads = op.pads
    flat = op.replace(
        kernel=op.kernel[1:], strides=op.strides[1:], dilations=op.dilations[1:], pads=(*pads[1:3], *pads[4:])
    )
    along = op.replace(
        kernel=(op.kernel[0], 1),
        strides=(op.strides[0], 1),
        dilations=(op.dilations[0], 1),
        pads=(pads[0], 0, pads[3], 0),
    )
    value = add(flat, add(Reshape((n, c * depth, h, w)), x))
    value = add(along, add(Reshape((n, c, depth, made_h * made_w)), value))
    return add(Reshape((n, c, made_d, made_h, made_w)), value)


def taps_of(m: Match, add: Add, op: Any, fill: float, limit: int = MAX_TAPS) -> list[Value]:
    """For each tap of the window, in row-major order, what it reads in all places: strided Slices of x, padded."""
    x = m["x"]
    m.require(x.type.is_static and m.root.result.type.is_static, SIZES)
    m.require(not getattr(op, "channels_last", False), "channels are last already")
    taps = list(np.ndindex(*op.kernel))
    m.require(len(taps) <= limit, f"more than {limit} taps")
    axes = len(op.kernel)
    sizes, places = x.type.static_shape[2:], m.root.result.type.static_shape[2:]
    begins = op.pads[:axes]
    ends = []
    for size, place, stride, k, gap, begin in zip(
        sizes, places, op.strides, op.kernel, op.dilations, begins, strict=True
    ):
        ends.append(max(0, (place - 1) * stride + (k - 1) * gap + 1 - begin - size))
    padded = add(Pad("constant", (0, 0, *begins, 0, 0, *ends), fill), x) if any((*begins, *ends)) else x
    parts = []
    for tap in taps:
        starts = tuple(t * gap for t, gap in zip(tap, op.dilations, strict=True))
        stops = tuple(s + (o - 1) * by + 1 for s, o, by in zip(starts, places, op.strides, strict=True))
        parts.append(add(Slice(starts, stops, tuple(range(2, 2 + axes)), op.strides), padded))
    return parts


@decompose(AveragePool)
def mean_of_slices(m: Match, add: Add) -> Value:
    """AveragePool(x) is the sum of one strided Slice a tap of the kernel, by how many of them count."""
    op, x = m.op(AveragePool), m["x"]
    ranks = add.target.window_ranks if add.target is not None else ()
    m.require(ranks, "the target pools any rank")
    parts = taps_of(m, add, op, 0.0)
    total = parts[0]
    for part in parts[1:]:
        total = add(AddOp(), total, part)
    shares = 1 / _counts(op, x.type.static_shape[2:], m.root.result.type.static_shape[2:])
    return add(Mul(), total, add.constant(shares[None, None].astype(x.type.dtype.numpy)))


def _counts(op: AveragePool, sizes: tuple[int, ...], places: tuple[int, ...]) -> Any:
    """How many elements count in each place (what ceil mode reads beyond the padding does not)."""
    axes = len(op.kernel)
    counts: Any = np.ones(())
    for axis in range(axes):
        starts = np.arange(places[axis])[:, None] * op.strides[axis]
        reads = starts + np.arange(op.kernel[axis])[None, :] * op.dilations[axis] - op.pads[axis]
        low, high = (-op.pads[axis], sizes[axis] + op.pads[axis + axes]) if op.count_include_pad else (0, sizes[axis])
        counts = np.multiply.outer(counts, ((reads >= low) & (reads < high)).sum(axis=1))
    return counts


@decompose(MaxPoolIndices)
def argmax_of_slices(m: Match, add: Add) -> tuple[Value, Value]:
    """MaxPoolIndices(x) is ReduceMax and ArgMax over one strided Slice a tap; a table tells the tap's distance."""
    op, x = m.op(MaxPoolIndices), m["x"]
    m.require(add.target is not None and add.target.casts_around, "the target's indices are floats")
    m.require(x.type.dtype.is_float, "not of floating point")
    parts = taps_of(m, add, op, float(np.finfo(x.type.dtype.numpy).min))
    shape = m.root.results[0].type.static_shape
    stack = add(Concat(len(shape)), *(add(Reshape((*shape, 1)), part) for part in parts))
    best = add(ArgMax(len(shape), False), stack)
    sizes = x.type.static_shape[2:]
    order = range(len(sizes)) if op.storage_order == 0 else reversed(range(len(sizes)))
    steps, step = {}, 1
    for axis in reversed(list(order)):
        steps[axis], step = step, step * sizes[axis]
    gaps = [steps[a] * d for a, d in enumerate(op.dilations)]
    table = np.array([sum(t * g for t, g in zip(tap, gaps, strict=True)) for tap in np.ndindex(*op.kernel)], np.int64)
    base = (np.arange(prod(shape[:2]), dtype=np.int64) * prod(sizes)).reshape(*shape[:2], *(1,) * len(sizes))
    for axis, (count, stride, pad) in enumerate(zip(shape[2:], op.strides, op.pads, strict=False)):
        line = (np.arange(count, dtype=np.int64) * stride - pad) * steps[axis]
        base = base + line.reshape([-1 if a == axis + 2 else 1 for a in range(len(shape))])
    places = add(AddOp(), add(Gather(0), add.constant(table), best), add.constant(base))
    return add(ReduceMax((len(shape),), False), stack), places


# Transposed convolutions -----------------------------------------------------------------------------------


def _plain(m: Match) -> ConvTranspose:
    op = m.op(ConvTranspose)
    m.require(not op.channels_last, "channels are last already")
    return op


@decompose(ConvTranspose)
def filter_with_gaps(m: Match, add: Add) -> Value:
    """A dilated ConvTranspose has a filter with zeros between its elements."""
    op = _plain(m)
    m.require(any(d != 1 for d in op.dilations), "nothing is dilated")
    w = m.const("w")
    sizes = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], op.dilations, strict=True)]
    m.require(w.size // prod(w.shape[2:]) * prod(sizes) <= MAX_DENSE, "the filter would be too large")
    wide = np.zeros((*w.shape[:2], *sizes), w.dtype)
    places: Any = (..., *(slice(None, None, d) for d in op.dilations))
    wide[places] = w
    return add(op.replace(dilations=(1,) * len(op.dilations)), m["x"], add.constant(wide), m.get("b"))


@decompose(ConvTranspose)
def groups_in_one_filter(m: Match, add: Add) -> Value:
    """A ConvTranspose in groups has one filter, with zeros where groups do not meet; or is one of each group."""
    op, w = _plain(m), m["w"]
    m.require(op.groups > 1, "there is one group")
    m.require(w.type.is_static, SIZES)
    inputs, outputs = w.type.static_shape[0] // op.groups, w.type.static_shape[1]
    if w.data is not None and w.data.size * op.groups <= MAX_DENSE:
        dense = np.zeros((w.data.shape[0], outputs * op.groups, *w.data.shape[2:]), w.data.dtype)
        for group in range(op.groups):
            rows = slice(group * inputs, (group + 1) * inputs)
            dense[rows, group * outputs : (group + 1) * outputs] = w.data[rows]
        return add(op.replace(groups=1), m["x"], add.constant(dense), m.get("b"))
    m.require(op.groups <= MAX_TAPS and op.activation is None, f"more than {MAX_TAPS} groups")
    xs = add.all(Split(1, (inputs,) * op.groups), m["x"])
    ws = add.all(Split(0, (inputs,) * op.groups), w)
    joined = add(Concat(1), *(add(op.replace(groups=1), x, part) for x, part in zip(xs, ws, strict=True)))
    return _biased(m, add, joined)


def _biased(m: Match, add: Add, value: Value) -> Value:
    bias = m.get("b")
    if bias is None:
        return value
    return add(AddOp(), value, add(Reshape((-1, *(1,) * (value.type.rank - 2))), bias))


@decompose(ConvTranspose)
def pad_beyond_reach(m: Match, add: Add) -> Value:
    """A ConvTranspose with more output_padding than its pads take away is one with less, and a Pad of zeros."""
    op = _plain(m)
    axes = len(op.strides)
    more = op.padding(axes)
    missing = [max(0, extra - end) for extra, end in zip(more, op.pads[axes:], strict=True)]
    m.require(any(missing) and op.activation is None, "the pads take away more")
    less = tuple(extra - gap for extra, gap in zip(more, missing, strict=True))
    value = add(op.replace(output_padding=less), m["x"], m["w"])
    return _biased(m, add, add(Pad("constant", (*(0,) * (4 + axes), *missing)), value))
