"""ONNX's node tests in compiled libraries, each loaded in a process of its own.

Where a case ends that process, the next ones are run in another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from typing import Any

Run = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
"""A case's results from its inputs' arrays; the expected ones tell sizes that only running tells."""
Judge = Callable[[Any, Run], str]
"""Why a case is wrong when it is run so; "" where it is right."""
Loaded = Callable[[Sequence[str]], Iterator[Run]]
"""How to run each of the named cases; loads their library."""
TIMEOUT = 60.0


def judged_apart(cases: dict[str, Any], loaded: Loaded, judge: Judge) -> dict[str, tuple[str, str]]:
    """For each case of a library "passed", "wrong" or "crashed", and why."""
    found: dict[str, tuple[str, str]] = {}
    names = list(cases)
    context = get_context("fork")
    while len(found) < len(names):
        rest = names[len(found) :]
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(there, {name: cases[name] for name in rest}, loaded, judge))
        process.start()
        there.close()
        began = time.monotonic()
        try:
            while len(found) < len(names):
                if not here.poll(TIMEOUT):
                    process.kill()
                    raise EOFError
                name, result, reason = here.recv()
                found[name] = (result, reason)
        except EOFError:
            process.join()
            name = next(n for n in names if n not in found)
            found[name] = ("crashed", f"exit status {process.exitcode} after {time.monotonic() - began:.0f} s")
        process.join()
        here.close()
    return found


def _run(there: Any, cases: dict[str, Any], loaded: Loaded, judge: Judge) -> None:
    for (name, case), run in zip(cases.items(), loaded(list(cases)), strict=True):
        try:
            reason = judge(case, run)
            there.send((name, "wrong" if reason else "passed", reason))
        except Exception as error:  # an outcome as well
            there.send((name, "wrong", f"{type(error).__name__}: {str(error)[:160]}"))
