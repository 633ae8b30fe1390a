"""The two parts of the onnx package that reading needs: the protobuf classes and the operator schemas.

``import onnx`` runs the whole package (checker, helpers, reference tables), which takes about as long as converting a
small model. The two modules are loaded by their own files instead, under their own names, so that a later import finds
them and nothing exists twice; the schemas' only where the table of them does not suffice. Where that fails, with
another version's layout, the package is imported as usual.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any


def _part(name: str) -> Any:
    """The module ``onnx.<name>``, without the package around it where that is not imported yet."""
    full = f"onnx.{name}"
    if full in sys.modules:
        return sys.modules[full]
    package = find_spec("onnx") if "onnx" not in sys.modules else None
    spec = PathFinder.find_spec(full, package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        return import_module(full)
    try:
        module = module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    except ImportError:
        sys.modules.pop(full, None)
        return import_module(full)
    return module


if TYPE_CHECKING:
    import onnx as onnx
else:
    onnx = _part("onnx_ml_pb2")


@cache
def _schemas() -> Any:
    """The registry of schemas: all of them are built when the first one is asked for, which takes a while."""
    return _part("onnx_cpp2py_export").defs


def schema(name: str, opset: int, domain: str) -> Any:
    """The package's own schema of an operator, or None where that version of the domain has none."""
    try:
        return _schemas().get_schema(name, opset, domain)
    except _schemas().SchemaError:
        return None


def newest_opset(domain: str = "") -> int:
    """The newest version of a domain that the package knows."""
    return int(_schemas().schema_version_map()[domain][1])


def default_of(attribute: Any) -> onnx.AttributeProto:
    """The default of a schema's attribute, as the proto that holds it."""
    if not hasattr(attribute, "_default_value"):  # older packages give the proto itself
        import_module("onnx.defs")
        proto: onnx.AttributeProto = attribute.default_value
        return proto
    found: onnx.AttributeProto = onnx.AttributeProto.FromString(attribute._default_value)
    return found


__all__ = ["default_of", "newest_opset", "onnx", "schema"]
