"""A schema in text gives message classes that read what protobuf's own wire format says."""

from __future__ import annotations

import pytest

from mconv.frontends.protobuf import enum_numbers, schema

TEXT = """
// only what is read
enum Phase { TRAIN = 0; TEST = 1; }
message Shape { repeated int64 dim = 1 [packed = true]; }
message Layer {
  optional string name = 1;
  optional float scale = 2 [default = 1.5];
  optional Phase phase = 3 [default = TEST];
  repeated Shape shape = 4;
  map<string, Layer> inner = 7;
  optional bytes raw = 9;
}
"""


def test_messages_keep_what_they_are_given_over_the_wire():
    Layer = schema(TEXT, "mconv.test.one")["Layer"]
    layer = Layer(name="a", shape=[{"dim": [1, 300]}], raw=b"\xff")
    layer.inner["x"].scale = 2.0
    again = Layer.FromString(layer.SerializeToString())
    assert list(again.shape[0].dim) == [1, 300]
    assert again.inner["x"].scale == 2.0
    assert again.raw == b"\xff"
    assert (again.scale, again.phase) == (1.5, 1)
    assert not again.HasField("scale")
    assert enum_numbers(Layer, "phase") == {"TRAIN": 0, "TEST": 1}


def test_wire_bytes_are_those_of_the_numbers():
    Layer = schema(TEXT, "mconv.test.one")["Layer"]
    assert Layer(name="ab", phase=0).SerializeToString() == b"\x0a\x02ab\x18\x00"


def test_fields_that_the_schema_has_not_are_skipped():
    Layer = schema(TEXT, "mconv.test.one")["Layer"]
    assert Layer.FromString(b"\x0a\x01n\xa8\x06\x07").name == "n"


BAD = ["service A {}", "message A { int32 x 1; }", "message A { int32 x = 1 [odd = 2]; }", "§"]


@pytest.mark.parametrize("text", BAD)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|not understood|neither|no option"):
        schema(text, "mconv.test.bad")
