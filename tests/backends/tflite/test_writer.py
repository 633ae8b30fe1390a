"""What a written file says of itself: identifier, alignment, signature, versions; and what is refused before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mconv.backends import get
from mconv.backends.tflite.model import Model, SubGraph, Tensor
from mconv.backends.tflite.versions import runtime_version
from mconv.backends.tflite.writer import ALIGNMENT, to_bytes
from mconv.ir import Builder, DType, Graph, Symbol, ops
from mconv.ir.errors import UnsupportedError

from ..ncnn.nets import numbers
from .models import check, emit, operators, run

tflite = pytest.importorskip("tflite")


def network(batch: object = 1) -> Graph:
    """Conv, Relu, Reshape, Linear."""
    b = Builder()
    x = b.input("image", DType.F32, (batch, 3, 8, 8))
    y = b.add(ops.Conv((1, 1), (1, 1, 1, 1), (1, 1)), x, b.constant(numbers(16, 3, 3, 3)), b.constant(numbers(16)))
    flat = b.add(ops.Reshape((0, 16 * 64)), b.add(ops.Relu(), y))
    b.output(b.add(ops.Linear(), flat, b.constant(numbers(5, 16 * 64)), None), "scores")
    return b.graph


def written(**options: object) -> bytes:
    return emit(network(), **options).content(".tflite")


def root(content: bytes) -> Any:
    return tflite.Model.GetRootAs(content, 0)


def test_it_names_its_format() -> None:
    content = written()
    assert content[4:8] == b"TFL3"
    assert root(content).Version() == 3


def test_contents_are_aligned_in_the_file() -> None:
    content = written()
    model = root(content)
    whole = np.frombuffer(content, np.uint8)
    starts = []
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if not isinstance(data, int):
            starts.append(data.__array_interface__["data"][0] - whole.__array_interface__["data"][0])
    assert len(starts) > 3
    assert not any(start % ALIGNMENT for start in starts)
    assert model.Buffers(0).DataIsNone()


def test_the_signature_names_inputs_and_outputs() -> None:
    model = root(written())
    signature = model.SignatureDefs(0)
    assert signature.SignatureKey() == b"serving_default"
    assert [signature.Inputs(0).Name(), signature.Outputs(0).Name()] == [b"image", b"scores"]
    assert signature.Inputs(0).TensorIndex() == model.Subgraphs(0).Inputs(0)


def test_metadata_states_the_oldest_runtime() -> None:
    model = root(written())
    assert model.Metadata(0).Name() == b"min_runtime_version"
    content = bytes(model.Buffers(model.Metadata(0).Buffer()).DataAsNumpy())
    assert content.rstrip(b"\0").decode() == "1.6.0"  # TRANSPOSE brought it
    assert len(content) == 16


def test_versions_are_the_lowest_that_fit() -> None:
    found = dict(operators(written()))
    assert found["CONV_2D"] == 1
    assert found["FULLY_CONNECTED"] == 1
    single = Model([SubGraph("g")], (), ())
    assert runtime_version(single) == "1.5.0"


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert written() == written()


def test_weights_of_16_bits_stand_behind_a_dequantize() -> None:
    graph = network()
    content = check(graph, {"image": numbers(1, 3, 8, 8)}, rtol=2e-3, fp16=True)
    assert sum(name == "DEQUANTIZE" for name, _ in operators(content)) == 2
    assert len(content) < 0.6 * len(written())


def chain(layers: int, shared: bool) -> Graph:
    """Convolutions in a row, each with weights of its own or all with the same."""
    b = Builder()
    random = np.random.default_rng(0)
    x = b.input("image", DType.F32, (1, 8, 4, 4))
    weights = [b.constant(random.standard_normal((8, 8, 3, 3)).astype(np.float32) / 8) for _ in range(layers)]
    for layer in range(layers):
        x = b.add(ops.Conv((1, 1), (1, 1, 1, 1), (1, 1)), x, weights[0 if shared else layer])
    b.output(x, "y")
    return b.graph


def test_many_weights_of_16_bits_are_not_taken_for_each_other() -> None:
    check(chain(20, shared=False), {"image": numbers(1, 8, 4, 4)}, rtol=1e-2, fp16=True)


def test_weights_that_are_used_twice_are_stored_once() -> None:
    once, many = (len(emit(chain(n, shared=True)).content(".tflite")) for n in (1, 10))
    assert many < once + 8 * 8 * 8 * 9


def test_a_batch_known_at_run_time() -> None:
    content = emit(network(Symbol("N"))).content(".tflite")
    for batch in (1, 3):
        image = numbers(batch, 3, 8, 8)
        found = run(content, {"image": image}, ["scores"])["scores"]
        one = run(content, {"image": image[-1:]}, ["scores"])["scores"]
        assert found.shape == (batch, 5)
        np.testing.assert_allclose(found[-1:], one, rtol=1e-5, atol=1e-5)


def test_more_than_a_file_holds_is_refused() -> None:
    large = np.broadcast_to(np.float32(0), (1 << 15, 1 << 15))  # 4 GB that take no memory
    graph = SubGraph("g", [Tensor("w", DType.F32, large.shape, None, large)], [], [], [0])
    with pytest.raises(UnsupportedError, match="MC346"):
        to_bytes(Model([graph], (), ("w",)))


def test_refusals_name_their_codes() -> None:
    b = Builder()
    x = b.input("x", DType.F64, (2,))
    b.output(b.add(ops.Exp(), x), "y")
    with pytest.raises(UnsupportedError, match="MC341"):
        get("tflite").emit(b.graph)
    b = Builder()
    x = b.input("x", DType.F32, (2,))
    b.output(b.add(ops.Unique(), x), "y")
    with pytest.raises(UnsupportedError, match="MC340"):
        get("tflite").emit(b.graph)


def test_scatter_brings_a_subgraph_that_combines_two_elements() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (4,))
    y = b.add(ops.ScatterND("mul"), x, b.constant(np.array([[1], [1]])), b.constant(np.array([2, 3], np.float32)))
    b.output(y, "y")
    content = check(b.graph, {"x": numbers(4)})
    model = root(content)
    assert model.SubgraphsLength() == 2
    assert [model.Subgraphs(1).InputsLength(), model.Subgraphs(1).OutputsLength()] == [2, 1]
