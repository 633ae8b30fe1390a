"""Small graphs written as TFLite, run in LiteRT, and compared with the interpreter."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mconv.backends import get, write_all
from mconv.backends.base import Artifact
from mconv.ir import Graph, Op
from mconv.ir.interpreter import run as interpret
from mconv.ir.types import Array
from mconv.passes import pipeline
from mconv.passes.base import Context

from ..ncnn.nets import Given, graph_of


def fitted(graph: Graph) -> Graph:
    """The graph after the passes that fit it to the target."""
    pipeline.run(pipeline.prepare(get("tflite")), graph, Context(get("tflite")), check=True)
    return graph


def emit(graph: Graph, **options: object) -> Artifact:
    """The graph as a TFLite model, fitted before."""
    return get("tflite").emit(fitted(graph), **options)


def run(content: bytes, feeds: dict[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """The outputs of a file in LiteRT."""
    pytest.importorskip("ai_edge_litert")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        write_all({path: lambda: (content,)})
        return get("tflite").run({".tflite": str(path)}, feeds, outputs)


def operators(content: bytes) -> list[tuple[str, int]]:
    """Name and version of each operation of the first subgraph."""
    import tflite

    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    model = tflite.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(graph.Operators(i).OpcodeIndex()) for i in range(graph.OperatorsLength())]
    return [(names[max(c.BuiltinCode(), c.DeprecatedBuiltinCode())], c.Version()) for c in codes]


def check(graph: Graph, feeds: dict[str, Array], rtol: float = 1e-5, **options: object) -> bytes:
    """Assert that LiteRT computes what the interpreter does, in the same types and shapes; the file."""
    expected = interpret(graph, feeds)
    names = list(graph.output_names)
    content = emit(graph, **options).content(".tflite")
    found = run(content, copy.deepcopy(feeds), names)
    for name, reference in expected.items():
        assert found[name].dtype == reference.dtype, (name, found[name].dtype, reference.dtype)
        assert found[name].shape == reference.shape, (name, found[name].shape, reference.shape)
        if reference.dtype.kind != "f":
            np.testing.assert_array_equal(found[name], reference)
            continue
        scale = np.abs(reference[np.isfinite(reference)]).max(initial=0) or 1
        np.testing.assert_allclose(found[name], reference, rtol=rtol, atol=rtol * float(scale))
    return content


def same(op: Op, *operands: Given, constants: Sequence[int] = (), results: int = 1, rtol: float = 1e-5) -> bytes:
    """``check`` of a graph of one operator."""
    graph, feeds = graph_of(op, operands, constants, results)
    return check(graph, feeds, rtol)


def refused(op: Op, *operands: Given, constants: Sequence[int] = ()) -> str:
    """Why the fitted graph of one operator is refused."""
    graph, _ = graph_of(op, operands, constants)
    target = get("tflite")
    whys = [why for node in fitted(graph).nodes if (why := target.refusal(node)) is not None]
    assert whys
    return whys[0]
