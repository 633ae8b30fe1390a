"""``python tests/coverage_floor.py coverage.json``: line coverage of ir/ and passes/, each at least the floor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

FLOOR = 90.0
PARTS = ("ir", "passes")


def coverage(report: dict[str, dict[str, dict[str, dict[str, int]]]], part: str) -> float:
    """Per cent of the statements of a part that ran; zero where the report does not know the part."""
    covered = statements = 0
    for name, file in report["files"].items():
        folders = Path(name).parts
        # the same file may be named by the checkout's folder or by the link in mconv/
        if part in folders[:-1] and "tests" not in folders:
            covered += file["summary"]["covered_lines"]
            statements += file["summary"]["num_statements"]
    return 100 * covered / statements if statements else 0.0


def main(path: str) -> int:
    """Print both; 1 where one is under the floor."""
    report = json.loads(Path(path).read_text(encoding="utf-8"))
    found = {part: coverage(report, part) for part in PARTS}
    for part, per_cent in found.items():
        print(f"line coverage of {part}/: {per_cent:.1f} % (floor {FLOOR:g} %)")
    return int(min(found.values()) < FLOOR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
