"""The text of NAME.cpp: a function a step, what prepares the weights, and the two functions that call them."""

from __future__ import annotations

from collections.abc import Sequence

from .memory import Plan
from .net import TOKEN, Net, Step
from .view import Buffer


def network(net: Net, plan: Plan, name: str, guard: str, *, debug_names: bool = False) -> str:
    """All of NAME.cpp."""
    places = {b.serial: b for b in net.buffers}
    functions = [
        _function(f"step{number}", step, plan.scratch.get(number), places, debug_names)
        for number, step in enumerate(net.steps)
    ]
    prepare = [f"  {_resolved(p.text, places)}" for p in net.prepared]
    macros = [f"#define {macro}" for macro in sorted(net.macros)]
    parts = [
        f"// {name}.cpp: the network, a function a step, in the order in which they run. Written by mconv.",
        "// Numbers in arena<T>(r, ...) are bytes; kernels and what their arguments mean are in the kernels header.",
        f'#include "{name}_internal.h"',
        *macros,
        f'#include "{name}_kernels.h"',
        "",
        "namespace {",
        "",
        "\n".join(functions),
        "// Weights in the forms that are made from those in the file, once.",
        "MC_NOINLINE void prepare_weights(Run& r) {",
        "  (void)r;",
        *prepare,
        "}",
        "",
        "MC_NOINLINE void run_steps(Run& r) {",
        "  (void)r;",
        *(f"  step{number}(r);" for number in range(len(net.steps))),
        "}",
        "",
        f"Run run_of(const {name}_frame& f) {{",
        "  return {f.threads, f.arena, f.others, f.others_stride, f.weights, f.prepared, f.in, f.out,",
        "          (float*)f.arena, f.pool, f.dispatch};",
        "}",
        "",
        f"void prepare(const {name}_frame& frame) {{",
        "  Run r = run_of(frame);",
        "  prepare_weights(r);",
        "}",
        "",
        f"void run(const {name}_frame& frame) {{",
        "  Run r = run_of(frame);",
        "  run_steps(r);",
        "}",
        "",
        "}  // namespace",
        "",
        f"#ifndef {guard}_ISA",
        f"#define {guard}_ISA base",
        "#endif",
        f"#define CODE_NAME(isa) {name}_code_##isa",
        "#define CODE(isa) CODE_NAME(isa)",
        "#define TEXT_OF(isa) #isa",
        "#define TEXT(isa) TEXT_OF(isa)",
        f'extern "C" __attribute__((visibility("hidden"))) const {name}_code CODE({guard}_ISA);',
        f"const {name}_code CODE({guard}_ISA) = {{TEXT({guard}_ISA), prepare, run}};",
        "",
    ]
    return "\n".join(parts)


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


def _function(name: str, step: Step, scratch: int | None, places: dict[int, Buffer], debug_names: bool) -> str:
    lines = [f"// {' '.join(described(step).split())}"] if debug_names else []
    lines.append(f"MC_NOINLINE void {name}(Run& r) {{")
    if scratch is not None:
        lines.append(f"  step_scratch(r, {scratch});")
    lines += [f"  {line}" for line in _resolved(step.text, places).splitlines()]
    lines.append("}\n")
    return "\n".join(lines)


def _resolved(text: str, places: dict[int, Buffer]) -> str:
    return TOKEN.sub(lambda found: pointer(places[int(found[1])], int(found[2]), found[3]), text)


def pointer(buffer: Buffer, offset: int, ctype: str) -> str:
    """C++ for a pointer ``offset`` bytes into a buffer that has its place."""
    if buffer.place in ("input", "output"):
        return f"{buffer.place}<{ctype}>(r, {buffer.index}, {offset})"
    assert buffer.offset is not None, f"{buffer} has no place"
    accessor = {"arena": "arena", "weights": "weight", "prepared": "prepared"}[buffer.place]
    return f"{accessor}<{ctype}>(r, {buffer.offset + offset})"


def steps_in_words(steps: Sequence[Step]) -> list[str]:
    """For map.json: what each numbered function computes."""
    return [described(step) for step in steps]
