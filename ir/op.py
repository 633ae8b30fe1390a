"""How an operator is declared: once, in an immutable class; everything else is derived from it.

A declaration gives the attributes (annotated names, as in a dataclass), the operands (``signature``), the types
of the results (``infer``), the numbers (``evaluate``) and the work (``flops``)::

    @operator
    class LeakyRelu(Op):
        \"\"\"y = x where x > 0, else alpha * x.\"\"\"

        signature = "x"
        alpha: float = 0.01

        def infer(self, x): return (x,)
        def evaluate(self, x): return np.where(x > 0, x, x * x.dtype.type(self.alpha))

The signature is a comma-separated list: ``x`` is required, ``b?`` optional, ``*xs`` any number (last),
``[shape]`` an operand that becomes the attribute of the same name as soon as its content is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any, ClassVar, TypeVar

import numpy as np

from .record import Record
from .types import Array, Dim, DType, Shape, TensorType

Types = Sequence[TensorType | None]


class Operand(Record):
    """One place in a signature."""

    name: str
    optional: bool = False
    variadic: bool = False
    attribute: bool = False  # becomes the attribute of the same name when its content is known


class Cost(Record):
    """Work of one node: floating-point (or integer) operations, and bytes read plus written."""

    flops: int
    bytes: int


class TypeMismatch(ValueError):
    """Operand types that the operator cannot take; the graph adds node and origin."""


class Op(Record):
    """Base of all operators. Instances are immutable and compare by class and attributes."""

    signature: ClassVar[str] = ""
    foldable: ClassVar[bool] = True
    """False where the value must not be computed at conversion time."""
    elementwise: ClassVar[bool] = False
    """True where result i depends only on (broadcast) operand elements i, whatever the layout."""

    def infer(self, *types: Any) -> tuple[TensorType, ...]:
        """Types of the results from the types of the operands (None where an optional one is absent).

        Raises TypeMismatch where the operands do not fit. A size that only running tells is UNKNOWN.
        """
        raise NotImplementedError(type(self).__name__)

    def evaluate(self, *arrays: Any) -> Array | tuple[Array, ...]:
        """The numbers: numpy arrays in (None where absent), arrays of the inferred types out."""
        raise NotImplementedError(type(self).__name__)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Operations done for static types; a multiply-add counts as two. Moving data costs none."""
        return 0

    def cost(self, operands: Types, results: Sequence[TensorType]) -> Cost | None:
        """Work of the operator, or None where a shape is known only at run time."""
        everything = [t for t in (*operands, *results) if t is not None]
        sizes = [t.nbytes for t in everything]
        if any(s is None for s in sizes):
            return None
        return Cost(self.flops(operands, results), sum(s for s in sizes if s is not None))

    def absorb(self, name: str, content: Array, types: Types) -> Op | None:
        """This operator with operand ``name`` turned into the attribute of that name.

        ``content`` holds integers, floats or (dtype object) Symbols. None where the attribute cannot
        hold it; the operand then stays.
        """
        if content.dtype == object and not all(isinstance(d, int) for d in content.flat):
            return None
        absorbed: Op = self.replace(**{name: tuple(content.tolist()) if content.ndim else content.item()})
        return absorbed

    def refine(
        self, types: Types, contents: Sequence[Array | None], results: Sequence[TensorType]
    ) -> Sequence[TensorType]:
        """The results' types, more exact where ``contents`` (of the operands, with Symbols) tell sizes.

        For what neither ``infer`` can see nor an attribute can hold: a Reshape to [N, H*W] with symbols.
        """
        return results

    @classmethod
    @cache
    def operands(cls) -> tuple[Operand, ...]:
        """The signature, parsed."""
        result = []
        for item in filter(None, (part.strip() for part in cls.signature.split(","))):
            if item.startswith("*"):
                result.append(Operand(item[1:], optional=True, variadic=True))
            elif item.startswith("["):
                result.append(Operand(item.strip("[]"), optional=True, attribute=True))
            else:
                result.append(Operand(item.rstrip("?"), optional=item.endswith("?")))
        return tuple(result)

    @classmethod
    def attributes(cls) -> tuple[str, ...]:
        """Names of the attributes, in order of declaration."""
        return tuple(cls._fields)

    @classmethod
    def default(cls, name: str) -> Any:
        """The default of an attribute, or REQUIRED."""
        return cls._fields[name]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        values = self.__dict__
        for name, value in values.items():
            values[name] = _plain(value)


def _plain(value: Any) -> Any:
    """Attributes are plain and hashable: tuples for lists and arrays, Python numbers for numpy's."""
    if isinstance(value, np.ndarray | list | tuple):
        items = value.tolist() if isinstance(value, np.ndarray) else value
        plain = tuple(_plain(item) for item in items)
        return value if isinstance(value, tuple) and all(a is b for a, b in zip(plain, value, strict=True)) else plain
    if isinstance(value, Enum):
        return value
    return value.item() if isinstance(value, np.generic) else value


OPERATORS: dict[str, type[Op]] = {}
"""Every declared operator by its class's name (for the text form and the support table only)."""

_O = TypeVar("_O", bound=Op)


def operator(cls: type[_O]) -> type[_O]:
    """Declare an operator: enter it in OPERATORS."""
    if cls.__name__ in OPERATORS:
        raise TypeError(f"operator {cls.__name__} is declared twice")
    if not cls.__dict__.get("__doc__"):
        raise TypeError(f"operator {cls.__name__} has no docstring")
    OPERATORS[cls.__name__] = cls
    return cls


# What most declarations need -------------------------------------------------------------------------------


def expect(condition: object, message: str) -> None:
    """Raise TypeMismatch(message) unless condition holds."""
    if not condition:
        raise TypeMismatch(message)


def broadcast(*shapes: Shape) -> Shape:
    """numpy's (multidirectional) broadcast of shapes that may hold symbols; TypeMismatch if there is none.

    A symbol against a number greater than one becomes that number: at run time it must be it, or 1.
    """
    rank = max(map(len, shapes))
    result: list[Dim] = []
    for axis in range(rank):
        dims = {s[axis - rank + len(s)] for s in shapes if axis - rank + len(s) >= 0} - {1}
        numbers = {d for d in dims if isinstance(d, int)}
        expect(len(numbers) <= 1, f"shapes {', '.join(map(_shape_text, shapes))} do not broadcast")
        if numbers:
            result.append(numbers.pop())
        else:
            result.append(sorted(dims, key=str)[0] if dims else 1)
    return tuple(result)


def _shape_text(shape: Shape) -> str:
    return f"[{','.join(map(str, shape))}]"


def same_dtype(*types: TensorType | None) -> DType:
    """The one element type of all operands that are present; TypeMismatch if they differ."""
    dtypes = {t.dtype for t in types if t is not None}
    expect(len(dtypes) == 1, f"operands of different element types: {', '.join(sorted(d.value for d in dtypes))}")
    return dtypes.pop()


def numel(t: TensorType) -> int:
    """Elements of a static type (0 where a dimension is a symbol)."""
    return t.numel or 0
