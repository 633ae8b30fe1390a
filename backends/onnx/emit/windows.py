"""Convolutions and pools."""

from __future__ import annotations

from typing import Any

from mconv.ir import Node
from mconv.ir import ops as o

from ..backend import no_bfloat, onnx_backend
from ..model import Model


@onnx_backend.emits(o.Conv, o.ConvInteger, where=(no_bfloat,))
def conv(node: Node, model: Model) -> None:
    """Conv and ConvInteger."""
    model.simple(type(node.op).__name__, node, **_conv(node), group=node.op.groups)  # type: ignore[attr-defined]


def _conv(node: Node) -> dict[str, Any]:
    op: Any = node.op
    kernel = node.inputs[1].type.shape[2:]
    return {"kernel_shape": kernel, "strides": op.strides, "pads": op.pads, "dilations": op.dilations}


@onnx_backend.emits(o.ConvTranspose, where=(no_bfloat,))
def conv_transpose(node: Node, model: Model) -> None:
    """ConvTranspose."""
    op = node.op
    assert isinstance(op, o.ConvTranspose)
    padding = op.padding(node.inputs[0].type.rank - 2)
    model.simple("ConvTranspose", node, **_conv(node), group=op.groups, output_padding=padding)


@onnx_backend.emits(o.DeformConv, where=(no_bfloat,))
def deform_conv(node: Node, model: Model) -> None:
    """DeformConv."""
    op = node.op
    assert isinstance(op, o.DeformConv)
    model.simple("DeformConv", node, **_conv(node), group=op.groups, offset_group=op.offset_groups)


def same_windows(node: Node) -> bool | str:
    """no window that ceil mode adds would begin in the padding."""
    op: Any = node.op
    spatial = len(op.kernel)
    for axis, kernel in enumerate(op.kernel):
        size, count = node.inputs[0].type.shape[2 + axis], node.result.type.shape[2 + axis]
        if not op.ceil_mode or not isinstance(size, int):
            continue
        room = size + op.pads[axis] + op.pads[spatial + axis] - op.dilations[axis] * (kernel - 1) - 1
        if -(-room // op.strides[axis]) + 1 != count:
            return "opset 20 counts one window more, which begins in the padding"
    return True


@onnx_backend.emits(o.MaxPool, o.MaxPoolIndices, o.AveragePool, o.LpPool, where=(no_bfloat, same_windows))
def pool(node: Node, model: Model) -> None:
    """MaxPool, AveragePool and LpPool."""
    op: Any = node.op
    attributes: dict[str, Any] = {
        "kernel_shape": op.kernel,
        "strides": op.strides,
        "pads": op.pads,
        "dilations": op.dilations,
        "ceil_mode": int(op.ceil_mode),
    }
    kind = type(op).__name__
    if isinstance(op, o.AveragePool):
        attributes["count_include_pad"] = int(op.count_include_pad)
    elif isinstance(op, o.LpPool):
        attributes["p"] = op.p
    else:
        kind = "MaxPool"
        attributes["storage_order"] = getattr(op, "storage_order", 0)
    model.simple(kind, node, **attributes)


@onnx_backend.emits(o.MaxUnpool, where=(no_bfloat,))
def max_unpool(node: Node, model: Model) -> None:
    """MaxUnpool."""
    op = node.op
    assert isinstance(op, o.MaxUnpool)
    inputs = model.operands(node)[:2]
    shape = node.operand("shape")
    if op.shape is not None:
        inputs.append(model.constant(op.shape, "shape"))
    elif shape is not None:
        inputs.append(model.name_of(shape))
    outputs = [model.name_of(node.result)]
    model.node("MaxUnpool", inputs, outputs, kernel_shape=op.kernel, strides=op.strides, pads=op.pads)


@onnx_backend.emits(o.MaxRoiPool, where=(no_bfloat,))
def max_roi_pool(node: Node, model: Model) -> None:
    """MaxRoiPool."""
    op = node.op
    assert isinstance(op, o.MaxRoiPool)
    model.simple("MaxRoiPool", node, pooled_shape=op.pooled_shape, spatial_scale=op.spatial_scale)


@onnx_backend.emits(o.RoiAlign, where=(no_bfloat,))
def roi_align(node: Node, model: Model) -> None:
    """RoiAlign."""
    op = node.op
    assert isinstance(op, o.RoiAlign)
    model.simple(
        "RoiAlign",
        node,
        mode=op.mode,
        output_height=op.output_height,
        output_width=op.output_width,
        sampling_ratio=op.sampling_ratio,
        spatial_scale=op.spatial_scale,
        coordinate_transformation_mode="half_pixel" if op.half_pixel else "output_half_pixel",
    )
