"""Comparing source and result in their own runtimes, and finding where the numbers part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from . import feeds as feed_maker
from . import frontends, inspection, runner
from .backends.base import Artifact, Backend
from .compare import compare, relative_error
from .frontends import Reading
from .ir import Array, CheckError, Graph, MissingExtraError, Problem, UsageError, Value
from .ir.interpreter import run as interpret
from .ir.ops import (
    Concat,
    Expand,
    Flatten,
    Gather,
    MaxPool,
    Pad,
    Quantize,
    Quantized,
    Reshape,
    Resize,
    Slice,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from .passes import pipeline
from .passes.base import Context, Layout
from .report import Blame, Comparison, Verification
from .stages import Options, bind_batch, is_channels_last, read, rewrite

RTOL = 1e-3
RTOL_FP16 = 2e-2
"""Relative errors allowed by default; weights stored as 16-bit floats carry 11 bits each."""
PASS_RTOL = 1e-3
MOVING = (Concat, Expand, Flatten, Gather, MaxPool, Pad, Reshape, Resize, Slice, Squeeze, Tile, Transpose, Unsqueeze)
"""Operators that hand on the integers that they are given."""
NAMED = ("onnx", "tflite")
"""Formats whose inner values keep their names when they are read."""


def verify_conversion(
    source: Any,
    graph: Graph,
    backend: Backend,
    artifact: Artifact,
    files: Mapping[str, str],
    options: Options,
    ends: feed_maker.Orders,
) -> Verification:
    """Compare the source in its runtime with the written files in theirs; says why where it cannot.

    ``ends`` are the inputs and outputs whose axes stand in another order in ``graph`` than in the source.
    """
    rtol = _allowed(options)
    with source_model(source, options.reading) as model:
        missing = [format for format in (model.format, backend.name) if not runner.available(format)]
        if missing:
            if options.verify:
                runner.require(missing[0])
            packages = ", ".join(runner.RUNTIMES[f].package if f in runner.RUNTIMES else f for f in missing)
            return Verification(None, reason=f"{packages} not installed ({runner.install(*missing)})")
        _check_memory(graph)
        feeds = _source_feeds(graph, options, ends)
        given = feed_maker.turned(feeds, ends)
        written = runner.Model(backend.name, files, artifact.settings)
        found, made = runner.run(
            [(model, feeds, graph.output_names), (written, _renamed(given, graph, artifact), artifact.outputs)]
        )
        reference, label = _reference(found, model, source, feeds, options, backend)
    if isinstance(made, runner.RunFailed):
        raise CheckError(Problem("MC402", f"{written.runtime} cannot run what was written: {made}"))
    candidate = dict(zip(graph.output_names, (made[name] for name in artifact.outputs), strict=True))
    candidate = feed_maker.turned_back(candidate, ends)
    outputs = compare(graph.output_names, reference, candidate, rtol, stored_outputs(graph))
    passed = all(c.passed for c in outputs)
    verification = Verification(passed, label, written.runtime, rtol, outputs)
    if passed:
        return verification
    blame = find_blame(source, graph, artifact, written, feeds, options, outputs, ends)
    return Verification(False, label, written.runtime, rtol, outputs, blame=blame)


def stored_outputs(graph: Graph) -> set[str]:
    """The outputs whose integers stand for real numbers."""
    return {name for name, value in zip(graph.output_names, graph.outputs, strict=True) if _holds_steps(value)}


def _holds_steps(value: Value) -> bool:
    """True for what Quantize or Quantized makes, maybe moved since."""
    node = value.producer
    while node is not None and isinstance(node.op, MOVING):
        node = node.inputs[0].producer
    return node is not None and isinstance(node.op, Quantize | Quantized)


def _source_feeds(graph: Graph, options: Options, ends: feed_maker.Orders) -> dict[str, Array]:
    """Feeds in the source's layout: the person's own are in it, random ones are made for ``graph`` and turned back."""
    if options.data is None or not ends:
        return feed_maker.turned_back(feed_maker.make(graph, options.data, options.seed), ends)
    given = options.data
    if set(given) == {""} and len(graph.inputs) == 1:
        given = {graph.inputs[0].name: given[""]}
    fitting = {n: a for n, a in given.items() if n not in ends or a.ndim == len(ends[n])}
    return feed_maker.turned_back(feed_maker.make(graph, feed_maker.turned(fitting, ends), options.seed), ends)


def _allowed(options: Options) -> float:
    return options.rtol if options.rtol is not None else RTOL_FP16 if options.fp16 else RTOL


def verify_files(left: Path, right: Path, options: Options) -> Verification:
    """Compare two model files, each run in its own runtime on the same inputs."""
    readings = _readings(options.reading, left, right)
    graphs = [frontends.load(path, reading) for path, reading in zip((left, right), readings, strict=True)]
    first, second = graphs
    _check_memory(first)
    feeds = feed_maker.make(first, options.data, options.seed)
    names = _paired("inputs", [v.name for v in first.inputs], [v.name for v in second.inputs])
    outputs = _paired("outputs", first.output_names, second.output_names)
    _check_sizes(first, second, names)
    renamed = {names[name]: array for name, array in feeds.items()}
    with source_model(left, readings[0]) as model_a, source_model(right, readings[1]) as model_b:
        found, made = runner.run([(model_a, feeds, list(outputs)), (model_b, renamed, list(outputs.values()))])
        for model, result in ((model_a, found), (model_b, made)):
            if isinstance(result, runner.RunFailed):
                raise CheckError(Problem("MC402", f"{model.runtime} cannot run the model: {result}"))
    assert not isinstance(found, runner.RunFailed)
    assert not isinstance(made, runner.RunFailed)
    rtol = RTOL if options.rtol is None else options.rtol
    given = {a: made[b] for a, b in outputs.items()}
    compared = compare(list(outputs), found, given, rtol, stored_outputs(first))
    return Verification(all(c.passed for c in compared), str(left), str(right), rtol, compared)


def _readings(reading: Reading, *paths: Path) -> list[Reading]:
    """For each model the options that its format takes; all of them where none takes one, which is an error then."""
    takes = [frontends.format_of(path).takes for path in paths]
    known = set(reading.given()) <= frozenset().union(*takes)
    return [reading.only(taken) if known else reading for taken in takes]


def _check_memory(graph: Graph) -> None:
    """UsageError (MC116) where running the model would take more memory than the machine has to give.

    Without this the system would end a process, and not necessarily this one.
    """
    free = feed_maker.free_memory()
    inputs = sum(math.prod(feed_maker.concrete(v.type)) * v.type.dtype.size for v in graph.inputs)
    peak = inspection.peak_activation(graph) or inputs
    needed = 2 * peak + 2 * inputs  # two runtimes side by side; random numbers begin as doubles
    if free is not None and needed > free:
        what = f"comparing takes about {needed >> 20} MB of memory, and {free >> 20} MB are free"
        hint = "smaller sizes with --input-shape or --dim, or --no-verify"
        raise UsageError(Problem("MC116", what, hint=hint))


@contextmanager
def source_model(source: Any, reading: Reading) -> Iterator[runner.Model]:
    """The source as its runtime takes it: files (a ModelProto is written to a temporary folder), or the object."""
    format = frontends.format_of(source)
    settings = {name: value for name, value in reading.given().items() if name in ("signature", "random_weights")}
    if isinstance(source, str | Path):
        yield runner.Model(format.name, frontends.files_of(Path(source), reading), settings)
    elif format.name == "onnx":
        import onnx

        with TemporaryDirectory(prefix="mconv-") as folder:
            path = str(Path(folder) / "model.onnx")
            large = source.ByteSize() > 2**30
            onnx.save(source, path, save_as_external_data=large)
            yield runner.Model("onnx", {".onnx": path})
    else:
        yield runner.Model(format.name, {}, settings, source)


def _reference(
    found: dict[str, Array] | runner.RunFailed,
    model: runner.Model,
    source: Any,
    feeds: Mapping[str, Array],
    options: Options,
    backend: Backend,
) -> tuple[dict[str, Array], str]:
    if not isinstance(found, runner.RunFailed):
        return found, model.runtime
    # still worth comparing with the meaning of what was read, before any pass; but the person must know
    graph, _ = bind_batch(read(source, options), options, backend)
    return _outputs(graph, feeds), f"mconv's interpreter ({model.runtime} cannot run the source: {found})"


def _renamed(feeds: Mapping[str, Array], graph: Graph, artifact: Artifact) -> dict[str, Array]:
    return {new: feeds[value.name] for value, new in zip(graph.inputs, artifact.inputs, strict=True)}


def _paired(what: str, left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    if set(left) == set(right):
        return {name: name for name in left}
    if len(left) == len(right):
        return dict(zip(left, right, strict=True))
    raise UsageError(Problem("MC115", f"the models' {what} do not correspond: {list(left)} and {list(right)}"))


def _check_sizes(left: Graph, right: Graph, names: Mapping[str, str]) -> None:
    """UsageError (MC115) where an input has other sizes in the other model; axes of one do not count."""
    types = {value.name: value.type for value in right.inputs}
    for value in left.inputs:
        pair = (value.type, types[names[value.name]])
        sizes = [[dim for dim in type.shape if dim != 1] for type in pair]
        if all(type.is_static for type in pair) and sizes[0] != sizes[1]:
            shown = " in one model and ".join("x".join(map(str, type.shape)) for type in pair)
            what = f"input '{value.name}' is {shown} in the other: what is fed to both would mean different things"
            hint = "a conversion with the same layout of inputs: --io-layout model"
            raise UsageError(Problem("MC115", what, hint=hint))


# Blame ---------------------------------------------------------------------------------------------------------


def find_blame(
    source: Any,
    graph: Graph,
    artifact: Artifact,
    written: runner.Model,
    feeds: Mapping[str, Array],
    options: Options,
    outputs: Sequence[Comparison],
    ends: feed_maker.Orders,
) -> Blame | None:
    """The first stage, node and pass where the numbers part: reading, then each pass, then writing."""
    rtol = _allowed(options)
    error, output = max((c.error, c.name) for c in outputs if not c.passed)
    target = backend_of(written)
    first, _ = bind_batch(read(source, options), options, target)
    values = _all_values(first, feeds)
    with source_model(source, options.reading) as model:
        wanted = [v.name for node in first.nodes for v in node.results]
        found = runner.run([(model, feeds, wanted)])[0] if model.format in NAMED else {}
    if isinstance(found, dict) and (blame := _first_difference(first, found, values, rtol, "reading")):
        return blame
    context = Context(target=target)
    watcher = PassWatcher(first, feeds, values, rtol, context.layout)
    rewrite(first, context, channels_last=is_channels_last(source), after=watcher)
    if watcher.blame is not None:
        return watcher.blame
    if blame := _blame_writing(graph, artifact, written, feed_maker.turned(feeds, ends), rtol):
        return blame
    # what was read is right, and so is what the passes made of it: the last layers are left
    node = worst.producer if (worst := _value_of(graph, output)) is not None else None
    return Blame("writing", node.name, str(node.origin), error) if node is not None else None


def _value_of(graph: Graph, output: str) -> Value | None:
    return dict(zip(graph.output_names, graph.outputs, strict=True)).get(output)


def backend_of(model: runner.Model) -> Backend:
    """The backend that writes the model's format."""
    from . import backends

    return backends.get(model.format)


