"""Windows over [N, H, W, C]: which padding TFLite's two kinds can say, and the PAD before the operation otherwise.

SAME makes ceil(size / stride) places, and splits what is missing for them with the larger part at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Node, TensorType, Value
from mconv.ir.types import Dim

from ..net import Net

SAME, VALID = 0, 1
"""Numbers of the schema's Padding."""


def same_pads(
    sizes: Sequence[Dim], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...] | None:
    """The pads that SAME means, all begins, then all ends; None where a size is known only at run time.

    Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    begins, ends = [], []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        if not isinstance(size, int):
            return None
        places = -(-size // stride)
        missing = max((places - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        begins.append(missing // 2)
        ends.append(missing - missing // 2)
    return (*begins, *ends)


def padding_of(
    sizes: Sequence[Dim],
    places: Sequence[Dim],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> int | None:
    """SAME or VALID where one of them means these pads, else None.

    ``places`` are the sizes of the result: what a window in ceil mode reads beyond the pads counts as padding too.
    """
    axes = len(kernel)
    if not any(pads):
        fitting = [
            not isinstance(s, int) or not isinstance(p, int) or (p - 1) * st + d * (k - 1) + 1 <= s
            for s, p, k, st, d in zip(sizes, places, kernel, strides, dilations, strict=True)
        ]
        if all(fitting):
            return VALID
    wanted = same_pads(sizes, kernel, strides, dilations)
    if wanted is None or tuple(pads[:axes]) != wanted[:axes]:
        return None
    for size, place, stride in zip(sizes, places, strides, strict=True):
        assert isinstance(size, int)
        if place != -(-size // stride):
            return None
    return SAME


def end_pads(
    sizes: Sequence[Dim],
    places: Sequence[Dim],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """``pads`` with ends that reach as far as the last window does: no further, and not less in ceil mode."""
    axes = len(kernel)
    ends = []
    for axis in range(axes):
        size, place = sizes[axis], places[axis]
        if not isinstance(size, int) or not isinstance(place, int):
            ends.append(pads[axis + axes])
            continue
        reach = (place - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        ends.append(max(reach - size - pads[axis], 0))
    return (*pads[:axes], *ends)


def padded(net: Net, x: Value, pads: Sequence[int], value: float = 0.0) -> int:
    """The tensor of [N, *S, C] ``x`` with ``pads`` around its spatial axes, PAD with zeros, PADV2 with other values."""
    axes = len(pads) // 2
    table = np.array([(0, 0), *zip(pads[:axes], pads[axes:], strict=True), (0, 0)], np.int32)
    shape = tuple(d + int(b) + int(e) for d, (b, e) in zip(x.type.shape, table, strict=True))
    result = net.scratch(TensorType(x.type.dtype, shape), f"{x.name}_padded", net.quantization(x))
    pads_tensor = net.constant(table, "paddings")
    if value:
        fill = net.constant(np.array(value, x.type.dtype.numpy), "fill")
        net.add("PADV2", [x, pads_tensor, fill], [result], "PadV2Options")
    else:
        net.add("PAD", [x, pads_tensor], [result], "PadOptions")
    return result


def spatial(node: Node) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """Sizes of the spatial axes before and after an operator that runs channels last."""
    return node.inputs[0].type.shape[1:-1], node.result.type.shape[1:-1]
