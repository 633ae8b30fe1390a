"""Protobuf's text format, in which nets are written: bytes to messages that know their lines.

Both ways of repeating a field (``dim: 1 dim: 2`` and ``dim: [1, 2]``) give the same; ``#`` begins a comment.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from mconv.ir.record import Record

from . import errors

if TYPE_CHECKING:
    from lark import Lark, Token

MAX_BYTES = 1 << 24
MAX_TOKENS = 150_000
"""Names, values and signs; a net of a thousand layers has about half of that."""
MAX_DEPTH = 32

_GRAMMAR = r"""
start: field*
field: NAME ":" value _end? | NAME message _end?
_end: ";" | ","
?value: scalar | message | list
?item: scalar | message
list: "[" (item ("," item)*)? "]"
message: "{" field* "}" | "<" field* ">"
?scalar: string | NUMBER -> number | NAME -> word
string: STRING+

NAME: /[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /-?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?[fF]?|inf(inity)?\b|nan\b)/
STRING: /"(?:[^"\\\n]++|\\[^\n])*+"|'(?:[^'\\\n]++|\\[^\n])*+'/
%ignore /[ \t\r\n\f\v]+/
%ignore /#[^\n]*/
"""


class Scalar(Record):
    """A value that is no message: ``kind`` is string, number or word (an enum's name, true, false)."""

    kind: str
    text: str
    line: int
    column: int


class Field(Record):
    """One ``name: value`` of a message."""

    name: str
    value: Any  # Scalar | Message
    line: int
    column: int


class Message:
    """The fields between braces, in the file's order."""

    __slots__ = ("column", "fields", "line")

    def __init__(self, fields: list[Field], line: int = 1, column: int = 1) -> None:
        self.fields, self.line, self.column = fields, line, column

    def all(self, name: str) -> list[Field]:
        """The fields of that name."""
        return [f for f in self.fields if f.name == name]


def parse(text: str, file: str) -> Message:
    """The message that a file holds. UnreadableError MC231 with line, column and token, MC238 beyond the bounds."""
    from lark import UnexpectedCharacters, UnexpectedToken

    if len(text) > MAX_BYTES:
        raise errors.too_large(f"{file} has more than {MAX_BYTES >> 20} MB")
    parser = _parser()
    machine = parser.parse_interactive("")
    opened: list[Token] = []
    try:
        for token in _bounded(parser.lex(text), opened, file):
            machine.feed_token(token)
        result: Message = machine.feed_eof()  # type: ignore[no-untyped-call]
        return result
    except UnexpectedCharacters as error:
        raise errors.syntax(_stray(text[error.pos_in_stream :]), f"{file}:{error.line}:{error.column}") from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            lines = text.count("\n") + 1
            left = f"the '{opened[-1]}' of line {opened[-1].line} is not closed" if opened else "a value is missing"
            raise errors.syntax(f"the file ends, and {left}", f"{file}:{lines}") from None
        what = f"'{str(error.token)[:60]}' is not expected here; {_wanted(set(error.expected))}"
        raise errors.syntax(what, f"{file}:{error.token.line}:{error.token.column}") from None


def _bounded(tokens: Iterator[Token], opened: list[Token], file: str) -> Iterator[Token]:
    """The tokens, as long as they are not too many, and do not nest too deep. ``opened`` holds the open braces."""
    for number, token in enumerate(tokens):
        if number > MAX_TOKENS:
            raise errors.too_large(f"{file} has more than {MAX_TOKENS} words", f"{file}:{token.line}")
        if token.type in ("LBRACE", "LESSTHAN"):
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                what = f"messages nest more than {MAX_DEPTH} deep"
                raise errors.too_large(what, f"{file}:{token.line}:{token.column}")
        yield token
        if token.type in ("RBRACE", "MORETHAN") and opened:
            opened.pop()


def _stray(rest: str) -> str:
    line = rest.split("\n", 1)[0]
    if line[:1] in "\"'":
        return f"the text {line[:40]} does not end on its line"
    word = (line.split() or [line])[0]
    return f"'{word[:40]}' means nothing here"


def _wanted(expected: set[str]) -> str:
    if "COLON" in expected:
        return "a ':' or '{' is, after a field's name"
    if "NUMBER" in expected:
        return "a value is, after the ':'"
    if "RSQB" in expected:
        return "a ',' or ']' is"
    return "a field's name is" if "NAME" in expected else "something else is"


def _make_transformer() -> Any:
    from lark import Transformer, v_args

    @v_args(inline=True)
    class Build(Transformer[Any, Any]):
        def start(self, *fields: Any) -> Message:
            return Message(_flat(fields))

        def message(self, *fields: Any) -> Message:
            return Message(_flat(fields))

        def field(self, name: Token, value: Any) -> list[Field]:
            line, column = name.line or 0, name.column or 0
            if isinstance(value, Message):
                value.line, value.column = line, column
            values = value if isinstance(value, list) else [value]
            for item in values:
                if isinstance(item, Message):
                    item.line, item.column = line, column
            return [Field(str(name), item, line, column) for item in values]

        def list(self, *items: Any) -> list[Any]:
            return [*items]

        def number(self, token: Token) -> Scalar:
            return _scalar("number", str(token), token)

        def word(self, token: Token) -> Scalar:
            return _scalar("word", str(token), token)

        def string(self, *parts: Token) -> Scalar:
            text = "".join(_unescaped(part) for part in parts)
            return _scalar("string", text, parts[0])

    return Build()


def _scalar(kind: str, text: str, token: Token) -> Scalar:
    return Scalar(kind, text, token.line or 0, token.column or 0)


def _flat(fields: tuple[list[Field], ...]) -> list[Field]:
    return [each for group in fields for each in group]


def _unescaped(token: Token) -> str:
    inner = token[1:-1]
    if "\\" not in inner:
        return inner
    try:
        return codecs.escape_decode(inner.encode())[0].decode("utf-8", "replace")
    except ValueError:
        return inner


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_make_transformer())
