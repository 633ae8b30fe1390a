"""A model's outputs in 64 bits, and which comparisons of 32-bit runtimes they show to say nothing.

Rounding grows in a deep network, and how much depends on what it is fed: some networks, with their random weights above
all, amplify it on noise or on a photograph so much that a runtime is as far from the exact result as from another
runtime. Where onnxruntime is itself further from 64 bits than a part of the limit, the feed is *unsound* for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PART = 1 / 3
"""Of the limit of errors: what onnxruntime may be off 64 bits where a difference to it is to say something."""


def in_64_bits(model: Path, feeds: Sequence[Any]) -> list[Any]:
    """The model's outputs when all 32-bit floats are computed in 64 bits, by the operators' own definitions."""
    from mconv import frontends
    from mconv.ir.interpreter import evaluate

    def wide(array: Any) -> Any:
        return array.astype(np.float64) if array is not None and array.dtype == np.float32 else array

    graph = frontends.load(model)
    values = dict(zip(graph.inputs, map(wide, feeds), strict=True))
    for node in graph.nodes:
        arrays = [None if v is None else wide(v.constant) if v.is_constant else values[v] for v in node.operands]
        values.update(zip(node.results, map(wide, evaluate(node.op, arrays)), strict=True))
    return [wide(v.constant) if v.is_constant else values[v] for v in graph.outputs]


def unsound(errors: Mapping[str, float], references: Mapping[str, float], limit: float) -> set[str]:
    """The feeds with an error over the limit where the reference has its part: ``references`` are its own errors."""
    return {feed for feed, error in errors.items() if not error <= limit and references.get(feed, 0.0) > limit * PART}


def judged(errors: Mapping[str, float], references: Mapping[str, float], limit: float) -> float:
    """The largest error of those feeds that say something; of all, where none does."""
    left = [error for feed, error in errors.items() if feed not in unsound(errors, references, limit)]
    return max(left or errors.values(), default=float("nan"))
