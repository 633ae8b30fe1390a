"""The ncnn target: ``.param`` and ``.bin``, run and checked with the ``ncnn`` package."""

from __future__ import annotations

from . import emit as _emit  # noqa: F401  registers the emitters
from .backend import NcnnBackend, ncnn

backend = ncnn

__all__ = ["NcnnBackend", "backend", "ncnn"]
