"""Activations, as layers and as what other layers carry."""

from __future__ import annotations

from mconv.ir import Op, Value
from mconv.ir.ops import (
    Abs,
    Celu,
    Clip,
    Elu,
    Erf,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Mish,
    Mul,
    PRelu,
    Relu,
    Selu,
    Shrink,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)

from ..param import Layer
from ..translate import Translation, layer, mat

_FLT_MAX = 3.4028234663852886e38


def carried(t: Translation, each: Layer, value: Value, kind_key: int = 9, params_key: int = 10) -> Value:
    """The activation that a layer carries, as an operator of its own."""
    kind, params = each.whole(kind_key, 0), each.reals(params_key)
    wanted = {2: 1, 3: 2, 6: 2}.get(kind, 0)
    each.require(0 <= kind <= 6, f"activation_type {kind}")
    each.require(len(params) >= wanted, f"activation_type {kind} with {len(params)} parameters")
    return value if kind == 0 else _activation(t, value, kind, params)


def _activation(t: Translation, value: Value, kind: int, params: list[float]) -> Value:
    if kind == 6:
        return hard_swish(t, value, params[0], params[1])
    ops: dict[int, Op] = {1: Relu(), 4: Sigmoid(), 5: Mish()}
    if kind == 2:
        ops[2] = LeakyRelu(params[0])
    if kind == 3:
        ops[3] = clip(params[0], params[1])
    return t.add(ops[kind], value)


def clip(low: float, high: float) -> Clip:
    """A Clip; bounds that no float reaches do not bind."""
    return Clip(None if low <= -_FLT_MAX else low, None if high >= _FLT_MAX else high)


def hard_swish(t: Translation, x: Value, alpha: float, beta: float) -> Value:
    """x * clamp(alpha x + beta, 0, 1)."""
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return t.add(HardSwish(), x)
    return t.add(Mul(), x, t.add(HardSigmoid(alpha, beta), x))


@layer("ReLU")
def relu(t: Translation, each: Layer) -> Value:
    """With a slope LeakyRelu."""
    slope = each.real(0, 0.0)
    return t.add(LeakyRelu(slope) if slope else Relu(), t.input())


@layer("Clip")
def clip_(t: Translation, each: Layer) -> Value:
    """Bounds 0 and 1."""
    return t.add(clip(each.real(0, -_FLT_MAX), each.real(1, _FLT_MAX)), t.input())


@layer("HardSwish")
def hard_swish_(t: Translation, each: Layer) -> Value:
    """alpha 0, beta 1."""
    return hard_swish(t, t.input(), each.real(0, 0.2), each.real(1, 0.5))


@layer("PReLU")
def prelu(t: Translation, each: Layer) -> Value:
    """One slope, or one for each of the outermost dimension."""
    x, count = t.input(), each.whole(0, 0)
    each.require(count in (1, mat(x)[0]), f"{count} slopes for {mat(x)[0]} channels")
    slope = t.raw_array(count).reshape(-1, *(1,) * (len(mat(x)) - 1))
    return t.add(PRelu(), x, t.constant(slope))


_SIMPLE = {
    "AbsVal": lambda each: Abs(),
    "Sigmoid": lambda each: Sigmoid(),
    "TanH": lambda each: Tanh(),
    "Swish": lambda each: Silu(),
    "Mish": lambda each: Mish(),
    "Softplus": lambda each: Softplus(),
    "BNLL": lambda each: Softplus(),
    "Erf": lambda each: Erf(),
    "ELU": lambda each: Elu(each.real(0, 0.1)),
    "CELU": lambda each: Celu(each.real(0, 1.0)),
    "SELU": lambda each: Selu(each.real(0, 1.67326324), each.real(1, 1.050700987)),
    "GELU": lambda each: Gelu("tanh" if each.whole(0, 0) else "none"),
    "HardSigmoid": lambda each: HardSigmoid(each.real(0, 0.2), each.real(1, 0.5)),
    "Shrink": lambda each: Shrink(bias=each.real(0, 0.0), lambd=each.real(1, 0.5)),
}


@layer(*_SIMPLE)
def simple(t: Translation, each: Layer) -> Value:
    """One operator of one operand."""
    op: Op = _SIMPLE[each.kind](each)  # type: ignore[no-untyped-call]
    return t.add(op, t.input())
