"""Quantized operators on integer kernels.

Each kernel says with a check what it takes; what it does not is taken apart into Dequantize, the operator, Quantize.
Where a kernel makes its result only in a scale of its own (softmax: 1/256), QUANTIZE turns that into the wanted one.
Source of the kernels' rules: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mconv.ir import DType, Node, Op, Value, ops
from mconv.ir.types import Array

from ..backend import tflite
from ..fused import can_fuse, fused_code
from ..model import Quantization
from ..net import Net
from ..quantization import Part, Parts, parts, same
from .conv import convolution_options, filters
from .pool import window_of
from .window import VALID, padded, padding_of

Check = Callable[[Parts], bool | str]
Emit = Callable[[Parts, Net], None]

SIGNED = (DType.I8, DType.I16)


@dataclass(frozen=True)
class _Kernel:
    check: Check
    emit: Emit


KERNELS: dict[type[Op], _Kernel] = {}


def _integer(*inner: type[Op], check: Check) -> Callable[[Emit], Emit]:
    def register(emit: Emit) -> Emit:
        KERNELS.update(dict.fromkeys(inner, _Kernel(check, emit)))
        return emit

    return register


def has_integer_kernel(node: Node) -> bool | str:
    """its inner operator has a kernel for signed integers of these scales."""
    pieces = parts(node)
    kernel = KERNELS.get(type(pieces.inner))
    name = type(pieces.inner).__name__
    if kernel is None:
        return f"TFLite has no integer kernel for {name}"
    if pieces.result.quantization is None or len(pieces.result.quantization.scale) != 1:
        return "the result has several scales, or they are known only at run time"
    if pieces.result.value.type.dtype not in SIGNED and not isinstance(pieces.inner, ops.Identity):
        return f"integer kernels make signed integers, not {pieces.result.value.type.dtype.value}"
    if pieces.result.value.type.dtype is DType.I16 and any(pieces.result.quantization.zero_point):
        return "16-bit kernels have no zero point"
    activation = getattr(pieces.inner, "activation", None)
    if activation is not None and not can_fuse(activation):
        return f"no integer kernel carries {type(activation).__name__} with these bounds"
    return kernel.check(pieces)


def _data(pieces: Parts, *indices: int) -> bool | str:
    """True where these operands are integers of the result's type with one scale."""
    for index in indices:
        part = pieces.operands[index]
        if part is None or part.quantization is None:
            return "an operand is not quantized, or by what is known only at run time"
        if len(part.quantization.scale) != 1:
            return f"%{part.value.name} has several scales"
        own, made = part.value.type.dtype, pieces.result.value.type.dtype
        if own is not made:
            return f"%{part.value.name} is {own.value}, the result {made.value}"
    return True


def _all_data(pieces: Parts) -> bool | str:
    return _data(pieces, *range(len(pieces.operands)))


def _part(pieces: Parts, index: int) -> Part:
    part = pieces.operands[index] if index < len(pieces.operands) else None
    assert part is not None  # the check has looked
    return part


# Products ------------------------------------------------------------------------------------------------


def _weighted(pieces: Parts) -> bool | str:
    """The weight is constant i8 around zero, with one scale or one a filter; the bias is constant."""
    answer = _data(pieces, 0)
    if answer is not True:
        return answer
    weight = pieces.operands[1]
    if weight is None or weight.quantization is None or weight.value.data is None:
        return "the weight is not constant, or not quantized"
    if weight.value.type.dtype is not DType.I8 or any(weight.quantization.zero_point):
        return "integer kernels want weights of i8 around zero"
    filters_axis = 1 if isinstance(pieces.inner, ops.MatMul | ops.ConvTranspose) else 0
    if len(weight.quantization.scale) > 1 and weight.quantization.axis != filters_axis:
        return "the weight's scales do not go along the filters"
    bias = pieces.operands[2] if len(pieces.operands) > 2 else None
    return bias is None or bias.value.data is not None or "the bias is computed"


def _conv(pieces: Parts) -> bool | str:
    inner, x = pieces.inner, pieces.node.operands[2]
    assert x is not None
    if x.type.rank != 4 or min(inner.pads) < 0:
        return "integer convolutions are two-dimensional, with pads that are not negative"
    w = _part(pieces, 1).value.type if pieces.operands[1] else None
    if inner.groups > 1 and w is not None and w.shape[1] != 1:
        return "integer convolutions have one group, or one a channel"
    return _weighted(pieces)


