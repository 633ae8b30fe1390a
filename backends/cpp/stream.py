"""Streaming rows: early layers run row by row through rings of a few rows, instead of whole images one by one.

A group of consecutive steps is streamed where that lowers the largest sum of memory that lives at once. Rows of the
group's last result are made one by one, and of everything before as many as that takes. A value that nobody outside of
the group reads keeps only the rows that are still to be read; row r of a ring of n lies at place r % n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mconv.ir.record import Record

from .step import Rows, Source, Step, block_stride
from .view import ALIGNMENT, Buffer, View

WORTHWHILE = 0.95
"""A group is streamed when it leaves at most so much of the largest live memory."""
MAX_BEFORE = 12
"""Steps before the one with the most live memory at which a group may begin."""
PATIENCE = 8
"""Longer groups that are tried although they were no better."""
STRIPS = (4, 2)
"""Rows of the last result that are made at once, where that takes no more memory than one."""
SHARES = (2, 4)
"""Parts of the last result's rows that workers can make each for itself."""
TWICE = 0.15
"""The most that two shares may compute more than one, relative to all."""


class Call(Record):
    """Compute rows [begin, end) of a step of a group, which is numbered from its first."""

    step: int
    begin: int
    end: int


Calls = tuple[Call, ...]


class Group(Record):
    """Steps [first, last) that are streamed: the rows that each ring keeps, and the calls in order.

    ``shares`` are the calls for each of so many workers that compute a part of the last result's rows without the
    others, each with rings of its own: rows at the borders are computed twice, but no worker waits, or reads what
    another has written.
    """

    first: int
    last: int
    rings: dict[Buffer, int]
    calls: Calls
    shares: tuple[tuple[Calls, ...], ...] = ()


def groups(steps: Sequence[Step]) -> list[Group]:
    """The groups worth streaming, in order; the rings' buffers are made as small as the rings.

    As long as a group around the step at which most memory lives lowers that, the one that lowers it most is taken.
    """
    found: list[Group] = []
    while True:
        live = _live(steps, found)
        peak = max(range(len(steps)), key=live.__getitem__, default=0)
        group = _best(steps, found, live, peak) if steps else None
        if group is None:
            break
        found.append(group)
        _make_rings(steps, group)
    for number, group in enumerate(found):
        found[number] = _shared(steps, _thicker(steps, found, group))
        _make_rings(steps, found[number])
    return sorted(found, key=lambda g: g.first)


def place_of_rings(steps: Sequence[Step], group: Group) -> tuple[dict[Buffer, int], int]:
    """Where the rings of a worker lie that has its own, from their begin; and how much they take."""
    places, size = {}, 0
    for buffer, nbytes in _sizes(steps, group).items():
        places[buffer] = size
        size += nbytes
    return places, size


def _make_rings(steps: Sequence[Step], group: Group) -> None:
    for buffer, nbytes in _sizes(steps, group).items():
        buffer.nbytes = nbytes


def _thicker(steps: Sequence[Step], found: Sequence[Group], group: Group) -> Group:
    """The group with more rows a call, if the largest live memory stays."""
    most = max(_live(steps, found))
    for strip in STRIPS:
        rings = _rings(steps, group.first, group.last, strip)
        assert rings is not None
        thick = Group(group.first, group.last, *rings)
        if max(_live(steps, found, _sizes(steps, thick))) <= most:
            return thick
    return group


