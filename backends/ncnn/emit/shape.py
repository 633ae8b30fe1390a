"""Data movement. What only renames axes makes no layer: the result is held where the operand is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import (
    ChannelShuffle,
    Concat,
    DepthToSpace,
    Expand,
    Flatten,
    Pad,
    Reshape,
    Slice,
    SpaceToDepth,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Trilu,
    Unsqueeze,
)
from mconv.ir.types import Dim, DType, Shape, TensorType, product

from ...base import Refused
from ..backend import ncnn
from ..net import Blob, Net, Param
from ..shapes import around, fits, grouping, mat_shape
from .binary import MUL, binary_layer
from .conditions import rank, static
from .movement import MODES, TO_THE_END, concat, crop, cut, flip, pad, permute, tile
from .reduction import axis_form

_FAR = 1 << 31


def shape_known(node: Node) -> bool:
    """its attributes are known (not computed by the model)."""
    names = ("shape", "starts", "ends", "pads", "repeats", "k")
    return all(getattr(node.op, name, ()) is not None for name in names)


@ncnn.emits(Reshape, Squeeze, Unsqueeze, Flatten, where=(shape_known,))
def rename(node: Node, net: Net) -> None:
    """No layer; a reader that needs a certain Mat shape asks for a Reshape."""
    net.alias(node.result, node.inputs[0])


# Transpose -----------------------------------------------------------------------------------------------


def transposed_forms(x: Value, perm: Sequence[int], held: Shape | None) -> list[tuple[Shape, list[list[int]]]]:
    """Mat shapes in which the permutation can be done, with the axes that each dimension merges; the best first."""
    shape = x.type.shape
    usual = mat_shape(shape)
    forms = [held, usual] if held is not None else [usual]
    result = []
    for form in forms:
        groups = grouping(shape, form) if fits(form) else None
        if groups is not None and _keeps_together(groups, perm, shape):
            result.append((form, groups))
    merged, groups = _merged_runs(shape, perm)
    if fits(merged):
        result.append((merged, groups))
    return result


def _keeps_together(groups: Sequence[Sequence[int]], perm: Sequence[int], shape: Shape) -> bool:
    place = {axis: i for i, axis in enumerate(axis for axis in perm if shape[axis] != 1)}
    for group in groups:
        wide = [place[axis] for axis in group if shape[axis] != 1]
        if wide != list(range(wide[0], wide[0] + len(wide))) if wide else False:
            return False
    return True


def _merged_runs(shape: Shape, perm: Sequence[int]) -> tuple[Shape, list[list[int]]]:
    """The axes that stay neighbours merged, axes of size 1 dropped."""
    order = [axis for axis in perm if shape[axis] != 1]
    after = dict(pairwise(order))
    groups: list[list[int]] = []
    for axis in (axis for axis, dim in enumerate(shape) if dim != 1):
        if groups and after.get(groups[-1][-1]) == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return tuple(product(shape[axis] for axis in group) for group in groups) or (1,), groups or [[]]


def permutable(node: Node) -> bool | str:
    """the axes that move merge into four at most."""
    assert isinstance(node.op, Transpose)
    x = node.inputs[0]
    return True if transposed_forms(x, node.op.perm, None) else "the axes that move apart are more than four"


@ncnn.emits(Transpose, where=(permutable,))
def transpose(node: Node, net: Net) -> None:
    """Permute in the form in which the operand is held, if that can be; nothing where only axes of size 1 move."""
    assert isinstance(node.op, Transpose)
    x, perm = node.inputs[0], node.op.perm
    shape = x.type.shape
    moved = [axis for axis in perm if shape[axis] != 1]
    if moved == sorted(moved):
        net.alias(node.result, x)
        return
    form, groups = transposed_forms(x, perm, net.blob(x).shape)[0]
    first = {min(axis for axis in g if shape[axis] != 1): i for i, g in enumerate(groups) if _wide(g, shape)}
    order = [first[axis] for axis in moved if axis in first]
    # a dimension of size 1 may stand anywhere: where the result's own shape has it, if that fits
    narrow = [i for i in range(len(form)) if i not in order]
    blob = net.shaped(x, form)
    usual = mat_shape(node.result.type.shape)
    for place, dim in enumerate(usual):
        if dim == 1 and narrow and len(usual) == len(form):
            order.insert(place, narrow.pop(0))
    net.give(node.result, permute(net, blob, [*narrow, *order]))


def _wide(group: Sequence[int], shape: Shape) -> bool:
    return any(shape[axis] != 1 for axis in group)


# Concat, Split, Slice ------------------------------------------------------------------------------------


def _concat_form(node: Node, net: Net) -> tuple[Shape, int]:
    """The result's Mat shape and the dimension to join: as the first operand is held, if its form allows."""
    assert isinstance(node.op, Concat)
    axis, total = node.op.axis, node.result.type.shape[node.op.axis]
    for value in node.inputs:
        current = net.current(value, [axis])
        if current is not None and value.type.shape[axis] != 1:
            form, (place,) = current
            return (*form[:place], total, *form[place + 1 :]), place
    return axis_form(net, node.result, axis)


