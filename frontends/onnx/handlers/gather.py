"""Reading and writing at positions that tensors hold."""

from __future__ import annotations

from mconv.ir import Builder, Value, ops

from ..errors import RE_EXPORT, unreadable
from ..node import OnnxNode
from ..registry import onnx

REDUCTIONS = ("none", "add", "mul", "max", "min")


@onnx("Gather")
def gather(n: OnnxNode, g: Builder) -> Value:
    """Gather; indices that are known must lie inside, because every runtime refuses or clamps them in its own way."""
    axis = n.axis(n.integer("axis"))
    size, known = n[0].type.shape[axis] if n[0].type.rank else 0, n.known(n[1])
    if isinstance(size, int) and known is not None and known.dtype.kind in "iu" and known.size:
        least, most = int(known.min()), int(known.max())
        if least < -size or most >= size:
            what = f"Gather reads index {least if least < -size else most} of an axis of {size}"
            raise unreadable("MC219", what, RE_EXPORT)
    return g.add(ops.Gather(axis), n[0], n[1])


@onnx("GatherElements")
def gather_elements(n: OnnxNode, g: Builder) -> Value:
    """GatherElements."""
    return g.add(ops.GatherElements(n.axis(n.integer("axis"))), n[0], n[1])


@onnx("GatherND")
def gather_nd(n: OnnxNode, g: Builder) -> Value:
    """GatherND."""
    batch = n.integer("batch_dims") if "batch_dims" in n.schema.attributes else 0
    return g.add(ops.GatherND(batch), n[0], n[1])


def _reduction(n: OnnxNode) -> str:
    return n.choice("reduction", *REDUCTIONS) if "reduction" in n.schema.attributes else "none"


@onnx("Scatter", "ScatterElements")
def scatter_elements(n: OnnxNode, g: Builder) -> Value:
    """ScatterElements, which was called Scatter before opset 11."""
    return g.add(ops.ScatterElements(n.axis(n.integer("axis")), _reduction(n)), n[0], n[1], n[2])


@onnx("ScatterND")
def scatter_nd(n: OnnxNode, g: Builder) -> Value:
    """ScatterND."""
    return g.add(ops.ScatterND(_reduction(n)), n[0], n[1], n[2])


@onnx("TensorScatter")
def tensor_scatter(n: OnnxNode, g: Builder) -> Value:
    """TensorScatter, which updates a cache."""
    op = ops.TensorScatter(n.choice("mode", "linear", "circular"), n.axis(n.integer("axis")))
    return g.add(op, n[0], n[1], n.get(2))


@onnx("OneHot")
def one_hot(n: OnnxNode, g: Builder) -> Value:
    """OneHot; depth may come as a tensor of one number."""
    axis, depth = n.axis(n.integer("axis"), n.rank + 1), n.known(n[1])
    if depth is None:
        return g.add(ops.OneHot(axis), n[0], n[1], n[2])
    return g.add(ops.OneHot(axis, int(depth.reshape(()))), n[0], None, n[2])


@onnx("NonZero")
def non_zero(n: OnnxNode, g: Builder) -> Value:
    """NonZero."""
    return g.add(ops.NonZero(), n[0])


@onnx("Unique")
def unique(n: OnnxNode, g: Builder) -> tuple[Value, ...]:
    """Unique."""
    axis = n.maybe_integer("axis")
    return g.add_all(ops.Unique(None if axis is None else n.axis(axis), n.boolean("sorted")), n[0])


@onnx("Compress")
def compress(n: OnnxNode, g: Builder) -> Value:
    """Compress."""
    axis = n.maybe_integer("axis")
    return g.add(ops.Compress(None if axis is None else n.axis(axis)), n[0], n[1])


@onnx("NonMaxSuppression")
def non_max_suppression(n: OnnxNode, g: Builder) -> Value:
    """NonMaxSuppression."""
    op = ops.NonMaxSuppression(n.boolean("center_point_box"))
    return g.add(op, n[0], n[1], n.get(2), n.get(3), n.get(4))
