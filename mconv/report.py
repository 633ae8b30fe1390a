"""What a conversion returns and ``--report`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .ir.graph import Graph
from .ir.ops import Transpose
from .ir.record import NOTHING, Record


class Comparison(Record):
    """One output, compared: ``error`` is the largest absolute difference over the reference's largest magnitude.

    ``steps`` is the largest difference of an output of 8 or 16-bit integers, of which all but one in a thousand may
    differ by one; None for other outputs.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    cosine: float
    passed: bool
    steps: int | None = None


class Blame(Record):
    """Where the numbers part first: in which stage, at which node, after which pass."""

    stage: Literal["reading", "pass", "writing"]
    node: str
    origin: str
    error: float
    pass_name: str = ""

    def __str__(self) -> str:
        where = f"{self.node} ({self.origin})" if self.origin else self.node
        what = {
            "reading": "the source is read wrongly",
            "pass": f"the pass '{self.pass_name}' changes the numbers",
            "writing": "the node is written wrongly, or the target's runtime computes it differently",
        }[self.stage]
        return f"first at {where}: {what} (relative error {self.error:.2g})"


class Verification(Record):
    """``passed`` is None where nothing could be compared; ``reason`` then says why."""

    passed: bool | None
    reference: str = ""
    candidate: str = ""
    rtol: float = 0.0
    outputs: tuple[Comparison, ...] = ()
    reason: str = ""
    blame: Blame | None = None


class Step(Record):
    """One pass: the changes it made and the nodes it left."""

    name: str
    changes: int
    nodes: int


class Relocation(Record):
    """A transpose that remains: the value it makes, its order of axes, the bytes it moves, and why it is there."""

    value: str
    perm: tuple[int, ...]
    bytes: int | None
    why: str


def transposes_left(graph: Graph, reasons: Mapping[str, str]) -> tuple[Relocation, ...]:
    """The transposes in a graph, with the reasons that the layout pass gave."""
    return tuple(
        Relocation(v.name, node.op.perm, v.type.nbytes, reasons.get(v.name, "the model's own"))
        for node in graph.nodes
        if isinstance(node.op, Transpose)
        for v in node.results
    )


class Result(Record):
    """A finished conversion: the files by suffix, the graph that was written, what was done, and the check."""

    source: str
    target: str
    files: Mapping[str, Path]
    graph: Graph
    verification: Verification
    nodes_read: int
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    rules: Mapping[str, int] = NOTHING
    transposes: tuple[Relocation, ...] = ()
    """What the layout pass left, for targets that pin a layout."""
    facts: Mapping[str, Any] = NOTHING
    """Figures of what was made, as the target gives them: of generated code the plan of its memory."""
    summary: tuple[str, ...] = ()
    """The most important of them, in lines."""

    def as_dict(self) -> dict[str, Any]:
        """Everything but the graph, as plain JSON values."""
        return {
            "source": self.source,
            "target": self.target,
            "files": [_file(path) for path in self.files.values()],
            "inputs": [_value(v.name, v.type) for v in self.graph.inputs],
            "outputs": [
                _value(n, v.type) for n, v in zip(self.graph.output_names, self.graph.outputs, strict=True)
            ],
            "nodes": {"read": self.nodes_read, "written": len(self.graph)},
            "passes": [step.as_dict() for step in self.steps],
            "rules": dict(sorted(self.rules.items())),
            "transposes": [each.as_dict() for each in self.transposes],
            "verification": self.verification.as_dict(),
            "notes": list(self.notes),
            **({"facts": dict(self.facts)} if self.facts else {}),
        }  # fmt: skip

    def to_json(self) -> str:
        """The report as JSON text."""
        import json

        return json.dumps(self.as_dict(), indent=2) + "\n"


def _file(path: Path) -> dict[str, Any]:
    import hashlib

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}


def _value(name: str, type: Any) -> dict[str, Any]:
    return {"name": name, "dtype": type.dtype.value, "shape": [d if isinstance(d, int) else str(d) for d in type.shape]}
