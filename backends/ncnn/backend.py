"""The backend object that the emitters register with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from mconv.ir import Graph, Node, Value
from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.types import Array

from ..base import PLAIN, Artifact, Backend, Refused, Writing, refusal_problem
from .net import Blob, Net
from .shapes import default_form, fits, mat_shape
from .writer import check_names, finish, param_text, weight_chunks

EMPTY = "ncnn has no empty Mats, and here is one without elements"


class NcnnBackend(Backend):
    """ncnn's .param and .bin."""

    name: ClassVar[str] = "ncnn"
    description: ClassVar[str] = "ncnn .param and .bin"
    suffixes: ClassVar[tuple[str, ...]] = (".param", ".bin")
    batchless: ClassVar[bool] = True
    code_operator: ClassVar[str] = "MC320"
    code_form: ClassVar[str] = "MC321"

    def emit(self, graph: Graph, *, fp16: bool = False, name: str = "model", writing: Writing = PLAIN) -> Artifact:
        """Express the graph as an ncnn net; the numbers are read from the graph's arrays when they are written.

        Raises UnsupportedError with all refusals: MC320 no such operator, MC321 not in this form, MC322 too many
        axes, MC323 a size known only at run time, MC324 numbers that floats cannot hold, MC325 names.
        """
        self._check_ends(graph)
        self.check(graph)
        net = Net(graph, fp16)
        for value in graph.inputs:
            net.input(value)
        problems = [problem for node in graph.nodes if (problem := self._emit_node(node, net)) is not None]
        if problems:
            raise UnsupportedError(problems)
        try:
            finished = finish(net, graph)
        except Refused as refused:
            problem = Problem(refused.code or self.code_form, f"an output: {refused.why}", hint=refused.hint)
            raise UnsupportedError(problem) from refused
        check_names(finished)
        text = param_text(finished.layers).encode()
        return Artifact(
            files={".param": lambda: (text,), ".bin": lambda: weight_chunks(finished.layers, fp16)},
            inputs=finished.inputs,
            outputs=finished.outputs,
            blobs=finished.blobs,
            notes=tuple(net.notes),
        )

    def run(
        self,
        files: Mapping[str, str],
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        *,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Run a written net; see ``runtime.run``."""
        from .runtime import run

        return run(files, feeds, outputs, threads=threads)

    def _emit_node(self, node: Node, net: Net) -> Problem | None:
        net.begin(node)
        try:
            self.emitter(node)(node, net)
        except Refused as refused:
            for value in node.results:  # so that what follows can be looked at as well
                net.give(value, Blob(value.name, default_form(value.type.shape)))
            return refusal_problem(refused.code or self.code_form, node, refused.why, refused.hint)
        return None

    def _check_ends(self, graph: Graph) -> None:
        problems = []
        for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
            problems += [problem for value in values if (problem := _end(kind, value)) is not None]
        if problems:
            raise UnsupportedError(problems)


def _end(kind: str, value: Value) -> Problem | None:
    shape = value.type.shape
    types = f"%{value.name}: {value.type}"
    if not fits(mat_shape(shape)):
        what = f"the {kind} '{value.name}' has {len(mat_shape(shape))} axes besides the batch, a Mat has four at most"
        return Problem("MC322", what, types=types)
    if 0 in shape:
        return Problem("MC321", f"{kind} '{value.name}': {EMPTY}", types=types)
    return None


def no_empty_tensors(node: Node) -> bool | str:
    """no operand or result is empty."""
    return EMPTY if any(0 in value.type.shape for value in (*node.inputs, *node.results)) else True


ncnn = NcnnBackend()
ncnn.always(no_empty_tensors)
