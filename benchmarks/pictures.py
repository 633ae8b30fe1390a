"""Inputs to compare runtimes on: photographs for networks that look at pictures, and random numbers for all.

The photographs are the two that ship with scikit-learn. Which of the feeds say something of a network is told by
``wide.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
Inputs = Mapping[str, tuple[str, list[int]]]
"""Element type, as numpy calls it, and shape of each input by name."""

SMALLEST = 32
"""Rows and columns from which on an input of three channels is a picture."""

NOISE, PHOTOGRAPHS = "noise", ("china", "flower")


def feeds(model: Path, inputs: Inputs, seed: int = 0) -> dict[str, Arrays]:
    """What to feed a network, by name: ``noise``, and the photographs where its one input is a picture."""
    found = {NOISE: noise(inputs, seed)}
    if len(inputs) == 1:
        (name, (dtype, shape)), *_ = inputs.items()
        if dtype == "float32" and len(shape) == 4 and shape[1] == 3 and min(shape[2:]) >= SMALLEST:
            for title in PHOTOGRAPHS:
                picture = prepared(photograph(title, shape[2], shape[3]), model.name)
                found[title] = {name: np.repeat(picture.transpose(2, 0, 1)[None], shape[0], axis=0)}
    return found


def noise(inputs: Inputs, seed: int = 0) -> Arrays:
    """Seeded numbers: standard normal where the type is floating, small counting numbers elsewhere."""
    random = np.random.default_rng(seed)
    values: Arrays = {}
    for name, (dtype, shape) in inputs.items():
        if np.issubdtype(np.dtype(dtype), np.floating):
            values[name] = random.standard_normal(shape).astype(dtype)
        elif dtype == "int8":
            values[name] = (random.standard_normal(shape) * 40).astype(dtype)
        else:
            values[name] = random.integers(0, 8, shape).astype(dtype)
    return values


@cache
def photograph(title: str, rows: int, columns: int) -> np.ndarray[Any, Any]:
    """A photograph, bytes [rows, columns, RGB]."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    return np.asarray(Image.fromarray(load_sample_image(f"{title}.jpg")).resize((columns, rows)))


def samples(count: int, size: int) -> np.ndarray[Any, Any]:
    """Squares cut out of the photographs, float32 [count, size, size, RGB], from 0 to 1."""
    whole = [photograph(title, 427, 640) for title in PHOTOGRAPHS]
    random = np.random.default_rng(0)
    cuts = []
    for index in range(count):
        row, column = random.integers(0, 427 - size), random.integers(0, 640 - size)
        cuts.append(whole[index % len(whole)][row : row + size, column : column + size])
    return (np.stack(cuts) / np.float32(255)).astype(np.float32)


def prepared(picture: np.ndarray[Any, Any], model: str) -> np.ndarray[Any, Any]:
    """The photograph as the network was trained to see it: by the file's name, or as torchvision's weights want it."""
    if model.startswith("yolox"):  # blue first, as OpenCV reads, and not scaled
        return np.ascontiguousarray(picture[:, :, ::-1], np.float32)
    if model.startswith("rfb320"):
        return ((picture - np.float32(127)) / np.float32(128)).astype(np.float32)
    scaled = (picture / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return scaled.astype(np.float32)
