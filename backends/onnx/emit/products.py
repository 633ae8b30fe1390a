"""Linear and normalisations."""

from __future__ import annotations

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import InstanceNorm, LayerNorm, Linear, LpNormalize, MeanVarianceNormalize

from ..backend import no_bfloat, onnx_backend
from ..model import Model


@onnx_backend.emits(Linear, where=(no_bfloat,))
def linear(node: Node, model: Model) -> None:
    """Gemm of a matrix; MatMul, then Add, of more axes."""
    x, w, b = (*node.operands, None)[:3]
    assert x is not None
    assert w is not None
    result = model.name_of(node.result)
    if x.type.rank == 2:
        weight, turned = _weight(model, w)
        inputs = [model.name_of(x), weight, *([model.name_of(b)] if b is not None else [])]
        model.node("Gemm", inputs, [result], alpha=1.0, beta=1.0, transA=0, transB=int(not turned))
        return
    if w.data is not None:
        matrix = model.constant(np.ascontiguousarray(w.data.T), f"{w.name}.T")
    else:
        matrix = model.node("Transpose", [model.name_of(w)], perm=[1, 0])
    if b is None:
        model.node("MatMul", [model.name_of(x), matrix], [result])
    else:
        model.node("Add", [model.node("MatMul", [model.name_of(x), matrix]), model.name_of(b)], [result])


def _weight(model: Model, w: Value) -> tuple[str, bool]:
    """The weight's name, and whether it is given as [I, O]: as it lies in memory, so that nothing is copied."""
    if w.data is not None and w.data.T.flags.c_contiguous and not w.data.flags.c_contiguous:
        return model.constant(w.data.T, w.name), True
    return model.name_of(w), False


@onnx_backend.emits(LayerNorm, where=(no_bfloat,))
def layer_norm(node: Node, model: Model) -> None:
    """LayerNormalization, which wants a scale."""
    op = node.op
    assert isinstance(op, LayerNorm)
    x = node.inputs[0]
    gamma, beta = node.operand("gamma"), node.operand("beta")
    if gamma is None:
        ones = np.ones(x.type.with_shape(x.type.shape[op.axis :]).static_shape, x.type.dtype.numpy)
        scale = model.constant(ones, "ones")
    else:
        scale = model.name_of(gamma)
    inputs = [model.name_of(x), scale, "" if beta is None else model.name_of(beta)]
    attributes = {"axis": op.axis, "epsilon": op.epsilon, "stash_type": 1}
    model.node("LayerNormalization", inputs, [model.name_of(node.result)], **attributes)


def channels_known(node: Node) -> bool | str:
    """the number of channels is known."""
    return isinstance(node.inputs[0].type.shape[1], int) or "the number of channels is known only at run time"


@onnx_backend.emits(InstanceNorm, where=(no_bfloat, channels_known))
def instance_norm(node: Node, model: Model) -> None:
    """InstanceNormalization, which wants a scale and a bias."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, InstanceNorm)
    channels = x.type.shape[1]
    inputs = [model.name_of(x)]
    for name, fill in (("gamma", 1), ("beta", 0)):
        value = node.operand(name)
        default = np.full(channels, fill, x.type.dtype.numpy)  # type: ignore[arg-type]
        inputs.append(model.constant(default, name) if value is None else model.name_of(value))
    model.node("InstanceNormalization", inputs, [model.name_of(node.result)], epsilon=op.epsilon)


def no_epsilon(node: Node) -> bool:
    """nothing is added to the norm."""
    return isinstance(node.op, LpNormalize) and node.op.epsilon == 0


@onnx_backend.emits(LpNormalize, where=(no_bfloat, no_epsilon))
def lp_normalize(node: Node, model: Model) -> None:
    """LpNormalization."""
    op = node.op
    assert isinstance(op, LpNormalize)
    model.simple("LpNormalization", node, axis=op.axis, p=op.p)


def usual_epsilon(node: Node) -> bool:
    """epsilon is 1e-9, the one that ONNX adds."""
    return isinstance(node.op, MeanVarianceNormalize) and node.op.epsilon == 1e-9


@onnx_backend.emits(MeanVarianceNormalize, where=(no_bfloat, usual_epsilon))
def mean_variance_normalize(node: Node, model: Model) -> None:
    """MeanVarianceNormalization."""
    op = node.op
    assert isinstance(op, MeanVarianceNormalize)
    model.simple("MeanVarianceNormalization", node, axes=op.axes)
