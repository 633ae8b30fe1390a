"""The one tree of exceptions. Every code is explained in docs/errors.md.

::

    MconvError
    +-- UsageError          exit 2   the call or its options are wrong
    +-- UnreadableError     exit 2   the input is broken, hostile, or not what it claims to be
    +-- UnsupportedError    exit 3   the input is sound, but it cannot be expressed
    +-- MismatchError       exit 4   the result's numbers differ from the source's
    +-- CheckError          exit 1   a check that was asked for failed
    +-- MissingExtraError   exit 2   an optional package is not installed
    +-- InternalError       exit 5   mconv is wrong; please report it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .record import Record

WIDEST = 500
"""Letters of one line of a message; the middle of longer ones is left out."""


class Problem(Record):
    """One thing that is wrong: where, what, why, and the next step for the person at the terminal.

    ``code`` is ``MC`` and three digits; its heading in docs/errors.md explains it.
    """

    code: str
    what: str
    where: str = ""
    types: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [f"{self.code} {_shown(self.what, 6)}"]
        if self.where:
            lines.append(f"    at {_shown(self.where)}")
        if self.types:
            lines.append(f"    with {_shown(self.types)}")
        if self.hint:
            lines.append(f"    try {_shown(self.hint)}")
        return "\n".join(lines)


def _shown(text: str, most: int = 1) -> str:
    """Text for a terminal: names come from the model, and may be a megabyte long or hold control characters."""
    lines = text.split("\n") if most > 1 else [text]
    if len(lines) > most:
        lines = [*lines[:most], "..."]
    cut = (line if len(line) <= WIDEST else f"{line[: WIDEST - 60]} ... {line[-50:]}" for line in lines)
    return "\n".join("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in cut)


class MconvError(Exception):
    """Base of all errors that mconv raises on purpose; carries one or more problems."""

    exit_status: ClassVar[int] = 5
    problems: tuple[Problem, ...]

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code


class CheckError(MconvError):
    """A check that was asked for (``--check-passes``, a verifier) failed."""

    exit_status = 1


class UsageError(MconvError):
    """The call is wrong: an unknown option's value, a missing file, an input name that is not there."""

    exit_status = 2


class UnreadableError(MconvError):
    """The input cannot be read: cut, corrupted, hostile, or of another format than it claims."""

    exit_status = 2


class MissingExtraError(MconvError):
    """An optional package is needed; the hint is the exact ``pip install`` line."""

    exit_status = 2


class UnsupportedError(MconvError):
    """The model is sound, but an operator or a form of it cannot be expressed. Nothing was written."""

    exit_status = 3


class MismatchError(MconvError):
    """What was written does not compute what the source computes."""

    exit_status = 4


class InternalError(MconvError):
    """mconv itself is at fault."""

    exit_status = 5
