"""What can be wrong with a Keras model: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import MissingExtraError, UnreadableError, UnsupportedError

AGAIN = "downloading or saving the model again; the file is damaged"
WRITTEN_BADLY = "saving the model again; the file is damaged or was written by a faulty tool"
TELL_SHAPES = "--input-shape name:1,224,224,3, so that the size is known"
CUT = "a model without this layer, whose work is then done in code before or after it"


def damaged(what: str, where: str = "") -> UnreadableError:
    """MC290: the bytes are no sound zip archive or HDF5 file."""
    return UnreadableError(Problem("MC290", what, where=where, hint=AGAIN))


def unsafe(what: str, where: str = "") -> UnreadableError:
    """MC291: the file names others, or would take far more room than it has bytes."""
    return UnreadableError(Problem("MC291", what, where=where, hint="a file from a source that you trust"))


def no_config(what: str, where: str = "") -> UnreadableError:
    """MC292: there is no configuration, or it describes no model."""
    return UnreadableError(Problem("MC292", what, where=where, hint=WRITTEN_BADLY))


def weights_only(name: str) -> UnreadableError:
    """MC293: the file holds weights alone."""
    hint = (
        "model.save('model.keras'), or building the model in Python, model.load_weights(...) and mconv.convert(model)"
    )
    return UnreadableError(Problem("MC293", f"{name} holds weights, but not the model that they belong to", hint=hint))


def bad_weights(what: str, where: str = "") -> UnreadableError:
    """MC294: a layer's weights are missing, or are not of the number or shape that its configuration asks for."""
    return UnreadableError(Problem("MC294", what, where=where, hint=WRITTEN_BADLY))


def bad_graph(what: str, where: str = "") -> UnreadableError:
    """MC295: layers are connected to what is not there, or in a circle."""
    return UnreadableError(Problem("MC295", what, where=where, hint=WRITTEN_BADLY))


def misfit(what: str, where: str = "") -> UnreadableError:
    """MC296: a layer's settings and inputs do not fit each other."""
    return UnreadableError(Problem("MC296", what, where=where, hint=WRITTEN_BADLY))


def endless(what: str) -> UnreadableError:
    """MC297: models are nested too deeply, or unfold into too many layers."""
    return UnreadableError(Problem("MC297", what, hint=WRITTEN_BADLY))


def not_read(name: str, where: str = "") -> UnsupportedError:
    """MC390: a layer or operation of Keras that is not read."""
    return UnsupportedError(Problem("MC390", f"{name} is not read", where=where, hint=CUT))


def custom(name: str, where: str = "", what: str = "layer") -> UnsupportedError:
    """MC391: a class or function that somebody else's code defines."""
    text = f"{name} is a custom {what}: its meaning is in code, not in the file"
    return UnsupportedError(Problem("MC391", text, where=where, hint=f"building the model with Keras's own {what}s"))


def stored_code(name: str, where: str = "") -> UnsupportedError:
    """MC392: a Lambda layer, or another place in which a file keeps Python code."""
    what = f"{name} holds Python code, which is never decoded and never run"
    return UnsupportedError(Problem("MC392", what, where=where, hint="the same with Keras's own layers or keras.ops"))


def form(what: str, hint: str = "") -> UnsupportedError:
    """MC393: the layer is read, but not in this form."""
    return UnsupportedError(Problem("MC393", what, hint=hint))


def option(what: str, where: str = "") -> UnsupportedError:
    """MC394: a setting that is not understood."""
    return UnsupportedError(Problem("MC394", what, where=where, hint="a newer version of mconv"))


def subclassed(name: str) -> UnsupportedError:
    """MC395: a model whose layers are connected by code."""
    what = f"{name} is a subclassed model: its layers are connected by code, not by a configuration"
    hint = "model.export('folder'), which makes a SavedModel, or a tf.function with an input signature"
    return UnsupportedError(Problem("MC395", what, hint=hint))


def masked(what: str) -> UnsupportedError:
    """MC396: a mask reaches a layer that is not read with one."""
    hint = "a model without Masking or mask_zero, whose inputs are then not padded"
    return UnsupportedError(Problem("MC396", what, hint=hint))


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


def missing_h5py() -> MissingExtraError:
    """MC130: h5py is not installed."""
    return MissingExtraError(Problem("MC130", "reading a Keras file needs h5py", hint="pip install 'mconv[keras]'"))
