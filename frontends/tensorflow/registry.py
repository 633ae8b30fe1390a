"""Handlers: the functions that translate one operator each, found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder
from mconv.ir.record import NOTHING, Record

from ..handlers import Handlers

if TYPE_CHECKING:
    from .items import Item
    from .node import TfNode

Results = "Item | Sequence[Item | None]"
Function = Callable[["TfNode", Builder], "Item | Sequence[Item | None]"]


class Handler(Record):
    """A translation. ``ignores`` maps attributes that do not matter to why."""

    function: Function
    ignores: Mapping[str, str] = NOTHING


HANDLERS = Handlers[Handler]("mconv.frontends.tensorflow.handlers")


def tensorflow(*names: str, ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one operator, or for several that are translated alike."""

    def register(function: Function) -> Function:
        HANDLERS.enter(names, Handler(function, ignores or {}))
        return function

    return register
