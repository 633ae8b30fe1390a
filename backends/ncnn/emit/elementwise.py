"""Arithmetic, element by element. Layers of one operand keep the form in which it is held."""

from __future__ import annotations

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

from ..backend import ncnn
from ..net import Blob, Net
from .binary import ADD, ATAN2, DIV, FMOD, MAX, MIN, MUL, POW, SUB, aligned, binary_layer, compute
from .conditions import bounds, exact, floats

_UNARY: dict[type[Op], int] = {
    Abs: 0, Neg: 1, Floor: 2, Ceil: 3, Square: 4, Sqrt: 5, Rsqrt: 6, Exp: 7, Log: 8, Sin: 9, Cos: 10, Tan: 11,
    Asin: 12, Acos: 13, Atan: 14, Reciprocal: 15, Round: 18, Sign: 20, Sinh: 22, Asinh: 23, Cosh: 24, Acosh: 25,
    Atanh: 26,
}  # fmt: skip
_TRUNC = 19
_BINARY: dict[type[Op], int] = {Add: ADD, Sub: SUB, Mul: MUL, Max: MAX, Min: MIN, Atan2: ATAN2}


def unary_layer(net: Net, x: Blob, kind: int, *, suffix: str = "") -> Blob:
    """A UnaryOp."""
    return net.layer("UnaryOp", [x], x.shape, {0: kind}, suffix=suffix)


@ncnn.emits(*_UNARY, where=(floats,))
def unary(node: Node, net: Net) -> None:
    """UnaryOp."""
    net.give(node.result, unary_layer(net, net.blob(node.inputs[0]), _UNARY[type(node.op)]))


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


def small_quotients(node: Node) -> bool | str:
    """the tensors are floating-point, or integers so bounded that a float quotient rounds as theirs."""
    if node.result.type.dtype.is_float:
        return floats(node)
    for value in node.inputs:
        low, high = bounds(value)
        if low is None or high is None or max(-low, high) > 1 << 22:
            return f"%{value.name} is {value.type.dtype.value}, and its quotient might not be exact in float32"
    low, high = bounds(node.inputs[1])
    return "it might divide by zero" if low is None or high is None or low <= 0 <= high else True


@ncnn.emits(Div, where=(small_quotients,))
def divide(node: Node, net: Net) -> None:
    """BinaryOp; of integers truncated."""
    a, b = node.inputs
    compute(net, DIV, a, b, node.result)
    if not node.result.type.dtype.is_float:
        net.give(node.result, unary_layer(net, net.blob(node.result), _TRUNC, suffix="trunc"))


@ncnn.emits(Pow, where=(floats,))
def power(node: Node, net: Net) -> None:
    """BinaryOp; squares and roots as UnaryOp, which is faster and takes negative numbers."""
    a, b = node.inputs
    number = None if b.data is None or b.data.size != 1 else float(b.data.reshape(-1)[0])
    kind = {2.0: 4, 0.5: 5, -0.5: 6, -1.0: 15}.get(number) if number is not None else None
    if kind is not None and a.type.shape == node.result.type.shape:
        net.give(node.result, unary_layer(net, net.blob(a), kind))
    else:
        compute(net, POW, a, b, node.result)


@ncnn.emits(Mod, where=(small_quotients,))
def modulo(node: Node, net: Net) -> None:
    """BinaryOp fmod; with the sign of the divisor a - floor(a / b) * b."""
    assert isinstance(node.op, Mod)
    a, b = node.inputs
    if node.op.fmod:
        compute(net, FMOD, a, b, node.result)
        return
    (x, y), shape = aligned(net, (a, b), node.result)
    quotient = unary_layer(net, binary_layer(net, x, y, DIV, shape, suffix="quotient"), 2, suffix="floor")
    whole = binary_layer(net, quotient, y, MUL, shape, suffix="whole")
    net.give(node.result, binary_layer(net, x, whole, SUB, shape))


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


