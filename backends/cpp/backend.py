"""The backend object that the emitters register with, and the way from a graph to the files of a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mconv.ir import Graph, Node, Op, Symbol, Value
from mconv.ir.errors import Problem, UnsupportedError, UsageError
from mconv.ir.interpreter import run as interpret
from mconv.ir.types import Array

from ..base import (
    PLAIN,
    Artifact,
    Backend,
    Chunk,
    Condition,
    Emitter,
    Refused,
    Support,
    Writing,
    refusal_problem,
    words,
)
from . import memory, project, report, sealing, source, stream
from .blob import Blob
from .fragments import joined
from .net import Net
from .samples import mixing
from .sized import capacity, is_flat
from .view import View

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

        MC355 no such operator, MC356 not in this form, MC357 a size known only at run time, MC358 fp16. UsageError
        (MC114) for a key that nothing would be encrypted with.
        """
        if fp16:
            what = "the cpp target computes in the model's own element types"
            raise UnsupportedError(Problem("MC358", what, hint="leaving --fp16 out"))
        _check_writing(writing)
        _check_static(graph)
        self.check(graph)
        net = self.lower(graph, exact=writing.exact)
        return build(net, project.identifier(name), writing)

    def loop_over(self, graph: Graph, batch: Sequence[Symbol]) -> list[str]:
        """A symbolic batch is a loop, where samples are independent; MC359 where they are not."""
        reasons = [f"there are several: {', '.join(map(str, batch))}"] if len(batch) > 1 else []
        why = reasons[0] if reasons else mixing(graph, batch[0])
        if why is not None:
            what = f"the batch {batch[0]} cannot be run sample by sample: {why}"
            raise UnsupportedError(Problem("MC359", what, hint=f"a size for it, as --dim {batch[0]}=1"))
        return [f"the batch {batch[0]} is a loop over samples: NAME_run takes one, NAME_run_batch any number"]

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


