"""The TFLite target: one ``.tflite`` file, run and checked with the ``ai-edge-litert`` package."""

from __future__ import annotations

from . import emit as _emit  # noqa: F401  registers the emitters
from .backend import TfliteBackend, tflite

backend = tflite

__all__ = ["TfliteBackend", "backend", "tflite"]
