"""Collecting what is wrong in a whole model."""

from __future__ import annotations

from collections.abc import Iterable

from mconv.ir import Problem
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError


class Problems:
    """Collects what is wrong in a whole model, so that all of it is reported at once, each kind once."""

    def __init__(self) -> None:
        self._found: dict[tuple[type[MconvError], str, str], list[Problem]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: type[MconvError], problems: Iterable[Problem]) -> None:
        """Note problems; those that differ only in where they are count as one kind."""
        for problem in problems:
            self._found.setdefault((error, problem.code, problem.what), []).append(problem)

    def throw(self) -> None:
        """Raise what was collected: the unreadable if any of it is, since the rest may follow from that."""
        for error in (UnreadableError, UnsupportedError):
            found = [kind for (wanted, _, _), kind in self._found.items() if wanted is error]
            if found:
                raise error([_summary(kind) for kind in found])


def _summary(kind: list[Problem]) -> Problem:
    first = kind[0]
    if len(kind) == 1:
        return first
    where = f"{first.where} and {len(kind) - 1} more like it"
    return Problem(first.code, first.what, where=where, types=first.types, hint=first.hint)
