"""Convolutions, in either order of axes, and products of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mconv.ir import Builder, Op, Value, ops

from ...forms import first, last, same_pads
from .. import errors
from ..node import TfNode
from ..registry import tensorflow
from .activation import FUSED

KERNEL = {"use_cudnn_on_gpu": "a matter of the kernel"}


class Layout:
    """The order of axes that ``data_format`` names: brings tensors to channels first, and back."""

    def __init__(self, n: TfNode, g: Builder) -> None:
        self.n, self.g = n, g
        self.format = n.text("data_format")
        if self.format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
            raise errors.form(f"{n.op} with data_format {self.format}")
        self.last = self.format.endswith("C")
        self.spatial = len(self.format) - 2

    def first(self, value: Value) -> Value:
        """A tensor as [N, C, *S]."""
        if value.type.rank != self.spatial + 2:
            raise errors.misfit(f"{self.n.op} of {value.type}, which should have {self.spatial + 2} axes")
        return self.g.add(ops.Transpose(first(value.type.rank)), value) if self.last else value

    def back(self, value: Value) -> Value:
        """[N, C, *S] in the file's own order."""
        return self.g.add(ops.Transpose(last(value.type.rank)), value) if self.last else value

    def numbers(self, values: Sequence[int], what: str) -> tuple[int, ...]:
        """What an attribute of one number an axis says of the spatial axes; of the others it has to be one."""
        if len(values) != self.spatial + 2:
            raise errors.misfit(f"{self.n.op} with {what} {list(values)}")
        inner = tuple(values[1:-1] if self.last else values[2:])
        others = (values[0], values[-1] if self.last else values[1])
        if others != (1, 1) or min(inner) < 1:
            raise errors.form(f"{self.n.op} with {what} {list(values)}")
        return inner

    def pads(
        self, x: Value, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> tuple[int, ...]:
        """All begins, then all ends, of a window over x [N, C, *S]."""
        padding = self.n.text("padding")
        if padding == "VALID":
            return (0,) * (2 * len(kernel))
        if padding == "SAME":
            return same_pads(self.n.op, x.type.shape[2:], kernel, strides, dilations)
        if padding == "EXPLICIT":
            return self.explicit()
        raise errors.misfit(f"{self.n.op} with padding '{padding}'")

    def explicit(self) -> tuple[int, ...]:
        """The pads that the node lists, begin and end of each axis in the file's order."""
        listed = self.n.wholes("explicit_paddings")
        if len(listed) != 2 * (self.spatial + 2) or (listed and min(listed) < 0):
            raise errors.misfit(f"{self.n.op} with explicit_paddings {list(listed)}")
        pairs = [listed[i : i + 2] for i in range(0, len(listed), 2)]
        inner = pairs[1:-1] if self.last else pairs[2:]
        outer = [pairs[0], pairs[-1] if self.last else pairs[1]]
        if any(any(p) for p in outer):
            raise errors.form(f"{self.n.op} with padding of the batch or the channels")
        return (*(p[0] for p in inner), *(p[1] for p in inner))


def _static(n: TfNode, w: Value) -> tuple[int, ...]:
    if not w.type.is_static:
        raise errors.needs_static(f"the shape of {n.op}'s filters {w.type}")
    return w.type.static_shape


def _skip_explicit(n: TfNode) -> None:
    if "explicit_paddings" in n.schema.attributes and n.text("padding") != "EXPLICIT":
        n.wholes("explicit_paddings")  # without meaning for the other paddings


def _groups(n: TfNode, channels: object, inner: int) -> int:
    if not isinstance(channels, int):
        raise errors.needs_static(f"the channels of {n.op}'s {n[0].type}")
    if inner < 1 or channels % inner:
        raise errors.misfit(f"{n.op} of {n[0].type} with filters {n[1].type}")
    return channels // inner


def _turn_filters(n: TfNode, depthwise: bool = False) -> Value:
    """Filters [*K, C, M] as [M, C, *K]; of a depthwise convolution [*K, C, multiplier] as [C multiplier, 1, *K]."""
    rank = n[1].type.rank
    if not depthwise:
        return n.turned(1, (rank - 1, rank - 2, *range(rank - 2)))
    turned = n.turned(1, (rank - 2, rank - 1, *range(rank - 2)))  # [C, multiplier, *K]
    shape = _static(n, turned)
    wanted = (shape[0] * shape[1], 1, *shape[2:])
    if turned.data is not None:
        return n.scope.builder.graph.add_constant(turned.data.reshape(wanted), turned.name)
    return n.scope.builder.add(ops.Reshape(wanted), turned)


def convolution(n: TfNode, g: Builder, bias: Value | None = None, depthwise: bool = False) -> tuple[Layout, Value]:
    """A convolution of operands 0 and 1 -> [N, M, *S], and the layout that it came in."""
    layout = Layout(n, g)
    x = layout.first(n[0])
    n.expect_rank(x.type.rank, 1)
    w = _turn_filters(n, depthwise)
    sizes = _static(n, w)
    channels = x.type.shape[1]
    if depthwise and n[1].type.shape[-2] != channels and isinstance(channels, int):
        raise errors.misfit(f"{n.op} of {n[0].type} with filters {n[1].type}")
    groups = _groups(n, channels, 1 if depthwise else sizes[1])
    strides = layout.numbers(n.wholes("strides"), "strides")
    dilations = layout.numbers(n.wholes("dilations"), "dilations")
    _skip_explicit(n)
    pads = layout.pads(x, sizes[2:], strides, dilations)
    return layout, g.add(ops.Conv(strides, pads, dilations, groups), x, w, bias)


@tensorflow("Conv2D", "Conv3D", ignores=KERNEL)
def conv(n: TfNode, g: Builder) -> Value:
    """Conv2D and Conv3D: x [N, *S, C] or [N, C, *S], filters [*K, C / groups, M]."""
    layout, y = convolution(n, g)
    return layout.back(y)


@tensorflow("DepthwiseConv2dNative")
def depthwise_conv(n: TfNode, g: Builder) -> Value:
    """DepthwiseConv2dNative: filters [h, w, C, multiplier]."""
    layout, y = convolution(n, g, depthwise=True)
    return layout.back(y)


@tensorflow("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput", ignores=KERNEL)
def conv_transpose(n: TfNode, g: Builder) -> Value:
    """The gradient of a convolution as a transposed one: the result's shape, filters [*K, M, C], x.

    Of a depthwise one the filters are [h, w, C, 1].
    """
    layout = Layout(n, g)
    x = layout.first(n[2])
    rank, channels = x.type.rank, x.type.shape[1]
    n.expect_rank(rank, 1)
    depthwise = n.op.startswith("Depthwise")
    w = n.turned(1, (2, 3, 0, 1) if depthwise else (rank - 1, rank - 2, *range(rank - 2)))
    sizes = _static(n, w)
    if depthwise and sizes[1] != 1:
        raise errors.form(f"{n.op} with {sizes[1]} filters for each channel")
    if isinstance(channels, int) and channels != sizes[0]:
        raise errors.misfit(f"{n.op} of {n[2].type} with filters {n[1].type}")
    strides = layout.numbers(n.wholes("strides"), "strides")
    dilations = layout.numbers(n.wholes("dilations"), "dilations")
    _skip_explicit(n)
    pads, more = _cut(n, layout, x, [(k - 1) * d + 1 for k, d in zip(sizes[2:], dilations, strict=True)], strides)
    op = ops.ConvTranspose(strides, pads, dilations, sizes[0] if depthwise else 1, more)
    y = g.add(op, x, w)
    wanted = _asked(n, rank)
    made = wanted[-1 if layout.last else 1] if wanted else y.type.shape[1]
    if isinstance(made, int) and made != y.type.shape[1]:
        raise errors.form(f"{n.op} with groups")
    return layout.back(y)


def _cut(
    n: TfNode, layout: Layout, x: Value, spans: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Pads and output padding with which x spreads to the sizes in operand 0."""
    padding = n.text("padding")
    told = layout.explicit() if padding == "EXPLICIT" else ()
    wanted = _asked(n, x.type.rank)
    wishes = (wanted[1:-1] if layout.last else wanted[2:]) if wanted else n.content(0)
    begins, ends, more = [], [], []
    for axis, (own, wish) in enumerate(zip(x.type.shape[2:], () if wishes is None else wishes, strict=True)):
        span, stride = spans[axis], strides[axis]
        if isinstance(own, int) and isinstance(wish, int):
            total = (own - 1) * stride + span - wish
        elif own * stride == wish or own * stride + (span - stride) == wish:
            total = span - stride if own * stride == wish else 0
        else:
            raise errors.needs_static(f"the sizes of {n.op}")
        begin = told[axis] if told else max(total, 0) // 2 if padding == "SAME" else 0
        end = total - begin
        if -end >= stride or (end > 0 and padding == "VALID"):
            raise errors.misfit(f"{n.op} from {n[2].type} to {wish} along axis {axis}")
        begins.append(begin)
        ends.append(max(end, 0))
        more.append(max(-end, 0))
    return (*begins, *ends), tuple(more)


def _asked(n: TfNode, rank: int) -> list[Any]:
    """The whole shape that operand 0 asks for, empty where it tells the spatial axes only."""
    content = n.content(0)
    if content is None or content.ndim != 1 or len(content) not in (rank, rank - 2):
        raise errors.needs_static(f"the sizes of {n.op}")
    return content.astype(object).tolist() if len(content) == rank else []


@tensorflow("BiasAdd", "BiasAddV1")
def bias_add(n: TfNode, g: Builder) -> Value:
    """BiasAdd: one number a channel, the last axis or (NCHW) the second."""
    n.expect_rank(1, 1)
    b = n[1]
    if n.op == "BiasAdd" and n.text("data_format").startswith("NC") and n.rank > 2:
        b = g.add(ops.Unsqueeze(tuple(range(1, n.rank - 1))), b)
    return g.add(ops.Add(), n[0], b)


# Products ----------------------------------------------------------------------------------------------------

_SPARSE = {"a_is_sparse": "a matter of the kernel", "b_is_sparse": "a matter of the kernel",
           "grad_a": "of training", "grad_b": "of training", "grad_x": "of training", "grad_y": "of training",
           "Tout": "the operands tell it"}  # fmt: skip


def _product(n: TfNode, g: Builder, turn: Sequence[bool]) -> Value:
    operands = []
    for index, turned in enumerate(turn):
        rank = n[index].type.rank
        if rank < 2:
            raise errors.misfit(f"{n.op} of {n[index].type}")
        perm = (*range(rank - 2), rank - 1, rank - 2)
        operands.append(n.turned(index, perm) if turned else n[index])
    return g.add(ops.MatMul(), *operands)


@tensorflow("MatMul", "SparseMatMul", ignores=_SPARSE)
def matmul(n: TfNode, g: Builder) -> Value:
    """MatMul of matrices, either transposed first."""
    return _product(n, g, (n.flag("transpose_a"), n.flag("transpose_b")))


@tensorflow("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", ignores=_SPARSE)
def batch_matmul(n: TfNode, g: Builder) -> Value:
    """BatchMatMul: matrices in the last two axes, either transposed first."""
    return _product(n, g, (n.flag("adj_x"), n.flag("adj_y")))


@tensorflow("Einsum")
def einsum(n: TfNode, g: Builder) -> Value:
    """Einsum."""
    equation = n.text("equation").replace(" ", "")
    return g.add(ops.Einsum(equation), *n.all())


# What grappler fuses -----------------------------------------------------------------------------------------

_FUSED_OPTIONS = {
    "num_args": "the operands tell it", "leakyrelu_alpha": "read where it matters", "epsilon": "read where it matters",
    "num_host_args": "a matter of the kernel", "TArgs": "the operands tell it", "filter_format": "of NCHW_VECT_C",
    "host_args": "a matter of the kernel", "THostArgs": "the operands tell it", "user_scratchpad": "a kernel's",
    **KERNEL, **_SPARSE,
}  # fmt: skip


def _after(n: TfNode, g: Builder, y: Value, names: Sequence[str], per_channel: Callable[[Value], Value]) -> Value:
    """What is fused behind a product: a bias, a batch norm, and an activation."""
    left = list(names)
    if left and left[0] == "BiasAdd":
        y = g.add(ops.Add(), y, per_channel(n[2]))
        left.pop(0)
    elif left and left[0] == "FusedBatchNorm":
        y = g.add(ops.BatchNorm(n.real("epsilon")), y, n[2], n[3], n[4], n[5])
        left.pop(0)
    for name in left:
        op: Op | None = ops.LeakyRelu(n.real("leakyrelu_alpha")) if name == "LeakyRelu" else FUSED.get(name)
        if op is None:
            raise errors.form(f"{n.op} with a fused {name}")
        y = g.add(op, y)
    return y


@tensorflow("_FusedConv2D", "_FusedDepthwiseConv2dNative", ignores=_FUSED_OPTIONS)
def fused_conv(n: TfNode, g: Builder) -> Value:
    """A convolution with what grappler fused behind it."""
    layout, y = convolution(n, g, depthwise="Depthwise" in n.op)
    return layout.back(
        _after(n, g, y, n.attribute("fused_ops", "list(string)"), lambda b: g.add(ops.Unsqueeze((1, 2)), b))
    )


@tensorflow("_FusedMatMul", ignores=_FUSED_OPTIONS)
def fused_matmul(n: TfNode, g: Builder) -> Value:
    """MatMul with what grappler fused behind it."""
    y = _product(n, g, (n.flag("transpose_a"), n.flag("transpose_b")))
    return _after(n, g, y, n.attribute("fused_ops", "list(string)"), lambda b: b)
