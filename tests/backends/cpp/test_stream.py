"""Streamed rows: no ring forgets a row that is still read, shares make every row once, threads change no number."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mconv.api import convert
from mconv.backends.cpp import stream
from mconv.backends.cpp.runtime import Library
from mconv.backends.cpp.step import Step

from .models import model, numbers

LAYERS = ((3, 8, 3, 2), (8, 48, 1, 1), (48, 48, 3, 1), (48, 16, 1, 1), (16, 64, 1, 1), (64, 64, 5, 2), (64, 8, 1, 1))
"""Inputs, outputs, kernel and stride; a kernel of as many inputs as outputs is one a channel."""
SIZE = 64


def _network(residual: bool) -> Any:
    nodes: list[tuple[Any, ...]] = []
    constants: dict[str, Any] = {}
    for number, (inputs, outputs, kernel, stride) in enumerate(LAYERS):
        groups = inputs if inputs == outputs else 1
        constants[f"w{number}"] = numbers(outputs, inputs // groups, kernel, kernel, seed=number) * np.float32(0.2)
        attributes = {"pads": [kernel // 2] * 4, "strides": [stride] * 2, "group": groups}
        nodes += [("Conv", f"x{number} w{number}", f"c{number}", attributes), ("Relu", f"c{number}", f"x{number + 1}")]
    if residual:
        weight = numbers(8, 8, 1, 1, seed=99)
        constants["wr"] = weight
        nodes[-1] = ("Relu", f"c{len(LAYERS) - 1}", "z")
        nodes += [("Conv", "z wr", "q"), ("Add", "q z", "y")]
    return model(nodes, {"x0": numbers(1, 3, SIZE, SIZE)}, constants)


def _check(steps: Sequence[Step], group: stream.Group, calls: stream.Calls) -> None:
    """Every row that a call reads has been made, and no later one has taken its place."""
    members = steps[group.first : group.last]
    made: dict[Any, dict[int, int]] = {buffer: {} for buffer in group.rings}
    for call in calls:
        step = members[call.step]
        rows = stream._rows(step)
        for source in rows.reads():
            buffer = source.view.buffer
            if buffer in group.rings:
                low, high = source.needed(call.begin, call.end)
                assert all(made[buffer].get(row % group.rings[buffer]) == row for row in range(low, high))
        if step.writes[0] in group.rings:
            ring = group.rings[step.writes[0]]
            assert call.end - call.begin <= ring
            made[step.writes[0]].update({row % ring: row for row in range(call.begin, call.end)})


@pytest.mark.parametrize("residual", [False, True])
def test_rings_and_shares(residual: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls of all and of each share, and the same bits with any number of threads."""
    seen: list[tuple[Sequence[Step], stream.Group]] = []
    found = stream.groups

    def spy(steps: Sequence[Step]) -> list[stream.Group]:
        groups = found(steps)
        seen.extend((steps, group) for group in groups)
        return groups

    monkeypatch.setattr(stream, "groups", spy)
    built, feeds = _network(residual)
    onnx.save(built, tmp_path / "net.onnx")
    convert(tmp_path / "net.onnx", "cpp", output=tmp_path / "made", verify=False)
    assert any(group.shares for _, group in seen)
    for steps, group in seen:
        last = stream._rows(steps[group.last - 1]).rows
        for parts in ((group.calls,), *group.shares):
            rows = [row for calls in parts for c in calls if c.step == group.last - group.first - 1
                    for row in range(c.begin, c.end)]  # fmt: skip
            assert rows == list(range(last))
            for calls in parts:
                _check(steps, group, calls)
    if shutil.which("make") is None or shutil.which("g++") is None:
        pytest.skip("no compiler")
    folder = tmp_path / "made"
    name = next(folder.glob("*_kernels.h")).name.removesuffix("_kernels.h")
    subprocess.run(["make", "-s", "-C", str(folder), f"lib{name}.so", "OPT=-O1"], check=True)
    results = []
    for threads in (1, 2, 3, 4, 5):
        library = Library(folder / f"lib{name}.so", name, threads=threads)
        results += [library.run(list(feeds.values()))[0] for _ in range(3)]
    assert all(np.array_equal(results[0], other) for other in results)
