"""Every code has one meaning: one heading in docs/errors.md, one class, the range of its exit status."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mconv.ir import errors

ROOT = Path(__file__).parent.parent
PARTS = ("mconv", "ir", "frontends", "passes", "backends")
CODE = re.compile(r"MC\d{3}")
RAISERS = {name: {name} for name in dir(errors) if isinstance(getattr(errors, name), type) and name.endswith("Error")}
RAISERS |= {"unreadable": {"UnreadableError"}, "unsupported": {"UnsupportedError"}, "Refused": {"UnsupportedError"}}
CLASSES = {
    "1": {"UsageError", "MissingExtraError"},
    "2": {"UnreadableError"},
    "3": {"UnsupportedError"},
    "4": {"MismatchError", "CheckError"},
    "5": {"InternalError"},
}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            # the links in mconv/ lead to the same files again
            if part == "mconv" and path.relative_to(ROOT).parts[1] in PARTS:
                continue
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def codes_in(tree: ast.AST) -> set[str]:
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text for text in texts if CODE.fullmatch(text)}


def headings() -> list[str]:
    return re.findall(r"^## (MC\d{3}) \S", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_code_has_one_heading_and_every_heading_a_use() -> None:
    used = set[str]().union(*(codes_in(tree) for _, tree in sources()))
    found = headings()
    assert len(found) == len(set(found)), "a code has two headings"
    assert found == sorted(found)
    assert used - set(found) == set(), "codes without a heading in docs/errors.md"
    assert set(found) - used == set(), "headings of codes that nothing raises"


def test_every_code_is_raised_with_one_class_of_its_range() -> None:
    raised: dict[str, set[str]] = defaultdict(set)
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                for code in codes_in(node) if name in RAISERS else ():
                    raised[code] |= RAISERS[name]
    assert len(raised) > 60
    assert {code: classes for code, classes in raised.items() if len(classes) != 1} == {}
    assert {code: classes for code, classes in raised.items() if not classes <= CLASSES[code[2]]} == {}


def test_codes_named_in_docstrings_and_tests_exist() -> None:
    known = set(headings())
    for part in (*PARTS, "tests", "docs"):
        for path in (ROOT / part).rglob("*"):
            if path.suffix in (".py", ".md") and path.is_file():
                stray = set(re.findall(r"\bMC\d{3}\b", path.read_text(encoding="utf-8"))) - known
                assert not stray, f"{path} names {stray}"
