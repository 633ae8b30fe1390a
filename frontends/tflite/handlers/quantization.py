"""Between real numbers and integers."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from .. import errors
from ..node import TfliteNode
from ..registry import tflite


@tflite("QUANTIZE", options="QuantizeOptions")
def quantize(n: TfliteNode, g: Builder) -> Value:
    """QUANTIZE of real numbers, or of integers to another scale: the result's tensor tells how."""
    if n.scope.quantization(n.operator.outputs[0]) is None:
        raise errors.misfit(f"QUANTIZE to '{n.out().name}', which has no scale")
    real = n.real(0)
    return n.scope.quantized(real, n.out())


@tflite("DEQUANTIZE", options="DequantizeOptions")
def dequantize(n: TfliteNode, g: Builder) -> Value:
    """DEQUANTIZE of integers, or of floats of 16 bits."""
    return n.real(0)


@tflite("DENSIFY", options="DensifyOptions")
def densify(n: TfliteNode, g: Builder) -> Value:
    """DENSIFY: sparse constants are read as dense ones."""
    return n[0]


@tflite("FAKE_QUANT", options="FakeQuantOptions")
def fake_quant(n: TfliteNode, g: Builder) -> Value:
    """FAKE_QUANT: rounded to a range of integers and back; the range is moved so that zero is one of them."""
    low, high = float(n.option("Min")), float(n.option("Max"))
    bits, narrow = int(n.option("NumBits")), bool(n.option("NarrowRange"))
    if not 2 <= bits <= 16 or not low < high:
        raise errors.misfit(f"FAKE_QUANT to {bits} bits from {low} to {high}")
    first, last = int(narrow), (1 << bits) - 1
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(last - first))
    zero = int(np.clip(np.floor(first - low / float(scale) + 0.5), first, last))
    ends = (float(np.float32(first - zero) * scale), float(np.float32(last - zero) * scale))
    dtype = DType.U8 if bits <= 8 else DType.U16
    factor, point = g.constant(scale), g.constant(np.array(zero, dtype.numpy))
    steps = g.add(ops.Quantize(dtype), g.add(ops.Clip(*ends), n.real(0)), factor, point)
    return g.add(ops.Dequantize(), steps, factor, point)
