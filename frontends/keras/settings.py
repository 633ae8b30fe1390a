"""A layer's settings as a handler reads them: what is read is remembered, what is of the wrong kind is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mconv.ir import DType

from . import errors

REQUIRED = object()
LARGEST = 1 << 31
TRAINING = {
    "name": "the layer's name, read with the layer",
    "trainable": "of training; it tells the order of weights, where it is read",
    "autocast": "inputs are always cast",
    "activity_regularizer": "of training",
    "batch_input_shape": "of the model's input, which is read with the layer",
    "batch_shape": "of the model's input",
    "input_shape": "of the model's input",
    "input_dim": "of the model's input",
    "input_length": "of the model's input",
    "input_dtype": "of the model's input",
    "build_input_shape": "of the model's input",
}
"""Settings of every layer that change nothing that is computed."""
_TRAINING_ENDS = ("_initializer", "_regularizer", "_constraint", "_initializer_config")
DTYPES = {
    "float32": DType.F32, "float64": DType.F64, "float16": DType.F16, "bfloat16": DType.BF16, "int32": DType.I32,
    "int64": DType.I64, "int8": DType.I8, "int16": DType.I16, "uint8": DType.U8, "uint16": DType.U16,
    "uint32": DType.U32, "uint64": DType.U64, "bool": DType.BOOL,
}  # fmt: skip
WIDE = {DType.F16: DType.F32, DType.BF16: DType.F32}
"""16-bit floats are computed in 32 bits."""


def for_training(key: str) -> bool:
    """Whether a setting only matters while a model is trained."""
    return key in TRAINING or key.endswith(_TRAINING_ENDS)


class Settings:
    """The settings of one layer; ``what`` names it in errors."""

    def __init__(self, what: str, values: Mapping[str, Any]) -> None:
        self.what, self.values = what, values
        self.read: set[str] = set()

    def get(self, key: str, default: Any = REQUIRED) -> Any:
        """A setting as it stands in the configuration."""
        self.read.add(key)
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise errors.misfit(f"{self.what} has no setting '{key}'")
        return default

    def flag(self, key: str, default: Any = REQUIRED) -> bool:
        """A truth value."""
        return self._of(key, self.get(key, default), bool)  # type: ignore[no-any-return]

    def integer(self, key: str, default: Any = REQUIRED) -> int:
        """An integer."""
        found = self.get(key, default)
        found = found[0] if isinstance(found, list | tuple) and len(found) == 1 else found
        found = int(found) if isinstance(found, float) and found.is_integer() else found
        return _bounded(self, key, self._of(key, found, int))

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A finite number."""
        found = self.get(key, default)
        if type(found) not in (int, float) or not math.isfinite(found):
            raise self._wrong(key, found)
        return float(found)

    def maybe_number(self, key: str, default: float | None = None) -> float | None:
        """A finite number, or None."""
        return None if self.get(key, default) is None else self.number(key, default)

    def text(self, key: str, default: Any = REQUIRED, *, of: Sequence[str] = ()) -> str:
        """A text; one of ``of`` where these are given."""
        found: str = self._of(key, self.get(key, default), str)
        if of and found not in of:
            raise errors.form(f"{self.what} with {key} '{found}'")
        return found

    def integers(self, key: str, count: int | None = None, default: Any = REQUIRED) -> tuple[int, ...]:
        """Integers; one stands for ``count`` equal ones."""
        found = self.get(key, default)
        items = list(found) if isinstance(found, list | tuple) else [found] * (count or 1)
        if count is not None and len(items) == 1:
            items *= count
        if count is not None and len(items) != count:
            raise self._wrong(key, found)
        return tuple(_bounded(self, key, self._of(key, item, int)) for item in items)

    def channels_first(self, key: str = "data_format") -> bool:
        """Whether channels stand before space."""
        found = self.get(key, None)
        if found not in (None, "channels_last", "channels_first"):
            raise self._wrong(key, found)
        return bool(found == "channels_first")

    @property
    def dtype(self) -> DType:
        """What the layer computes in: the type of its policy, 32 bits for floats of 16."""
        return WIDE.get(self.narrow, self.narrow)

    @property
    def narrow(self) -> DType:
        """What the layer is meant to compute in."""
        return dtype_of(self.get("dtype", "float32"), self.what, computed=True)

    def unread(self) -> list[str]:
        """Settings that nobody read, and that are not of training alone."""
        return [key for key in self.values if key not in self.read and not for_training(key)]

    def _of(self, key: str, found: Any, kind: type) -> Any:
        if type(found) is not kind:
            raise self._wrong(key, found)
        return found

    def _wrong(self, key: str, found: Any) -> Exception:
        return errors.misfit(f"{self.what} has {key} {str(found)[:100]!r}")


def _bounded(settings: Settings, key: str, number: int) -> int:
    if not -LARGEST < number < LARGEST:
        raise errors.misfit(f"{settings.what} has {key} {number}")
    return number


def dtype_of(data: Any, what: str, *, computed: bool = False) -> DType:
    """An element type: by its name, or (with ``computed``) what a policy of types computes in."""
    name = data
    if isinstance(data, dict):
        cls, config = data.get("class_name"), data.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        if cls not in ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1"):
            raise errors.element_type(f"{what} is of the policy {cls}")
    if name is None or name == "_infer":
        name = "float32"
    if computed and isinstance(name, str) and name.startswith("mixed_"):
        name = name.removeprefix("mixed_")
    if not isinstance(name, str) or name not in DTYPES:
        raise errors.element_type(f"{what} has elements of type {str(name)[:60]}")
    return DTYPES[name]
