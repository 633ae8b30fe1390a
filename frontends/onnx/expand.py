"""Operators that ONNX itself defines by a function of simpler ones: that function, for a given node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mconv.ir import TensorType, Value

from .package import onnx
from .schema import Schema
from .tensors import ELEMENT_TYPES

_NUMBERS = {dtype: number for number, dtype in ELEMENT_TYPES.items()}


def is_defined(schema: Schema, opset: int) -> bool:
    """Whether the specification defines the operator by a function, at this opset."""
    found = schema.definition
    if found is None:
        return False
    return any(v <= opset for v in (*found.function_opset_versions, *found.context_dependent_function_opset_versions))


def specified_function(
    proto: onnx.NodeProto, definition: Any, operands: Sequence[Value | None], opset: int
) -> onnx.FunctionProto | None:
    """The body that the specification gives the operator, or None where it gives none."""
    if definition.has_function:
        versions = [v for v in definition.function_opset_versions if v <= opset]
        if not versions:
            return None
        return _parsed(definition.get_function_with_opset_version(max(versions)))
    if definition.has_context_dependent_function:
        versions = [v for v in definition.context_dependent_function_opset_versions if v <= opset]
        if not versions:
            return None
        types = [_type(None if value is None else value.type) for value in operands]
        node = proto.SerializeToString()
        return _parsed(definition.get_context_dependent_function_with_opset_version(max(versions), node, types))
    return None


def _parsed(data: bytes) -> onnx.FunctionProto | None:
    if not data:
        return None
    function = onnx.FunctionProto()
    function.ParseFromString(data)
    return function


def _type(type: TensorType | None) -> bytes:
    proto = onnx.TypeProto()
    if type is not None:
        tensor = proto.tensor_type
        tensor.elem_type = _NUMBERS[type.dtype]
        tensor.shape.SetInParent()
        for dim in type.shape:
            if isinstance(dim, int):
                tensor.shape.dim.add().dim_value = dim
            else:
                tensor.shape.dim.add().dim_param = str(dim)
    data: bytes = proto.SerializeToString()
    return data
