"""The intermediate representation: graph, types, operators and what is derived from them.

Imports nothing else of mconv; every other part imports it.
"""

if __name__ == "ir":  # an editable install puts the checkout's root on sys.path
    raise ImportError("import mconv.ir, not ir: the package's name is mconv")

from .builder import Builder
from .errors import MconvError, Problem
from .graph import Graph, Node, Origin, Value
from .op import Cost, Op
from .types import Dim, DType, Shape, Symbol, TensorType

__all__ = [
    "Builder",
    "Cost",
    "DType",
    "Dim",
    "Graph",
    "MconvError",
    "Node",
    "Op",
    "Origin",
    "Problem",
    "Shape",
    "Symbol",
    "TensorType",
    "Value",
]
