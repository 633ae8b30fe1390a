"""Convolutions, and how pads follow from `auto_pad`."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Dim, Value, ops

from ..errors import RE_EXPORT, needs_static, unreadable
from ..node import OnnxNode
from ..registry import onnx

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def kernel_of(n: OnnxNode, weight: Value) -> tuple[int, ...]:
    """The kernel's sizes, which the weight has and the attribute may repeat."""
    kernel, declared = weight.type.shape[2:], n.integers("kernel_shape")
    if declared is None:
        return n.static_shape(weight, "weight")[2:]
    if len(kernel) != len(declared) or any(
        isinstance(k, int) and k != d for k, d in zip(kernel, declared, strict=True)
    ):
        what = f"{n.op_type}: kernel_shape {list(declared)} and a weight of {weight.type}"
        raise unreadable("MC219", what, RE_EXPORT)
    return declared


def per_axis(n: OnnxNode, name: str, rank: int) -> tuple[int, ...]:
    """An attribute with one number a spatial axis, 1 where it is not given."""
    return n.integers(name) or (1,) * rank


def same_pads(size: int, span: int, stride: int, upper: bool) -> tuple[int, int]:
    """Pads of one axis with which ceil(size / stride) windows of ``span`` fit; an odd one goes to the end if upper."""
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    less, more = total // 2, total - total // 2
    return (less, more) if upper else (more, less)


def pads_of(
    n: OnnxNode, sizes: Sequence[Dim], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """All begins, then all ends, whichever way the node tells them."""
    rank, mode = len(sizes), n.choice("auto_pad", *AUTO_PADS)
    given = n.integers("pads")
    if mode == "NOTSET":
        return given or (0,) * (2 * rank)
    if mode == "VALID":
        return (0,) * (2 * rank)
    pairs = []
    for axis, size in enumerate(sizes):
        span = dilations[axis] * (kernel[axis] - 1) + 1
        if not isinstance(size, int):
            if strides[axis] != 1:
                raise needs_static(f"the size '{size}' that {n.op_type} pads to keep")
            size = span  # with stride 1 the pads are the same for any size
        pairs.append(same_pads(size, span, strides[axis], mode == "SAME_UPPER"))
    return (*(begin for begin, _ in pairs), *(end for _, end in pairs))


@onnx("Conv")
def conv(n: OnnxNode, g: Builder) -> Value:
    """Conv over any number of spatial axes."""
    x, w = n[0], n[1]
    rank = w.type.rank - 2
    kernel = kernel_of(n, w)
    strides, dilations = per_axis(n, "strides", rank), per_axis(n, "dilations", rank)
    pads = pads_of(n, x.type.shape[2:], kernel, strides, dilations)
    return g.add(ops.Conv(strides, pads, dilations, n.integer("group")), x, w, n.get(2))


@onnx("ConvTranspose")
def conv_transpose(n: OnnxNode, g: Builder) -> Value:
    """ConvTranspose; a wanted result size is turned into pads."""
    x, w = n[0], n[1]
    rank = w.type.rank - 2
    kernel = kernel_of(n, w)
    strides, dilations = per_axis(n, "strides", rank), per_axis(n, "dilations", rank)
    extra = n.integers("output_padding") or (0,) * rank
    pads, extra = _transposed_pads(n, x.type.shape[2:], kernel, strides, dilations, extra)
    return g.add(ops.ConvTranspose(strides, pads, dilations, n.integer("group"), extra), x, w, n.get(2))


def _transposed_pads(
    n: OnnxNode,
    sizes: Sequence[Dim],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    extra: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Pads and output padding. What is too much of (size - 1) * stride + span + extra is cut off as pads."""
    rank, mode = len(sizes), n.choice("auto_pad", *AUTO_PADS)
    wanted, given = n.integers("output_shape"), n.integers("pads")
    if mode == "VALID" or (mode == "NOTSET" and wanted is None):
        return (given if given and mode == "NOTSET" else (0,) * (2 * rank)), extra
    begins, ends, added = [], [], list(extra)
    for axis, size in enumerate(sizes):
        span = dilations[axis] * (kernel[axis] - 1) + 1
        if wanted is None:
            total = span + extra[axis] - strides[axis]  # the result is size * stride
        elif isinstance(size, int):
            total = (size - 1) * strides[axis] + span + extra[axis] - wanted[len(wanted) - rank + axis]
        else:
            raise needs_static(f"the size '{size}' that {n.op_type} makes {list(wanted)} of")
        if total < 0:
            added[axis] -= total
            total = 0
        half = total // 2 if mode == "SAME_UPPER" else total - total // 2
        begins.append(half)
        ends.append(total - half)
    return (*begins, *ends), tuple(added)


@onnx("DeformConv")
def deform_conv(n: OnnxNode, g: Builder) -> Value:
    """DeformConv."""
    w = n[1]
    rank = w.type.rank - 2
    kernel_of(n, w)
    op = ops.DeformConv(
        per_axis(n, "strides", rank),
        n.integers("pads") or (0,) * (2 * rank),
        per_axis(n, "dilations", rank),
        n.integer("group"),
        n.integer("offset_group"),
    )
    return g.add(op, n[0], w, n[2], n.get(3), n.get(4))


@onnx("ConvInteger")
def conv_integer(n: OnnxNode, g: Builder) -> Value:
    """ConvInteger of 8-bit integers."""
    x, w = n[0], n[1]
    rank = w.type.rank - 2
    kernel = kernel_of(n, w)
    strides, dilations = per_axis(n, "strides", rank), per_axis(n, "dilations", rank)
    pads = pads_of(n, x.type.shape[2:], kernel, strides, dilations)
    return g.add(ops.ConvInteger(strides, pads, dilations, n.integer("group")), x, w, n.get(2), n.get(3))
