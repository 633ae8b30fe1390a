"""Convolutions. Keras's kernels are [*K, in, out]; the operators' are [out, in, *K]."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Symbol, Value, ops
from mconv.ir.types import Array

from .. import errors
from ..activations import activated
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..weights import Slots, SlotsOf, slots
from .core import biased

WIDEST = 1 << 20
"""Elements of a window that is padded for."""
PADDINGS = ("valid", "same", "causal")


def to_first(g: Builder, value: Value) -> Value:
    """[N, *S, C] as [N, C, *S]."""
    rank = value.type.rank
    return g.add(ops.Transpose((0, rank - 1, *range(1, rank - 1))), value)


def to_last(g: Builder, value: Value) -> Value:
    """[N, C, *S] as [N, *S, C]."""
    return g.add(ops.Transpose((0, *range(2, value.type.rank), 1)), value)


def entered(n: KerasNode, g: Builder, rank: int) -> tuple[Value, bool]:
    """The tensor as [N, C, *S] with ``rank`` spatial axes, and whether it is so in the model, too."""
    x = n.only()
    n.expect_rank(rank + 2)
    first = n.settings.channels_first()
    return (x if first else to_first(g, x)), first


def left(g: Builder, value: Value, first: bool) -> Value:
    """A result [N, C, *S] in the model's order."""
    return value if first else to_last(g, value)


