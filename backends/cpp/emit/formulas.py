"""The C++ expressions of elementwise operators: on single elements, and on vectors of floats.

Arguments are expressions, mostly names; 16-bit floats come as float, and the result is narrowed by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mconv.ir import DType, Op
from mconv.ir import ops as o

from ..net import C_TYPES

Formula = Callable[[Any, Sequence[str], DType], str]
"""(the operator, its arguments, the element type of the first one that is no condition) -> an expression."""


def arithmetic_type(dtype: DType) -> str:
    """The C++ type that an element is computed in."""
    return "float" if dtype in (DType.F16, DType.BF16) else C_TYPES[dtype]


def literal(value: float, dtype: DType) -> str:
    """A number as a C++ constant of an element type; whole numbers outside of its range become the range's end."""
    if dtype is DType.BOOL:
        return "true" if value else "false"
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        whole = info.max if value >= info.max else info.min if value <= info.min else int(value)
        if whole == -(2**63):
            return "int64_t(uint64_t(1) << 63)"
        suffix = {DType.U64: "ull", DType.I64: "ll"}.get(dtype, "u" if dtype is DType.U32 else "")
        return f"{C_TYPES[dtype]}({whole}{suffix})"
    if math.isnan(value):
        return f'{arithmetic_type(dtype)}(__builtin_nan(""))'
    if math.isinf(value):
        return f"{'-' if value < 0 else ''}{arithmetic_type(dtype)}(INF)"
    if dtype is DType.F64:
        return repr(float(value))
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    if not np.isfinite(narrow):
        return f"{'-' if value < 0 else ''}INF"
    text = str(narrow)
    return f"{text}f" if "." in text or "e" in text else f"{text}.f"


def _function(name: str) -> Formula:
    """``name(x, ...)``."""
    return lambda op, args, dtype: f"{name}({', '.join(args)})"


def _operator(sign: str) -> Formula:
    return lambda op, args, dtype: f"{args[0]} {sign} {args[1]}"


def _arithmetic(sign: str, function: str) -> Formula:
    """A C++ operator on floats, a function on integers."""

    def formula(op: Any, args: Sequence[str], dtype: DType) -> str:
        return f"{args[0]} {sign} {args[1]}" if dtype.is_float else f"{function}({args[0]}, {args[1]})"

    return formula


def _number(value: float) -> str:
    return literal(value, DType.F32)


# On single elements ---------------------------------------------------------------------------------------------


def _std(name: str) -> Formula:
    """A function of <cmath>; integers are computed in double, and truncated."""

    def formula(op: Any, args: Sequence[str], dtype: DType) -> str:
        if dtype.is_float:
            return f"std::{name}({', '.join(args)})"
        wide = ", ".join(f"double({a})" for a in args)
        return f"cast<{C_TYPES[dtype]}>(std::{name}({wide}))"

    return formula


def _rounding(name: str) -> Formula:
    return lambda op, args, dtype: f"std::{name}({args[0]})" if dtype.is_float else args[0]


def _cast(op: o.Cast, args: Sequence[str], dtype: DType) -> str:
    if op.to is DType.BOOL:
        return f"truth({args[0]})"
    if op.to in (DType.F16, DType.BF16):
        return f"cast<float>({args[0]})"
    return f"cast<{C_TYPES[op.to]}>({args[0]})"


def _clip(op: o.Clip, args: Sequence[str], dtype: DType) -> str:
    text, kind = args[0], arithmetic_type(dtype)
    if op.min is not None:
        text = f"greater<{kind}>({text}, {_bound(op.min, dtype)})"
    if op.max is not None:
        text = f"lesser<{kind}>({text}, {_bound(op.max, dtype)})"
    return text


def _bound(value: float, dtype: DType) -> str:
    """A bound as the element type has it: one of 16 bits is rounded to those."""
    narrow = dtype in (DType.F16, DType.BF16)
    return literal(float(np.asarray(value).astype(dtype.numpy)) if narrow else value, dtype)


def _leaky(op: o.LeakyRelu, args: Sequence[str], dtype: DType) -> str:
    return f"{args[0]} < 0 ? {args[0]} * {literal(op.alpha, dtype)} : {args[0]}"


