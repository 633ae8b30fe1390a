"""The order of the passes, and the one loop that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mconv.ir import Graph
from mconv.ir.record import Record
from mconv.ir.verify import verify

from .base import Context, Pass, Target
from .canonicalize import CANONICALIZE, JoinSlices
from .fold import FoldConstants, MergeEqual, RemoveDead
from .fuse import FUSE, FUSE_ACTIVATIONS
from .fuse.shuffle import DISSOLVE_SHUFFLES
from .layout import CHANNELS_FIRST, MERGE_TRANSPOSES, SOLVE_LAYOUT, SolveLayout
from .legalize import LEGALIZE
from .quantize import QUANTIZE, ROUND_AVERAGES, SIGN_INTEGERS, feeds_integers
from .recognize import DILATIONS, NORMS, RECOGNIZE

Pipeline = Sequence["Pass | Pipeline"]


def turn() -> Pipeline:
    """Passes for a source whose channels are last: the transposes that its reader wrote around operators go away."""
    fold = FoldConstants(keep=feeds_integers)
    solve = SolveLayout("bring channels first", "channels first")
    return [fold, DILATIONS, NORMS, solve, fold, MERGE_TRANSPOSES, MergeEqual(), RemoveDead()]


def simplify() -> Pipeline:
    """Passes that make any graph smaller without changing what it means, for any target."""
    fold = FoldConstants(keep=feeds_integers)
    clean: Pipeline = [fold, CANONICALIZE, MergeEqual(), RemoveDead()]
    return [clean, RECOGNIZE, clean, FUSE, RECOGNIZE, clean, JoinSlices(), QUANTIZE, FoldConstants()]


def prepare(target: Target) -> Pipeline:
    """Passes that fit a simplified graph to a target."""
    clean: Pipeline = [FoldConstants(), CANONICALIZE, FUSE, MergeEqual(), RemoveDead()]
    if not target.layout:
        fit: Pipeline = [CHANNELS_FIRST, FUSE_ACTIVATIONS, LEGALIZE]
        return [fit, clean, fit, RemoveDead()]
    fit = [FUSE_ACTIVATIONS, LEGALIZE]
    settle: Pipeline = [SOLVE_LAYOUT, FoldConstants(), MERGE_TRANSPOSES, MergeEqual(), RemoveDead()]
    return [ROUND_AVERAGES, QUANTIZE, SIGN_INTEGERS, DISSOLVE_SHUFFLES, fit, clean, fit, settle]


class Step(Record):
    """One pass that ran: its name, the changes it made, and the nodes it left."""

    name: str
    changes: int
    nodes: int


def run(
    pipeline: Pipeline,
    graph: Graph,
    context: Context,
    *,
    check: bool = False,
    after: Callable[[Step, Graph], None] | None = None,
) -> list[Step]:
    """Run the passes in order; ``after`` is called with the graph when a pass has changed it.

    With ``check`` the graph's rules are verified after each pass.
    """
    steps: list[Step] = []
    for item in flat(pipeline):
        changes = item.run(graph, context)
        step = Step(item.name, changes, len(graph))
        steps.append(step)
        if check:
            verify(graph)
        if changes and after is not None:
            after(step, graph)
    return steps


def flat(pipeline: Pipeline) -> list[Pass]:
    """The passes of a nested pipeline, in order."""
    result: list[Pass] = []
    for item in pipeline:
        result.extend(flat(item) if isinstance(item, Sequence) else [item])
    return result
