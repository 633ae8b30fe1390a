"""The plan of the arena: what lives at once never overlaps, and simple cases reach the bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mconv.backends.cpp import memory
from mconv.backends.cpp.step import Step
from mconv.backends.cpp.view import ALIGNMENT, Buffer


def arena(nbytes: int, serial: int) -> Buffer:
    return Buffer("arena", nbytes, serial)


def chain(*sizes: int) -> list[Step]:
    """Each step reads what the one before wrote."""
    buffers = [arena(size, n) for n, size in enumerate(sizes)]
    return [Step("", (a,), (b,)) for a, b in itertools.pairwise(buffers)]


def check(steps: list[Step]) -> memory.Plan:
    """AssertionError where two things that live at once share a byte, or one is not aligned or outside."""
    plan = memory.plan(steps)
    pieces = list(zip(plan.intervals, plan.offsets, strict=True))
    for (one, begin), (other, second) in itertools.combinations(pieces, 2):
        if one.first <= other.last and other.first <= one.last:
            assert begin + one.nbytes <= second or second + other.nbytes <= begin
    touched = {b for s in steps for b in (*s.reads, *s.writes) if b.place == "arena"}
    assert {i.buffer for i in plan.intervals if i.buffer is not None} == touched
    for interval, offset in pieces:
        assert offset % ALIGNMENT == 0
        assert 0 <= offset <= plan.nbytes - interval.nbytes
        if interval.buffer is not None:
            assert interval.nbytes >= interval.buffer.nbytes
            assert interval.buffer.offset == offset
    for number, step in enumerate(steps):
        assert (number in plan.scratch) == bool(step.scratch)
        # whatever the step touches, and its scratch, are there while it runs
        live = [(b.offset, b.nbytes) for b in dict.fromkeys((*step.reads, *step.writes)) if b.place == "arena"]
        if step.scratch:
            live.append((plan.scratch[number], step.scratch))
        spans = sorted((offset or 0, size) for offset, size in live)
        assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(spans))
    assert plan.bound <= plan.nbytes <= sum(i.nbytes for i in plan.intervals)
    return plan


@pytest.mark.parametrize("sizes", [(64, 64), (640, 64, 640, 64), (64, 128, 192, 256, 192, 128, 64), (6400, 64, 64, 64)])
def test_a_chain_takes_no_more_than_its_largest_pair(sizes: tuple[int, ...]) -> None:
    plan = check(chain(*sizes))
    assert plan.nbytes == plan.bound == max(a + b for a, b in itertools.pairwise(sizes))
    assert plan.unshared == sum(sizes)


def test_what_is_read_late_stays() -> None:
    steps = chain(64, 128, 64, 128, 64)
    first = steps[0].reads[0]
    steps[-1] = steps[-1].replace(reads=(*steps[-1].reads, first))
    plan = check(steps)
    assert plan.bound == 64 + 128 + 64


def test_scratch_lives_for_its_step_only() -> None:
    steps = [step.replace(scratch=1000) for step in chain(640, 64, 64)]
    plan = check(steps)
    assert plan.nbytes == plan.bound == 640 + 64 + 1024


def test_inputs_outputs_and_weights_are_not_in_the_arena() -> None:
    outside = [Buffer(place, 4096, n) for n, place in enumerate(("input", "weights", "output"))]
    between = arena(100, 3)
    plan = check([Step("", tuple(outside[:2]), (between,)), Step("", (between,), (outside[2],))])
    assert plan.nbytes == 128
    assert check([]).nbytes == 0


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed: int) -> None:
    random = np.random.default_rng(seed)
    buffers = [arena(int(random.integers(1, 40)) * 50, n) for n in range(int(random.integers(2, 40)))]
    made, steps = [buffers[0]], []
    for buffer in buffers[1:]:
        reads = {made[-1], made[int(random.integers(len(made)))]}
        scratch = int(random.integers(0, 2000)) if random.random() < 0.3 else 0
        steps.append(Step("", tuple(reads), (buffer,), scratch))
        made.append(buffer)
    plan = check(steps)
    assert plan.nbytes <= 1.25 * plan.bound
