"""The four parts import only what they may, siblings relatively and other parts absolutely."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {"ir": set[str](), "frontends": {"ir"}, "passes": {"ir"}, "backends": {"ir"}}


def imports(part: str) -> Iterator[tuple[Path, int, str]]:
    """(file, line, absolute module name) of every import in a part, also of those inside functions."""
    for path in sorted((ROOT / part).rglob("*.py")):
        package = ["mconv", *path.relative_to(ROOT).parent.parts]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                # `from mconv import frontends` imports a part as much as `import mconv.frontends` does
                names = [f"{module}.{alias.name}" for alias in node.names] if module == "mconv" else [module]
                yield from ((path, node.lineno, name) for name in names)


def part_of(module: str) -> str | None:
    """The part that a module belongs to, '' for the thin front, None for what is not ours."""
    first, _, rest = module.partition(".")
    if first != "mconv":
        return None
    second = rest.partition(".")[0]
    return second if second in MAY_IMPORT else ""


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_parts_import_only_what_they_may(part: str) -> None:
    allowed = {None, part, *MAY_IMPORT[part]}
    wrong = [f"{p.relative_to(ROOT)}:{line} imports {m}" for p, line, m in imports(part) if part_of(m) not in allowed]
    assert wrong == []


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_siblings_are_imported_relatively_and_other_parts_absolutely(part: str) -> None:
    wrong = []
    for path in sorted((ROOT / part).rglob("*.py")):
        depth = len(path.relative_to(ROOT).parent.parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            leaves = node.level > depth
            itself = node.level == 0 and (node.module or "").startswith(f"mconv.{part}")
            if leaves or itself:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_each_part_refuses_to_be_imported_by_its_bare_name() -> None:
    for part in MAY_IMPORT:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {part}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"mconv.{part}" in done.stderr


def test_no_file_is_long_and_nothing_is_called_utils() -> None:
    for part in ("mconv", *MAY_IMPORT):
        for path in (ROOT / part).rglob("*.py"):
            assert "utils" not in path.name
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 520, path


def test_public_names_are_there() -> None:
    package = importlib.import_module("mconv")
    assert set(package.__all__) <= set(dir(package)) | set(package._HOMES)
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
