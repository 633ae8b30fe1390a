"""The forms most operators have (one operand, two that broadcast, a reduction) and what their numbers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from ..op import Op, Types, broadcast, expect, numel, same_dtype
from ..types import Array, DType, TensorType

Results = tuple[TensorType, ...]
Method = TypeVar("Method", bound=Callable[..., Any])


class Unary(Op):
    """One operand, one result of the same type, element by element."""

    signature = "x"
    elementwise = True

    def infer(self, x: TensorType) -> Results:
        """The operand's type."""
        return (x,)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One an element."""
        return numel(results[0])


class Predicate(Unary):
    """One operand, a truth value for each element."""

    def infer(self, x: TensorType) -> Results:
        """bool of the operand's shape."""
        return (x.with_dtype(DType.BOOL),)


class Binary(Op):
    """Two operands of one element type that broadcast as numpy's do."""

    signature = "a, b"
    elementwise = True

    def infer(self, a: TensorType, b: TensorType) -> Results:
        """The broadcast shape, the common element type."""
        return (TensorType(same_dtype(a, b), broadcast(a.shape, b.shape)),)

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """One an element of the result."""
        return numel(results[0])


class Comparison(Binary):
    """Two operands of one element type that broadcast; a truth value for each element."""

    def infer(self, a: TensorType, b: TensorType) -> Results:
        """bool of the broadcast shape."""
        same_dtype(a, b)
        return (TensorType(DType.BOOL, broadcast(a.shape, b.shape)),)


def widen(x: Array) -> Array:
    """16-bit floats as float32, in which their arithmetic is done; anything else unchanged."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind in "fV" else x


def in_f32(method: Method) -> Method:
    """Let ``evaluate`` see 16-bit floats as float32; where the first operand is one, so are the results."""

    @wraps(method)
    def evaluate(self: Op, *arrays: Array | None) -> Any:
        if not any(a is not None and _is_narrow(a.dtype) for a in arrays):
            return method(self, *arrays)
        found = method(self, *(None if a is None else widen(a) for a in arrays))
        first = arrays[0]
        if first is None or not _is_narrow(first.dtype):
            return found
        if isinstance(found, tuple):
            return tuple(_narrowed(f, first.dtype) for f in found)
        return _narrowed(found, first.dtype)

    return evaluate  # type: ignore[return-value]


def _is_narrow(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize == 2 and dtype.kind in "fV"


def _narrowed(array: Array, narrow: np.dtype[Any]) -> Array:
    return array.astype(narrow) if array.dtype == np.float32 or array.dtype == np.float64 else array


def either_layout(method: Method) -> Method:
    """Let ``infer`` or ``evaluate`` see its first operand as [N, C, *S], also where ``channels_last`` says [N, *S, C].

    The result (a type in a tuple, or an array) then has its channels last as well. Only the data moves: weights keep
    their layout.
    """

    @wraps(method)
    def either(self: Op, first: Any, *others: Any) -> Any:
        if not getattr(self, "channels_last", False):
            return method(self, first, *others)
        if isinstance(first, TensorType):
            (made,) = method(self, first.with_shape((first.shape[0], first.shape[-1], *first.shape[1:-1])), *others)
            return (made.with_shape((made.shape[0], *made.shape[2:], made.shape[1])),)
        return np.moveaxis(method(self, np.moveaxis(first, -1, 1), *others), 1, -1)

    return either  # type: ignore[return-value]


def given(attribute: Any, operand: Array | None) -> Any:
    """The attribute, or the content of the operand that stands for it while it is not known."""
    if operand is None:
        if attribute is None:
            raise ValueError("neither the attribute nor its operand is given")
        return attribute
    return tuple(operand.tolist()) if operand.ndim else operand.item()


def expect_float(*types: TensorType | None) -> None:
    """TypeMismatch unless all that are present are floating point."""
    for t in types:
        expect(t is None or t.dtype.is_float, f"{t} is not floating point")


def expect_integer(t: TensorType, what: str) -> None:
    """TypeMismatch unless ``t`` holds integers."""
    expect(t.dtype.is_integer, f"{what} is {t}, not integers")


def expect_axis(axis: int, rank: int, what: str = "axis") -> None:
    """TypeMismatch unless ``axis`` is one of ``rank`` axes (attributes are never negative)."""
    expect(0 <= axis < rank, f"{what} {axis} is not an axis of rank {rank}")


def expect_length(values: Sequence[Any], length: int, what: str) -> None:
    """TypeMismatch unless there are ``length`` values."""
    expect(len(values) == length, f"{what} {tuple(values)} should have {length} numbers")


def expect_dim(dim: object, wanted: object, what: str) -> None:
    """TypeMismatch where two sizes are known and differ."""
    expect(
        dim == wanted or not (isinstance(dim, int) and isinstance(wanted, int)),
        f"{what} is {dim} and should be {wanted}",
    )


def common_dim(*dims: Any, what: str = "size") -> Any:
    """The one size that all these are: a number if any is one, else the first symbol."""
    numbers = {d for d in dims if isinstance(d, int)}
    expect(len(numbers) <= 1, f"{what}s differ: {', '.join(map(str, dims))}")
    return numbers.pop() if numbers else dims[0]
