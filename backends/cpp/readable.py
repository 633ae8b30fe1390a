"""How NAME.cpp is made readable: numbers in a kernel's struct are labelled, long lines are cut.

The labels are the struct's own members, in the groups in which the kernels' header declares them:
``Pointwise s{/*c, k, w*/ 16, 64, 55, /*xs, ys*/ 48400, 48400}``.
"""

from __future__ import annotations

import re
from functools import cache

from .fragments import text_of

WIDTH = 120
"""Characters of a line, where it can be cut."""
_STRUCT = re.compile(r"struct (\w+) \{\s(.*?)\};?$", re.MULTILINE | re.DOTALL)
_MEMBERS = re.compile(r"(?:const )?(\w+) ([^;(){}]+);")
_DECLARED = re.compile(r"^static const (\w+)(?:<[^>]*>)? \w+\{")
_OPEN, _CLOSE = "([{", ")]}"

Groups = list[tuple[str, list[str]]]
"""A struct's members: their type, and the names that are declared together; each array is alone."""


@cache
def structs(fragment: str) -> dict[str, Groups]:
    """The structs that a fragment of kernels declares."""
    found: dict[str, Groups] = {}
    for name, body in _STRUCT.findall(text_of(fragment)):
        groups: Groups = []
        for kind, members in _MEMBERS.findall(re.sub(r"//.*", "", body)):
            group: list[str] = []
            for member in (m.split("=")[0].strip() for m in re.sub(r"\[[^]]*\]", "[]", members).split(",")):
                if member.endswith("[]"):
                    groups += [(kind, group)] if group else []
                    groups.append((kind, [member.rstrip("[]")]))
                    group = []
                else:
                    group.append(member)
            groups += [(kind, group)] if group else []
        found[name] = groups
    return found


def labelled(line: str, known: dict[str, Groups]) -> str:
    """A line that declares one of the ``known`` structs, its members labelled; others as they are."""
    found = _DECLARED.match(line)
    if found is None or found[1] not in known or not line.endswith("};"):
        return line
    return f"{line[: found.end() - 1]}{_members(line[found.end() - 1 : -1], found[1], known)};"


def _members(text: str, struct: str, known: dict[str, Groups]) -> str:
    """``{1, 2}`` as ``{/*a, b*/ 1, 2}``."""
    values = _split(text[1:-1])
    if not values or values[0].startswith("/*"):
        return text
    parts: list[str] = []
    for kind, names in known[struct]:
        mine, values = values[: len(names)], values[len(names) :]
        if not mine:
            break
        if kind in known and mine[0] != "{}":
            parts.append(_members(mine[0], kind, known))
        else:
            parts.append(f"/*{', '.join(names[: len(mine)])}*/ {', '.join(mine)}")
    return f"{{{', '.join([*parts, *values])}}}"


def _split(text: str) -> list[str]:
    """The parts between commas outside of brackets."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and depth == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    return [p for p in [*parts, text[begin:].strip()] if p]


def cut(line: str) -> list[str]:
    """A long line in several, cut behind commas, as far outside of brackets as can be; each goes on under its bracket.

    Comments that take a whole line, and texts in quotes, are left as they are.
    """
    if len(line) <= WIDTH or '"' in line or line.lstrip().startswith(("//", "#")):
        return [line]
    lines: list[str] = []
    while len(line) > WIDTH:
        place, column = _best_cut(line)
        if place == 0:
            break
        lines.append(line[:place])
        line = " " * column + line[place:].lstrip()
    return [*lines, line]


def _best_cut(line: str) -> tuple[int, int]:
    """Where to cut, and the column at which the rest goes on; (0, 0) where nothing can be cut."""
    indent = len(line) - len(line.lstrip())
    found: list[tuple[int, bool, int, int]] = []
    columns: list[int] = []
    comment = False
    for place, letter in enumerate(line[:WIDTH]):
        comment = (comment or line.startswith("/*", place)) and not line.startswith("*/", place - 1)
        if comment:
            continue
        if letter in _OPEN:
            columns.append(place + 1)
        elif letter in _CLOSE and columns:
            columns.pop()
        elif letter == "," and place > (indent + WIDTH) // 2:
            column = columns[-1] if columns else indent
            begins = not line[place + 2 : place + 3].isdigit()  # rather before a label or a pointer than a number
            found.append((-len(columns), begins, place + 1, column if column <= WIDTH // 2 else indent + 4))
    _, _, place, column = max(found, default=(0, False, 0, 0))
    return place, column
