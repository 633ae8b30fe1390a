"""Arithmetic, element by element. Layers of one operand keep the form in which it is held."""

from __future__ import annotations

import numpy as np

from mconv.ir import DType, Node, Op
from mconv.ir.ops import (
    Abs,
    Acos,
    Acosh,
    Add,
    Asin,
    Asinh,
    Atan,
    Atan2,
    Atanh,
    Cast,
    Ceil,
    Cos,
    Cosh,
    Div,
    Erf,
    Exp,
    Floor,
    Identity,
    Log,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Pow,
    Reciprocal,
    Round,
    Rsqrt,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Square,
    Sub,
    Tan,
    Tanh,
)
from mconv.ir.types import Shape, product

from ..backend import ncnn
from ..net import Blob, Net
from .binary import (
    ADD,
    ATAN2,
    DIV,
    MAX,
    MIN,
    MUL,
    RDIV,
    SUB,
    aligned,
    binary_layer,
    compute,
    narrowed,
    scalar_layer,
)
from .conditions import bounds, exact, floats

_UNARY: dict[type[Op], int] = {
    Abs: 0, Neg: 1, Floor: 2, Ceil: 3, Square: 4, Sqrt: 5, Exp: 7, Sin: 9, Cos: 10, Tan: 11,
    Asin: 12, Acos: 13, Atan: 14, Round: 18, Sign: 20, Sinh: 22, Asinh: 23, Cosh: 24, Acosh: 25,
    Atanh: 26,
}  # fmt: skip
_FLOOR, _SQRT, _TRUNC, _SIGN = 2, 5, 19, 20
_BINARY: dict[type[Op], int] = {Add: ADD, Sub: SUB, Mul: MUL, Max: MAX, Min: MIN, Atan2: ATAN2}


def unary_layer(net: Net, x: Blob, kind: int, *, suffix: str = "") -> Blob:
    """A UnaryOp."""
    return net.layer("UnaryOp", [x], x.shape, {0: kind}, suffix=suffix)


@ncnn.emits(*_UNARY, where=(floats,))
def unary(node: Node, net: Net) -> None:
    """UnaryOp."""
    net.give(node.result, unary_layer(net, net.blob(node.inputs[0]), _UNARY[type(node.op)]))


@ncnn.emits(Log, where=(floats,))
def logarithm(node: Node, net: Net) -> None:
    """The Log layer: UnaryOp's logarithm of zero is no infinity on x86."""
    x = net.blob(node.inputs[0])
    net.give(node.result, net.layer("Log", [x], x.shape, {0: -1.0, 1: 1.0, 2: 0.0}))


@ncnn.emits(Reciprocal, Rsqrt, where=(floats,))
def reciprocal(node: Node, net: Net) -> None:
    """1 / x by BinaryOp, which is exact: UnaryOp's reciprocals of zero are no infinities on x86."""
    x = net.blob(node.inputs[0])
    if isinstance(node.op, Rsqrt):
        x = unary_layer(net, x, _SQRT, suffix="root")
    net.give(node.result, scalar_layer(net, x, RDIV, 1.0))


@ncnn.emits(Tanh, where=(floats,))
def tanh(node: Node, net: Net) -> None:
    """TanH."""
    x = net.blob(node.inputs[0])
    net.give(node.result, net.layer("TanH", [x], x.shape, {}))


@ncnn.emits(Erf, where=(floats,))
def erf(node: Node, net: Net) -> None:
    """Erf."""
    x = net.blob(node.inputs[0])
    net.give(node.result, net.layer("Erf", [x], x.shape, {}))


@ncnn.emits(*_BINARY, where=(exact,))
def binary(node: Node, net: Net) -> None:
    """BinaryOp."""
    a, b = node.inputs
    compute(net, _BINARY[type(node.op)], a, b, node.result)


def quotients(node: Node) -> bool | str:
    """the tensors are floating-point, or the divisor is a positive constant and the integers are below 2^21."""
    if node.result.type.dtype.is_float:
        return floats(node)
    low, high = bounds(node.inputs[0])
    if low is None or high is None or max(-low, high) >= 1 << 21:
        return f"%{node.inputs[0].name} is {node.inputs[0].type.dtype.value}, and might not be exact in float32"
    divisor = node.inputs[1].data
    if divisor is None or not bool((divisor > 0).all()):
        return "its divisor is computed or not positive, and a float quotient only approximates that of integers"
    return True


@ncnn.emits(Div, where=(quotients,))
def divide(node: Node, net: Net) -> None:
    """BinaryOp; of integers (abs(a) + 1/2) / b rounded down, with a's sign: near enough to be exact."""
    a, b = node.inputs
    if node.result.type.dtype.is_float:
        compute(net, DIV, a, b, node.result)
        return
    x, factor, shape = _reciprocal(node, net)
    low, _ = bounds(a)
    if low is not None and low >= 0:
        net.give(node.result, _floor_quotient(net, x, factor, shape))
        return
    whole = _floor_quotient(net, unary_layer(net, x, 0, suffix="abs"), factor, shape)
    sign = unary_layer(net, x, _SIGN, suffix="sign")
    net.give(node.result, binary_layer(net, whole, sign, MUL, shape))


def _reciprocal(node: Node, net: Net) -> tuple[Blob, Blob | float, Shape]:
    """The dividend, and what to multiply it by: 1 / b as a number or a blob."""
    a, b = node.inputs
    if b.constant.size == 1 and product(a.type.shape) == product(node.result.type.shape):
        return net.blob(a), 1 / float(b.constant.reshape(-1)[0]), net.blob(a).shape
    (x, _), shape = aligned(net, (a, b), node.result)
    narrow = narrowed(b.type.shape, node.result, shape)
    numbers = (1 / b.constant.astype(np.float64)).astype(np.float32)
    return x, net.data(numbers, narrow, f"{node.name}/reciprocal"), shape


