"""The stages that converting, inspecting and blaming share: options, reading, binding sizes, rewriting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import frontends
from .backends.base import PLAIN, Backend, Writing
from .frontends import Reading
from .ir import Array, Graph, Problem, Symbol, TensorType, UsageError
from .ir.infer import refresh_types
from .ir.record import Record
from .passes import pipeline
from .passes.base import Context, Event, Layout

Progress = Callable[[str], None]

IO_LAYOUTS = ("model", "nhwc")


class Options(Record):
    """What a conversion is asked for; the command's options have the same names."""

    target: str
    output: Path | None = None
    reading: Reading = Reading()
    writing: Writing = PLAIN
    fp16: bool = False
    verify: bool | None = None
    """True: fail where it cannot be verified; None: verify where the runtimes are installed; False: do not."""
    data: Mapping[str, Array] | None = None
    """Arrays by input name to compare on; None for random ones from ``seed``."""
    seed: int = 0
    rtol: float | None = None
    check_passes: bool = False
    trace: Callable[[Event], None] | None = None
    io_layout: str = "model"
    """"model": inputs and outputs keep the model's layout; "nhwc": those that are images have their channels last."""
    trace_layout: Callable[[str], None] | None = None
    progress: Progress = lambda stage: None


def read(source: Any, options: Options) -> Graph:
    """The graph of the source, before any pass."""
    return frontends.load(source, options.reading)


def is_channels_last(source: Any) -> bool:
    """Whether the source's format has the channels of spatial operators last."""
    return frontends.format_of(source).channels_last


def bind_batch(graph: Graph, options: Options, backend: Backend) -> tuple[Graph, list[str]]:
    """The graph with a symbolic batch (axis 0 of inputs) set to one, for targets without one or that loop over it."""
    if not backend.batchless and not backend.loops_over_batch:
        return graph, []
    symbols = {v.type.shape[0] for v in graph.inputs if v.type.rank > 1}
    batch = sorted(str(d) for d in symbols if isinstance(d, Symbol))
    if not batch:
        return graph, []
    if backend.loops_over_batch:
        trial = graph.copy()
        pipeline.run(pipeline.simplify(), trial, Context())
        notes = backend.loop_over(trial, [Symbol(name) for name in batch])
    else:
        notes = [f"{backend.name} has no batch axis: {', '.join(batch)} is set to 1"]
    bind(graph, {Symbol(name): 1 for name in batch})
    return graph, notes


def bind(graph: Graph, sizes: Mapping[Symbol, int]) -> None:
    """Give symbols of the inputs a size, and infer all types anew."""
    for value in graph.inputs:
        shape = tuple(sizes.get(d, d) if isinstance(d, Symbol) else d for d in value.type.shape)
        graph.set_type(value, TensorType(value.type.dtype, shape))
    refresh_types(graph)


def context_for(backend: Backend | None, options: Options) -> Context:
    """What the passes get for these options. UsageError (MC123) for a layout that the target does not have."""
    if options.io_layout not in IO_LAYOUTS:
        known = ", ".join(IO_LAYOUTS)
        raise UsageError(Problem("MC123", f"there is no layout '{options.io_layout}'", hint=f"one of: {known}"))
    ends_last = options.io_layout == "nhwc"
    if ends_last and (backend is None or backend.layout != "channels last"):
        what = f"{backend.name if backend else 'the model'} has no inputs and outputs of layout nhwc"
        raise UsageError(Problem("MC123", what, hint="--io-layout model, or a target such as tflite"))
    return Context(backend, options.trace, Layout(ends_last, options.trace_layout))


def rewrite(
    graph: Graph,
    context: Context,
    *,
    channels_last: bool = False,
    check: bool = False,
    after: Callable[[pipeline.Step, Graph], None] | None = None,
) -> list[pipeline.Step]:
    """Run the passes for the context's target; with ``check`` the graph's rules are verified after each.

    ``channels_last`` says that the source has them last; whatever the target, they are brought first before all else.
    """
    steps: list[pipeline.Step] = []
    if channels_last:  # without the target: it may ask for another layout, and tells why what is left is left
        first = Context(trace=context.trace)
        first.applied = context.applied
        steps += pipeline.run(pipeline.turn(), graph, first, check=check, after=after)
    passes: pipeline.Pipeline = [pipeline.simplify()]
    if context.target is not None:
        passes = [*passes, pipeline.prepare(context.target)]
    return steps + pipeline.run(passes, graph, context, check=check, after=after)
