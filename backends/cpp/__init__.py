"""The C++ target: a folder of source that needs no runtime, compiled and checked where there is a compiler."""

from __future__ import annotations

from . import emit as _emit  # noqa: F401  registers the emitters
from .backend import CppBackend, cpp

backend = cpp

__all__ = ["CppBackend", "backend", "cpp"]
