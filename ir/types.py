"""Types of values: element types, dimensions that may be symbols, tensor types."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np

from .record import Record

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]  # numpy.typing.NDArray[Any], whose module is slow to import


class DType(Enum):
    """Element type of a tensor. The value is the name used in the text form."""

    BOOL = "bool"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    F16 = "f16"
    BF16 = "bf16"
    F32 = "f32"
    F64 = "f64"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of an element."""
        return _numpy_dtype(self)

    @property
    def size(self) -> int:
        """Bytes an element takes."""
        return _SIZES[self]

    @property
    def is_float(self) -> bool:
        """True for the floating-point types."""
        return self in _FLOATS

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers (not for bool)."""
        return self not in _FLOATS and self is not DType.BOOL

    @staticmethod
    def of(dtype: Any) -> DType:
        """The DType of a numpy dtype; TypeError where there is none (strings, objects, complex)."""
        try:
            return _SEEN[dtype]
        except (KeyError, TypeError):
            pass
        exact = np.dtype(dtype)
        if exact.name not in _BY_NUMPY:
            raise TypeError(f"no tensor element type for numpy's {exact.name}")
        return _SEEN.setdefault(exact, _BY_NUMPY[exact.name])

    def __repr__(self) -> str:
        return f"DType.{self.name}"


_FLOATS = frozenset({DType.F16, DType.BF16, DType.F32, DType.F64})
_SIZES = {
    DType.BOOL: 1, DType.I8: 1, DType.U8: 1, DType.I16: 2, DType.U16: 2, DType.F16: 2, DType.BF16: 2,
    DType.I32: 4, DType.U32: 4, DType.F32: 4, DType.I64: 8, DType.U64: 8, DType.F64: 8,
}  # fmt: skip
_NUMPY_NAMES = {
    DType.BOOL: "bool", DType.I8: "int8", DType.I16: "int16", DType.I32: "int32", DType.I64: "int64",
    DType.U8: "uint8", DType.U16: "uint16", DType.U32: "uint32", DType.U64: "uint64",
    DType.F16: "float16", DType.BF16: "bfloat16", DType.F32: "float32", DType.F64: "float64",
}  # fmt: skip
_BY_NUMPY = {name: dtype for dtype, name in _NUMPY_NAMES.items()}
_SEEN: dict[Any, DType] = {}  # by the dtype itself, whose name numpy makes anew at each asking


def _numpy_dtype(dtype: DType) -> np.dtype[Any]:
    if dtype is DType.BF16:
        import ml_dtypes  # only bfloat16 needs it

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(_NUMPY_NAMES[dtype])


class Symbol(Record):
    """A dimension whose size is known only when the model runs.

    The name is either the model's own (``batch``) or an expression over such names (``(H+1)//2``).
    Two symbols are the same dimension exactly when their names are equal, so the same arithmetic
    on the same dimension gives an equal symbol.
    """

    name: str

    def __str__(self) -> str:
        return self.name

    def __add__(self, other: Dim) -> Dim:
        if other == 0:
            return self
        if isinstance(other, int) and other < 0:
            return self - (-other)
        return Symbol(f"{_atom(self)}+{_atom(other)}")

    def __radd__(self, other: int) -> Dim:
        return self + other

    def __sub__(self, other: Dim) -> Dim:
        if other == 0:
            return self
        if other == self:
            return 0
        if isinstance(other, int):
            head, plus, tail = self.name.rpartition("+")
            if plus and tail.isdigit() and _balanced(head):  # (n+2)-2 is n
                return _bare(head) + (int(tail) - other)
        return Symbol(f"{_atom(self)}-{_atom(other)}")

    def __rsub__(self, other: int) -> Dim:
        return Symbol(f"{other}-{_atom(self)}")

    def __mul__(self, other: Dim) -> Dim:
        if other == 1:
            return self
        if other == 0:
            return 0
        return Symbol(f"{_atom(self)}*{_atom(other)}")

    def __rmul__(self, other: int) -> Dim:
        return self * other

    def __floordiv__(self, other: Dim) -> Dim:
        if other == 1:
            return self
        if other == self:
            return 1
        head, times, tail = self.name.rpartition("*")
        if times and tail == str(other) and _balanced(head):  # (n*4)//4 is n
            return _bare(head)
        return Symbol(f"{_atom(self)}//{_atom(other)}")

    def __rfloordiv__(self, other: int) -> Dim:
        return Symbol(f"{other}//{_atom(self)}")


Dim = int | Symbol
Shape = tuple[Dim, ...]

UNKNOWN = Symbol("?")
"""What an ``infer`` returns for a size that only running the operator can tell; the graph gives it a name."""


def _atom(dim: Dim) -> str:
    text = str(dim)
    return text if text.isidentifier() or text.isdigit() or _wrapped(text) else f"({text})"


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0


def _wrapped(text: str) -> bool:
    return text.startswith("(") and text.endswith(")") and _balanced(text[1:-1])


def _bare(text: str) -> Symbol:
    return Symbol(text[1:-1] if _wrapped(text) else text)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dimensions; a symbol as soon as one of them is (and none is zero)."""
    number, symbols = 1, []
    for dim in dims:
        if isinstance(dim, int):
            number *= dim
        else:
            symbols.append(dim)
    result: Dim = number
    for symbol in sorted(symbols, key=str):
        result = symbol * result if number != 0 else 0
        number = 1
    return result


class TensorType(Record):
    """Element type and shape of a value. Rank is always known; a dimension may be a Symbol."""

    dtype: DType
    shape: Shape

    @staticmethod
    def of(array: Array) -> TensorType:
        """The type of a numpy array."""
        return TensorType(DType.of(array.dtype), tuple(int(d) for d in array.shape))

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        """True when no dimension is a symbol."""
        return all(isinstance(d, int) for d in self.shape)

    @property
    def static_shape(self) -> tuple[int, ...]:
        """The shape as integers; ValueError if a dimension is a symbol."""
        dims = tuple(d for d in self.shape if isinstance(d, int))
        if len(dims) != len(self.shape):
            raise ValueError(f"{self} has a dimension known only at run time")
        return dims

    @property
    def numel(self) -> int | None:
        """Number of elements, or None where a dimension is a symbol."""
        return math.prod(self.static_shape) if self.is_static else None

    @property
    def nbytes(self) -> int | None:
        """Bytes the elements take, or None where a dimension is a symbol."""
        count = self.numel
        return None if count is None else count * self.dtype.size

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """The same element type with another shape."""
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another element type."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.value}[{','.join(map(str, self.shape))}]"
