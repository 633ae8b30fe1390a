"""What a format's handlers are kept in: found by name, imported when the first is asked for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Generic, TypeVar

H = TypeVar("H")


class Handlers(Generic[H]):
    """Handlers by name; ``package`` is the one whose modules enter them, as ``mconv.frontends.tflite.handlers``."""

    def __init__(self, package: str) -> None:
        self.package = package
        self._found: dict[str, H] = {}

    def enter(self, names: Iterable[str], handler: H) -> None:
        """Keep a handler under its names; TypeError where there is one already."""
        for name in names:
            if name in self._found:
                raise TypeError(f"two handlers for {name}")
            self._found[name] = handler

    def get(self, name: str) -> H | None:
        """The handler of that name, or None."""
        load(self.package)
        return self._found.get(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        load(self.package)
        return sorted(self._found)


@cache
def load(package: str) -> None:
    """Import every module of a package, which enters the handlers that it has."""
    found = importlib.import_module(package)
    for module in pkgutil.iter_modules(found.__path__):
        importlib.import_module(f"{package}.{module.name}")
