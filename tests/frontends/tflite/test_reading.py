"""Names, shapes, and what is refused; and dilated convolutions as TensorFlow writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv import convert, frontends, load
from mconv.ir import MconvError, Symbol, UnsupportedError, UsageError, ops
from mconv.ir.interpreter import run

from .models import C, In, Net, Out, agree, schema, single


def rows(**changes: Any) -> Net:
    net = single("RELU", [In((2, 3), **changes)], [Out((2, 3))])
    return net


def named(net: Net, inputs: dict[str, int], outputs: dict[str, int]) -> Net:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = "serving_default", 0
    for side, names in (("inputs", inputs), ("outputs", outputs)):
        maps = []
        for name, index in names.items():
            each = schema.TensorMapT()
            each.name, each.tensorIndex = name, index
            maps.append(each)
        setattr(made, side, maps)
    net.model.signatureDefs = [made]
    return net


def test_the_signature_names_inputs_and_outputs(tmp_path: Path) -> None:
    graph = frontends.load(named(rows(), {"picture": 0}, {"scores": 1}).write(tmp_path))
    assert [v.name for v in graph.inputs] == ["picture"]
    assert graph.output_names == ("scores",)
    assert str(graph.nodes[0].origin) == "model.tflite: RELU 0 ('y0')"


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    net = single("ADD", [In((2, 3)), C(np.ones((2, 3), np.float32))], [Out((2, 3))], "AddOptions")
    (value,) = frontends.load(net.write(tmp_path)).constants
    assert not value.constant.flags.writeable
    assert value.constant.base is not None


def test_unknown_sizes_are_symbols_that_can_be_given(tmp_path: Path) -> None:
    path = rows(unknown=(0, 1)).write(tmp_path)
    assert frontends.load(path).inputs[0].type.shape == (Symbol("batch"), Symbol("x0.1"))
    assert frontends.load(path, dims={"batch": 4}).inputs[0].type.shape == (4, Symbol("x0.1"))
    assert frontends.load(path, input_shapes={"x0": (5, 7)}).outputs[0].type.shape == (5, 7)


def test_inputs_are_resized_as_a_runtime_does(tmp_path: Path) -> None:
    assert frontends.load(rows().write(tmp_path), input_shapes={"x0": (9, 3)}).outputs[0].type.shape == (9, 3)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"input_shapes": {"z": (1,)}}, "MC111"),
        ({"dims": {"height": 3}}, "MC112"),
        ({"dims": {"batch": -3}}, "MC117"),
        ({"input_shapes": {"x0": (1, 2, 3)}}, "MC117"),
    ],
)
def test_wrong_sizes(options: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=code):
        frontends.load(rows(unknown=(0,)).write(tmp_path), **options)


def test_all_that_is_not_read_is_told_at_once(tmp_path: Path) -> None:
    net = rows()
    for name, custom in (("CUSTOM", "TFLite_Detection_PostProcess"), ("CUSTOM", "FlexErf"), ("RFFT2D", "")):
        net.op(name, [1], [net.tensor(Out((2, 3)))], custom=custom)
    with pytest.raises(UnsupportedError) as caught:
        frontends.load(net.write(tmp_path))
    assert [p.code for p in caught.value.problems] == ["MC371", "MC371", "MC370"]
    assert "an operator of TensorFlow" in str(caught.value)


FUSED = {"fusedActivationFunction": 4}


@pytest.mark.parametrize(
    ("net", "code"),
    [
        (single("ADD", [In((2, 3)), In((2, 3))], [Out((2, 3))], "AddOptions", **FUSED), "MC372"),
        (single("ADD", [In((2, 3)), In((2, 3))], [Out((2, 4))], "AddOptions"), "MC286"),
        (single("ADD", [In((2, 3)), In((2, 3))], [Out((2, 3), "int32")], "AddOptions"), "MC286"),
        (single("ADD", [In((2, 3)), In((2, 4))], [Out((2, 3))], "AddOptions"), "MC284"),
        (single("ADD", [In((2, 3)), In((2, 3))], [Out((2, 3))], "MulOptions"), "MC284"),
        (single("TRANSPOSE", [In((2, 3)), In((2,), "int32")], [Out((3, 2))], "TransposeOptions"), "MC308"),
        (single("RIGHT_SHIFT", [In((2,), "int32"), In((2,), "int32")], [Out((2,), "int32")]), "MC372"),
        (single("STRIDED_SLICE", [In((2, 3)), C([0]), C([1]), C([0])], [Out((1, 3))]), "MC284"),
        (single("QUANTIZE", [In((2, 3))], [Out((2, 3), "int8")]), "MC284"),
    ],
)
def test_what_is_refused(net: Net, code: str, tmp_path: Path) -> None:
    with pytest.raises(MconvError, match=code):
        frontends.load(net.write(tmp_path))


def test_same_padding_of_an_unknown_size(tmp_path: Path) -> None:
    w, b = C(np.ones((2, 3, 3, 4), np.float32)), C(np.zeros(2, np.float32))
    image = In((1, 6, 6, 4), unknown=(1, 2))
    options = {"padding": 0, "strideH": 1, "strideW": 1}
    plain = single("CONV_2D", [image, w, b], [Out((1, 6, 6, 2))], "Conv2DOptions", **options)
    assert any(isinstance(n.op, ops.Conv) for n in agree(plain, tmp_path))
    options["strideH"] = 2
    strided = single("CONV_2D", [image, w, b], [Out((1, 3, 6, 2))], "Conv2DOptions", **options)
    with pytest.raises(UnsupportedError, match=r"MC306[\s\S]*--input-shape"):
        frontends.load(strided.write(tmp_path))


def dilated(block: int) -> Net:
    """SPACE_TO_BATCH_ND, CONV_2D, BATCH_TO_SPACE_ND."""
    chance, net = np.random.default_rng(5), Net()
    x = net.input(In((2, 8, 12, 3)), "x")
    blocks, pads = net.tensor(C(np.array([block, block], np.int32))), net.tensor(C(np.full((2, 2), block, np.int32)))
    h, w = (8 + 2 * block) // block, (12 + 2 * block) // block
    apart, made = net.tensor(Out((2 * block**2, h, w, 3))), net.tensor(Out((2 * block**2, h - 2, w - 2, 5)))
    y = net.tensor(Out((2, 8, 12, 5)), "y")
    net.op("SPACE_TO_BATCH_ND", [x, blocks, pads], [apart], "SpaceToBatchNDOptions")
    filters = net.tensor(C(chance.standard_normal((5, 3, 3, 3)).astype(np.float32)))
    bias = net.tensor(C(np.ones(5, np.float32)))
    net.op("CONV_2D", [apart, filters, bias], [made], "Conv2DOptions", padding=1, strideH=1, strideW=1)
    crops = net.tensor(C(np.zeros((2, 2), np.int32)))
    net.op("BATCH_TO_SPACE_ND", [made, blocks, crops], [y], "BatchToSpaceNDOptions")
    net.graph.outputs = [y]
    return net


@pytest.mark.parametrize("block", [2, 4])
def test_interleaved_images_are_a_dilation(block: int, tmp_path: Path) -> None:
    agree(dilated(block), tmp_path)
    graph = load(tmp_path / "model.tflite")
    (conv,) = (n.op for n in graph if isinstance(n.op, ops.Conv))
    assert conv.dilations == (block, block)
    assert sum(isinstance(n.op, ops.Transpose) for n in graph) == 2  # of the input and of the output


@pytest.mark.parametrize("target", ["onnx", "ncnn", "tflite"])
def test_a_file_is_converted_and_verified(target: str, tmp_path: Path) -> None:
    path = dilated(2).write(tmp_path)
    shapes = {"x": (1, 8, 12, 3)} if target == "ncnn" else {}
    result = convert(path, target=target, output=tmp_path / "made", verify=True, input_shapes=shapes)
    assert result.verification.passed


def test_stored_integers_are_fed_over_their_range_and_compared_in_steps(tmp_path: Path) -> None:
    net = single("RELU", [In((64,), "int8", (0.1, 3))], [Out((64,), "int8", (0.05, -128))], version=2)
    result = convert(net.write(tmp_path), target="onnx", output=tmp_path / "made", verify=True)
    (comparison,) = result.verification.outputs
    assert comparison.steps is not None
    assert comparison.steps <= 1
    found = run(frontends.load(tmp_path / "model.tflite"), {"x0": np.full(64, 127, np.int8)})
    assert (found["y0"] == 120).all()
