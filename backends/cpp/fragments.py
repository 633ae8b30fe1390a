"""The kernels header: the fragments of ``kernels/`` that a model needs, joined in the order of what they need."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "kernels"
NEEDS = "// needs:"


@cache
def text_of(name: str) -> str:
    """The text of a fragment. KeyError where there is none."""
    path = FOLDER / f"{name}.h"
    if not path.is_file():
        raise KeyError(f"no fragment of kernels is named '{name}'")
    return path.read_text(encoding="utf-8")


@cache
def needs(name: str) -> tuple[str, ...]:
    """Names of the fragments that a fragment uses, as its ``// needs:`` lines say."""
    lines = [line for line in text_of(name).splitlines() if line.startswith(NEEDS)]
    return tuple(item for line in lines for item in line.removeprefix(NEEDS).replace(",", " ").split())


def ordered(names: Iterable[str]) -> list[str]:
    """The fragments and all that they need, each after what it needs."""
    result: dict[str, None] = {}
    open: set[str] = set()

    def add(name: str) -> None:
        if name in result:
            return
        if name in open:
            raise ValueError(f"the fragment '{name}' needs itself")
        open.add(name)
        for other in needs(name):
            add(other)
        open.discard(name)
        result[name] = None

    for name in sorted(names):
        add(name)
    return list(result)


def joined(names: Iterable[str]) -> str:
    """The text of all fragments that ``names`` need."""
    parts = []
    for name in ordered(names):
        lines = [line for line in text_of(name).splitlines() if not line.startswith(NEEDS)]
        parts.append("\n".join(lines).strip("\n"))
    return "\n\n".join(parts) + "\n"
