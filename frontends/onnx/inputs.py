"""The graph's inputs: their types as the model declares them, with the sizes that the caller gives."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mconv.ir import Dim, Problem, Shape, Symbol, TensorType
from mconv.ir.errors import UsageError

from .errors import RE_EXPORT, unreadable, unsupported
from .package import onnx
from .tensors import MAX_RANK, element_type

_KINDS = {
    "sequence_type": "a sequence",
    "optional_type": "an optional",
    "map_type": "a map",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "an opaque value",
}


class InputTypes:
    """What the caller says about inputs, and the symbols that the model's own names of dimensions became."""

    def __init__(self, shapes: Mapping[str, Shape], dims: Mapping[str, int]) -> None:
        self.shapes, self.dims = shapes, dims
        self._symbols: dict[str, Symbol] = {}

    def check(self, graph: onnx.GraphProto, names: list[str]) -> None:
        """UsageError where an input or dimension is named that the model does not have."""
        for name in self.shapes:
            if name not in names:
                there = f"the inputs are: {', '.join(names) or '(none)'}"
                raise UsageError(Problem("MC111", f"the model has no input '{name}'", hint=there))
        wanted = [value for value in graph.input if value.name in names]
        present = {dim.dim_param for value in wanted for dim in value.type.tensor_type.shape.dim if dim.dim_param}
        for name, size in self.dims.items():
            if name not in present:
                there = f"its inputs have: {', '.join(sorted(present)) or '(numbers only)'}"
                raise UsageError(Problem("MC112", f"no input has a dimension named '{name}'", hint=there))
            if size < 0:
                raise UsageError(Problem("MC117", f"dimension '{name}' cannot be {size}", hint="a number from 0 on"))

    def type_of(self, value: onnx.ValueInfoProto) -> TensorType:
        """The type of an input; every dimension is a number or a symbol."""
        what = f"input '{value.name}'"
        tensor = tensor_type(value, what)
        dtype = element_type(tensor.elem_type, what)
        given = self.shapes.get(value.name)
        if not tensor.HasField("shape"):
            if given is None:
                hint = "--input-shape name:1,3,224,224, which says how many dimensions there are"
                raise unsupported("MC306", f"{what} has no shape at all", hint)
            return TensorType(dtype, given)
        if len(tensor.shape.dim) > MAX_RANK:
            raise unreadable("MC209", f"{what} has {len(tensor.shape.dim)} dimensions", RE_EXPORT)
        declared = tuple(self._dim(dim, value.name, axis) for axis, dim in enumerate(tensor.shape.dim))
        return TensorType(dtype, declared if given is None else _combined(what, declared, given))

    def _dim(self, dim: onnx.TensorShapeProto.Dimension, name: str, axis: int) -> Dim:
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            return dim.dim_value
        if dim.dim_param:
            return self.dims.get(dim.dim_param, self.symbol(dim.dim_param))
        return self.symbol(f"{name}.{axis}")

    def symbol(self, name: str) -> Symbol:
        """The symbol for a name of the model, which may be any text; different names give different symbols."""
        if name not in self._symbols:
            plain = re.sub(r"[^\w.]", "_", name) or "_"
            taken = {symbol.name for symbol in self._symbols.values()}
            while plain in taken or plain.isdigit():
                plain += "_"
            self._symbols[name] = Symbol(plain)
        return self._symbols[name]


def tensor_type(value: onnx.ValueInfoProto, what: str) -> onnx.TypeProto.Tensor:
    """The tensor type of an input or output; refused where it is of another kind."""
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise unreadable("MC221", f"{what} has no type", RE_EXPORT)
    if kind != "tensor_type":
        raise unsupported("MC305", f"{what} is {_KINDS.get(kind, kind)}, not a tensor")
    return value.type.tensor_type


def _combined(what: str, declared: Shape, given: Shape) -> Shape:
    """The caller's shape, which must not contradict the model's."""
    fits = len(declared) == len(given) and all(
        isinstance(d, Symbol) or isinstance(g, Symbol) or d == g for d, g in zip(declared, given, strict=True)
    )
    if not fits:
        theirs, ours = (",".join(map(str, shape)) for shape in (declared, given))
        raise UsageError(
            Problem("MC117", f"{what} has shape [{theirs}], not [{ours}]", hint="another value for --input-shape")
        )
    return tuple(d if isinstance(g, Symbol) else g for d, g in zip(declared, given, strict=True))
