"""Nets as a whole: heads, weights in all their forms, training nets, options, and what is told when it goes wrong."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from mconv.frontends import load
from mconv.frontends.caffe.caffemodel import messages
from mconv.frontends.caffe.reader import read
from mconv.ir import Array, ops
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError, UsageError

from . import nets

IMAGE = {"x": (1, 2, 5, 5)}
CONV = "convolution_param { num_output: 3 kernel_size: 3 }"
WEIGHTS = [np.random.default_rng(5).standard_normal(s).astype(np.float32) for s in ((3, 2, 3, 3), (3,))]
NET = nets.heads(IMAGE) + nets.layer("Convolution", CONV)


def problems(path: Path, **options: object) -> list[tuple[str, str, str]]:
    """Codes, places and words of what reading raises."""
    with pytest.raises(MconvError) as error:
        read(path, **options)  # type: ignore[arg-type]
    return [(p.code, p.where, p.what) for p in error.value.problems]


# Heads and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        'input: "x" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5',
        'input: "x" input_dim: [1, 2, 5, 5]',
        'input: "x" input_shape { dim: 1 dim: 2 dim: 5 dim: 5 }',
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 5, 5] } } }',
        'layer { name: "d" type: "MemoryData" top: "x" memory_data_param { batch_size: 1 channels: 2'
        " height: 5 width: 5 } }",
        'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { num: 1 channels: 2 height: 5 width: 5 } }',
        'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: [1, 2, 5, 5] } } }',
    ],
)
def test_heads(head: str, tmp_path: Path) -> None:
    graph = nets.graph_of(tmp_path, head + nets.layer("Convolution", CONV), {"it": WEIGHTS})
    assert [(v.name, v.type.shape) for v in graph.inputs] == [("x", (1, 2, 5, 5))]
    assert graph.output_names == ("y",)
    assert str(graph.nodes[0].origin) == f"net.prototxt:{1}: Convolution 'it'"


def test_several_inputs_of_one_layer(tmp_path: Path) -> None:
    text = 'layer { type: "Input" name: "i" top: "x" top: "z" input_param { shape { dim: [1, 2] } } }'
    graph = nets.graph_of(tmp_path, text + nets.layer("Eltwise", bottoms=("x", "z")))
    assert [v.name for v in graph.inputs] == ["x", "z"]


def test_sizes_given_by_hand(tmp_path: Path) -> None:
    text = 'input: "x"\n' + nets.layer("ReLU")
    path = nets.write(tmp_path, text)
    assert read(path, input_shapes={"x": (1, 3, 8, 8)}).outputs[0].type.shape == (1, 3, 8, 8)
    assert problems(path) == [("MC122", "net.prototxt:1", "the size of input 'x' is not in the .prototxt")]
    assert problems(path, input_shapes={"y": (1,)})[0][0] == "MC111"
    assert problems(path, dims={"N": 1})[0][0] == "MC112"
    unknown = nets.write(tmp_path, nets.heads({"x": (1, 3, 0, -1)}) + nets.layer("ReLU"))
    with pytest.raises(UsageError, match="--input-shape x:1,3,1,1"):
        read(unknown)


def test_layers_in_place_and_outputs(tmp_path: Path) -> None:
    text = nets.heads(IMAGE)
    text += nets.layer("AbsVal", tops=("a",), name="one")
    text += nets.layer("ReLU", bottoms=("a",), tops=("a",), name="two")
    text += nets.layer("TanH", bottoms=("a",), tops=("b",), name="three")
    text += nets.layer("Dropout", bottoms=("b",), tops=("b",), name="four")
    text += nets.layer("Sigmoid", bottoms=("a",), tops=("c",), name="five")
    text += nets.layer("Power", "power_param { scale: 2 }", bottoms=("c",), tops=("c",), name="six")
    graph = nets.graph_of(tmp_path, text)
    assert graph.output_names == ("b", "c")
    assert [v.name for v in graph.outputs] == ["b", "c"]
    feeds = nets.feeds_of(graph)
    found = nets.run(graph, feeds)
    nets.close(found["c"], np.asarray(2 / (1 + np.exp(-np.abs(feeds["x"])))))


# Weights -----------------------------------------------------------------------------------------------------------


def expected(feeds: dict[str, Array]) -> Array:
    """NET's result, of loops."""
    x, y = feeds["x"], np.zeros((1, 3, 3, 3), np.float32)
    for m, i, j in np.ndindex(3, 3, 3):
        y[0, m, i, j] = (x[0, :, i : i + 3, j : j + 3] * WEIGHTS[0][m]).sum() + WEIGHTS[1][m]
    return y