def _scales(pieces: Parts, count: int) -> Array:
    """x's scale times the weight's, one number a filter."""
    x, w = _part(pieces, 0).quantization, _part(pieces, 1).quantization
    assert x is not None
    assert w is not None
    return np.broadcast_to(np.float64(x.scale[0]) * np.array(w.scale, np.float64), count)


def _bias(pieces: Parts, net: Net, count: int) -> int:
    """The bias counted in x's scale times the weight's: i32 beside i8, i64 beside i16. Zeros where there is none."""
    bias = pieces.operands[2] if len(pieces.operands) > 2 else None
    scales = _scales(pieces, count)
    real = np.zeros(count)
    if bias is not None:
        real = bias.value.constant.astype(np.float64).reshape(-1)
        if bias.quantization is not None:
            points = np.array(bias.quantization.zero_point, np.float64)
            real = (real - points) * np.array(bias.quantization.scale, np.float64)
    wide = np.int64 if _part(pieces, 0).value.type.dtype is DType.I16 else np.int32
    limits = np.iinfo(wide)
    stored = np.clip(np.rint(real / scales), limits.min, limits.max).astype(wide)
    name = "bias" if bias is None else bias.value.name
    factors = tuple(float(s) for s in scales) if len(set(scales)) > 1 else (float(scales[0]),)
    return net.constant(stored, name, Quantization(factors, (0,) * len(factors), 0))


def _along(quantization: Quantization | None, axis: int) -> Quantization:
    """The same scales, along the axis of TFLite's layout."""
    assert quantization is not None
    return Quantization(quantization.scale, quantization.zero_point, axis if len(quantization.scale) > 1 else 0)


@_integer(ops.Conv, check=_conv)
def convolution(pieces: Parts, net: Net) -> None:
    """CONV_2D, DEPTHWISE_CONV_2D."""
    inner, x, weight = pieces.inner, _part(pieces, 0), _part(pieces, 1)
    w = weight.value.constant
    sizes, places = x.value.type.shape[1:-1], pieces.result.value.type.shape[1:-1]
    padding = padding_of(sizes, places, w.shape[2:], inner.strides, inner.pads, inner.dilations)
    source: Value | int = x.value if padding is not None else padded(net, x.value, inner.pads)
    name, options, turned, axis = filters(inner, w)
    stored = net.constant(turned, weight.value.name, _along(weight.quantization, axis))
    values = convolution_options(inner, w.shape, VALID if padding is None else padding, fused_code(inner.activation))
    net.add(name, [source, stored, _bias(pieces, net, w.shape[0])], [pieces.result.value], options, **values)


def _rows(pieces: Parts) -> bool | str:
    rank = _part(pieces, 0).value.type.rank if pieces.operands[0] else 0
    weight = pieces.operands[1]
    if not 2 <= rank <= 6 or weight is None or weight.value.type.rank != 2:
        return "FULLY_CONNECTED multiplies the last axis by a matrix"
    return _weighted(pieces)


@_integer(ops.Linear, ops.MatMul, check=_rows)
def fully_connected(pieces: Parts, net: Net) -> None:
    """FULLY_CONNECTED; a MatMul's matrix is turned."""
    inner, x, weight = pieces.inner, _part(pieces, 0), _part(pieces, 1)
    w = weight.value.constant if isinstance(inner, ops.Linear) else weight.value.constant.T
    stored = net.constant(w, weight.value.name, _along(weight.quantization, 0))
    net.add(
        "FULLY_CONNECTED",
        [x.value, stored, _bias(pieces, net, w.shape[0])],
        [pieces.result.value],
        "FullyConnectedOptions",
        FusedActivationFunction=fused_code(getattr(inner, "activation", None)),
        WeightsFormat=0,
        KeepNumDims=x.value.type.rank > 2,
        AsymmetricQuantizeInputs=False,
    )


# Arithmetic ----------------------------------------------------------------------------------------------

_SUMS = {ops.Add: "ADD", ops.Sub: "SUB", ops.Mul: "MUL"}


