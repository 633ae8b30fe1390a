"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import elementwise, movement

__all__ = ["elementwise", "movement"]
