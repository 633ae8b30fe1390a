"""From real numbers to integers and back."""

from __future__ import annotations

from typing import Any

from mconv.ir import DType, Node, ops

from ..backend import tflite
from ..net import Net
from ..quantization import quantization
from .conditions import takes


def known_scales(node: Node) -> bool | str:
    """scale and zero point are constant, not in blocks, and 16-bit integers lie around zero."""
    op: Any = node.op
    if op.block_size:
        return "its scales are given in blocks"
    found = quantization(node.operands[1], node.operands[2] if len(node.operands) > 2 else None, op.axis)
    if found is None:
        return "its scale or zero point is computed"
    stored = node.result if isinstance(op, ops.Quantize) else node.inputs[0]
    if stored.type.dtype not in (DType.I8, DType.U8, DType.I16):
        return f"TFLite quantizes to i8, u8 and i16, not {stored.type.dtype.value}"
    if stored.type.dtype is DType.I16 and (any(found.zero_point) or len(found.scale) > 1):
        return "16-bit integers have one scale and no zero point"
    return True


@tflite.emits(ops.Quantize, where=(takes("f32"), known_scales))
def quantize(node: Node, net: Net) -> None:
    """QUANTIZE."""
    net.add("QUANTIZE", [node.inputs[0]], node.results, "QuantizeOptions")


@tflite.emits(ops.Dequantize, where=(known_scales,))
def dequantize(node: Node, net: Net) -> None:
    """DEQUANTIZE."""
    net.add("DEQUANTIZE", [node.inputs[0]], node.results, "DequantizeOptions")
