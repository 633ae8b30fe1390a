"""Small graphs for tests, made with TensorFlow's own operators, and what they must agree with: TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv.frontends.tensorflow import reader
from mconv.ir import Graph
from mconv.ir.interpreter import run
from mconv.ir.verify import verify

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf: Any = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
v1: Any = tf.compat.v1
raw: Any = tf.raw_ops

Make = Callable[..., Any]
"""From placeholders to a tensor, or a list of them."""


def random(shape: Sequence[int], dtype: Any = np.float32, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Numbers between the bounds, the same for each call with the same shape."""
    chance = np.random.default_rng([*shape, len(shape)])
    kind = np.dtype(dtype)
    if kind == np.bool_:
        return chance.integers(0, 2, shape).astype(bool)
    if kind.kind in "iu":
        return chance.integers(max(int(low), 0) if kind.kind == "u" else int(low), int(high) + 1, shape).astype(kind)
    return chance.uniform(low, high, shape).astype(kind)


def frozen(
    feeds: Mapping[str, np.ndarray], makes: Mapping[str, Make], unknown: Sequence[str] = ()
) -> tuple[bytes, dict[str, np.ndarray]]:
    """A GraphDef that makes each named result from placeholders of the feeds, and what TensorFlow computes.

    Feeds in ``unknown`` have placeholders without sizes.
    """
    graph = tf.Graph()
    with graph.as_default():
        places = [
            v1.placeholder(a.dtype, [None] * a.ndim if name in unknown else a.shape, name) for name, a in feeds.items()
        ]
        names = []
        for name, make in makes.items():
            with tf.name_scope(name):
                found = make(*places)
            several = found if isinstance(found, list | tuple) else [found]
            for i, tensor in enumerate(several):
                names.append(f"out_{name}_{i}" if len(several) > 1 else f"out_{name}")
                tf.identity(tensor, names[-1])
    with v1.Session(graph=graph) as session:
        results = session.run([f"{n}:0" for n in names], {f"{n}:0": a for n, a in feeds.items()})
    return graph.as_graph_def().SerializeToString(), dict(zip(names, map(np.asarray, results), strict=True))


def agree(
    folder: Path, feeds: Mapping[str, np.ndarray], makes: Mapping[str, Make], *, unknown: Sequence[str] = (),
    tolerance: float = 1e-5, **options: Any,
) -> Graph:  # fmt: skip
    """Read what is made, run it, and compare every result with TensorFlow's."""
    data, wanted = frozen(feeds, makes, unknown)
    path = folder / "model.pb"
    path.write_bytes(data)
    graph = reader.read(path, outputs=list(wanted), **options)
    verify(graph)
    found = run(graph, {v.name: feeds[v.name] for v in graph.inputs})
    wrong = [f"{name}: {told}" for name, array in wanted.items() if (told := differs(found[name], array, tolerance))]
    assert not wrong, "\n".join(wrong)
    return graph


def differs(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> str:
    """What is wrong with a result; "" when all is well."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype}{found.shape}, not {wanted.dtype}{wanted.shape}"
    if wanted.dtype.kind not in "fV":
        return "" if np.array_equal(found, wanted) else f"{found.ravel()[:8]}, not {wanted.ravel()[:8]}"
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(np.isinf(a), np.isinf(b)):
        return "NaN or infinity elsewhere"
    finite = np.isfinite(b)
    scale = max(float(np.abs(b[finite]).max(initial=0)), 1e-6)
    worst = float(np.abs(a[finite] - b[finite]).max(initial=0)) / scale
    return "" if worst <= tolerance else f"off by {worst:.3g} of its magnitude"
