"""Reading GraphDefs: what becomes inputs and outputs, cutting, attributes, refusals; without TensorFlow but its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv.frontends.tensorflow import reader
from mconv.frontends.tensorflow.decode import GRAMMAR, Source, open_file
from mconv.ir import DType, Graph, TensorType
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError, UsageError
from mconv.ir.interpreter import run

from ...hostile.graphdefs import Defs, Function, Type, network

X = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype(np.float32)
SHARED = Path(__file__).parents[4] / "shared" / "models"


def read(d: Defs, **options: Any) -> Graph:
    return reader.translate(Source(d.message), file="model.pb", **options)


def refused(d: Defs, kind: type[MconvError], code: str, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        read(d, **options)
    assert caught.value.code == code, caught.value
    return str(caught.value)


def test_inputs_and_outputs_are_placeholders_and_what_nobody_reads() -> None:
    graph = read(network())
    assert [v.name for v in graph.inputs] == ["x"]
    assert graph.inputs[0].type == TensorType(DType.F32, (1, 8, 8, 3))
    assert graph.output_names == ("scores",)
    assert str(graph.nodes[-1].origin) == "model.pb: node 'scores'"
    assert [n for n in graph.nodes if n.name] and graph.value("relu")  # noqa: PT018


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    d = Defs()
    d.input(4, 256)
    d.constant("w", np.arange(256 * 8, dtype=np.float32).reshape(256, 8))
    d.node("y", "MatMul", "x", "w", T=Type(1))
    path = tmp_path / "model.pb"
    path.write_bytes(d.bytes())
    source = open_file(path)
    assert source.skeleton is not None
    assert [s.field for s in source.skeleton.spans] == [GRAMMAR.raw]
    (weight,) = reader.read(path).constants
    assert not weight.constant.flags.owndata
    np.testing.assert_array_equal(weight.constant.ravel(), np.arange(256 * 8))


# Cutting -----------------------------------------------------------------------------------------------------


def test_a_cut_takes_a_part() -> None:
    whole, part = read(network(), outputs=["relu:0"]), read(network(), inputs=["relu"], outputs=["flat"])
    assert whole.output_names == ("relu",)
    assert [v.name for v in part.inputs] == ["relu"]
    assert part.inputs[0].type.shape == (1, 8, 8, 4)
    relu = run(whole, {"x": X})["relu"]
    (flat,) = run(read(network(), outputs=["flat"]), {"x": X}).values()
    np.testing.assert_array_equal(run(part, {"relu": relu})["flat"], flat)


def test_what_lies_outside_of_a_cut_is_not_looked_at() -> None:
    d = network()
    nodes = {n.name: n for n in d.message.node}
    nodes["x"].op, nodes["conv"].op, nodes["scores"].op = "IteratorV2", "Nonesuch", "StringJoin"
    assert read(d, inputs=["relu"], outputs=["product"], input_shapes={"relu": (1, 8, 8, 4)}).output_names == (
        "product",
    )
    told = refused(d, UnsupportedError, "MC381", outputs=["product"])
    assert "IteratorV2" in told
    assert "Nonesuch" in told


def test_a_cut_needs_all_of_its_inputs() -> None:
    d = network()
    d.input(1, 8, 8, 4, name="z")
    d.node("sum", "AddV2", "relu", "z", T=Type(1))
    assert "'z'" in refused(d, UnsupportedError, "MC386", inputs=["relu"], outputs=["sum"])
    graph = read(d, inputs=["z", "relu"], outputs=["sum"])
    assert [v.name for v in graph.inputs] == ["z", "relu"]


def test_names_that_are_not_there_are_told_with_some_that_are() -> None:
    assert "relu" in refused(network(), UsageError, "MC124", outputs=["block/Relu"])
    refused(network(), UsageError, "MC124", inputs=["relu:x"])
    refused(network(), UsageError, "MC111", input_shapes={"y": (1,)})
    refused(network(), UsageError, "MC117", input_shapes={"x": (1, 9, 8, 3)})
    refused(network(), UsageError, "MC112", dims={"rows": 3})


def test_names_of_its_own_for_inputs_and_outputs() -> None:
    graph = read(network(), inputs={"picture": "x:0"}, outputs={"result": "scores:0"})
    assert [v.name for v in graph.inputs] == ["picture"]
    assert graph.output_names == ("result",)


# Inputs ------------------------------------------------------------------------------------------------------


def test_sizes_that_are_not_known_are_symbols() -> None:
    d = Defs()
    d.input(-1, -1, 3)
    d.node("y", "Relu", "x", T=Type(1))
    assert [str(s) for s in read(d).inputs[0].type.shape] == ["batch", "x.1", "3"]
    assert read(d, dims={"batch": 2}).inputs[0].type.shape[0] == 2
    assert read(d, input_shapes={"x": (2, 5, 3)}).outputs[0].type.shape == (2, 5, 3)


def test_a_rank_that_is_not_known_is_asked_for() -> None:
    d = Defs()
    d.node("x", "Placeholder", dtype=Type(1))
    d.node("y", "Relu", "x", T=Type(1))
    assert "--input-shape x:" in refused(d, UnsupportedError, "MC384")
    assert read(d, input_shapes={"x": (2, 5)}).inputs[0].type.shape == (2, 5)
    d.message.versions.producer = 20
    d.message.node[0].attr["shape"].shape.SetInParent()
    refused(d, UnsupportedError, "MC384")  # an old graph, where no axes meant any
    d.message.versions.producer = 24
    assert read(d).inputs[0].type.shape == ()


def test_a_default_is_taken_unless_it_is_named() -> None:
    d = Defs()
    d.input(3)
    d.constant("half", np.float32(0.5))
    d.node("rate", "PlaceholderWithDefault", "half", dtype=Type(1), shape=())
    d.node("y", "Mul", "x", "rate", T=Type(1))
    assert [v.name for v in read(d).inputs] == ["x"]
    graph = read(d, inputs=["x", "rate"])
    assert graph.inputs[1].type == TensorType(DType.F32, ())
    np.testing.assert_allclose(run(graph, {"x": np.ones(3, "f"), "rate": np.array(3, "f")})["y"], [3, 3, 3])


def test_variables_have_the_values_that_are_given() -> None:
    d = Defs()
    d.input(2, 3)
    d.node("handle", "VarHandleOp", dtype=Type(1), shape=(3, 4))
    d.node("read", "ReadVariableOp", "handle", dtype=Type(1))
    d.node("captured", "Placeholder", dtype=Type(20))
    d.node("old", "VariableV2", dtype=Type(1), shape=(4,))
    d.node("old/read", "Identity", "old", T=Type(1))
    body = d.function("f", ["a", "w"], {"y": "product:product:0"})
    body.signature.input_arg[1].type = 20
    d.node("value", "ReadVariableOp", "w", into=body, dtype=Type(1))
    d.node("product", "MatMul", "a", "value:value:0", into=body, T=Type(1))
    d.node("called", "StatefulPartitionedCall", "x", "captured", f=Function("f"))
    d.node("plain", "MatMul", "x", "read", T=Type(1))
    d.node("sum", "AddV2", "called", "plain", T=Type(1))
    d.node("y", "BiasAdd", "sum", "old/read", T=Type(1))
    w, b = np.arange(12, dtype=np.float32).reshape(3, 4), np.ones(4, np.float32)
    graph = read(d, constants={"handle": w, "captured": -2 * w, "old": b})
    assert [v.name for v in graph.inputs] == ["x"]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(run(graph, {"x": x})["y"], b - x @ w)
    assert "not frozen" in refused(d, UnreadableError, "MC246", constants={"captured": w, "old": b})


def test_dropout_whose_probability_is_an_input_is_left_out() -> None:
    d = Defs()
    d.input(4)
    d.node("keep", "Placeholder", dtype=Type(1), shape=())
    d.constant("size", np.array([4], np.int32))
    d.node("random", "RandomUniform", "size", dtype=Type(1), T=Type(3))
    d.node("total", "Add", "keep", "random", T=Type(1))
    d.node("floor", "Floor", "total", T=Type(1))
    d.node("scaled", "RealDiv", "x", "keep", T=Type(1))
    d.node("y", "Mul", "scaled", "floor", T=Type(1))
    graph = read(d)
    assert [v.name for v in graph.inputs] == ["x"]
    assert "dropout" in graph.notes[0]
    np.testing.assert_array_equal(run(graph, {"x": np.arange(4, dtype=np.float32)})["y"], np.arange(4))
    assert "--inputs random" in refused(d, UnsupportedError, "MC381", inputs=["x", "keep"])


# Attributes --------------------------------------------------------------------------------------------------


def test_defaults_are_tensorflows_own() -> None:
    d = network()
    nodes = {n.name: n for n in d.message.node}
    wanted = run(read(d), {"x": X})["scores"]
    del nodes["conv"].attr["data_format"]
    np.testing.assert_array_equal(run(read(d), {"x": X})["scores"], wanted)
    del nodes["norm"].attr["is_training"]  # whose default is true
    assert any("training" in note for note in read(d).notes)
    del nodes["conv"].attr["padding"]
    assert "padding" in refused(d, UnreadableError, "MC245")


def test_attributes_that_nobody_reads_are_errors() -> None:
    d = network()
    node = next(n for n in d.message.node if n.name == "conv")
    node.attr["_class"].s = b"a note of a tool"
    read(d)
    node.attr["rounding"].i = 3
    assert "rounding" in refused(d, UnsupportedError, "MC383")


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("RandomUniform", "random"), ("StatelessRandomNormalV2", "random"), ("Multinomial", "random"),
        ("HashTableV2", "table"), ("LookupTableFindV2", "table"), ("StringJoin", "strings"),
        ("RegexReplace", "strings"), ("StaticRegexReplace", "strings"), ("DecodeJpeg", "pictures"),
        ("PyFunc", "code"), ("ReadFile", "files"), ("IteratorGetNext", "data"), ("AssignAddVariableOp", "variables"),
        ("Dilation2D", "morphology"), ("QueueDequeueV2", "data"),
    ],
)  # fmt: skip
def test_what_has_no_place_in_an_engine_is_refused_by_name(op: str, word: str) -> None:
    d = network()
    next(n for n in d.message.node if n.name == "relu").op = op
    told = refused(d, UnsupportedError, "MC381")
    assert op in told
    assert word in told
    assert "--inputs relu" in told


def test_everything_that_is_wrong_is_told_at_once() -> None:
    d = network()
    nodes = {n.name: n for n in d.message.node}
    nodes["relu"].op, nodes["filters"].op = "Nonesuch", "VarHandleOp"
    nodes["filters"].attr.pop("value")
    other = Defs()
    other.input(2)
    for i in range(3):
        other.node(f"n{i}", "Nonesuch", "x")
    refused(d, UnreadableError, "MC246")
    assert "and 2 more like it" in refused(other, UnsupportedError, "MC380")


def test_20_000_nodes_in_a_row_need_no_depth() -> None:
    d = Defs()
    last = d.input(2)
    for i in range(20_000):
        last = d.node(f"n{i}", "Neg", last, T=Type(1))
    assert len(read(d)) == 20_000


# TensorFlow itself -------------------------------------------------------------------------------------------


def test_the_table_is_what_tensorflow_says() -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    from tensorflow.python.framework import op_def_registry

    from mconv.frontends.tensorflow.op_table import OPERATORS
    from mconv.frontends.tensorflow.registry import HANDLERS

    from .op_table import operator

    assert sorted(OPERATORS) == HANDLERS.names()
    for name, told in OPERATORS.items():
        definition = op_def_registry.get(name)
        if definition is not None and operator(definition) != told:
            newer = {a[0] for a in operator(definition)[3]} - {a[0] for a in told[3]}
            assert newer, f"{name} has changed"  # a version with more attributes is no fault


@pytest.mark.parametrize(("name", "options"), [
    ("fsrcnn_x3.pb", {"input_shapes": {"IteratorGetNext": (1, 20, 24, 1)}}), ("lstm_frozen.pb", {"dims": {"batch": 2}}),
])  # fmt: skip
def test_frozen_graphs_of_others(name: str, options: dict[str, Any]) -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is not there")
    from mconv.frontends.tensorflow import runtime

    graph = reader.read(SHARED / name, **options)
    chance = np.random.default_rng(0)
    feeds = {v.name: chance.uniform(0, 1, v.type.static_shape).astype(np.float32) for v in graph.inputs}
    wanted = runtime.run({".pb": str(SHARED / name)}, feeds, graph.output_names)
    for key, array in run(graph, feeds).items():
        np.testing.assert_allclose(array, wanted[key], atol=1e-4 * np.abs(wanted[key]).max())
