"""Reading spaces between their elements: Resize by matrices, GridSample by its corners."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from mconv.ir import Array, DType, Value
from mconv.ir.ops import (
    Abs,
    AffineGrid,
    And,
    Cast,
    Clip,
    Div,
    Equal,
    Floor,
    Gather,
    Greater,
    GreaterOrEqual,
    GridSample,
    Less,
    LessOrEqual,
    Linear,
    MatMul,
    Mod,
    Mul,
    Or,
    Reshape,
    Resize,
    Round,
    Sub,
    Transpose,
    Where,
)
from mconv.ir.ops import Add as AddOp

from ..pattern import Match
from ..rewrite import Add
from .decompose import decompose

SIZES = "sizes are known only at run time"
MAX_PROBE = 1 << 24
"""Elements of the tensor from which the matrices of a Resize are read."""


def _matrix(m: Match, op: Resize, which: int, before: tuple[int, ...]) -> tuple[Array, Array]:
    """What ``op`` does along its axis number ``which``: y = W x + b, found by resizing the identity."""
    size = before[which]
    if op.keep_aspect == "stretch":
        count = len(op.axes)
        one = op.replace(
            axes=(0,),
            sizes=None if op.sizes is None else (op.sizes[which],),
            scales=None if op.scales is None or op.sizes is not None else (op.scales[which],),
            roi=None if op.roi is None else (op.roi[which], op.roi[which + count]),
        )
        offset = one.evaluate(np.zeros((size, 1), np.float32), None, None, None)
        return one.evaluate(np.eye(size, dtype=np.float32), None, None, None) - offset, offset[:, 0]
    # one scale for all axes: the others are resized as well, and of what is constant along them nothing changes
    m.require(size * prod(before) <= MAX_PROBE, "the axes are too long")
    probe = np.zeros((size, *before), np.float32)
    for i in range(size):
        probe[(i, *(slice(None) if a != which else i for a in range(len(before))))] = 1
    whole = op.replace(axes=tuple(range(1, 1 + len(before)))).evaluate(probe, None, None, None)
    line = whole[(slice(None), *(0 if a != which else slice(None) for a in range(len(before))))]
    return np.ascontiguousarray(line.T), np.zeros(line.shape[1], np.float32)


@decompose(Resize)
def products_for_resize(m: Match, add: Add) -> Value:
    """Resize is along each axis a product with a matrix of weights."""
    value, op = m["x"], m.op(Resize)
    y = m.root.result.type
    m.require(value.type.is_static and y.is_static and len(m.root.inputs) == 1, SIZES)
    m.require(value.type.dtype is DType.F32, "not of 32-bit floats")
    before = tuple(value.type.static_shape[a] for a in op.axes)
    last = value.type.rank - 1
    for which, axis in enumerate(op.axes):
        weights, offset = _matrix(m, op, which, before)
        m.require(weights.shape[0] == y.static_shape[axis], "the sizes differ")
        if np.array_equal(weights, np.eye(*weights.shape)) and not offset.any():
            continue
        perm = list(range(last + 1))
        perm[axis], perm[last] = last, axis
        bias = add.constant(offset) if offset.any() else None
        turned = value if axis == last else add(Transpose(tuple(perm)), value)
        made = add(Linear(), turned, add.constant(weights), bias)
        value = made if axis == last else add(Transpose(tuple(perm)), made)
    return value if value is not m["x"] else add(Reshape(y.static_shape), value)


@decompose(AffineGrid)
def product_for_affine_grid(m: Match, add: Add) -> Value:
    """AffineGrid is a product of known positions with theta."""
    theta, op = m["theta"], m.op(AffineGrid)
    m.require(op.size is not None and theta.type.is_static, SIZES)
    assert op.size is not None
    spatial = op.size[2:]
    axes = len(spatial)
    unit = np.eye(axes + 1, dtype=np.float64)[None, :, :]  # theta of the identity, with a row more
    positions = [
        op.evaluate(np.concatenate([unit[:, row : row + 1]] * axes, 1), np.array(op.size))[..., 0].reshape(-1)
        for row in range(axes + 1)
    ]
    known = add.constant(np.stack(positions, -1).astype(np.float32), like=theta)
    made = add(MatMul(), known, add(Transpose((0, 2, 1)), theta))
    return add(Reshape((theta.type.static_shape[0], *spatial, axes)), made)


class _Sampler:
    """Arithmetic on places along axes, as values of the graph."""

    def __init__(self, add: Add, op: GridSample) -> None:
        self.add, self.op = add, op

    def number(self, value: float) -> Value:
        """A constant."""
        return self.add.constant(np.float32(value))

    def plus(self, x: Value, number: float) -> Value:
        """x + number."""
        return x if number == 0 else self.add(AddOp(), x, self.number(number))

    def times(self, x: Value, number: float) -> Value:
        """x * number."""
        return self.add(Mul(), x, self.number(number))

    def place(self, coordinate: Value, size: int) -> Value:
        """From -1 ... 1 to elements."""
        if self.op.align_corners:
            return self.times(self.times(self.plus(coordinate, 1), 0.5), size - 1)
        return self.times(self.plus(self.times(self.plus(coordinate, 1), size), -1), 0.5)

    def kept(self, place: Value, size: int) -> Value:
        """Places brought back into the space, as the padding says."""
        padding = self.op.padding
        if padding == "border" and self.op.mode != "cubic":
            return self.add(Clip(0.0, size - 1.0), place)
        if padding == "reflection":
            return self.reflected(place, size)
        return self.add(Clip(-4.0, size + 4.0), place)

    def reflected(self, place: Value, size: int) -> Value:
        """Mirrored at the centres of the end elements, or at their outer edges, until it lies between."""
        add = self.add
        low, high = (0.0, size - 1.0) if self.op.align_corners else (-0.5, size - 0.5)
        width = high - low
        if width <= 0:
            return add(Clip(low, low), place)
        beyond = add(Abs(), self.plus(place, -low))
        turns = add(Floor(), add(Div(), beyond, self.number(width)))
        rest = add(Sub(), beyond, self.times(turns, width))
        even = add(Equal(), add(Mod(False), turns, self.number(2)), self.number(0))
        mirrored = add(Where(), even, self.plus(rest, low), add(Sub(), self.number(high), rest))
        outside = add(Or(), add(Less(), place, self.number(low)), add(Greater(), place, self.number(high)))
        return add(Where(), outside, mirrored, place)

    def taps(self, place: Value) -> list[tuple[Value, Value | None]]:
        """The elements that a place reads along one axis, each with its weight (None: one)."""
        add = self.add
        if self.op.mode == "nearest":
            return [(place, None)]
        base = add(Floor(), place)
        t = add(Sub(), place, base)
        if self.op.mode == "linear":
            return [(base, add(Sub(), self.number(1), t)), (self.plus(base, 1), t)]
        return [(self.plus(base, i), self.keys(add(Abs(), self.plus(t, -i)), abs(i - 0.5) < 1)) for i in (-1, 0, 1, 2)]

    def keys(self, d: Value, near: bool) -> Value:
        """Keys' cubic kernel with -0.75 at distances d up to one (near), or from one to two."""
        a = -0.75
        powers = (a + 2, -(a + 3), 0.0, 1.0) if near else (a, -5 * a, 8 * a, -4 * a)
        value = self.plus(self.times(d, powers[0]), powers[1])
        for number in powers[2:]:
            value = self.plus(self.add(Mul(), value, d), number)
        return value

    def inside(self, at: Value, size: int) -> tuple[Value | None, Value]:
        """Whether there is such an element (None: always), and where to read as i64."""
        add = self.add
        if self.op.padding == "reflection":
            at = self.reflected(at, size)
        there = None
        if self.op.padding == "zeros":
            low = add(GreaterOrEqual(), at, self.number(0))
            there = add(And(), low, add(LessOrEqual(), at, self.number(size - 1)))
        return there, add(Cast(DType.I64), add(Clip(0.0, size - 1.0), at))


