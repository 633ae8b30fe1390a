"""Shapes of moved data, where sizes may be symbols, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...op import expect
from ...types import UNKNOWN, Array, Dim, Shape, Symbol, product


def reshaped(own: Shape, wanted: Sequence[Dim], allow_zero: bool) -> Shape:
    """The shape that a Reshape gives: 0 replaced by x's own size (unless allowed), then -1 by what is left over."""
    result: list[Dim] = []
    for i, size in enumerate(wanted):
        if size == 0 and not allow_zero:
            expect(i < len(own), f"0 at place {i} of shape {tuple(wanted)} copies no axis of rank {len(own)}")
            result.append(own[i])
        else:
            expect(not isinstance(size, int) or size >= -1, f"{size} in shape {tuple(wanted)}")
            result.append(size)
    if -1 in result:
        at = result.index(-1)
        rest = result[:at] + result[at + 1 :]
        expect(-1 not in rest, f"more than one -1 in shape {tuple(wanted)}")
        result[at] = left_over(own, rest)
    elif all(isinstance(d, int) for d in (*own, *result)):
        expect(product(own) == product(result), f"{_text(own)} has not as many elements as {_text(result)}")
    return tuple(result)


def left_over(own: Sequence[Dim], rest: Sequence[Dim]) -> Dim:
    """The size whose product with ``rest`` is that of ``own``; common symbols cancel."""
    above: list[Dim] = [f for dim in own for f in _factors(dim)]
    below: list[Dim] = []
    for dim in [f for size in rest for f in _factors(size)]:
        if isinstance(dim, Symbol) and dim in above:
            above.remove(dim)
        else:
            below.append(dim)
    numbers = product(d for d in above if isinstance(d, int))
    divisor = product(d for d in below if isinstance(d, int))
    symbols = [d for d in above if not isinstance(d, int)]
    others = [d for d in below if not isinstance(d, int)]
    if numbers == 0 and not others:
        expect(divisor != 0, f"-1 is any number where {_text(own)} and {_text(rest)} have no element")
        return 0
    if divisor == 0:
        return UNKNOWN
    if not symbols and not others:
        expect(isinstance(numbers, int) and isinstance(divisor, int) and numbers % divisor == 0,
               f"{_text(own)} does not divide by {_text(rest)}")  # fmt: skip
    if not others and isinstance(numbers, int) and isinstance(divisor, int) and numbers % divisor == 0:
        return product((*symbols, numbers // divisor))
    return product(above) // product(below)


def _factors(dim: Dim) -> list[Dim]:
    """The factors of a size: a symbol ``(n+1)*3`` has two."""
    if isinstance(dim, int):
        return [dim]
    parts, depth, start = [], 0, 0
    for at, char in enumerate(dim.name):
        depth += (char == "(") - (char == ")")
        if depth == 0 and char in "+-/":
            return [dim]
        if depth == 0 and char == "*":
            parts.append(dim.name[start:at])
            start = at + 1
    if not parts:
        return [dim]
    parts.append(dim.name[start:])
    found: list[Dim] = []
    for part in parts:
        if part.isdigit():
            found.append(int(part))
        else:
            found.extend(_factors(Symbol(part[1:-1] if part.startswith("(") else part)))
    return found


def expressed(own: Shape, wanted: Sequence[Any], allow_zero: bool) -> tuple[int, ...] | None:
    """``wanted``, which may hold symbols: 0 for those that are x's own size at their place, -1 for one other."""
    symbols = [i for i, d in enumerate(wanted) if isinstance(d, Symbol)]
    if not symbols:
        return tuple(int(d) for d in wanted)
    if allow_zero and 0 in wanted:
        return None
    result = list(wanted)
    others = [i for i in symbols if i >= len(own) or own[i] != wanted[i]]
    if len(others) > 1 or (others and (-1 in wanted or 0 in wanted)):
        return None
    if allow_zero and len(others) < len(symbols):
        return None
    for i in symbols:
        result[i] = -1 if i in others else 0
    return tuple(result)


def _text(shape: Sequence[Dim]) -> str:
    return f"[{','.join(map(str, shape))}]"


def sliced(size: Dim, start: int | None, end: int | None, step: int | None) -> Dim:
    """How many elements a slice takes; UNKNOWN where it depends on what is not known.

    A symbol is taken to be at least as long as what a slice counts off from its ends.
    """
    if start is None or end is None or step is None:
        return UNKNOWN
    if isinstance(size, int):
        return len(range(size)[python_slice(size, start, end, step)])
    whole_end = end >= 2**31 - 1
    if step == 1 and start == 0:
        return size if whole_end else size - -end if end < 0 else UNKNOWN if end else 0
    if step == 1 and whole_end:
        return size - start if start > 0 else 1 if start == -1 else UNKNOWN
    if step > 1 and start == 0 and whole_end:
        return (size + (step - 1)) // step
    if step == -1 and start == -1 and end < -(2**31):
        return size
    return UNKNOWN


def python_slice(size: int, start: int, end: int, step: int) -> slice:
    """Python's slice with the same elements: running backwards, ONNX clamps the start to an element (Python does not),
    and an end before the first element is None.
    """
    if step > 0:
        return slice(start, end, step)
    begin = min(max(start + size if start < 0 else start, 0), size - 1)
    stop = end + size if end < 0 else end
    if size == 0:
        return slice(0, 0, 1)
    return slice(begin, None if stop < 0 else stop, step)


def pad(x: Array, pads: Sequence[int], mode: str, value: float) -> Array:
    """x with pads (all begins, then all ends); negative ones crop."""
    begins, ends = pads[: x.ndim], pads[x.ndim :]
    if mode == "wrap" and min(pads, default=0) < 0:
        begins, ends = list(begins), list(ends)
    cropped = x[tuple(slice(max(-b, 0), d - max(-e, 0)) for b, e, d in zip(begins, ends, x.shape, strict=True))]
    width = [(max(b, 0), max(e, 0)) for b, e in zip(begins, ends, strict=True)]
    if not any(b or e for b, e in width):
        return cropped
    if mode == "constant":
        return np.pad(cropped, width, constant_values=np.asarray(value, x.dtype)[()])
    kinds: dict[str, Any] = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}
    return np.pad(cropped, width, mode=kinds[mode])
