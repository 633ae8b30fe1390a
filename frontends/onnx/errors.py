"""What can be wrong with an ONNX model: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from collections.abc import Iterable

from mconv.ir import Problem
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError

TELL_SHAPES = "--input-shape name:1,3,224,224 or --dim name=1, so that the size is known"
RE_EXPORT = "exporting the model again; the file is damaged or was written by a faulty tool"


def unreadable(code: str, what: str, hint: str = "", where: str = "", types: str = "") -> UnreadableError:
    """The error of exit status 2 for an input that is broken."""
    return UnreadableError(Problem(code, what, where=where, types=types, hint=hint))


def unsupported(code: str, what: str, hint: str = "", where: str = "", types: str = "") -> UnsupportedError:
    """The error of exit status 3 for an input that is sound but cannot be expressed."""
    return UnsupportedError(Problem(code, what, where=where, types=types, hint=hint))


def form(what: str, hint: str = "") -> UnsupportedError:
    """MC303: the operator is known, but not in this form."""
    return unsupported("MC303", what, hint)


def needs_static(what: str) -> UnsupportedError:
    """MC306: a size has to be a number."""
    return unsupported("MC306", f"{what} must be known at conversion time", TELL_SHAPES)


def needs_constant(what: str) -> UnsupportedError:
    """MC308: an operand has to be a constant."""
    return unsupported("MC308", f"{what} must be a constant")


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
