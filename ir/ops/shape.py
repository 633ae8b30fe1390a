"""Shapes and the movement of data: nothing here computes, except indices.

Axes in attributes are not negative. A shape, a count or a bound that is known stands in an attribute; one that
only running tells stands in the operand of the same name, and the attribute is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..op import Op, Types, broadcast, expect, operator, same_dtype
from ..types import UNKNOWN, Array, Dim, DType, Symbol, TensorType, product
from ..types import Shape as Dims
from . import kernels
from .forms import Results, expect_axis, expect_dim, expect_length, given

END = 2**63 - 1
"""As an end of a Slice: as far as the axis goes."""


def length(t: TensorType | None, what: str) -> int:
    """The number of entries of an operand that holds a shape: it gives a rank, and ranks must be known."""
    expect(t is not None, f"{what} is not given")
    size = None if t is None or t.rank != 1 else t.shape[0]
    expect(isinstance(size, int), f"the length of {what} {t} is known only at run time")
    return int(str(size))


@operator
class Shape(Op):
    """The sizes of x's axes, i64 [rank]."""

    signature = "x"

    def infer(self, x: TensorType) -> Results:
        """i64 [rank]."""
        return (TensorType(DType.I64, (x.rank,)),)

    def evaluate(self, x: Array) -> Array:
        """The shape."""
        return np.array(x.shape, dtype=np.int64)


@operator
class Size(Op):
    """The number of elements of x, an i64 scalar."""

    signature = "x"

    def infer(self, x: TensorType) -> Results:
        """An i64 scalar."""
        return (TensorType(DType.I64, ()),)

    def evaluate(self, x: Array) -> Array:
        """The size."""
        return np.array(x.size, dtype=np.int64)


