"""mconv: a neural-network conversion compiler that is never wrong in silence.

``mconv.convert("model.onnx", target="ncnn")`` converts, verifies and writes; ``mconv.load`` gives the graph.
"""

from __future__ import annotations

import os as _os

TYPE_CHECKING = False  # that of typing, whose import would leave an interrupt time to strike before the command begins

# In a checkout the four parts stand at the root; an installed mconv holds them itself.
_root = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_root, "pyproject.toml")) and _os.path.isfile(_os.path.join(_root, "ir", "graph.py")):
    __path__.insert(0, _root)

if TYPE_CHECKING:
    from typing import Any

    from .api import convert, load, verify
    from .ir.errors import (
        CheckError,
        InternalError,
        MconvError,
        MismatchError,
        MissingExtraError,
        UnreadableError,
        UnsupportedError,
        UsageError,
    )
    from .report import Result

__version__ = "0.1.0"

_HOMES = {
    "convert": "api", "load": "api", "verify": "api", "Result": "report",
    "CheckError": "ir.errors", "InternalError": "ir.errors", "MconvError": "ir.errors", "MismatchError": "ir.errors",
    "MissingExtraError": "ir.errors", "UnreadableError": "ir.errors", "UnsupportedError": "ir.errors",
    "UsageError": "ir.errors",
}  # fmt: skip

__all__ = [
    "CheckError",
    "InternalError",
    "MconvError",
    "MismatchError",
    "MissingExtraError",
    "Result",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "convert",
    "load",
    "verify",
]


def __getattr__(name: str) -> Any:
    # numpy and onnx are imported when the first model is, not with the package
    if name not in _HOMES:
        raise AttributeError(f"module 'mconv' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
