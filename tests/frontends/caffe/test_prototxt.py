"""The text format: all its ways of writing, and errors that tell file, line, column and token."""

from __future__ import annotations

import time

import pytest

from mconv.frontends.caffe.prototxt import MAX_DEPTH, MAX_TOKENS, Message, parse
from mconv.frontends.caffe.reader import net_in
from mconv.ir.errors import UnreadableError

from . import nets


def plain(message: Message) -> list[object]:
    """Names with their values."""
    return [(f.name, plain(f.value) if isinstance(f.value, Message) else f.value.text) for f in message.fields]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1", [("a", "1")]),
        ("# a net\na: 1 # one\n#end", [("a", "1")]),
        ("a{b:1}c<d:2>", [("a", [("b", "1")]), ("c", [("d", "2")])]),
        ("a: { b: 1 } a: <>", [("a", [("b", "1")]), ("a", [])]),
        ("a: 1 a: 2", [("a", "1"), ("a", "2")]),
        ("a: [1, 2]", [("a", "1"), ("a", "2")]),
        ("a: [{b: 1}, <b: 2>]", [("a", [("b", "1")]), ("a", [("b", "2")])]),
        ("a: []", []),
        ("a: 1; b: 2, c: 3", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("a: 'one' \"two\"\n'three'", [("a", "onetwothree")]),
        (r"""a: "\"q\" \\ \n \x41 \101" b: 'it\'s "so"'""", [("a", '"q" \\ \n A A'), ("b", 'it\'s "so"')]),
        ('a: "caf\u00e9 # no comment"', [("a", "caf\u00e9 # no comment")]),
        ("a: MAX b: true c: inf d: -inf", [("a", "MAX"), ("b", "true"), ("c", "inf"), ("d", "-inf")]),
        ("a: 0x1F b: 010 c: -3", [("a", "0x1F"), ("b", "010"), ("c", "-3")]),
        (
            "a: 1.5f b: .5 c: 1. d: 1e-4 e: 2E+3F",
            [("a", "1.5f"), ("b", ".5"), ("c", "1."), ("d", "1e-4"), ("e", "2E+3F")],
        ),
        ("", []),
        ("\r\n\ta:\t1\r\n", [("a", "1")]),
    ],
)
def test_ways_of_writing(text: str, wanted: list[object]) -> None:
    assert plain(parse(text, "net.prototxt")) == wanted


def test_places() -> None:
    message = parse('a: 1\n  b {\n    c: "x"\n  }', "net.prototxt")
    inner = message.fields[1]
    assert (inner.line, inner.column) == (2, 3)
    assert (inner.value.fields[0].line, inner.value.fields[0].column) == (3, 5)
    assert (inner.value.fields[0].value.line, inner.value.fields[0].value.column) == (3, 8)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: }", "net.prototxt:2:4", "'}' is not expected here; a value is, after the ':'"),
        ("a: 1\n  } b: 2", "net.prototxt:2:3", "'}' is not expected here; a field's name is"),
        ("a { b 1 }", "net.prototxt:1:7", "'1' is not expected here; a ':' or '{' is, after a field's name"),
        ("a: [1 2]", "net.prototxt:1:7", "'2' is not expected here; a ',' or ']' is"),
        ("a: [1, ]", "net.prototxt:1:8", "']' is not expected here"),
        ('a: "open\nb: 1', "net.prototxt:1:4", 'the text "open does not end on its line'),
        ("a: 1\n\nb: $x c: 2", "net.prototxt:3:4", "'$x' means nothing here"),
        ("a: 1 b: 1..2", "net.prototxt:1:11", "'.2' is not expected here"),
        ("layer {\n  a: 1\n", "net.prototxt:3", "the '{' of line 1 is not closed"),
        ("a:", "net.prototxt:1", "a value is missing"),
        ("a: -b", "net.prototxt:1:4", "'-b' means nothing here"),
    ],
)
def test_syntax_errors(text: str, place: str, words: str) -> None:
    with pytest.raises(UnreadableError) as error:
        parse(text, "net.prototxt")
    problem = error.value.problems[0]
    assert problem.code == "MC231"
    assert problem.where == place
    assert words in problem.what


def test_nesting_is_bounded() -> None:
    assert parse("a{" * MAX_DEPTH + "}" * MAX_DEPTH, "net.prototxt")
    with pytest.raises(UnreadableError, match="MC238"):
        parse("a{" * 100_000, "net.prototxt")
    with pytest.raises(UnreadableError, match="MC238"):
        parse("a:1 " * MAX_TOKENS, "net.prototxt")


def test_three_thousand_lines_in_less_than_a_second(tmp_path) -> None:  # type: ignore[no-untyped-def]
    one = nets.layer("Convolution", "convolution_param {\n num_output: 3\n kernel_size: 3\n}\n", tops=("x",))
    text = one * (3000 // one.count("\n"))
    parse(one, "net.prototxt")  # lark is imported, its tables are made
    began = time.process_time()
    parse(text, "net.prototxt")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('nam: "x"', "net.prototxt:1:1", "'nam' is no field of NetParameter"),
        ("name: x", "net.prototxt:1:7", "'name' is a text in quotes, not x"),
        ('name: "x" name: "y"', "net.prototxt:1:11", "'name' is given again; line 1 has it first"),
        (
            'input: "x" input_dim: 1.5',
            "net.prototxt:1:23",
            "'input_dim' is an integer from -2147483648 to 2147483647, not 1.5",
        ),
        ('input: "x" input_dim: 4294967296', "net.prototxt:1:23", "not 4294967296"),
        ('input: "x" input_dim: 1', "net.prototxt:1:12", "1 input_dim for 1 inputs, which take four each"),
        ("input_shape: 3", "net.prototxt:1:1", "'input_shape' is a message in braces, not 3"),
        ("force_backward: 2", "net.prototxt:1:17", "'force_backward' is true or false, not 2"),
        ("state { phase: SOME }", "net.prototxt:1:16", "'phase' is one of TRAIN, TEST, not SOME"),
        ("layer { name: 'a' }", "net.prototxt:1:1", "layer 'a' has no type"),
        ("layer: 3", "net.prototxt:1:1", "'layer' is a message in braces"),
        ("layer { type: 'ReLU' } layers { type: RELU }", "net.prototxt:1:24", "layers of the old form"),
    ],
)
def test_fields_of_nets(text: str, place: str, words: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnreadableError) as error:
        net_in(nets.write(tmp_path, text))
    problem = error.value.problems[0]
    assert problem.code == "MC232"
    assert problem.where == place
    assert words in problem.what
