"""Every broken or hostile input ends soon, small, with a code, exit status 2 or 3, and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .hostile.run import Outcome, corpus, run_one, sound

ROOT = Path(__file__).parent.parent
KINDS = sorted({case.kind for case in corpus()})


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    cases = corpus()
    assert len(cases) >= 200
    assert len({(case.kind, case.name) for case in cases}) == len(cases)


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_is_refused(kind: str) -> None:
    # in a process of its own: forking one that has a test runner's threads is asking for trouble
    command = [sys.executable, "-m", "tests.hostile", "--kind", kind, "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("kind", KINDS)
def test_the_true_command_refuses_the_first_of_each_kind(kind: str) -> None:
    case = next(case for case in corpus() if case.kind == kind)
    assert told(run_one(case, command=True)) == []


def test_a_sound_model_is_converted_by_the_same_command() -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    outcome = run_one(sound(), command=True)
    assert outcome.status == 0, outcome.said
    assert outcome.written == ("model.bin", "model.param")


def told(outcome: Outcome) -> list[str]:
    return [f"{fault}: {outcome.said[:500]}" for fault in outcome.faults()]