@_integer(ops.Add, ops.Sub, ops.Mul, check=_all_data)
def arithmetic(pieces: Parts, net: Net) -> None:
    """ADD, SUB, MUL: operands and result each in a scale of their own."""
    name = _SUMS[type(pieces.inner)]
    values: dict[str, Any] = {"FusedActivationFunction": 0}
    if name != "MUL":
        values["PotScaleInt16"] = False
    operands = [part.value for part in pieces.operands if part is not None]
    net.add(name, operands, [pieces.result.value], f"{name.capitalize()}Options", **values)


_UNARY: dict[type[Op], tuple[str, str]] = {
    ops.Relu: ("RELU", ""), ops.HardSwish: ("HARD_SWISH", "HardSwishOptions"), ops.Elu: ("ELU", ""),
    ops.Abs: ("ABS", "AbsOptions"),
}  # fmt: skip


def _eight_bits(pieces: Parts) -> bool | str:
    if pieces.result.value.type.dtype is not DType.I8:
        return "the kernel is for 8-bit integers"
    return not (isinstance(pieces.inner, ops.Elu) and pieces.inner.alpha != 1) and _data(pieces, 0)


@_integer(ops.Relu, ops.HardSwish, ops.Elu, ops.Abs, check=_eight_bits)
def unary(pieces: Parts, net: Net) -> None:
    """RELU, HARD_SWISH, ELU, ABS: from one scale to another."""
    name, options = _UNARY[type(pieces.inner)]
    net.add(name, [_part(pieces, 0).value], [pieces.result.value], options)


@_integer(ops.LeakyRelu, check=_eight_bits)
def leaky_relu(pieces: Parts, net: Net) -> None:
    """LEAKY_RELU."""
    alpha = pieces.inner.alpha
    net.add("LEAKY_RELU", [_part(pieces, 0).value], [pieces.result.value], "LeakyReluOptions", Alpha=alpha)


@_integer(ops.Gelu, check=_eight_bits)
def gelu(pieces: Parts, net: Net) -> None:
    """GELU."""
    approximate = pieces.inner.approximate == "tanh"
    net.add("GELU", [_part(pieces, 0).value], [pieces.result.value], "GeluOptions", Approximate=approximate)


@_integer(ops.Clip, check=lambda p: can_fuse(p.inner) and _eight_bits(p))
def clip(pieces: Parts, net: Net) -> None:
    """RELU, RELU6, RELU_N1_TO_1."""
    from ..fused import NAMES

    net.add(NAMES[pieces.inner.min, pieces.inner.max], [_part(pieces, 0).value], [pieces.result.value])


# Kernels with a scale of their own ------------------------------------------------------------------------

_FIXED: dict[type[Op], tuple[str, str, dict[str, Any], Quantization]] = {
    ops.Sigmoid: ("LOGISTIC", "", {}, Quantization((1 / 256,), (-128,))),
    ops.Tanh: ("TANH", "", {}, Quantization((1 / 128,), (0,))),
    ops.Softmax: ("SOFTMAX", "SoftmaxOptions", {"Beta": 1.0}, Quantization((1 / 256,), (-128,))),
    ops.LogSoftmax: ("LOG_SOFTMAX", "LogSoftmaxOptions", {}, Quantization((16 / 256,), (127,))),
}


def _last_axis(pieces: Parts) -> bool | str:
    axis = getattr(pieces.inner, "axis", None)
    if axis is not None and axis != pieces.result.value.type.rank - 1:
        return "TFLite goes along the last axis only"
    return _eight_bits(pieces)


@_integer(ops.Sigmoid, ops.Tanh, ops.Softmax, ops.LogSoftmax, check=_last_axis)
def fixed_scale(pieces: Parts, net: Net) -> None:
    """LOGISTIC, TANH, SOFTMAX, LOG_SOFTMAX: their kernels make one scale, QUANTIZE the one that is wanted."""
    name, options, values, made = _FIXED[type(pieces.inner)]
    _through(pieces, net, made, lambda result: net.add(name, [_part(pieces, 0).value], [result], options, **values))


def _through(pieces: Parts, net: Net, made: Quantization | None, emit: Callable[[Value | int], None]) -> None:
    """Emit what makes integers of the scale ``made``, then QUANTIZE to the result's where that is another."""
    result = pieces.result
    if same(made, result.quantization):
        emit(result.value)
        return
    between = net.scratch(result.value, f"{result.value.name}_as_made", made)
    emit(between)
    net.add("QUANTIZE", [between], [result.value], "QuantizeOptions")