@ncnn.emits(Concat)
def concatenate(node: Node, net: Net) -> None:
    """Concat along a dimension of the result's Mat."""
    assert isinstance(node.op, Concat)
    form, axis = _concat_form(node, net)
    blobs = []
    for value in node.inputs:
        own = value.type.shape[node.op.axis]
        blobs.append(net.shaped(value, (*form[:axis], own, *form[axis + 1 :])))
    result = blobs[0] if len(blobs) == 1 else concat(net, blobs, axis)
    result.shape = form
    net.give(node.result, result)


@ncnn.emits(Split)
def split(node: Node, net: Net) -> None:
    """Slice."""
    assert isinstance(node.op, Split)
    x = node.inputs[0]
    form, axis = axis_form(net, x, node.op.axis)
    if len(node.op.sizes) == 1:
        net.alias(node.result, x)
        return
    shapes = [(*form[:axis], size, *form[axis + 1 :]) for size in node.op.sizes]
    params: dict[int, Param] = {0: node.op.sizes, 1: axis, 2: ()}
    for value, blob in zip(node.results, net.layers_of("Slice", [net.shaped(x, form)], shapes, params), strict=True):
        net.give(value, blob)


def touched_form(x: Value, touched: Sequence[int]) -> tuple[Shape, dict[int, int]]:
    """A Mat shape in which each of the axes is a dimension of its own, and which that is."""
    shape = x.type.shape
    held = mat_shape(shape)
    dropped = x.type.rank - len(held)
    if fits(held) and all(axis >= dropped for axis in touched):
        return held, {axis: axis - dropped for axis in touched}
    dims: list[Dim] = []
    places: dict[int, int] = {}
    for axis, dim in enumerate(shape):
        if axis in touched:
            places[axis] = len(dims)
            dims.append(dim)
        elif dims and len(dims) - 1 not in places.values():
            dims[-1] = product((dims[-1], dim))
        elif dim != 1:
            dims.append(dim)
    return tuple(dims), places


