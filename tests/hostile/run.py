"""Runs cases through the command, each in a process of its own, and says what it did wrong."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .bases import DIGITS
from .caffe import caffe
from .case import Case
from .files import cuts, external, flips, foreign, paths
from .flat import flat
from .graphdefs import graphdefs
from .graphs import bodies, operators, weights, wiring
from .keras_files import keras_files
from .nets import nets
from .sizes import sizes

SECONDS = 5
BYTES = 10**9
LINES = 40
GUARD = 6 * 10**9
"""Address space of a case: far above what is allowed to be used, so that a greedy one is seen and does no harm."""
PATIENCE = 60
"""Seconds of waiting, in which others may hold the processors; SECONDS are of processor time."""


@dataclass(frozen=True)
class Outcome:
    """What one run did: exit status (negative: the signal), seconds, peak bytes, and what it said and wrote."""

    case: Case
    status: int
    wall: float
    busy: float
    memory: int
    said: str
    written: tuple[str, ...]

    def faults(self) -> list[str]:
        """What is wrong with it; empty when all is well."""
        text, lines = self.said, self.said.strip().splitlines()
        refused = self.status != 0
        rules = {
            f"exit status {self.status}": self.status in self.case.statuses,
            f"{self.busy:.1f} s": min(self.wall, self.busy) < SECONDS,
            f"{self.memory / 1e6:.0f} MB": self.memory < BYTES,
            "a traceback": "Traceback" not in text,
            f"{len(lines)} lines, {len(text)} letters": len(lines) <= LINES and len(text) < 8000,
            "no code first": not refused or bool(lines and re.match(r"error MC[1-4]\d\d ", lines[0])),
            f"files: {self.written}": bool(self.written) != refused,
            "not verified": refused or "--no-verify" in self.case.options or "not verified" not in text,
            "raw control characters": not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text),
        }
        return [what for what, holds in rules.items() if not holds]


@cache
def corpus() -> list[Case]:
    """All cases, in a fixed order."""
    models = (foreign, paths, cuts, flips, external, wiring, weights, operators, bodies, sizes, nets, flat)
    makers = (*models, caffe, keras_files, graphdefs)
    return [case for make in makers for case in make()]


def run_all(cases: Iterable[Case], workers: int = 2, command: bool = False) -> Iterator[Outcome]:
    """Run the cases; ``command`` starts the real command for each, else a fork of this process runs its main."""
    import numpy  # noqa: F401  what every case would import is imported once, before forking
    import onnx.defs  # noqa: F401

    from mconv import backends, cli, driver, verification  # noqa: F401
    from mconv.frontends.caffe import reader as caffe_reader  # noqa: F401
    from mconv.frontends.ncnn import reader as ncnn_reader  # noqa: F401
    from mconv.frontends.onnx import reader, registry  # noqa: F401
    from mconv.frontends.tensorflow import reader as tensorflow_reader  # noqa: F401
    from mconv.frontends.tensorflow import registry as tensorflow_registry
    from mconv.frontends.tflite import reader as tflite_reader  # noqa: F401

    registry.handled()
    tensorflow_registry.HANDLERS.names()
    backends.get("ncnn")
    if find_spec("h5py") is not None:
        import h5py  # noqa: F401

        from mconv.frontends.keras import reader as keras_reader  # noqa: F401
        from mconv.frontends.keras import registry as keras_registry

        keras_registry.LAYERS.names()

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda case: run_one(case, command), cases)


def run_one(case: Case, command: bool = False) -> Outcome:
    """One case, in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        out.mkdir()
        source = case.make(folder)
        arguments = [str(source), "--target", "ncnn", "-o", f"{out}/", *case.options]
        said = Path(name) / "said"
        with said.open("wb") as file:
            began = time.monotonic()
            pid = _spawn(arguments, file.fileno()) if command else _fork(arguments, file.fileno())
            status, usage = _wait(pid)
            wall = time.monotonic() - began
        text = said.read_text(encoding="utf-8", errors="replace")
        written = tuple(sorted(path.name for path in out.iterdir()))
        busy = usage.ru_utime + usage.ru_stime
        return Outcome(case, status, wall, busy, usage.ru_maxrss * 1024, text, written)


def _spawn(arguments: list[str], output: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", "mconv", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=_limit,
    )
    process.returncode = 0  # it is waited for below, with its usage
    return process.pid


def _fork(arguments: list[str], output: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _limit()
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  lives as long as the process
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.argv = ["mconv", *arguments]
        _main()
    finally:
        os._exit(99)


def _main() -> None:
    import traceback

    from mconv import cli

    try:
        cli.main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 98)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GUARD, GUARD))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait(pid: int) -> tuple[int, resource.struct_rusage]:
    """The exit status and usage of a process and those it waited for; killed with them when it takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage


def sound() -> Case:
    """The digits network unbroken, which must convert: without it every test here could pass for nothing."""

    def write(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(DIGITS)
        return path

    return Case("sound", "digits", write, frozenset({0}))
