"""TensorFlow 1's branches: what stands between the Switches of one condition and a Merge becomes an If."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder, DType, Value, ops

from . import errors
from .capture import Captures
from .graph import ARGUMENT, Body, GNode, Ref
from .items import Item

if TYPE_CHECKING:
    from .scope import Scope
    from .translate import Translation

SWITCH = frozenset({"Switch", "RefSwitch"})
_BACK = frozenset({"NextIteration", "RefNextIteration"})
_SOURCES = frozenset({ARGUMENT, "Placeholder", "PlaceholderWithDefault", "VarHandleOp", "VariableV2", "Variable"})
Context = tuple[tuple[Ref, int], ...]
"""The branches that a node stands in, outermost first: condition, and which side (1 where it holds)."""


class Conditionals:
    """Which branches the nodes of a body stand in."""

    def __init__(self, body: Body) -> None:
        self._contexts: dict[GNode, Context] = {}
        for node in body.nodes.values():
            if node not in self._contexts:
                self._walk(node)

    def _walk(self, start: GNode) -> None:
        stack, open_ = [start], set[GNode]()
        while stack:
            node = stack[-1]
            if node in self._contexts:
                stack.pop()
                continue
            above = () if node.op in _BACK else (*(r.node for r in node.inputs), *node.controls)
            waiting = [n for n in above if n not in self._contexts and n not in open_]
            if node not in open_ and waiting:
                open_.add(node)
                stack.extend(waiting)
                continue
            stack.pop()
            self._contexts[node] = self._context(node)

    def _context(self, node: GNode) -> Context:
        if node.op in ("Merge", "RefMerge") and not _is_loop(node):
            try:
                _, _, outer = self._sides(node)
            except IndexError:
                return ()
            return outer
        found: Context = ()
        for ref in node.inputs:
            context = self._of(ref)
            found = context if len(context) > len(found) else found
        for control in node.controls:
            context = self._contexts.get(control, ())
            found = context if len(context) > len(found) else found
        return found

    def _of(self, ref: Ref) -> Context:
        context = self._contexts.get(ref.node, ())
        if ref.node.op in SWITCH and len(ref.node.inputs) == 2:
            condition = condition_of(ref.node)
            if condition.node.op != "LoopCond":
                return (*context, (condition, ref.index))
        if ref.node.op == "Identity" and ref.node.inputs and ref.node.inputs[0].node.op in SWITCH:
            return self._of(ref.node.inputs[0])
        return context

    def _pivot(self, node: GNode) -> Context:
        """The context of a node, also where only a control input puts it in a branch."""
        found = self._of(Ref(node, 0)) if node.op == "Identity" else self._contexts.get(node, ())
        for control in node.controls:
            context = self._of(Ref(control, 0))
            found = context if len(context) > len(found) else found
        return found

    def _sides(self, merge: GNode) -> tuple[Ref, tuple[Ref, Ref], Context]:
        """The condition, what is joined (where it does not hold, where it does), and the branches around it."""
        if len(merge.inputs) != 2:
            raise errors.loop(f"Merge of {len(merge.inputs)} branches")
        first, second = (max(self._of(r), self._pivot(r.node), key=len) for r in merge.inputs)
        depth = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), -1)
        if depth < 0 or first[depth][0] != second[depth][0]:
            raise errors.loop("a Merge of which the branches are not those of one condition")
        condition, side = first[depth]
        pair = (merge.inputs[side], merge.inputs[1 - side])
        return condition, pair, first[:depth]

    def sides(self, merge: GNode) -> tuple[Ref, tuple[Ref, Ref]]:
        """The condition, and what is joined where it does not hold and where it does."""
        if _is_loop(merge):
            raise errors.loop("a loop's Merge is read outside of the loop")
        condition, pair, _ = self._sides(merge)
        return condition, pair

    def entries(self, merge: GNode) -> list[Ref]:
        """What the two branches read of the graph around them."""
        condition, pair = self.sides(merge)
        found: dict[Ref, None] = {}
        stack, seen = [r.node for r in pair], set[GNode]()
        for ref in pair:
            if ref.node.op in SWITCH and condition_of(ref.node) == condition:
                found[ref.node.inputs[0]] = None
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.op in _SOURCES:
                found[Ref(node, 0)] = None
            elif node.op in SWITCH and len(node.inputs) == 2 and condition_of(node) == condition:
                found[node.inputs[0]] = None
            else:
                stack.extend(r.node for r in node.inputs)
        return list(found)

    def needs(self, merge: GNode) -> list[Ref]:
        """The condition and what the branches read."""
        condition, _ = self.sides(merge)
        return [condition, *self.entries(merge)]


def condition_of(switch: GNode) -> Ref:
    """What decides at a Switch, looked up through Identities."""
    ref = switch.inputs[1]
    while ref.node.op == "Identity" and ref.node.inputs:
        ref = ref.node.inputs[0]
    return ref


def _is_loop(merge: GNode) -> bool:
    return any(r.node.op in _BACK for r in merge.inputs)


def merged(translation: Translation, conditionals: Conditionals, merge: GNode, scope: Scope) -> Sequence[Item | None]:
    """The results of a Merge: of the branch that is taken, where that is known, else of an If."""
    condition, (no, yes) = conditionals.sides(merge)
    value = scope.item(condition)
    if not isinstance(value, Value):
        raise errors.misfit(f"a condition that is no tensor: node '{condition.node.name}'")
    content = scope.builder.content(value)
    if content is not None and content.size == 1:
        taken = yes if bool(content.reshape(()).item()) else no
        scope.demand([taken])
        return [scope.item(taken), None]
    entries = conditionals.entries(merge)
    outer = [scope.item(r) for r in entries]

    def branch(ref: Ref) -> Callable[[Builder, list[Item]], list[Item]]:
        def build(builder: Builder, items: list[Item]) -> list[Item]:
            inside = dict(zip(entries, items, strict=True))

            def leaf(node: GNode) -> Sequence[Item | None] | None:
                if node.op in _SOURCES:
                    return [inside[Ref(node, 0)]]
                if node.op in SWITCH and len(node.inputs) == 2 and condition_of(node) == condition:
                    return [inside[node.inputs[0]]] * 2
                return None

            return translation.part(scope, builder, leaf, [ref])

        return build

    return [*either(scope, value, branch(yes), branch(no), outer), None]


def either(
    scope: Scope,
    condition: Value,
    then: Callable[[Builder, list[Item]], list[Item]],
    otherwise: Callable[[Builder, list[Item]], list[Item]],
    outer: Sequence[Item],
) -> list[Value]:
    """An If: each branch is built in a graph of its own from the outer items as that graph has them."""
    g = scope.builder
    graphs, captured = [], list[Value]()
    for name, build in (("then", then), ("else", otherwise)):
        builder = scope.translation.closed(name)
        captures = Captures(builder)
        results = build(builder, [captures.take(item) for item in outer])
        for i, item in enumerate(results):
            if not isinstance(item, Value):
                raise errors.loop("a branch gives something that is no tensor")
            builder.output(item, f"out_{i}")
        graphs.append(builder.graph)
        captured = captures.values
    if condition.type.dtype is not DType.BOOL:
        condition = scope.cast(condition, DType.BOOL)
    if condition.type.rank:
        condition = g.add(ops.Greater(), g.add(ops.Size(), condition), g.constant(0))
    return list(g.add_all(ops.If(*graphs), condition, *captured))