def _slices(node: Node) -> list[tuple[int, int, int, int]]:
    """Axis, start, end, step; of axes whose size is known normalised to 0 <= start < end, or 0 > end for backwards."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Slice)
    assert op.starts is not None
    assert op.ends is not None
    axes = op.axes if op.axes is not None else tuple(range(len(op.starts)))
    steps = op.steps if op.steps is not None else (1,) * len(op.starts)
    result = []
    for axis, start, end, step in zip(axes, op.starts, op.ends, steps, strict=True):
        size = x.type.shape[axis]
        if isinstance(size, int):
            start, end, step = slice(start, end, step).indices(size)
            if (start, end, step) == (0, size, 1):
                continue
        result.append((axis, start, end, step))
    return result


def slices_fit(node: Node) -> bool | str:
    """steps other than 1 are along axes of known size, and the axes sliced merge with the others into four."""
    if not shape_known(node):
        return "its places are computed by the model"
    x = node.inputs[0]
    slices = _slices(node)
    for axis, start, end, step in slices:
        if not isinstance(x.type.shape[axis], int) and (step != 1 or end == 0 or (start < 0 < end)):
            return "the size of an axis must be known; fix it with --input-shape"
    plain = [axis for axis, _, _, step in slices if step == 1]
    return True if fits(touched_form(x, plain)[0]) else "it slices more axes than a Mat has dimensions"


@ncnn.emits(Slice, where=(slices_fit,))
def slice_(node: Node, net: Net) -> None:
    """Crop of all axes at once; then, one by one, Flip and a strided Crop of the axes with other steps."""
    x = node.inputs[0]
    slices = _slices(node)
    blob, shape = net.blob(x), list(x.type.shape)
    plain = {axis: (start, end) for axis, start, end, step in slices if step == 1}
    if plain:
        form, places = touched_form(x, list(plain))
        current = net.current(x, list(plain))
        if current is not None:
            form, places = current[0], dict(zip(plain, current[1], strict=True))
        ranges, cropped = {}, list(form)
        for axis, (start, end) in plain.items():
            shape[axis] = node.result.type.shape[axis]
            cropped[places[axis]] = shape[axis]
            ranges[places[axis]] = (start, TO_THE_END if end >= _FAR - 1 else end)
        stepped = any(step != 1 for *_, step in slices)
        blob = crop(net, net.shaped(x, form), ranges, tuple(cropped), suffix="crop" if stepped else "")
    for axis, start, end, step in slices:
        if step != 1:
            blob = _stepped(net, net.reshaped(blob, around(tuple(shape), axis)), start, end, step)
            shape[axis] = len(range(start, end, step))
    net.give(node.result, blob)


def _stepped(net: Net, x: Blob, start: int, end: int, step: int) -> Blob:
    """[A, n, B] to [A, m, B]: every step-th element."""
    size = x.shape[1]
    assert isinstance(size, int)
    count = len(range(start, end, step))
    if step < 0:
        x = flip(net, x, (1,), suffix="flip")
        start, step = size - 1 - start, -step
    if step == 1:
        return cut(net, x, 1, start, start + count, suffix="cut")
    reach = start + count * step
    x = cut(net, x, 1, start, min(reach, size), suffix="cut")
    if reach > size:
        x = pad(net, x, (0, 0, 0), (0, reach - size, 0), "constant", 0.0, suffix="pad")
    before, _, after = x.shape
    # what follows each wanted element stands beside it, and is cut off
    rows = net.reshaped(x, (before, count, product((step, after))))
    if not isinstance(after, int):
        raise Refused("the sizes must be known", code="MC323", hint="fix them with --input-shape")
    return cut(net, rows, 2, 0, after, suffix="steps")


# Pad, Expand, Tile ---------------------------------------------------------------------------------------


def padable(node: Node) -> bool | str:
    """the mode is constant, edge or reflect, and the pads are known."""
    op = node.op
    assert isinstance(op, Pad)
    if op.pads is None:
        return "its pads are computed by the model"
    x = node.inputs[0].type
    for axis, (begin, end) in enumerate(zip(op.pads[: x.rank], op.pads[x.rank :], strict=True)):
        size = x.shape[axis]
        left = size + min(begin, 0) + min(end, 0) if isinstance(size, int) else 0
        if op.mode == "reflect" and isinstance(size, int) and max(begin, end) >= left:
            return f"ncnn mirrors fewer than {left} elements"
        if min(begin, end) < 0 and not isinstance(size, int):
            return "a negative pad wants a known size; fix it with --input-shape"
    return op.mode in MODES


@ncnn.emits(Pad, where=(padable,))
def padding(node: Node, net: Net) -> None:
    """Padding, of all axes at once where a Mat's dimensions allow, else one by one; Crop for negative pads."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Pad)
    assert op.pads is not None
    pads = {i: (op.pads[i], op.pads[x.type.rank + i]) for i in range(x.type.rank)}
    pads = {axis: ends for axis, ends in pads.items() if ends != (0, 0)}
    blob, shape = net.blob(x), list(x.type.shape)
    for axis, (begin, end) in pads.items():
        if min(begin, end) < 0:
            size = shape[axis]
            assert isinstance(size, int)
            form = around(tuple(shape), axis)
            blob = cut(net, net.reshaped(blob, form), 1, max(0, -begin), size - max(0, -end), suffix=f"cut{axis}")
            shape[axis] = size - max(0, -begin) - max(0, -end)
    grow = {axis: (max(0, b), max(0, e)) for axis, (b, e) in pads.items() if max(b, e) > 0}
    net.give(node.result, _grow(net, x, blob, tuple(shape), grow, op))


def _grow(net: Net, x: Value, blob: Blob, shape: Shape, grow: dict[int, tuple[int, int]], op: Pad) -> Blob:
    form, places = _shape_form(shape, list(grow))
    if fits(form) and not (len(form) == 4 and 0 in places.values()):
        begins, ends = [0] * len(form), [0] * len(form)
        for axis, (begin, end) in grow.items():
            begins[places[axis]], ends[places[axis]] = begin, end
        return pad(net, net.reshaped(blob, form), begins, ends, op.mode, op.value) if grow else blob
    current = list(shape)
    for axis, (begin, end) in grow.items():
        part = net.reshaped(blob, around(tuple(current), axis))
        blob = pad(net, part, (0, begin, 0), (0, end, 0), op.mode, op.value, suffix=f"axis{axis}")
        current[axis] = current[axis] + begin + end
    return blob


