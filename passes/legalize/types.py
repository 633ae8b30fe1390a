"""Element types that a target's kernels do not take: the same in wider types, between Casts."""

from __future__ import annotations

from mconv.ir import DType, Value
from mconv.ir.op import OPERATORS
from mconv.ir.ops import (
    Abs,
    Add,
    ArgMax,
    ArgMin,
    BitCast,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    Clip,
    CumSum,
    Div,
    Equal,
    EyeLike,
    Greater,
    GreaterOrEqual,
    If,
    Less,
    LessOrEqual,
    Loop,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Quantized,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Relu,
    Scan,
    Shape,
    Sign,
    Size,
    Softmax,
    Square,
    Sub,
    TopK,
)

from ..pattern import Match
from ..rewrite import Add as Adder
from .decompose import decompose

_TYPED = (BitCast, Cast, EyeLike, If, Loop, Quantized, Scan, Shape, Size)
"""Operators whose element types are part of what they do."""
_BY_PIECES = (Softmax,)
"""Operators that ONNX defines by pieces, each of which rounds to 16 bits: taken apart before they are widened."""
_INTEGER = (
    Abs, Add, ArgMax, ArgMin, BitwiseAnd, BitwiseNot, BitwiseOr, BitwiseXor, Clip, CumSum, Div, Equal, Greater,
    GreaterOrEqual, Less, LessOrEqual, Max, Min, Mod, Mul, Neg, ReduceMax, ReduceMin, ReduceProd, ReduceSum, Relu, Sign,
    Square, Sub, TopK,
)  # fmt: skip
"""Operators that make of wider integers a number whose low bits are what they make of narrower ones."""
_WIDER = {
    DType.I8: (DType.I32,),
    DType.U8: (DType.I32,),
    DType.I16: (DType.I32,),
    DType.U16: (DType.I32,),
    DType.I32: (DType.I64,),
    DType.U32: (DType.I64,),
}


def _in(m: Match, add: Adder, narrow: DType, wide: DType) -> tuple[Value, ...]:
    """The results of the node on operands of type ``wide`` for those of type ``narrow``, as wide as they come."""
    operands: list[Value | None] = []
    for value in m.root.operands:
        if value is None or value.type.dtype is not narrow:
            operands.append(value)
        elif value.data is not None:
            operands.append(add.constant(value.data.astype(wide.numpy)))
        else:
            operands.append(add(Cast(wide), value))
    return add.all(m.root.op, *operands)


def _back(m: Match, add: Adder, results: tuple[Value, ...]) -> tuple[Value, ...]:
    pairs = zip(results, m.root.results, strict=True)
    return tuple(r if r.type.dtype is old.type.dtype else add(Cast(old.type.dtype), r) for r, old in pairs)


@decompose(*(op for op in OPERATORS.values() if op not in _TYPED + _BY_PIECES))
def halves_as_floats(m: Match, add: Adder) -> tuple[Value, ...]:
    """An operator on 16-bit floats is the same on 32-bit floats, its result narrowed."""
    m.require(add.target is not None and add.target.casts_around, "the target has such types in its own way")
    narrow = [v.type.dtype for v in m.root.inputs if v.type.dtype in (DType.F16, DType.BF16)]
    m.require(bool(narrow), "no 16-bit floats")
    return _back(m, add, _in(m, add, narrow[0], DType.F32))


@decompose(*_INTEGER)
def integers_as_wider_ones(m: Match, add: Adder) -> tuple[Value, ...]:
    """An operator on narrow integers is the same on wider ones, its result cut off."""
    m.require(add.target is not None and add.target.casts_around, "the target has such types in its own way")
    narrow = m.root.inputs[0].type.dtype
    for wide in _WIDER.get(narrow, ()):
        results = _in(m, add, narrow, wide)
        if add.takes(results[0]) or (wide is DType.I64 and isinstance(m.root.op, Div)):
            return _back(m, add, results)
    m.require(False, "no wider type of integers is taken")
    raise AssertionError
