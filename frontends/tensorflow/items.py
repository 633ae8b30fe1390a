"""What a result of a node can be while a graph is read: a value of the IR, or something that only reading knows."""

from __future__ import annotations

from mconv.ir import DType, Shape, Value
from mconv.ir.types import Array


class Variable:
    """A variable's handle, and its value where it is known."""

    def __init__(self, name: str, array: Array | None) -> None:
        self.name, self.array = name, array


class Text:
    """A constant of strings, which only operators read that drop it."""


class TensorList:
    """A list of tensors of one type (TensorList, TensorArray): ``stack`` [size, *element], or None while it is empty.

    ``element`` is the declared shape of one (None where it is not known), ``size`` an i64 scalar.
    """

    def __init__(self, dtype: DType, element: Shape | None, size: Value, stack: Value | None = None) -> None:
        self.dtype, self.element, self.size, self.stack = dtype, element, size, stack


class LoopList:
    """A list that a loop's turns write to, as its body sees it: not a tensor but the place of a scan.

    ``written`` is the place and the element that the turn has written, once it has.
    """

    def __init__(self, index: int, written: tuple[Value, Value] | None = None) -> None:
        self.index, self.written = index, written


Item = Value | Variable | Text | TensorList | LoopList


class ListIsRead(Exception):
    """A loop's body does more with a list than to write one element: it has to be a tensor that goes round."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Lost(Exception):
    """A value is needed whose own operator could not be translated; that cause has been noted."""
