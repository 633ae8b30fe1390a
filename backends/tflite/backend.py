"""The backend object that the emitters register with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from mconv.ir import Graph, Node, Op
from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.types import Array

from ..base import PLAIN, Artifact, Backend, Refused, Writing, refusal_problem
from .fused import can_fuse
from .model import TYPES, Model, SubGraph
from .net import Net
from .quantization import assign


class TfliteBackend(Backend):
    """A .tflite file of builtin operators."""

    name: ClassVar[str] = "tflite"
    description: ClassVar[str] = "TensorFlow Lite (LiteRT) .tflite"
    suffixes: ClassVar[tuple[str, ...]] = (".tflite",)
    layout: ClassVar[str] = "channels last"
    averages_round_away: ClassVar[bool] = True
    signed_integers: ClassVar[bool] = True
    max_rank: ClassVar[int] = 6
    casts_around: ClassVar[bool] = True
    window_ranks: ClassVar[tuple[int, ...]] = (4, 5)
    code_operator: ClassVar[str] = "MC340"
    code_form: ClassVar[str] = "MC341"

    def accepts_activation(self, op: Op, activation: Op) -> bool:
        """True where ``op`` can carry the activation with its bounds."""
        return super().accepts_activation(op, activation) and can_fuse(activation)

    def emit(self, graph: Graph, *, fp16: bool = False, name: str = "model", writing: Writing = PLAIN) -> Artifact:
        """Express the graph as a TFLite model.

        Raises UnsupportedError with all refusals: MC340 no such operator, MC341 not in this form, MC346 too large.
        """
        self.check(graph)
        net, subgraph = self.subgraph(graph, fp16)
        model = Model(net.subgraphs, tuple(v.name for v in graph.inputs), graph.output_names)
        from .writer import to_bytes

        names = {v.name: subgraph.tensors[i].name for v, i in net.tensors.items() if v.data is None}
        return Artifact(
            files={".tflite": lambda: (to_bytes(model),)},
            inputs=model.input_names,
            outputs=model.output_names,
            blobs=names,
            notes=tuple(net.notes),
        )

    def subgraph(self, graph: Graph, fp16: bool) -> tuple[Net, SubGraph]:
        """One graph as a subgraph; UnsupportedError with every refusal."""
        net = Net(graph, assign(graph), fp16)
        problems = [problem for node in graph.nodes if (problem := self._emit_node(node, net)) is not None]
        if problems:
            raise UnsupportedError(problems)
        return net, net.finish()

    def run(
        self,
        files: Mapping[str, str],
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        *,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Run a written model in LiteRT; see ``runtime.run``."""
        from .runtime import run

        return run(files, feeds, outputs, threads=threads)

    def _emit_node(self, node: Node, net: Net) -> Problem | None:
        if node in net.fused:
            return None
        try:
            self.emitter(node)(node, net)
        except Refused as refused:
            return refusal_problem(refused.code or self.code_form, node, refused.why, refused.hint)
        return None


def known_types(node: Node) -> bool | str:
    """its element types are ones that TFLite has."""
    for value in (*node.inputs, *node.results):
        if value.type.dtype not in TYPES:
            return f"TFLite has no element type {value.type.dtype.value}"
    return True


tflite = TfliteBackend()
tflite.always(known_types)
