"""ONNX's own node tests through reader and interpreter: at least 97 % of those in scope, and exactly the known rest."""

from __future__ import annotations

import pytest

from tests.onnx_node_tests import KNOWN_FAILURES, THRESHOLD, run_all, summary

TFLITE = {
    "test_scatter": 16,
    "test_gridsample": 18,
    "test_nonmaxsuppression": 10,
    "test_lstm": 4,
    "test_averagepool": 20,
}
"""Cases of these names that are right through the TFLite target."""


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