def _floor_quotient(net: Net, x: Blob, factor: Blob | float, shape: Shape) -> Blob:
    """floor((x + 1/2) * factor): the half keeps exact quotients from being rounded below themselves."""
    x = scalar_layer(net, x, ADD, 0.5, suffix="half")
    if isinstance(factor, Blob):
        x = binary_layer(net, x, factor, MUL, shape, suffix="quotient")
    else:
        x = scalar_layer(net, x, MUL, factor, suffix="quotient")
    return unary_layer(net, x, _FLOOR, suffix="whole")


def of_integers(node: Node) -> bool | str:
    """the tensors are integers."""
    return "near multiples of the divisor a float remainder jumps, and ncnn's quotients are approximate" if (
        node.result.type.dtype.is_float
    ) else True  # fmt: skip


@ncnn.emits(Mod, where=(of_integers, quotients))
def modulo(node: Node, net: Net) -> None:
    """a - b * floor(a / b); with a's sign (fmod) of abs(a)."""
    assert isinstance(node.op, Mod)
    low, _ = bounds(node.inputs[0])
    x, factor, shape = _reciprocal(node, net)
    sign = None
    if node.op.fmod and (low is None or low < 0):
        sign, x = unary_layer(net, x, _SIGN, suffix="sign"), unary_layer(net, x, 0, suffix="abs")
    whole = _floor_quotient(net, x, factor, shape)
    if isinstance(factor, Blob):
        divisor = net.shaped(node.inputs[1], factor.shape)
        multiple = binary_layer(net, whole, divisor, MUL, shape, suffix="multiple")
    else:
        multiple = scalar_layer(net, whole, MUL, float(node.inputs[1].constant.reshape(-1)[0]), suffix="multiple")
    rest = binary_layer(net, x, multiple, SUB, shape, suffix="" if sign is None else "rest")
    net.give(node.result, rest if sign is None else binary_layer(net, rest, sign, MUL, shape))


def exact_power(node: Node) -> bool | str:
    """the exponent is a number, or the base a positive constant (ncnn's power is wrong at zero and below)."""
    a, b = node.inputs
    if b.data is not None and b.data.size == 1 and a.type.rank >= b.type.rank:
        return True if a.type.dtype.is_float else floats(node)
    if a.data is not None and a.data.size and bool((a.data > 0).all()):
        return floats(node)
    return "ncnn computes a power as exp(b log a), which is wrong where a is zero or negative"


@ncnn.emits(Pow, where=(exact_power,))
def power(node: Node, net: Net) -> None:
    """Squares and roots as UnaryOp, other exponents as Power; a constant base as a product and Exp."""
    a, b = node.inputs
    if b.data is not None and b.data.size == 1:
        x, number = net.blob(a), float(b.data.reshape(-1)[0])
        kind = {2.0: 4, 0.5: _SQRT}.get(number)
        if kind is not None:
            net.give(node.result, unary_layer(net, x, kind))
        elif number == 1:
            net.alias(node.result, a)
        else:
            net.give(node.result, net.layer("Power", [x], x.shape, {0: number, 1: 1.0, 2: 0.0}))
        return
    logarithms = np.log(a.constant.astype(np.float64)).astype(np.float32)
    if a.constant.size == 1 and product(b.type.shape) == product(node.result.type.shape):
        exponent = scalar_layer(net, net.blob(b), MUL, float(logarithms.reshape(-1)[0]), suffix="exponent")
    else:
        (_, y), shape = aligned(net, (a, b), node.result)
        narrow = narrowed(a.type.shape, node.result, shape)
        factors = net.data(logarithms, narrow, f"{node.name}/log")
        exponent = binary_layer(net, factors, y, MUL, shape, suffix="exponent")
    net.give(node.result, unary_layer(net, exponent, 7))


@ncnn.emits(Identity)
def identity(node: Node, net: Net) -> None:
    """No layer: the result is held where the operand is."""
    net.alias(node.result, node.inputs[0])


def castable(node: Node) -> bool | str:
    """what the result holds, float32 holds exactly."""
    assert isinstance(node.op, Cast)
    before, after = node.inputs[0].type.dtype, node.op.to
    if after.is_float or after in (DType.BOOL, before):
        return True
    if before.is_float:
        return True if after.size >= 4 else f"a float may not fit {after.value}, and then wraps in its own way"
    low, high = bounds(node.inputs[0])
    allowed = {DType.U8: (0, 255), DType.I8: (-128, 127), DType.U16: (0, 65535), DType.I16: (-32768, 32767)}
    least, greatest = allowed.get(after, (0 if after in (DType.U32, DType.U64) else -(1 << 31), 1 << 31))
    if low is None or high is None:
        return True if after.size >= 4 and after not in (DType.U32, DType.U64) else f"it may not fit {after.value}"
    return True if least <= low and high <= greatest else f"it may not fit {after.value}"


@ncnn.emits(Cast, where=(castable,))
def cast(node: Node, net: Net) -> None:
    """Everything is held as float32: a layer only where numbers change, from floats to integers or truth values."""
    assert isinstance(node.op, Cast)
    source = node.inputs[0]
    before, after = source.type.dtype, node.op.to
    if after is DType.BOOL and before is not DType.BOOL:
        x = unary_layer(net, net.blob(source), 0, suffix="abs")
        net.give(node.result, net.layer("Threshold", [x], x.shape, {0: 0.0}))
    elif before.is_float and not after.is_float:
        net.give(node.result, unary_layer(net, net.blob(source), _TRUNC))
    else:
        net.alias(node.result, source)
