"""The gate on coverage itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .coverage_floor import main


def report(path: Path, ir: int, passes: int) -> str:
    files = {
        "ir/graph.py": {"summary": {"covered_lines": ir, "num_statements": 100}},
        "passes/fold/dead.py": {"summary": {"covered_lines": passes, "num_statements": 100}},
        "tests/ir/test_graph.py": {"summary": {"covered_lines": 0, "num_statements": 1000}},
        "mconv/cli.py": {"summary": {"covered_lines": 0, "num_statements": 1000}},
    }
    path.write_text(json.dumps({"files": files}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("ir", "passes", "status"), [(95, 91, 0), (95, 89, 1), (89, 99, 1)])
def test_either_part_under_the_floor_fails(
    ir: int, passes: int, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(report(tmp_path / "coverage.json", ir, passes)) == status
    assert f"ir/: {ir}.0 %" in capsys.readouterr().out


def test_a_report_that_lacks_a_part_fails(tmp_path: Path) -> None:
    path = tmp_path / "coverage.json"
    path.write_text('{"files": {}}', encoding="utf-8")
    assert main(str(path)) == 1
