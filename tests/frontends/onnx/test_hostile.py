"""Files that are broken, hostile, or not models: each ends with a code, without a traceback, and quickly."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mconv import frontends
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError, UsageError

from .models import code_of, parsed, single


def simple(size: int = 4000) -> onnx.ModelProto:
    weight = np.arange(size, dtype=np.float32)
    return single("Add", {"x": [size]}, initializers={"w": weight})


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "MC200"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "MC201"),
        (b"\xff\xd8\xff\xe0" + bytes(range(200)), "MC202"),
        (b"PK\x03\x04" + bytes(100), "MC202"),
        (b"<html>not found</html>" * 10, "MC202"),
        (b"a text, and not a short one, that is no model at all", "MC202"),
        (b"\x80\x02}q\x00." * 20, "MC202"),
        (b"\x08\x08\x3a\xff\xff\xff\xff\x0f", "MC203"),
        (b"\x08\x08\x12\x04test", "MC204"),
    ],
)
def test_what_is_no_model_is_told(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as error:
        frontends.load(path)
    assert code_of(error) == code
    assert error.value.problems[0].hint


def test_a_folder_and_a_missing_file_are_usage_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.onnx", Path("nul\0.onnx")):
        with pytest.raises(UsageError) as error:
            frontends.load(path)
        assert code_of(error) == "MC110"


def test_every_cut_and_many_flips_end_with_a_code(tmp_path: Path) -> None:
    data = simple().SerializeToString()
    chance, path = random.Random(0), tmp_path / "m.onnx"
    broken = [data[: len(data) * i // 60] for i in range(1, 60)]
    for _ in range(300):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 3, 9))):
            place = chance.randrange(300) if chance.random() < 0.7 else len(data) - 1 - chance.randrange(300)
            flipped[place] ^= 1 << chance.randrange(8)
        broken.append(bytes(flipped))
    for content in broken:
        path.write_bytes(content)
        with suppress(UnreadableError, UnsupportedError):  # a flip may also do no harm
            frontends.load(path)


def nodes(*made: onnx.NodeProto, outputs: tuple[str, ...] = ("y",), opset: int = 17) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(made),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def with_weight(change: Callable[[onnx.TensorProto], object]) -> onnx.ModelProto:
    model = simple(8)
    change(model.graph.initializer[0])
    return model


BROKEN: dict[str, tuple[onnx.ModelProto, str]] = {
    "undefined input": (nodes(node("Relu", "nowhere", "y")), "MC213"),
    "missing output": (nodes(node("Relu", "x", "z")), "MC213"),
    "two nodes make one name": (nodes(node("Relu", "x", "y"), node("Abs", "x", "y")), "MC212"),
    "an output twice": (nodes(node("Relu", "x", "y"), outputs=("y", "y")), "MC212"),
    "a cycle": (nodes(node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")), "MC214"),
    "no outputs": (nodes(node("Relu", "x", "y"), outputs=()), "MC204"),
    "too few operands": (nodes(node("Add", "x", "y")), "MC218"),
    "too many operands": (nodes(node("Relu", "x x", "y")), "MC218"),
    "an attribute of another type": (nodes(node("Softmax", "x", "y", axis=1.5)), "MC217"),
    "an attribute that the specification has not": (nodes(node("Relu", "x", "y", slope=1)), "MC217"),
    "an axis that is not there": (nodes(node("Softmax", "x", "y", axis=7)), "MC219"),
    "operands that do not fit": (nodes(node("MatMul", "x x", "y")), "MC219"),
    "a reference to a function's attribute": (
        nodes(helper.make_node("Softmax", ["x"], ["y"])), "MC217"),
    "an operator of no opset": (nodes(helper.make_node("F", ["x"], ["y"], domain="own")), "MC207"),
    "weights without data": (with_weight(lambda t: t.ClearField("raw_data")), "MC208"),
    "too little data": (with_weight(lambda t: setattr(t, "raw_data", t.raw_data[:-4])), "MC208"),
    "a shape for more than the data": (with_weight(lambda t: t.dims.append(10**12)), "MC208"),
    "a negative dimension": (with_weight(lambda t: t.dims.append(-1)), "MC209"),
    "a hundred dimensions": (with_weight(lambda t: t.dims.extend([1] * 100)), "MC209"),
    "no element type": (with_weight(lambda t: setattr(t, "data_type", 0)), "MC221"),
    "an element type of the future": (with_weight(lambda t: setattr(t, "data_type", 99)), "MC221"),
}  # fmt: skip
_reference = BROKEN["a reference to a function's attribute"][0].graph.node[0].attribute.add()
_reference.name, _reference.ref_attr_name, _reference.type = "axis", "a", onnx.AttributeProto.INT

UNSUPPORTED: dict[str, tuple[onnx.ModelProto, str]] = {
    "an unknown operator": (nodes(node("Convolve", "x", "y")), "MC300"),
    "a trillion elements": (nodes(node("Range", "a b c", "y")), "MC213"),
    "strings": (single("Identity", {"x": [2]}, in_type=TensorProto.STRING, out_type=TensorProto.STRING), "MC304"),
    "float8": (with_weight(lambda t: setattr(t, "data_type", TensorProto.FLOAT8E4M3FN)), "MC304"),
    "random numbers": (nodes(node("RandomNormalLike", "x", "y")), "MC300"),
    "training": (nodes(node("Dropout", "x r t", "y")), "MC303"),
    "an old opset": (nodes(node("Add", "x x", "y"), opset=5), "MC307"),
}
for _name, _values in {"a trillion elements": {}, "training": {"r": np.float32(0.5), "t": np.array(True)}}.items():
    for _key, _value in _values.items():
        UNSUPPORTED[_name][0].graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(_value), _key))
UNSUPPORTED["a trillion elements"] = (
    single("ConstantOfShape", {}, initializers={"n": np.array([10**6, 10**6])}), "MC309")  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_unreadable(name: str) -> None:
    model, code = BROKEN[name]
    with pytest.raises(UnreadableError) as error:
        frontends.load(model)
    assert code_of(error) == code, str(error.value)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_sound_models_that_cannot_be_expressed_are_refused(name: str) -> None:
    model, code = UNSUPPORTED[name]
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    assert code_of(error) == code, str(error.value)


@pytest.mark.parametrize("op", ["Expand", "Tile", "Range", "ConstantOfShape"])
def test_a_trillion_elements_are_not_allocated(op: str) -> None:
    one, big = np.float32([1]), np.array([10**12])
    operands = {
        "Expand": {"a": one, "n": big},
        "Tile": {"a": one, "n": big},
        "Range": {"a": np.int64(0), "b": np.int64(10**12), "c": np.int64(1)},
        "ConstantOfShape": {"n": big},
    }[op]
    began = time.process_time()
    with pytest.raises(UnsupportedError) as error:
        frontends.load(single(op, {}, initializers=operands))
    assert code_of(error) == "MC309"
    assert time.process_time() - began < 2


def test_versions_from_the_future_are_refused_with_what_to_install() -> None:
    model = simple()
    model.opset_import[0].version = 999
    with pytest.raises(UnreadableError) as error:
        frontends.load(model)
    assert code_of(error) == "MC206"
    assert "pip install -U onnx" in str(error.value)
    model = simple()
    model.ir_version = 999
    with pytest.raises(UnreadableError) as error:
        frontends.load(model)
    assert code_of(error) == "MC205"


def test_an_attribute_nobody_reads_is_an_error() -> None:
    # The specification of Range knows stash_type from opset 27 on; of Conv no handler reads what it has not.
    model = nodes(node("Softmax", "x", "y", axis=1))
    model.graph.node[0].op_type = "Shape"
    with pytest.raises(MconvError) as error:
        frontends.load(model)
    assert code_of(error) in ("MC217", "MC302")


def test_all_that_is_unsupported_is_told_at_once_and_its_consequences_are_not() -> None:
    model = nodes(
        node("Foo", "x", "a"),
        node("Relu", "a", "b"),
        node("Bar", "b", "c"),
        node("Foo", "c", "d"),
        node("Relu", "d", "y"),
    )
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    whats = [problem.what for problem in error.value.problems]
    assert len(whats) == 2
    assert "1 more" in error.value.problems[0].where


def test_nodes_in_any_order_are_read() -> None:
    model = nodes(node("Relu", "b", "y"), node("Abs", "a", "b"), node("Neg", "x", "a"))
    assert [type(n.op).__name__ for n in frontends.load(model).nodes] == ["Neg", "Abs", "Relu"]


def test_unknown_domains_are_told_apart_from_unknown_operators() -> None:
    model = nodes(helper.make_node("F", ["x"], ["y"], domain="own"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(UnsupportedError) as error:
        frontends.load(model)
    assert code_of(error) == "MC301"


def test_functions_that_unfold_without_end_are_stopped() -> None:
    text = "".join(
        f'<domain: "local", opset_import: ["local": 1, "": 17]> f{i} (x) => (y) '
        f"{{ a = local.f{i + 1} (x)  y = local.f{i + 1} (a) }}\n"
        for i in range(25)
    )
    last = '<domain: "local", opset_import: ["": 17]> f25 (x) => (y) { y = Relu (x) }'
    began = time.process_time()
    with pytest.raises(UnreadableError) as error:
        frontends.load(parsed("g (float[2] x) => (float[2] y) { y = local.f0 (x) }", domains=text + last))
    assert code_of(error) == "MC216"
    assert time.process_time() - began < 5
    endless = '<domain: "local", opset_import: ["local": 1]> f (x) => (y) { y = local.f (x) }'
    with pytest.raises(UnreadableError) as error:
        frontends.load(parsed("g (float[2] x) => (float[2] y) { y = local.f (x) }", domains=endless))
    assert code_of(error) == "MC216"


def test_deep_bodies_are_stopped(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length, head = len(content), bytes([number << 3 | 2])
        digits = [length >> shift & 0x7F for shift in range(0, 35, 7)]
        return head + bytes([*(d | 0x80 for d in digits[:-1]), digits[-1]]) + content

    graph = field(1, field(4, b"Relu"))
    for _ in range(300):
        attribute = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, field(4, b"If") + field(5, attribute))
    path = tmp_path / "deep.onnx"
    path.write_bytes(b"\x08\x08" + field(7, graph))
    with pytest.raises(UnreadableError) as error:
        frontends.load(path)
    assert code_of(error) == "MC203"
