"""Operators of onnxruntime's quantizer: the plain operator between Dequantize and Quantize."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mconv.ir import Builder, DType, Value, ops
from mconv.ir.types import Array

from ..errors import RE_EXPORT, form, needs_constant, unreadable
from ..node import OnnxNode
from ..registry import Function, microsoft
from .elementwise import FLOAT8_ONLY
from .pool import window
from .quantization import EXACT, quantized_conv, real, stored


@microsoft("QuantizeLinear", ignores=FLOAT8_ONLY | EXACT)
def quantize(n: OnnxNode, g: Builder) -> Value:
    """QuantizeLinear, of 16 bits too."""
    dtype = DType.U8 if n.get(2) is None else n[2].type.dtype
    return g.add(ops.Quantize(dtype, _axis(n)), n[0], n[1], n.get(2))


@microsoft("DequantizeLinear")
def dequantize(n: OnnxNode, g: Builder) -> Value:
    """DequantizeLinear, of 16 bits too."""
    return real(g, n[0], n[1], n.get(2), _axis(n))


def _axis(n: OnnxNode) -> int | None:
    axis = n.maybe_integer("axis")
    return None if axis is None or n[1].type.rank == 0 else n.axis(axis)


def channels_first(n: OnnxNode, g: Builder, x: Value) -> Value:
    """An operand with its channels in axis 1; those of channels-last nodes are moved there."""
    if not _channels_last(n):
        return x
    rank = x.type.rank
    return g.add(ops.Transpose((0, rank - 1, *range(1, rank - 1))), x)


def channels_as_given(n: OnnxNode, g: Builder, y: Value) -> Value:
    """A result with its channels where the node has them."""
    if not _channels_last(n):
        return y
    return g.add(ops.Transpose((0, *range(2, y.type.rank), 1)), y)


def _channels_last(n: OnnxNode) -> bool:
    return "channels_last" in n.schema.attributes and n.boolean("channels_last")


def _joined(join: Callable[[Builder, Value, Value], Value]) -> Function:
    """Operands A, its scale and zero point, B with the same, then the result's."""

    def handler(n: OnnxNode, g: Builder) -> Value:
        y = join(g, real(g, n[0], n[1], n.get(2)), real(g, n[3], n[4], n.get(5)))
        return stored(g, y, n[6], n.get(7), n[0].type.dtype)

    return handler


microsoft("QLinearAdd")(_joined(lambda g, a, b: g.add(ops.Add(), a, b)))
microsoft("QLinearMul")(_joined(lambda g, a, b: g.add(ops.Mul(), a, b)))


def _applied(apply: Callable[[OnnxNode, Builder, Value], Value]) -> Function:
    """One operand with its scale and zero point, then the result's."""

    def handler(n: OnnxNode, g: Builder) -> Value:
        y = apply(n, g, real(g, n[0], n[1], n.get(2)))
        return stored(g, y, n[3], n.get(4), n[0].type.dtype)

    return handler


def _leaky_relu(n: OnnxNode, g: Builder, x: Value) -> Value:
    return g.add(ops.LeakyRelu(n.number("alpha")), x)


def _average_pool(n: OnnxNode, g: Builder, x: Value) -> Value:
    first = channels_first(n, g, x)
    counted, up = n.boolean("count_include_pad"), n.boolean("ceil_mode")
    kernel = window(n, first.type.shape[2:])
    return channels_as_given(n, g, g.add(ops.AveragePool(*kernel, ceil_mode=up, count_include_pad=counted), first))


def _global_average_pool(n: OnnxNode, g: Builder, x: Value) -> Value:
    rank = x.type.rank
    axes = tuple(range(1, rank - 1)) if _channels_last(n) else tuple(range(2, rank))
    return g.add(ops.ReduceMean(axes), x)


def _reduce_mean(n: OnnxNode, g: Builder, x: Value) -> Value:
    return g.add(ops.ReduceMean(n.axes(n.integers("axes") or ()), n.boolean("keepdims")), x)


def _softmax(n: OnnxNode, g: Builder, x: Value) -> Value:
    axis = n.axis(n.integer("axis"))
    if n.integer("opset") < 13 and any(dim != 1 for dim in x.type.shape[axis + 1 :]):
        y = g.add(ops.Softmax(1), g.add(ops.Flatten(axis), x))
        return g.add(ops.Reshape(), y, g.add(ops.Shape(), x))
    return g.add(ops.Softmax(axis), x)


microsoft("QLinearSigmoid")(_applied(lambda n, g, x: g.add(ops.Sigmoid(), x)))
microsoft("QLinearLeakyRelu")(_applied(_leaky_relu))
microsoft("QLinearAveragePool")(_applied(_average_pool))
microsoft("QLinearGlobalAveragePool")(_applied(_global_average_pool))
microsoft("QLinearReduceMean")(_applied(_reduce_mean))
microsoft("QLinearSoftmax")(_applied(_softmax))


@microsoft("QLinearConcat")
def concat(n: OnnxNode, g: Builder) -> Value:
    """QLinearConcat: the result's scale and zero point, then each operand with its own."""
    if len(n) < 5 or (len(n) - 2) % 3:
        raise unreadable("MC218", f"QLinearConcat has {len(n)} operands", RE_EXPORT)
    parts = [real(g, n[i], n[i + 1], n[i + 2]) for i in range(2, len(n), 3)]
    y = g.add(ops.Concat(n.axis(n.integer("axis"), parts[0].type.rank)), *parts)
    return stored(g, y, n[0], n[1])


