"""Calls of functions, branches and loops."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Builder, Value

from .. import errors
from ..capture import Captures
from ..conditional import either
from ..graph import ARGUMENT, Body, Ref
from ..items import Item
from ..loops import LoopParts, built
from ..node import TfNode
from ..registry import tensorflow

_TYPES = {
    "Tout": "the function tells them", "Tin": "the operands tell them", "T": "the operands tell them",
    "Tcond": "the operand tells it", "output_shapes": "the functions tell them", "config": "of the runtime",
    "config_proto": "of the runtime", "executor_type": "of the runtime", "parallel_iterations": "of the runtime",
}  # fmt: skip


@tensorflow("PartitionedCall", "StatefulPartitionedCall", ignores=_TYPES)
def call(n: TfNode, g: Builder) -> Sequence[Item]:
    """A call: the function's nodes stand in its place."""
    return n.translation.call(n.function("f"), n.items(), g, n.translation.inner(n.node, n.scope))


@tensorflow("If", "StatelessIf", ignores=_TYPES)
def branch(n: TfNode, g: Builder) -> Sequence[Item]:
    """If: the branch itself where the condition is known, else both."""
    then, other = n.function("then_branch"), n.function("else_branch")
    arguments, prefix = n.items()[1:], n.translation.inner(n.node, n.scope)
    known = n.known(0)
    if known is not None:
        holds = bool(known.reshape(()).item()) if known.ndim == 0 else bool(known.size)
        return n.translation.call(then if holds else other, arguments, g, prefix)

    def run(name: str, builder: Builder, items: list[Item]) -> list[Item]:
        return n.translation.call(name, items, builder, prefix)

    return either(
        n.scope, n[0], lambda builder, items: run(then, builder, items),
        lambda builder, items: run(other, builder, items), arguments,
    )  # fmt: skip


@tensorflow("While", "StatelessWhile", ignores=_TYPES)
def loop(n: TfNode, g: Builder) -> Sequence[Item]:
    """While: the condition is asked before each turn."""
    condition, body = n.function("cond"), n.function("body")
    prefix = n.translation.inner(n.node, n.scope)
    inner = n.translation.library.function(body)
    if len(inner.results) != len(n):
        raise errors.misfit(f"{n.op} of {len(n)} values, whose body gives {len(inner.results)}")

    def turn(builder: Builder, items: Sequence[Item], captures: Captures) -> list[Item]:
        return n.translation.call(body, items, builder, prefix)

    def going(builder: Builder, items: Sequence[Item], captures: Captures | None) -> Value:
        found = n.translation.call(condition, items, builder, prefix)
        if len(found) != 1 or not isinstance(found[0], Value):
            raise errors.misfit(f"{n.op}'s condition gives {len(found)} results")
        return found[0]

    invariant = [_stays(inner, i) for i in range(len(n))]
    return built(n.scope, LoopParts(n.items(), invariant, turn, going))


def _stays(body: Body, index: int) -> bool:
    """Whether a result of a loop's body is the argument at its place."""
    ref: Ref = body.results[index]
    while ref.node.op == "Identity" and ref.node.inputs:
        ref = ref.node.inputs[0]
    return ref.node.op == ARGUMENT and index < len(body.arguments) and ref.node is body.arguments[index]


@tensorflow("Switch", "RefSwitch")
def switch(n: TfNode, g: Builder) -> Sequence[Item]:
    """Switch whose condition is known: both ways lead to the same, as only one is gone."""
    if n.known(1) is None:
        raise errors.loop("a Switch whose ways are not joined by a Merge before the outputs")
    return [n.item(0), n.item(0)]


@tensorflow("Enter", "RefEnter", "NextIteration", "RefNextIteration", ignores={
    "frame_name": "of a loop", "is_constant": "of a loop", "parallel_iterations": "of the runtime"})  # fmt: skip
def stray(n: TfNode, g: Builder) -> Sequence[Item]:
    """A part of a loop that is read from outside of it."""
    raise errors.loop(f"{n.op} outside of a loop of the usual form")


@tensorflow("Exit", "RefExit", "Merge", "RefMerge")
def structural(n: TfNode, g: Builder) -> Sequence[Item]:
    """What stands for a whole loop or branch (see `frames` and `conditional`), never translated by itself."""
    raise errors.loop(f"{n.op} outside of a loop or branch")
