"""Functions and modules of TensorFlow that are in memory: their graph, and what the variables in it hold."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from mconv.ir import Array
from mconv.ir.record import NOTHING, Record

from . import errors
from .decode import Source, decoded


class LiveGraph(Record):
    """A function's graph: names of its inputs and outputs, each with its tensor, and the values that it captured."""

    source: Source
    name: str
    inputs: Mapping[str, str] = NOTHING
    outputs: Mapping[str, str] = NOTHING
    constants: Mapping[str, Array] = NOTHING


def frozen(source: Any, signature: str | None) -> LiveGraph:
    """The graph of a ``tf.function`` with an input signature, of a concrete function, or of a ``tf.Module``.

    ``signature`` names a module's function. Raises UsageError (MC125) where there is no function of fixed inputs.
    """
    function = concrete(source, signature)
    data = memoryview(function.graph.as_graph_def().SerializeToString())
    name = str(function.name)
    return LiveGraph(decoded(data, name), name, _inputs(function), _outputs(function), _captured(function))


def run(source: Any, feeds: Mapping[str, Array], signature: str | None) -> dict[str, Array]:
    """What the function computes, by the names of its outputs."""
    tensorflow: Any = importlib.import_module("tensorflow")
    function = concrete(source, signature)
    tensors = [tensorflow.constant(feeds[name]) for name in _inputs(function)]
    args, kwargs = tensorflow.nest.pack_sequence_as(function.structured_input_signature, tensors)
    results = tensorflow.nest.flatten(function(*args, **kwargs))
    return {name: result.numpy() for name, result in zip(_outputs(function), results, strict=True)}


def concrete(source: Any, signature: str | None) -> Any:
    """The concrete function that is meant."""
    if hasattr(source, "structured_input_signature"):
        return source
    if not hasattr(source, "get_concrete_function"):
        source = _function_of(source, signature)
    try:
        return source.get_concrete_function()
    except (TypeError, ValueError) as error:
        hint = "tf.function(f, input_signature=[tf.TensorSpec(...)]), or f.get_concrete_function(...)"
        raise errors.no_signature(f"the function's inputs are not known: {str(error)[:200]}", hint) from None


def _function_of(module: Any, signature: str | None) -> Any:
    """A module's function: the one of that name, its own call, or the only one it has."""
    found = {}
    for name in dir(type(module)):
        if hasattr(getattr(type(module), name, None), "get_concrete_function"):
            found[name] = getattr(module, name)
    found.update((n, f) for n, f in vars(module).items() if hasattr(f, "get_concrete_function"))
    known = ", ".join(sorted(found))
    kind = type(module).__name__
    if signature is not None:
        if signature not in found:
            raise errors.no_signature(f"{kind} has no tf.function '{signature}'", f"one of: {known or 'none there is'}")
        return found[signature]
    if "__call__" in found or len(found) == 1:
        return found.get("__call__") or next(iter(found.values()))
    what = f"{kind} has the functions {known}" if found else f"{kind} has no tf.function"
    raise errors.no_signature(what, "signature=NAME" if found else "a method under @tf.function(input_signature=...)")


def _inputs(function: Any) -> dict[str, str]:
    own = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    return {tensor.op.name: tensor.name for tensor in own}


def _outputs(function: Any) -> dict[str, str]:
    """Outputs by their keys where the function returns a dictionary, else by number, as a SavedModel names them."""
    structured = function.structured_outputs
    keys: Sequence[str] = [f"output_{i}" for i in range(len(function.outputs))]
    if isinstance(structured, dict) and len(structured) == len(keys):
        keys = sorted(structured)
    return {key: tensor.name for key, tensor in zip(keys, function.outputs, strict=True)}


def _captured(function: Any) -> dict[str, Array]:
    """Values of what the function captured, by the placeholder that stands for it: variables, and plain tensors."""
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    found = {}
    for outer, inner in zip(function.captured_inputs, function.graph.internal_captures, strict=True):
        variable = variables.get(id(outer))
        if variable is not None:
            found[inner.op.name] = variable.numpy()
        elif hasattr(outer, "numpy") and outer.dtype.name not in ("resource", "variant", "string"):
            found[inner.op.name] = outer.numpy()
    return found
