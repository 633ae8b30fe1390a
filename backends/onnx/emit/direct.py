"""Operators that ONNX has under the same meaning: a name, and how the attributes are called there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mconv.ir import Node
from mconv.ir import ops as o
from mconv.ir.op import Op
from mconv.ir.types import DType

from ..backend import no_bfloat, onnx_backend
from ..model import TENSOR_TYPES, Model

Attributes = Callable[[Any], Mapping[str, Any]]


def _none(op: Any) -> Mapping[str, Any]:
    return {}


def _alpha(op: Any) -> Mapping[str, Any]:
    return {"alpha": op.alpha}


def _axis(op: Any) -> Mapping[str, Any]:
    return {"axis": op.axis}


DIRECT: dict[type[Op], tuple[str, Attributes]] = {
    **{op: (op.__name__, _none) for op in (
        o.Abs, o.Acos, o.Acosh, o.Add, o.And, o.Asin, o.Asinh, o.Atan, o.Atanh, o.BitwiseAnd, o.BitwiseNot,
        o.BitwiseOr, o.BitwiseXor, o.Ceil, o.Cos, o.Cosh, o.Det, o.Div, o.Equal, o.Erf, o.Exp, o.Floor, o.Greater,
        o.GreaterOrEqual, o.HardSwish, o.Identity, o.IsNaN, o.Less, o.LessOrEqual, o.Log, o.MatMul, o.MatMulInteger,
        o.Max, o.Min, o.Mish, o.Mul, o.Neg, o.NonZero, o.Not, o.Or, o.Pow, o.Range, o.Reciprocal, o.Relu, o.Round,
        o.Shape, o.Sigmoid, o.Sign, o.Sin, o.Sinh, o.Size, o.Softplus, o.Softsign, o.Sqrt, o.Sub, o.Tan, o.Tanh,
        o.Where, o.Xor,
    )},
    o.BatchNorm: ("BatchNormalization", lambda op: {"epsilon": op.epsilon}),
    o.Cast: ("Cast", lambda op: {"to": TENSOR_TYPES[op.to]}),
    o.Compress: ("Compress", lambda op: {} if op.axis is None else {"axis": op.axis}),
    o.Concat: ("Concat", _axis),
    o.DepthToSpace: ("DepthToSpace", lambda op: {"blocksize": op.blocksize, "mode": op.mode}),
    o.Einsum: ("Einsum", lambda op: {"equation": op.equation}),
    o.Elu: ("Elu", _alpha),
    o.EyeLike: ("EyeLike", lambda op: {"k": op.k, "dtype": TENSOR_TYPES[op.dtype]}),
    o.Flatten: ("Flatten", _axis),
    o.Gather: ("Gather", _axis),
    o.GatherElements: ("GatherElements", _axis),
    o.GatherND: ("GatherND", lambda op: {"batch_dims": op.batch_dims}),
    o.Gelu: ("Gelu", lambda op: {"approximate": op.approximate}),
    o.HardSigmoid: ("HardSigmoid", lambda op: {"alpha": op.alpha, "beta": op.beta}),
    o.Hardmax: ("Hardmax", _axis),
    o.IsInf: ("IsInf", lambda op: {
        "detect_positive": int(op.detect_positive), "detect_negative": int(op.detect_negative)}),
    o.LRN: ("LRN", lambda op: {"size": op.size, "alpha": op.alpha, "beta": op.beta, "bias": op.bias}),
    o.LeakyRelu: ("LeakyRelu", _alpha),
    o.LogSoftmax: ("LogSoftmax", _axis),
    o.PRelu: ("PRelu", _none),
    o.ReverseSequence: ("ReverseSequence", lambda op: {"batch_axis": op.batch_axis, "time_axis": op.time_axis}),
    o.ScatterElements: ("ScatterElements", lambda op: {"axis": op.axis, "reduction": op.reduction}),
    o.ScatterND: ("ScatterND", lambda op: {"reduction": op.reduction}),
    o.Selu: ("Selu", lambda op: {"alpha": op.alpha, "gamma": op.gamma}),
    o.Shrink: ("Shrink", lambda op: {"lambd": op.lambd, "bias": op.bias}),
    o.Softmax: ("Softmax", _axis),
    o.SpaceToDepth: ("SpaceToDepth", lambda op: {"blocksize": op.blocksize}),
    o.ThresholdedRelu: ("ThresholdedRelu", _alpha),
    o.Transpose: ("Transpose", lambda op: {"perm": op.perm}),
}  # fmt: skip


def unsigned(node: Node) -> bool | str:
    """the integers are unsigned."""
    found = node.inputs[0].type.dtype
    return found in (DType.U8, DType.U16, DType.U32, DType.U64) or f"opset 20 shifts no {found.value}"


@onnx_backend.emits(o.BitShift, where=(unsigned,))
def bit_shift(node: Node, model: Model) -> None:
    """BitShift."""
    assert isinstance(node.op, o.BitShift)
    model.simple("BitShift", node, direction=node.op.direction.upper())


def single(node: Node) -> bool | str:
    """the tensor is of float32."""
    found = node.inputs[0].type.dtype
    return found is DType.F32 or f"ONNX has it for float32 alone, and here is {found.value}"


@onnx_backend.emits(o.Celu, where=(single,))
def celu(node: Node, model: Model) -> None:
    """Celu."""
    assert isinstance(node.op, o.Celu)
    model.simple("Celu", node, alpha=node.op.alpha)


def integers_or_fmod(node: Node) -> bool | str:
    """the remainder of floating-point numbers takes the dividend's sign."""
    assert isinstance(node.op, o.Mod)
    whole = not node.inputs[0].type.dtype.is_float
    return whole or node.op.fmod or "opset 20 has no remainder of floats with the divisor's sign"


@onnx_backend.emits(o.Mod, where=(no_bfloat, integers_or_fmod))
def mod(node: Node, model: Model) -> None:
    """Mod."""
    assert isinstance(node.op, o.Mod)
    model.simple("Mod", node, fmod=int(node.op.fmod))


@onnx_backend.emits(*DIRECT, where=(no_bfloat,))
def direct(node: Node, model: Model) -> None:
    """One node of the same meaning."""
    kind, attributes = DIRECT[type(node.op)]
    model.simple(kind, node, **attributes(node.op))
