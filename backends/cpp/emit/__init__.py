"""The emitters, one module an operator family. Importing this package registers them all."""

from __future__ import annotations

from . import conv, elementwise, linear, movement, pool

__all__ = ["conv", "elementwise", "linear", "movement", "pool"]
