"""ONNX's own node tests through reader and interpreter: at least 97 % of those in scope, and exactly the known rest."""

from __future__ import annotations

import pytest

from tests.onnx_node_tests import (
    KNOWN_FAILURES,
    THRESHOLD,
    Outcome,
    collect,
    judge_batched,
    out_of_scope,
    run_all,
    summary,
)

TFLITE = {
    "test_scatter": 16,
    "test_gridsample": 18,
    "test_nonmaxsuppression": 10,
    "test_lstm": 4,
    "test_averagepool": 20,
}
"""Cases of these names that are right through the TFLite target."""


CPP = {
    "test_add": 8,
    "test_argmax": 16,
    "test_convtranspose": 11,
    "test_gridsample": 18,
    "test_if": 1,
    "test_layer_normalization_4d": 24,
    "test_lstm": 6,
    "test_nonmaxsuppression": 10,
    "test_reduce_l": 64,
    "test_scatter": 16,
    "test_split": 16,
    "test_top_k": 7,
    "test_unique": 7,
}
"""Cases of these names that are right through the C++ target; all of them by ``python -m tests.onnx_node_tests``."""


def test_node_tests_pass_through_the_interpreter() -> None:
    outcomes = run_all("interpreter")
    failed = {o.case: o.reason for o in outcomes if o.result not in ("passed", "out of scope")}
    inside = sum(outcome.result != "out of scope" for outcome in outcomes)
    assert inside > 1500, "the cases were not collected"
    assert len(failed) <= (1 - THRESHOLD) * inside, summary(outcomes)
    unknown = {name: reason for name, reason in failed.items() if name not in KNOWN_FAILURES}
    assert not unknown, "\n".join(f"{name}: {reason}" for name, reason in unknown.items())
    assert not set(KNOWN_FAILURES) - set(failed), "these pass now; take them off KNOWN_FAILURES"


def test_node_tests_through_tflite_are_right_or_refused() -> None:
    """A part of them (all take minutes): none wrong, none that crashes LiteRT."""
    pytest.importorskip("ai_edge_litert")
    for pattern, right in TFLITE.items():
        outcomes = [outcome for outcome in run_all("tflite", pattern) if outcome.result != "out of scope"]
        bad = {o.case: o.reason for o in outcomes if o.result not in ("passed", "refused")}
        assert not bad, "\n".join(f"{name}: {reason}" for name, reason in bad.items())
        found = sum(outcome.result == "passed" for outcome in outcomes)
        assert found >= right, f"{pattern}: {found} right, {right} before; {summary(outcomes)}"


def test_node_tests_through_cpp_are_right_or_refused() -> None:
    """A part of them (all take two minutes), compiled together."""
    names = [n for n, case in collect().items() if n.startswith(tuple(CPP)) and not out_of_scope(case)]
    outcomes: list[Outcome] = judge_batched({name: collect()[name] for name in names})
    bad = {o.case: o.reason for o in outcomes if o.result not in ("passed", "refused")}
    assert not bad, "\n".join(f"{name}: {reason}" for name, reason in bad.items())
    for pattern, right in CPP.items():
        found = sum(o.result == "passed" for o in outcomes if o.case.startswith(pattern))
        assert found >= right, f"{pattern}: {found} right, {right} before"
