"""ONNX's own node tests through reader and interpreter: at least 97 % of those in scope, and exactly the known rest."""

from __future__ import annotations

from tests.onnx_node_tests import KNOWN_FAILURES, THRESHOLD, run_all, summary


def test_node_tests_pass_through_the_interpreter() -> None:
    outcomes = run_all("interpreter")
    failed = {o.case: o.reason for o in outcomes if o.result not in ("passed", "out of scope")}
    inside = sum(outcome.result != "out of scope" for outcome in outcomes)
    assert inside > 1500, "the cases were not collected"
    assert len(failed) <= (1 - THRESHOLD) * inside, summary(outcomes)
    unknown = {name: reason for name, reason in failed.items() if name not in KNOWN_FAILURES}
    assert not unknown, "\n".join(f"{name}: {reason}" for name, reason in unknown.items())
    assert not set(KNOWN_FAILURES) - set(failed), "these pass now; take them off KNOWN_FAILURES"
