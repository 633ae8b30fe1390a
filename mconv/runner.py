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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .ir.errors import MissingExtraError, Problem
from .ir.record import NOTHING, Record
from .ir.types import Array

TIMEOUT = 1800
"""Seconds after which a run is given up."""


SERVE = "from mconv.runner import serve; serve()"
"""What the child runs."""


class RunFailed(Exception):
    """The runtime refused the model, or crashed on it; the message is its own."""


class Model(Record):
    """A model to run: its format, and its files by suffix, or an object of this process.

    ``settings`` are further arguments of the function that runs it, as JSON can hold them.
    """

    format: str
    files: Mapping[str, str]
    settings: Mapping[str, Any] = NOTHING
    live: Any = None

    @property
    def runtime(self) -> str:
        """The runtime's name."""
        return RUNTIMES[self.format].package


class Runtime(Record):
    """The package that runs a format, the module whose ``run`` calls it, and the extra that installs it.

    ``threaded``: its ``run`` is told how many threads to use. ``compiled``: it is no package but a compiler; the
    module's ``compiler`` names the one that is there, and ``extra`` is the line that installs one.
    """

    package: str
    module: str
    extra: str = "verify"
    threaded: bool = False
    compiled: bool = False


RUNTIMES = {
    "onnx": Runtime("onnxruntime", "mconv.frontends.onnx.runtime"),
    "ncnn": Runtime("ncnn", "mconv.backends.ncnn.runtime", threaded=True),
    "tflite": Runtime("ai_edge_litert", "mconv.backends.tflite.runtime", threaded=True),
    "caffe": Runtime("cv2", "mconv.frontends.caffe.runtime", "caffe"),
    "tensorflow": Runtime("tensorflow", "mconv.frontends.tensorflow.runtime", "tensorflow"),
    "cpp": Runtime("g++", "mconv.backends.cpp.runtime", "apt-get install g++ make", threaded=True, compiled=True),
    "keras": Runtime("keras", "mconv.frontends.keras.runtime", "tensorflow"),
}


def available(format: str) -> bool:
    """True when the runtime of ``format`` is installed."""
    from importlib.util import find_spec

    if format not in RUNTIMES:
        return False
    runtime = RUNTIMES[format]
    if runtime.compiled:
        return import_module(runtime.module).compiler() is not None
    return find_spec(runtime.package) is not None


def install(*formats: str) -> str:
    """The line that installs the runtimes of formats."""
    runtimes = [RUNTIMES[format] for format in formats if format in RUNTIMES]
    extras = sorted({r.extra for r in runtimes if not r.compiled})
    lines = [r.extra for r in runtimes if r.compiled]
    if extras or not lines:
        lines.append(f"pip install 'mconv[{','.join(extras or ['verify'])}]'")
    return "; ".join(lines)


def require(format: str) -> None:
    """MissingExtraError (MC130) with the line to type, unless the runtime is installed."""
    if not available(format):
        package = RUNTIMES[format].package if format in RUNTIMES else format
        what = f"running a model of format {format} needs {package}"
        raise MissingExtraError(Problem("MC130", what, hint=install(format)))


def run(jobs: Sequence[tuple[Model, Mapping[str, Array], Sequence[str]]]) -> list[dict[str, Array] | RunFailed]:
    """Run models side by side: for each its feeds by name and the values wanted; arrays by name, or the failure.

    An object of this process is run in it.
    """
    with tempfile.TemporaryDirectory(prefix="mconv-") as folder:
        started: list[tuple[subprocess.Popen[str], Path] | None] = []
        try:
            for index, job in enumerate(jobs):  # one that fails must find those before it
                started.append(None if job[0].live is not None else _start(Path(folder), index, *job))
            return [
                _run_live(*job) if each is None else _finish(*each) for job, each in zip(jobs, started, strict=True)
            ]
        finally:
            for process, _ in filter(None, started):
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
    runtime = RUNTIMES[model.format]
    threads = {"threads": os.cpu_count() or 1} if runtime.threaded else {}
    request = {
        "module": runtime.module,
        "files": dict(model.files),
        "settings": {**threads, **model.settings},
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
        # what a runtime leaves in the folder for temporary files goes with ours; onnxruntime reports to its makers
        env={"ORT_DISABLE_TELEMETRY": "1", **os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)},
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
        module = import_module(request["module"])
        results = module.run(request["files"], feeds, request["wanted"], **request["settings"])
    except Exception as error:  # a runtime's errors are of many types; the parent reports the text
        answer: dict[str, Any] = {"error": f"{type(error).__name__}: {str(error).strip()[:500]}"}
    else:
        np.savez(request["result"], *results.values())
        answer = {"names": list(results)}
    sys.stdout.write(json.dumps(answer) + "\n")


def _run_live(model: Model, feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array] | RunFailed:
    module = import_module(RUNTIMES[model.format].module)
    try:
        results: dict[str, Array] = module.run_object(model.live, feeds, wanted, **model.settings)
    except Exception as error:  # a framework's errors are of many types
        return RunFailed(f"{type(error).__name__}: {str(error).strip()[:500]}")
    return results
