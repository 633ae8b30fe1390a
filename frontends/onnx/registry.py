"""Handlers: the functions that translate one ONNX operator each, found by domain, name and opset."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from mconv.ir import Builder, Value
from mconv.ir.record import NOTHING, Record

from .schema import MICROSOFT

if TYPE_CHECKING:
    from .node import OnnxNode

NEWEST_OPSET = 28
"""The newest opset whose operators the handlers were written for; a later revision of an operator is refused."""

Results = Value | Sequence[Value | None]
Function = Callable[["OnnxNode", Builder], Results]


class Handler(Record):
    """A translation of the operator's versions from ``since`` on, up to the next handler's.

    ``ignores`` names attributes that cannot change what inference computes, with the reason.
    """

    function: Function
    since: int
    ignores: Mapping[str, str] = NOTHING


_HANDLERS: dict[tuple[str, str], list[Handler]] = {}


def onnx(
    *names: str, since: int = 1, domain: str = "", ignores: Mapping[str, str] | None = None
) -> Callable[[Function], Function]:
    """Register a handler for one operator, or for several that are translated alike."""

    def register(function: Function) -> Function:
        for name in names:
            entries = _HANDLERS.setdefault((domain, name), [])
            if any(entry.since == since for entry in entries):
                raise TypeError(f"two handlers for {domain}.{name} since {since}")
            entries.append(Handler(function, since, ignores or {}))
            entries.sort(key=lambda entry: entry.since)
        return function

    return register


def microsoft(*names: str, ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for operators of onnxruntime's own domain."""
    return onnx(*names, domain=MICROSOFT, ignores=ignores)


@cache
def handler_of(domain: str, name: str, opset: int) -> Handler | None:
    """The handler of an operator at an opset, or None."""
    load_handlers(domain)
    found = [entry for entry in _HANDLERS.get((domain, name), []) if entry.since <= opset]
    return found[-1] if found else None


@cache
def load_handlers(domain: str = "") -> None:
    """Import the modules of `handlers` for a domain, which register what they have: `microsoft_*` or all others."""
    package = importlib.import_module("mconv.frontends.onnx.handlers")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("microsoft_") == (domain == MICROSOFT):
            importlib.import_module(f"{package.__name__}.{module.name}")


def handled() -> list[tuple[str, str, int]]:
    """Domain, name and first opset of every handler, sorted: what the support table lists."""
    load_handlers()
    load_handlers(MICROSOFT)
    return sorted((domain, name, entry.since) for (domain, name), entries in _HANDLERS.items() for entry in entries)
