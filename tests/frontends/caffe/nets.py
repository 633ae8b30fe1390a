"""Small nets: prototxt and caffemodel, written for a test; and runs of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv.frontends.caffe.reader import read, translated
from mconv.frontends.caffe.writing import as_caffemodel
from mconv.ir import Array, Graph, interpreter

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV (cv2) is not installed")

Blobs = Mapping[str, Sequence[Array]]


def write(folder: Path, text: str, blobs: Blobs | None = None, name: str = "net") -> Path:
    """The files of a net; the path of its .prototxt."""
    path = folder / f"{name}.prototxt"
    path.write_text(text)
    if blobs is not None:
        path.with_suffix(".caffemodel").write_bytes(as_caffemodel(blobs))
    return path


def heads(inputs: Mapping[str, Sequence[int]]) -> str:
    """Inputs of these sizes."""
    lines = (f'input: "{n}" input_shape {{ {" ".join(f"dim: {d}" for d in s)} }}' for n, s in inputs.items())
    return "\n".join(lines) + "\n"


def layer(kind: str, params: str = "", *, bottoms: Sequence[str] = ("x",), tops: Sequence[str] = ("y",),
          name: str = "it") -> str:  # fmt: skip
    """One layer."""
    ends = " ".join([*(f'bottom: "{b}"' for b in bottoms), *(f'top: "{t}"' for t in tops)])
    return f'layer {{ name: "{name}" type: "{kind}" {ends}\n  {params} }}\n'


def with_weights(folder: Path, text: str, seed: int = 3, name: str = "net") -> tuple[Path, dict[str, list[Array]]]:
    """A net and a .caffemodel of random weights; the path, and the blobs by layer."""
    path = write(folder, text, name=name)
    _, weights = translated(path, {}, seed=seed)
    blobs: dict[str, list[Array]] = {}
    for (owner, _), array in sorted(weights.used.items(), key=lambda item: item[0]):
        blobs.setdefault(owner, []).append(array.reshape(array.shape or (1,)))  # OpenCV reads no scalars
    path.with_suffix(".caffemodel").write_bytes(as_caffemodel(blobs))
    return path, blobs


def graph_of(folder: Path, text: str, blobs: Blobs | None = None, **options: Any) -> Graph:
    """The graph of a net."""
    return read(write(folder, text, blobs), **options)


def feeds_of(graph: Graph, seed: int = 0, low: float = -2.0, high: float = 2.0) -> dict[str, Array]:
    """Random numbers for the inputs."""
    chance = np.random.default_rng(seed)
    return {v.name: chance.uniform(low, high, v.type.static_shape).astype(np.float32) for v in graph.inputs}


def run(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by name, by the interpreter."""
    found: Any = interpreter.run(graph, dict(feeds))
    return found if isinstance(found, dict) else dict(zip(graph.output_names, found, strict=True))


def opencv(path: Path, feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """The same blobs, by OpenCV."""
    from mconv.frontends.caffe.runtime import run as run_opencv

    files = {".prototxt": str(path), ".caffemodel": str(path.with_suffix(".caffemodel"))}
    return run_opencv(files, feeds, wanted)


def close(found: Array, wanted: Array, rtol: float = 1e-5) -> None:
    """Shapes and numbers agree, relative to the largest."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=rtol * max(1e-6, float(np.abs(wanted).max(initial=0))), rtol=0)
