"""Weights: views of the file's bytes, typed fields, packed integers, sparse tensors, data in files beside the model."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mconv import frontends
from mconv.frontends.onnx.model import GRAMMAR, MODEL
from mconv.frontends.wire import LARGE, WireError, cut
from mconv.ir.errors import UnreadableError
from mconv.ir.interpreter import run

from .models import code_of, single

TYPES = {
    TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16,
    TensorProto.BFLOAT16: ml_dtypes.bfloat16, TensorProto.INT8: np.int8, TensorProto.UINT8: np.uint8,
    TensorProto.INT16: np.int16, TensorProto.UINT16: np.uint16, TensorProto.INT32: np.int32,
    TensorProto.UINT32: np.uint32, TensorProto.INT64: np.int64, TensorProto.UINT64: np.uint64,
    TensorProto.BOOL: np.bool_,
}  # fmt: skip


def returns(tensor: onnx.TensorProto) -> onnx.ModelProto:
    """A model that returns a constant."""
    graph = helper.make_graph(
        [], "g", [], [helper.make_tensor_value_info(tensor.name, tensor.data_type, None)], [tensor]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("count", [0, 3, 3000])
def test_every_element_type_from_raw_and_typed_data(tmp_path: Path, kind: int, raw: bool, count: int) -> None:
    numbers = (np.arange(count) % 100).astype(TYPES[kind])
    if raw:
        tensor = helper.make_tensor("c", kind, [count], numbers.tobytes(), raw=True)
    else:
        tensor = helper.make_tensor("c", kind, [count], numbers.tolist())
    for source in (returns(tensor), tmp_path / "m.onnx"):
        if isinstance(source, Path):
            source.write_bytes(returns(tensor).SerializeToString())
        found = frontends.load(source).outputs[0].constant
        assert found.dtype == numbers.dtype
        np.testing.assert_array_equal(found.astype(np.float64), numbers.astype(np.float64))
        assert not found.flags.writeable


def test_large_weights_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    size = 8_000_000
    model = single("Add", {"x": [size]}, initializers={"w": np.arange(size, dtype=np.float32)})
    path = tmp_path / "large.onnx"
    path.write_bytes(model.SerializeToString())
    del model
    tracemalloc.start()
    graph = frontends.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000  # of 32 MB
    weight = next(value for value in graph.constants)
    assert weight.constant[-1] == size - 1


def test_constant_nodes_and_bodies_are_cut_too(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones(5000, np.float32), "w")
    data = onnx.ModelProto(
        graph=helper.make_graph([helper.make_node("Constant", [], ["y"], value=weight)], "g", [], [])
    )
    skeleton = cut(memoryview(data.SerializeToString()), GRAMMAR, MODEL)
    assert len(skeleton.spans) == 1
    assert len(skeleton.data) < 300
    assert skeleton.spans[0].end - skeleton.spans[0].begin == 20_000


def test_a_skeleton_without_large_tensors_is_the_model() -> None:
    data = single("Add", {"x": [2]}, initializers={"w": np.ones(2, np.float32)}).SerializeToString()
    assert cut(memoryview(data), GRAMMAR, MODEL).data == data
    for wrong in (b"\x00", b"\x0b", b"\x0a\xff", b"\x08" + b"\xff" * 20):
        with pytest.raises(WireError):
            cut(memoryview(wrong), GRAMMAR, MODEL)


def test_a_mark_cannot_be_forged(tmp_path: Path) -> None:
    model = single("Add", {"x": [LARGE]}, initializers={"w": np.ones(LARGE, np.float32)})
    fake = model.graph.initializer.add()
    fake.CopyFrom(onnx.numpy_helper.from_array(np.zeros(2, np.float32), "f"))
    fake.doc_string = "0" * 24 + "0"
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert len(frontends.load(path)) == 1


@pytest.mark.parametrize(("kind", "signed"), [(TensorProto.INT4, True), (TensorProto.UINT4, False)])
def test_packed_integers_feed_dequantize_only(kind: int, signed: bool) -> None:
    numbers = np.array([-8, -1, 0, 7, 3] if signed else [0, 15, 8, 7, 1])
    weight = helper.make_tensor("w", kind, [5], numbers.tolist())
    scale = onnx.numpy_helper.from_array(np.float32(0.5), "s")
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["w", "s"], ["y"])], "g", [], [result], [weight, scale]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    np.testing.assert_array_equal(run(frontends.load(model), {})["y"], numbers * 0.5)
    model.graph.node[0].op_type = "Transpose"
    del model.graph.node[0].input[1]
    with pytest.raises(Exception, match="MC304"):
        frontends.load(model)


def test_sparse_constants_become_dense() -> None:
    values = onnx.numpy_helper.from_array(np.float32([5, 7]), "c")
    indices = onnx.numpy_helper.from_array(np.array([1, 5]), "i")
    sparse = helper.make_sparse_tensor(values, indices, [2, 3])
    graph = helper.make_graph([], "g", [], [helper.make_tensor_value_info("c", 1, [2, 3])], sparse_initializer=[sparse])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    np.testing.assert_array_equal(frontends.load(model).outputs[0].constant, [[0, 5, 0], [0, 0, 7]])
    model.graph.sparse_initializer[0].indices.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 99]), "i"))
    with pytest.raises(UnreadableError) as error:
        frontends.load(model)
    assert code_of(error) == "MC208"


def external(folder: Path, location: str = "w.data", **entries: str) -> Path:
    """A model whose weight of 40 numbers is in another file, at offset 16."""
    model = single("Add", {"x": [40]}, initializers={"w": np.arange(40, dtype=np.float32)})
    tensor = model.graph.initializer[0]
    (folder / "w.data").write_bytes(b"." * 16 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "16", "length": "160", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_is_mapped(tmp_path: Path) -> None:
    graph = frontends.load(external(tmp_path))
    weight = graph.constants[0].constant
    np.testing.assert_array_equal(weight, np.arange(40))
    base = weight
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ({"location": "../w.data"}, "MC210"),
        ({"location": "/etc/passwd"}, "MC210"),
        ({"location": ""}, "MC210"),
        ({"location": "link"}, "MC210"),
        ({"location": "."}, "MC210"),
        ({"location": "none.data"}, "MC211"),
        ({"offset": "1000"}, "MC211"),
        ({"offset": "-4"}, "MC211"),
        ({"offset": "four"}, "MC210"),
        ({"length": "80"}, "MC208"),
        ({"length": str(10**18)}, "MC211"),
    ],
)
def test_external_data_stays_in_the_folder_and_in_the_file(tmp_path: Path, entries: dict[str, str], code: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "w.data").write_bytes(bytes(1000))
    (inside / "link").symlink_to(tmp_path / "w.data")
    with pytest.raises(UnreadableError) as error:
        frontends.load(external(inside, **entries))
    assert code_of(error) == code


def test_a_linked_model_finds_its_data_beside_either(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    external(home)
    for name in ("m.onnx", "w.data"):
        (other / name).symlink_to(home / name)
    assert len(frontends.load(other / "m.onnx")) == 1


def test_external_data_of_a_model_in_memory_is_refused(tmp_path: Path) -> None:
    model = onnx.load(str(external(tmp_path)), load_external_data=False)
    with pytest.raises(UnreadableError) as error:
        frontends.load(model)
    assert code_of(error) == "MC210"
