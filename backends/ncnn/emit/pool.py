"""Pooling. Each channel is pooled alone, so a batch is merged with the channels.

The padding is always written out: ncnn's own ceil mode may add a window that lies in the padding only, and counts
what it pads as elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Node
from mconv.ir.ops import AveragePool, LpPool, MaxPool, RoiAlign
from mconv.ir.types import Dim, Shape, product

from ..backend import ncnn
from ..net import Blob, Net, Param
from ..shapes import mat_shape
from .binary import scalar_layer
from .conditions import floats, rank, static
from .conv import positive_pads
from .movement import concat, cut, pad

_KINDS = {1: "Pooling1D", 2: "Pooling", 3: "Pooling3D"}
_KERNEL, _STRIDE, _BEGIN, _END, _OUT = (1, 11, 21), (2, 12, 22), (3, 13, 23), (14, 15, 16), (8, 18, 28)
MAX, AVERAGE = 0, 1
FULL, VALID = 0, 1


def no_dilation(node: Node) -> bool:
    """the windows are not dilated."""
    return all(d == 1 for d in node.op.dilations)  # type: ignore[attr-defined]


def tail_is_known(node: Node) -> bool | str:
    """in ceil mode, the sizes are known or no window can lie in the padding only."""
    op = node.op
    assert isinstance(op, MaxPool | AveragePool)
    if not op.ceil_mode or all(isinstance(d, int) for d in node.inputs[0].type.shape[2:]):
        return True
    axes = len(op.kernel)
    rows = zip(op.kernel, op.strides, op.pads[axes:], strict=True)
    safe = all(end + stride <= kernel for kernel, stride, end in rows)
    return True if safe else "its last windows depend on sizes known only at run time; fix them with --input-shape"


def channels_form(node: Node, net: Net) -> Blob:
    """x [N, C, *S] with batch and channels merged."""
    x = node.inputs[0]
    batch, channels, *spatial = x.type.shape
    return net.shaped(x, (product((batch, channels)), *spatial))


def pool_params(
    kind: int,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    *,
    mode: int = VALID,
    count_pads: bool = False,
) -> dict[int, Param]:
    """All parameters of a Pooling layer."""
    axes = len(kernel)
    params: dict[int, Param] = {0: kind, 4: 0, 5: mode, 6: int(count_pads), 7: 0}
    for ids, sizes in ((_KERNEL, kernel), (_STRIDE, strides), (_BEGIN, pads[:axes]), (_END, pads[axes:])):
        params |= dict(zip(ids, reversed(sizes), strict=False))
    params |= dict.fromkeys(_OUT[:axes], 0)
    return dict(sorted(params.items()))


def global_pool(net: Net, kind: int, x: Blob) -> Blob:
    """One number a channel: [C, *S] to [C]."""
    axes = len(x.shape) - 1
    params = pool_params(kind, (0,) * axes, (1,) * axes, (0,) * (2 * axes)) | {4: 1}
    return net.layer(_KINDS[axes], [x], x.shape[:1], params)


@ncnn.emits(MaxPool, AveragePool, where=(floats, rank(3, 4, 5), positive_pads, no_dilation, tail_is_known))
def pooling(node: Node, net: Net) -> None:
    """Pooling over one, two or three axes."""
    op = node.op
    assert isinstance(op, MaxPool | AveragePool)
    x = channels_form(node, net)
    axes = len(op.kernel)
    begins, ends = op.pads[:axes], op.pads[axes:]
    counted = isinstance(op, AveragePool) and op.count_include_pad and any(op.pads)
    tail = _tail(x.shape[1:], node.result.type.shape[2:], op)
    if counted and (tail is None or any(tail)):
        # what the tail reads is not counted, the padding is: so the padding becomes part of the tensor
        x = _zeros_around(net, x, begins, ends)
        begins, ends, counted = (0,) * axes, (0,) * axes, False
    if tail is not None:
        ends = tuple(end + more for end, more in zip(ends, tail, strict=True))
    mode = FULL if tail is None else VALID
    kind = MAX if isinstance(op, MaxPool) else AVERAGE
    params = pool_params(kind, op.kernel, op.strides, (*begins, *ends), mode=mode, count_pads=counted)
    net.give(node.result, net.layer(_KINDS[axes], [x], (x.shape[0], *node.result.type.shape[2:]), params))


def _tail(before: Shape, after: Shape, op: MaxPool | AveragePool) -> tuple[int, ...] | None:
    """How far the last windows reach beyond the padding; None in ceil mode where sizes are not known."""
    axes = len(op.kernel)
    if not op.ceil_mode:
        return (0,) * axes
    tail = []
    for i, (size, count) in enumerate(zip(before, after, strict=True)):
        if not isinstance(size, int) or not isinstance(count, int):
            return None
        reached = (count - 1) * op.strides[i] + op.kernel[i]
        tail.append(max(0, reached - (size + op.pads[i] + op.pads[axes + i])))
    return tuple(tail)


def _zeros_around(net: Net, x: Blob, begins: Sequence[int], ends: Sequence[int]) -> Blob:
    return pad(net, x, (0, *begins), (0, *ends), "constant", 0.0, suffix="pad")


def square_norm(node: Node) -> bool:
    """p is 1 or 2, and not in ceil mode."""
    assert isinstance(node.op, LpPool)
    return node.op.p in (1, 2) and not node.op.ceil_mode


@ncnn.emits(LpPool, where=(floats, rank(3, 4, 5), positive_pads, no_dilation, square_norm))
def lp_pooling(node: Node, net: Net) -> None:
    """The average of abs(x)^p, times the elements of a window, and its root."""
    op = node.op
    assert isinstance(op, LpPool)
    x = channels_form(node, net)
    axes, size = len(op.kernel), 1
    for k in op.kernel:
        size *= k
    kind = 0 if op.p == 1 else 4
    powers = net.layer("UnaryOp", [x], x.shape, {0: kind}, suffix="power")
    params = pool_params(AVERAGE, op.kernel, op.strides, op.pads, count_pads=True)
    shape = (x.shape[0], *node.result.type.shape[2:])
    mean = net.layer(_KINDS[axes], [powers], shape, params, suffix="mean")
    total = scalar_layer(net, mean, 2, float(size), suffix="sum" if op.p == 2 else "")
    net.give(node.result, net.layer("UnaryOp", [total], shape, {0: 5}) if op.p == 2 else total)


MOST_REGIONS = 64


def few_regions(node: Node) -> bool | str:
    """the batch is 1, and there are at most 64 regions."""
    x, rois = node.inputs[0].type, node.inputs[1].type
    count: Dim = rois.shape[0]
    if x.shape[0] != 1:
        return f"ncnn has no batch, and here it is {x.shape[0]}"
    return True if isinstance(count, int) and count <= MOST_REGIONS else f"ncnn takes one region, here are {count}"


def averaged(node: Node) -> bool:
    """the mode is 'avg'."""
    assert isinstance(node.op, RoiAlign)
    return node.op.mode == "avg"


@ncnn.emits(RoiAlign, where=(static, rank(4), few_regions, averaged))
def roi_align(node: Node, net: Net) -> None:
    """One ROIAlign a region; the image can only be the first."""
    op = node.op
    assert isinstance(op, RoiAlign)
    params: dict[int, Param] = {
        0: op.output_width, 1: op.output_height, 2: float(op.spatial_scale), 3: op.sampling_ratio,
        4: int(op.half_pixel), 5: 1,
    }  # fmt: skip
    regions(node, net, "ROIAlign", params, 0)


def regions(node: Node, net: Net, kind: str, params: dict[int, Param], first: int) -> None:
    """A layer for each region; its corners are the columns of the second operand from ``first`` on."""
    x, rois = node.inputs[0], node.inputs[1]
    count, columns = rois.type.static_shape
    channels, height, width = node.result.type.static_shape[1:]
    image, rows = net.held(x), net.shaped(rois, (count, columns))
    cells = []
    for number in range(count):
        region = cut(net, rows, 0, number, number + 1, suffix=f"region{number}")
        region = cut(net, region, 1, first, columns, suffix=f"corners{number}")
        region = net.reshaped(region, (columns - first,))
        cells.append(net.layer(kind, [image, region], (channels, height, width), params, suffix=f"cells{number}"))
    whole = [net.reshaped(cell, (1, *cell.shape)) for cell in cells]
    result = cells[0] if count == 1 else concat(net, whole, 0)
    assert mat_shape(node.result.type.shape) == result.shape
    net.give(node.result, result)
