"""Non-maximum suppression, one image and class after the other."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, TensorType, Value, ops
from mconv.ir.types import UNKNOWN

from ..backend import tflite
from ..net import Net
from .conditions import takes
from .shape import as_sizes, cast_types, reshape

MAX_RUNS = 256
"""Images times classes: each is an operation of its own."""
LEAST = float(np.finfo(np.float32).tiny)


def few_runs(node: Node) -> bool | str:
    """the sizes of boxes and scores are known, and images times classes are at most 256."""
    boxes, scores = node.inputs[:2]
    if not (boxes.type.is_static and scores.type.is_static):
        return "how many boxes or classes there are is known only at run time"
    images, classes, count = scores.type.static_shape
    return 0 < images * classes <= MAX_RUNS and count > 0


@tflite.emits(ops.NonMaxSuppression, where=(takes("f32"), few_runs))
def non_max_suppression(node: Node, net: Net) -> None:
    """NON_MAX_SUPPRESSION_V4 for each image and class.

    It drops boxes that overlap by the threshold or more, where ONNX's operator drops those that overlap by more: so
    it gets the next larger number.
    """
    op, boxes, scores = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, ops.NonMaxSuppression)
    images, classes, count = scores.type.static_shape
    limit = _limit(net, node.operand("max_output"), count)
    overlap = _next_larger(net, node.operand("iou_threshold"))
    least = _scalar(net, node.operand("score_threshold"), -np.inf)
    corners = _corners(net, boxes) if op.center_point_box else net.tensor(boxes)
    rows = []
    for image in range(images):
        own_boxes = _at(net, corners, image, (count, 4))
        own_scores = _at(net, net.tensor(scores), image, (classes, count))
        for category in range(classes):
            line = _at(net, own_scores, category, (count,))
            rows.append(_run(net, (own_boxes, line, limit, overlap, least), (image, category)))
    if len(rows) == 1:
        net.alias(node.result, rows[0])
    else:
        net.add("CONCATENATION", rows, node.results, "ConcatenationOptions", Axis=0, FusedActivationFunction=0)


def _at(net: Net, tensor: int, index: int, shape: tuple[int, ...]) -> int:
    """tensor[index]."""
    result = net.scratch(TensorType(net.type_of(tensor), shape), "part")
    place = net.constant(np.array(index, np.int32), "place")
    net.add("GATHER", [tensor, place], [result], "GatherOptions", Axis=0, BatchDims=0)
    return result


def _scalar(net: Net, value: Value | None, absent: float) -> int:
    if value is None or value.data is not None:
        number = absent if value is None else float(value.constant.reshape(()))
        return net.constant(np.array(number, np.float32), "threshold")
    result = net.scratch(TensorType(DType.F32, ()), "threshold")
    reshape(net, value, result, ())
    return result


def _next_larger(net: Net, value: Value | None) -> int:
    """The least 32-bit float above a threshold, and above zero."""
    if value is None or value.data is not None:
        number = np.float32(0) if value is None else np.float32(value.constant.reshape(()))
        return net.constant(np.array(max(np.nextafter(number, np.float32(np.inf)), LEAST), np.float32), "overlap")
    scalar = _scalar(net, value, 0.0)
    bounded, result = (net.scratch(TensorType(DType.F32, ()), "overlap") for _ in range(2))
    bits, more = (net.scratch(TensorType(DType.I32, ()), "bits") for _ in range(2))
    net.add("MAXIMUM", [scalar, net.constant(np.array(LEAST, np.float32))], [bounded], "MaximumMinimumOptions")
    net.add("BITCAST", [bounded], [bits], "BitcastOptions")
    one = net.constant(np.array(1, np.int32), "one")
    net.add("ADD", [bits, one], [more], "AddOptions", FusedActivationFunction=0)
    net.add("BITCAST", [more], [result], "BitcastOptions")
    return result


def _limit(net: Net, value: Value | None, count: int) -> int:
    """At most how many boxes to keep, an i32 scalar: none where it is not said."""
    if value is None or value.data is not None:
        number = 0 if value is None else int(value.constant.reshape(()))
        return net.constant(np.array(max(0, min(number, count)), np.int32), "limit")
    vector, scalar, bounded = (net.scratch(TensorType(DType.I32, ()), "limit") for _ in range(3))
    given = as_sizes(net, value)
    reshape(net, given, scalar, ())
    net.add("MINIMUM", [scalar, net.constant(np.array(count, np.int32))], [bounded], "MaximumMinimumOptions")
    net.add("MAXIMUM", [bounded, net.constant(np.array(0, np.int32))], [vector], "MaximumMinimumOptions")
    return vector


def _corners(net: Net, boxes: Value) -> int:
    """Two opposite corners of boxes given by their centre and size."""
    images, count, _ = boxes.type.static_shape
    pair = TensorType(DType.F32, (images, count, 2))
    centre, size, half, low, high = (net.scratch(pair, stem) for stem in ("centre", "size", "half", "low", "high"))
    net.add("SPLIT", [net.constant(np.array(2, np.int32), "axis"), boxes], [centre, size], "SplitOptions", NumSplits=2)
    net.add("MUL", [size, net.constant(np.array(0.5, np.float32))], [half], "MulOptions", FusedActivationFunction=0)
    net.add("SUB", [centre, half], [low], "SubOptions", FusedActivationFunction=0)
    net.add("ADD", [centre, half], [high], "AddOptions", FusedActivationFunction=0)
    result = net.scratch(boxes, "corners")
    net.add("CONCATENATION", [low, high], [result], "ConcatenationOptions", Axis=2, FusedActivationFunction=0)
    return result


def _run(net: Net, operands: tuple[int, ...], place: tuple[int, int]) -> int:
    """i64 [kept, 3]: image, class, and each box that is kept."""
    some, whole = (UNKNOWN,), TensorType(DType.I32, ())
    padded, kept = net.scratch(TensorType(DType.I32, some), "boxes"), net.scratch(whole, "count")
    net.add("NON_MAX_SUPPRESSION_V4", operands, [padded, kept], "NonMaxSuppressionV4Options")
    size = net.scratch(TensorType(DType.I32, (1,)), "count")
    reshape(net, kept, size, (1,))
    chosen = net.scratch(TensorType(DType.I32, some), "kept")
    net.add("SLICE", [padded, net.integers([0], "begin"), size], [chosen], "SliceOptions")
    column = net.scratch(TensorType(DType.I32, (UNKNOWN, 1)), "kept")
    reshape(net, chosen, column, (-1, 1))
    dims = net.scratch(TensorType(DType.I32, (2,)), "dims")
    net.add("CONCATENATION", [size, net.integers([2])], [dims], "ConcatenationOptions", Axis=0,
            FusedActivationFunction=0)  # fmt: skip
    pair = net.scratch(TensorType(DType.I32, (UNKNOWN, 2)), "image_and_class")
    net.add("BROADCAST_TO", [net.constant(np.array([place], np.int32)), dims], [pair], "BroadcastToOptions")
    narrow, result = (net.scratch(TensorType(kind, (UNKNOWN, 3)), "rows") for kind in (DType.I32, DType.I64))
    net.add("CONCATENATION", [pair, column], [narrow], "ConcatenationOptions", Axis=1, FusedActivationFunction=0)
    net.add("CAST", [narrow], [result], "CastOptions", **cast_types(DType.I32, DType.I64))
    return result
