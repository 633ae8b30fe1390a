"""What can be wrong with an ONNX model: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import UnreadableError, UnsupportedError

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
