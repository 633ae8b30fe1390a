"""``mconv attack``: what a file gives away of a model, measured as somebody would who has only the file.

The original is read to know what to look for: its names, and its weights in the forms that converters and generators
give them. docs/protection.md says what each measure stands for, and what it does not.
"""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..ir import Problem, UnreadableError, UsageError
from ..ir.record import Record
from . import elf, words
from .forms import SEARCHES, Form, forms_of, weights_of
from .search import Bytes, Mask

MAX_SCORE = 10
"""What is let pass where nothing else is asked for: a few words or names, but no weights."""

FULL = 20
"""Words, or symbols, from which on their part of the score is whole."""
PARTS = {"strings": 20, "symbols": 15, "windows": 40, "values": 25}
"""Points of each part; without an original, "plain" takes the place of the last two."""
_PLAIN = PARTS["windows"] + PARTS["values"]
_PAGE = 4096


class Leak(Record):
    """Weights found in one form: shares of ``searched`` keys found, and of controls, which are found by chance."""

    kind: str
    form: str
    searched: int
    found: float
    chance: float

    @property
    def share(self) -> float:
        """What is found beyond chance, 0 to 1; up to four standard deviations it is noise of the sample."""
        noise = 4 * ((self.found * (1 - self.found) + self.chance * (1 - self.chance)) / max(self.searched, 1)) ** 0.5
        excess = self.found - self.chance
        return excess / (1 - self.chance) if excess > noise else 0.0


class Region(Record):
    """A section of a program, or a part of another file. ``entropy`` is in bits a byte: 8 is random (or encrypted).

    ``plain`` is the share of its pages in which nearly all 32-bit words could be weights.
    """

    name: str
    offset: int
    size: int
    entropy: float
    plain: float


class Attack(Record):
    """Everything found. ``prefix`` is what exported names share; ``beyond`` are the names that do not begin so."""

    file: str
    size: int
    words: Mapping[str, int]
    program: bool
    prefix: str
    exported: int
    beyond: tuple[str, ...]
    told: tuple[str, ...]
    """Names of functions and constants that are not exported but stand in the file (it is not stripped)."""
    regions: tuple[Region, ...]
    leaks: tuple[Leak, ...]
    parts: Mapping[str, float]
    """How much of each part of the score is given away, 0 to 1; parts that do not apply are missing."""
    score: int


class Trace(Record):
    """Whether a file is a copy of the build that a map.json describes."""

    map: str
    trace: bool
    """Its mark stands in the sealed weights."""
    marks: int
    """So many of its gaps between the weights are there."""
    gaps: int

    @property
    def recognised(self) -> bool:
        """One mark of 16 bytes is met by chance once in 2^80 files."""
        return self.trace or self.marks > 0


def attack(path: Path, original: Path | None = None) -> Attack:
    """Measure what the file at ``path`` gives away. Raises UsageError, UnreadableError (of either model)."""
    data = _mapped(path)
    view = data.data
    leaks: list[Leak] = []
    wanted = set(words.FRAMEWORKS)
    if original is not None:
        from ..api import load

        graph = load(original, optimize=False)
        wanted |= words.words_of(graph)
        leaks = _leaks(data, forms_of(weights_of(graph), weights_of(load(original))))
    found = words.found_in(view, wanted)
    program = elf.read(view)
    exported = sorted({s.name for s in program.symbols if s.exported}) if program else []
    told = sorted({s.name for s in program.symbols if not s.exported} - set(exported)) if program else []
    prefix = _prefix(exported)
    beyond = [name for name in exported if not name.startswith(prefix)] if prefix else exported
    regions = _regions(data, program)
    parts = _parts(found, program is not None, [*beyond, *told], leaks, regions, measured=original is not None)
    return Attack(
        file=str(path), size=len(data), words=found, program=program is not None, prefix=prefix, exported=len(exported),
        beyond=tuple(beyond), told=tuple(told), regions=regions, leaks=tuple(leaks), parts=parts, score=_score(parts),
    )  # fmt: skip


