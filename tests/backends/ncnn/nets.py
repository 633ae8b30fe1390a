"""Small graphs written, run in the real ncnn runtime, and compared with the interpreter."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mconv.backends import get, write_all
from mconv.backends.base import Artifact
from mconv.frontends import load
from mconv.ir import Builder, DType, Graph, Op, Value
from mconv.ir.interpreter import run as interpret
from mconv.ir.types import Array

Given = Array | tuple[int, ...] | None


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normally distributed floats."""
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)


def graph_of(op: Op, operands: Sequence[Given], constants: Sequence[int] = (), results: int = 1) -> tuple[Graph, dict]:
    """A graph of one operator; a shape stands for random floats; operands listed in ``constants`` are constants."""
    b = Builder()
    feeds, values = {}, []
    for index, given in enumerate(operands):
        if given is None:
            values.append(None)
            continue
        array = numbers(*given, seed=index) if isinstance(given, tuple) else given
        if index in constants:
            values.append(b.constant(array, name=f"w{index}"))
        else:
            values.append(b.input(f"x{index}", DType.of(array.dtype), array.shape))
            feeds[f"x{index}"] = array
    made = b.add_all(op, *values, name="node")
    for index, value in enumerate(made[:results]):
        b.output(value, f"y{index}")
    return b.graph, feeds


def emit(graph: Graph, **options: object) -> Artifact:
    """The graph as an ncnn net."""
    return get("ncnn").emit(graph, **options)


def read_back(artifact: Artifact, feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs of an emitted net as the reader understands it, computed by the interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {suffix: Path(folder) / f"net{suffix}" for suffix in artifact.files}
        write_all({path: artifact.files[suffix] for suffix, path in paths.items()})
        graph = load(paths[".param"])
        mats = {v.name: feeds[v.name].reshape(v.type.static_shape).astype(v.type.dtype.numpy) for v in graph.inputs}
        return interpret(graph, mats)


def run(artifact: Artifact, feeds: dict[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """The outputs of an emitted net in the ncnn runtime."""
    pytest.importorskip("ncnn")
    with tempfile.TemporaryDirectory() as folder:
        paths = {suffix: Path(folder) / f"net{suffix}" for suffix in artifact.files}
        write_all({path: artifact.files[suffix] for suffix, path in paths.items()})
        return get("ncnn").run({s: str(p) for s, p in paths.items()}, feeds, outputs)


def check(graph: Graph, feeds: dict[str, Array], rtol: float = 1e-4, **options: object) -> str:
    """Assert that ncnn computes what the interpreter does; the .param text."""
    artifact = emit(graph, **options)
    expected = interpret(graph, feeds)
    found = run(artifact, feeds, list(graph.output_names))
    again = read_back(artifact, feeds)
    for name, reference in expected.items():
        held = reference.shape[1:] if reference.ndim > 1 and reference.shape[0] == 1 else reference.shape or (1,)
        assert found[name].shape == held, (name, found[name].shape, held, artifact.content(".param").decode())
        scale = np.abs(reference[np.isfinite(reference)]).max(initial=0) or 1
        np.testing.assert_allclose(
            found[name].reshape(reference.shape), reference.astype(np.float32), rtol=rtol, atol=rtol * float(scale),
            err_msg=artifact.content(".param").decode(),
        )  # fmt: skip
        np.testing.assert_allclose(
            again[name].reshape(reference.shape), reference.astype(np.float32), rtol=rtol, atol=rtol * float(scale),
            err_msg="read back\n" + artifact.content(".param").decode(),
        )  # fmt: skip
    return artifact.content(".param").decode()


def same(op: Op, *operands: Given, constants: Sequence[int] = (), results: int = 1, rtol: float = 1e-4) -> str:
    """``check`` of a graph of one operator."""
    graph, feeds = graph_of(op, operands, constants, results)
    return check(graph, feeds, rtol)


def refused(op: Op, *operands: Given, constants: Sequence[int] = ()) -> str:
    """Why the target refuses the operator in this form."""
    graph, _ = graph_of(op, operands, constants)
    why = get("ncnn").refusal(graph.nodes[-1])
    assert why is not None
    return why


def chain(b: Builder, value: Value, *ops: Op) -> Value:
    """Operators of one operand, one after the other."""
    for op in ops:
        value = b.add(op, value)
    return value
