"""Backends: from the IR to the formats people ship. Each imports only ``mconv.ir``, and is loaded when asked for."""

from __future__ import annotations

if __name__ == "backends":  # an editable install puts the checkout's root on sys.path
    raise ImportError("import mconv.backends, not backends: the package's name is mconv")

from importlib import import_module

from mconv.ir.errors import Problem, UsageError

from .base import Artifact, Backend, Support
from .files import write_all

__all__ = ["Artifact", "Backend", "Support", "get", "names", "write_all"]

_MODULES = {"cpp": ".cpp", "ncnn": ".ncnn", "onnx": ".onnx", "tflite": ".tflite"}


def names() -> tuple[str, ...]:
    """The targets there are."""
    return tuple(_MODULES)


def get(name: str) -> Backend:
    """The backend of that name; UsageError (MC101) where there is none."""
    module = _MODULES.get(name)
    if module is None:
        known = ", ".join(_MODULES)
        raise UsageError(Problem("MC101", f"there is no target '{name}'", hint=f"one of: {known}"))
    backend: Backend = import_module(module, __name__).backend
    return backend
