"""What is known of small tensors while a graph is built: shape arithmetic, also with symbols.

``x.view(x.size(0), -1)`` arrives as Shape, Gather, Concat, Reshape. The builder follows the contents of
such tensors (integers, floats, or Symbols in an object array), so that types are exact from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .op import Op
from .types import Array, Symbol, TensorType

LIMIT = 1024
"""Larger tensors are no shape arithmetic."""
FLOAT_LIMIT = 16
"""Nor are floats, except a few: sizes times scales."""

_RULES: dict[type[Op], Callable[..., Any]] = {}


def content_rule(op: type[Op]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register how an operator acts on contents: f(op, types, contents) -> object array(s), or None."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _RULES[op] = rule
        return rule

    return register


def has_rule(op: Op) -> bool:
    """True for the operators of shape arithmetic."""
    return type(op) in _RULES


def follow(op: Op, types: Sequence[TensorType | None], contents: Sequence[Array | None]) -> tuple[Array, ...] | None:
    """Contents of the results, or None where they are not known. ``contents`` are object arrays or None."""
    rule = _RULES.get(type(op))
    if rule is None:
        return None
    try:
        found = rule(op, types, contents)
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None  # symbols met an operation that has no symbolic meaning
    if found is None:
        return None
    return found if isinstance(found, tuple) else (found,)


def content_of(data: Array) -> Array | None:
    """The content of a constant, or None where it is too large to be shape arithmetic."""
    limit = LIMIT if data.dtype.kind in "iub" else FLOAT_LIMIT
    return as_objects(data) if data.size <= limit else None


def as_objects(array: Array) -> Array:
    """An object array of Python numbers."""
    return array.astype(object)


def is_number(content: Array) -> bool:
    """True when no element is a Symbol."""
    return not any(isinstance(item, Symbol) for item in content.flat)
