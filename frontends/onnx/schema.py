"""What an operator's own specification says: how many operands, which attributes, their types and defaults.

Both come as tables, made from the packages that specify them: `standard_schema.py` from `onnx.defs`, and
`contrib_schema.py` from onnxruntime's registry of its `com.microsoft` operators.  What is in neither (another domain,
an opset newer than the table) is looked up in the onnx package.  No default is written down by hand anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mconv.ir.record import Record

from .package import default_of, onnx, schema
from .standard_schema import NEWEST, STANDARD

MICROSOFT = "com.microsoft"

UNBOUNDED = 2**31 - 1
"""What onnx gives as the number of operands of a variadic operator."""


class Attribute(Record):
    """One attribute: the onnx.AttributeProto type, the default (None where there is none), whether it must be given."""

    kind: int
    default: Any
    required: bool


class Schema(Record):
    """The specification of one version of one operator.

    ``kinds`` names for each operand the kinds of elements allowed, as in "bool float"; an empty string allows all.
    """

    name: str
    domain: str
    since: int
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    kinds: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    deprecated: bool = False

    @property
    def definition(self) -> Any:
        """onnx's own OpSchema, with the function that may define the operator; None where onnx has none."""
        return None if self.domain == MICROSOFT else schema(self.name, self.since, self.domain)


@cache
def schema_of(name: str, domain: str, opset: int) -> Schema | None:
    """The specification of an operator in a version of its domain, or None where there is none."""
    if domain == MICROSOFT or (domain == "" and name == "SimplifiedLayerNormalization"):
        return _contrib(name, domain)
    if name == "LayerNormalization" and domain == "" and opset < 17:
        opset = 17  # onnxruntime's optimizer writes it into models of older opsets
    if domain == "" and opset <= NEWEST:
        return _standard(name, opset)
    found = schema(name, opset, domain)
    return None if found is None else specified(found)


def specified(found: Any) -> Schema:
    """What the onnx package's own schema says."""
    return Schema(
        found.name,
        found.domain,
        found.since_version,
        (found.min_input, found.max_input),
        (found.min_output, found.max_output),
        tuple(_kinds(each.types) for each in found.inputs),
        {key: Attribute(_kind(a.type), _default(default_of(a)), a.required) for key, a in found.attributes.items()},
        found.deprecated,
    )


def _standard(name: str, opset: int) -> Schema | None:
    found = None
    for versions, *rest in STANDARD.get(name, ()):
        for since in versions:
            if since <= opset:
                found = since, *rest
    if found is None:
        return None
    since, inputs, outputs, kinds, attributes, deprecated = found
    specs = {key: Attribute(*rest) for key, *rest in attributes}
    return Schema(name, "", since, inputs, outputs, kinds, specs, deprecated)


def _contrib(name: str, domain: str) -> Schema | None:
    from .contrib_schema import CONTRIB  # few models need it

    if name not in CONTRIB:
        return None
    inputs, outputs, attributes = CONTRIB[name]
    specs = {name: Attribute(getattr(onnx.AttributeProto, kind), *rest) for name, (kind, *rest) in attributes.items()}
    return Schema(name, domain, 1, inputs, outputs, (), specs)


def _kinds(types: Any) -> str:
    """The kinds of elements among type names like "tensor(float16)", in words."""
    elements = {type.removeprefix("tensor(").rstrip(")") for type in types}
    return " ".join(sorted({_kind_of(element) for element in elements} - {""}))


def _kind_of(element: str) -> str:
    if element in ("bool", "double"):
        return {"bool": "bool", "double": "float"}[element]
    return "float" if "float" in element else "int" if "int" in element else ""


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
