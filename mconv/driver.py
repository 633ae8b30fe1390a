"""One conversion from end to end: read, rewrite, emit, verify, put in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import backends
from .backends.base import Artifact, Backend
from .backends.files import write_all
from .ir import Graph, MismatchError, Problem, UsageError
from .passes import pipeline
from .passes.base import Context
from .report import Result, Step, Verification, transposes_left
from .stages import Options, bind_batch, context_for, is_channels_last, read, rewrite


def convert(source: Any, options: Options) -> Result:
    """Convert ``source`` (a path or a ModelProto). Raises MconvError; then nothing has been written."""
    backend = backends.get(options.target)
    _check_writing(options, backend)
    place = _place(source, options, backend)
    options.progress("reading")
    graph, notes = bind_batch(read(source, options), options, backend)
    notes = [*graph.notes, *notes]
    nodes_read = len(graph)
    options.progress("rewriting")
    context = context_for(backend, options)
    steps = rewrite(
        graph,
        context,
        channels_last=is_channels_last(source),
        check=options.check_passes,
        after=_checker(graph, options, context),
    )
    options.progress("emitting")
    artifact = backend.emit(graph, fp16=options.fp16, name=_stem(source), writing=options.writing)
    paths = _paths(place, artifact, backend)
    verification = Verification(None, reason="not asked for")

    def check(readable: Mapping[Path, str]) -> None:
        nonlocal verification
        from . import verification as checker

        options.progress("verifying")
        files = {suffix: readable[path] for suffix, path in paths.items()}
        verification = checker.verify_conversion(source, graph, backend, artifact, files, options, context.layout.ends)
        if verification.passed is False:
            raise mismatch(verification)

    write_all(
        {path: artifact.files[suffix] for suffix, path in paths.items()},
        check=None if options.verify is False else check,
        folder=place if backend.folder else None,
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
        transposes=transposes_left(graph, context.layout.reasons) if backend.layout else (),
        rules=dict(context.applied),
        facts=artifact.facts,
        summary=artifact.summary,
    )


def _checker(graph: Graph, options: Options, context: Context) -> Callable[[pipeline.Step, Graph], None] | None:
    if not options.check_passes:
        return None
    from .verification import PassChecker

    return PassChecker(graph, options, context.layout)


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


def _check_writing(options: Options, backend: Backend) -> None:
    foreign = [name for name in options.writing.given() if name not in backend.takes]
    if foreign:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise UsageError(Problem("MC114", f"the target {backend.name} does not take {flags}"))


def _place(source: Any, options: Options, backend: Backend) -> Path:
    """Where the result goes: the files' path without suffix, or the folder."""
    try:
        return _checked_place(source, options, backend)
    except (OSError, ValueError) as error:  # a name too long, a zero byte, a folder that may not be entered
        raise UsageError(Problem("MC120", f"cannot write '{options.output or _stem(source)}': {error}")) from None


def _checked_place(source: Any, options: Options, backend: Backend) -> Path:
    place = options.output if options.output is not None else Path(_stem(source))
    if backend.folder:
        if place.exists() and not place.is_dir():
            hint = "the name of a folder with -o"
            raise UsageError(Problem("MC120", f"cannot write the folder '{place}': a file has its name", hint=hint))
        return place
    if str(place).endswith(("/", "\\")) or place.is_dir():
        place = place / _stem(source)
    for suffix in backend.suffixes:
        if place.name.endswith(suffix):
            place = place.with_name(place.name[: -len(suffix)])
            break
    paths = [place.with_name(place.name + suffix) for suffix in backend.suffixes]
    if isinstance(source, str | Path) and any(
        p.exists() and p.samefile(source) for p in paths if Path(source).exists()
    ):
        raise UsageError(
            Problem("MC118", f"the result would overwrite the source '{source}'", hint="another name with -o")
        )
    return place


def _paths(place: Path, artifact: Artifact, backend: Backend) -> dict[str, Path]:
    if backend.folder:
        return {name: place / name for name in artifact.files}
    return {suffix: place.with_name(place.name + suffix) for suffix in backend.suffixes}


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else type(source).__name__


def _stem(source: Any) -> str:
    """What the files are called by default: the model's own name, as far as a file may have it."""
    if isinstance(source, str | Path):
        path = Path(source)
        return path.resolve().name if path.is_dir() else path.stem
    name = getattr(source, "name", "")
    return name if isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name) else "model"