def _elu(op: o.Elu, args: Sequence[str], dtype: DType) -> str:
    return f"{args[0]} < 0 ? {literal(op.alpha, dtype)} * std::expm1({args[0]}) : {args[0]}"


def _selu(op: o.Selu, args: Sequence[str], dtype: DType) -> str:
    gamma, alpha, x = literal(op.gamma, dtype), literal(op.alpha, dtype), args[0]
    return f"{gamma} * ({x} > 0 ? {x} : {alpha} * std::expm1({x} < 0 ? {x} : 0))"


def _celu(op: o.Celu, args: Sequence[str], dtype: DType) -> str:
    alpha, x, kind = literal(op.alpha, dtype), args[0], arithmetic_type(dtype)
    tail = f"lesser<{kind}>(0, {alpha} * std::expm1({x} / {alpha}))"
    return f"greater<{kind}>({x}, 0) + {tail}"


def _gelu(op: o.Gelu, args: Sequence[str], dtype: DType) -> str:
    x = args[0]
    if op.approximate == "tanh":
        inner = f"{literal(math.sqrt(2 / math.pi), dtype)} * ({x} + {literal(0.044715, dtype)} * {x} * {x} * {x})"
        return f"{literal(0.5, dtype)} * {x} * (1 + std::tanh({inner}))"
    return f"{literal(0.5, dtype)} * {x} * (1 + std::erf({x} * {literal(math.sqrt(0.5), dtype)}))"


def _within_unit(text: str, dtype: DType) -> str:
    kind = arithmetic_type(dtype)
    return f"lesser<{kind}>(greater<{kind}>({text}, 0), 1)"


def _hard_sigmoid(op: o.HardSigmoid, args: Sequence[str], dtype: DType) -> str:
    return _within_unit(f"{args[0]} * {literal(op.alpha, dtype)} + {literal(op.beta, dtype)}", dtype)


def _hard_swish(op: o.HardSwish, args: Sequence[str], dtype: DType) -> str:
    return f"{args[0]} * {_within_unit(f'{args[0]} / 6 + {literal(0.5, dtype)}', dtype)}"


def _shrink(op: o.Shrink, args: Sequence[str], dtype: DType) -> str:
    wide = dtype if dtype.is_float else DType.F64
    bias, x = literal(op.bias, wide), args[0]
    above, below = f"{x} > {literal(op.lambd, wide)}", f"{x} < {literal(-op.lambd, wide)}"
    text = f"{below} ? {x} + {bias} : {above} ? {x} - {bias} : 0"
    return text if dtype.is_float else f"cast<{C_TYPES[dtype]}>(double({text}))"


def _isinf(op: o.IsInf, args: Sequence[str], dtype: DType) -> str:
    if not dtype.is_float:
        return "false"
    infinity = literal(math.inf, dtype)
    signs = [
        f"{args[0]} == {sign}{infinity}" for sign, on in (("", op.detect_positive), ("-", op.detect_negative)) if on
    ]
    return " || ".join(signs) or "false"


def _quantize(op: o.Quantize, args: Sequence[str], dtype: DType) -> str:
    to = C_TYPES[op.dtype]
    steps = f"std::rint({args[0]} / {args[1]})"
    if len(args) > 2:
        steps += f" + {args[2]}"
    return f"saturated<{to}>({steps})"


def _dequantize(op: o.Dequantize, args: Sequence[str], dtype: DType) -> str:
    wide = "int64_t" if dtype.size > 2 else "int32_t"
    steps = f"{wide}({args[0]})" + (f" - {wide}({args[2]})" if len(args) > 2 else "")
    return f"({steps}) * {args[1]}"


def _bitwise(sign: str) -> Formula:
    return lambda op, args, dtype: f"{C_TYPES[dtype]}({args[0]} {sign} {args[1]})"


