"""Layers that bring values in or hand them on: Input, MemoryData, Split and the like."""

from __future__ import annotations

from mconv.ir import DType, Value
from mconv.ir.ops import Identity

from .. import errors
from ..param import Layer
from ..translate import Translation, layer


def sizes(each: Layer) -> tuple[int, ...]:
    """The Mat shape in parameters 0 (w), 1 (h), 11 (d), 2 (c); as many dimensions as are not 0."""
    w, h, c, d = (each.whole(key, 0) for key in (0, 1, 2, 11))
    each.require(min(w, h, c, d) >= 0, "a size is negative")
    if d:
        return (c, d, h, w)
    if c:
        return (c, h, w)
    return (h, w) if h else (w,) if w else ()


@layer("Input")
def input_(t: Translation, each: Layer) -> Value:
    """An input; its size is the file's, or what --input-shape tells."""
    name = each.outputs[0] if each.outputs else each.name
    told = t.shapes.get(name)
    shape = sizes(each)
    if told is not None:
        shape = told[1:] if len(told) > 1 and told[0] == 1 and len(told) != len(shape) else told
    if not shape or 0 in shape:
        raise errors.tell_shape(name, each.where)
    each.require(len(shape) <= 4, f"an input of {len(shape)} axes; a Mat has four")
    dtype = DType.I32 if name in t.integers else DType.F32
    return t.b.input(name, dtype, (1, *shape))


@layer("MemoryData")
def memory_data(t: Translation, each: Layer) -> Value:
    """A constant."""
    shape = sizes(each)
    kind = each.whole(21, 1)
    each.require(kind in (0, 1), f"load_type {kind}")
    shape = shape or (1,)
    return t.raw(1, *shape) if kind else t.tagged(1, *shape)


@layer("Split", "Noop", "DeepCopy", "Packing", "Cast")
def copies(t: Translation, each: Layer) -> list[Value]:
    """The same value under several names."""
    each.ignore(0, 1, 2, 3, 4, 5)
    if each.kind == "Noop":
        return t.inputs(0, 1 << 16)
    value = t.input()
    if each.kind == "Split":
        return [value] * len(each.outputs)
    return [t.add(Identity(), value)]
