"""Resize, grids, Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Node
from mconv.ir import ops as o

from ..backend import no_bfloat, onnx_backend
from ..model import Model


@onnx_backend.emits(o.Resize, where=(no_bfloat,))
def resize(node: Node, model: Model) -> None:
    """Resize over some axes, by scales or to sizes."""
    op = node.op
    assert isinstance(op, o.Resize)

    def given(name: str, dtype: Any) -> str:
        attribute, operand = getattr(op, name), node.operand(name)
        if attribute is not None:
            return model.constant(np.array(attribute, dtype), name)
        return "" if operand is None else model.name_of(operand)

    inputs = [model.name_of(node.inputs[0]), given("roi", np.float32), given("scales", np.float32)]
    inputs.append(given("sizes", np.int64))
    if inputs[3]:
        inputs[2] = ""  # one of the two
    attributes: dict[str, Any] = {
        "antialias": int(op.antialias),
        "axes": op.axes,
        "coordinate_transformation_mode": op.coordinates,
        "cubic_coeff_a": op.cubic_coeff,
        "exclude_outside": int(op.exclude_outside),
        "extrapolation_value": float(op.extrapolation_value),
        "keep_aspect_ratio_policy": op.keep_aspect,
        "mode": op.mode,
        "nearest_mode": op.nearest,
    }
    model.node("Resize", inputs, [model.name_of(node.result)], **attributes)


@onnx_backend.emits(o.GridSample, where=(no_bfloat,))
def grid_sample(node: Node, model: Model) -> None:
    """GridSample."""
    op = node.op
    assert isinstance(op, o.GridSample)
    model.simple("GridSample", node, mode=op.mode, padding_mode=op.padding, align_corners=int(op.align_corners))


@onnx_backend.emits(o.AffineGrid, where=(no_bfloat,))
def affine_grid(node: Node, model: Model) -> None:
    """AffineGrid."""
    op = node.op
    assert isinstance(op, o.AffineGrid)
    size = model.name_of(node.inputs[1]) if op.size is None else model.constant(np.array(op.size, np.int64), "size")
    inputs = [model.name_of(node.inputs[0]), size]
    model.node("AffineGrid", inputs, [model.name_of(node.result)], align_corners=int(op.align_corners))


@onnx_backend.emits(o.DFT, where=(no_bfloat,))
def dft(node: Node, model: Model) -> None:
    """DFT along an axis."""
    op = node.op
    assert isinstance(op, o.DFT)
    length = node.operand("length")
    if op.length is not None:
        count = model.constant(np.array(op.length, np.int64), "length")
    else:
        count = "" if length is None else model.name_of(length)
    inputs = [model.name_of(node.inputs[0]), count, model.constant(np.array(op.axis, np.int64), "axis")]
    model.node("DFT", inputs, [model.name_of(node.result)], inverse=int(op.inverse), onesided=int(op.onesided))


@onnx_backend.emits(o.STFT, where=(no_bfloat,))
def stft(node: Node, model: Model) -> None:
    """STFT."""
    op = node.op
    assert isinstance(op, o.STFT)

    def number(name: str) -> str:
        attribute, operand = getattr(op, name), node.operand(name)
        if attribute is not None:
            return model.constant(np.array(attribute, np.int64), name)
        return "" if operand is None else model.name_of(operand)

    window = node.operand("window")
    inputs = [model.name_of(node.inputs[0]), number("frame_step")]
    inputs += ["" if window is None else model.name_of(window), number("frame_length")]
    model.node("STFT", inputs, [model.name_of(node.result)], onesided=int(op.onesided))
