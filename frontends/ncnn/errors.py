"""What can be wrong with an ncnn net: one function a code, so that a code has one meaning. See docs/errors.md."""

from __future__ import annotations

from mconv.ir import Problem
from mconv.ir.errors import UnreadableError, UnsupportedError, UsageError


def not_param(what: str) -> UnreadableError:
    """MC260: the file is no .param text."""
    return UnreadableError(Problem("MC260", what, hint="the .param file that stands beside the .bin"))


def malformed(what: str, where: str) -> UnreadableError:
    """MC261: a line of the .param file is cut or makes no sense."""
    return UnreadableError(Problem("MC261", what, where=where, hint="downloading or converting it again"))


def binary_param(name: str) -> UnsupportedError:
    """MC360: the .param file is in its binary form, which holds no names."""
    what = f"{name} is a binary .param, in which blobs have numbers instead of names"
    return UnsupportedError(Problem("MC360", what, hint="the text .param that it was made from (ncnn2mem's input)"))


def no_weights(path: str, why: str) -> UnreadableError:
    """MC263: the .bin file is missing or closed."""
    return UnreadableError(Problem("MC263", f"{path} cannot be opened: {why}", hint="putting it beside the .param"))


def weights_end(where: str, wanted: int, left: int) -> UnreadableError:
    """MC264: the .bin file ends before all weights are read."""
    what = f"the .bin file ends: {wanted} bytes are wanted and {left} are left"
    return UnreadableError(Problem("MC264", what, where=where, hint="the .bin that belongs to this .param"))


def weights_left(left: int) -> UnreadableError:
    """MC265: the .bin file holds more than the layers read."""
    what = f"{left} bytes of the .bin file belong to no layer"
    return UnreadableError(Problem("MC265", what, hint="the .bin that belongs to this .param"))


def bad_blob(what: str, where: str) -> UnreadableError:
    """MC266: the blobs do not make a net: one that nobody makes, or that is made twice."""
    return UnreadableError(Problem("MC266", what, where=where, hint="converting the model again"))


def no_such_layer(kind: str, where: str) -> UnsupportedError:
    """MC361: a layer type that is not read."""
    hint = "reading the model that the net was made from"
    return UnsupportedError(Problem("MC361", f"layer type {kind} is not read", where=where, hint=hint))


def form(what: str, where: str) -> UnsupportedError:
    """MC362: the layer type is read, but not in this form."""
    return UnsupportedError(Problem("MC362", what, where=where, hint="reading the model that the net was made from"))


def quantized(where: str) -> UnsupportedError:
    """MC363: the weights are integers."""
    what = "its weights are quantized to integers"
    return UnsupportedError(Problem("MC363", what, where=where, hint="the net before ncnn2int8"))


def tell_shape(name: str, where: str) -> UsageError:
    """MC122: the .param file does not tell the size of an input."""
    hint = f"--input-shape {name}:3,240,320 (channels, rows, columns)"
    return UsageError(Problem("MC122", f"the size of input '{name}' is not in the .param file", where=where, hint=hint))


def misfit(what: str, where: str) -> UnreadableError:
    """MC271: the sizes of blobs, parameters and weights do not fit."""
    return UnreadableError(Problem("MC271", what, where=where, hint="--input-shape, if the input's size is a guess"))


def too_large(what: str, where: str = "") -> UnreadableError:
    """MC272: a count beyond what any real net has."""
    return UnreadableError(Problem("MC272", what, where=where, hint="checking where the file comes from"))


def no_such_input(name: str, known: str) -> UsageError:
    """MC111: --input-shape names an input that the net does not have."""
    return UsageError(Problem("MC111", f"the net has no input '{name}'", hint=f"one of: {known}"))