def _blame_writing(
    graph: Graph, artifact: Artifact, written: runner.Model, feeds: Mapping[str, Array], rtol: float
) -> Blame | None:
    values = _all_values(graph, feeds)
    blobs = {name: blob for name, blob in artifact.blobs.items() if name in values}
    made = runner.run([(written, _renamed(feeds, graph, artifact), list(dict.fromkeys(blobs.values())))])[0]
    if isinstance(made, runner.RunFailed):
        return None
    candidate = {name: made[blob] for name, blob in blobs.items() if blob in made}
    return _first_difference(graph, values, candidate, rtol, "writing")


def _all_values(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    values: dict[str, Array] = {}

    def keep(node: Any, results: Sequence[Array]) -> None:
        values.update(zip((v.name for v in node.results), results, strict=True))

    with np.errstate(all="ignore"):
        interpret(graph, feeds, observe=keep)
    return values


def _first_difference(
    graph: Graph, reference: Mapping[str, Array], candidate: Mapping[str, Array], rtol: float, stage: Any
) -> Blame | None:
    for node in graph.nodes:
        for value in node.results:
            left, right = reference.get(value.name), candidate.get(value.name)
            if left is None or right is None:
                continue
            if left.size == right.size:
                right = right.reshape(left.shape)  # a runtime may hold the same elements under other axes
            stored = [value.name] if _holds_steps(value) else []
            (found,) = compare([value.name], {value.name: left}, {value.name: right}, rtol, stored)
            if not found.passed:
                return Blame(stage, node.name, str(node.origin), found.error)
    return None


class PassWatcher:
    """Runs the graph after each pass until the outputs part from what they were; then names the pass and a value."""

    def __init__(
        self, graph: Graph, feeds: Mapping[str, Array], values: dict[str, Array], rtol: float, layout: Layout
    ) -> None:
        self.feeds, self.values, self.rtol, self.layout = feeds, values, rtol, layout
        self.expected = _outputs(graph, feeds)
        self.blame: Blame | None = None

    def __call__(self, step: pipeline.Step, graph: Graph) -> None:
        """Compare after one pass."""
        if self.blame is not None:
            return
        ends = self.layout.ends  # empty until the layout pass has turned inputs and outputs
        feeds = feed_maker.turned(self.feeds, ends)
        outputs = feed_maker.turned_back(_outputs(graph, feeds), ends)
        worst = max((relative_error(self.expected[n], outputs[n]) for n in self.expected), default=0.0)
        if worst <= self.rtol:
            return
        values = _all_values(graph, feeds)
        turned = {*ends, *self.layout.orders}
        known = {n: a for n, a in self.values.items() if n not in turned and n in values}
        known = {n: a for n, a in known.items() if a.shape == values[n].shape}
        first = _first_difference(graph, known, values, self.rtol, "pass")
        node, origin = (first.node, first.origin) if first else ("an output", "")
        self.blame = Blame("pass", node, origin, worst, step.name)


class PassChecker:
    """``--check-passes``: the interpreter before and after each pass. CheckError (MC403) names the pass."""

    def __init__(self, graph: Graph, options: Options, layout: Layout) -> None:
        feeds = feed_maker.make(graph, options.data, options.seed)
        self.watcher = PassWatcher(graph, feeds, _all_values(graph, feeds), options.rtol or PASS_RTOL, layout)

    def __call__(self, step: pipeline.Step, graph: Graph) -> None:
        """Compare after one pass."""
        self.watcher(step, graph)
        if self.watcher.blame is not None:
            raise CheckError(Problem("MC403", f"the pass '{step.name}' changes the numbers: {self.watcher.blame}"))


def _outputs(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return interpret(graph, feeds)


__all__ = [
    "Comparison",
    "MissingExtraError",
    "PassChecker",
    "PassWatcher",
    "find_blame",
    "verify_conversion",
    "verify_files",
]