def _shared(steps: Sequence[Step], group: Group) -> Group:
    """The group with shares, if all that its steps make for others is the last result, and little is made twice."""
    members = steps[group.first : group.last]
    if len(group.rings) < len(members) - 1:
        return group
    strip = max(call.end - call.begin for call in group.calls if call.step == len(members) - 1)
    makers = {step.writes[0]: number for number, step in enumerate(members)}
    rows = _rows(members[-1]).rows
    shares: list[tuple[Calls, ...]] = []
    for parts in SHARES:
        if rows < 2 * parts:
            break
        made = [
            _simulated(members, makers, set(group.rings), strip, (rows * i // parts, rows * (i + 1) // parts))
            for i in range(parts)
        ]
        if any(ring[b] > size for ring, _ in made for b, size in group.rings.items()):
            break
        calls = tuple(each for _, each in made)
        if not shares and sum(_work(members, each) for each in calls) > (1 + TWICE) * _work(members, group.calls):
            break
        shares.append(calls)
    return Group(group.first, group.last, group.rings, group.calls, tuple(shares))


def _work(members: Sequence[Step], calls: Calls) -> float:
    return sum((c.end - c.begin) / _rows(members[c.step]).rows * members[c.step].flops for c in calls)


def _rows(step: Step) -> Rows:
    assert step.stream is not None
    return step.stream


def _can_stream(step: Step) -> bool:
    return step.stream is not None and bool(step.stream.sources) and step.stream.rows > 1


def _best(steps: Sequence[Step], found: Sequence[Group], live: Sequence[int], peak: int) -> Group | None:
    """The group with step ``peak`` in it that leaves the least live memory; None where none is worth it."""
    taken = {number for group in found for number in range(group.first, group.last)}
    if peak in taken or not _can_stream(steps[peak]):
        return None
    begin = end = peak
    while begin > max(peak - MAX_BEFORE, 0) and begin - 1 not in taken and _can_stream(steps[begin - 1]):
        begin -= 1
    while end < len(steps) and end not in taken and _can_stream(steps[end]):
        end += 1
    best, least = None, live[peak] * WORTHWHILE
    for first in range(begin, peak + 1):
        worse = 0
        for last in range(max(first + 2, peak + 1), end + 1):
            rings = _rings(steps, first, last)
            group = None if rings is None else Group(first, last, *rings)
            after = least if group is None else max(_live(steps, [*found, group], _sizes(steps, group)))
            if group is None or after >= least:
                worse += 1
                if worse > PATIENCE:
                    break
                continue
            best, least, worse = group, after, 0
    return best


def _sizes(steps: Sequence[Step], group: Group) -> dict[Buffer, int]:
    members = steps[group.first : group.last]
    return {buffer: _ring_bytes(_result_in(members, buffer), rows) for buffer, rows in group.rings.items()}


def _live(steps: Sequence[Step], found: Sequence[Group], sizes: Mapping[Buffer, int] | None = None) -> list[int]:
    """Bytes that live at each step; the steps of a group run as one. ``sizes`` are those of rings not yet made."""
    place = list(range(len(steps)))
    for group in found:
        place[group.first : group.last] = [group.first] * (group.last - group.first)
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    scratch = [0] * (len(steps) + 1)
    for number, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            if buffer.place == "arena":
                first.setdefault(buffer, place[number])
                last[buffer] = place[number]
        scratch[place[number]] = max(scratch[place[number]], step.scratch)
    change = [0] * (len(steps) + 1)
    for buffer in first:
        size = buffer.nbytes if sizes is None else sizes.get(buffer, buffer.nbytes)
        change[first[buffer]] += size
        change[last[buffer] + 1] -= size
    result, live = [], 0
    for number in range(len(steps)):
        live += change[number]
        result.append(live + scratch[number])
    return [result[n] for n in place]


def _rings(steps: Sequence[Step], begin: int, end: int, strip: int = 1) -> tuple[dict[Buffer, int], Calls] | None:
    """Rows that each ring of a group needs, and the calls; None where the group cannot be streamed."""
    members = steps[begin:end]
    outside = {b for n, step in enumerate(steps) if not begin <= n < end for b in (*step.reads, *step.writes)}
    makers: dict[Buffer, int] = {}
    for number, step in enumerate(members):
        if len(step.writes) != 1 or step.writes[0] in makers:
            return None  # two parts of one buffer, as of a concatenation
        makers[step.writes[0]] = number
    for number, step in enumerate(members):
        told = {source.view.buffer for source in _rows(step).reads()}
        if any(makers.get(b, number) > number or (b in makers and b not in told) for b in step.reads):
            return None
    ringed = {b for b in makers if b not in outside and b.place == "arena" and _is_whole(members[makers[b]], b)}
    if not ringed:
        return None
    return _simulated(members, makers, ringed, strip, (0, _rows(members[-1]).rows))


def _simulated(
    members: Sequence[Step], makers: dict[Buffer, int], ringed: set[Buffer], strip: int, part: tuple[int, int]
) -> tuple[dict[Buffer, int], Calls]:
    """The rings and calls that make these rows of the last result, ``strip`` at once."""
    rows = [_rows(step).rows for step in members]
    done = _begins(members, makers, part[0])
    readers: dict[Buffer, list[tuple[int, Source]]] = {b: [] for b in makers}
    for number, step in enumerate(members):
        for source in _rows(step).reads():
            if source.view.buffer in readers:
                readers[source.view.buffer].append((number, source))
    rings = dict.fromkeys(ringed, 1)
    calls: list[Call] = []

    def call(number: int, end: int) -> None:
        calls.append(Call(number, done[number], end))
        done[number] = end
        buffer = members[number].writes[0]
        if buffer in ringed:
            low = min(
                (s.needed(done[n], done[n] + 1)[0] for n, s in readers[buffer] if done[n] < rows[n]),
                default=done[number],
            )
            rings[buffer] = max(rings[buffer], done[number] - low)

    def row_by_row(number: int, end: int) -> None:
        """What a share begins with: as few rows of each as the next row of its reader needs."""
        for row in range(done[number] + 1, end + 1):
            for source in _rows(members[number]).reads():
                maker = makers.get(source.view.buffer)
                if maker is not None:
                    row_by_row(maker, source.needed(row - 1, row)[1])
            call(number, row)

    begin, last = part
    if begin > 0:
        row_by_row(len(members) - 1, begin + 1)
        begin += 1
    for row in [*range(begin + strip, last, strip), last]:
        goal = list(done)
        goal[-1] = row
        if part == (0, rows[-1]) and row == last:
            goal = list(rows)  # also what no later step of the group reads
        for number in reversed(range(len(members))):
            for source in _rows(members[number]).reads():
                maker = makers.get(source.view.buffer)
                if maker is not None and goal[number] > done[number]:
                    goal[maker] = max(goal[maker], source.needed(done[number], goal[number])[1])
        for number in range(len(members)):
            if goal[number] > done[number]:
                call(number, goal[number])
    return rings, tuple(calls)


def _begins(members: Sequence[Step], makers: dict[Buffer, int], row: int) -> list[int]:
    """The first rows that row ``row`` of the last result needs."""
    begins = [0 if row == 0 else _rows(step).rows for step in members]
    begins[-1] = row
    for number in reversed(range(len(members))):
        for source in _rows(members[number]).reads():
            maker = makers.get(source.view.buffer)
            if maker is not None:
                begins[maker] = min(begins[maker], source.needed(begins[number], begins[number] + 1)[0])
    return begins


def _is_whole(step: Step, buffer: Buffer) -> bool:
    """Whether the step's result is all that lies in the buffer, rows one behind the other in each block."""
    view = _rows(step).result
    return bool(view.buffer is buffer and view.offset == 0 and view.images() is not None and len(view.shape) == 4)


def _result_in(members: Iterable[Step], buffer: Buffer) -> View:
    return next(_rows(step).result for step in members if step.writes[0] is buffer)


def _ring_bytes(view: View, rows: int) -> int:
    return -(-view.blocks * block_stride(view, rows) * view.dtype.size // ALIGNMENT) * ALIGNMENT
