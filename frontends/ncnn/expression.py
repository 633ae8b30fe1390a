"""ncnn's shape expressions: ``-1,*(0h,2),+(1c,2)``, prefix operators over sizes of the layer's blobs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

MOST_TOKENS = 256
_SIDES = "whdc"
_BINARY: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: math.trunc(a / b), "max": max, "min": min,
}  # fmt: skip
_UNARY: dict[str, Callable[[float], float]] = {
    "neg": lambda a: -a, "abs": abs, "square": lambda a: a * a, "floor": math.floor, "ceil": math.ceil,
    "trunc": math.trunc, "round": round, "sqrt": math.sqrt,
}  # fmt: skip


def evaluate(text: str, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """The numbers of an expression; ``shapes`` are the blobs' Mat shapes, outermost first. ValueError if it is none."""
    tokens = [token for token in re.split(r"[(),]", text) if token]
    if not tokens or len(tokens) > MOST_TOKENS:
        raise ValueError(f"the expression '{text}'")
    stack: list[float] = []
    for token in reversed(tokens):
        if token in _BINARY:
            if len(stack) < 2:
                raise ValueError(f"the expression '{text}'")
            stack.append(_BINARY[token](stack.pop(), stack.pop()))
        elif token in _UNARY:
            if not stack:
                raise ValueError(f"the expression '{text}'")
            stack.append(_UNARY[token](stack.pop()))
        else:
            stack.append(_size(token, shapes))
    return [int(number) for number in reversed(stack)]


def _size(token: str, shapes: Sequence[tuple[int, ...]]) -> float:
    if re.fullmatch(r"\d[whdcn]", token):
        index, side = int(token[0]), token[1]
        if index >= len(shapes):
            raise ValueError(f"'{token}' names a blob that is not there")
        return dict(zip("wh" if len(shapes[index]) == 2 else "whc" if len(shapes[index]) == 3 else _SIDES,
                        reversed(shapes[index]), strict=False)).get(side, 1)  # fmt: skip
    return float(token) if "." in token else int(token)
