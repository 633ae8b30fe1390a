"""One conversion from end to end: read, rewrite, emit, verify, put in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import backends, frontends
from .backends.base import Artifact, Backend
from .backends.files import write_all
from .ir import Array, Graph, MismatchError, Problem, Shape, Symbol, TensorType, UsageError
from .ir.verify import verify as verify_graph
from .passes import pipeline
from .passes.base import Context, Event
from .report import Result, Step, Verification

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a conversion is asked for; the command's options have the same names."""

    target: str
    output: Path | None = None
    input_shapes: Mapping[str, Shape] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    simplify: bool = False
    fp16: bool = False
    verify: bool | None = None
    """True: fail where it cannot be verified; None: verify where the runtimes are installed; False: do not."""
    inputs: Mapping[str, Array] | None = None
    seed: int = 0
    rtol: float | None = None
    check_passes: bool = False
    trace: Callable[[Event], None] | None = None
    progress: Progress = lambda stage: None


def read(source: Any, options: Options) -> Graph:
    """The graph of the source, before any pass."""
    return frontends.load(
        source, input_shapes=options.input_shapes, dims=options.dims, simplify=options.simplify
    )  # fmt: skip


def convert(source: Any, options: Options) -> Result:
    """Convert ``source`` (a path or a ModelProto). Raises MconvError; then nothing has been written."""
    backend = backends.get(options.target)
    paths = _paths(source, options, backend)
    options.progress("reading")
    graph, notes = bind_batch(read(source, options), options, backend)
    nodes_read = len(graph)
    options.progress("rewriting")
    context = Context(target=backend, trace=options.trace)
    steps = rewrite(graph, context, options)
    options.progress("emitting")
    artifact = backend.emit(graph, fp16=options.fp16, name=_stem(source))
    verification = Verification(None, reason="not asked for")

    def check(readable: Mapping[Path, str]) -> None:
        nonlocal verification
        from . import verification as checker

        options.progress("verifying")
        files = {suffix: readable[path] for suffix, path in paths.items()}
        verification = checker.verify_conversion(source, graph, backend, artifact, files, options)
        if verification.passed is False:
            raise mismatch(verification)

    write_all(
        {path: artifact.files[suffix] for suffix, path in paths.items()},
        check=None if options.verify is False else check,
    )
    return Result(
        source=_name(source),
        target=backend.name,
        files=paths,
        graph=graph,
        verification=verification,
        nodes_read=nodes_read,
        steps=tuple(Step(s.name, s.changes, s.nodes) for s in steps),
        notes=(*notes, *artifact.notes),
        rules=dict(context.applied),
    )


def bind_batch(graph: Graph, options: Options, backend: Backend) -> tuple[Graph, list[str]]:
    """The graph with a symbolic batch (axis 0 of inputs) set to one where the target has no batch axis."""
    if not backend.batchless:
        return graph, []
    symbols = {v.type.shape[0] for v in graph.inputs if v.type.rank > 1}
    batch = sorted(str(d) for d in symbols if isinstance(d, Symbol))
    if not batch:
        return graph, []
    bind(graph, {Symbol(name): 1 for name in batch})
    return graph, [f"{backend.name} has no batch axis: {', '.join(batch)} is set to 1"]


def bind(graph: Graph, sizes: Mapping[Symbol, int]) -> None:
    """Give symbols of the inputs a size, and infer all types anew."""
    from .ir.infer import refresh_types

    for value in graph.inputs:
        shape = tuple(sizes.get(d, d) if isinstance(d, Symbol) else d for d in value.type.shape)
        graph.set_type(value, TensorType(value.type.dtype, shape))
    refresh_types(graph)


def rewrite(
    graph: Graph,
    context: Context,
    options: Options,
    after: Callable[[pipeline.Step, Graph], None] | None = None,
) -> list[pipeline.Step]:
    """Run the passes for the context's target, with the checks that were asked for."""
    hook = after
    if options.check_passes:
        from .verification import PassChecker

        hook = PassChecker(graph, options)
    passes: pipeline.Pipeline = [pipeline.simplify(), pipeline.prepare()] if context.target else pipeline.simplify()
    steps = pipeline.run(passes, graph, context, check=options.check_passes, after=hook)
    if options.check_passes:
        verify_graph(graph)
    return steps


def mismatch(verification: Verification) -> MismatchError:
    """The error that tells which outputs differ, by how much, and where it begins."""
    worst = max((c for c in verification.outputs if not c.passed), key=lambda c: c.error)
    what = (
        f"output '{worst.name}' of {verification.candidate} differs from {verification.reference}: "
        f"relative error {worst.error:.3g}, cosine {worst.cosine:.6f} (allowed {verification.rtol:g})"
    )
    where = str(verification.blame) if verification.blame else ""
    hint = "mconv ... --no-verify to write the files all the same, and please report the model"
    return MismatchError(Problem("MC400", what, where=where, hint=hint))


def _paths(source: Any, options: Options, backend: Backend) -> dict[str, Path]:
    try:
        return _checked_paths(source, options, backend)
    except (OSError, ValueError) as error:  # a name too long, a zero byte, a folder that may not be entered
        raise UsageError(Problem("MC120", f"cannot write '{options.output or _stem(source)}': {error}")) from None


def _checked_paths(source: Any, options: Options, backend: Backend) -> dict[str, Path]:
    stem = options.output if options.output is not None else Path(_stem(source))
    if str(stem).endswith(("/", "\\")) or stem.is_dir():
        stem = stem / _stem(source)
    for suffix in backend.suffixes:
        if stem.name.endswith(suffix):
            stem = stem.with_name(stem.name[: -len(suffix)])
            break
    paths = {suffix: stem.with_name(stem.name + suffix) for suffix in backend.suffixes}
    if isinstance(source, str | Path) and any(
        p.exists() and p.samefile(source) for p in paths.values() if Path(source).exists()
    ):
        raise UsageError(
            Problem("MC118", f"the result would overwrite the source '{source}'", hint="another name with -o")
        )
    return paths


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else type(source).__name__


def _stem(source: Any) -> str:
    return Path(source).stem if isinstance(source, str | Path) else "model"


@contextmanager
def quiet_numpy() -> Iterator[None]:
    """Infinities and overflows in a model's numbers are its own business."""
    with np.errstate(all="ignore"):
        yield


__all__ = ["Artifact", "Options", "bind", "bind_batch", "convert", "mismatch", "quiet_numpy", "read", "rewrite"]
