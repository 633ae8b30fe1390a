"""The backend object that the emitters register with, and the way from a graph to the files of a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from mconv.ir import Graph, Node, Op, Symbol, Value
from mconv.ir.errors import Problem, UnsupportedError, UsageError
from mconv.ir.types import Array

from ..base import (
    PLAIN,
    Artifact,
    Backend,
    Condition,
    Emitter,
    Refused,
    Support,
    Writing,
    refusal_problem,
    words,
)
from . import project
from .build import build
from .net import Net
from .samples import mixing
from .sized import capacity, is_flat

MAX_RANK = 8
"""Axes that the kernels' loops and the interface's descriptions have room for."""


class CppBackend(Backend):
    """A folder of C++ source that needs no runtime."""

    name: ClassVar[str] = "cpp"
    description: ClassVar[str] = "C++17 source without a runtime: a folder with a Makefile, weights and a self-test"
    folder: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"exact", "debug_names", "protect", "key", "build_seed"})
    loops_over_batch: ClassVar[bool] = True
    casts_around: ClassVar[bool] = True
    code_operator: ClassVar[str] = "MC355"
    code_form: ClassVar[str] = "MC356"

    def __init__(self) -> None:
        super().__init__()
        self._faster: dict[type[Op], list[tuple[tuple[Condition, ...], Emitter]]] = {}

    def faster(self, *ops: type[Op], where: Sequence[Condition]) -> Callable[[Emitter], Emitter]:
        """Register an emitter for some forms of operators that ``emits`` has an emitter for; it goes before that."""

        def register(emit: Emitter) -> Emitter:
            for op in ops:
                self._faster.setdefault(op, []).append((tuple(where), emit))
            return emit

        return register

    def emitter(self, node: Node) -> Emitter:
        """The fastest emitter that takes the node."""
        return self._fast_emitter(node) or super().emitter(node)

    def refusal(self, node: Node) -> str | None:
        """Why no emitter takes the node; None where one does."""
        why = super().refusal(node)
        if why is None or type(node.op) not in self._faster or static(node) is not True or few_axes(node) is not True:
            return why
        return None if self._fast_emitter(node) is not None else why

    def table(self) -> list[Support]:
        """The support table; operators that only have fast forms are listed with the conditions of those."""
        lines = super().table()
        known = {line.op for line in lines}
        for op, forms in self._faster.items():
            if op not in known:
                lines.append(Support(op, tuple(words(c) for conditions, _ in forms for c in conditions)))
        return sorted(lines, key=lambda line: line.op.__name__)

    def _fast_emitter(self, node: Node) -> Emitter | None:
        for conditions, emit in self._faster.get(type(node.op), ()):
            if all(condition(node) is True for condition in conditions):
                return emit
        return None

    def emit(self, graph: Graph, *, fp16: bool = False, name: str = "model", writing: Writing = PLAIN) -> Artifact:
        """Express the graph as source. Raises UnsupportedError with every refusal.

        MC355 no such operator, MC356 not in this form, MC357 a size known only at run time, MC358 fp16.
        """
        if fp16:
            what = "the cpp target computes in the model's own element types"
            raise UnsupportedError(Problem("MC358", what, hint="leaving --fp16 out"))
        if writing.protect != "strong" and (writing.key is not None or writing.build_seed is not None):
            what = "a key or a build's seed is for weights that are encrypted"
            raise UsageError(Problem("MC126", what, hint="--protect strong"))
        _check_static(graph)
        self.check(graph)
        net = self.lower(graph, exact=writing.exact)
        return build(net, project.identifier(name), writing)

    def loop_over(self, graph: Graph, batch: Sequence[Symbol]) -> list[str]:
        """What one sample a run means for the model: that a batch is a loop over them, or that it might be more."""
        names = ", ".join(map(str, batch))
        why = "there are several batches" if len(batch) > 1 else mixing(graph, batch[0])
        if why is None:
            return [f"the batch {names} is a loop over samples: NAME_run takes one, NAME_run_batch any number"]
        return [f"the batch {names} is set to 1, since the model may not treat samples each by itself: {why}"]

    def lower(self, graph: Graph, *, exact: bool = False) -> Net:
        """The steps of a graph, without places. Raises UnsupportedError."""
        net = Net(graph, exact=exact)
        problems = [problem for node in graph.nodes if (problem := self._emit_node(node, net)) is not None]
        if problems:
            raise UnsupportedError(problems)
        net.finish()
        return net

    def run(
        self,
        files: Mapping[str, str],
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        *,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Compile a written folder and run it; see ``runtime.run``."""
        from .runtime import run

        return run(files, feeds, outputs, threads=threads)

    def _emit_node(self, node: Node, net: Net) -> Problem | None:
        if node in net.done:
            return None
        net.begin(node)
        try:
            self.emitter(node)(node, net)
        except Refused as refused:
            return refusal_problem(refused.code or self.code_form, node, refused.why, refused.hint)
        if node not in net.deferred:
            net.done.add(node)
        return None


def _check_static(graph: Graph) -> None:
    ends: list[Value] = [*graph.inputs, *(v for v in graph.outputs if capacity(v) is None)]
    hint = "sizes with --dim NAME=SIZE or --input-shape NAME:SIZES"
    if all(v.type.is_static for v in graph.inputs):
        hint = "a model in which the shapes, scales or counts that it is fed are constants"
    problems = [
        Problem(
            "MC357",
            f"%{v.name} is {v.type}, and the code is written for sizes known beforehand",
            hint=hint,
        )
        for v in dict.fromkeys(ends)
        if not v.type.is_static
    ]
    if problems:
        raise UnsupportedError(problems)


def static(node: Node) -> bool | str:
    """all sizes are known at conversion time, or have a bound in what the result goes out as"""
    loose = [v for v in (*node.inputs, *node.results) if not v.type.is_static and capacity(v) is None]
    if not loose and not all(v.type.is_static for v in node.inputs) and not is_flat(node):
        loose = [v for v in node.inputs if not v.type.is_static]
    return f"%{loose[0].name} is {loose[0].type}, whose size only running tells" if loose else True


def few_axes(node: Node) -> bool | str:
    """tensors have at most eight axes"""
    deep = [v for v in (*node.inputs, *node.results) if v.type.rank > MAX_RANK]
    return f"%{deep[0].name} has {deep[0].type.rank} axes" if deep else True


cpp = CppBackend()
"""The backend object that the emitters register with."""
cpp.always(static, few_axes)