def bytes_of(kind: str) -> bytes:
    """NET's .caffemodel in one of its forms."""
    made = messages()
    net = made["NetParameter"](name=b"net")
    old, oldest = kind in ("V1", "V0"), kind == "V0"
    layer = (net.layers if old else net.layer).add()
    owner = layer.layer if oldest else layer
    owner.name = b"it"
    for array in WEIGHTS:
        blob = owner.blobs.add()
        if old or kind == "legacy sizes":
            four = (1,) * (4 - array.ndim) + array.shape
            blob.num, blob.channels, blob.height, blob.width = four
        else:
            blob.shape.dim.extend(array.shape)
        if kind == "double":
            blob.double_data.append(array.astype("<f8").tobytes())
        elif kind == "half":
            blob.raw_data_type, blob.raw_data = 2, array.astype("<f2").tobytes()
        elif kind == "raw":
            blob.raw_data_type, blob.raw_data = 1, array.tobytes()
        elif kind == "pieces":
            blob.data.extend([array.tobytes()[:8], array.tobytes()[8:]])
        else:
            blob.data.append(array.tobytes())
    data: bytes = net.SerializeToString()
    return data


@pytest.mark.parametrize("kind", ["new", "legacy sizes", "V1", "V0", "double", "half", "raw", "pieces"])
def test_forms_of_weights(kind: str, tmp_path: Path) -> None:
    path = nets.write(tmp_path, NET)
    path.with_suffix(".caffemodel").write_bytes(bytes_of(kind))
    graph = read(path)
    feeds = nets.feeds_of(graph)
    nets.close(nets.run(graph, feeds)["y"], expected(feeds), 1e-3 if kind == "half" else 1e-5)


