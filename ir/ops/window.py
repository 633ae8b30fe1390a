"""Sliding windows: the sizes of what convolutions and pools make. Pads come as all begins, then all ends."""

from __future__ import annotations

from collections.abc import Sequence

from ..op import expect
from ..types import UNKNOWN, Dim, Shape
from .forms import expect_length


def check_window(rank: int, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]) -> None:
    """TypeMismatch unless there is one stride and dilation an axis, and two pads."""
    expect_length(strides, rank, "strides")
    expect_length(dilations, rank, "dilations")
    expect_length(pads, 2 * rank, "pads")
    expect(all(s > 0 for s in strides), f"strides {tuple(strides)} are not all positive")
    expect(all(d > 0 for d in dilations), f"dilations {tuple(dilations)} are not all positive")


def slid(
    sizes: Shape,
    kernel: Sequence[Dim],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    ceil_mode: bool = False,
) -> Shape:
    """How many places a window takes on each axis: (size + pads - span) / stride + 1, rounded down (or up).

    In ceil mode a last window that would begin in the padding at the end does not count.
    """
    rank = len(sizes)
    check_window(rank, strides, pads, dilations)
    expect_length(kernel, rank, "kernel")
    result: list[Dim] = []
    for axis, (size, k, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        if not isinstance(k, int):
            result.append(UNKNOWN)
            continue
        expect(k > 0, f"a kernel of {k}")
        span = dilation * (k - 1) + 1
        result.append(_places(size, span, stride, pads[axis], pads[axis + rank], ceil_mode))
    return tuple(result)


def _places(size: Dim, span: int, stride: int, begin: int, end: int, ceil_mode: bool) -> Dim:
    up = stride - 1 if ceil_mode else 0
    if not isinstance(size, int):
        if ceil_mode and stride + end > span:
            return UNKNOWN  # whether the last window begins in the padding depends on the size
        return (size + (begin + end - span + stride + up)) // stride
    places = (size + begin + end - span + stride + up) // stride
    if ceil_mode and (places - 1) * stride >= size + begin:
        places -= 1
    expect(places >= 0 and (places > 0 or size == 0), f"a window of {span} does not fit {begin}+{size}+{end} elements")
    return places


def spread(
    sizes: Shape,
    kernel: Sequence[Dim],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    output_padding: Sequence[int],
) -> Shape:
    """Sizes after a transposed convolution: (size - 1) * stride + span + output_padding - pads."""
    rank = len(sizes)
    check_window(rank, strides, pads, dilations)
    expect_length(kernel, rank, "kernel")
    expect_length(output_padding, rank, "output_padding")
    result: list[Dim] = []
    for axis, (size, k, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        if not isinstance(k, int):
            result.append(UNKNOWN)
            continue
        more = dilation * (k - 1) + 1 + output_padding[axis] - pads[axis] - pads[axis + rank] - stride
        made = size * stride + more
        expect(not isinstance(made, int) or made >= 0, f"pads {tuple(pads)} leave nothing of axis {axis}")
        result.append(made)
    return tuple(result)
