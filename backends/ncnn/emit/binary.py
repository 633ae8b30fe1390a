"""Binary layers with broadcasting that is never ambiguous: both Mats get the same number of dimensions.

ncnn aligns Mats of different ranks at the outer axis, numpy at the inner; with equal ranks both agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Value
from mconv.ir.types import Shape, product

from ...base import Refused
from ..net import Blob, Net
from ..shapes import fits, grouping, mat_shape, merge

ADD, SUB, MUL, DIV, MAX, MIN, POW, RSUB, RDIV, RPOW, ATAN2, RATAN2, FMOD, RFMOD = range(14)
REVERSED = {ADD: ADD, SUB: RSUB, MUL: MUL, DIV: RDIV, MAX: MAX, MIN: MIN, POW: RPOW, ATAN2: RATAN2, FMOD: RFMOD}


def scalar_layer(net: Net, x: Blob, kind: int, number: float, *, suffix: str = "") -> Blob:
    """A BinaryOp with a number."""
    return net.layer("BinaryOp", [x], x.shape, {0: kind, 1: 1, 2: float(number)}, suffix=suffix)


def binary_layer(net: Net, a: Blob, b: Blob, kind: int, shape: Shape, *, suffix: str = "") -> Blob:
    """A BinaryOp of two blobs of equal rank."""
    return net.layer("BinaryOp", [a, b], shape, {0: kind, 1: 0, 2: 0.0}, suffix=suffix)


def scalar_of(value: Value) -> float | None:
    """The number of a constant that is one, as far as a .param file can hold it."""
    if value.data is None or value.data.size != 1:
        return None
    number = float(value.data.reshape(-1)[0])
    return number if abs(number) <= 3.4028234663852886e38 else None


def compute(net: Net, kind: int, a: Value, b: Value, result: Value) -> None:
    """``result`` = a (kind) b; a constant number needs no blob of its own."""
    number = scalar_of(b)
    if number is not None and product(a.type.shape) == product(result.type.shape):
        net.give(result, scalar_layer(net, net.blob(a), kind, number))
        return
    number = scalar_of(a)
    if number is not None and kind in REVERSED and product(b.type.shape) == product(result.type.shape):
        net.give(result, scalar_layer(net, net.blob(b), REVERSED[kind], number))
        return
    (x, y), shape = aligned(net, (a, b), result)
    net.give(result, binary_layer(net, x, y, kind, shape))


def aligned(net: Net, values: Sequence[Value], result: Value) -> tuple[list[Blob], Shape]:
    """The values as blobs of one rank that broadcast to the result's elements, and the result's Mat shape."""
    full = result.type.shape or (1,)
    padded = [(1,) * (len(full) - v.type.rank) + v.type.shape for v in values]
    for form in _forms(net, values, padded, full):
        shapes = [_in_form(shape, full, form) for shape in padded]
        if all(shape is not None for shape in shapes):
            return [_channelwise(net, v, s, form) for v, s in zip(values, shapes, strict=True) if s is not None], form
    kinds = list(zip(*([dim == 1 for dim in shape] for shape in padded), strict=True))
    form, kept = merge(full, kinds)
    if not fits(form):
        raise Refused(f"it broadcasts over {len(form)} axes that do not merge, a Mat has four at most", code="MC322")
    narrow = [tuple(1 if kind[i] else dim for dim, kind in zip(form, kept, strict=True)) for i in range(len(values))]  # type: ignore[index]
    return [net.shaped(v, s) for v, s in zip(values, narrow, strict=True)], form


def narrowed(shape: Shape, result: Value, form: Shape) -> Shape:
    """The shape of an operand as it broadcasts to the result's form (which ``aligned`` gave)."""
    full = result.type.shape or (1,)
    found = _in_form((1,) * (len(full) - len(shape)) + shape, full, form)
    if found is None:
        raise Refused("its operands broadcast over half of what is merged", code="MC322")
    return found


def _channelwise(net: Net, value: Value, shape: Shape, form: Shape) -> Blob:
    """The value in that shape. What is held as [C] need not become [C, 1, 1]: ncnn aligns a vector at the channels.

    (It looks there first, so that this holds also where rows are as long as there are channels.)
    """
    blob = None if value.data is not None else net.blob(value)
    if blob is not None and len(form) > 2 and shape == (form[0], *(1,) * (len(form) - 1)) and blob.shape == form[:1]:
        return blob
    return net.shaped(value, shape)


def _forms(net: Net, values: Sequence[Value], padded: Sequence[Shape], full: Shape) -> list[Shape]:
    """Mat shapes that the result may have, best first: one in which an operand is held already needs no Reshape."""
    held = [net.blob(v).shape for v, shape in zip(values, padded, strict=True) if v.data is None and shape == full]
    usual = mat_shape(full)
    return [form for form in (*held, usual) if fits(form)]


def _in_form(shape: Shape, full: Shape, form: Shape) -> Shape | None:
    """``shape`` (as many axes as ``full``, some of them 1) in the form; None where a merged axis is half broadcast."""
    groups = grouping(full, form)
    if groups is None:
        return None
    result = []
    for group, dim in zip(groups, form, strict=True):
        wide = [axis for axis in group if full[axis] != 1]
        ones = sum(shape[axis] == 1 for axis in wide)
        if 0 < ones < len(wide):
            return None
        result.append(1 if wide and ones else dim)
    return tuple(result)
