"""A file's format is found by its content, whatever its name; options are for the formats that take them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mconv.frontends import Reading, files_of, format_of, load
from mconv.ir.errors import UnreadableError, UsageError


def node_def(name: bytes, op: bytes) -> bytes:
    inner = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(op)]) + op
    return b"\x0a" + bytes([len(inner)]) + inner


CONTENTS = {
    "ncnn": b"7767517\n2 2\n",
    "tflite": b"\x1c\0\0\0TFL3" + bytes(40),
    "tensorflow": node_def(b"input", b"Placeholder"),
    "onnx": b"\x08\x07\x12\x07pytorch",
    "keras": b"\x89HDF\r\n\x1a\n",
}
TEXTS = [
    'name: "net"\nlayer { }', "# a comment\n\n  input: 'data'\ninput_dim: 1", "layers {\n}", "input_shape { dim: 1 }",
]  # fmt: skip
CAFFEMODELS = [b"\x0a\x03net\xa2\x06\x05", b"\x0a\x03net\x12\x05"]
SAVED_MODEL = b"\x08\x01\x12\x10\x0a\x0e" + bytes(14)


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("format", CONTENTS)
@pytest.mark.parametrize("name", ["model", "model.onnx", "model.pb", "model.bin"])
def test_content_decides(format, name, tmp_path):
    assert format_of(written(tmp_path / name, CONTENTS[format])).name == format


@pytest.mark.parametrize("text", TEXTS)
def test_prototxt_is_known_by_its_first_field(text, tmp_path):
    assert format_of(written(tmp_path / "net.txt", text)).name == "caffe"


@pytest.mark.parametrize("content", CAFFEMODELS)
def test_caffemodels_are_known_by_their_first_layer(content, tmp_path):
    assert format_of(written(tmp_path / "net.dat", content)).name == "caffe"


def test_a_saved_model_is_a_folder_or_the_file_in_it(tmp_path):
    path = written(tmp_path / "saved_model.pb", SAVED_MODEL)
    assert format_of(path).name == format_of(tmp_path).name == "tensorflow"
    assert files_of(tmp_path, Reading()) == files_of(path, Reading()) == {"": str(tmp_path)}


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UsageError, match="MC110"):
        format_of(tmp_path)


def test_only_zip_archives_of_keras_are_keras_files(tmp_path):
    for name, members in (("a", ("config.json", "metadata.json")), ("b", ("data.pkl",))):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in members:
                archive.writestr(member, "{}")
    assert format_of(tmp_path / "a").name == "keras"
    with pytest.raises(UnreadableError, match="zip archive that is no Keras file"):
        format_of(tmp_path / "b")


def test_either_file_of_a_pair_stands_for_both(tmp_path):
    net = written(tmp_path / "n.prototxt", TEXTS[0])
    weights = written(tmp_path / "n.caffemodel", CAFFEMODELS[0])
    both = {".prototxt": str(net), ".caffemodel": str(weights)}
    assert files_of(net, Reading()) == files_of(weights, Reading()) == both
    other = tmp_path / "other.caffemodel"
    assert files_of(net, Reading(weights=other)) == {**both, ".caffemodel": str(other)}


@pytest.mark.parametrize(
    ("option", "flag"), [({"signature": "a"}, "--signature"), ({"random_weights": 0}, "--random-weights")]
)
def test_an_option_of_another_format_is_refused(option, flag, tmp_path):
    with pytest.raises(UsageError, match=f"MC114 {flag}"):
        load(written(tmp_path / "n.onnx", CONTENTS["onnx"]), **option)


def test_an_object_that_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"MC110 an object of builtins\.int"):
        load(3)
