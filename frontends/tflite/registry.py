"""Handlers: the functions that translate one builtin operator each, found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder, Value
from mconv.ir.record import NOTHING, Record

from ..handlers import Handlers

if TYPE_CHECKING:
    from .node import TfliteNode

Results = Value | Sequence[Value | None] | None
Function = Callable[["TfliteNode", Builder], Results]


class Handler(Record):
    """A translation. ``options`` is the table of its options, ``ignores`` maps options that do not matter to why."""

    function: Function
    options: str
    ignores: Mapping[str, str] = NOTHING


HANDLERS = Handlers[Handler]("mconv.frontends.tflite.handlers")


def tflite(*names: str, options: str = "", ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one builtin operator, or for several that are translated alike."""

    def register(function: Function) -> Function:
        HANDLERS.enter(names, Handler(function, options, ignores or {}))
        return function

    return register
