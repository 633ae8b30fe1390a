"""What TensorFlow specifies of its operators: results, attributes and their defaults, from the table `op_table.py`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mconv.ir.record import Record

from .op_table import OPERATORS

if TYPE_CHECKING:
    from .graph import GNode

ANY = -1
"""In the table: any number of operands."""
REQUIRED = "(required)"
"""In the table: an attribute without a default."""


class Result(Record):
    """One named result: its element type (TensorFlow's number, or the attribute that has it).

    ``count`` is the attribute that tells how many tensors it is, or lists their types; "" for one.
    """

    name: str
    type: int | str
    count: str


class Schema(Record):
    """An operator: its results, its number of operands (or ANY), and its attributes.

    Those that its operands tell have only names, the others kind and default.
    """

    results: tuple[Result, ...]
    operands: int
    told: tuple[str, ...]
    attributes: dict[str, tuple[str, Any]]


@cache
def schema_of(op: str) -> Schema | None:
    """The specification of an operator, None where it is none that is read."""
    found = OPERATORS.get(op)
    if found is None:
        return None
    results, operands, told, attributes = found
    return Schema(tuple(Result(*r) for r in results), operands, told, {name: (kind, d) for name, kind, d in attributes})


def results_of(node: GNode) -> dict[str, int]:
    """Where each named result of a node begins among all its results; empty for an operator that is not read."""
    schema = schema_of(node.op)
    found: dict[str, int] = {}
    begin = 0
    for result in schema.results if schema is not None else ():
        found[result.name] = begin
        begin += _count(node, result)
    return found


def type_of(node: GNode, index: int) -> int | None:
    """TensorFlow's number of the element type of a result; None where the operator is not read."""
    schema = schema_of(node.op)
    for result in schema.results if schema is not None else ():
        count = _count(node, result)
        if index < count:
            if isinstance(result.type, int):
                return result.type
            value = _attribute(node, result.type)
            if value is None:
                default = schema.attributes.get(result.type, ("", None))[1] if schema is not None else None
                return default if isinstance(default, int) else None
            return int(value.list.type[index]) if value.list.type else int(value.type)
        index -= count
    return None


def _count(node: GNode, result: Result) -> int:
    value = _attribute(node, result.count) if result.count else None
    if value is None:
        return 1
    return len(value.list.type) if value.HasField("list") else int(value.i)


def _attribute(node: GNode, name: str) -> Any:
    return node.attributes.get(name)
