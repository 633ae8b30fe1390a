"""Legalization: what the target refuses is decomposed into what it may take.

``@decompose(Op)`` declares a decomposition once, for all targets; it is used only where a target refuses the node.
The pieces are asked about in turn, so decompositions build on each other.  A piece that is what it came from, or what
that came from, stays refused: two decompositions would undo each other's work for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mconv.ir import Graph, Node, Op, TensorType, Value
from mconv.ir.op import TypeMismatch
from mconv.ir.record import Record
from mconv.ir.verify import compatible

from ..base import Context
from ..pattern import Match, Refusal
from ..rewrite import Add, at_fault, discard

Body = Callable[[Match, Add], "Value | tuple[Value, ...]"]
MAX_STEPS_PER_NODE = 400


class Decomposition(Record):
    """The operators it takes apart, and the function that builds the pieces."""

    ops: tuple[type[Op], ...]
    body: Body

    @property
    def name(self) -> str:
        """The function's name: a verb phrase."""
        return self.body.__name__


DECOMPOSITIONS: dict[type[Op], list[Decomposition]] = {}


def decompose(*ops: type[Op]) -> Callable[[Body], Decomposition]:
    """Declare how operators are taken apart where a target refuses them; tried in order of declaration.

    Operands are bound under their names in the signature; ``m.require`` refuses with a reason.
    """

    def register(body: Body) -> Decomposition:
        made = Decomposition(ops, body)
        for op in ops:
            DECOMPOSITIONS.setdefault(op, []).append(made)
        return made

    return register


class Legalize(Record):
    """Decompose every node that the target refuses, as far as there are decompositions."""

    name: str = "legalize"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset({"legal as far as possible"})

    def run(self, graph: Graph, context: Context) -> int:
        """Rewrite in place; the number of nodes taken apart. Nodes that stay refused are left for the backend."""
        target = context.target
        if target is None:
            return 0
        queue = deque(graph.nodes)
        ancestors: dict[Node, frozenset[_Likeness]] = {}
        budget = MAX_STEPS_PER_NODE * (len(graph) + 1)
        count = 0
        while queue and count < budget:
            node = queue.popleft()
            if node not in graph or type(node.op) not in DECOMPOSITIONS or target.refusal(node) is None:
                continue
            before = ancestors.get(node, frozenset())
            likeness = _likeness(node)
            if likeness in before:
                context.record("decompose", node, "it is itself a piece of such a node")
                continue
            pieces = _take_apart(graph, node, context)
            if pieces is not None:
                count += 1
                queue.extend(pieces)
                ancestors.update(dict.fromkeys(pieces, before | {likeness}))
        return count


_Likeness = tuple[Op, tuple["Value | TensorType | None", ...]]


def _likeness(node: Node) -> _Likeness:
    """What a decomposition sees of a node: its operator, its constants, the types of the others."""
    return node.op, tuple(v if v is None or v.data is not None else v.type for v in node.operands)


def _take_apart(graph: Graph, node: Node, context: Context) -> list[Node] | None:
    for each in DECOMPOSITIONS[type(node.op)]:
        add = Add(graph, node, context)
        match = Match(graph, node, _bind(node), (("", node),))
        try:
            new = each.body(match, add)
        except Refusal as refusal:
            context.record(each.name, node, str(refusal))
            discard(graph, add)
            continue
        except TypeMismatch as error:
            raise at_fault(each.name, node, f"built an operator that does not fit: {error}") from error
        results = new if isinstance(new, tuple) else (new,)
        pieces = [v.producer for v in add.made if v.producer is not None]
        for old, fresh in zip(node.results, results, strict=True):
            if old.type.dtype != fresh.type.dtype or not compatible(old.type, fresh.type):
                raise at_fault(each.name, node, f"turned {old.type} into {fresh.type}")
            graph.replace(old, fresh)
        graph.prune(node)
        discard(graph, add)
        context.record(each.name, node)
        return list(dict.fromkeys(pieces))
    return None


def _bind(node: Node) -> dict[str, Value | None]:
    places = node.op.operands()
    bound: dict[str, Value | None] = {place.name: None for place in places}
    bound.update({place.name: value for place, value in zip(places, node.operands, strict=False)})
    return bound
