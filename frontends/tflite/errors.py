"""What can be wrong with a TFLite model: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import UnreadableError, UnsupportedError

AGAIN = "downloading or converting the model again; the file is damaged"
TELL_SHAPES = "--input-shape name:1,224,224,3, so that the size is known"
WRITTEN_BADLY = "converting the model again; the file is damaged or was written by a faulty tool"


def damaged(what: str, where: str = "") -> UnreadableError:
    """MC280: the bytes are no sound flatbuffer."""
    return UnreadableError(Problem("MC280", what, where=where, hint=AGAIN))


def no_such(what: str, where: str = "") -> UnreadableError:
    """MC281: a tensor, buffer, operator code or subgraph is named that is not there."""
    return UnreadableError(Problem("MC281", what, where=where, hint=WRITTEN_BADLY))


def bad_tensor(what: str, where: str = "") -> UnreadableError:
    """MC282: a tensor's shape, content, scales or sparsity do not fit each other."""
    return UnreadableError(Problem("MC282", what, where=where, hint=WRITTEN_BADLY))


def bad_order(what: str, where: str = "") -> UnreadableError:
    """MC283: a tensor is read before it is made, or made twice."""
    return UnreadableError(Problem("MC283", what, where=where, hint=WRITTEN_BADLY))


def misfit(what: str, where: str = "") -> UnreadableError:
    """MC284: operands and options of an operator do not fit each other."""
    return UnreadableError(Problem("MC284", what, where=where, hint=WRITTEN_BADLY))


def endless(what: str) -> UnreadableError:
    """MC285: subgraphs call one another in a circle, or too deeply."""
    return UnreadableError(Problem("MC285", what, hint=WRITTEN_BADLY))


def contradiction(what: str, where: str = "") -> UnreadableError:
    """MC286: a result is not of the type that the file declares."""
    return UnreadableError(Problem("MC286", what, where=where, hint=WRITTEN_BADLY))


def not_read(name: str, where: str = "") -> UnsupportedError:
    """MC370: a builtin operator that is not read."""
    what = f"the builtin operator {name} is not read"
    return UnsupportedError(Problem("MC370", what, where=where, hint="a model without it"))


def custom(name: str, where: str = "") -> UnsupportedError:
    """MC371: a custom operator, or one of TensorFlow's own."""
    flex = name.startswith("Flex")
    hint = "converting without SELECT_TF_OPS" if flex else "cutting the model before it, and doing its work in code"
    what = f"{name} is {'an operator of TensorFlow, not of TFLite' if flex else 'a custom operator'}"
    return UnsupportedError(Problem("MC371", what, where=where, hint=hint))


def form(what: str, hint: str = "") -> UnsupportedError:
    """MC372: the operator is read, but not in this form."""
    return UnsupportedError(Problem("MC372", what, hint=hint))


def option(what: str) -> UnsupportedError:
    """MC373: an option that is not understood."""
    return UnsupportedError(Problem("MC373", what, hint="a newer version of mconv"))


def element_type(what: str, where: str = "") -> UnsupportedError:
    """MC304: elements of a type that is not read."""
    return UnsupportedError(Problem("MC304", what, where=where))


def needs_static(what: str) -> UnsupportedError:
    """MC306: a size has to be a number."""
    return UnsupportedError(Problem("MC306", f"{what} must be known at conversion time", hint=TELL_SHAPES))


def needs_constant(what: str) -> UnsupportedError:
    """MC308: an operand has to be a constant."""
    return UnsupportedError(Problem("MC308", f"{what} must be a constant"))


def too_large(what: str) -> UnsupportedError:
    """MC309: a tensor beyond the bound."""
    return UnsupportedError(Problem("MC309", what))
