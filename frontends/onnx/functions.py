"""Functions of the model: which there are, and how a call's attributes and absent operands enter their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import RE_EXPORT, unreadable
from .package import onnx
from .scope import Scope

if TYPE_CHECKING:
    from .node import OnnxNode


def functions_of(model: onnx.ModelProto) -> dict[tuple[str, str, str], onnx.FunctionProto]:
    """The model's own functions by domain, name and overload."""
    found: dict[tuple[str, str, str], onnx.FunctionProto] = {}
    for function in model.functions:
        domain = "" if function.domain == "ai.onnx" else function.domain
        key = (domain, function.name, getattr(function, "overload", ""))
        if key in found:
            raise unreadable("MC212", f"two functions are named {function.domain}.{function.name}", RE_EXPORT)
        found[key] = function
    return found


def overload_of(proto: onnx.NodeProto) -> str:
    """Which of several functions of one name a node calls."""
    return getattr(proto, "overload", "")  # older onnx packages have no such field


def attributes_of(proto: onnx.NodeProto, scope: Scope) -> dict[str, onnx.AttributeProto]:
    """The node's attributes; inside a function, one that refers to the function's is replaced by what the call gave."""
    found: dict[str, onnx.AttributeProto] = {}
    for attribute in proto.attribute:
        if attribute.name in found:
            raise unreadable("MC217", f"{proto.op_type} has attribute '{attribute.name}' twice", RE_EXPORT)
        if attribute.ref_attr_name:
            if scope.attributes is None:
                what = f"{proto.op_type}'s attribute '{attribute.name}' refers to a function's, outside of any"
                raise unreadable("MC217", what, RE_EXPORT)
            bound = scope.attributes.get(attribute.ref_attr_name)
            if bound is None:
                continue  # not given in the call either: the operator's own default holds
            found[attribute.name] = bound
        else:
            found[attribute.name] = attribute
    return found


def with_defaults(
    function: onnx.FunctionProto, given: Mapping[str, onnx.AttributeProto]
) -> dict[str, onnx.AttributeProto]:
    """A call's attributes with the function's defaults."""
    defaults = {a.name: a for a in function.attribute_proto}
    stray = [name for name in given if name not in defaults and name not in set(function.attribute)]
    if stray:
        names = ", ".join(map(repr, stray))
        raise unreadable("MC217", f"function {function.domain}.{function.name} has no attribute {names}", RE_EXPORT)
    return defaults | dict(given)


def without(node: onnx.NodeProto, absent: set[str]) -> onnx.NodeProto:
    """A function's node where the function's absent inputs are absent operands."""
    if not absent.intersection(node.input):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for index, name in enumerate(copy.input):
        if name in absent:
            copy.input[index] = ""
    return copy


def resolved(node: OnnxNode) -> onnx.NodeProto:
    """The node with its attributes as they are, none of them by reference to a function's."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node.proto)
    del copy.attribute[:]
    for name, attribute in node.attributes.items():
        added = copy.attribute.add()
        added.CopyFrom(attribute)
        added.name = name
    return copy
