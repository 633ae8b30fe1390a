"""The text form: what is printed, and that it reads back without loss."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import Builder, DType, Graph, Origin, Symbol, UnreadableError
from mconv.ir import ops as o
from mconv.ir.interpreter import run
from mconv.ir.parse import parse_graph
from mconv.ir.text import format_graph


def small() -> Graph:
    b = Builder(Graph("net"))
    b.origin = Origin("model.onnx", "node 'conv1'")
    x = b.input("x", DType.F32, (1, 2, 4, 4))
    w = b.constant(np.arange(36, dtype=np.float32).reshape(2, 2, 3, 3), name="w")
    y = b.add(o.Conv((1, 1), (1, 1, 1, 1), (1, 1), 1, o.Clip(0.0, 6.0)), x, w, name="y")
    b.output(b.add(o.Mul(), y, b.constant(np.float32(0.5), name="half"), name="a strange; name"), "out")
    return b.graph


GOLDEN = """\
graph "net" {
  %x = input : f32[1,2,4,4]
  %w = const elided"144 bytes b91fb62caed9" : f32[2,2,3,3]
  %half = const [0.5] : f32[]
  %y = Conv(strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1), activation=Clip(min=0.0, max=6.0)) %x, %w : \
f32[1,2,4,4] @ "model.onnx" "node 'conv1'"
  %"a strange; name" = Mul() %y, %half : f32[1,2,4,4] @ "model.onnx" "node 'conv1'"
  return "out" = %"a strange; name"
}"""


def test_golden() -> None:
    assert str(small()) == GOLDEN


def test_reads_back_without_loss() -> None:
    text = format_graph(small(), constants="full")
    again = parse_graph(text)
    assert format_graph(again, constants="full") == text
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)}
    np.testing.assert_array_equal(run(small(), feeds)["out"], run(again, feeds)["out"])


def test_symbols_special_numbers_and_every_dtype() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (Symbol("batch"), Symbol("(H+1)//2"), 3))
    special = b.constant(np.array([np.inf, -np.inf, 1e-30], np.float32))
    b.output(b.add(o.Add(), x, special), "y")
    for dtype in DType:
        b.output(b.add(o.Cast(dtype), x), dtype.value)
    text = format_graph(b.graph, constants="full")
    assert 'f32[batch,"(H+1)//2",3]' in text
    assert format_graph(parse_graph(text), constants="full") == text


def test_bodies_read_back() -> None:
    then = Builder(Graph("then"))
    then.output(then.add(o.Relu(), then.input("a", DType.F32, (2,))), "r")
    other = Builder(Graph("else"))
    other.output(other.add(o.Neg(), other.input("a", DType.F32, (2,))), "r")
    b = Builder()
    condition, x = b.input("c", DType.BOOL, ()), b.input("x", DType.F32, (2,))
    b.output(b.add(o.If(then.graph, other.graph), condition, x), "y")
    text = format_graph(b.graph, constants="full")
    again = parse_graph(text)
    assert format_graph(again, constants="full") == text
    feeds = {"c": np.array(False), "x": np.array([1, -2], np.float32)}
    np.testing.assert_array_equal(run(again, feeds)["y"], [-1, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph", "not the text of a graph"),
        ('graph "g" { %y = Nothing() : f32[1] }', "Nothing"),
        ('graph "g" { %y = Relu() %x : f32[1] }', "x"),
        ('graph "g" { %c = const elided"8 bytes 00" : f32[2] }', "elided"),
        ('graph "g" { %c = const [1, 2] : f32[3] }', "reshape"),
        ('graph "g" {\n  %x = input f32[1] }', "line 2, column 14"),
    ],
)
def test_errors_say_where(text: str, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_graph(text)
    assert message in str(caught.value)
    assert caught.value.code == "MC250"
