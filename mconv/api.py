"""The Python API: convert, load, verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import driver, stages
from .backends.base import Writing
from .frontends import Reading
from .ir import Array, Graph
from .passes.base import Context, Event
from .report import Result, Verification


def convert(
    model: Any,
    target: str,
    *,
    output: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
    simplify: bool = False,
    signature: str | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    weights: str | Path | None = None,
    random_weights: int | None = None,
    fp16: bool = False,
    exact: bool = False,
    debug_names: bool = False,
    protect: str | None = None,
    key: str | Path | None = None,
    build_seed: str | None = None,
    verify: bool | None = None,
    data: Mapping[str, Array] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    check_passes: bool = False,
    trace: Callable[[Event], None] | None = None,
    io_layout: str = "model",
    trace_layout: Callable[[str], None] | None = None,
) -> Result:
    """Convert a model and write the target's files; they appear whole, or not at all.

    ``model`` is a path (a file, or a SavedModel's folder), an ``onnx.ModelProto``, a Keras model, a ``tf.function``
    with an input signature, or a ``tf.Module``. ``output`` is a path without suffix, or a folder; by default the
    model's name in the current folder. ``input_shapes`` and ``dims`` make symbolic sizes numbers; ``fp16`` stores
    weights as 16-bit floats. ``signature``, ``inputs``, ``outputs`` choose a part of a TensorFlow model; ``weights``
    names the file of a Caffe net's weights, ``random_weights`` is the seed of weights for a net without any;
    ``simplify`` runs onnx-simplifier on an ONNX model first.
    For the target cpp: ``exact`` forbids what rounds more (Winograd, Strassen, long sums), ``debug_names`` names
    operators in the source, ``protect`` ("none", "basic", "strong") says how much is hidden, ``key`` is the file of the
    key for "strong", ``build_seed`` tells builds apart.
    ``verify``: None compares source and result where the runtimes are installed, True insists on it, False does
    not. ``io_layout`` "nhwc" makes inputs and outputs that are images channels last, for targets that compute so;
    "model" keeps the source's. ``trace`` is told every rule applied or refused, ``trace_layout`` where transposes
    are placed and why. ``data`` (arrays by input name) or else random numbers from ``seed`` are compared within
    ``rtol``, a relative error (largest absolute difference over the reference's largest magnitude).

    Returns a Result with files, graph and verification. Raises MconvError: UsageError, UnreadableError,
    UnsupportedError (with every refused node), MismatchError.
    """
    reading = _reading(
        input_shapes=input_shapes, dims=dims, simplify=simplify, signature=signature, inputs=inputs, outputs=outputs,
        weights=weights, random_weights=random_weights,
    )  # fmt: skip
    options = stages.Options(
        target=target,
        output=None if output is None else Path(output),
        reading=reading,
        writing=Writing(
            exact=exact,
            debug_names=debug_names,
            protect=protect,
            key=None if key is None else Path(key),
            build_seed=build_seed,
        ),
        fp16=fp16,
        verify=verify,
        data=data,
        seed=seed,
        rtol=rtol,
        check_passes=check_passes,
        trace=trace,
        io_layout=io_layout,
        trace_layout=trace_layout,
    )
    return driver.convert(model, options)


def load(model: Any, *, optimize: bool = True, **options: Any) -> Graph:
    """The model as a graph; with ``optimize`` after the passes that no target is needed for.

    ``model`` and ``options`` (``input_shapes``, ``dims``, ``simplify``, ``signature``, ``inputs``, ``outputs``,
    ``weights``, ``random_weights``) are those of `convert`. Raises UsageError, UnreadableError or UnsupportedError.
    """
    graph = stages.read(model, stages.Options("", reading=_reading(**options)))
    if optimize:
        stages.rewrite(graph, Context(), channels_last=stages.is_channels_last(model))
    return graph


def verify(
    reference: str | Path,
    candidate: str | Path,
    *,
    data: Mapping[str, Array] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    **options: Any,
) -> Verification:
    """Run two model files in their own runtimes on the same inputs and compare all outputs.

    ``options`` are those of `load`; each model gets what its format takes. Raises UsageError where their inputs or
    outputs do not correspond, MissingExtraError without a runtime.
    """
    from .verification import verify_files

    checked = stages.Options("", reading=_reading(**options), data=data, seed=seed, rtol=rtol)
    return verify_files(Path(reference), Path(candidate), checked)


def _reading(**options: Any) -> Reading:
    """The options of reading, from plain values: None and empty ones were not given."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, wanted in _PLAIN.items():
        if name in given:
            given[name] = wanted(given[name])
    return Reading(**given)


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "input_shapes": lambda shapes: {name: tuple(shape) for name, shape in shapes.items()},
    "dims": dict,
    "inputs": tuple,
    "outputs": tuple,
    "weights": Path,
}
