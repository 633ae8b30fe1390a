"""ONNX's node tests through the C++ target: all cases converted, compiled in a few libraries, and run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mconv import frontends
from mconv.ir.errors import MconvError

from .backends.cpp.batch import Unit, compiled, networks, unit
from .onnx_node_tests_batch import Judge, Run, judged_apart

PER_LIBRARY = 60


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
            here = listed[number::pieces]
            loaded = partial(_loaded, units, library)
            found |= judged_apart({name: cases[name] for name in here}, loaded, judge)
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


def _loaded(units: dict[str, Unit], library: Path, names: Sequence[str]) -> Iterator[Run]:
    for network in networks([units[name] for name in names], [library]):
        yield lambda arrays, expected, network=network: network.run(arrays)
