"""The text of NAME.cpp: a function a step, what prepares the weights, and the two functions that call them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from . import project, readable
from .fragments import ordered
from .memory import Plan
from .net import TOKEN, Net
from .step import Step
from .stream import Call, Group, place_of_rings
from .view import Buffer


def network(net: Net, plan: Plan, groups: Sequence[Group], name: str, guard: str, *, debug_names: bool = False) -> str:
    """All of NAME.cpp."""
    known = {name: members for f in ordered(net.fragments) for name, members in readable.structs(f).items()}
    write = Writer({b.serial: b for b in net.buffers}, known, makers(net.steps) if debug_names else None)
    functions, calls = [], []
    member = {number: group for group in groups for number in range(group.first, group.last)}
    for number, step in enumerate(net.steps):
        group = member.get(number)
        rings = {} if group is None or not group.shares else place_of_rings(net.steps, group)[0]
        own = {buffer.serial: plan.step_scratch + place for buffer, place in rings.items()}
        functions.append(write.function(number, step, plan.scratch.get(number), group, own))
        if group is None:
            note = f"  // {one_line(operators(step))}" if debug_names else ""
            calls.append(f"  step{number}(r);{note}")
        elif number == group.last - 1:
            functions.append(_streamed(groups.index(group), group))
            note = f"  // steps {group.first} to {group.last - 1}" if debug_names else ""
            calls.append(f"  stream{groups.index(group)}(r);{note}")
    words = {
        "NAME": name,
        "ENDS": _ends(net) if debug_names else "",
        "GUARD": guard,
        "MACROS": "".join(f"#define {macro}\n" for macro in sorted(net.macros)),
        "STEPS": "\n".join(functions),
        "PREPARE": "".join(f"  {line}\n" for p in net.prepared for line in write.lines(p.text)),
        "CALLS": "\n".join(calls),
    }
    return project.filled("network.cpp", words)


def _ends(net: Net) -> str:
    """The model's inputs and outputs in comments."""
    ends = [("input", n, v.name, v) for n, v in enumerate(net.graph.inputs)]
    names = net.graph.output_names
    ends += [("output", n, name, v) for n, (name, v) in enumerate(zip(names, net.graph.outputs, strict=True))]
    return "".join(f"// {what} {n} '{one_line(name)}': {value.type}\n" for what, n, name, value in ends)


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


def operators(step: Step) -> str:
    """The operators that a step computes and the name of their result."""
    if step.node is None:
        return f"{step.what or 'step'} into {step.writes[0].place} {step.writes[0].index}"
    nodes = [step.node, *step.covers]
    ops = [op for n in nodes for op in (n.op, getattr(n.op, "activation", None)) if op is not None]
    names = " + ".join(type(op).__name__ for op in ops)
    return f"{step.what + ' for ' if step.what else ''}{names} '{nodes[-1].result.name}'"


def described(step: Step) -> str:
    """A step in words: the operators it computes, the names of their results, types."""
    if step.node is None or step.what:
        return operators(step)
    alike = groupby(str(v.type) for v in step.node.inputs if not v.is_constant)
    counts = [(type, len(list(same))) for type, same in alike]
    types = ", ".join(type if count == 1 else f"{count} x {type}" for type, count in counts)
    return f"{operators(step)}: {types} -> {[step.node, *step.covers][-1].result.type}"


def makers(steps: Sequence[Step]) -> list[str]:
    """For each step what made that which it reads: "input 0, step 3"."""
    wrote: dict[Buffer, list[str]] = {}
    found: list[str] = []
    for number, step in enumerate(steps):
        names = [wrote.get(b, [f"input {b.index}"] if b.place == "input" else []) for b in step.reads]
        found.append(", ".join(dict.fromkeys(name for each in names for name in each)))
        for buffer in step.writes:
            before = [] if buffer in step.reads else wrote.get(buffer, [])  # else it writes a further part
            wrote[buffer] = [*before, f"step {number}"]
    return found


def one_line(text: str) -> str:
    """A comment's text, whatever is in the names; a backslash at its end would go on in the next line."""
    return " ".join(text.split()).rstrip("\\")


class Writer:
    """Writes the functions. ``reads`` tells for each step what made its operands; without it nothing is named."""

    def __init__(
        self, places: dict[int, Buffer], known: dict[str, readable.Groups], reads: Sequence[str] | None
    ) -> None:
        self.places, self.known, self.reads = places, known, reads

    def function(self, number: int, step: Step, scratch: int | None, group: Group | None, own: dict[int, int]) -> str:
        """The function of a step; ``own`` are the places of rings in the memory of a worker that has its own."""
        lines = []
        if self.reads is not None:
            told, reads = f"// {one_line(described(step))}", self.reads[number]
            fits = len(told) + len(reads) + 5 <= readable.WIDTH
            lines += [f"{told}; of {reads}"] if fits and reads else [told, *([f"// of {reads}"] if reads else [])]
        rows = "" if group is None else ", int y0, int y1"
        lines.append(f"MC_NOINLINE void step{number}(Run& r{rows}) {{")
        if scratch is not None:
            lines.append(f"  step_scratch(r, {scratch});")
        text = step.text
        if step.stream is not None:
            begin, end = ("0", str(step.stream.rows)) if group is None else ("y0", "y1")
            text = step.stream.filled(text, {} if group is None else group.rings, begin, end)
        lines += [f"  {line}" for line in self.lines(text, own)]
        lines.append("}\n")
        return "\n".join(lines)

    def lines(self, text: str, own: dict[int, int] | None = None) -> list[str]:
        """Statements with pointers for tokens, labelled and cut."""
        rings = own or {}
        resolved = TOKEN.sub(
            lambda found: pointer(self.places[int(found[1])], int(found[2]), found[3], rings.get(int(found[1]))), text
        )
        return [piece for line in resolved.splitlines() for piece in readable.cut(readable.labelled(line, self.known))]


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