SCALAR: dict[type[Op], Formula] = {
    o.Abs: lambda op, args, dtype: f"{'std::fabs' if dtype.is_float else 'magnitude'}({args[0]})",
    o.Neg: _function("negated"),
    o.Ceil: _rounding("ceil"),
    o.Floor: _rounding("floor"),
    o.Round: _rounding("rint"),
    o.Sqrt: _std("sqrt"),
    o.Rsqrt: lambda op, args, dtype: f"1 / std::sqrt({args[0]})",
    o.Reciprocal: lambda op, args, dtype: f"divided<{arithmetic_type(dtype)}>(1, {args[0]})",
    o.Square: lambda op, args, dtype: f"times({args[0]}, {args[0]})",
    o.Exp: _std("exp"), o.Log: _std("log"), o.Sin: _std("sin"), o.Cos: _std("cos"), o.Tan: _std("tan"),
    o.Asin: _std("asin"), o.Acos: _std("acos"), o.Atan: _std("atan"), o.Sinh: _std("sinh"), o.Cosh: _std("cosh"),
    o.Tanh: _std("tanh"), o.Asinh: _std("asinh"), o.Acosh: _std("acosh"), o.Atanh: _std("atanh"), o.Erf: _std("erf"),
    o.Atan2: _std("atan2"),
    o.Sign: _function("sign_of_number"),
    o.Cast: _cast,
    o.Clip: _clip,
    o.Add: _arithmetic("+", "plus"), o.Sub: _arithmetic("-", "minus"), o.Mul: _arithmetic("*", "times"),
    o.Div: _arithmetic("/", "divided"),
    o.Pow: _function("power"),
    o.Mod: lambda op, args, dtype: f"{'trunc_mod' if op.fmod else 'floor_mod'}({', '.join(args)})",
    o.Max: _function("greater"), o.Min: _function("lesser"),
    o.IsNaN: lambda op, args, dtype: f"{args[0]} != {args[0]}",
    o.IsInf: _isinf,
    o.Equal: _operator("=="), o.Greater: _operator(">"), o.GreaterOrEqual: _operator(">="),
    o.Less: _operator("<"), o.LessOrEqual: _operator("<="),
    o.Not: lambda op, args, dtype: f"!{args[0]}",
    o.And: _operator("&&"), o.Or: _operator("||"), o.Xor: _operator("!="),
    o.Where: lambda op, args, dtype: f"{args[0]} ? {args[1]} : {args[2]}",
    o.BitwiseNot: lambda op, args, dtype: f"{C_TYPES[dtype]}({'!' if dtype is DType.BOOL else '~'}{args[0]})",
    o.BitwiseAnd: _bitwise("&"), o.BitwiseOr: _bitwise("|"), o.BitwiseXor: _bitwise("^"),
    o.BitShift: lambda op, args, dtype: f"shifted_{op.direction}({', '.join(args)})",
    o.Relu: lambda op, args, dtype: (
        f"{args[0]} < 0 ? 0 : {args[0]}" if dtype.is_float else f"greater<{C_TYPES[dtype]}>({args[0]}, 0)"
    ),
    o.Sigmoid: _function("sigmoid_of"),
    o.LeakyRelu: _leaky,
    o.PRelu: lambda op, args, dtype: f"{args[0]} < 0 ? times({args[0]}, {args[1]}) : {args[0]}",
    o.Elu: _elu, o.Selu: _selu, o.Celu: _celu, o.Gelu: _gelu, o.HardSigmoid: _hard_sigmoid, o.HardSwish: _hard_swish,
    o.Silu: lambda op, args, dtype: f"{args[0]} * sigmoid_of({args[0]} * {literal(op.beta, dtype)})",
    o.Mish: lambda op, args, dtype: f"{args[0]} * std::tanh(softplus_of({args[0]}))",
    o.Softplus: _function("softplus_of"),
    o.Softsign: lambda op, args, dtype: f"{args[0]} / (1 + std::fabs({args[0]}))",
    o.ThresholdedRelu: lambda op, args, dtype: f"{args[0]} > {literal(op.alpha, dtype)} ? {args[0]} : 0",
    o.Shrink: _shrink,
    o.Affine: lambda op, args, dtype: f"{args[0]} * {literal(op.alpha, dtype)} + {literal(op.beta, dtype)}",
    o.ScaledTanh: lambda op, args, dtype: (
        f"{literal(op.alpha, dtype)} * std::tanh({args[0]} * {literal(op.beta, dtype)})"
    ),
    o.Quantize: _quantize,
    o.Dequantize: _dequantize,
}  # fmt: skip

# On vectors of floats -------------------------------------------------------------------------------------------


