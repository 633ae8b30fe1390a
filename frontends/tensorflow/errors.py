"""What can be wrong with a TensorFlow model: one function a code, so that a code has one meaning (docs/errors.md)."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import UnreadableError, UnsupportedError, UsageError

AGAIN = "downloading or exporting the model again; the file is damaged"
TELL_SHAPES = "--input-shape NAME:1,224,224,3, so that the size is known"
WRITTEN_BADLY = "exporting the model again; the file is damaged or was written by a faulty tool"


def damaged(what: str) -> UnreadableError:
    """MC240: the bytes are no GraphDef or SavedModel."""
    return UnreadableError(Problem("MC240", what, hint=AGAIN))


def empty(what: str) -> UnreadableError:
    """MC241: there is nothing in the graph that could be computed."""
    return UnreadableError(Problem("MC241", what, hint="--outputs NAME, if its outputs were not recognised"))


def bad_tensor(what: str, where: str = "") -> UnreadableError:
    """MC242: a tensor's element type, shape and content do not fit each other."""
    return UnreadableError(Problem("MC242", what, where=where, hint=WRITTEN_BADLY))


def no_such(what: str, where: str = "") -> UnreadableError:
    """MC243: a node, a result or a function is named that is not there."""
    return UnreadableError(Problem("MC243", what, where=where, hint=WRITTEN_BADLY))


def cycle(what: str) -> UnreadableError:
    """MC244: nodes, or functions, need their own results."""
    return UnreadableError(Problem("MC244", what, hint=WRITTEN_BADLY))


def misfit(what: str, where: str = "") -> UnreadableError:
    """MC245: operands and attributes of a node do not fit each other."""
    return UnreadableError(Problem("MC245", what, where=where, hint=WRITTEN_BADLY))


def no_value(name: str) -> UnreadableError:
    """MC246: a variable whose value is not in the file."""
    what = f"variable '{name}' has no value in this file: the graph is not frozen"
    return UnreadableError(Problem("MC246", what, hint="the SavedModel's folder, or freezing the graph first"))


def no_place(name: str, near: str) -> UsageError:
    """MC124: --inputs or --outputs name what is not there."""
    hint = f"one of: {near}" if near else "a name that the graph has"
    return UsageError(Problem("MC124", f"the graph has no tensor '{name}'", hint=hint))


def not_read(op: str, name: str) -> UnsupportedError:
    """MC380: an operator that is not read."""
    return UnsupportedError(Problem("MC380", f"the operator {op} is not read", hint=_cut(name)))


def outside(op: str, why: str, name: str) -> UnsupportedError:
    """MC381: an operator that has no meaning in an inference engine."""
    return UnsupportedError(Problem("MC381", f"{op}: {why}", hint=_cut(name)))


def form(what: str, hint: str = "") -> UnsupportedError:
    """MC382: the operator is read, but not in this form."""
    return UnsupportedError(Problem("MC382", what, hint=hint))


def attribute(what: str) -> UnsupportedError:
    """MC383: an attribute that is not understood."""
    return UnsupportedError(Problem("MC383", what, hint="a newer version of mconv"))


def rank_unknown(name: str) -> UnsupportedError:
    """MC384: an input without a shape."""
    what = f"input '{name}' has no shape in the graph, not even a number of axes"
    hint = f"--input-shape {name}:1,224,224,3, with as many sizes as it has axes"
    return UnsupportedError(Problem("MC384", what, hint=hint))


def loop(what: str) -> UnsupportedError:
    """MC385: control flow of a shape that is not read."""
    return UnsupportedError(Problem("MC385", what, hint="exporting with TensorFlow 2's control flow"))


def left_out(name: str) -> UnsupportedError:
    """MC386: what --inputs cuts out still needs an input of the graph that is not named there."""
    what = f"the outputs also depend on '{name}', which --inputs does not name"
    return UnsupportedError(Problem("MC386", what, hint=f"naming '{name}' in --inputs as well, or cutting behind it"))


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


def _cut(name: str) -> str:
    return f"--inputs {name}, which cuts the graph behind it, and doing its work in code (or --outputs before it)"


def no_signature(what: str, hint: str) -> UsageError:
    """MC125: a SavedModel has no such signature."""
    return UsageError(Problem("MC125", what, hint=hint))


def no_variables(what: str) -> UnreadableError:
    """MC249: the checkpoint of a SavedModel."""
    return UnreadableError(Problem("MC249", what, hint="the whole folder of the SavedModel, as it was exported"))
