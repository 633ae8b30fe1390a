"""Handlers: the functions that translate one operator each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from mconv.ir import Builder
from mconv.ir.record import NOTHING, Record

if TYPE_CHECKING:
    from .items import Item
    from .node import TfNode

Results = "Item | Sequence[Item | None]"
Function = Callable[["TfNode", Builder], "Item | Sequence[Item | None]"]


class Handler(Record):
    """A translation. ``ignores`` maps attributes that do not matter to why."""

    function: Function
    ignores: Mapping[str, str] = NOTHING


_HANDLERS: dict[str, Handler] = {}


def tensorflow(*names: str, ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one operator, or for several that are translated alike."""

    def register(function: Function) -> Function:
        for name in names:
            if name in _HANDLERS:
                raise TypeError(f"two handlers for {name}")
            _HANDLERS[name] = Handler(function, ignores or {})
        return function

    return register


def handler_of(name: str) -> Handler | None:
    """The handler of an operator, or None."""
    load_handlers()
    return _HANDLERS.get(name)


@cache
def load_handlers() -> None:
    """Import every module of `handlers`, which registers what it has."""
    package = importlib.import_module("mconv.frontends.tensorflow.handlers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def handled() -> list[str]:
    """Names of the operators that are read, sorted."""
    load_handlers()
    return sorted(_HANDLERS)
