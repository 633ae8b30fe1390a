"""The text of NAME.cpp: a function a step, what prepares the weights, and the two functions that call them."""

from __future__ import annotations

from collections.abc import Sequence

from . import project
from .memory import Plan
from .net import TOKEN, Net
from .step import Step
from .stream import Group
from .view import Buffer


def network(net: Net, plan: Plan, groups: Sequence[Group], name: str, guard: str, *, debug_names: bool = False) -> str:
    """All of NAME.cpp."""
    places = {b.serial: b for b in net.buffers}
    functions, calls = [], []
    member = {number: group for group in groups for number in range(group.first, group.last)}
    for number, step in enumerate(net.steps):
        group = member.get(number)
        functions.append(_function(number, step, plan.scratch.get(number), group, places, debug_names))
        if group is None:
            calls.append(f"  step{number}(r);")
        elif number == group.last - 1:
            functions.append(_streamed(groups.index(group), group))
            calls.append(f"  stream{groups.index(group)}(r);")
    words = {
        "NAME": name,
        "GUARD": guard,
        "MACROS": "".join(f"#define {macro}\n" for macro in sorted(net.macros)),
        "STEPS": "\n".join(functions),
        "PREPARE": "".join(f"  {_resolved(p.text, places)}\n" for p in net.prepared),
        "CALLS": "\n".join(calls),
    }
    return project.filled("network.cpp", words)


def _streamed(index: int, group: Group) -> str:
    """The function that computes a group of steps row by row, by a table."""
    entries = [f"{{{c.step}, {c.begin}, {c.end}}}" for c in group.calls]
    rows = [", ".join(entries[i : i + 8]) for i in range(0, len(entries), 8)]
    table = ",\n".join(f"    {row}" for row in rows)
    cases = "\n".join(
        f"      case {n}: step{group.first + n}(r, call.begin, call.end); break;"
        for n in range(group.last - group.first)
    )
    return f"""// Steps {group.first} to {group.last - 1} row by row: rings of a few rows hold what lies between them.
MC_NOINLINE void stream{index}(Run& r) {{
  static const struct {{ short step, begin, end; }} calls[] = {{
{table}}};
  for (const auto& call : calls) {{
    switch (call.step) {{
{cases}
    }}
  }}
}}
"""


def described(step: Step) -> str:
    """A step in words: the operators it computes, the names of their results, types."""
    if step.node is None:
        return step.what or "step"
    nodes = [step.node, *step.covers]
    operators = " + ".join(type(n.op).__name__ for n in nodes)
    result = nodes[-1].result
    types = ", ".join(str(v.type) for v in step.node.inputs if not v.is_constant)
    text = f"{operators} '{result.name}': {types} -> {result.type}"
    return f"{step.what} for {text}" if step.what else text


def _function(
    number: int, step: Step, scratch: int | None, group: Group | None, places: dict[int, Buffer], debug_names: bool
) -> str:
    lines = [f"// {' '.join(described(step).split())}"] if debug_names else []
    rows = "" if group is None else ", int y0, int y1"
    lines.append(f"MC_NOINLINE void step{number}(Run& r{rows}) {{")
    if scratch is not None:
        lines.append(f"  step_scratch(r, {scratch});")
    text = step.text
    if step.stream is not None:
        begin, end = ("0", str(step.stream.rows)) if group is None else ("y0", "y1")
        text = step.stream.filled(text, {} if group is None else group.rings, begin, end)
    lines += [f"  {line}" for line in _resolved(text, places).splitlines()]
    lines.append("}\n")
    return "\n".join(lines)


def _resolved(text: str, places: dict[int, Buffer]) -> str:
    return TOKEN.sub(lambda found: pointer(places[int(found[1])], int(found[2]), found[3]), text)


def pointer(buffer: Buffer, offset: int, ctype: str) -> str:
    """C++ for a pointer ``offset`` bytes into a buffer that has its place; for "place" the number of floats to it."""
    if ctype == "place":
        assert buffer.offset is not None
        return str((buffer.offset + offset) // 4)
    if buffer.place in ("input", "output"):
        return f"{buffer.place}<{ctype}>(r, {buffer.index}, {offset})"
    assert buffer.offset is not None, f"{buffer} has no place"
    accessor = {"arena": "arena", "weights": "weight", "prepared": "prepared"}[buffer.place]
    return f"{accessor}<{ctype}>(r, {buffer.offset + offset})"


def steps_in_words(steps: Sequence[Step]) -> list[str]:
    """For map.json: what each numbered function computes."""
    return [described(step) for step in steps]
