"""ONNX's node tests through the C++ target: all cases converted, compiled in a few libraries, and run.

A library is loaded in a process of its own; where a case ends that process, the next ones are run in another.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mconv import frontends
from mconv.ir.errors import MconvError

from .backends.cpp.batch import Network, Unit, compiled, networks, unit

Judge = Callable[[Any, Network], str]
"""Why a case's network is wrong; "" where it is right."""
PER_LIBRARY = 60
TIMEOUT = 60.0


def outcomes(cases: dict[str, Any], judge: Judge, *, flags: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """For each case "passed", "wrong", "refused" or "crashed", and why."""
    names = list(cases)
    found: dict[str, tuple[str, str]] = {}
    context = get_context("fork")
    global _CASES
    _CASES = [cases[name] for name in names]
    with context.Pool(os.cpu_count()) as pool:
        made = pool.map(_made, range(len(names)), chunksize=8)
    units: dict[str, Unit] = {}
    for name, answer in zip(names, made, strict=True):
        if isinstance(answer, Unit):
            units[name] = answer
        else:
            found[name] = answer
    with tempfile.TemporaryDirectory(prefix="mconv-nodes-") as folder:
        listed = list(units)
        pieces = max(1, -(-len(listed) // PER_LIBRARY))
        libraries = compiled(list(units.values()), Path(folder), flags=flags, pieces=pieces)
        for number, library in enumerate(libraries):
            found |= _judged([(n, cases[n], units[n]) for n in listed[number::pieces]], library, judge)
    return found


_CASES: list[Any] = []


def _made(number: int) -> Unit | tuple[str, str]:
    try:
        return unit(frontends.load(_CASES[number].model), number)
    except MconvError as error:
        kind = "wrong" if error.exit_status == 5 else "refused"
        return kind, f"{error.code} {error.problems[0].what}"
    except Exception as error:  # whatever a case brings to light is its outcome
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        return "wrong", f"{type(error).__name__}: {str(error)[:160]} ({Path(place.filename).name}:{place.lineno})"


def _judged(items: list[tuple[str, Any, Unit]], library: Path, judge: Judge) -> dict[str, tuple[str, str]]:
    """The outcomes of a library's cases, in a process that is begun anew after a crash."""
    found: dict[str, tuple[str, str]] = {}
    context = get_context("fork")
    while len(found) < len(items):
        rest = items[len(found) :]
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(there, rest, library, judge))
        process.start()
        there.close()
        began = time.monotonic()
        try:
            while len(found) < len(items):
                if not here.poll(TIMEOUT):
                    process.kill()
                    raise EOFError
                name, result, reason = here.recv()
                found[name] = (result, reason)
        except EOFError:
            process.join()
            name = rest[0][0] if not found else next(n for n, _, _ in items if n not in found)
            found[name] = ("crashed", f"exit status {process.exitcode} after {time.monotonic() - began:.0f} s")
        process.join()
        here.close()
    return found


def _run(there: Any, items: list[tuple[str, Any, Unit]], library: Path, judge: Judge) -> None:
    units = [u for _, _, u in items]
    for (name, case, _), network in zip(items, networks(units, [library]), strict=True):
        try:
            reason = judge(case, network)
            there.send((name, "wrong" if reason else "passed", reason))
        except Exception as error:  # an outcome as well
            there.send((name, "wrong", f"{type(error).__name__}: {str(error)[:160]}"))
