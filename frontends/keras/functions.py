"""What functions of keras.ops and TensorFlow have in common: numbers beside tensors, indexing, shapes, reductions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops
from mconv.ir.types import Symbol, product

from . import errors
from .config import Constant
from .node import KerasNode

END = 2**63 - 1
_WIDTH = [DType.BOOL, DType.U8, DType.I8, DType.U16, DType.I16, DType.U32, DType.I32, DType.U64, DType.I64, DType.F16,
          DType.BF16, DType.F32, DType.F64]  # fmt: skip


def pair(n: KerasNode, a: Any, b: Any) -> tuple[Value, Value]:
    """Two operands in one element type: a number takes that of the tensor beside it, of two tensors the wider wins."""
    if isinstance(a, int | float) and isinstance(b, Value):
        return beside(n, a, b)[::-1]
    if isinstance(b, int | float) and isinstance(a, Value):
        return beside(n, b, a)
    x, y = n.value(a), n.value(b)
    wide = max(x.type.dtype, y.type.dtype, key=_WIDTH.index)
    return n.cast(x, wide), n.cast(y, wide)


def beside(n: KerasNode, number: float, tensor: Value) -> tuple[Value, Value]:
    """The tensor, and the number as a constant of its type; integers beside a fraction become floats."""
    fraction = isinstance(number, float)
    if (
        not tensor.type.dtype.is_float
        and (fraction or tensor.type.dtype is DType.BOOL)
        and not isinstance(number, bool)
    ):
        tensor = n.cast(tensor, DType.F32 if fraction else DType.I32)
    return tensor, n.scalar(number, tensor)


def floating(n: KerasNode, value: Value) -> Value:
    """Integers as floats, as functions of real numbers take them."""
    return value if value.type.dtype.is_float else n.cast(value, DType.F32)


def binary(n: KerasNode, g: Builder, op: Op, a: Any, b: Any) -> Value:
    """An operator of two operands that broadcast."""
    return g.add(op, *pair(n, a, b))


def divided(n: KerasNode, g: Builder, a: Any, b: Any) -> Value:
    """The quotient of real numbers."""
    x, y = pair(n, a, b)
    return g.add(ops.Div(), floating(n, x), floating(n, y))


def floor_divided(n: KerasNode, g: Builder, a: Any, b: Any) -> Value:
    """The quotient, rounded down."""
    x, y = pair(n, a, b)
    if x.type.dtype.is_float:
        return g.add(ops.Floor(), g.add(ops.Div(), x, y))
    return g.add(ops.Div(), g.add(ops.Sub(), x, g.add(ops.Mod(), x, y)), y)


def squared_difference(n: KerasNode, g: Builder, a: Any, b: Any) -> Value:
    """(a - b)^2."""
    return g.add(ops.Square(), binary(n, g, ops.Sub(), a, b))


def integers(n: KerasNode, data: Any, what: str) -> tuple[int, ...]:
    """Integers of an argument or setting: one, a list, a constant array, or a tensor whose content is known."""
    if isinstance(data, Value):
        content = n.builder.content(data)
        if content is None or any(isinstance(i, Symbol) for i in content.flat):
            raise errors.needs_constant(f"{what} of {n.settings.what}")
        data = content.tolist()
    if isinstance(data, Constant):
        data = data.value
    items = data if isinstance(data, list | tuple) else [data]
    if any(type(i) is not int or abs(i) >= 2**62 for i in items):
        raise errors.misfit(f"{n.settings.what} with {what} {str(data)[:80]}")
    return tuple(items)


def integer(n: KerasNode, data: Any, what: str) -> int:
    """One integer of an argument or setting."""
    found = integers(n, data, what)
    if len(found) != 1:
        raise errors.misfit(f"{n.settings.what} with {what} {list(found)}")
    return found[0]


def reduced(n: KerasNode, g: Builder, kind: str, x: Value, axis: Any, keep: bool) -> Value:
    """A reduction over one axis, several, or all."""
    rank = x.type.rank
    axes = tuple(range(rank)) if axis is None else n.axes([integers(n, axis, "axis")][0], rank)
    if kind in ("any", "all"):
        op = (ops.ReduceMax if kind == "any" else ops.ReduceMin)(axes, keep)
        return n.cast(g.add(op, n.cast(n.cast(x, DType.BOOL), DType.F32)), DType.BOOL)
    if kind in ("var", "std"):
        x = floating(n, x)
        centred = g.add(ops.Sub(), x, g.add(ops.ReduceMean(axes, True), x))
        found = g.add(ops.ReduceMean(axes, keep), g.add(ops.Square(), centred))
        return found if kind == "var" else g.add(ops.Sqrt(), found)
    if kind in ("mean", "logsumexp"):
        x = floating(n, x)
    if x.type.dtype is DType.BOOL:
        x = n.cast(x, DType.I32)
    table = {"mean": ops.ReduceMean, "sum": ops.ReduceSum, "max": ops.ReduceMax, "min": ops.ReduceMin,
             "prod": ops.ReduceProd, "logsumexp": ops.ReduceLogSumExp}  # fmt: skip
    return g.add(table[kind](axes, keep), x) if axes else x


def reshaped(n: KerasNode, g: Builder, x: Value, shape: Any) -> Value:
    """x with another shape: numbers, of which one may be -1, and sizes that are known only when the model runs."""
    if isinstance(shape, Value):
        return g.add(ops.Reshape(None), x, n.cast(shape, DType.I64))
    items = shape.value if isinstance(shape, Constant) else shape
    items = list(items) if isinstance(items, list | tuple) else [items]
    if any(isinstance(i, Value) for i in items):
        parts = [g.add(ops.Reshape((1,)), n.cast(n.value(i), DType.I64)) for i in items]
        return g.add(ops.Reshape(None), x, g.add(ops.Concat(0), *parts))
    wanted = [-1 if i is None else i for i in items]
    if any(type(i) is not int for i in wanted) or wanted.count(-1) > 1:
        raise errors.misfit(f"{n.settings.what} to the shape {str(items)[:80]}")
    whole = product(x.type.shape)
    if -1 in wanted and isinstance(whole, int) and 0 not in wanted:
        known = int(np.prod([i for i in wanted if i != -1], dtype=np.int64))
        if not known or whole % known:
            raise errors.misfit(f"{n.settings.what} of {x.type} to {wanted}")
        wanted[wanted.index(-1)] = whole // known
    return g.add(ops.Reshape(tuple(wanted), allow_zero=0 in wanted), x)


def transposed(n: KerasNode, g: Builder, x: Value, perm: Any) -> Value:
    """x with its axes in another order, turned round where none is given."""
    rank = x.type.rank
    order = tuple(reversed(range(rank))) if perm is None else tuple(n.axis(a, rank) for a in integers(n, perm, "axes"))
    return g.add(ops.Transpose(order), x)


def squeezed(n: KerasNode, g: Builder, x: Value, axis: Any) -> Value:
    """x without axes of size one."""
    rank = x.type.rank
    found = None if axis is None or axis == [] else integers(n, axis, "axis")
    axes = tuple(i for i, d in enumerate(x.type.shape) if d == 1) if found is None else n.axes(list(found), rank)
    return g.add(ops.Squeeze(axes), x) if axes else x


def expanded(n: KerasNode, g: Builder, x: Value, axis: Any) -> Value:
    """x with new axes of size one."""
    items = integers(n, axis, "axis")
    return g.add(ops.Unsqueeze(n.axes(list(items), x.type.rank + len(items))), x)


def flipped(n: KerasNode, g: Builder, x: Value, axis: Any) -> Value:
    """x turned round along axes."""
    axes = tuple(range(x.type.rank)) if axis is None else n.axes(list(integers(n, axis, "axis")), x.type.rank)
    count = len(axes)
    return g.add(ops.Slice((-1,) * count, (-END,) * count, axes, (-1,) * count), x)


def joined(n: KerasNode, g: Builder, values: Sequence[Value], axis: int, *, new: bool = False) -> Value:
    """Tensors one after the other along an axis; along a new one if ``new``."""
    if not values:
        raise errors.misfit(f"{n.settings.what} is called with no tensor")
    wide = max((v.type.dtype for v in values), key=_WIDTH.index)
    items = [n.cast(v, wide) for v in values]
    rank = items[0].type.rank + int(new)
    at = n.axis(axis, rank)
    if new:
        items = [g.add(ops.Unsqueeze((at,)), v) for v in items]
    return items[0] if len(items) == 1 else g.add(ops.Concat(at), *items)


def parted(n: KerasNode, g: Builder, x: Value, sizes: Any, axis: int, *, places: bool) -> list[Value]:
    """x cut along an axis into so many equal parts, or at places (``places``), or into parts of these sizes."""
    at = n.axis(axis, x.type.rank)
    whole = n.static(x, at, "the size that is cut")
    if isinstance(sizes, int):
        if sizes < 1 or whole % sizes or sizes > 4096:
            raise errors.misfit(f"{n.settings.what} of {x.type} into {sizes} parts")
        parts = [whole // sizes] * sizes
    elif places:
        cuts = [0, *integers(n, sizes, "places"), whole]
        parts = [b - a for a, b in pairwise(cuts)]
    else:
        parts = list(integers(n, sizes, "sizes"))
        if parts.count(-1) == 1:
            parts[parts.index(-1)] = whole - sum(p for p in parts if p != -1)
    if min(parts) < 0 or sum(parts) != whole:
        raise errors.misfit(f"{n.settings.what} of {x.type} into {parts}")
    return [x] if len(parts) == 1 else list(g.add_all(ops.Split(at, tuple(parts)), x))


def indexed(n: KerasNode, g: Builder, x: Value, key: Any) -> Value:
    """x[key], as numpy indexes: numbers, slices, the ellipsis, None, and one tensor of indices."""
    entries = list(key) if isinstance(key, list | tuple) else [key]
    taken = [e for e in entries if e is not None and e is not ...]
    dots = sum(e is ... for e in entries)
    skipped = x.type.rank - len(taken)
    if skipped < 0 or dots > 1:
        raise errors.misfit(f"{n.settings.what} of {x.type} with {len(taken)} indices")
    axis, place = 0, 0
    slices, dropped, made = list[tuple[int, int, int, int]](), list[int](), list[int]()
    for entry in entries:
        if entry is None:
            made.append(place)
            place += 1
        elif entry is ...:
            axis, place = axis + skipped, place + skipped
        else:
            found = _entry(n, entry, x, axis)
            if found is not None:
                slices.append((*found, axis))
            if isinstance(entry, slice):
                place += 1
            else:
                dropped.append(axis)
            axis += 1
    y = x
    if slices:
        starts, ends, steps, axes = (tuple(column) for column in zip(*slices, strict=True))
        y = g.add(ops.Slice(starts, ends, axes, steps), y)
    if dropped:
        y = g.add(ops.Squeeze(tuple(dropped)), y)
    return g.add(ops.Unsqueeze(tuple(made)), y) if made else y


def _entry(n: KerasNode, entry: Any, x: Value, axis: int) -> tuple[int, int, int] | None:
    """Start, end and step of one index; None where it takes all."""
    if isinstance(entry, slice):
        parts = (entry.start, entry.stop, entry.step)
        start, stop, step = (None if v is None else integer(n, v, "a slice's bound") for v in parts)
        step = 1 if step is None else step
        if step == 0:
            raise errors.misfit(f"{n.settings.what} with a step of zero")
        start = (0 if step > 0 else -1) if start is None else start
        stop = (END if step > 0 else -END) if stop is None else stop
        return None if (start, stop, step) == (0, END, 1) else (start, stop, step)
    if isinstance(entry, Value) and n.builder.content(entry) is None:
        raise errors.form(f"{n.settings.what} with an index that is known only when the model runs")
    index = integer(n, entry, "an index")
    size = x.type.shape[axis]
    if isinstance(size, int) and not -size <= index < size:
        raise errors.misfit(f"{n.settings.what}: index {index} of {x.type}")
    return index, END if index == -1 else index + 1, 1


def padded(n: KerasNode, g: Builder, x: Value, widths: Any, mode: str, value: Any) -> Value:
    """x with more elements at the ends of its axes."""
    widths = widths.value if isinstance(widths, Constant) else widths
    rank = x.type.rank
    if isinstance(widths, Value):
        content = n.builder.content(widths)
        widths = None if content is None else content.tolist()
    pairs = [list(p) if isinstance(p, list | tuple) else [p, p] for p in widths] if isinstance(widths, list) else None
    if isinstance(widths, int):
        pairs = [[widths, widths]] * rank
    if pairs is not None and len(pairs) == 1:
        pairs *= rank
    if pairs is None or len(pairs) != rank or any(len(p) != 2 for p in pairs):
        raise errors.misfit(f"{n.settings.what} of {x.type} with pads {str(widths)[:80]}")
    begins, ends = (integers(n, [p[i] for p in pairs], "pads") for i in (0, 1))
    modes = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode.lower() not in modes or isinstance(value, Value):
        raise errors.form(f"{n.settings.what} with mode '{mode}'")
    return g.add(ops.Pad(modes[mode.lower()], (*begins, *ends), float(value or 0)), x)


def repeated(n: KerasNode, g: Builder, x: Value, count: int, axis: Any) -> Value:
    """Each element of an axis ``count`` times in a row."""
    if axis is None:
        x, at = g.add(ops.Reshape((-1,)), x), 0
    else:
        at = n.axis(axis, x.type.rank)
    if not 0 < count < 2**20:
        raise errors.misfit(f"{n.settings.what} {count} times")
    size = n.static(x, at, "the size that is repeated")
    return g.add(ops.Gather(at), x, g.constant(np.repeat(np.arange(size), count)))


def matmul(n: KerasNode, g: Builder, a: Any, b: Any, left: bool = False, right: bool = False) -> Value:
    """The product of matrices, either of which may be transposed first."""
    x, y = pair(n, a, b)
    if left:
        x = _swapped(g, x)
    if right:
        y = _swapped(g, y)
    return g.add(ops.MatMul(), x, y)


def _swapped(g: Builder, x: Value) -> Value:
    rank = x.type.rank
    return g.add(ops.Transpose((*range(rank - 2), rank - 1, rank - 2)), x)


def clipped(n: KerasNode, g: Builder, x: Value, least: Any, most: Any) -> Value:
    """x between two numbers."""
    if all(v is None or isinstance(v, int | float) for v in (least, most)) and x.type.dtype.is_float:
        low, high = (None if v is None else float(v) for v in (least, most))
        return g.add(ops.Clip(low, high), x)
    x = x if least is None else binary(n, g, ops.Max(), x, least)
    return x if most is None else binary(n, g, ops.Min(), x, most)


def one_hot(n: KerasNode, g: Builder, x: Value, depth: int, axis: int, dtype: DType) -> Value:
    """Ones at the places that x names."""
    if not 0 < depth < 2**24:
        raise errors.misfit(f"{n.settings.what} of {depth} categories")
    at = n.axis(axis, x.type.rank + 1)
    shape = [1] * (x.type.rank + 1)
    shape[at] = depth
    places = n.builder.constant(np.arange(depth, dtype=np.int64).reshape(shape))
    return n.cast(g.add(ops.Equal(), g.add(ops.Unsqueeze((at,)), n.cast(x, DType.I64)), places), dtype)
