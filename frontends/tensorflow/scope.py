"""One body being translated: what its nodes gave so far, and the walk from what is wanted to what that needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder, DType, Value, ops

from . import errors
from .graph import ARGUMENT, Body, GNode, Ref
from .items import Item, Lost, Variable

if TYPE_CHECKING:
    from .translate import Translation

Leaf = Callable[[GNode], "Sequence[Item | None] | None"]


class Scope:
    """The results of a body's nodes, in the graph that ``builder`` appends to.

    ``leaf`` gives results of nodes that stand outside of what is walked (None for those inside). ``prefix`` goes before
    the nodes' names.
    """

    def __init__(
        self, translation: Translation, body: Body, builder: Builder, prefix: str = "", leaf: Leaf | None = None
    ) -> None:
        self.translation, self.body, self.builder = translation, body, builder
        self.prefix, self.leaf = prefix, leaf
        self.bound: dict[Ref, Item | None] = {}
        self.owned: set[Value] = set()
        self._done: set[GNode] = set()
        self._lost: set[GNode] = set()
        self._casts: dict[tuple[Value, DType], Value] = {}
        self._variables: dict[Variable, Value] = {}

    @property
    def main(self) -> bool:
        """Whether this is the main graph, whose names are kept."""
        return not self.prefix and not self.body.name and self.leaf is None

    def bind(self, node: GNode, results: Sequence[Item | None]) -> None:
        """Let these be the results of a node (None: never made)."""
        self._done.add(node)
        for index, item in enumerate(results):
            self.bound.setdefault(Ref(node, index), item)

    def item(self, ref: Ref) -> Item:
        """A result that has been demanded."""
        found = self.bound.get(ref)
        if found is None:
            if ref not in self.bound and ref.node not in self._lost:
                raise errors.no_such(f"node '{ref.node.name}' ({ref.node.op}) has no result {ref.index}")
            raise Lost
        return found

    def demand(self, refs: Iterable[Ref]) -> None:
        """Translate what these results need, each node after those that it reads."""
        stack = [ref.node for ref in reversed(list(refs)) if ref not in self.bound]
        open_: set[GNode] = set()
        while stack:
            node = stack[-1]
            if node in self._done:
                stack.pop()
                continue
            if node not in open_:
                if self._at_leaf(node):
                    stack.pop()
                    continue
                waiting = [r.node for r in self.translation.needs(node, self) if r not in self.bound]
                waiting = [n for n in waiting if n not in self._done]
                open_.add(node)
                if waiting:
                    if any(n in open_ for n in waiting):
                        raise errors.cycle(f"node '{node.name}' ({node.op}) needs its own result")
                    stack.extend(reversed(waiting))
                    continue
            stack.pop()
            results = self.translation.evaluate(node, self)
            if results is None:
                self._done.add(node)
                self._lost.add(node)
            else:
                self.bind(node, results)

    def _at_leaf(self, node: GNode) -> bool:
        found = None if self.leaf is None else self.leaf(node)
        if found is None and node.op == ARGUMENT:
            raise errors.misfit(f"argument '{node.name}' of function '{self.body.name}' is not given")
        if found is not None:
            self.bind(node, found)
        return found is not None

    # What is built ----------------------------------------------------------------------------------------

    def cast(self, value: Value, dtype: DType) -> Value:
        """``value`` as another element type; itself where it has that type."""
        if value.type.dtype is dtype:
            return value
        if (value, dtype) not in self._casts:
            self._casts[value, dtype] = self.builder.add(ops.Cast(dtype), value)
        return self._casts[value, dtype]

    def variable(self, variable: Variable) -> Value:
        """The value of a variable, as a constant; MC246 where it has none."""
        if variable.array is None:
            raise errors.no_value(variable.name)
        if variable not in self._variables:
            self._variables[variable] = self.builder.graph.add_constant(variable.array, variable.name)
        return self._variables[variable]

    def name(self, value: Value, name: str) -> None:
        """Give a value the node's name, unless it has one already (it may stand for several nodes)."""
        if value.data is None and value.producer is not None and value not in self.owned:
            self.owned.add(value)
            self.builder.graph.rename(value, name, evict=self.main)
