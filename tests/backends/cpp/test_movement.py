"""What moves elements in the C++ target: views that must not be mixed up, and copies, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .models import model, numbers, wrong

pytest.importorskip("onnxruntime")

X = numbers(2, 4, 6, 5)


def _convolution(name: str = "c", channels: int = 32, seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
    weight = numbers(channels, 4, 3, 3, seed=seed) * np.float32(0.3)
    return ("Conv", f"x w{name}", name, {"pads": [1, 1, 1, 1]}), {f"w{name}": weight}


def test_planar_views(tmp_path: Path) -> None:
    """Views of inputs go out, are read twice, from behind, with gaps."""
    ints = np.array
    cases = {
        "transposed input": model([("Transpose", "x", "y", {"perm": [3, 1, 0, 2]})], {"x": X}),
        "input as it is": model([("Identity", "x", "y")], {"x": X}),
        "reshape of transposed": model(
            [("Transpose", "x", "t", {"perm": [0, 2, 3, 1]}), ("Reshape", "t s", "y")],
            {"x": X},
            {"s": ints([2, -1, 4])},
        ),
        "x + its transpose": model(
            [("Sin", "x", "s"), ("Transpose", "s", "t", {"perm": [1, 0]}), ("Add", "s t", "y")], {"x": numbers(7, 7)}
        ),
        "transposed chain over its own operand": model(
            [("Sin", "x", "s"), ("Transpose", "s", "t", {"perm": [1, 0]}), ("Exp", "t", "e"), ("Sub", "e s", "y")],
            {"x": numbers(7, 7)},
        ),
        "slices of every kind": model(
            [("Slice", "x b e a s", "y")],
            {"x": X},
            {"b": ints([-1, 1, 4]), "e": ints([-9, 4, -10]), "a": ints([0, 1, 3]), "s": ints([-1, 2, -3])},
        ),
        "nothing left": model(
            [("Slice", "x b e a", "s"), ("Concat", "s x", "y", {"axis": 1})],
            {"x": X},
            {"b": ints([3]), "e": ints([3]), "a": ints([1])},
        ),
        "two halves swapped": model(
            [("Split", "x", "a b", {"axis": 1, "num_outputs": 2}), ("Concat", "b a", "y", {"axis": 1})], {"x": X}
        ),
        "one value twice": model([("Concat", "x x", "y", {"axis": 2})], {"x": X}),
        "expanded": model(
            [("Expand", "x s", "e"), ("Mul", "e e", "y")], {"x": numbers(3, 1, 5)}, {"s": ints([2, 1, 4, 1])}
        ),
        "expanded goes out": model([("Expand", "x s", "y")], {"x": numbers(3, 1)}, {"s": ints([2, 3, 4])}),
        "tiled": model([("Tile", "x r", "y")], {"x": X}, {"r": ints([2, 1, 3, 2])}),
        "unsqueezed, squeezed": model(
            [("Unsqueeze", "x a", "u"), ("Sin", "u", "s"), ("Squeeze", "s a", "y")], {"x": X}, {"a": ints([0, 3])}
        ),
        "other types": model(
            [("Transpose", "x", "t", {"perm": [1, 0]}), ("Concat", "t t", "y", {"axis": 0})],
            {"x": numbers(5, 3, dtype=np.float16)},
        ),
        "a scalar": model(
            [("Reshape", "x s", "r"), ("Expand", "r t", "y")],
            {"x": numbers(1)},
            {"s": ints([], np.int64), "t": ints([3])},
        ),
    }
    assert not wrong(cases, tmp_path)


def test_blocked_views(tmp_path: Path) -> None:
    """Channels cut at blocks and between, joined, shuffled, moved behind; then read by what keeps them blocked."""
    ints = np.array
    c, weights = _convolution()
    d, more = _convolution("d", 48, 3)
    odd, odder = _convolution("o", 20, 5)
    every = {**weights, **more}
    cases = {
        "whole blocks": model(
            [c, ("Slice", "c b e a", "s"), ("Sin", "s", "y")],
            {"x": X},
            {**weights, "b": ints([16]), "e": ints([32]), "a": ints([1])},
        ),
        "between blocks": model(
            [c, ("Slice", "c b e a", "s"), ("Sin", "s", "y")],
            {"x": X},
            {**weights, "b": ints([5]), "e": ints([27]), "a": ints([1])},
        ),
        "pixels": model(
            [c, ("Slice", "c b e a t", "s"), ("Sin", "s", "y")],
            {"x": X},
            {**weights, "b": ints([4, 0]), "e": ints([0, 5]), "a": ints([2, 3]), "t": ints([-2, 3])},
        ),
        "joined in place": model([c, d, ("Concat", "c d", "k", {"axis": 1}), ("Cos", "k", "y")], {"x": X}, every),
        "joined in place, and read alone": model(
            [
                c,
                d,
                ("Concat", "c d", "k", {"axis": 1}),
                ("ReduceMax", "k r", "m"),
                ("Add", "c m", "a"),
                ("Sin", "a", "y"),
            ],
            {"x": X},
            {**every, "r": ints([1])},
        ),
        "joined odd": model(
            [odd, c, ("Concat", "o c", "k", {"axis": 1}), ("Cos", "k", "y")], {"x": X}, {**weights, **odder}
        ),
        "joined with an input": model([c, ("Concat", "c x", "k", {"axis": 1}), ("Cos", "k", "y")], {"x": X}, weights),
        "shuffled": model(
            [
                c,
                ("Reshape", "c s", "r"),
                ("Transpose", "r", "t", {"perm": [0, 2, 1, 3, 4]}),
                ("Reshape", "t u", "k"),
                ("Sin", "k", "y"),
            ],
            {"x": X},
            {**weights, "s": ints([2, 2, 16, 6, 5]), "u": ints([2, 32, 6, 5])},
        ),
        "channels last, flattened": model(
            [c, ("Sin", "c", "n"), ("Transpose", "n", "t", {"perm": [0, 2, 3, 1]}), ("Reshape", "t s", "y")],
            {"x": X},
            {**weights, "s": ints([2, -1])},
        ),
        "flattened": model([c, ("Flatten", "c", "f"), ("Exp", "f", "y")], {"x": X}, weights),
        "tokens": model(
            [odd, ("Reshape", "o s", "r"), ("Transpose", "r", "t", {"perm": [0, 2, 1]}), ("Softmax", "t", "y")],
            {"x": X},
            {**odder, "s": ints([2, 20, -1])},
        ),
        "split in three": model(
            [
                c,
                ("Split", "c p", "u v w", {"axis": 1}),
                ("Mul", "u w", "m"),
                ("ReduceMean", "v a", "k"),
                ("Sub", "m k", "y"),
            ],
            {"x": X},
            {**weights, "p": ints([8, 16, 8]), "a": ints([1])},
        ),
        "space from depth": model(
            [c, ("DepthToSpace", "c", "s", {"blocksize": 2}), ("Sin", "s", "y")], {"x": X}, weights
        ),
        "padded": model(
            [c, ("Pad", "c p", "s"), ("Sin", "s", "y")], {"x": X}, {**weights, "p": ints([0, 1, 1, 2, 0, 3, 0, 1])}
        ),
        "an output beside": model([c, ("Concat", "c c", "y", {"axis": 0})], {"x": X}, weights),
    }
    assert not wrong(cases, tmp_path, 1e-5)
