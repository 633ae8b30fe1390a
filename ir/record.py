"""Immutable records: what a frozen dataclass is, with methods that all classes share.

``dataclass`` compiles its methods for every class anew, about a millisecond each; for all operators and records
together that takes longer than converting a small model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, dataclass_transform

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The default of a field that maps names: empty, and as immutable as the record."""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""Stands for the default of a field that has none."""


@dataclass_transform(frozen_default=True)
class Record:
    """Base of records: annotated names are the fields. Instances are immutable and compare by class and fields::

    class Origin(Record):
        file: str = ""
        place: str = ""
    """

    _fields: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        fields = dict(cls._fields)
        for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063  inspect is slow to import
            if not str(annotation).startswith("ClassVar"):
                fields[name] = cls.__dict__.get(name, REQUIRED)
        cls._fields = fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields, values = self._fields, self.__dict__
        if len(args) == len(fields) and not kwargs:
            values.update(zip(fields, args, strict=True))
            return
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} attributes, {len(args)} were given")
        given = dict(zip(fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in fields or name in given:
                raise TypeError(f"{type(self).__name__}: attribute '{name}' is unknown or given twice")
            given[name] = value
        for name, default in fields.items():
            value = given.get(name, default)
            if value is REQUIRED:
                raise TypeError(f"{type(self).__name__} needs attribute '{name}'")
            values[name] = value

    def replace(self, **changes: Any) -> Self:
        """A copy with other attributes."""
        return type(self)(**{**self.__dict__, **changes})

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON: records among them become dictionaries too."""
        return {name: _json(value) for name, value in self.__dict__.items()}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


def _json(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    return type(value)(map(_json, value)) if isinstance(value, list | tuple) else value
