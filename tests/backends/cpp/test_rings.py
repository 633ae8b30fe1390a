"""Rows that are streamed: no ring ever loses a row that is still to be read, and memory shrinks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mconv.backends.cpp import memory, stream
from mconv.backends.cpp.step import Step
from mconv.backends.cpp.stream import Rows, Source
from mconv.backends.cpp.view import Buffer, View, blocked_elements, blocked_strides
from mconv.ir import DType


@dataclass
class Layers:
    """A chain of convolutions and sums on images of 16 channels."""

    steps: list[Step] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def image(self, rows: int, columns: int, place: str = "arena") -> View:
        shape = (1, 16, rows, columns)
        buffer = Buffer(place, blocked_elements(shape, 1) * 4, len(self.views))
        self.views.append(View(buffer, DType.F32, shape, blocked_strides(shape, 1), 0, 1))
        return self.views[-1]

    def window(self, x: View, span: int, stride: int, pad: int, residual: View | None = None) -> View:
        rows = (x.shape[2] + 2 * pad - span) // stride + 1
        y = self.image(rows, x.shape[3] // stride)
        source = Source(x, x.shape[2], stride, pad, span)
        how = Rows(rows, y, x, (source,), residual)
        reads = (x.buffer,) if residual is None else (x.buffer, residual.buffer)
        self.steps.append(Step("", reads, (y.buffer,), stream=how))
        return y


def simulate(steps: list[Step], group: stream.Group) -> None:
    """Run a group's calls on rows that know what they are. AssertionError where a step would read another row."""
    stored: dict[Buffer, dict[int, int]] = {}
    members = steps[group.first : group.last]
    made = {step.writes[0] for step in members}
    done = [0] * len(members)
    for call in group.calls:
        step, how = members[call.step], members[call.step].stream
        assert how is not None
        assert call.begin == done[call.step] < call.end
        done[call.step] = call.end
        for row in range(call.begin, call.end):
            # rows are made one by one, and each may overwrite an older one that the next still needs
            for source in how.reads():
                if source.view.buffer not in made:
                    continue
                ring = group.rings.get(source.view.buffer, source.rows)
                for y in range(*source.needed(row, row + 1)):
                    assert stored[source.view.buffer].get(y % ring) == y, f"step {call.step}, row {row} reads {y}"
            ring = group.rings.get(step.writes[0], how.rows)
            stored.setdefault(step.writes[0], {})[row % ring] = row
    assert done == [step.stream.rows for step in members if step.stream is not None]


def check(steps: list[Step]) -> list[stream.Group]:
    sizes = {b: b.nbytes for s in steps for b in (*s.reads, *s.writes)}
    before = memory.plan(steps).nbytes
    found = stream.groups(steps)
    for group in found:
        simulate(steps, group)
        for buffer, rows in group.rings.items():
            view = next(s.stream.result for s in steps if s.stream is not None and s.writes[0] is buffer)
            assert buffer.nbytes == rows * view.shape[3] * 64 <= sizes[buffer]
    if found:
        assert memory.plan(steps, found).nbytes < before
    return found


def test_a_large_image_that_shrinks_is_streamed() -> None:
    net = Layers()
    x = net.window(net.image(224, 224, "input"), 3, 2, 1)
    x = net.window(net.window(x, 3, 1, 1), 1, 1, 0)
    for _ in range(3):
        x = net.window(x, 3, 2, 1)
    whole = memory.plan(net.steps).nbytes
    found = check(net.steps)
    assert len(found) == 1
    assert memory.plan(net.steps, found).nbytes < whole / 9
    assert max(found[0].rings.values()) <= 6


def test_a_residual_keeps_the_rows_it_waits_for() -> None:
    net = Layers()
    x = net.window(net.image(128, 128, "input"), 3, 2, 1)
    y = net.window(net.window(x, 5, 1, 2), 3, 1, 1, residual=x)
    net.window(net.window(y, 3, 2, 1), 3, 2, 1)
    (group,) = check(net.steps)
    assert group.rings[x.buffer] >= 5


def test_nothing_is_streamed_that_is_read_outside_or_not_by_rows() -> None:
    net = Layers()
    x = net.window(net.image(64, 64, "input"), 3, 1, 1)
    y = net.window(x, 3, 1, 1)
    net.steps.append(Step("", (x.buffer, y.buffer), (Buffer("output", 64, 99),)))
    assert all(x.buffer not in group.rings and y.buffer not in group.rings for group in check(net.steps))
    assert stream.groups([]) == []


@pytest.mark.parametrize("seed", range(80))
def test_random_layers(seed: int) -> None:
    random = np.random.default_rng(seed)
    net = Layers()
    size = int(random.integers(40, 120))
    images = [net.window(net.image(size, size, "input"), 3, int(random.integers(1, 3)), 1)]
    for _ in range(int(random.integers(2, 9))):
        x = images[-1] if random.random() < 0.8 else images[int(random.integers(len(images)))]
        span = int(random.choice([1, 2, 3, 5, 7]))
        stride = int(random.choice([1, 1, 2, 3]))
        pad = int(random.integers(0, span))
        if x.shape[2] + 2 * pad < span + stride:
            continue
        rows = (x.shape[2] + 2 * pad - span) // stride + 1
        fitting = [v for v in images if v.shape[2] == rows]
        residual = fitting[int(random.integers(len(fitting)))] if fitting and random.random() < 0.5 else None
        images.append(net.window(x, span, stride, pad, residual))
    check(net.steps)
