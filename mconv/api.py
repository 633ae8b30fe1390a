"""The Python API: convert, load, verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import driver, stages
from .ir import Array, Graph, Shape
from .passes.base import Context, Event
from .report import Result, Verification

if TYPE_CHECKING:
    import onnx


def convert(
    model: str | Path | onnx.ModelProto,
    target: str,
    *,
    output: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
    simplify: bool = False,
    fp16: bool = False,
    verify: bool | None = None,
    inputs: Mapping[str, Array] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    check_passes: bool = False,
    trace: Callable[[Event], None] | None = None,
    io_layout: str = "model",
    trace_layout: Callable[[str], None] | None = None,
) -> Result:
    """Convert a model and write the target's files; they appear whole, or not at all.

    ``output`` is a path without suffix, or a folder; by default the model's name in the current folder.
    ``input_shapes`` and ``dims`` make symbolic sizes numbers; ``fp16`` stores weights as 16-bit floats.
    ``verify``: None compares source and result where the runtimes are installed, True insists on it, False does
    not. ``io_layout`` "nhwc" makes inputs and outputs that are images channels last, for targets that compute so;
    "model" keeps the source's. ``trace`` is told every rule applied or refused, ``trace_layout`` where transposes
    are placed and why. ``inputs`` (name to array) or else random numbers from ``seed`` are compared within ``rtol``,
    a relative error (largest absolute difference over the reference's largest magnitude).

    Returns a Result with files, graph and verification. Raises MconvError: UsageError, UnreadableError,
    UnsupportedError (with every refused node), MismatchError.
    """
    options = stages.Options(
        target=target,
        output=None if output is None else Path(output),
        input_shapes={name: tuple(shape) for name, shape in (input_shapes or {}).items()},
        dims=dict(dims or {}),
        simplify=simplify,
        fp16=fp16,
        verify=verify,
        inputs=inputs,
        seed=seed,
        rtol=rtol,
        check_passes=check_passes,
        trace=trace,
        io_layout=io_layout,
        trace_layout=trace_layout,
    )
    return driver.convert(model, options)


def load(
    model: str | Path | onnx.ModelProto,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    optimize: bool = True,
    simplify: bool = False,
) -> Graph:
    """The model as a graph; with ``optimize`` after the passes that no target is needed for.

    ``simplify`` runs onnx-simplifier first. Raises UsageError, UnreadableError or UnsupportedError.
    """
    options = stages.Options("", input_shapes=input_shapes or {}, dims=dims or {}, simplify=simplify)
    graph = stages.read(model, options)
    if optimize:
        stages.rewrite(graph, Context(), channels_last=stages.is_channels_last(model))
    return graph


def verify(
    reference: str | Path,
    candidate: str | Path,
    *,
    inputs: Mapping[str, Array] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
) -> Verification:
    """Run two model files in their own runtimes on the same inputs and compare all outputs.

    Raises UsageError where their inputs or outputs do not correspond, MissingExtraError without a runtime.
    """
    from .verification import verify_files

    options: dict[str, Any] = {"input_shapes": input_shapes or {}, "dims": dims or {}}
    return verify_files(
        Path(reference), Path(candidate), stages.Options("", inputs=inputs, seed=seed, rtol=rtol, **options)
    )
