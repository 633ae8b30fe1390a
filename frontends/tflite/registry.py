"""Handlers: the functions that translate one builtin operator each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from mconv.ir import Builder, Value
from mconv.ir.record import NOTHING, Record

if TYPE_CHECKING:
    from .node import TfliteNode

Results = Value | Sequence[Value | None] | None
Function = Callable[["TfliteNode", Builder], Results]


class Handler(Record):
    """A translation. ``options`` is the table of its options, ``ignores`` maps options that do not matter to why."""

    function: Function
    options: str
    ignores: Mapping[str, str] = NOTHING


_HANDLERS: dict[str, Handler] = {}


def tflite(*names: str, options: str = "", ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one builtin operator, or for several that are translated alike."""

    def register(function: Function) -> Function:
        for name in names:
            if name in _HANDLERS:
                raise TypeError(f"two handlers for {name}")
            _HANDLERS[name] = Handler(function, options, ignores or {})
        return function

    return register


def handler_of(name: str) -> Handler | None:
    """The handler of a builtin operator, or None."""
    load_handlers()
    return _HANDLERS.get(name)


@cache
def load_handlers() -> None:
    """Import every module of `handlers`, which registers what it has."""
    package = importlib.import_module("mconv.frontends.tflite.handlers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def handled() -> list[str]:
    """Names of the builtin operators that are read, sorted."""
    load_handlers()
    return sorted(_HANDLERS)
