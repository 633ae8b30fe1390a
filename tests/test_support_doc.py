"""docs/support.md is what the code says."""

from __future__ import annotations

from pathlib import Path

from mconv import backends
from mconv.ir.op import OPERATORS
from mconv.support import as_json, as_markdown, support_of

PATH = Path(__file__).parent.parent / "docs" / "support.md"


def test_the_page_is_not_stale() -> None:
    assert PATH.read_text(encoding="utf-8") == as_markdown(), "run `make docs`"


def test_every_operator_stands_in_every_target_once() -> None:
    for target in backends.names():
        lines, others = support_of(target)
        assert sorted([s.op.__name__ for s in lines] + [name for name, _ in others]) == sorted(OPERATORS)
        table = as_json(target)
        assert table["target"] == target
