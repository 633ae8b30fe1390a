"""The graph: uses, order, replacing, removing, copying; the verifier; symbols."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import Builder, DType, Graph, InternalError, Symbol, TensorType, Value
from mconv.ir import ops as o
from mconv.ir.infer import refresh_types
from mconv.ir.op import TypeMismatch, broadcast
from mconv.ir.types import product
from mconv.ir.verify import verify


def chain() -> tuple[Builder, Value, Value, Value]:
    b = Builder()
    x = b.input("x", DType.F32, (2, 3))
    y = b.add(o.Relu(), x, name="y")
    z = b.add(o.Exp(), y, name="z")
    b.output(z, "z")
    return b, x, y, z


def test_uses_follow_the_graph() -> None:
    b, x, y, z = chain()
    assert [node.op for node in x.readers] == [o.Relu()]
    assert b.graph.use_count(z) == 1
    assert y.producer is b.graph.nodes[0]
    assert b.graph.is_output(z)
    assert not b.graph.is_output(y)


def test_names_are_unique() -> None:
    b, x, *_ = chain()
    assert b.add(o.Neg(), x, name="y").name == "y_1"
    assert b.add(o.Abs(), x, name="y").name == "y_2"


def test_replacing_hands_on_the_name() -> None:
    b, x, y, _ = chain()
    new = b.add(o.Abs(), x)
    b.graph.replace(y, new)
    assert new.name == "y"
    assert b.graph.value("y") is new
    assert b.graph.prune(y.producer) == 1 if y.producer else False
    verify(b.graph)


def test_replacing_an_output_keeps_the_outputs_name() -> None:
    b, x, _, z = chain()
    b.graph.replace(z, x)
    assert b.graph.outputs == (x,)
    assert b.graph.output_names == ("z",)


def test_removing_what_is_read_is_refused() -> None:
    b, _, y, _ = chain()
    assert y.producer is not None
    with pytest.raises(InternalError, match="MC501"):
        b.graph.remove(y.producer)


def test_a_cycle_is_found() -> None:
    b, _, y, z = chain()
    assert y.producer is not None
    b.graph.set_operand(y.producer, 0, z)
    with pytest.raises(InternalError, match="MC502"):
        verify(b.graph)


def test_order_is_topological_and_stable() -> None:
    b, x, _, _ = chain()
    late = b.add(o.Abs(), x)
    first = b.graph.nodes[0]
    b.at = first
    early = b.add(o.Neg(), x)
    assert [n.result for n in b.graph.nodes].index(early) < [n.result for n in b.graph.nodes].index(late)


def test_a_copy_is_independent() -> None:
    b, *_ = chain()
    w = b.constant(np.ones((3,), np.float32))
    b.output(b.add(o.Mul(), b.graph.outputs[0], w), "m")
    twin = b.graph.copy()
    assert str(twin) == str(b.graph)
    assert twin.constants[0].data is w.data
    twin.replace(twin.outputs[0], twin.inputs[0])
    verify(b.graph)
    assert str(twin) != str(b.graph)


def test_networkx_view_has_operand_indices_as_keys() -> None:
    b, _, y, z = chain()
    b.add(o.Sub(), z, y)
    view = b.graph.networkx()
    first, second, third = b.graph.nodes
    assert set(view.edges(keys=True)) == {(first, second, 0), (second, third, 0), (first, third, 1)}


@pytest.mark.parametrize("break_it", ["type", "use", "writeable", "producer"])
def test_the_verifier_sees(break_it: str) -> None:
    b, x, y, _ = chain()
    c = b.constant(np.ones((3,), np.float32))
    b.output(b.add(o.Add(), x, c), "sum")
    verify(b.graph)
    if break_it == "type":
        y.type = TensorType(DType.F32, (7,))
    elif break_it == "use":
        x._uses.clear()
    elif break_it == "writeable":
        c.data = np.ones((3,), np.float32)
    else:
        y.producer = None
    with pytest.raises(InternalError, match="MC505"):
        verify(b.graph)


def test_operands_that_do_not_fit_are_refused() -> None:
    b, x, *_ = chain()
    with pytest.raises(TypeMismatch, match="needs operand 'b'"):
        b.add(o.Add(), x)
    with pytest.raises(TypeMismatch, match="takes 1 operands"):
        b.add(o.Relu(), x, x)
    with pytest.raises(TypeMismatch, match="do not broadcast"):
        b.add(o.Add(), x, b.input("w", DType.F32, (5,)))
    with pytest.raises(InternalError, match="MC504"):
        Builder().add(o.Relu(), x)


def test_attributes_are_checked_and_frozen() -> None:
    with pytest.raises(TypeError, match="needs attribute"):
        o.Softmax()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown or given twice"):
        o.Relu(alpha=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes 0 attributes"):
        o.Relu(1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="immutable"):
        o.Softmax(1).axis = 2  # type: ignore[misc]
    assert o.Transpose([0, 1]) == o.Transpose(np.array([0, 1]))  # type: ignore[arg-type]
    assert hash(o.Softmax(1)) == hash(o.Softmax(1))
    assert o.Softmax(1) != o.LogSoftmax(1)


def test_symbol_arithmetic_is_canonical() -> None:
    n = Symbol("n")
    assert n + 0 == n
    assert n * 1 == n
    assert n - n == 0
    assert (n + 2) - 2 == n
    assert (n * 4) // 4 == n
    assert n // n == 1
    assert (n + 1) // 2 == (n + 1) // 2
    assert str((n + 1) // 2) == "(n+1)//2"
    assert product((2, n, 3)) == n * 6
    assert product((n, 0)) == 0


def test_broadcast_with_symbols() -> None:
    n = Symbol("n")
    assert broadcast((n, 1), (3,)) == (n, 3)
    assert broadcast((n,), (1,)) == (n,)
    assert broadcast((n,), (4,)) == (4,)


def test_types_get_more_exact_when_an_input_does() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (Symbol("n"), 3, 8, 8))
    y = b.add(o.Conv((2, 2), (1, 1, 1, 1), (1, 1)), x, b.constant(np.ones((4, 3, 3, 3), np.float32)))
    b.output(y, "y")
    assert y.type.shape == (Symbol("n"), 4, 4, 4)
    b.graph.set_type(x, TensorType(DType.F32, (2, 3, 8, 8)))
    assert refresh_types(b.graph) == 1
    assert y.type.shape == (2, 4, 4, 4)


def test_shape_arithmetic_becomes_an_attribute() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (Symbol("n"), 3, 4))
    size = b.add(o.Gather(0), b.add(o.Shape(), x), b.constant(np.int64(0)))
    shape = b.add(o.Concat(0), b.add(o.Unsqueeze((0,)), size), b.constant(np.array([-1])))
    y = b.add(o.Reshape(), x, shape)
    assert y.producer is not None
    assert y.producer.op == o.Reshape((0, -1))
    assert y.type.shape == (Symbol("n"), 12)


def test_unknown_sizes_get_a_name_of_their_own() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.F32, (2, 3)))
    node = graph.add(o.NonZero(), [x], name="places")
    assert node.result.type.shape == (2, Symbol("places.1"))
