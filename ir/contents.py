"""What is known of small integer tensors while a graph is built: shape arithmetic, also with symbols.

``x.view(x.size(0), -1)`` arrives as Shape, Gather, Concat, Reshape. The builder follows the contents of
such tensors (numbers, or Symbols in an object array), so that types are exact from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .op import Op
from .types import Array, Symbol, TensorType

LIMIT = 1024
"""Larger tensors are no shape arithmetic."""

_RULES: dict[type[Op], Callable[..., Any]] = {}


def content_rule(op: type[Op]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register how an operator acts on contents: f(op, *object arrays) -> object array(s)."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _RULES[op] = rule
        return rule

    return register


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


def as_objects(array: Array) -> Array:
    """An object array of Python integers."""
    result = np.empty(array.shape, dtype=object)
    for index, item in np.ndenumerate(array):
        result[index] = item.item()
    return result


def is_number(content: Array) -> bool:
    """True when no element is a Symbol."""
    return not any(isinstance(item, Symbol) for item in content.flat)
