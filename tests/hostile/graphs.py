"""ONNX files that decode, and whose graphs make no sense: names, attributes, types, weights, bodies, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .bases import DIGITS, graph, node, text, weighted
from .case import Case, file, model


def wiring() -> Iterator[Case]:
    """Names that nobody makes, that two make, cycles, missing weights and missing parts."""
    relu = node("Relu", "x", "y")
    cases = {
        "a tensor nobody makes": graph(node("Relu", "nowhere", "y")),
        "an output nobody makes": graph(node("Relu", "x", "z")),
        "a cycle of two": graph(node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")),
        "a node that reads itself": graph(node("Add", "x y", "y")),
        "a cycle of 500": graph(*(node("Relu", f"v{(i + 1) % 500}", f"v{i}") for i in range(500)), outputs=["v0"]),
        "two nodes make one name": graph(relu, node("Abs", "x", "y")),
        "a node makes a name twice": graph(node("Split", "x", "y y", axis=0)),
        "a node makes an input": graph(node("Relu", "x", "x"), outputs=["x"]),
        "a weight of an output's name": graph(relu, weights={"y": np.zeros(3, np.float32)}),
        "two outputs of one name": graph(relu, outputs=["y", "y"]),
        "no outputs": graph(relu, outputs=[]),
        "no nodes, no outputs": graph(outputs=[]),
        "an empty output name": graph(relu, outputs=[""]),
        "an operator without name": graph(node("", "x", "y")),
        "unknown operator": graph(node("Convolve", "x", "y")),
        "unknown operators, 3,000": graph(*(node(f"Op{i}", "x", f"v{i}") for i in range(3000)), outputs=["v0"]),
        "unknown domain": graph(node("Relu", "x", "y", domain="own"), domains={"own": 1}),
        "a domain without opset": graph(node("Relu", "x", "y", domain="own")),
        "an operator of ai.onnx.ml": graph(node("Scaler", "x", "y", domain="ai.onnx.ml"), domains={"ai.onnx.ml": 3}),
        "training": graph(node("Adam", "x x x x x x", "y", domain="ai.onnx.preview.training"),
                          domains={"ai.onnx.preview.training": 1}),
        "opset 999": graph(relu, opset=999),
        "opset 0": graph(relu, opset=0),
        "opset -1": graph(relu, opset=-1),
        "opset 1": graph(node("Reshape", "x", "y", shape=[6]), opset=1),
        "opset 2^62": graph(relu, opset=2**62),
        "a name of a megabyte": graph(node("Relu", "n" * 10**6, "y")),
        "names that are terminal commands": graph(node("\x1b[2J\x1b[31mRelu", "x", "y")),
        "a name with line breaks": graph(node("Relu\n" * 200, "x", "y")),
    }  # fmt: skip
    for name, proto in cases.items():
        yield model("wiring", name, proto)
    for name in [tensor.name for tensor in onnx.load_from_string(DIGITS).graph.initializer]:
        yield model("missing weight", name, _without(name))
    for name, change in {
        "no opsets": lambda m: m.ClearField("opset_import"),
        "two versions of an opset": lambda m: m.opset_import.append(helper.make_opsetid("", 11)),
        "IR version 999": lambda m: setattr(m, "ir_version", 999),
        "an input without type": lambda m: m.graph.input[0].ClearField("type"),
        "an input without shape": lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"),
        "no inputs": lambda m: m.graph.ClearField("input"),
        "no graph": lambda m: m.ClearField("graph"),
    }.items():
        yield model("wiring", name, _changed(weighted(), change))


def _without(name: str) -> onnx.ModelProto:
    made = onnx.load_from_string(DIGITS)
    kept = [tensor for tensor in made.graph.initializer if tensor.name != name]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    return made


def _changed(made: onnx.ModelProto, change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    change(made)
    return made


def weights() -> Iterator[Case]:
    """Weights whose bytes, shapes or types are wrong."""
    changes: dict[str, Callable[[onnx.TensorProto], object]] = {
        "no data": lambda t: t.ClearField("raw_data"),
        "one number too few": lambda t: setattr(t, "raw_data", t.raw_data[:-4]),
        "one byte too many": lambda t: setattr(t, "raw_data", t.raw_data + b"\0"),
        "a dimension of 10^12": lambda t: t.dims.append(10**12),
        "a dimension of 2^62": lambda t: t.dims.append(2**62),
        "dimensions that overflow to 12": lambda t: t.dims.extend([2**32, 2**32]),
        "a negative dimension": lambda t: t.dims.append(-1),
        "a dimension of zero": lambda t: t.dims.append(0),
        "1,000 dimensions": lambda t: t.dims.extend([1] * 1000),
        "element type 0": lambda t: setattr(t, "data_type", 0),
        "element type 99": lambda t: setattr(t, "data_type", 99),
        "element type -1": lambda t: setattr(t, "data_type", -1),
        "strings": lambda t: (t.ClearField("raw_data"), setattr(t, "data_type", 8), t.string_data.append(b"x" * 9)),
        "strings as raw data": lambda t: setattr(t, "data_type", TensorProto.STRING),
        "complex numbers": lambda t: setattr(t, "data_type", TensorProto.COMPLEX64),
        "float8": lambda t: setattr(t, "data_type", TensorProto.FLOAT8E4M3FN),
        "a segment": lambda t: (setattr(t.segment, "begin", 0), setattr(t.segment, "end", 5)),
        "integers where floats belong": lambda t: (t.ClearField("raw_data"), t.int64_data.extend(range(12))),
        "no name": lambda t: setattr(t, "name", ""),
    }
    for name, change in changes.items():
        made = weighted()
        change(made.graph.initializer[0])
        yield model("weight", name, made)
    sparse = {
        "an index outside": ([3, 99], [2], [12]),
        "a negative index": ([-1, 3], [2], [12]),
        "pairs outside": ([0, 0, 9, 9], [2, 2], [3, 4]),
        "too few indices": ([1], [1], [12]),
        "indices of rank 3": ([1, 2], [1, 1, 2], [3, 4]),
        "10^12 elements": ([1, 2], [2], [10**6, 10**6]),
        "a negative shape": ([1, 2], [2], [-3, -4]),
        "2^63 elements": ([1, 2], [2], [2**62, 2]),
    }
    for name, (indices, shape, dims) in sparse.items():
        made = weighted()
        del made.graph.initializer[:]
        values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
        places = helper.make_tensor("i", TensorProto.INT64, shape, indices)
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, dims))
        yield model("sparse weight", name, made)


def operators() -> Iterator[Case]:
    """Operands and attributes with which an operator has no meaning."""
    x4 = {"x": (1, 4, 8, 8)}
    w = {"w": np.ones((4, 4, 3, 3), np.float32)}

    def conv(weight: Any) -> onnx.ModelProto:
        return graph(node("Conv", "x w", "y"), inputs=x4, weights={"w": weight})

    cases = {
        "too few operands": graph(node("Add", "x", "y")),
        "too many operands": graph(node("Relu", "x x", "y")),
        "1,000 operands": graph(node("Relu", "x " * 1000, "y")),
        "an operand left out": graph(node("Add", "x _", "y")),
        "too many results": graph(node("Relu", "x", "y z")),
        "attribute of another type": graph(node("Softmax", "x", "y", axis=1.5)),
        "attribute of strings for a number": graph(node("Softmax", "x", "y", axis="one")),
        "attribute that is not specified": graph(node("Relu", "x", "y", slope=1)),
        "attribute missing": graph(node("Cast", "x", "y")),
        "attribute without value": _bare_attribute(),
        "attribute twice": _double_attribute(),
        "attribute of a function, outside": _stray_reference(),
        "axis 7 of 2": graph(node("Softmax", "x", "y", axis=7)),
        "axis -2^63": graph(node("Softmax", "x", "y", axis=-(2**63))),
        "MatMul that does not fit": graph(node("MatMul", "x x", "y")),
        "Add that does not broadcast": graph(node("Add", "x w", "y"), weights={"w": np.zeros(5, np.float32)}),
        "Add of floats and integers": graph(node("Add", "x w", "y"), weights={"w": np.zeros(3, np.int64)}),
        "Conv of integers": conv(np.ones((4, 4, 3, 3), np.int64)),
        "Conv of other channels": conv(np.ones((4, 3, 3, 3), "f4")),
        "Conv larger than its input": conv(np.ones((4, 4, 9, 9), "f4")),
        "Conv of rank 1": graph(node("Conv", "x w", "y"), inputs={"x": (4,)}, weights=w),
        "Conv with group 0": graph(node("Conv", "x w", "y", group=0), inputs=x4, weights=w),
        "Conv with group -1": graph(node("Conv", "x w", "y", group=-1), inputs=x4, weights=w),
        "Conv with group 3": graph(node("Conv", "x w", "y", group=3), inputs=x4, weights=w),
        "Conv with stride 0": graph(node("Conv", "x w", "y", strides=[0, 0]), inputs=x4, weights=w),
        "Conv with stride -1": graph(node("Conv", "x w", "y", strides=[-1, -1]), inputs=x4, weights=w),
        "Conv with dilation 0": graph(node("Conv", "x w", "y", dilations=[0, 0]), inputs=x4, weights=w),
        "Conv with 9 strides": graph(node("Conv", "x w", "y", strides=[1] * 9), inputs=x4, weights=w),
        "Conv with pads -5": graph(node("Conv", "x w", "y", pads=[-5] * 4), inputs=x4, weights=w),
        "Conv with auto_pad nonsense": graph(node("Conv", "x w", "y", auto_pad="MAYBE"), inputs=x4, weights=w),
        "Conv with another kernel_shape": graph(node("Conv", "x w", "y", kernel_shape=[5, 5]), inputs=x4, weights=w),
        "MaxPool without kernel": graph(node("MaxPool", "x", "y"), inputs=x4),
        "MaxPool of kernel 0": graph(node("MaxPool", "x", "y", kernel_shape=[0, 0]), inputs=x4),
        "MaxPool of kernel -1": graph(node("MaxPool", "x", "y", kernel_shape=[-1, -1]), inputs=x4),
        "Reshape to another size": graph(node("Reshape", "x s", "y"), weights={"s": np.array([5, 5])}),
        "Reshape with two -1": graph(node("Reshape", "x s", "y"), weights={"s": np.array([-1, -1])}),
        "Reshape to -7": graph(node("Reshape", "x s", "y"), weights={"s": np.array([-7, 1])}),
        "Reshape by floats": graph(node("Reshape", "x s", "y"), weights={"s": np.array([2.0, 3.0], "f4")}),
        "Transpose of perm 0,0": graph(node("Transpose", "x", "y", perm=[0, 0])),
        "Transpose of perm 0,5": graph(node("Transpose", "x", "y", perm=[0, 5])),
        "Concat of one that does not fit": graph(
            node("Concat", "x w", "y", axis=0), weights={"w": np.zeros((2, 4), "f4")}),
        "Split that does not add up": graph(node("Split", "x s", "y z", axis=1), weights={"s": np.array([1, 5])}),
        "Split into negative parts": graph(node("Split", "x s", "y z", axis=1), weights={"s": np.array([-1, 4])}),
        "Slice with step 0": graph(node("Slice", "x a b c d", "y"), weights={
            "a": np.array([0]), "b": np.array([2]), "c": np.array([0]), "d": np.array([0])}),
        "Gather outside": graph(node("Gather", "x i", "y"), weights={"i": np.array([99])}),
        "Gather by floats": graph(node("Gather", "x i", "y"), weights={"i": np.array([0.5], "f4")}),
        "Squeeze of an axis of 3": graph(node("Squeeze", "x a", "y"), weights={"a": np.array([1])}),
        "Cast to type 77": graph(node("Cast", "x", "y", to=77)),
        "Cast to strings": graph(node("Cast", "x", "y", to=TensorProto.STRING)),
        "Einsum nonsense": graph(node("Einsum", "x x", "y", equation="a->->b")),
        "Einsum of 60 letters": graph(node("Einsum", "x", "y", equation="".join(map(chr, range(65, 125))))),
        "Pad without pads": graph(node("Pad", "x", "y")),
        "Pad of odd pads": graph(node("Pad", "x p", "y"), weights={"p": np.array([1, 1, 1])}),
        "Resize by NaN": graph(node("Resize", "x _ s", "y"), weights={"s": np.array([np.nan, 1], "f4")}),
        "Resize by infinity": graph(node("Resize", "x _ s", "y"), weights={"s": np.array([np.inf, 1], "f4")}),
        "Resize by a negative": graph(node("Resize", "x _ s", "y"), weights={"s": np.array([-2, 1], "f4")}),
        "Resize by nothing": graph(node("Resize", "x", "y")),
        "Range with step 0": graph(node("Range", "a b c", "y"), inputs={}, weights={
            "a": np.float32(0), "b": np.float32(9), "c": np.float32(0)}),
        "Range to NaN": graph(node("Range", "a b c", "y"), inputs={}, weights={
            "a": np.float32(0), "b": np.float32(np.nan), "c": np.float32(1)}),
        "TopK of -1": graph(node("TopK", "x k", "y z"), weights={"k": np.array([-1])}),
        "TopK of 99": graph(node("TopK", "x k", "y z"), weights={"k": np.array([99])}),
        "LSTM of other weights": graph(node("LSTM", "x w w", "y", hidden_size=4), inputs={"x": (5, 1, 3)}, weights={
            "w": np.zeros((1, 16, 7), "f4")}),
        "BatchNormalization of other sizes": graph(node("BatchNormalization", "x s s s s", "y"), inputs=x4, weights={
            "s": np.ones(3, "f4")}),
        "DepthToSpace that does not divide": graph(node("DepthToSpace", "x", "y", blocksize=3), inputs=x4),
        "DepthToSpace of 0": graph(node("DepthToSpace", "x", "y", blocksize=0), inputs=x4),
        "an input of strings": graph(
            node("Identity", "x", "y"), types={"x": TensorProto.STRING, "y": TensorProto.STRING}),
        "an output of another type": graph(node("Relu", "x", "y"), types={"y": TensorProto.INT64}),
        "an unread attribute of an old opset": graph(node("Dropout", "x", "y", is_test=1, ratio=0.5), opset=12),
    }  # fmt: skip
    for name, proto in cases.items():
        yield model("operator", name, proto)


def _bare_attribute() -> onnx.ModelProto:
    made = graph(node("Softmax", "x", "y"))
    made.graph.node[0].attribute.add(name="axis")
    return made


def _double_attribute() -> onnx.ModelProto:
    made = graph(node("Softmax", "x", "y", axis=0))
    made.graph.node[0].attribute.add(name="axis", type=onnx.AttributeProto.INT, i=1)
    return made


def _stray_reference() -> onnx.ModelProto:
    made = graph(node("Softmax", "x", "y"))
    made.graph.node[0].attribute.add(name="axis", type=onnx.AttributeProto.INT, ref_attr_name="a")
    return made


def bodies() -> Iterator[Case]:
    """If, Loop, Scan and functions: bodies that are missing, do not fit, or have no end."""
    body = helper.make_graph([node("Relu", "x", "z")], "b", [], [helper.make_value_info("z", onnx.TypeProto())])
    condition = {"c": np.array(True)}
    count = {"n": np.array(10**12), **condition}
    cases = {
        "If without bodies": graph(node("If", "c", "y"), weights=condition),
        "If with one body": graph(node("If", "c", "y", then_branch=body), weights=condition),
        "If with a number as body": graph(node("If", "c", "y", then_branch=1, else_branch=2), weights=condition),
        "If by a float": graph(node("If", "x", "y", then_branch=body, else_branch=body)),
        "If with empty bodies": graph(
            node("If", "c", "y", then_branch=onnx.GraphProto(), else_branch=onnx.GraphProto()), weights=condition),
        "Loop without body": graph(node("Loop", "n c x", "y"), weights=count),
        "Loop with a body of no inputs": graph(node("Loop", "n c x", "y", body=body), weights=count),
        "Scan without body": graph(node("Scan", "x", "y", num_scan_inputs=1)),
        "Scan of 99 inputs": graph(node("Scan", "x", "y", num_scan_inputs=99, body=body)),
        "Scan of -1 inputs": graph(node("Scan", "x", "y", num_scan_inputs=-1, body=body)),
        "a function that calls itself": text(_CALLS + _function("f", "f")),
        "two functions that call each other": text(_CALLS + _function("f", "g") + _function("g", "f")),
        "a function twice": text(_CALLS + 2 * _function("f", "g")),
        "functions that unfold to 2^40 nodes": text(_CALLS + "".join(
            _function(f"f{i}" if i else "f", f"f{i + 1}", twice=True) for i in range(40))),
        "a chain of 400 functions": text(_CALLS + "".join(
            _function(f"f{i}" if i else "f", f"f{i + 1}") for i in range(400))),
        "a function that is not there": text(_CALLS),
    }  # fmt: skip
    for name, proto in cases.items():
        yield model("body", name, proto)
    for depth in (30, 60, 300, 20_000):
        yield file("deep recursion", f"If in If, {depth} deep", _nested(depth))


_CALLS = "g (float[2] x) => (float[2] y) { y = local.f (x) }\n"


def _function(name: str, calls: str, twice: bool = False) -> str:
    steps = f"a = local.{calls} (x) y = local.{calls} (a)" if twice else f"y = local.{calls} (x)"
    return f'<domain: "local", opset_import: ["local": 1, "": 17]> {name} (x) => (y) {{ {steps} }}\n'


def _nested(depth: int) -> bytes:
    """If in If; written backwards, because protobuf itself refuses to build so deep a message."""
    heads, tails = [_field(1, _field(4, b"Relu"))], []
    size = len(heads[0])
    for _ in range(depth):
        for number, before, after in ((6, b"then_branch", b"\xa0\x01\x05"), (5, b"If", b""), (1, b"", b"")):
            own = {6: _field(1, before), 5: _field(4, before), 1: b""}[number]
            head = own + _head(number, size)
            heads.append(head)
            tails.append(after)
            size += len(head) + len(after)
    graph_bytes = b"".join([*reversed(heads), *tails])
    return b"\x08\x08" + _field(7, graph_bytes)


def _head(number: int, length: int) -> bytes:
    digits = bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    return bytes([number << 3 | 2]) + bytes(digits)


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content
