"""The text of NAME.cpp: a function a step, what prepares the weights, and the two functions that call them."""

from __future__ import annotations

from collections.abc import Sequence

from . import project
from .memory import Plan
from .net import TOKEN, Net
from .step import Step
from .stream import Call, Group, place_of_rings
from .view import Buffer


def network(net: Net, plan: Plan, groups: Sequence[Group], name: str, guard: str, *, debug_names: bool = False) -> str:
    """All of NAME.cpp."""
    places = {b.serial: b for b in net.buffers}
    functions, calls = [], []
    member = {number: group for group in groups for number in range(group.first, group.last)}
    for number, step in enumerate(net.steps):
        group = member.get(number)
        rings = {} if group is None or not group.shares else place_of_rings(net.steps, group)[0]
        own = {buffer.serial: plan.step_scratch + place for buffer, place in rings.items()}
        functions.append(_function(number, step, plan.scratch.get(number), group, places, own, debug_names))
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
    """The function that computes a group of steps row by row, by tables: of all rows, and of the shares of workers."""
    cases = "\n".join(
        f"    case {n}: step{group.first + n}(r, call.begin, call.end); break;" for n in range(group.last - group.first)
    )
    shared = [
        f"""  if (r.threads >= {len(parts)}) {{
    static const StreamCall calls[] = {{
{_table([call for part in parts for call in part])}}};
    static const short ends[] = {{0, {", ".join(str(sum(map(len, parts[: n + 1]))) for n in range(len(parts)))}}};
    return in_shares(r, {len(parts)}, [](Run& mine, int share) {{
      for (int i = ends[share]; i < ends[share + 1]; i++) stream{index}_call(mine, calls[i]);
    }});
  }}
"""
        for parts in reversed(group.shares)
    ]
    return f"""// Steps {group.first} to {group.last - 1} row by row: rings of a few rows hold what lies between them.
MC_NOINLINE void stream{index}_call(Run& r, const StreamCall& call) {{
  switch (call.step) {{
{cases}
  }}
}}

MC_NOINLINE void stream{index}(Run& r) {{
{"".join(shared)}  static const StreamCall calls[] = {{
{_table(group.calls)}}};
  for (const StreamCall& call : calls) stream{index}_call(r, call);
}}
"""


def _table(calls: Sequence[Call]) -> str:
    entries = [f"{{{c.step}, {c.begin}, {c.end}}}" for c in calls]
    return ",\n".join(f"    {', '.join(entries[i : i + 8])}" for i in range(0, len(entries), 8))


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
    number: int,
    step: Step,
    scratch: int | None,
    group: Group | None,
    places: dict[int, Buffer],
    own: dict[int, int],
    debug_names: bool,
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
    lines += [f"  {line}" for line in _resolved(text, places, own).splitlines()]
    lines.append("}\n")
    return "\n".join(lines)


def _resolved(text: str, places: dict[int, Buffer], own: dict[int, int] | None = None) -> str:
    rings = own or {}
    return TOKEN.sub(
        lambda found: pointer(places[int(found[1])], int(found[2]), found[3], rings.get(int(found[1]))), text
    )


def pointer(buffer: Buffer, offset: int, ctype: str, own: int | None = None) -> str:
    """C++ for a pointer ``offset`` bytes into a buffer that has its place; for "place" the number of floats to it.

    ``own`` is where the buffer lies in the memory of a worker that has rings of its own.
    """
    if own is not None:
        assert buffer.offset is not None
        return f"ring<{ctype}>(r, {buffer.offset + offset}, {own + offset})"
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
