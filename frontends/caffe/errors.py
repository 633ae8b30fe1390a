"""What can be wrong with a Caffe net: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import UnreadableError, UnsupportedError, UsageError

RANDOM = "--weights FILE, or --random-weights SEED where only the architecture matters"


def not_text(what: str) -> UnreadableError:
    """MC230: the .prototxt cannot be opened, or is no text."""
    return UnreadableError(Problem("MC230", what, hint="the net's .prototxt, as Caffe itself reads it"))


def syntax(what: str, where: str) -> UnreadableError:
    """MC231: the text breaks the grammar of protobuf's text format; ``where`` is file:line:column."""
    return UnreadableError(Problem("MC231", what, where=where, hint="mending the line"))


def bad_field(what: str, where: str) -> UnreadableError:
    """MC232: a field that its message does not have, or with a value of another type."""
    return UnreadableError(Problem("MC232", what, where=where, hint="mending the line"))


def damaged(what: str) -> UnreadableError:
    """MC233: the .caffemodel is no sound NetParameter."""
    return UnreadableError(Problem("MC233", what, hint="downloading it again; the file is damaged or another format"))


def misfit_problem(what: str, where: str) -> Problem:
    """MC234: the weights of one layer are not those that the .prototxt asks for."""
    return Problem("MC234", what, where=where, hint="the .caffemodel that was trained with this .prototxt")


def no_weights(what: str) -> UnreadableError:
    """MC235: there is no .caffemodel."""
    return UnreadableError(Problem("MC235", what, hint=RANDOM))


def wiring(what: str, where: str) -> UnreadableError:
    """MC236: the layers do not make a net: a blob that nobody makes, or that is made twice."""
    return UnreadableError(Problem("MC236", what, where=where, hint="mending the names of bottoms and tops"))


def misfit(what: str, where: str = "") -> UnreadableError:
    """MC237: a layer's parameters and its bottoms do not fit each other."""
    return UnreadableError(Problem("MC237", what, where=where, hint="--input-shape, if the input's size is a guess"))


def too_large(what: str, where: str = "") -> UnreadableError:
    """MC238: beyond what any real net has."""
    return UnreadableError(Problem("MC238", what, where=where, hint="checking where the file comes from"))


def no_prototxt(what: str) -> UnreadableError:
    """MC239: a .caffemodel without the .prototxt that says what the net is."""
    return UnreadableError(Problem("MC239", what, hint="putting the deploy .prototxt beside it, under the same name"))


def not_read(kind: str, where: str) -> UnsupportedError:
    """MC330: a layer type that is not read."""
    what = f"layer type {kind} is not read"
    return UnsupportedError(Problem("MC330", what, where=where, hint="a net without it, or the net cut before it"))


def python_layer(what: str, where: str) -> UnsupportedError:
    """MC331: a layer whose work is code in Python; it is never run."""
    hint = "taking it out of the .prototxt; an Input layer can stand for one that loads data"
    return UnsupportedError(Problem("MC331", what, where=where, hint=hint))


def form(what: str, where: str = "", hint: str = "") -> UnsupportedError:
    """MC332: the layer type is read, but not in this form."""
    return UnsupportedError(Problem("MC332", what, where=where, hint=hint))


def not_understood(what: str, where: str) -> UnsupportedError:
    """MC333: a field that the reader has no meaning for."""
    hint = "taking it out, if the net computes the same without it"
    return UnsupportedError(Problem("MC333", what, where=where, hint=hint))


def needs_static(what: str) -> UnsupportedError:
    """MC306: a size has to be a number."""
    hint = "--input-shape with numbers only"
    return UnsupportedError(Problem("MC306", f"{what} must be known at conversion time", hint=hint))


def tell_shape(name: str, where: str, guess: str) -> UsageError:
    """MC122: the net does not tell the size of an input."""
    hint = f"--input-shape {name}:{guess}"
    return UsageError(Problem("MC122", f"the size of input '{name}' is not in the .prototxt", where=where, hint=hint))


def no_such_input(name: str, known: str) -> UsageError:
    """MC111: --input-shape names an input that the net does not have."""
    return UsageError(Problem("MC111", f"the net has no input '{name}'", hint=f"one of: {known}"))


def no_such_dimension(name: str) -> UsageError:
    """MC112: Caffe's sizes are numbers; none has a name."""
    return UsageError(
        Problem("MC112", f"no input has a dimension named '{name}'", hint="--input-shape NAME:1,3,224,224")
    )
