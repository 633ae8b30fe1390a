"""What an operator's own specification says: how many operands, which attributes, their types and defaults.

For ONNX's operators that is `onnx.defs`; for onnxruntime's `com.microsoft` ones, which the onnx package does not know,
a table made from onnxruntime's registry (`contrib_schema.py`).  No default is written down by hand anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .contrib_schema import CONTRIB
from .package import default_of, onnx, schema

MICROSOFT = "com.microsoft"

UNBOUNDED = 2**31 - 1
"""What onnx gives as the number of operands of a variadic operator."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: the onnx.AttributeProto type, the default (None where there is none), whether it must be given."""

    kind: int
    default: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """The specification of one version of one operator."""

    name: str
    domain: str
    since: int
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    attributes: Mapping[str, Attribute]
    deprecated: bool = False
    definition: Any = None
    """onnx's own OpSchema, whose type stubs lag behind what it has."""


@cache
def schema_of(name: str, domain: str, opset: int) -> Schema | None:
    """The specification of an operator in a version of its domain, or None where there is none."""
    if domain == MICROSOFT or (domain == "" and name == "SimplifiedLayerNormalization"):
        return _contrib(name, domain)
    if name == "LayerNormalization" and domain == "" and opset < 17:
        opset = 17  # onnxruntime's optimizer writes it into models of older opsets
    found = schema(name, opset, domain)
    if found is None:
        return None
    attributes = {
        key: Attribute(_kind(a.type), _default(default_of(a)), a.required) for key, a in found.attributes.items()
    }
    return Schema(
        name,
        domain,
        found.since_version,
        (found.min_input, found.max_input),
        (found.min_output, found.max_output),
        attributes,
        found.deprecated,
        found,
    )


def _contrib(name: str, domain: str) -> Schema | None:
    if name not in CONTRIB:
        return None
    inputs, outputs, attributes = CONTRIB[name]
    specs = {name: Attribute(getattr(onnx.AttributeProto, kind), *rest) for name, (kind, *rest) in attributes.items()}
    return Schema(name, domain, 1, inputs, outputs, specs)


def _kind(type: Any) -> int:
    return int(type.value)


def _default(proto: onnx.AttributeProto) -> Any:
    """A default as a Python value; None where the specification gives none."""
    kinds = onnx.AttributeProto
    match proto.type:
        case kinds.UNDEFINED:
            return None
        case kinds.FLOAT:
            return proto.f
        case kinds.INT:
            return proto.i
        case kinds.STRING:
            return proto.s.decode()
        case kinds.STRINGS:
            return tuple(item.decode() for item in proto.strings)
        case kinds.INTS:
            return tuple(proto.ints)
        case kinds.FLOATS:
            return tuple(proto.floats)
    raise TypeError(f"a default of type {proto.type} for {proto.name}")  # no operator has one
