"""The wheel and the sdist hold every module of the checkout, under the names by which they are imported."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("ir", "passes", "frontends", "backends")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    out = tmp_path_factory.mktemp("dist")
    code = "import sys; from hatchling import build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, out], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def tracked() -> set[str]:
    """Modules of the checkout by the path at which a wheel installs them."""
    found = set()
    for folder in ("mconv", *PARTS):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).parts
            if parts[0] == "mconv" and parts[1] in PARTS:
                continue  # a link, for type checkers
            found.add("/".join(parts if parts[0] == "mconv" else ("mconv", *parts)))
    return found


def test_the_wheel_holds_every_module_once(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert len(names) == len(set(names))
    modules = {name for name in names if name.endswith(".py")}
    assert modules == tracked()
    assert "mconv/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"mconv", "mconv-0.1.0.dist-info"}


def test_the_sdist_holds_what_a_wheel_is_made_of(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {name if (ROOT / name).exists() else name.removeprefix("mconv/") for name in tracked()}
    real = {n for n in wanted if not (n.startswith("mconv/") and n.split("/")[1] in PARTS)}
    real |= {n.removeprefix("mconv/") for n in wanted - real}
    assert real <= names
    assert {"pyproject.toml", "README.md", "docs/errors.md"} <= names


def test_an_installed_wheel_works_without_the_checkout(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import mconv, mconv.cli; "
        "from mconv.passes import pipeline; from mconv import ir; print(mconv.__file__, ir.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
