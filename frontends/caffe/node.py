"""One layer as a handler sees it: bottoms already translated, parameters with the schema's defaults, weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mconv.ir import Value
from mconv.ir.types import Array

from . import errors, schema
from .net import Layer
from .prototxt import Field, Message

if TYPE_CHECKING:
    from .translate import Translation


class Param:
    """A message of parameters. Each field that is asked for counts as read."""

    def __init__(self, message: Message | None, kind: str, file: str, where: str) -> None:
        self.message = message or Message([])
        self.kind, self.file, self.where = kind, file, where
        self.read: set[str] = set()
        self.inner: list[Param] = []

    def has(self, name: str) -> bool:
        """Whether the file gives the field."""
        return bool(self._fields(name))

    def _fields(self, name: str) -> list[Field]:
        self.read.add(name)
        return self.message.all(name)

    def get(self, name: str) -> Any:
        """A field's value, the schema's default where the file does not give it, None where there is none."""
        spec, fields = schema.spec_of(self.kind, name), self._fields(name)
        return schema.value_of(fields[-1], spec, self.file) if fields else schema.default_of(spec)

    def integer(self, name: str) -> int:
        """An integer that has a default, or must be given."""
        value = self.get(name)
        if value is None:
            raise errors.bad_field(f"'{name}' is not given", self.where)
        return int(value)

    def number(self, name: str) -> float:
        """A number that has a default, or must be given."""
        value = self.get(name)
        if value is None:
            raise errors.bad_field(f"'{name}' is not given", self.where)
        return float(value)

    def flag(self, name: str) -> bool:
        """A truth value."""
        return bool(self.get(name))

    def choice(self, name: str) -> str:
        """The name of an enumeration's value."""
        return str(self.get(name))

    def all(self, name: str) -> tuple[Any, ...]:
        """The values of a field that repeats."""
        spec = schema.spec_of(self.kind, name)
        return tuple(schema.value_of(f, spec, self.file) for f in self._fields(name))

    def param(self, name: str) -> Param:
        """A message within, an empty one where it is not given."""
        fields = self._fields(name)
        found = fields[-1].value if fields else None
        inner = Param(found, schema.spec_of(self.kind, name).type, self.file, self.where)
        self.inner.append(inner)
        return inner

    def messages(self, name: str) -> list[Param]:
        """The messages of a field that repeats."""
        kind = schema.spec_of(self.kind, name).type
        made = [Param(f.value, kind, self.file, self.where) for f in self._fields(name)]
        self.inner += made
        return made

    def unread(self) -> list[Field]:
        """Fields that the file gives and nobody has read."""
        own = [f for f in self.message.fields if f.name not in self.read]
        return own + [f for each in self.inner for f in each.unread()]


class CaffeNode:
    """A layer to be translated. ``n[i]`` is a bottom's value."""

    def __init__(self, layer: Layer, bottoms: Sequence[Value], translation: Translation) -> None:
        self.layer, self.bottoms, self.translation = layer, list(bottoms), translation
        self.fields = Param(layer.message, layer.kind, translation.net.file, translation.net.where(layer))
        self._b = translation.b

    # Bottoms -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.bottoms)

    def __getitem__(self, index: int) -> Value:
        """A bottom that must be there."""
        if not -len(self) <= index < len(self):
            raise errors.misfit(f"{self.type} has {len(self)} bottoms, and reads at least {index + 1}")
        return self.bottoms[index]

    @property
    def type(self) -> str:
        """The layer's type."""
        return self.layer.type

    @property
    def tops(self) -> int:
        """The number of tops."""
        return len(self.layer.tops)

    def takes(self, least: int, most: int | None = None) -> None:
        """MC237 unless there are that many bottoms."""
        most = least if most is None else most
        if not least <= len(self) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise errors.misfit(f"{self.type} has {len(self)} bottoms, and reads {wanted}")

    def sizes(self, index: int = 0) -> tuple[int, ...]:
        """The sizes of a bottom; MC306 where one is known only at run time."""
        type = self[index].type
        if not type.is_static:
            raise errors.needs_static(f"{self.type}: the sizes of {type}")
        return type.static_shape

    @property
    def rank(self) -> int:
        """Rank of the first bottom."""
        return self[0].type.rank

    def axis(self, axis: int, rank: int | None = None) -> int:
        """``axis`` counted from the front, of the first bottom unless ``rank`` says otherwise."""
        rank = self.rank if rank is None else rank
        if not -rank <= axis < rank:
            raise errors.misfit(f"{self.type}: axis {axis} of a blob of {rank} axes")
        return axis + rank if axis < 0 else axis

    # Parameters ----------------------------------------------------------------------------------------------

    def param(self, name: str) -> Param:
        """The layer's message of that name."""
        return self.fields.param(name)

    def require(self, condition: object, what: str) -> None:
        """MC237 unless the condition holds."""
        if not condition:
            raise errors.misfit(f"{self.type}: {what}")

    def refuse(self, condition: object, what: str, hint: str = "") -> None:
        """MC332 where the condition holds."""
        if condition:
            raise errors.form(f"{self.type} with {what}", hint=hint)

    # Weights -------------------------------------------------------------------------------------------------

    def array(self, index: int, shape: Sequence[int], role: str) -> Array:
        """A blob of weights as an array."""
        return self.translation.weights.get(self.layer, index, shape, role)

    def weight(self, index: int, shape: Sequence[int], role: str, like: Sequence[int] | None = None) -> Value:
        """A blob of weights as a constant, given the shape ``like``."""
        array = self.array(index, shape, role)
        return self.constant(array if like is None else array.reshape(tuple(like)), f"{self.layer.name}_{role}")

    @property
    def blobs(self) -> int | None:
        """How many blobs of weights there are, None where they are random."""
        return self.translation.weights.count(self.layer)

    def constant(self, array: Array, name: str = "") -> Value:
        """A constant."""
        return self._b.constant(array, name=name or self.layer.name)

    def number(self, number: float) -> Value:
        """A constant of one f32 number."""
        return self._b.constant(np.float32(number))