@operator
class Reshape(Op):
    """x's elements in the same (row-major) order with another shape.

    In ``shape`` one -1 stands for what is left over, and 0 for x's own size at that place, or with ``allow_zero``
    for no element.
    """

    signature = "x, [shape]"
    shape: tuple[int, ...] | None = None
    allow_zero: bool = False

    def infer(self, x: TensorType, shape: TensorType | None) -> Results:
        """The wanted shape."""
        if self.shape is None:
            return (x.with_shape((UNKNOWN,) * length(shape, "shape")),)
        return (x.with_shape(kernels.movement.reshaped(x.shape, self.shape, self.allow_zero)),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """Symbols that are x's own size at their place are written 0, one other as -1."""
        x = types[0]
        wanted = None if x is None else kernels.movement.expressed(x.shape, content.ravel().tolist(), self.allow_zero)
        return None if wanted is None else self.replace(shape=wanted)

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """Sizes that symbols in the operand tell."""
        x, wanted = types[0], contents[1] if len(contents) > 1 else None
        if self.shape is not None or x is None or wanted is None:
            return results
        return (x.with_shape(kernels.movement.reshaped(x.shape, wanted.ravel().tolist(), self.allow_zero)),)

    def evaluate(self, x: Array, shape: Array | None) -> Array:
        """numpy's, after 0 and -1 are replaced."""
        wanted = kernels.movement.reshaped(x.shape, given(self.shape, shape), self.allow_zero)
        return x.reshape([int(str(d)) for d in wanted])


@operator
class Transpose(Op):
    """Axis i of y is axis perm[i] of x."""

    signature = "x"
    perm: tuple[int, ...]

    def infer(self, x: TensorType) -> Results:
        """x's sizes in the order of ``perm``."""
        expect(sorted(self.perm) == list(range(x.rank)), f"perm {self.perm} is no order of {x.rank} axes")
        return (x.with_shape(x.shape[p] for p in self.perm),)

    def evaluate(self, x: Array) -> Array:
        """A view."""
        return np.transpose(x, self.perm)


@operator
class Squeeze(Op):
    """x without ``axes``, whose sizes are one."""

    signature = "x"
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Results:
        """The other axes."""
        for axis in self.axes:
            expect_axis(axis, x.rank)
            expect_dim(x.shape[axis], 1, f"axis {axis} of {x}")
        return (x.with_shape(d for i, d in enumerate(x.shape) if i not in self.axes),)

    def evaluate(self, x: Array) -> Array:
        """A view."""
        return np.squeeze(x, axis=self.axes)


@operator
class Unsqueeze(Op):
    """x with new axes of size one, at the places ``axes`` of the result."""

    signature = "x"
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Results:
        """x's sizes and ones."""
        rank = x.rank + len(self.axes)
        expect(len(set(self.axes)) == len(self.axes), f"axes {self.axes} are not distinct")
        for axis in self.axes:
            expect_axis(axis, rank)
        sizes = iter(x.shape)
        return (x.with_shape(1 if i in self.axes else next(sizes) for i in range(rank)),)

    def evaluate(self, x: Array) -> Array:
        """A view."""
        return np.expand_dims(x, self.axes)


@operator
class Flatten(Op):
    """x as a matrix: the axes before ``axis`` by those from it on."""

    signature = "x"
    axis: int = 1

    def infer(self, x: TensorType) -> Results:
        """[product, product]."""
        expect(0 <= self.axis <= x.rank, f"axis {self.axis} does not divide rank {x.rank}")
        return (x.with_shape((product(x.shape[: self.axis]), product(x.shape[self.axis :]))),)

    def evaluate(self, x: Array) -> Array:
        """numpy's reshape."""
        rows = math.prod(x.shape[: self.axis])
        return x.reshape(rows, math.prod(x.shape[self.axis :]))


@operator
class Concat(Op):
    """The operands one after the other along ``axis``."""

    signature = "*xs"
    axis: int

    def infer(self, *xs: TensorType) -> Results:
        """The sum of the sizes along the axis."""
        expect(len(xs) > 0, "nothing to concatenate")
        dtype, rank = same_dtype(*xs), xs[0].rank
        expect_axis(self.axis, rank)
        expect(all(x.rank == rank for x in xs), f"ranks differ: {', '.join(map(str, xs))}")
        shape: list[Dim] = []
        for axis in range(rank):
            if axis == self.axis:
                total: Dim = 0
                for x in xs:
                    total = x.shape[axis] + total
                shape.append(total)
            else:
                numbers = {x.shape[axis] for x in xs if isinstance(x.shape[axis], int)}
                expect(len(numbers) <= 1, f"sizes of axis {axis} differ: {', '.join(map(str, xs))}")
                shape.append(numbers.pop() if numbers else xs[0].shape[axis])
        return (TensorType(dtype, tuple(shape)),)

    def evaluate(self, *xs: Array) -> Array:
        """numpy's."""
        return np.concatenate(xs, axis=self.axis)


@operator
class Split(Op):
    """x cut along ``axis`` into pieces of ``sizes``; one result a piece."""

    signature = "x"
    axis: int
    sizes: tuple[int, ...]

    def infer(self, x: TensorType) -> Results:
        """A type a piece."""
        expect_axis(self.axis, x.rank)
        expect_dim(x.shape[self.axis], sum(self.sizes), f"axis {self.axis} of {x}")
        return tuple(x.with_shape((*x.shape[: self.axis], s, *x.shape[self.axis + 1 :])) for s in self.sizes)

    def evaluate(self, x: Array) -> tuple[Array, ...]:
        """Views."""
        return tuple(np.split(x, np.cumsum(self.sizes)[:-1].tolist(), axis=self.axis)) if self.sizes else ()


@operator
class Slice(Op):
    """Along each of ``axes`` the elements from start on, by step, to before end.

    Negative starts and ends count from the axis's end; all are clamped to the axis. A negative step runs backwards.
    ``axes`` None are the first ones, ``steps`` None are ones.
    """

    signature = "x, [starts], [ends], [axes], [steps]"
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None
    axes: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None

    def infer(
        self,
        x: TensorType,
        starts: TensorType | None,
        ends: TensorType | None,
        axes: TensorType | None = None,
        steps: TensorType | None = None,
    ) -> Results:
        """As many as are taken."""
        if self.axes is None and axes is not None:
            return (x.with_shape((UNKNOWN,) * x.rank),)
        count = length(starts, "starts") if self.starts is None else len(self.starts)
        chosen = tuple(range(count)) if self.axes is None else self.axes
        expect_length(chosen, count, "axes")
        shape = list(x.shape)
        for i, axis in enumerate(chosen):
            expect_axis(axis, x.rank)
            step = 1 if self.steps is None and steps is None else None if self.steps is None else self.steps[i]
            expect(step != 0, "a step is zero")
            begin = None if self.starts is None else self.starts[i]
            end = None if self.ends is None else self.ends[i]
            shape[axis] = kernels.movement.sliced(x.shape[axis], begin, end, step)
        return (x.with_shape(shape),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """An end that is the axis's own size is written END; negative axes are counted from the front."""
        x = types[0]
        items = content.ravel().tolist()
        if x is None:
            return None
        if name == "axes":
            items = [a % x.rank for a in items]
        elif name == "ends" and self.axes is not None:
            items = [
                END if isinstance(d, Symbol) and d == x.shape[a] else d for d, a in zip(items, self.axes, strict=True)
            ]
        return self.replace(**{name: tuple(items)}) if all(isinstance(d, int) for d in items) else None

    def evaluate(
        self, x: Array, starts: Array | None, ends: Array | None, axes: Array | None, steps: Array | None
    ) -> Array:
        """A view."""
        begins, stops = given(self.starts, starts), given(self.ends, ends)
        along = tuple(range(len(begins))) if self.axes is None and axes is None else given(self.axes, axes)
        by = (1,) * len(begins) if self.steps is None and steps is None else given(self.steps, steps)
        index = [slice(None)] * x.ndim
        for begin, stop, axis, step in zip(begins, stops, along, by, strict=True):
            index[axis] = kernels.movement.python_slice(x.shape[axis], begin, stop, step)
        return x[tuple(index)]


@operator
class Pad(Op):
    """x with more elements (or, where a pad is negative, fewer) at the ends of its axes.

    ``pads`` holds all begins, then all ends, over all axes. ``mode``: 'constant' (``value``), 'edge' (the last
    element again), 'reflect' (mirrored at the last element, which is not repeated), 'wrap' (from the other end).
    """

    signature = "x, [pads]"
    mode: str = "constant"
    pads: tuple[int, ...] | None = None
    value: float = 0

    def infer(self, x: TensorType, pads: TensorType | None) -> Results:
        """Sizes with the pads."""
        if self.pads is None:
            expect(pads is not None, "the pads are not given")
            return (x.with_shape((UNKNOWN,) * x.rank),)
        expect_length(self.pads, 2 * x.rank, "pads")
        shape = [d + (b + e) for d, b, e in zip(x.shape, self.pads[: x.rank], self.pads[x.rank :], strict=True)]
        expect(all(not isinstance(d, int) or d >= 0 for d in shape), f"pads {self.pads} leave less than nothing of {x}")
        return (x.with_shape(shape),)

    def evaluate(self, x: Array, pads: Array | None) -> Array:
        """numpy's pad, after the crop."""
        return kernels.movement.pad(x, given(self.pads, pads), self.mode, self.value)


@operator
class Expand(Op):
    """x broadcast with ``shape`` (a 1 there, or a missing axis, leaves x's size)."""

    signature = "x, [shape]"
    shape: tuple[int, ...] | None = None

    def infer(self, x: TensorType, shape: TensorType | None) -> Results:
        """The broadcast of both shapes."""
        if self.shape is not None:
            return (x.with_shape(broadcast(x.shape, self.shape)),)
        rank = max(x.rank, length(shape, "shape"))
        own: Dims = (1,) * (rank - x.rank) + x.shape
        return (x.with_shape(d if isinstance(d, int) and d > 1 else UNKNOWN for d in own),)

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """Symbols that are x's own size at their place are written 1."""
        x = types[0]
        if x is None:
            return None
        items = content.ravel().tolist()
        for i, d in enumerate(items):
            at = i - len(items) + x.rank
            if isinstance(d, Symbol) and at >= 0 and x.shape[at] == d:
                items[i] = 1
        return self.replace(shape=tuple(items)) if all(isinstance(d, int) for d in items) else None

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """Sizes that symbols in the operand tell."""
        x, wanted = types[0], contents[1] if len(contents) > 1 else None
        if self.shape is not None or x is None or wanted is None:
            return results
        return (x.with_shape(broadcast(x.shape, tuple(wanted.ravel().tolist()))),)

    def evaluate(self, x: Array, shape: Array | None) -> Array:
        """A view."""
        wanted = given(self.shape, shape)
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, wanted))


@operator
class Tile(Op):
    """x repeated ``repeats`` times along each axis."""

    signature = "x, [repeats]"
    repeats: tuple[int, ...] | None = None

    def infer(self, x: TensorType, repeats: TensorType | None) -> Results:
        """Sizes times repeats."""
        if self.repeats is None:
            expect(repeats is not None, "the repeats are not given")
            return (x.with_shape((UNKNOWN,) * x.rank),)
        expect_length(self.repeats, x.rank, "repeats")
        return (x.with_shape(d * r for d, r in zip(x.shape, self.repeats, strict=True)),)

    def evaluate(self, x: Array, repeats: Array | None) -> Array:
        """numpy's."""
        return np.tile(x, given(self.repeats, repeats))
