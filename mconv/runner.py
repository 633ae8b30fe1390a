"""Runs a model file in its own runtime, in a process of its own.

A runtime that crashes on a broken file then takes nothing with it, two runtimes run side by side, and what they
hold in memory is given back. The request is one line of JSON on standard input; arrays travel as .npz files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .ir.errors import MissingExtraError, Problem
from .ir.record import Record
from .ir.types import Array

TIMEOUT = 1800
"""Seconds after which a run is given up."""


SERVE = "from mconv.runner import serve; serve()"
"""What the child runs."""


class RunFailed(Exception):
    """The runtime refused the model, or crashed on it; the message is its own."""


class Model(Record):
    """A model to run: its format, and its files by suffix."""

    format: str
    files: Mapping[str, str]

    @property
    def runtime(self) -> str:
        """The runtime's name."""
        return RUNTIMES[self.format].package


class Runtime(Record):
    """The package that runs a format, and the function of this module that calls it."""

    package: str
    function: str


RUNTIMES = {
    "onnx": Runtime("onnxruntime", "_run_onnx"),
    "ncnn": Runtime("ncnn", "_run_ncnn"),
    "tflite": Runtime("ai_edge_litert", "_run_tflite"),
}


def available(format: str) -> bool:
    """True when the runtime of ``format`` is installed."""
    from importlib.util import find_spec

    return format in RUNTIMES and find_spec(RUNTIMES[format].package) is not None


def require(format: str) -> None:
    """MissingExtraError (MC130) with the line to type, unless the runtime is installed."""
    if not available(format):
        package = RUNTIMES[format].package if format in RUNTIMES else format
        raise MissingExtraError(
            Problem("MC130", f"running a model of format {format} needs {package}", hint="pip install 'mconv[verify]'")
        )


def run(jobs: Sequence[tuple[Model, Mapping[str, Array], Sequence[str]]]) -> list[dict[str, Array] | RunFailed]:
    """Run models side by side: for each its feeds by name and the values wanted; arrays by name, or the failure."""
    with tempfile.TemporaryDirectory(prefix="mconv-") as folder:
        started: list[tuple[subprocess.Popen[str], Path]] = []
        try:
            for index, job in enumerate(jobs):
                started.append(_start(Path(folder), index, *job))  # one that fails must find those before it
            return [_finish(*each) for each in started]
        finally:
            for process, _ in started:
                if process.poll() is None:
                    process.kill()
                with suppress(BrokenPipeError), process:  # waits, and closes the pipes
                    pass


def _start(
    folder: Path, index: int, model: Model, feeds: Mapping[str, Array], wanted: Sequence[str]
) -> tuple[subprocess.Popen[str], Path]:
    require(model.format)
    given, result = folder / f"{index}.in.npz", folder / f"{index}.out.npz"
    np.savez(given, *feeds.values())
    request = {
        "function": RUNTIMES[model.format].function,
        "files": dict(model.files),
        "names": list(feeds),
        "wanted": list(wanted),
        "feeds": str(given),
        "result": str(result),
    }
    path = os.pathsep.join(p for p in [str(Path(__file__).parent.parent), *sys.path] if p)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has died already; _finish tells how
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    return process, result


def _finish(process: subprocess.Popen[str], result: Path) -> dict[str, Array] | RunFailed:
    try:
        out, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        return RunFailed(f"it did not finish in {TIMEOUT} seconds")
    answer = _last_json(out)
    if answer is None:
        tail = errors.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
        died = f"it was killed by signal {-process.returncode}" if process.returncode < 0 else tail[0]
        return RunFailed(died)
    if "error" in answer:
        return RunFailed(answer["error"])
    with np.load(result, allow_pickle=False) as arrays:
        return {name: arrays[f"arr_{i}"] for i, name in enumerate(answer["names"])}


def _last_json(text: str) -> dict[str, Any] | None:
    lines = text.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def serve() -> None:
    """The child's side: read a request, run it, answer with one line of JSON."""
    request = json.loads(sys.stdin.readline())
    with np.load(request["feeds"], allow_pickle=False) as arrays:
        feeds = {name: arrays[f"arr_{i}"] for i, name in enumerate(request["names"])}
    try:
        results = globals()[request["function"]](request["files"], feeds, request["wanted"])
    except Exception as error:  # a runtime's errors are of many types; the parent reports the text
        answer: dict[str, Any] = {"error": f"{type(error).__name__}: {str(error).strip()[:500]}"}
    else:
        np.savez(request["result"], *results.values())
        answer = {"names": list(results)}
    sys.stdout.write(json.dumps(answer) + "\n")


def _run_onnx(files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    import onnxruntime as package

    onnxruntime: Any = package
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # products of 8-bit integers saturate on processors without VNNI; what the file says does not
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with _with_outputs(files[".onnx"], wanted, options) as model:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [name for name in wanted if name in {o.name for o in session.get_outputs()}]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))


@contextmanager
def _with_outputs(path: str, wanted: Sequence[str], options: Any) -> Iterator[str | bytes]:
    """The path, or the bytes of the model with inner values made outputs where some are wanted."""
    import onnx

    model = onnx.load(path, load_external_data=False) if os.path.getsize(path) < 2**31 else None
    there = {o.name for o in model.graph.output} if model is not None else set(wanted)
    inner = [name for name in wanted if name not in there]
    if model is None or not inner:
        del model
        yield path
        return
    made = {name for node in model.graph.node for name in node.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner if name in made)
    folder = str(Path(path).resolve().parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    yield model.SerializeToString()


def _run_ncnn(files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    from .backends.ncnn.runtime import run as run_ncnn

    return run_ncnn(files, feeds, wanted, threads=os.cpu_count() or 1)


def _run_tflite(files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    from .backends.tflite.runtime import run as run_tflite

    return run_tflite(files, feeds, wanted, threads=os.cpu_count() or 1)