@decompose(GridSample)
def corners_for_grid_sample(m: Match, add: Add) -> Value:
    """GridSample is the sum of the elements around each place, gathered, times their weights."""
    x, grid, op = m["x"], m["grid"], m.op(GridSample)
    m.require(add.target is not None and add.target.casts_around, "the target's indices are floats")
    m.require(x.type.is_static and grid.type.is_static, SIZES)
    m.require(x.type.dtype is DType.F32 and grid.type.dtype is DType.F32, "not of 32-bit floats")
    n, c, *sizes = x.type.static_shape
    count, points = len(sizes), prod(grid.type.static_shape[1:-1])
    m.require(points > 0 and prod(sizes) > 0, "an empty tensor")
    sampler = _Sampler(add, op)
    flat = add(Reshape((n, points, count)), grid)
    axes = []
    for index, size in enumerate(sizes):
        place = sampler.place(add(Gather(2), flat, add.constant(np.int64(count - 1 - index))), size)
        if op.mode == "nearest":
            place = add(Round(), place)
        axes.append(sampler.taps(sampler.kept(place, size)))
    rows = add(Reshape((n * prod(sizes), c)), add(Transpose((0, 2, 1)), add(Reshape((n, c, prod(sizes))), x)))
    found = [
        [(*sampler.inside(at, size), factor) for at, factor in axis] for axis, size in zip(axes, sizes, strict=True)
    ]
    total: Value | None = None
    for corner in product(*found):
        part = _corner(sampler, rows, corner, sizes, n, points)
        total = part if total is None else add(AddOp(), total, part)
    assert total is not None
    return add(Reshape((n, c, *grid.type.static_shape[1:-1])), add(Transpose((0, 2, 1)), total))


def _corner(
    sampler: _Sampler,
    rows: Value,
    corner: tuple[tuple[Value | None, Value, Value | None], ...],
    sizes: list[int],
    n: int,
    points: int,
) -> Value:
    """What one corner adds: [N, points, C]."""
    add = sampler.add
    place = add.constant(np.arange(n, dtype=np.int64)[:, None])
    weight: Value | None = None
    there: Value | None = None
    for (inside, position, factor), size in zip(corner, sizes, strict=True):
        place = add(AddOp(), add(Mul(), place, add.constant(np.int64(size))), position)
        if factor is not None:
            weight = factor if weight is None else add(Mul(), weight, factor)
        if inside is not None:
            there = inside if there is None else add(And(), there, inside)
    value = add(Gather(0), rows, place)
    if weight is not None:
        value = add(Mul(), value, add(Reshape((n, points, 1)), weight))
    if there is None:
        return value
    return add(Where(), add(Reshape((n, points, 1)), there), value, sampler.number(0))
