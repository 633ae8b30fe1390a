"""Counts what the hot loops of compiled kernels keep on the stack.

    python tests/backends/cpp/spills.py NAME_avx512.o

prints for each function the innermost loops that hold fused multiply-adds: how many instructions move vectors to and
from the stack, and anything. A loop is what the control flow can go round in; it is innermost where no smaller one is
in it. The disassembly is objdump's, of any machine; the stack is meant where an address is relative to
the stack pointer, or to the frame pointer in a function that has one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*(.*)$")
TARGET = re.compile(r"\b([0-9a-f]+) <")
JUMP = re.compile(r"^(j\w+|b|b\.\w+|cbn?z|tbn?z)$")
END = re.compile(r"^(jmp|ret|b|ud2|br)$")
"""Instructions behind which the next one does not run."""
PRODUCT = re.compile(r"^(vfn?m(add|sub)\w*p[sd]|fml[as])$")
FRAME = re.compile(r"^(%rsp,%rbp|x29, sp(, #0x[0-9a-f]+)?)$")
STACK = re.compile(r"\(%rsp|\[sp\b")
FRAME_STACK = re.compile(r"\(%rsp|\[sp\b|\(%rbp|\[x29\b")
VECTOR = re.compile(r"%[xyz]mm|\b[qvds]\d+\b")
NO_ACCESS = ("lea", "prfm", "prefetch")
"""Instructions with an address that is not read from or written to."""


@dataclass(frozen=True)
class Loop:
    """An innermost loop: the function's name, fused multiply-adds, and instructions that touch the stack."""

    function: str
    products: int
    stack: tuple[str, ...]

    @property
    def vectors(self) -> tuple[str, ...]:
        """Those of the instructions that move a vector; the others move a pointer or a number."""
        return tuple(text for text in self.stack if VECTOR.search(text))


@dataclass(frozen=True)
class _Line:
    address: int
    name: str
    operands: str


def loops(objdump: str, compiled: Path) -> list[Loop]:
    """The innermost loops with fused multiply-adds in an object file."""
    command = [objdump, "-d", "-C", "--no-show-raw-insn", str(compiled)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions: dict[str, list[_Line]] = {}
    lines: list[_Line] = []
    for line in text.splitlines():
        if named := FUNCTION.match(line):
            lines = functions.setdefault(named[1].replace("(anonymous namespace)::", ""), [])
        elif found := INSTRUCTION.match(line):
            lines.append(_Line(int(found[1], 16), found[2], found[3]))
    return [loop for name, body in functions.items() if body for loop in _innermost(name, body)]


def _innermost(name: str, lines: list[_Line]) -> list[Loop]:
    blocks, edges = _flow(lines)
    frame = any(line.name in ("mov", "add") and FRAME.match(line.operands) for line in lines[:20])
    stack = FRAME_STACK if frame else STACK
    found = []
    for inside in _cycles(edges, edges):
        body = [line for number in sorted(inside) for line in blocks[number]]
        products = sum(PRODUCT.match(line.name) is not None for line in body)
        touched = [line for line in body if stack.search(line.operands) and not line.name.startswith(NO_ACCESS)]
        if products:
            found.append(Loop(name, products, tuple(f"{line.name} {line.operands}" for line in touched)))
    return found


def _cycles(edges: nx.DiGraph, whole: nx.DiGraph) -> Iterator[set[int]]:
    """The innermost loops: strongly connected parts in which nothing goes round that misses all their entries."""
    for part in nx.strongly_connected_components(edges):
        if len(part) == 1 and not edges.has_edge(*part, *part):
            continue
        entries = {n for n in part if any(other not in part for other in whole.predecessors(n))}
        inner = list(_cycles(edges.subgraph(part - entries), edges.subgraph(part))) if entries else []
        yield from inner or [part]


def _target(line: _Line) -> int | None:
    """Where a jump leads to; None for what is no jump."""
    found = TARGET.search(line.operands) if JUMP.match(line.name) else None
    return int(found[1], 16) if found else None


def _flow(lines: list[_Line]) -> tuple[list[list[_Line]], nx.DiGraph]:
    """The blocks of instructions that run one after another, and which may follow which."""
    places = {line.address: n for n, line in enumerate(lines)}
    begins = {0}
    for n, line in enumerate(lines):
        target = _target(line)
        if target is not None or END.match(line.name):
            begins.add(n + 1)
        if target in places:
            begins.add(places[target])
    starts = sorted(n for n in begins if n < len(lines))
    number = {start: n for n, start in enumerate(starts)}
    blocks = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    edges = nx.DiGraph()
    edges.add_nodes_from(range(len(blocks)))
    for n, block in enumerate(blocks):
        target = _target(block[-1])
        if target in places:
            edges.add_edge(n, number[places[target]])
        if not END.match(block[-1].name) and n + 1 < len(blocks):
            edges.add_edge(n, n + 1)
    return blocks, edges


def main() -> None:
    """The command line: object files, maybe after the name of an objdump."""
    arguments = sys.argv[1:]
    objdump = arguments.pop(0) if "objdump" in arguments[0] else "objdump"
    for path in arguments:
        for loop in loops(objdump, Path(path)):
            counts = f"{len(loop.vectors):4} vectors, {len(loop.stack):4} in all, {loop.products:4} products"
            print(f"{counts}: {loop.function.partition('(')[0]}")


if __name__ == "__main__":
    main()
