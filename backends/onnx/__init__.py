"""The onnx target: one ``.onnx`` file of a fixed opset, run and checked with onnxruntime."""

from __future__ import annotations

from . import emit as _emit  # noqa: F401  registers the emitters
from .backend import OnnxBackend, onnx_backend

backend = onnx_backend

__all__ = ["OnnxBackend", "backend", "onnx_backend"]
