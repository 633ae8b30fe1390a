"""TensorFlow 1's loops: Enter, Merge, LoopCond, Switch, NextIteration and Exit of one frame become a Loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder, Value

from . import errors
from .capture import Captures
from .graph import Body, GNode, Ref
from .items import Item
from .loops import LoopParts, built

if TYPE_CHECKING:
    from .scope import Scope
    from .translate import Translation

_ENTER = frozenset({"Enter", "RefEnter"})
_NEXT = frozenset({"NextIteration", "RefNextIteration"})
_MERGE = frozenset({"Merge", "RefMerge"})
_SWITCH = frozenset({"Switch", "RefSwitch"})
_EXIT = frozenset({"Exit", "RefExit"})


class Variable:
    """A value that goes round: where it enters, is joined with the next turn's, and decided about."""

    def __init__(self, enter: GNode, merge: GNode, next_: GNode) -> None:
        self.enter, self.merge, self.next = enter, merge, next_
        self.switch: GNode | None = None
        self.exits: list[GNode] = []


class Frame:
    """A loop: its variables, the nodes at which other values enter, and its condition."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.enters: list[GNode] = []
        self.variables: list[Variable] = []
        self.condition: GNode | None = None

    @property
    def constants(self) -> list[GNode]:
        """Enters of what stays as it is."""
        moving = {v.enter for v in self.variables}
        return [e for e in self.enters if e not in moving]


class Frames:
    """The frames of a body."""

    def __init__(self, body: Body) -> None:
        self._by_name: dict[str, Frame] = {}
        self._by_exit: dict[GNode, Frame] = {}
        by_merge: dict[GNode, tuple[Frame, Variable]] = {}
        by_switch: dict[GNode, tuple[Frame, Variable]] = {}
        nodes = list(body.nodes.values())
        for node in nodes:
            if node.op in _ENTER:
                self._frame(node).enters.append(node)
        for node in nodes:
            if node.op in _MERGE and any(r.node.op in _NEXT for r in node.inputs):
                enter = next((r.node for r in node.inputs if r.node.op in _ENTER), None)
                if enter is None or len(node.inputs) != 2:
                    continue  # told where an Exit needs it
                next_ = next(r.node for r in node.inputs if r.node.op in _NEXT)
                variable = Variable(enter, node, next_)
                frame = self._frame(enter)
                frame.variables.append(variable)
                by_merge[node] = frame, variable
        for node in nodes:
            if node.op in _SWITCH and len(node.inputs) == 2 and node.inputs[0].node in by_merge:
                if node.inputs[1].node.op != "LoopCond":
                    continue
                frame, variable = by_merge[node.inputs[0].node]
                variable.switch, frame.condition = node, node.inputs[1].node
                by_switch[node] = frame, variable
        for node in nodes:
            if node.op in _EXIT and node.inputs and node.inputs[0].node in by_switch and node.inputs[0].index == 0:
                frame, variable = by_switch[node.inputs[0].node]
                variable.exits.append(node)
                self._by_exit[node] = frame

    def _frame(self, enter: GNode) -> Frame:
        name = enter.attributes["frame_name"].s.decode("utf-8", "replace") if "frame_name" in enter.attributes else ""
        return self._by_name.setdefault(name, Frame(name))

    def of(self, exit_: GNode) -> Frame:
        """The frame that an Exit leaves; MC385 where it is not of the usual form."""
        frame = self._by_exit.get(exit_)
        if frame is None or frame.condition is None or not frame.condition.inputs:
            raise errors.loop("an Exit that does not leave a loop of the usual form")
        if any(not v.next.inputs for v in frame.variables) or any(not e.inputs for e in frame.enters):
            raise errors.loop(f"frame '{frame.name}' has a node without operands")
        return frame

    def entries(self, exit_: GNode) -> list[Ref]:
        """What enters the frame that an Exit leaves."""
        return [e.inputs[0] for e in self.of(exit_).enters]


def left(translation: Translation, frames: Frames, exit_: GNode, scope: Scope) -> Sequence[Item | None]:
    """The result of an Exit; those of the frame's other Exits are bound on the way."""
    frame = frames.of(exit_)
    variables = frame.variables
    assert frame.condition is not None
    condition = frame.condition.inputs[0]

    def leaf_of(items: Sequence[Item], captures: Captures | None) -> dict[GNode, Sequence[Item | None]]:
        given: dict[GNode, Sequence[Item | None]] = {}
        for variable, item in zip(variables, items, strict=True):
            given[variable.merge] = [item, None]
            if variable.switch is not None:
                given[variable.switch] = [item, item]
        for enter in frame.constants:
            outer = scope.item(enter.inputs[0])
            given[enter] = [outer if captures is None else captures.take(outer)]
        return given

    def body(builder: Builder, items: Sequence[Item], captures: Captures) -> list[Item]:
        given = leaf_of(items, captures)
        return translation.part(scope, builder, given.get, [v.next.inputs[0] for v in variables])

    def going(builder: Builder, items: Sequence[Item], captures: Captures | None) -> Value:
        given = leaf_of(items, captures)
        (found,) = translation.part(scope, builder, given.get, [condition])
        if not isinstance(found, Value):
            raise errors.loop("a loop's condition is no tensor")
        return found

    initial = [scope.item(v.enter.inputs[0]) for v in variables]
    invariant = [_stays(v) for v in variables]
    results = built(scope, LoopParts(initial, invariant, body, going))
    found: Item | None = None
    for variable, item in zip(variables, results, strict=True):
        for each in variable.exits:
            if each is exit_:
                found = item
            else:
                scope.bind(each, [item])
    return [found]


def _stays(variable: Variable) -> bool:
    """Whether a turn leaves the value as it is."""
    ref = variable.next.inputs[0] if variable.next.inputs else None
    while ref is not None and ref.node.op == "Identity" and ref.node.inputs:
        ref = ref.node.inputs[0]
    return ref is not None and ref.node in (variable.merge, variable.switch)
