"""The backend object that the emitters register with, and the walk over the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mconv.ir import Array, DType, Graph, MissingExtraError, Node, Problem, UnsupportedError, Value

from ..base import PLAIN, Artifact, Backend, Refused, Writing, refusal_problem
from .model import MAX_BYTES, OPSET, Model


class OnnxBackend(Backend):
    """ONNX files."""

    name: ClassVar[str] = "onnx"
    description: ClassVar[str] = f"ONNX of opset {OPSET}, in one .onnx file"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)
    code_operator: ClassVar[str] = "MC350"
    code_form: ClassVar[str] = "MC351"

    def emit(self, graph: Graph, *, fp16: bool = False, name: str = "model", writing: Writing = PLAIN) -> Artifact:
        """Express the graph as a model; weights are read from the graph's arrays when they are written.

        Raises UnsupportedError with all refusals: MC350 no such operator, MC351 not in this form, MC352 larger than
        one file can be, MC353 fp16.
        """
        if fp16:
            what = "the onnx target keeps the weights' element types"
            raise UnsupportedError(Problem("MC353", what, hint="leaving --fp16 out"))
        self.check(graph)
        model = Model(graph)
        problems = self.emit_nodes(graph, model)
        if problems:
            raise UnsupportedError(problems)
        size = model.size()
        if size > MAX_BYTES:
            what = f"the model takes {size} bytes, and one ONNX file holds {MAX_BYTES}"
            raise UnsupportedError(Problem("MC352", what))
        names = tuple(v.name for v in graph.inputs)
        blobs = {v.name: model.name_of(v) for node in graph.nodes for v in node.results}
        return Artifact({".onnx": lambda: model.chunks(name)}, names, graph.output_names, blobs)

    def emit_nodes(self, graph: Graph, model: Model) -> list[Problem]:
        """Emit all nodes of a graph (or of a body inside one) into ``model``; what could not be."""
        problems = []
        for node in graph.nodes:
            model.begin(node)
            try:
                self.emitter(node)(node, model)
            except Refused as refused:
                problems.append(refusal_problem(refused.code or self.code_form, node, refused.why, refused.hint))
        return problems

    def run(
        self,
        files: Mapping[str, str],
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        *,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Run a written model in onnxruntime. MissingExtraError (MC130) where it is not installed."""
        try:
            import onnxruntime as package
        except ImportError as error:
            what = "running ONNX models needs onnxruntime"
            raise MissingExtraError(Problem("MC130", what, hint="pip install 'mconv[verify]'")) from error
        onnxruntime: Any = package
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(files[".onnx"], options, providers=["CPUExecutionProvider"])
        return dict(zip(outputs, session.run(list(outputs), dict(feeds)), strict=True))


def no_bfloat(node: Node) -> bool | str:
    """no tensor is of bfloat16."""
    values: tuple[Value, ...] = (*node.inputs, *node.results)
    found = [v for v in values if v.type.dtype is DType.BF16]
    return f"%{found[0].name} is of bfloat16, which few runtimes compute in" if found else True


onnx_backend = OnnxBackend()