def _in_scale(pieces: Parts, net: Net, index: int, wanted: Quantization | None) -> Value | int:
    """An operand in another scale, by QUANTIZE where it is not in it already."""
    part = _part(pieces, index)
    if same(part.quantization, wanted):
        return part.value
    turned = net.scratch(part.value, f"{part.value.name}_rescaled", wanted)
    net.add("QUANTIZE", [part.value], [turned], "QuantizeOptions")
    return turned


# Kernels that keep the scale -------------------------------------------------------------------------------


def _pool(pieces: Parts) -> bool | str:
    inner, x = pieces.inner, pieces.node.operands[2]
    assert x is not None
    if x.type.rank != 4 or any(d != 1 for d in inner.dilations):
        return "integer pools are two-dimensional and not dilated"
    if isinstance(inner, ops.AveragePool) and (any(inner.pads) or inner.ceil_mode):
        return "an integer mean counts no padding"
    if inner.ceil_mode or (any(inner.pads) and not x.type.is_static):
        return "it pads, or reads beyond the edge"
    return _data(pieces, 0)


@_integer(ops.AveragePool, ops.MaxPool, check=_pool)
def pool(pieces: Parts, net: Net) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D in x's scale."""
    inner, x = pieces.inner, _part(pieces, 0)
    name = "AVERAGE_POOL_2D" if isinstance(inner, ops.AveragePool) else "MAX_POOL_2D"
    sizes, places = x.value.type.shape[1:-1], pieces.result.value.type.shape[1:-1]
    padding = padding_of(sizes, places, inner.kernel, inner.strides, inner.pads, inner.dilations)
    source: Value | int = x.value
    if padding is None:
        lowest = float(np.iinfo(x.value.type.dtype.numpy).min)
        source = padded(net, x.value, inner.pads, lowest)
    window = window_of(inner, VALID if padding is None else padding, 0)
    _through(pieces, net, x.quantization, lambda result: net.add(name, [source], [result], "Pool2DOptions", **window))


@_integer(ops.ReduceMean, check=lambda p: p.inner.axes is not None and _data(p, 0))
def mean(pieces: Parts, net: Net) -> None:
    """MEAN, from one scale to another."""
    axes = net.integers(pieces.inner.axes, "axes")
    net.add(
        "MEAN", [_part(pieces, 0).value, axes], [pieces.result.value], "ReducerOptions", KeepDims=pieces.inner.keepdims
    )


@_integer(ops.Concat, check=lambda p: p.result.value.type.rank <= 6 and _all_data(p))
def concatenation(pieces: Parts, net: Net) -> None:
    """CONCATENATION of operands in the result's scale."""
    wanted = pieces.result.quantization
    operands = [_in_scale(pieces, net, index, wanted) for index in range(len(pieces.operands))]
    net.add("CONCATENATION", operands, [pieces.result.value], "ConcatenationOptions", Axis=pieces.inner.axis,
            FusedActivationFunction=0)  # fmt: skip


_EXTREMES = {ops.Max: "MAXIMUM", ops.Min: "MINIMUM"}


@_integer(ops.Max, ops.Min, check=_all_data)
def extreme(pieces: Parts, net: Net) -> None:
    """MAXIMUM and MINIMUM of operands in the result's scale."""
    operands = [_in_scale(pieces, net, index, pieces.result.quantization) for index in range(len(pieces.operands))]
    net.add(_EXTREMES[type(pieces.inner)], operands, [pieces.result.value], "MaximumMinimumOptions")


@_integer(ops.Identity, check=lambda p: _rescalable(p))
def rescale(pieces: Parts, net: Net) -> None:
    """QUANTIZE from one scale, or width, to another."""
    net.add("QUANTIZE", [_part(pieces, 0).value], [pieces.result.value], "QuantizeOptions")


def _rescalable(pieces: Parts) -> bool | str:
    part = pieces.operands[0]
    if part is None or part.quantization is None or len(part.quantization.scale) != 1:
        return "an operand is not quantized by one known scale"
    return part.value.type.dtype in (DType.I8, DType.U8, DType.I16) or "QUANTIZE does not read this type"


@tflite.emits(ops.Quantized, where=(has_integer_kernel,))
def quantized(node: Node, net: Net) -> None:
    """The inner operator's integer kernel."""
    pieces = parts(node)
    KERNELS[type(pieces.inner)].emit(pieces, net)
