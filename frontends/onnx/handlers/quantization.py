"""Quantization: what the quantizers write, as explicit Quantize and Dequantize around the plain operator."""

from __future__ import annotations

from mconv.ir import Builder, DType, Value, ops

from ..errors import form
from ..node import OnnxNode
from ..registry import onnx
from .conv import kernel_of, pads_of, per_axis
from .elementwise import FLOAT8_ONLY

EXACT = {"precision": "the precision of the division; float32 is never less than what is asked for"}


def axis_of(n: OnnxNode, scale: Value, rank: int) -> int | None:
    """The axis that scales go along, None where one scale serves all."""
    if "axis" not in n.schema.attributes:
        return None
    axis = n.integer("axis")
    return None if scale.type.rank == 0 or scale.type.shape == (1,) else n.axis(axis, rank)


def _block(n: OnnxNode) -> int:
    return n.integer("block_size") if "block_size" in n.schema.attributes else 0


@onnx("QuantizeLinear", ignores=FLOAT8_ONLY | EXACT)
def quantize(n: OnnxNode, g: Builder) -> Value:
    """QuantizeLinear to the zero point's type, or to the one an attribute names, else to u8."""
    zero, dtype = n.get(2), DType.U8
    if "output_dtype" in n.schema.attributes and n.integer("output_dtype"):
        dtype = n.dtype("output_dtype")
    elif zero is not None:
        dtype = zero.type.dtype
    return g.add(ops.Quantize(dtype, axis_of(n, n[1], n.rank), _block(n)), n[0], n[1], _like(g, zero, n[1]))


@onnx("DequantizeLinear")
def dequantize(n: OnnxNode, g: Builder) -> Value:
    """DequantizeLinear; with `output_dtype` its result is cast."""
    y = g.add(ops.Dequantize(axis_of(n, n[1], n.rank), _block(n)), n[0], n[1], _like(g, n.get(2), n[1]))
    if "output_dtype" in n.schema.attributes and n.integer("output_dtype"):
        dtype = n.dtype("output_dtype")
        return y if dtype is y.type.dtype else g.add(ops.Cast(dtype), y)
    return y


def _like(g: Builder, zero: Value | None, scale: Value) -> Value | None:
    """A zero point in its scale's shape: quantizers write [] beside [1]."""
    if zero is None or zero.type.rank == scale.type.rank or zero.type.numel != 1 or scale.type.numel != 1:
        return zero
    return g.add(ops.Reshape(scale.type.static_shape), zero)


def real(g: Builder, x: Value, scale: Value, zero: Value | None, axis: int | None = None) -> Value:
    """The real numbers that ``x`` stands for; a scale of several numbers goes along ``axis``."""
    many = scale.type.rank > 0 and scale.type.shape != (1,)
    return g.add(ops.Dequantize(axis if many else None), x, scale, _like(g, zero, scale))


def stored(g: Builder, y: Value, scale: Value, zero: Value | None, dtype: DType = DType.U8) -> Value:
    """Real numbers in the integers of the zero point's type (``dtype`` without one)."""
    if scale.type.rank > 0 and scale.type.shape != (1,):
        raise form("a quantized result with several scales")
    kind = dtype if zero is None else zero.type.dtype
    return g.add(ops.Quantize(kind), _as(g, y, scale.type.dtype), scale, _like(g, zero, scale))


def _as(g: Builder, y: Value, dtype: DType) -> Value:
    return y if y.type.dtype is dtype else g.add(ops.Cast(dtype), y)


@onnx("QLinearMatMul")
def quantized_matmul(n: OnnxNode, g: Builder) -> Value:
    """QLinearMatMul: scales of several numbers go along the rows of a and the columns of b."""
    a = real(g, n[0], n[1], n[2], n[0].type.rank - 2)
    b = real(g, n[3], n[4], n[5], n[3].type.rank - 1)
    return stored(g, g.add(ops.MatMul(), a, b), n[6], n[7])


@onnx("QLinearConv")
def linear_conv(n: OnnxNode, g: Builder) -> Value:
    """QLinearConv."""
    return quantized_conv(n, g, n[0])


def quantized_conv(n: OnnxNode, g: Builder, x: Value) -> Value:
    """QLinearConv of ``x``, its first operand with the channels in axis 1; the bias counts in x's scale times w's."""
    w = n[3]
    rank = w.type.rank - 2
    kernel = kernel_of(n, w)
    strides, dilations = per_axis(n, "strides", rank), per_axis(n, "dilations", rank)
    pads = pads_of(n, x.type.shape[2:], kernel, strides, dilations)
    bias = None
    if n.get(8) is not None:
        bias = real(g, n[8], g.add(ops.Mul(), n[1], n[4]), None, 0)
    op = ops.Conv(strides, pads, dilations, n.integer("group"))
    y = g.add(op, real(g, x, n[1], n[2]), real(g, w, n[4], n[5], 0), bias)
    return stored(g, y, n[6], n[7])
