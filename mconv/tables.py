"""Tables for the terminal, made with rich (imported only when something is shown)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .attack import Attack, Trace
    from .backends.base import Support
    from .inspection import Inspection
    from .report import Comparison, Result, Verification


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; columns whose name starts with '>' are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if title:
        show_line(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    Console(highlight=False, markup=False).print(table)


def plain(text: str) -> str:
    """Text for a terminal: names come from the model, and may hold control characters."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def show_verification(verification: Verification) -> None:
    """The outputs with their errors, or one line why there was no comparison."""
    if verification.passed is None:
        show_line(f"not verified: {verification.reason}")
        return
    rows = [
        (c.name, "x".join(map(str, c.shape)), _error(c), f"{c.cosine:.7f}", "ok" if c.passed else "DIFFERS")
        for c in verification.outputs
    ]
    title = f"{verification.candidate} against {verification.reference}, relative error allowed {verification.rtol:g}"
    show(title, ("output", "shape", ">max error", ">cosine", ""), rows)


def _error(comparison: Comparison) -> str:
    """The largest error; of small integers also in steps, of which one is the rounding of a runtime."""
    steps = "" if comparison.steps is None else f" ({comparison.steps} step{'s' * (comparison.steps != 1)})"
    return f"{comparison.error:.2e}{steps}"


def show_result(result: Result) -> None:
    """What was written, from what."""
    for note in result.notes:
        show_line(f"note: {note}")
    show_line(f"{result.source}: {result.nodes_read} nodes read, {len(result.graph)} written")
    for path in result.files.values():
        show_line(f"  {path}  {size(path.stat().st_size)}")
    for line in result.summary:
        show_line(line)
    if result.transposes:
        moved = sum(each.bytes or 0 for each in result.transposes)
        show_line(
            f"transposes left: {len(result.transposes)}, moving {size(moved)} ('mconv inspect --target' says why)"
        )
    show_verification(result.verification)


def show_inspection(found: Inspection) -> None:
    """Inputs, outputs, totals, and a line an operator."""
    for kind, values in (("input", found.inputs), ("output", found.outputs)):
        for name, type in values.items():
            show_line(f"{kind:7} {name}: {type}")
    show_line(f"nodes {found.nodes}, parameters {found.parameters:,} ({size(found.parameter_bytes)})")
    work = "known only at run time" if found.flops is None else f"{found.flops / 1e9:.3f} GFLOP"
    peak = found.peak_activation_bytes
    memory = "known only at run time" if peak is None else size(peak)
    show_line(f"work {work}, peak activation memory {memory}")
    total = sum(o.flops for o in found.operators) or 1
    rows = [
        (o.operator, str(o.nodes), f"{o.flops / 1e6:.2f}", f"{100 * o.flops / total:.1f} %") for o in found.operators
    ]
    show("", ("operator", ">nodes", ">MFLOP", ">share"), rows)
    if found.transposes is not None:
        moved = sum(each.bytes or 0 for each in found.transposes)
        show_line(f"transposes left: {len(found.transposes)}, moving {size(moved)}")
        lines = [(t.value, ",".join(map(str, t.perm)), _bytes(t.bytes), t.why) for t in found.transposes]
        if lines:
            show("", ("value", "axes", ">moves", "why"), lines)


def _bytes(count: int | None) -> str:
    return "" if count is None else size(count)


def show_support(target: str, lines: Sequence[Support], others: Sequence[tuple[str, str]]) -> None:
    """The support table of one target."""
    rows = [(s.op.__name__, "; ".join(s.conditions) or "always", ", ".join(s.activations)) for s in lines]
    show(f"emitted for {target}", ("operator", "where", "carries"), rows)
    show("taken apart or refused", ("operator", "how"), others)


def show_attack(found: Attack) -> None:
    """What a file gives away: words, names, weights, regions, and the score."""
    show_line(f"{found.file}  {size(found.size)}")
    words = sorted(found.words, key=lambda word: (-found.words[word], word))
    show_line(f"words of the model or of a framework: {len(words)}{_some(words)}")
    if found.program:
        exported = f"{found.exported} exported" + (f" as {found.prefix}..." if found.prefix else "")
        show_line(f"symbols: {exported}, {len(found.beyond)} beyond that{_some(found.beyond)}")
        show_line(f"         {len(found.told)} more names in its symbol table{_some(found.told)}")
    if found.leaks:
        rows = [
            (leak.form, leak.kind, f"{leak.searched:,}", *(f"{100 * x:.2f} %" for x in (leak.found, leak.chance)),
             f"{100 * leak.share:.1f} %")
            for leak in found.leaks
        ]  # fmt: skip
        show("", ("weights", "as", ">searched", ">found", ">by chance", ">given away"), rows)
    regions = sorted(found.regions, key=lambda region: -region.size)[:8]
    lines = [(r.name, f"{r.offset:,}", size(r.size), f"{r.entropy:.2f}", f"{100 * r.plain:.0f} %") for r in regions]
    show("", ("region", ">offset", ">size", ">bits a byte", ">plain floats"), lines)
    parts = ", ".join(f"{part} {100 * share:.0f} %" for part, share in found.parts.items())
    show_line(f"score {found.score} of 100 ({parts})")


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, in brackets."""
    if not names:
        return ""
    return f" ({', '.join(name[:60] for name in names[:most])}{', ...' if len(names) > most else ''})"


def show_traces(traces: Sequence[Trace]) -> None:
    """Which builds a file is a copy of."""
    rows = [
        (t.map, "yes" if t.trace else "no", f"{t.marks} of {t.gaps}", "THIS BUILD" if t.recognised else "no")
        for t in traces
    ]
    show("", ("map", "mark of the seal", ">marks between weights", "a copy of"), rows)


def show_line(text: str) -> None:
    """One line to standard output."""
    import click

    click.echo(plain(text))


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
