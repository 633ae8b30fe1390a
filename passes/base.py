"""What a pass is, what it may ask of the target, and the trace it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mconv.ir import Graph, Node, Op
from mconv.ir.record import Record


class Target(Protocol):
    """What passes may ask of a backend; its answers come from its support table."""

    @property
    def name(self) -> str:
        """The target's name, as in ``--target``."""
        ...

    def refusal(self, node: Node) -> str | None:
        """Why the node cannot be emitted as it stands, or None where it can."""
        ...

    def accepts_activation(self, op: Op, activation: Op) -> bool:
        """True when ``op`` can carry ``activation`` as its epilogue."""
        ...

    @property
    def max_rank(self) -> int:
        """The largest rank of a tensor, a leading axis of size one not counted."""
        ...

    @property
    def averages_round_away(self) -> bool:
        """True where kernels round the halves of integers' means away from zero."""
        ...

    @property
    def signed_integers(self) -> bool:
        """True where kernels for 8-bit integers take signed ones only."""
        ...

    @property
    def casts_around(self) -> bool:
        """True where kernels take few element types, so that others are cast to those and back."""
        ...

    @property
    def window_ranks(self) -> tuple[int, ...]:
        """Ranks of what convolutions and pools take; () where any."""
        ...

    @property
    def layout(self) -> str:
        """Where spatial operators have their channels: "channels first", "channels last", or "" for either."""
        ...


class Event(Record):
    """One line of ``--trace-passes``: a rule was applied to a node, or refused it for a reason."""

    rule: str
    node: str
    origin: str
    refusal: str | None

    def __str__(self) -> str:
        verdict = "applied" if self.refusal is None else f"refused: {self.refusal}"
        return f"{self.rule}: {self.node}: {verdict}" + (f" ({self.origin})" if self.origin else "")


class Layout:
    """What the layout pass is asked for, and what it tells.

    ``ends_last``: inputs and outputs that are images have their channels last as well. ``trace`` gets the solved cut,
    line by line. ``reasons`` maps the results of transposes to why they are there; ``ends`` the inputs and outputs
    whose axes stand in another order than in the source to that order, and ``orders`` all other such values.
    """

    def __init__(self, ends_last: bool = False, trace: Callable[[str], None] | None = None) -> None:
        self.ends_last, self.trace = ends_last, trace
        self.reasons: dict[str, str] = {}
        self.ends: dict[str, tuple[int, ...]] = {}
        self.orders: dict[str, tuple[int, ...]] = {}


class Context:
    """What a pass gets besides the graph: the target (None while a graph is only inspected) and the trace."""

    def __init__(
        self,
        target: Target | None = None,
        trace: Callable[[Event], None] | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.target, self.trace = target, trace
        self.layout = layout or Layout()
        self.applied: dict[str, int] = {}

    def record(self, rule: str, node: Node, refusal: str | None = None) -> None:
        """Count an application; pass the event on to the trace where there is one."""
        if refusal is None:
            self.applied[rule] = self.applied.get(rule, 0) + 1
        if self.trace is not None:
            self.trace(Event(rule, node.name, str(node.origin), refusal))


class Pass(Protocol):
    """A rewriting of a whole graph; implementations are records."""

    @property
    def name(self) -> str:
        """A verb phrase: ``fold constants``."""
        ...

    @property
    def requires(self) -> frozenset[str]:
        """Properties that the graph must have."""
        ...

    @property
    def ensures(self) -> frozenset[str]:
        """Properties that the graph has afterwards (until a pass without them runs)."""
        ...

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite ``graph`` in place; the number of changes made."""
        ...
