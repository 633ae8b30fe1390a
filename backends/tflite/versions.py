"""The version of a builtin operator that a form of it needs: the oldest whose kernel takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .model import Model, OptionValue, Tensor


def version_of(
    name: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], values: Mapping[str, OptionValue]
) -> int:
    """The version to state."""
    return 1


def runtime_version(model: Model) -> str:
    """The oldest TFLite runtime that has all operator versions of the model."""
    return "1.14.0"