def _mapped(path: Path) -> Bytes:
    """The file's bytes. A pipe would wait for a writer, so only files are opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(Problem("MC110", f"{path} is not a file", hint="the path of the library or of the model"))
        if not status.st_size:
            raise UnreadableError(Problem("MC200", f"{path.name} is empty", hint="building it again"))
        with path.open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(Problem("MC110", f"{path} cannot be opened: {reason}", hint="checking the path")) from None


def _leaks(data: Bytes, wanted: Iterable[Form]) -> list[Leak]:
    """What is found of each form: of every tensor the best of its alternatives, weighted by the tensors' sizes.

    All keys of one search go through the file together.
    """
    groups: dict[str, list[Form]] = {}
    for form in wanted:
        groups.setdefault(form.by, []).append(form)
    tallies: dict[tuple[str, str], _Tally] = {}
    for by, group in groups.items():
        parts = [part for form in group for part in (form.keys, form.control)]
        hits = np.split(SEARCHES[by](data, np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1])
        for form, found, control in zip(group, hits[::2], hits[1::2], strict=True):
            tallies.setdefault((form.kind, form.name), _Tally()).add(form, found, control)
    return [tally.leak(kind, name) for (kind, name), tally in sorted(tallies.items(), key=lambda item: item[0])]


class _Tally:
    """Adds up the forms of one kind and name."""

    def __init__(self) -> None:
        self.best: dict[int, tuple[float, int, int]] = {}
        """Of each tensor the largest share found, its weight, and how many keys were looked for."""
        self.controls = self.met = 0

    def add(self, form: Form, found: Mask, control: Mask) -> None:
        share = float(found.mean())
        self.controls += len(control)
        self.met += int(control.sum())
        if form.tensor not in self.best or share > self.best[form.tensor][0]:
            self.best[form.tensor] = (share, form.weight, len(found))

    def leak(self, kind: str, name: str) -> Leak:
        whole = sum(weight for _, weight, _ in self.best.values())
        found = sum(share * weight for share, weight, _ in self.best.values()) / whole
        searched = sum(count for _, _, count in self.best.values())
        return Leak(kind, name, searched, found, self.met / self.controls if self.controls else 0.0)


def _prefix(names: Sequence[str]) -> str:
    """What most exported names begin with: up to the underscore before the last word, ``net_`` of ``net_run``."""
    counts: dict[str, int] = {}
    for name in names:
        for place, letter in enumerate(name):
            if letter == "_" and place:
                counts[name[: place + 1]] = counts.get(name[: place + 1], 0) + 1
    return max(counts, key=lambda prefix: (counts[prefix], len(prefix)), default="")


def _regions(data: Bytes, program: elf.Program | None) -> tuple[Region, ...]:
    """The sections of a program, or eight equal parts."""
    if program is not None:
        places = [(s.name, s.offset, s.size) for s in program.sections if s.size >= 256]
    else:
        size = max(-(-len(data) // 8), 1 << 16)
        places = [(f"part {i + 1}", at, min(size, len(data) - at)) for i, at in enumerate(range(0, len(data), size))]
    return tuple(Region(name, at, size, *_look(data[at : at + size])) for name, at, size in places)


def _look(region: Bytes) -> tuple[float, float]:
    """(entropy, share of plain pages) of some bytes."""
    counts = np.bincount(region, minlength=256) / max(len(region), 1)
    entropy = float(-(counts * np.log2(np.where(counts > 0, counts, 1))).sum())
    plain = 0.0
    for shift in range(4):
        count = (len(region) - shift) // _PAGE
        if count <= 0:
            continue
        # the exponent of a float lies in the upper two bytes; those of weights are between 2^-30 and 2^4
        bits = np.frombuffer(region, "<u4", count * _PAGE // 4, shift).reshape(count, -1)
        exponent = bits >> np.uint32(23) & np.uint32(255)
        likely = ((exponent >= 97) & (exponent <= 131)).mean(axis=1)
        plain = max(plain, float((likely > 0.9).mean()))
    return entropy, plain


def _parts(
    found: Mapping[str, int],
    program: bool,
    names: Sequence[str],
    leaks: Sequence[Leak],
    regions: Sequence[Region],
    *,
    measured: bool,
) -> dict[str, float]:
    parts = {"strings": min(1.0, len(found) / FULL)}
    if program:
        parts["symbols"] = min(1.0, len(names) / FULL)
    if measured:
        for kind in ("windows", "values"):
            parts[kind] = max((leak.share for leak in leaks if leak.kind == kind), default=0.0)
    else:
        whole = sum(region.size for region in regions) or 1
        parts["plain"] = sum(region.size * region.plain for region in regions) / whole
    return parts


def _score(parts: Mapping[str, float]) -> int:
    """0 to 100: the points of the parts, scaled up where a part does not apply; rounded up, so that 0 means nothing."""
    points = {**PARTS, "plain": _PLAIN}
    given = sum(points[part] * share for part, share in parts.items())
    return int(np.ceil(round(100 * given / sum(points[part] for part in parts), 6)))


def trace(path: Path, maps: Sequence[Path]) -> list[Trace]:
    """Which of the builds described by the maps (map.json, kept by the developer) the file is a copy of.

    UsageError (MC128) for a map that describes no build.
    """
    from ..backends.cpp.protect import Build
    from .search import find_windows

    data = _mapped(path)
    found = []
    for map in maps:
        seed, gaps = _build_in(map)
        build = Build(seed)
        mark = np.frombuffer(build.trace[:16], np.uint8).reshape(1, 16)
        marks = [np.frombuffer(build.mark(i, 16), np.uint8) for i in range(gaps)]
        there = find_windows(data, np.stack([*mark, *marks]))
        found.append(Trace(str(map), bool(there[0]), int(there[1:].sum()), gaps))
    return found


def _build_in(path: Path) -> tuple[bytes, int]:
    import json

    try:
        content = _mapped(path)[: 1 << 28].tobytes()
        build = json.loads(content)["build"]
        seed, gaps = bytes.fromhex(build["seed"]), int(build["gaps"])
    except (ValueError, KeyError, TypeError, RecursionError):
        seed, gaps = b"", 0
    if len(seed) != 32 or not 0 <= gaps <= 1_000_000:
        hint = "the map.json that was written beside the sources of a build with --protect strong"
        raise UsageError(Problem("MC128", f"'{path}' describes no build", hint=hint))
    return seed, gaps


__all__ = ["MAX_SCORE", "Attack", "Leak", "Region", "Trace", "attack", "trace"]