def _shape_form(shape: Shape, touched: Sequence[int]) -> tuple[Shape, dict[int, int]]:
    return touched_form(Value("", TensorType(DType.F32, shape)), touched)


def repeats_fit(node: Node) -> bool | str:
    """sizes are known, and the axes repeated merge with the others into four."""
    if not shape_known(node):
        return "its sizes are computed by the model"
    form, _ = _repeats(node)
    if not all(isinstance(count, int) for count in _counts(node)):
        return "how often it repeats depends on sizes known only at run time; fix them with --input-shape"
    return True if fits(form) else "it repeats more axes than a Mat has dimensions"


def _padded(node: Node) -> Shape:
    """The operand's shape with as many axes as the result's."""
    shape = node.inputs[0].type.shape
    return (1,) * (node.result.type.rank - len(shape)) + shape


def _counts(node: Node) -> list[Dim]:
    if isinstance(node.op, Tile):
        return list(node.op.repeats or ())
    pairs = zip(_padded(node), node.result.type.shape, strict=True)
    return [after if before == 1 else 1 for before, after in pairs]


def _repeats(node: Node) -> tuple[Shape, list[Dim]]:
    """The operand's Mat shape, and how often each dimension is repeated."""
    counts, shape = _counts(node), _padded(node)
    form: list[Dim] = []
    result: list[Dim] = []
    for dim, count in zip(shape, counts, strict=True):
        if dim == 1 and count == 1:
            continue
        if form and count == 1 and result[-1] == 1:
            form[-1] = product((form[-1], dim))
        elif form and dim == 1 and form[-1] == 1:
            result[-1] = product((result[-1], count))
        else:
            form.append(dim)
            result.append(count)
    return tuple(form) or (1,), result or [1]


@ncnn.emits(Expand, Tile, where=(repeats_fit,))
def repeat(node: Node, net: Net) -> None:
    """Tile; nothing where nothing is repeated."""
    form, counts = _repeats(node)
    numbers = [count for count in counts if isinstance(count, int)]
    if all(count == 1 for count in numbers):
        net.alias(node.result, node.inputs[0])
        return
    net.give(node.result, tile(net, net.shaped(node.inputs[0], form), numbers))


@ncnn.emits(Trilu, where=(static, shape_known))
def triangle(node: Node, net: Net) -> None:
    """A product with ones and zeros."""
    assert isinstance(node.op, Trilu)
    x = node.inputs[0]
    rows, columns = x.type.static_shape[-2:]
    ones = np.ones((rows, columns), np.float32)
    k = node.op.k or 0
    mask = np.triu(ones, k) if node.op.upper else np.tril(ones, k)
    outer = product(x.type.shape[:-2])
    blob = net.shaped(x, (outer, rows, columns))
    kept = net.data(mask, (1, rows, columns), f"{node.name}/kept")
    net.give(node.result, binary_layer(net, blob, kept, MUL, blob.shape))


# Channels and space --------------------------------------------------------------------------------------


def one_image(node: Node) -> bool:
    """the batch is 1."""
    return node.inputs[0].type.shape[0] == 1


@ncnn.emits(DepthToSpace, SpaceToDepth, where=(rank(4), one_image))
def depth_and_space(node: Node, net: Net) -> None:
    """PixelShuffle, or Reorg."""
    op = node.op
    assert isinstance(op, DepthToSpace | SpaceToDepth)
    x = net.held(node.inputs[0])
    if isinstance(op, DepthToSpace):
        kind, mode = "PixelShuffle", int(op.mode == "DCR")
    else:
        kind, mode = "Reorg", 1
    net.give(node.result, net.layer(kind, [x], node.result.type.shape[1:], {0: op.blocksize, 1: mode}))


@ncnn.emits(ChannelShuffle, where=(one_image,))
def channel_shuffle(node: Node, net: Net) -> None:
    """ShuffleChannel."""
    assert isinstance(node.op, ChannelShuffle)
    x = node.inputs[0]
    _, channels, *rest = x.type.shape
    form: Shape = (channels, *rest) if len(rest) in (2, 3) else (channels, 1, product(rest))
    net.give(node.result, net.layer("ShuffleChannel", [net.shaped(x, form)], form, {0: node.op.groups, 1: 0}))
