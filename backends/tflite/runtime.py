"""Runs TFLite files with the ``ai-edge-litert`` package (which is imported only here)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mconv.ir.errors import CheckError, MissingExtraError, Problem, UsageError
from mconv.ir.types import Array


def run(
    files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str], *, threads: int = 1
) -> dict[str, Array]:
    """Tensors of a model by name: names of the signature's outputs, or of any tensor of the first subgraph.

    Names that the file does not have are left out.

    ``files`` maps ``.tflite`` to a path; ``feeds`` are arrays by the names of the signature's inputs (or of the input
    tensors where the file has no signature). Raises MissingExtraError (MC130) without the package, CheckError (MC410,
    MC411) where the model does not load or run, UsageError (MC113) for an input that it does not have.
    """
    interpreter = load(files[".tflite"], threads)
    places, results = _ends(interpreter)
    if not set(wanted) <= set(results):
        interpreter = load(files[".tflite"], threads, keep_all=True)
    for name, array in feeds.items():
        if name not in places:
            raise UsageError(Problem("MC113", f"the model has no input '{name}'"))
        interpreter.resize_tensor_input(places[name], array.shape)
    try:
        interpreter.allocate_tensors()
        for name, array in feeds.items():
            interpreter.set_tensor(places[name], array)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise CheckError(Problem("MC411", f"LiteRT fails: {error}")) from error
    inner = {d["name"]: d["index"] for d in interpreter.get_tensor_details() if d["name"]}
    found = {}
    for name in wanted:
        index = results.get(name, inner.get(name))
        if index is None:
            continue  # of mconv's own making: the file has no such tensor
        try:
            found[name] = np.array(interpreter.get_tensor(index))
        except ValueError:  # fused away by a delegate: nobody knows its content
            if name in results:
                raise
    return found


def load(path: str, threads: int = 1, keep_all: bool = False) -> Any:
    """An interpreter of the file, tensors not yet allocated."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        problem = Problem("MC130", "running a TFLite model needs ai-edge-litert", hint="pip install 'mconv[verify]'")
        raise MissingExtraError(problem) from error
    try:
        return Interpreter(model_path=path, num_threads=threads, experimental_preserve_all_tensors=keep_all)
    except (RuntimeError, ValueError) as error:
        raise CheckError(Problem("MC410", f"LiteRT does not load the model: {error}")) from error


def _ends(interpreter: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Tensor indices of inputs and outputs by name: the signature's names, where there is one."""
    inputs = {d["name"]: d["index"] for d in interpreter.get_input_details()}
    outputs = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    signatures = interpreter._get_full_signature_list()
    if len(signatures) == 1:
        ((_, signature),) = signatures.items()
        inputs |= signature["inputs"]
        outputs |= signature["outputs"]
    return inputs, outputs