class Build:
    """What is written for a net: the plan of its memory, its blob, and the text of each file."""

    def __init__(self, net: Net, name: str, writing: Writing = PLAIN) -> None:
        self.net, self.name, self.guard = net, name, name.upper()
        self.debug_names = writing.debug_names
        self.level = writing.protect or "basic"
        self._goldens = self._add_goldens()
        self.unshared = sum(b.nbytes for b in net.buffers if b.place == "arena")
        self.whole_bound = memory.largest_live(memory.lifetimes(net.steps), len(net.steps))
        self.groups = stream.groups(net.steps)
        self.plan = memory.plan(net.steps, self.groups)
        self.code_key = self._add_code_key() if self.level == "strong" else None
        self.blob = Blob(net.weights, writing)
        self.prepared = _laid_out(net)

    def files(self) -> dict[str, Callable[[], Iterable[Chunk]]]:
        """Content by file name."""
        name, words = self.name, self._words()
        texts = {
            f"{name}.h": project.filled("model.h", words),
            f"{name}.cpp": source.network(
                self.net, self.plan, self.groups, name, self.guard, debug_names=self.debug_names
            ),
            f"{name}_api.cpp": project.filled("api.cpp", words),
            f"{name}_internal.h": project.filled("internal.h", words),
            f"{name}_kernels.h": self._kernels(),
            f"{name}_weights.S": project.filled("weights.S", words),
            f"{name}_selftest.cpp": project.filled("selftest.cpp", words),
            f"{name}_example.cpp": project.filled("example.cpp", words),
            "Makefile": project.filled("Makefile", words),
            "CMakeLists.txt": project.filled("CMakeLists.txt", words),
            "map.json": project.map_json(self.net, name, source.steps_in_words(self.net.steps), self.blob),
            "report.json": json.dumps(report.facts(self), indent=1),
            "memory.svg": report.svg(self.net, self.plan),
        }
        files: dict[str, Callable[[], Iterable[Chunk]]] = {
            file: (lambda text=text: (text.encode(),))  # type: ignore[misc]
            for file, text in texts.items()
        }
        files[f"{name}_weights.bin"] = self.blob.chunks
        return files

    @property
    def is_readable(self) -> bool:
        """Symbols stay in the libraries."""
        return self.debug_names or self.level == "none"

    def _kernels(self) -> str:
        guard = f"{self.guard}_KERNELS_H"
        text = joined([*self.net.fragments, "run", "parallel"])
        head = "// The kernels that this model uses, for any instruction set. Each part says first what it holds."
        return f"{head}\n#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"

    def _words(self) -> dict[str, object]:
        graph = self.net.graph
        scratch = max((s.scratch for s in self.net.steps), default=0)
        goldens = "".join(
            project.golden_initializer(views, count) for views, count in self._goldens[1]
        )  # fmt: skip
        sealed = sealing.words(self.blob, self.name, self.code_key)
        sealed["SEAL_LINE"] = str(sealed["SEAL_LINE"]).replace("@NAME@", self.name)
        return {
            "NAME": self.name,
            "GUARD": self.guard,
            "SIGNATURE": project.signature(graph, debug_names=self.debug_names),
            "POOL": joined(["pool"]),
            "ARENA": max(self.plan.nbytes, 64),
            "SCRATCH": scratch,
            "PREPARED": self.prepared,
            "WEIGHTS": self.blob.nbytes,
            "INPUTS": len(graph.inputs),
            "OUTPUTS": len(graph.outputs),
            "INPUT_TYPES": "".join(project.tensor_initializer(v.type) for v in graph.inputs),
            "OUTPUT_TYPES": "".join(project.tensor_initializer(v.type, capacity(v)) for v in graph.outputs),
            "GOLDENS": goldens,
            "GOLDEN_RANGE": self._goldens[0],
            "TOLERANCE": project.TOLERANCE,
            **sealed,
            "STRIP_LINE": "" if self.is_readable else "\t$(STRIP) --strip-unneeded $@\n",
            "SHARED_FLAGS": "" if self.is_readable else " -s",
        }

    def _add_code_key(self) -> View:
        """The key of the code's tag, in the weights; it follows from what is in them."""
        digest = hashlib.blake2b(digest_size=32, person=b"code key")
        for array in self.net.weights.values():
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        return self.net.constant(np.frombuffer(digest.digest(), np.uint8))

    def _add_goldens(self) -> tuple[int, list[tuple[list[Any], int]]]:
        """The samples of the outputs, in the weights; and the range of the integers fed."""
        graph = self.net.graph
        for integers in (2, 1):
            try:
                with np.errstate(all="ignore"):
                    outputs = interpret(graph, project.golden_feeds(graph, integers))
                break
            except (IndexError, ValueError, ZeroDivisionError):  # integers may be indices, sizes or steps
                if integers == 1:
                    self.net.notes.append("the self-test compares nothing: the model does not run on made-up numbers")
                    return 1, [([self.net.constant(np.zeros(1))] * 3, 0) for _ in graph.outputs]
        found = []
        for name in graph.output_names:
            arrays = project.golden_samples(outputs[name])
            found.append(([self.net.constant(a) for a in arrays], len(arrays[0])))
        return integers, found


def build(net: Net, name: str, writing: Writing = PLAIN) -> Artifact:
    """The artifact of a lowered net."""
    made = Build(net, name, writing)
    if made.blob.seal is not None and made.blob.seal.embedded:
        net.notes.append("the key of the weights is in the program: obfuscation, no secret; --key FILE keeps it apart")
    graph = net.graph
    return Artifact(
        files=made.files(),
        inputs=tuple(v.name for v in graph.inputs),
        outputs=graph.output_names,
        notes=tuple(net.notes),
        settings={} if made.blob.seal is None else {"key": made.blob.seal.key.hex()},
    )


def _laid_out(net: Net) -> int:
    """Give the prepared weights their places; the bytes they take."""
    size = 0
    for item in net.prepared:
        item.buffer.offset = size
        size += item.buffer.nbytes
    return size


def _check_writing(writing: Writing) -> None:
    if writing.protect == "strong":
        return
    idle = [f"--{name.replace('_', '-')}" for name in ("key", "build_seed") if getattr(writing, name) is not None]
    if idle:
        what = f"{' and '.join(idle)} without --protect strong: the weights would be in the clear"
        raise UsageError(Problem("MC114", what, hint="--protect strong"))


def _check_static(graph: Graph) -> None:
    ends: list[Value] = [*graph.inputs, *(v for v in graph.outputs if capacity(v) is None)]
    problems = [
        Problem(
            "MC357",
            f"%{v.name} is {v.type}, and the code is written for sizes known beforehand",
            hint="sizes with --dim NAME=SIZE or --input-shape NAME:SIZES",
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
