"""The intermediate representation: graph, types, operators and what is derived from them.

Imports nothing else of mconv; every other part imports it.
"""

if __name__ == "ir":  # an editable install puts the checkout's root on sys.path
    raise ImportError("import mconv.ir, not ir: the package's name is mconv")

from .builder import Builder
from .errors import (
    CheckError,
    InternalError,
    MconvError,
    MismatchError,
    MissingExtraError,
    Problem,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from .graph import Graph, Node, Origin, Value
from .op import Cost, Op
from .types import Array, Dim, DType, Shape, Symbol, TensorType

__all__ = [
    "Array",
    "Builder",
    "CheckError",
    "Cost",
    "DType",
    "Dim",
    "Graph",
    "InternalError",
    "MconvError",
    "MismatchError",
    "MissingExtraError",
    "Node",
    "Op",
    "Origin",
    "Problem",
    "Shape",
    "Symbol",
    "TensorType",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "Value",
]
