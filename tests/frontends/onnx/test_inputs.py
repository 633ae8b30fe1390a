"""Inputs: names, order, symbolic sizes and what the caller says about them."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from mconv import frontends
from mconv.ir import DType, Symbol
from mconv.ir.errors import UnsupportedError, UsageError

from .models import code_of, parsed, single


def test_symbols_keep_the_models_names() -> None:
    graph = frontends.load(single("Relu", {"x": ["batch", 3, None]}))
    assert graph.inputs[0].type.shape == (Symbol("batch"), 3, Symbol("x.2"))
    assert graph.outputs[0].type.shape == graph.inputs[0].type.shape


def test_dims_and_shapes_fix_sizes() -> None:
    model = single("Add", {"x": ["batch", 3], "z": ["batch", "n"]})
    assert frontends.load(model, dims={"batch": 2}).inputs[1].type.shape == (2, Symbol("n"))
    assert frontends.load(model, input_shapes={"z": (4, 3)}).inputs[1].type.shape == (4, 3)


def test_names_that_are_any_text_stay_apart() -> None:
    graph = frontends.load(single("Add", {"x": ["a b", 1], "z": ["a_b", 1]}))
    assert graph.inputs[0].type.shape[0] != graph.inputs[1].type.shape[0]
    assert frontends.load(single("Relu", {"x": ["2*n"]}), dims={"2*n": 8}).inputs[0].type.shape == (8,)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ({"input_shapes": {"y": (1,)}}, "MC111", "x, z"),
        ({"dims": {"height": 1}}, "MC112", "batch"),
        ({"dims": {"batch": -1}}, "MC117", "0"),
        ({"input_shapes": {"x": (2, 4)}}, "MC117", "--input-shape"),
        ({"input_shapes": {"x": (2,)}}, "MC117", "--input-shape"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(options: dict[str, dict[str, object]], code: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        frontends.load(single("Add", {"x": ["batch", 3], "z": ["batch", 3]}), **options)  # type: ignore[arg-type]
    assert code_of(error) == code
    assert told in str(error.value)


def test_an_input_without_a_rank_asks_for_its_shape() -> None:
    model = single("Relu", {"x": [2]})
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    assert code_of(error) == "MC306"
    assert "--input-shape" in str(error.value)
    assert frontends.load(model, input_shapes={"x": (2, 3)}).outputs[0].type.shape == (2, 3)


def test_initializers_among_the_inputs_are_not_inputs() -> None:
    model = single("Add", {"x": [2]}, initializers={"w": [1.0, 2.0]})
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.DOUBLE, [2]))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph = frontends.load(model)
    assert [value.name for value in graph.inputs] == ["x"]
    assert graph.inputs[0].type.dtype is DType.F64


def test_sequences_are_refused() -> None:
    model = single("Relu", {"x": [2]})
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [2]))
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    assert code_of(error) == "MC305"


def test_sizes_that_stay_unknown_are_refused_where_they_matter() -> None:
    model = single("MaxPool", {"x": [1, 1, "h", 4]}, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    assert code_of(error) == "MC306"
    assert frontends.load(model, dims={"h": 6}).outputs[0].type.shape == (1, 1, 3, 2)


def test_values_keep_the_models_names_and_nodes_their_origin() -> None:
    graph = frontends.load(parsed("g (float[2] x) => (float[2] out) { mid = Exp (x)  out = Log (mid) }"))
    assert [node.result.name for node in graph.nodes] == ["mid", "out"]
    assert str(graph.nodes[0].origin) == "model: node 'mid' (Exp)"
    assert graph.output_names == ("out",)


def test_names_survive_next_to_made_up_ones() -> None:
    body = "flatten = Softmax <axis: int = 1> (x)  reshape = Relu (flatten)"
    graph = frontends.load(parsed(f"g (float[2,2,2] x) => (float[2,2,2] reshape) {{ {body} }}", opset=11))
    assert graph.nodes[-1].result.name == "reshape"
    assert graph.nodes[-1].operands[0] is not None
    assert graph.nodes[-1].operands[0].name == "flatten"
