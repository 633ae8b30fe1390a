"""Elementwise operators of the C++ target, planar and blocked, against onnxruntime and published identities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv.ir import DType, Graph, TensorType
from mconv.ir import ops as o

from .batch import compiled, networks, unit
from .models import Feeds, model, numbers, wrong

onnxruntime = pytest.importorskip("onnxruntime")

X, Y = numbers(2, 5, 3, 19), numbers(2, 5, 3, 19, seed=1)
SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, 88.5, -104.0, 0.5, 1.5, 2.5, -0.5], np.float32
)
UNARY = [
    "Abs",
    "Neg",
    "Ceil",
    "Floor",
    "Round",
    "Sqrt",
    "Reciprocal",
    "Exp",
    "Sin",
    "Cos",
    "Tan",
    "Atan",
    "Sinh",
    "Tanh",
    "Asinh",
    "Erf",
    "Sign",
    "Relu",
    "Sigmoid",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Softsign",
    "ThresholdedRelu",
    "Mish",
    "Gelu",
    "Log",
]


def _convolution(name: str = "c", channels: int = 24, seed: int = 0) -> tuple[list[tuple[Any, ...]], Feeds]:
    """A convolution, whose result is blocked."""
    weight = numbers(channels, 4, 3, 3, seed=seed) * np.float32(0.3)
    return [("Conv", f"x w{name}", name, {"pads": [1, 1, 1, 1]})], {f"w{name}": weight}


def _after_convolution() -> dict[str, Any]:
    image = {"x": numbers(2, 4, 6, 7)}
    conv, weights = _convolution()
    other, more = _convolution("d", seed=3)
    column = numbers(1, 24, 1, 1, seed=4)
    gate = [("GlobalAveragePool", "c", "g"), ("Sigmoid", "g", "h")]
    cases = {
        "scale and shift of channels": model(
            [*conv, ("Sin", "c", "s"), ("Mul", "s k", "m"), ("Add", "m b", "a"), ("Tanh", "a", "y")],
            image,
            {**weights, "k": column, "b": column + 1},
        ),
        "a vector that broadcasts from behind": model(
            [*conv, ("Cos", "c", "s"), ("Mul", "s k", "y")], image, {**weights, "k": numbers(7, seed=5)}
        ),
        "a gate": model([*conv, *gate, ("Mul", "c h", "m"), ("Sin", "m", "y")], image, weights),
        "two branches": model(
            [*conv, *other, ("Sin", "c", "s"), ("Cos", "d", "t"), ("Mul", "s t", "m"), ("Sub", "m c", "y")],
            image,
            {**weights, **more},
        ),
        "a computed scale of channels": model(
            [*conv, ("Exp", "k", "e"), ("Cos", "c", "s"), ("Mul", "s e", "y")],
            {**image, "k": numbers(24, 1, 1, seed=6)},
            weights,
        ),
        "comparison and choice": model(
            [*conv, ("Greater", "c z", "p"), ("Sin", "c", "s"), ("Where", "p s c", "y")],
            image,
            {**weights, "z": np.array(0.1, np.float32)},
        ),
        "one channel for all": model(
            [*conv, ("ReduceMax", "c a", "r"), ("Sin", "c", "s"), ("Div", "s r", "m"), ("Abs", "m", "y")],
            image,
            {**weights, "a": np.array([1])},
        ),
        "a transposed reader": model(
            [*conv, ("Sin", "c", "s"), ("Transpose", "s", "t", {"perm": [0, 2, 3, 1]}), ("Mul", "t k", "y")],
            image,
            {**weights, "k": numbers(24, seed=7)},
        ),
    }
    return cases


def test_functions_of_floats(tmp_path: Path) -> None:
    """Each within two units of a million of the largest number."""
    cases = {op: model([(op, "x", "y")], {"x": X}) for op in UNARY}
    cases |= {
        f"{op} of special numbers": model([(op, "x", "y")], {"x": SPECIAL})
        for op in (
            "Abs",
            "Neg",
            "Ceil",
            "Floor",
            "Round",
            "Exp",
            "Relu",
            "Tanh",
            "Sign",
            "Erf",
            "IsNaN",
            "IsInf",
        )
    }
    cases |= {op: model([(op, "x", "y")], {"x": np.tanh(X)}) for op in ("Asin", "Acos", "Atanh")}
    cases["Acosh"] = model([("Acosh", "x", "y")], {"x": np.abs(X) + 1})
    cases["Gelu by tanh"] = model([("Gelu", "x", "y", {"approximate": "tanh"})], {"x": X})
    cases["Clip"] = model([("Clip", "x a b", "y")], {"x": X}, {"a": np.float32(-0.3), "b": np.float32(0.7)})
    cases["PRelu"] = model([("PRelu", "x k", "y")], {"x": X}, {"k": numbers(5, 1, 1)})
    assert not wrong(cases, tmp_path)


def test_two_operands_of_any_type_broadcast(tmp_path: Path) -> None:
    """Also integers, whose quotients are truncated, and which wrap."""
    cases = {}
    for op in ("Add", "Sub", "Mul", "Max", "Min", "Div", "Mod", "Less", "GreaterOrEqual", "Equal"):
        for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float16, np.float64):
            kind = np.dtype(dtype).kind
            if kind == "f" and op == "Mod":
                continue
            if op in ("Add", "Sub", "Mul", "Div") and dtype in (np.int8, np.uint8):
                continue  # not in onnxruntime
            a, b = numbers(3, 1, 4, dtype=dtype), numbers(2, 4, seed=1, dtype=dtype)
            b = np.where(b == 0, 1, b).astype(dtype)
            cases[f"{op} of {np.dtype(dtype)}"] = model([(op, "a b", "y")], {"a": a, "b": b})
    cases["fmod"] = model([("Mod", "a b", "y", {"fmod": 1})], {"a": X, "b": Y})
    cases["Pow"] = model([("Pow", "a b", "y")], {"a": np.abs(X), "b": Y})
    cases["Pow of integers"] = model([("Pow", "a b", "y")], {"a": numbers(9, dtype=np.int32), "b": np.arange(9)})
    for op in ("And", "Or", "Xor"):
        cases[op] = model(
            [(op, "a b", "y")], {"a": numbers(3, 4, dtype=np.bool_), "b": numbers(4, seed=2, dtype=np.bool_)}
        )
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        a, b = numbers(3, 4, dtype=np.uint16), numbers(4, seed=1, dtype=np.uint16)
        cases[op] = model([(op, "a b", "y")], {"a": a, "b": b})
    a, b = np.arange(8, dtype=np.uint8) * 30, np.arange(8, dtype=np.uint8)
    cases["BitShift"] = model([("BitShift", "a b", "y", {"direction": "LEFT"})], {"a": a, "b": b})
    for dtype in (np.int8, np.int64, np.bool_, np.float16, np.float64, np.uint8):
        to = onnxruntime_type(dtype)
        cases[f"Cast to {np.dtype(dtype)}"] = model([("Cast", "x", "y", {"to": to})], {"x": np.abs(X) * 20})
    assert not wrong(cases, tmp_path)


def onnxruntime_type(dtype: Any) -> int:
    """The number of an element type."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def test_blocked_values_stay_blocked(tmp_path: Path) -> None:
    assert not wrong(_after_convolution(), tmp_path, 1e-5)


