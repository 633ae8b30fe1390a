"""The pass that puts spatial operators where a target wants their channels: first or last."""

from __future__ import annotations

from mconv.ir import Graph
from mconv.ir.record import Record

from ..base import Context


class SolveLayout(Record):
    """Put the spatial operators' channels where the target wants them, with the least bytes moved by transposes.

    ``pinned`` is "channels first" or "channels last"; where it is empty the target chooses (``Target.layout``), and a
    target without a layout leaves the graph as it is.
    """

    name: str = "solve layout"
    pinned: str = ""
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset({"spatial operators in the target's layout"})

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite in place; the number of nodes that changed."""
        pinned = self.pinned or (context.target.layout if context.target is not None else "")
        if not pinned:
            return 0
        from .mover import Mover, describe
        from .plan import Side, make_plan

        plan = make_plan(graph, Side(pinned), context.layout.ends_last)
        if context.layout.trace is not None:
            for line in describe(plan):
                context.layout.trace(line)
        return Mover(graph, plan, context).run()


SOLVE_LAYOUT = SolveLayout()
