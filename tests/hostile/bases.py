"""Sound models that the corpus breaks: the digits network, control flow, functions, and short ways to make graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper

DIGITS = (Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx").read_bytes()


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; operands by name, separated by blanks ('_' for one that is left out)."""
    return helper.make_node(op, ["" if i == "_" else i for i in inputs.split()], outputs.split(), **attributes)


def graph(
    *nodes: onnx.NodeProto,
    inputs: Mapping[str, Sequence[Any] | None] | None = None,
    outputs: Sequence[str] = ("y",),
    weights: Mapping[str, Any] | None = None,
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
    types: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of these nodes; the input is x, f32[2,3], unless others are given."""
    types = types or {}
    shapes = {"x": (2, 3)} if inputs is None else inputs
    made = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), None) for n in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in (domains or {}).items())]
    return helper.make_model(made, opset_imports=imports, ir_version=8)


def text(source: str, opset: int = 17) -> onnx.ModelProto:
    """A model in onnx's text form, the header left out."""
    head = f'<ir_version: 8, opset_import: ["": {opset}, "com.microsoft": 1, "local": 1]>'
    return onnx.parser.parse_model(f"{head}\n{source}")


CONTROL = text("""
g (float[2,3] x, bool c) => (float[2,3] y) {
  n = Constant <value = int64 {3}> ()
  go = Constant <value = bool {1}> ()
  a = If (c) <then_branch = t () => (float[2,3] p) { p = Relu (x) },
              else_branch = e () => (float[2,3] q) { q = Neg (x) }>
  y = Loop (n, go, a) <body = b (int64 i, bool k, float[2,3] s) => (bool k2, float[2,3] s2) {
    k2 = Identity (k)
    s2 = Add (s, x)
  }>
}
""").SerializeToString()

FUNCTIONS = text("""
g (float[2,3] x) => (float[2,3] y) {
  a = local.twice (x)
  y = local.soft <sharp: float = 2.0> (a)
}
<domain: "local", opset_import: ["": 17]> twice (x) => (y) { y = Add (x, x) }
<domain: "local", opset_import: ["": 17]> soft <sharp> (x) => (y) {
  s = Constant <value_float: float = @sharp> ()
  z = Mul (x, s)
  y = Softmax <axis = -1> (z)
}
""").SerializeToString()


def weighted() -> onnx.ModelProto:
    """MatMul by a weight of raw bytes, f32[3,4]."""
    return graph(node("MatMul", "x w", "y"), weights={"w": np.arange(12, dtype=np.float32).reshape(3, 4)})