@microsoft("QLinearWhere")
def where(n: OnnxNode, g: Builder) -> Value:
    """QLinearWhere."""
    y = g.add(ops.Where(), n[0], real(g, n[1], n[2], n[3]), real(g, n[4], n[5], n[6]))
    return stored(g, y, n[7], n[8])


@microsoft("QLinearConv")
def conv(n: OnnxNode, g: Builder) -> Value:
    """QLinearConv, with the channels first or last."""
    return channels_as_given(n, g, quantized_conv(n, g, channels_first(n, g, n[0])))


@microsoft("QGemm")
def gemm(n: OnnxNode, g: Builder) -> Value:
    """QGemm; C counts in alpha times both scales. Without a scale for it the result stays real."""
    a, b = real(g, n[0], n[1], n[2]), real(g, n[3], n[4], n[5], 0 if n.boolean("transB") else 1)
    swap = ops.Transpose((1, 0))
    a = g.add(swap, a) if n.boolean("transA") else a
    y = g.add(ops.MatMul(), a, g.add(swap, b) if n.boolean("transB") else b)
    alpha = g.constant(n.number("alpha"), y.type.dtype)
    y = g.add(ops.Mul(), y, alpha)
    if n.get(6) is not None:
        scale = g.add(ops.Mul(), alpha, g.add(ops.Mul(), n[1], n[4]))
        y = g.add(ops.Add(), y, real(g, n[6], scale, None, n[6].type.rank - 1))
    return y if n.get(7) is None else stored(g, y, n[7], n.get(8))


@microsoft("MatMulIntegerToFloat")
def matmul_to_float(n: OnnxNode, g: Builder) -> Value:
    """MatMulIntegerToFloat."""
    a = real(g, n[0], n[2], n.get(4), n.rank - 2)
    b = real(g, n[1], n[3], n.get(5), n[1].type.rank - 1)
    return plus(g, g.add(ops.MatMul(), a, b), n.get(6))


@microsoft("DynamicQuantizeMatMul")
def dynamic_matmul(n: OnnxNode, g: Builder) -> Value:
    """DynamicQuantizeMatMul: A is quantized to u8 by the range that it has when the model runs."""
    b = real(g, n[1], n[2], n.get(3), n[1].type.rank - 1)
    return plus(g, g.add(ops.MatMul(), as_measured(g, n[0]), b), n.get(4))


def as_measured(g: Builder, x: Value) -> Value:
    """``x`` as it is after quantizing to u8 between its own least and greatest values, with zero among them."""
    axes, zero = tuple(range(x.type.rank)), g.constant(0, x.type.dtype)
    low = g.add(ops.Min(), g.add(ops.ReduceMin(axes, False), x), zero)
    high = g.add(ops.Max(), g.add(ops.ReduceMax(axes, False), x), zero)
    scale = g.add(ops.Div(), g.add(ops.Sub(), high, low), g.constant(255, x.type.dtype))
    place = g.add(ops.Clip(0, 255), g.add(ops.Div(), g.add(ops.Neg(), low), scale))
    point = g.add(ops.Cast(DType.U8), g.add(ops.Round(), place))
    return g.add(ops.Dequantize(), g.add(ops.Quantize(DType.U8), x, scale, point), scale, point)


def plus(g: Builder, y: Value, bias: Value | None) -> Value:
    """``y`` plus a bias that may be absent."""
    return y if bias is None else g.add(ops.Add(), y, bias)


@microsoft(
    "MatMulNBits",
    ignores={"accuracy_level": "float32 is the highest level", "weight_prepacked": "read by the handler"},
)
def matmul_of_bits(n: OnnxNode, g: Builder) -> Value:
    """MatMulNBits: weights of 2, 4 or 8 bits in blocks, made real."""
    if n.integer("weight_prepacked") or n.get(4) is not None:
        raise form("MatMulNBits with prepacked or reordered weights")
    bits, block, rows, columns = (n.integer(name) for name in ("bits", "block_size", "N", "K"))
    if bits not in (2, 4, 8) or block < 16 or rows < 1 or columns < 1:
        raise form(f"MatMulNBits with {bits} bits in blocks of {block}")
    data, scale = n.known(n[1]), n.known(n[2])
    zero = None if n.get(3) is None else n.known(n[3])
    if data is None or scale is None or (n.get(3) is not None and zero is None):
        raise needs_constant("MatMulNBits's weight")
    weight = _blocks(data, scale, zero, bits, block, rows, columns)
    return g.add(ops.Linear(), n[0], g.constant(weight), n.get(5))


def _blocks(data: Array, scale: Array, zero: Array | None, bits: int, block: int, rows: int, columns: int) -> Array:
    """The weight [rows, columns] from packed numbers, lowest bits first, with a scale (and zero point) a block."""
    count = -(-columns // block)
    if data.size != rows * count * block * bits // 8 or scale.size != rows * count:
        raise unreadable("MC208", f"MatMulNBits of {rows} x {columns} has {data.size} bytes of weights", RE_EXPORT)
    numbers = _unpacked(data.reshape(rows, -1), bits)[:, : count * block].reshape(rows, count, block)
    points: Array = np.full((rows, count), 1 << (bits - 1), scale.dtype)
    if zero is not None:
        packed = zero.dtype == np.uint8
        points = (_unpacked(zero.reshape(rows, -1), bits) if packed else zero.reshape(rows, -1))[:, :count]
    real_numbers = (numbers - points[:, :, None].astype(scale.dtype)) * scale.reshape(rows, count, 1)
    return np.ascontiguousarray(real_numbers.reshape(rows, -1)[:, :columns].astype(scale.dtype))


def _unpacked(data: Array, bits: int) -> Array:
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((data[:, :, None] >> shifts) & ((1 << bits) - 1)).reshape(data.shape[0], -1)
