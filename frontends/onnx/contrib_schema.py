"""x."""

from typing import Any

CONTRIB: dict[str, Any] = {}