def test_numbers_that_are_not_packed(tmp_path: Path) -> None:
    """As protobuf 2 wrote them without the option: a tag for each."""
    numbers = b"".join(b"\x2d" + struct.pack("<f", v) for v in WEIGHTS[1])
    shape = b"\x3a\x03\x0a\x01\x03"
    blob = b"\x3a" + bytes([len(shape) + len(numbers)]) + shape + numbers
    layer = b"\x0a\x02it" + blob
    path = nets.write(tmp_path, nets.heads({"x": (1, 3, 2, 2)}) + nets.layer("Bias"))
    path.with_suffix(".caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    graph = read(path)
    feeds = nets.feeds_of(graph)
    nets.close(nets.run(graph, feeds)["y"], feeds["x"] + WEIGHTS[1][:, None, None])


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    graph = nets.graph_of(tmp_path, NET, {"it": WEIGHTS})
    weight = next(v.data for v in graph.constants if v.data is not None and v.data.ndim == 4)
    assert not weight.flags.writeable
    assert not weight.flags.owndata


def test_other_files_of_weights(tmp_path: Path) -> None:
    path = nets.write(tmp_path, NET, {"it": WEIGHTS})
    other = tmp_path / "other.bin"
    shutil.move(path.with_suffix(".caffemodel"), other)
    assert problems(path) == [("MC235", "", "there are no weights: net.caffemodel is not there")]
    assert len(read(path, weights=other)) == 1
    assert problems(path, weights=tmp_path / "none.caffemodel")[0][0] == "MC235"
    assert len(load(path, weights=other)) == 1
    shutil.move(other, path.with_suffix(".caffemodel"))
    assert len(read(path.with_suffix(".caffemodel"))) == 1
    path.unlink()
    assert problems(path.with_suffix(".caffemodel"))[0][0] == "MC239"


def test_a_net_without_weights_needs_no_file(tmp_path: Path) -> None:
    assert len(nets.graph_of(tmp_path, nets.heads(IMAGE) + nets.layer("ReLU"))) == 1


def test_random_weights_are_the_same_each_time(tmp_path: Path) -> None:
    text = NET + nets.layer("BatchNorm", bottoms=("y",), tops=("z",), name="norm")
    path = nets.write(tmp_path, text)
    graphs = [read(path, random_weights=seed) for seed in (1, 1, 2)]
    feeds = nets.feeds_of(graphs[0])
    first, again, other = (nets.run(graph, feeds)["z"] for graph in graphs)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    norm = next(node for node in graphs[0] if isinstance(node.op, ops.BatchNorm))
    mean, variance = (v.constant for v in norm.inputs[3:5])
    assert (mean != 0).all()
    assert (np.abs(variance - 1) > 1e-6).all()


def test_layers_that_share_weights_share_random_ones(tmp_path: Path) -> None:
    text = nets.heads({"x": (1, 3, 4, 4)})
    shared = 'param { name: "w" } param { name: "b" } convolution_param { num_output: 3 kernel_size: 1 }'
    for name in ("one", "two"):
        text += nets.layer("Convolution", shared, tops=(name,), name=name)
    graph = read(nets.write(tmp_path, text), random_weights=4)
    found = nets.run(graph, nets.feeds_of(graph))
    assert np.array_equal(found["one"], found["two"])


def test_weights_of_another_net(tmp_path: Path) -> None:
    text = nets.heads({"x": (1, 3, 5, 5)})
    for i in range(6):
        text += nets.layer("Convolution", CONV.replace("3 }", "1 }"), tops=("x",), name=f"c{i}")
    blobs = {"c0": [np.ones((3, 3, 1, 1), np.float32), np.ones(3, np.float32)], "c1": WEIGHTS}
    path = nets.write(tmp_path, text, {**blobs, "c2": [np.ones((3, 3, 1, 1), np.float32)]})
    found = problems(path)
    assert {code for code, _, _ in found} == {"MC234"}
    assert found[0] == (
        "MC234", "net.prototxt:4 (Convolution 'c1')",
        "layer 'c1': blob 0 should be [3, 3, 1, 1], and net.caffemodel has [3, 2, 3, 3]",
    )  # fmt: skip
    assert "layer 'c2': blob 1 should be [3], and net.caffemodel has 1 blobs" in found[1][2]
    assert "layer 'c3': blob 0 should be [3, 3, 1, 1], and net.caffemodel has nothing under that name" in found[2][2]
    assert "c0" not in "".join(what for _, _, what in found)


@pytest.mark.parametrize("data", [b"", b"\x0a", b"not a model at all", b"\xa2\x06\x7f\x01", b"\xa2\x06\x02\x3a\x7f"])
def test_damaged_weights(data: bytes, tmp_path: Path) -> None:
    path = nets.write(tmp_path, NET)
    path.with_suffix(".caffemodel").write_bytes(data)
    assert problems(path)[0][0] in ("MC233", "MC234")


# Training nets -------------------------------------------------------------------------------------------------------

TRAINING = """
name: "train_val"
layer { name: "data" type: "Data" top: "x" top: "label" include { phase: TRAIN }
        data_param { source: "a" batch_size: 9 } }
layer { name: "data" type: "Data" top: "x" top: "label" include { phase: TEST } transform_param { crop_size: 5 }
        data_param { source: "b" batch_size: 1 } }
layer { name: "noise" type: "Unknown" bottom: "x" top: "x" include { phase: TRAIN } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" param { lr_mult: 1 } param { lr_mult: 2 }
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } bias_filler { type: "constant" } } }
layer { name: "extra" type: "ReLU" bottom: "ip" top: "r" exclude { phase: TEST } }
layer { name: "deep" type: "ReLU" bottom: "ip" top: "deep" include { stage: "deploy" } }
layer { name: "shallow" type: "ReLU" bottom: "ip" top: "shallow"
        include { not_stage: "deploy" min_level: 0 max_level: 3 } }
layer { name: "half" type: "Power" bottom: "label" top: "half" power_param { scale: 0.5 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 1 }
layer { name: "far" type: "EuclideanLoss" bottom: "shallow" bottom: "half" top: "far" }
layer { name: "quiet" type: "Silence" bottom: "label" }
"""


def test_a_training_net_is_reduced(tmp_path: Path) -> None:
    path = nets.write(tmp_path, TRAINING)
    graph = read(path, random_weights=1, input_shapes={"x": (1, 2, 5, 5)})
    assert [v.name for v in graph.inputs] == ["x"]
    assert graph.output_names == ("shallow", "loss")
    assert [type(node.op).__name__ for node in graph] == ["Flatten", "Linear", "Relu", "Softmax"]
    assert graph.notes == [
        "9 layers of training and testing left out: Accuracy, Data, EuclideanLoss, Power, ReLU, Silence, Unknown"
    ]
    assert problems(path, random_weights=1)[0] == (
        "MC122", "net.prototxt:5 (Data 'data')", "the size of input 'x' is not in the .prototxt",
    )  # fmt: skip


def test_the_state_chooses_stages(tmp_path: Path) -> None:
    path = nets.write(tmp_path, 'state { stage: "deploy" level: 2 }' + TRAINING)
    graph = read(path, random_weights=1, input_shapes={"x": (1, 2, 5, 5)})
    assert graph.output_names == ("deep", "loss")


def test_data_of_training_only(tmp_path: Path) -> None:
    text = 'layer { name: "d" type: "Data" top: "x" include { phase: TRAIN } }' + nets.layer("ReLU")
    graph = nets.graph_of(tmp_path, text, input_shapes={"x": (1, 3)})
    assert [v.name for v in graph.inputs] == ["x"]


@pytest.mark.parametrize(("loss", "operator"), [("SoftmaxWithLoss", "Softmax"), ("SigmoidCrossEntropyLoss", "Sigmoid")])
def test_losses_that_become_layers(loss: str, operator: str, tmp_path: Path) -> None:
    text = nets.heads({"x": (1, 4), "label": (1,)})
    loss_layer = nets.layer(loss, "loss_param { ignore_label: 1 }", bottoms=("x", "label"), tops=("p",), name="loss")
    graph = nets.graph_of(tmp_path, text + loss_layer)
    assert [type(node.op).__name__ for node in graph] == [operator]
    assert graph.output_names[-1] == "p"
    own = nets.layer(operator, tops=("q",))
    graph = nets.graph_of(tmp_path, text + own + loss_layer)
    assert [type(node.op).__name__ for node in graph] == [operator]


@nets.needs_opencv
def test_opencv_runs_a_reduced_net(tmp_path: Path) -> None:
    path = nets.write(tmp_path, TRAINING)
    graph = read(path, random_weights=1, input_shapes={"x": (1, 2, 5, 5)})
    feeds = nets.feeds_of(graph)
    from mconv.frontends.caffe.runtime import run

    found = run({".prototxt": str(path)}, feeds, graph.output_names, random_weights=1)
    for name, array in nets.run(graph, feeds).items():
        nets.close(found[name], array)


# What is told ----------------------------------------------------------------------------------------------------


def test_all_unknown_layers_are_told_at_once(tmp_path: Path) -> None:
    text = nets.heads(IMAGE) + nets.layer("Foo", "foo_param { a: 1 }", name="a") + nets.layer("ReLU", tops=("z",))
    text += nets.layer("Bar", bottoms=("y",), tops=("u",), name="b") + nets.layer("Filter", tops=("f",), name="c")
    text += nets.layer("Foo", tops=("v",), name="d")
    text += nets.layer("Python", 'python_param { module: "rpn" layer: "Proposal" }', tops=("w",), name="p")
    found = problems(nets.write(tmp_path, text))
    assert found == [
        ("MC330", "net.prototxt:2 (Foo 'a') and 1 more like it", "layer type Foo is not read"),
        ("MC330", "net.prototxt:6 (Bar 'b')", "layer type Bar is not read"),
        ("MC330", "net.prototxt:8 (Filter 'c')", "layer type Filter is not read"),
        (
            "MC331",
            "net.prototxt:12 (Python 'p')",
            "layer 'p' is code in Python (Python: rpn.Proposal), which is not run",
        ),
    ]
    assert not list(tmp_path.glob("*.py*"))


@pytest.mark.parametrize(
    ("layer", "code", "place", "words"),
    [
        (nets.layer("ReLU", "relu_param { slope: 1 }"), "MC232", ":4:16", "'slope' is no field of ReLUParameter"),
        (
            nets.layer("ReLU", "relu_param { negative_slope: a }"),
            "MC232",
            ":4:32",
            "'negative_slope' is a number, not a",
        ),
        (nets.layer("ReLU", "relu_param: 3"), "MC232", ":4:3", "'relu_param' is a message in braces, not 3"),
        (nets.layer("ReLU", "bias_term: true"), "MC232", ":4:3", "'bias_term' is no field of LayerParameter"),
        (
            nets.layer("Pooling", 'pooling_param { pool: "MAX" }'),
            "MC232",
            ":4:25",
            'is one of MAX, AVE, STOCHASTIC, not "MAX"',
        ),
        (nets.layer("Pooling", "pooling_param { pool: MEAN }"), "MC232", ":4:25", "not MEAN"),
        (
            nets.layer("Pooling", "pooling_param { kernel_size: -1 }"),
            "MC232",
            ":4:32",
            "an integer from 0 to 4294967295, not -1",
        ),
        (nets.layer("Dropout", "dropout_param { scale_train: 7 }"), "MC232", ":4:32", "true or false, not 7"),
        (nets.layer("ReLU", "tile_param { tiles: 2 }"), "MC333", ":4:3", "ReLU's field tile_param is not understood"),
        (
            nets.layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"),
            "MC332",
            ":3 (",
            "a stochastic pool",
        ),
        (nets.layer("Pooling", "pooling_param { pool: MAX }"), "MC237", ":3 (", "kernel_size is not given"),
        (
            nets.layer("Pooling", "pooling_param { kernel_size: 1 stride: 3 }"),
            "MC332",
            ":3 (",
            "begins beyond the image",
        ),
        (nets.layer("Tile", "tile_param { }"), "MC232", ":3 (", "'tiles' is not given"),
        (nets.layer("Pooling", "pooling_param { kernel_size: 9 }"), "MC237", ":3 (", "a window of 9"),
        (nets.layer("Convolution", CONV + " "), "MC234", ":3 (", "nothing under that name"),
        (nets.layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "MC332", ":3 (", "use_global_stats"),
        (nets.layer("Reshape", "reshape_param { shape { dim: 7 dim: -1 } }"), "MC237", ":3 (", "Reshape"),
        (nets.layer("ReLU", bottoms=("z",)), "MC236", ":3 (", "nobody makes blob 'z' before it is read"),
        (nets.layer("ReLU", tops=("y", "y")), "MC237", ":3 (", "makes 1 tops, not 2"),
        (nets.layer("AbsVal") + nets.layer("TanH"), "MC236", ":5 (", "blob 'y' is made twice"),
        (nets.layer("Eltwise", bottoms=("x", "z")), "MC236", ":3 (", "nobody makes blob 'z'"),
        (
            nets.layer("ReLU", tops=("x",)) + nets.layer("Silence", tops=()),
            "MC236",
            "net.prototxt",
            "the net gives nothing",
        ),
        (
            nets.layer("Slice", "slice_param { slice_point: 2 }", tops=("y", "z")),
            "MC237",
            ":3 (",
            "slice_point [2] of 2",
        ),
        (
            nets.layer("InnerProduct", "inner_product_param { num_output: 3000000000 }"),
            "MC238",
            ":3 (",
            "weights of sizes",
        ),
    ],
)
def test_layers_that_are_wrong(layer: str, code: str, place: str, words: str, tmp_path: Path) -> None:
    path = nets.write(tmp_path, nets.heads(IMAGE) + "\n" + layer, {"-": []})
    found = problems(path)
    assert found[0][0] == code, found
    assert place in found[0][1]
    assert words in found[0][2]


def test_several_wrong_layers_are_told_together(tmp_path: Path) -> None:
    text = nets.heads(IMAGE) + nets.layer("Tile", "tile_param { }", tops=("a",), name="one")
    text += nets.layer("ReLU", bottoms=("a",), tops=("b",), name="follows")
    text += nets.layer("Permute", "permute_param { order: 7 }", tops=("c",), name="two")
    assert [code for code, _, _ in problems(nets.write(tmp_path, text))] == ["MC232", "MC237"]


def test_huge_blobs_are_refused(tmp_path: Path) -> None:
    for text in (nets.heads({"x": (1, 10**6, 10**3, 10**3)}), nets.heads({"x": (10**12,)})):
        with pytest.raises(UnreadableError, match="MC238"):
            read(nets.write(tmp_path, text + nets.layer("ReLU")))


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"name: 'x'\0")
    assert problems(path)[0][0] == "MC230"
    assert problems(tmp_path / "none.prototxt")[0][0] == "MC230"
    path.write_bytes(b"\xef\xbb\xbf# caf\xe9\n" + (nets.heads(IMAGE) + nets.layer("ReLU")).encode())
    assert len(read(path)) == 1


def test_the_format_is_told_by_content(tmp_path: Path) -> None:
    path = nets.write(tmp_path, "# a net\n" + nets.heads(IMAGE) + nets.layer("ReLU"))
    other = path.rename(tmp_path / "deploy.txt")
    assert len(load(other)) == 1
    with pytest.raises(UnsupportedError, match="MC330"):
        load(nets.write(tmp_path, nets.heads(IMAGE) + nets.layer("Foo")))
