"""Control flow, against onnxruntime on models with the same bodies."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from mconv.ir import Builder, DType, Graph, Symbol, TensorType
from mconv.ir.interpreter import run
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import Add, If, Less, Loop, Mul, Reshape, Scan, Sub
from mconv.ir.types import UNKNOWN

from .data import rand


def _ort(nodes, inputs, outputs, feeds):
    def info(name, dtype, shape):
        return helper.make_tensor_value_info(name, dtype, shape)

    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(*o) for o in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def _body(build, *inputs):
    b = Builder(Graph("body"))
    values = [b.input(f"i{i}", t.dtype, t.shape) for i, t in enumerate(inputs)]
    for i, value in enumerate(build(b, *values)):
        b.output(value, f"o{i}")
    return b.graph


VECTOR = TensorType(DType.F32, (3,))
FLAG, COUNT = TensorType(DType.BOOL, ()), TensorType(DType.I64, ())


def test_if_runs_one_branch():
    double = _body(lambda b, x: [b.add(Add(), x, x)], VECTOR)
    square = _body(lambda b, x: [b.add(Mul(), x, x)], VECTOR)
    b = Builder()
    flag, x = b.input("flag", DType.BOOL, ()), b.input("x", DType.F32, (3,))
    b.output(b.add(If(double, square), flag, x), "y")
    data = rand(3)
    np.testing.assert_array_equal(run(b.graph, {"flag": np.array(True), "x": data})["y"], data + data)
    np.testing.assert_array_equal(run(b.graph, {"flag": np.array(False), "x": data})["y"], data * data)


def test_sizes_in_which_branches_differ_are_unknown():
    n = Symbol("n")
    row = _body(lambda b, x: [b.add(Reshape((1, 6)), x)], TensorType(DType.F32, (2, 3)))
    both = _body(lambda b, x: [b.add(Reshape((2, 3)), x)], TensorType(DType.F32, (2, 3)))
    assert If(row, both).infer(FLAG, TensorType(DType.F32, (2, 3)))[0].shape == (UNKNOWN, UNKNOWN)
    same = _body(lambda b, x: [b.add(Add(), x, x)], TensorType(DType.F32, (n,)))
    assert If(same, same).infer(FLAG, TensorType(DType.F32, (n,)))[0].shape == (n,)
    assert If(same, same).infer(FLAG, TensorType(DType.F32, (4,)))[0].shape == (UNKNOWN,)


def _loop_nodes(limit):
    """x doubles while its first element is below ``limit``; every x, less c, is scanned out."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["v2"]),
            helper.make_node("Sub", ["v2", "c"], ["scan"]),
            helper.make_node("Constant", [], ["top"], value_float=limit),
            helper.make_node("ReduceMax", ["v2"], ["most"], keepdims=0),
            helper.make_node("Less", ["most", "top"], ["again"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("k", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [3]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v2", TensorProto.FLOAT, [3]),
            helper.make_tensor_value_info("scan", TensorProto.FLOAT, [3]),
        ],
    )
    return [helper.make_node("Loop", ["n", "go", "x"], ["last", "all"], body=body)]


def _loop_graph(limit):
    from mconv.ir.ops import ReduceMax

    def build(b, i, k, v, c):
        doubled = b.add(Add(), v, v)
        most = b.add(ReduceMax((0,), False), doubled)
        return [b.add(Less(), most, b.constant(np.float32(limit))), doubled, b.add(Sub(), doubled, c)]

    body = _body(build, COUNT, FLAG, VECTOR, VECTOR)
    b = Builder()
    n, go = b.input("n", DType.I64, ()), b.input("go", DType.BOOL, ())
    x, c = b.input("x", DType.F32, (3,)), b.input("c", DType.F32, (3,))
    last, every = b.add_all(Loop(body, 1), n, go, x, c)
    b.output(last, "last")
    b.output(every, "all")
    return b.graph


@pytest.mark.parametrize(("n", "go"), [(3, True), (9, True), (3, False), (0, True)])
def test_loop(n, go):
    feeds = {"n": np.array(n), "go": np.array(go), "x": np.array([1, 2, 3], np.float32), "c": rand(3)}
    kinds = {
        "n": (TensorProto.INT64, []),
        "go": (TensorProto.BOOL, []),
        "x": (TensorProto.FLOAT, [3]),
        "c": (TensorProto.FLOAT, [3]),
    }
    outputs = [("last", TensorProto.FLOAT, [3]), ("all", TensorProto.FLOAT, [None, 3])]
    wanted = _ort(_loop_nodes(40.0), [(k, *v) for k, v in kinds.items()], outputs, feeds)
    found = run(_loop_graph(40.0), feeds)
    np.testing.assert_allclose(found["last"], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(found["all"], wanted[1], rtol=1e-6)
    assert found["all"].shape == wanted[1].shape


def test_loop_without_limit_or_condition_operand():
    body = _body(
        lambda b, i, k, v: [b.add(Less(), i, b.constant(np.int64(2))), b.add(Add(), v, v)], COUNT, FLAG, VECTOR
    )
    y = Loop(body, 1).evaluate(None, None, np.ones(3, np.float32))
    assert y[0].tolist() == [8, 8, 8]


@pytest.mark.parametrize("backwards", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_scan(backwards):
    x, start = rand(2, 5, 3), rand(2, 3, seed=1)
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Identity", ["t"], ["u"])],
        "body",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in "se"],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in "tu"],
    )
    node = helper.make_node(
        "Scan",
        ["start", "x"],
        ["last", "all"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
        scan_input_directions=backwards[:1],
        scan_output_directions=backwards[1:],
    )
    inputs = [("start", TensorProto.FLOAT, [2, 3]), ("x", TensorProto.FLOAT, [2, 5, 3])]
    outputs = [("last", TensorProto.FLOAT, [2, 3]), ("all", TensorProto.FLOAT, [2, 5, 3])]
    wanted = _ort([node], inputs, outputs, {"start": start, "x": x})

    pair = TensorType(DType.F32, (2, 3))
    added = _body(lambda b, s, e: [b.add(Add(), s, e), b.add(Add(), s, e)], pair, pair)
    op = Scan(added, 1, (1,), backwards[:1], (1,), backwards[1:])
    b = Builder()
    last, every = b.add_all(op, b.input("start", DType.F32, (2, 3)), b.input("x", DType.F32, (2, 5, 3)))
    assert every.type.shape == (2, 5, 3)
    b.output(last, "last")
    b.output(every, "all")
    found = run(b.graph, {"start": start, "x": x})
    np.testing.assert_allclose(found["last"], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(found["all"], wanted[1], rtol=1e-6)
    assert op.flops([pair, TensorType(DType.F32, (2, 5, 3))], [pair, pair]) == 5 * 12


def test_loop_of_no_iteration_has_empty_scans():
    found = run(_loop_graph(1.0), {"n": np.array(0), "go": np.array(True), "x": rand(3), "c": rand(3)})
    assert found["all"].shape == (0, 3)


def test_work_of_bodies():
    double = _body(lambda b, x: [b.add(Add(), x, x)], VECTOR)
    longer = _body(lambda b, x: [b.add(Mul(), b.add(Add(), x, x), x)], VECTOR)
    assert If(double, longer).flops([], []) == 6


@pytest.mark.parametrize(
    ("make", "types"),
    [
        (lambda g: If(g, g), [VECTOR, VECTOR]),
        (lambda g: If(g, g), [FLAG]),
        (lambda g: Loop(g, 1), [None, None, VECTOR]),
        (lambda g: Scan(g, 0, (), (), (0,), (0,)), [VECTOR]),
        (lambda g: Scan(g, 0, (1,), (0,), (0,), (0,)), [VECTOR]),
    ],
)
def test_refuses(make, types):
    graph = _body(lambda b, x: [b.add(Add(), x, x)], VECTOR)
    with pytest.raises(TypeMismatch):
        make(graph).infer(*types)