def pads_of(
    n: KerasNode, x: Value, padding: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """All begins, then all ends, of a window over x [N, C, *S].

    'same' makes ceil(size / stride) places and puts the odd element at the end; 'causal' pads the begin alone.
    """
    for numbers, what in ((kernel, "sizes"), (strides, "strides"), (dilations, "dilations")):
        if any(i < 1 for i in numbers):
            raise errors.misfit(f"{n.settings.what} with window {what} {tuple(numbers)}")
    if padding == "valid":
        return (0,) * (2 * len(kernel))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if max(spans) > WIDEST:
        raise errors.too_large(f"{n.settings.what} pads for a window of {max(spans)} elements")
    if padding == "causal":
        return (*(span - 1 for span in spans), *(0 for _ in spans))
    totals = []
    for size, span, stride in zip(x.type.shape[2:], spans, strides, strict=True):
        if not isinstance(size, Symbol):
            totals.append(max((-(-size // stride) - 1) * stride + span - size, 0))
        elif stride == 1:
            totals.append(span - 1)
        else:
            raise errors.needs_static(f"the size, which padding 'same' with strides needs, of {n.settings.what}")
    return (*(t // 2 for t in totals), *(t - t // 2 for t in totals))


def window(n: KerasNode, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], str]:
    """kernel_size, strides, dilation_rate and padding of a layer's settings."""
    s = n.settings
    padding = s.text("padding", "valid", of=PADDINGS)
    return (
        s.integers("kernel_size", rank),
        s.integers("strides", rank, 1),
        s.integers("dilation_rate", rank, 1),
        padding,
    )


def outward(kernel: Array) -> Array:
    """[*K, in, out] as [out, in, *K], a view."""
    rank = kernel.ndim - 2
    return kernel.transpose(rank + 1, rank, *range(rank))


def bias(n: KerasNode, count: int) -> Value | None:
    """The bias [count], where there is one."""
    return n.constant(n.weight("bias", count), "bias") if n.settings.flag("use_bias", True) else None


@keras("Conv1D", "Conv2D", "Conv3D", weights=biased)
def conv(n: KerasNode, g: Builder) -> Value:
    """Conv1D, Conv2D, Conv3D."""
    rank = int(n.cls[4])
    x, first = entered(n, g, rank)
    kernel, strides, dilations, padding = window(n, rank)
    filters, groups = n.settings.integer("filters"), n.settings.integer("groups", 1)
    channels = n.static(x, 1, "the number of channels")
    if groups < 1 or channels % groups:
        raise errors.misfit(f"{n.settings.what} with {groups} groups of {channels} channels")
    w = n.constant(outward(n.weight("kernel", *kernel, channels // groups, filters)), "kernel")
    pads = pads_of(n, x, padding, kernel, strides, dilations)
    y = g.add(ops.Conv(strides, pads, dilations, groups), x, w, bias(n, filters))
    return activated(n, g, left(g, y, first))


def _depthwise_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    name = "depthwise_kernel" if layer.cls.startswith("Separable") else "kernel"
    points = ["pointwise_kernel"] if layer.cls.startswith("Separable") else []
    return slots(name, *points, *(["bias"] if layer.config.get("use_bias", True) else []))


def _depthwise(n: KerasNode, g: Builder, x: Value, name: str, rank: int) -> tuple[Value, int]:
    """Each channel by filters of its own, without bias, as an operator's operands; and how many channels come out."""
    kernel, strides, dilations, padding = window(n, rank)
    channels, times = n.static(x, 1, "the number of channels"), n.settings.integer("depth_multiplier", 1)
    w = n.weight(name, *kernel, channels, times)
    made = channels * times
    w = w.reshape(*kernel, 1, made).transpose(rank + 1, rank, *range(rank))
    pads = pads_of(n, x, padding, kernel, strides, dilations)
    op = ops.Conv(strides, pads, dilations, channels)
    b = bias(n, made) if name == "kernel" else None
    return g.add(op, x, n.constant(w, name), b), made


@keras("DepthwiseConv1D", "DepthwiseConv2D", weights=_depthwise_slots,
       ignores={"filters": "None", "groups": "None", "kernel_initializer": "of training"})  # fmt: skip
def depthwise_conv(n: KerasNode, g: Builder) -> Value:
    """DepthwiseConv1D and 2D."""
    rank = int(n.cls[-2])
    x, first = entered(n, g, rank)
    y, _ = _depthwise(n, g, x, "kernel", rank)
    return activated(n, g, left(g, y, first))


@keras("SeparableConv1D", "SeparableConv2D", weights=_depthwise_slots, ignores={"groups": "1"})
def separable_conv(n: KerasNode, g: Builder) -> Value:
    """SeparableConv1D and 2D: a depthwise convolution, then one of single elements."""
    rank = int(n.cls[-2])
    x, first = entered(n, g, rank)
    y, made = _depthwise(n, g, x, "depthwise_kernel", rank)
    filters = n.settings.integer("filters")
    w = outward(n.weight("pointwise_kernel", *(1,) * rank, made, filters))
    ones = (1,) * rank
    y = g.add(ops.Conv(ones, (0,) * (2 * rank), ones), y, n.constant(w, "pointwise_kernel"), bias(n, filters))
    return activated(n, g, left(g, y, first))


@keras("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", weights=biased,
       ignores={"groups": "1, the only number that Keras takes"})  # fmt: skip
def conv_transpose(n: KerasNode, g: Builder) -> Value:
    """Conv1DTranspose, 2D and 3D; their kernels are [*K, out, in]."""
    rank = int(n.cls[4])
    x, first = entered(n, g, rank)
    kernel, strides, dilations, padding = window(n, rank)
    filters, channels = n.settings.integer("filters"), n.static(x, 1, "the number of channels")
    w = n.weight("kernel", *kernel, filters, channels)
    w = w.transpose(rank + 1, rank, *range(rank))
    given = n.settings.get("output_padding", None)
    extra = n.settings.integers("output_padding", rank) if given is not None else (None,) * rank
    begins, ends, more = [], [], []
    for k, stride, dilation, out in zip(kernel, strides, dilations, extra, strict=True):
        begin, end, over = _transposed_pads(n, padding, k, stride, dilation, out)
        begins.append(begin)
        ends.append(end)
        more.append(over)
    op = ops.ConvTranspose(strides, (*begins, *ends), dilations, 1, tuple(more))
    y = g.add(op, x, n.constant(w, "kernel"), bias(n, filters))
    return activated(n, g, left(g, y, first))


def _transposed_pads(
    n: KerasNode, padding: str, kernel: int, stride: int, dilation: int, given: int | None
) -> tuple[int, int, int]:
    """What is cut at the begin and at the end of one axis, and what is added there.

    Keras makes (size - 1) * stride + q elements, and cuts at the begin what the convolution that this one turns round
    would pad there.
    """
    if min(kernel, stride, dilation) < 1 or padding == "causal":
        raise errors.misfit(f"{n.settings.what} with window {kernel}, {stride}, {dilation} and padding '{padding}'")
    span = (kernel - 1) * dilation + 1
    same = padding == "same"
    if given is None:
        q = stride if same else max(span, stride)
    else:
        q = span - 2 * (span // 2) + given if same else span + given
    begin = max(span - q, 0) // 2 if same else 0
    over = q - span + begin
    return begin, max(-over, 0), max(over, 0)