def _vector_clip(op: o.Clip, args: Sequence[str], dtype: DType) -> str:
    text = args[0]
    if op.min is not None:
        text = f"vmax(splat({_number(op.min)}), {text})"
    if op.max is not None:
        text = f"vmin(splat({_number(op.max)}), {text})"
    return text


def _vector_silu(op: o.Silu, args: Sequence[str], dtype: DType) -> str:
    x = args[0]
    return f"silu({x})" if op.beta == 1 else f"{x} * sigmoid({x} * {_number(op.beta)})"


def _vector_shrink(op: o.Shrink, args: Sequence[str], dtype: DType) -> str:
    x, bias = args[0], _number(op.bias)
    below, above = f"{x} < splat({_number(-op.lambd)})", f"{x} > splat({_number(op.lambd)})"
    return f"select({below}, {x} + {bias}, select({above}, {x} - {bias}, splat(0.f)))"


VECTOR: dict[type[Op], Formula] = {
    o.Abs: _function("vabs"), o.Neg: lambda op, args, dtype: f"-{args[0]}",
    o.Ceil: _function("vceil"), o.Floor: _function("vfloor"), o.Round: _function("vround"),
    o.Sqrt: _function("vsqrt"),
    o.Rsqrt: lambda op, args, dtype: f"1.f / vsqrt({args[0]})",
    o.Reciprocal: lambda op, args, dtype: f"1.f / {args[0]}",
    o.Square: lambda op, args, dtype: f"{args[0]} * {args[0]}",
    o.Exp: _function("vexp_full"), o.Log: _function("vlog"), o.Tanh: _function("vtanh"), o.Erf: _function("verf"),
    o.Clip: _vector_clip,
    o.Add: _operator("+"), o.Sub: _operator("-"), o.Mul: _operator("*"), o.Div: _operator("/"),
    o.Max: _function("greater_of"), o.Min: _function("lesser_of"),
    o.Relu: lambda op, args, dtype: f"vmax(splat(0.f), {args[0]})",
    o.Sigmoid: _function("sigmoid"),
    o.LeakyRelu: lambda op, args, dtype: f"select({args[0]} < splat(0.f), {args[0]} * {_number(op.alpha)}, {args[0]})",
    o.PRelu: lambda op, args, dtype: f"select({args[0]} < splat(0.f), {args[0]} * {args[1]}, {args[0]})",
    o.Elu: lambda op, args, dtype: f"elu({args[0]}, {_number(op.alpha)})",
    o.Selu: lambda op, args, dtype: f"elu({args[0]}, {_number(op.alpha)}) * {_number(op.gamma)}",
    o.Gelu: lambda op, args, dtype: f"{'gelu_tanh' if op.approximate == 'tanh' else 'gelu'}({args[0]})",
    o.HardSigmoid: lambda op, args, dtype: f"hard_sigmoid({args[0]}, {_number(op.alpha)}, {_number(op.beta)})",
    o.HardSwish: _function("hard_swish"),
    o.Silu: _vector_silu,
    o.Mish: _function("mish"), o.Softplus: _function("softplus"),
    o.Softsign: lambda op, args, dtype: f"{args[0]} / (vabs({args[0]}) + 1.f)",
    o.ThresholdedRelu: lambda op, args, dtype: (
        f"select({args[0]} > splat({_number(op.alpha)}), {args[0]}, splat(0.f))"
    ),
    o.Shrink: _vector_shrink,
    o.Affine: lambda op, args, dtype: f"{args[0]} * {_number(op.alpha)} + {_number(op.beta)}",
    o.ScaledTanh: lambda op, args, dtype: f"vtanh({args[0]} * {_number(op.beta)}) * {_number(op.alpha)}",
}  # fmt: skip

NEEDS_VECTOR: frozenset[type[Op]] = frozenset(
    {
        o.Exp, o.Log, o.Tanh, o.Erf, o.Sigmoid, o.Elu, o.Selu, o.Gelu, o.Silu, o.Mish, o.Softplus, o.ScaledTanh,
        o.Ceil, o.Floor, o.Round, o.Sqrt, o.Rsqrt,
    }
)  # fmt: skip
"""What the compiler does not vectorise from the scalar formula, or not on every instruction set."""
