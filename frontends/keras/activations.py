"""Activation functions by name, as a layer's setting gives them: https://keras.io/api/layers/activations/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mconv.ir import Builder, Op, Value, ops

from . import errors
from .config import Normaliser
from .node import KerasNode

SIMPLE: dict[str, Op] = {
    "relu": ops.Relu(), "relu6": ops.Clip(0.0, 6.0), "leaky_relu": ops.LeakyRelu(0.2), "elu": ops.Elu(1.0),
    "selu": ops.Selu(), "celu": ops.Celu(1.0), "softplus": ops.Softplus(), "softsign": ops.Softsign(),
    "silu": ops.Silu(), "swish": ops.Silu(), "gelu": ops.Gelu(), "tanh": ops.Tanh(), "sigmoid": ops.Sigmoid(),
    "exponential": ops.Exp(), "hard_silu": ops.HardSwish(), "hard_swish": ops.HardSwish(), "mish": ops.Mish(),
    "hard_tanh": ops.Clip(-1.0, 1.0), "hard_shrink": ops.Shrink(0.5, 0.0), "soft_shrink": ops.Shrink(0.5, 0.5),
    "sparse_sigmoid": ops.HardSigmoid(0.5, 0.5),
}  # fmt: skip
"""Functions that are one operator, element by element."""
OLDER = {"hard_sigmoid": ops.HardSigmoid(0.2, 0.5)}
NEWER = {"hard_sigmoid": ops.HardSigmoid(1 / 6, 0.5)}
"""What Keras 1 and 2 computed otherwise than Keras 3 does."""


def elementwise(n: KerasNode, key: str, default: Any = None) -> Op:
    """The setting ``key`` as one elementwise operator, for recurrent cells; MC393 where it is none."""
    spec = n.settings.get(key, default)
    name = _name(n, spec)
    if name == "linear":
        return ops.Affine(1.0, 0.0)
    found = _simple(n, name) if name else None
    if found is None:
        raise errors.form(f"{n.settings.what} with {key} '{name or spec.get('class_name')}'")
    return found


def activated(n: KerasNode, g: Builder, value: Value, key: str = "activation") -> Value:
    """``value`` after the activation in the setting ``key``; itself where that is absent."""
    return applied(n, g, value, n.settings.get(key, None))


def applied(n: KerasNode, g: Builder, value: Value, spec: Any) -> Value:
    """``value`` after an activation as configurations write it: a name, or a layer or function as a dictionary."""
    name = _name(n, spec)
    if name is None:
        layer = Normaliser(n.version).layer(spec)
        layer.name = f"{n.layer.name}_{layer.cls.lower()}"
        (found,) = n.translation.apply(layer, [value], {})
        assert found is not None
        return found
    return function(n, g, value, name)


def function(n: KerasNode, g: Builder, value: Value, name: str) -> Value:
    """``value`` after the activation of that name."""
    if name == "linear":
        return value
    op = _simple(n, name)
    if op is not None:
        return g.add(op, value)
    if name in ("softmax", "log_softmax"):
        axis = value.type.rank - 1
        return g.add(ops.Softmax(axis) if name == "softmax" else ops.LogSoftmax(axis), value)
    if name in _COMPOSED:
        return _COMPOSED[name](n, g, value)
    raise errors.form(f"{n.settings.what} with the activation '{name}'")


def _simple(n: KerasNode, name: str) -> Op | None:
    return SIMPLE.get(name) or (NEWER if n.version == 3 else OLDER).get(name)


def _name(n: KerasNode, spec: Any) -> str | None:
    """The name of a built-in function; None where a layer stands for it. MC391 and MC392 for what is neither."""
    where = f"{n.settings.what}"
    if spec is None:
        return "linear"
    if isinstance(spec, dict):
        cls, config, module = spec.get("class_name"), spec.get("config"), str(spec.get("module") or "")
        if cls == "__lambda__":
            raise errors.stored_code(f"the activation of {where}")
        if cls == "function":
            spec = spec.get("registered_name") or config
            if module not in ("", "builtins") and not module.startswith("keras"):
                raise errors.custom(f"'{spec}' of {module}, in {where},", what="activation")
        elif isinstance(config, dict) and isinstance(cls, str):
            return None
    if not isinstance(spec, str):
        raise errors.misfit(f"the activation of {where} is {str(spec)[:80]}")
    name = spec.rpartition(">")[2] if spec.startswith("keras") else spec
    known = name == "linear" or _simple(n, name) or name in _COMPOSED or name in ("softmax", "log_softmax", "sparsemax")
    if not known:
        raise errors.custom(f"'{name}', in {where},", what="activation")
    return name


def _log_sigmoid(n: KerasNode, g: Builder, x: Value) -> Value:
    return g.add(ops.Neg(), g.add(ops.Softplus(), g.add(ops.Neg(), x)))


def _tanh_shrink(n: KerasNode, g: Builder, x: Value) -> Value:
    return g.add(ops.Sub(), x, g.add(ops.Tanh(), x))


def _squareplus(n: KerasNode, g: Builder, x: Value) -> Value:
    """(x + sqrt(x^2 + 4)) / 2."""
    root = g.add(ops.Sqrt(), g.add(ops.Add(), g.add(ops.Square(), x), n.scalar(4, x)))
    return g.add(ops.Mul(), g.add(ops.Add(), x, root), n.scalar(0.5, x))


def _sparse_plus(n: KerasNode, g: Builder, x: Value) -> Value:
    """(x + 1)^2 / 4 between -1 and 1, 0 below, x above: (c + 1)^2 / 4 of x cut to that range, and what is over 1."""
    cut = g.add(ops.Clip(-1.0, 1.0), x)
    square = g.add(ops.Square(), g.add(ops.Add(), cut, n.scalar(1, x)))
    over = g.add(ops.Relu(), g.add(ops.Sub(), x, n.scalar(1, x)))
    return g.add(ops.Add(), g.add(ops.Mul(), square, n.scalar(0.25, x)), over)


def _glu(n: KerasNode, g: Builder, x: Value) -> Value:
    """The first half of the last axis times the sigmoid of the second."""
    size = n.static(x, -1, "the last axis")
    a, b = g.add_all(ops.Split(x.type.rank - 1, (size // 2, size - size // 2)), x)
    return g.add(ops.Mul(), a, g.add(ops.Sigmoid(), b))


_COMPOSED: dict[str, Callable[[KerasNode, Builder, Value], Value]] = {
    "log_sigmoid": _log_sigmoid, "tanh_shrink": _tanh_shrink, "squareplus": _squareplus,
    "sparse_plus": _sparse_plus, "glu": _glu,
}  # fmt: skip
