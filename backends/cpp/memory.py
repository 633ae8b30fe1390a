"""The arena: which buffers live when, and an offset for each so that those that live at once do not overlap.

Placing intervals of given sizes in the least memory is NP-hard (dynamic storage allocation); buffers are placed one
by one at the lowest offset that is free while they live, in several orders, and the best result is kept. When it is
not at the lower bound, orders near the best are tried: a buffer that ends highest is moved forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mconv.ir.record import Record

from .step import Step
from .stream import Group, place_of_rings
from .view import ALIGNMENT, Buffer

ROUNDS = 300
"""Orders that are tried beyond the first ones, at most."""
EFFORT = 20_000_000
"""Pairs of buffers that are looked at in trying them."""


class Interval(Record):
    """A buffer (None: the scratch of a step) and the steps from the first to the last that touch it."""

    buffer: Buffer | None
    first: int
    last: int
    nbytes: int


class Plan(Record):
    """An arena: its size, and what that can be compared with, all in bytes.

    ``bound`` is the largest sum of what lives at once, below which no plan can be; ``unshared`` the sum of all buffers.
    """

    nbytes: int
    bound: int
    unshared: int
    intervals: tuple[Interval, ...]
    offsets: tuple[int, ...]
    scratch: dict[int, int]
    """Offset of each step's scratch, by the step's number."""
    step_scratch: int
    """The most scratch of a step."""
    per_worker: int
    """What a worker beyond the first needs: scratch, and behind it rings of its own."""


def plan(steps: Sequence[Step], groups: Sequence[Group] = ()) -> Plan:
    """Give every buffer of the arena its offset. What a streamed group touches lives as long as the group runs."""
    intervals = lifetimes(steps, groups)
    sizes = [i.nbytes for i in intervals]
    bound = largest_live(intervals, len(steps))
    offsets = _best(intervals, bound)
    for interval, offset in zip(intervals, offsets, strict=True):
        if interval.buffer is not None:
            interval.buffer.offset = offset
    scratch = _rounded(max((s.scratch for s in steps), default=0))
    rings = max((place_of_rings(steps, group)[1] for group in groups if group.shares), default=0)
    return Plan(
        step_scratch=scratch,
        per_worker=scratch + rings,
        nbytes=max((o + s for o, s in zip(offsets, sizes, strict=True)), default=0),
        bound=bound,
        unshared=sum(i.nbytes for i in intervals if i.buffer is not None),
        intervals=tuple(intervals),
        offsets=tuple(offsets),
        scratch={
            number: offset
            for i, offset in zip(intervals, offsets, strict=True)
            if i.buffer is None
            for number in range(i.first, i.last + 1)
            if steps[number].scratch
        },
    )


def lifetimes(steps: Sequence[Step], groups: Sequence[Group] = ()) -> list[Interval]:
    """When each buffer of the arena is first and last touched, and each step's (or group's) scratch."""
    span = {number: (number, number) for number in range(len(steps))}
    for group in groups:
        span.update(dict.fromkeys(range(group.first, group.last), (group.first, group.last - 1)))
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    scratch: dict[tuple[int, int], int] = {}
    for number, step in enumerate(steps):
        begin, end = span[number]
        for buffer in (*step.reads, *step.writes):
            if buffer.place == "arena":
                first[buffer] = min(first.get(buffer, begin), begin)
                last[buffer] = max(last.get(buffer, end), end)
        if step.scratch:
            scratch[span[number]] = max(scratch.get(span[number], 0), _rounded(step.scratch))
    buffers = [Interval(b, first[b], last[b], _rounded(b.nbytes)) for b in first]
    return buffers + [Interval(None, begin, end, size) for (begin, end), size in scratch.items()]


def largest_live(intervals: Sequence[Interval], steps: int) -> int:
    """The largest sum of bytes that live at one step."""
    change = [0] * (steps + 1)
    for i in intervals:
        change[i.first] += i.nbytes
        change[i.last + 1] -= i.nbytes
    live = largest = 0
    for delta in change:
        live += delta
        largest = max(largest, live)
    return largest


def _best(intervals: Sequence[Interval], bound: int) -> list[int]:
    keys: list[Callable[[Interval], tuple[int, ...]]] = [
        lambda i: (-i.nbytes, i.first),
        lambda i: (i.first - i.last, -i.nbytes),
        lambda i: ((i.first - i.last - 1) * i.nbytes, i.first),
        lambda i: (i.first, -i.nbytes),
    ]
    numbers = range(len(intervals))
    best: list[int] = []
    best_size, best_order = -1, list(numbers)
    for key in keys:
        order = sorted(numbers, key=lambda n: key(intervals[n]))
        offsets, size = _place(intervals, order)
        if best_size < 0 or size < best_size:
            best, best_size, best_order = offsets, size, order
    for round in range(min(ROUNDS, EFFORT // (len(intervals) ** 2 + 1))):
        if best_size <= bound:
            break
        order = _moved(intervals, best, best_order, best_size, round)
        offsets, size = _place(intervals, order)
        if size <= best_size:
            best, best_size, best_order = offsets, size, order
    return best


def _moved(
    intervals: Sequence[Interval], offsets: Sequence[int], order: Sequence[int], size: int, round: int
) -> list[int]:
    """The order with a buffer that ends at the top placed earlier, further forward from round to round."""
    top = [n for n in order if offsets[n] + intervals[n].nbytes == size]
    number = top[round % len(top)]
    place = order.index(number)
    step = 1 + (round * 7919) % max(place, 1)
    rest = [n for n in order if n != number]
    rest.insert(max(place - step, 0), number)
    return rest


def _place(intervals: Sequence[Interval], order: Sequence[int]) -> tuple[list[int], int]:
    """Offsets when buffers are placed in this order, each at the lowest place that is free; and the arena's size."""
    offsets = [0] * len(intervals)
    placed: list[int] = []
    size = 0
    for number in order:
        interval = intervals[number]
        taken = sorted(
            (offsets[other], offsets[other] + intervals[other].nbytes)
            for other in placed
            if intervals[other].first <= interval.last and interval.first <= intervals[other].last
        )
        begin = 0
        for low, high in taken:
            if begin + interval.nbytes <= low:
                break
            begin = max(begin, high)
        offsets[number] = begin
        size = max(size, begin + interval.nbytes)
        placed.append(number)
    return offsets, size


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