def test_integers_that_c_leaves_undefined() -> None:
    """Division by zero and of the least number, as the operators define them."""
    graph = Graph("edges")
    type = TensorType(DType.I32, (4,))
    a, b = graph.add_input("a", type), graph.add_input("b", type)
    least = -(2**31)
    for name, op in (
        ("div", o.Div()),
        ("mod", o.Mod()),
        ("fmod", o.Mod(fmod=True)),
        ("sum", o.Add()),
        ("neg", o.Neg()),
    ):
        operands = [a] if isinstance(op, o.Neg) else [a, b]
        graph.add_output(graph.add(op, operands).result, name)
    made = unit(graph, 0)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        network = next(
            networks(
                [made],
                compiled([made], Path(folder), flags=["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]),
            )
        )
        feeds = [np.array([least, 7, -7, least], np.int32), np.array([-1, 0, 2, -1], np.int32)]
        div, mod, fmod, total, neg = network.run(feeds)
    assert div.tolist() == [least, 0, -3, least]
    assert mod.tolist() == [0, 0, 1, 0]
    assert fmod.tolist() == [0, 0, -1, 0]
    assert total.tolist() == [2**31 - 1, 7, -5, 2**31 - 1]
    assert neg.tolist() == [least, -7, 7, least]


def test_a_chain_is_one_step() -> None:
    """Register to register, a line for each operator; memory of the operand is used again."""
    graph = Graph("chain")
    x = graph.add_input("x", TensorType(DType.F32, (4, 100)))
    value = x
    for op in (o.Sigmoid(), o.Square(), o.Neg(), o.Exp()):
        value = graph.add(op, [value]).result
    total = graph.add(o.Add(), [value, x]).result
    graph.add_output(total, "y")
    made = unit(graph, 0)
    assert made.text.count("each_vector(") == 1
    assert made.text.count("const vf t") == 4
    assert made.arena == 64
