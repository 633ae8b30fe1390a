"""What is written for a net: where everything lies, and the content of each file of the folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np

from mconv.ir.interpreter import run as interpret

from ..base import PLAIN, Artifact, Chunk, Writing
from . import memory, project, report, sealing, source, stream
from .blob import Blob
from .fragments import joined
from .net import Net
from .sized import capacity
from .view import View

CMAKE_STRIP = """
# Only what the interface declares has a name.
if(CMAKE_STRIP)
  set(unneeded $<IF:$<PLATFORM_ID:Darwin>,-x,--strip-unneeded>)
  foreach(library %(name)s %(name)s_shared)
    add_custom_command(TARGET ${library} POST_BUILD COMMAND ${CMAKE_STRIP} ${unneeded} $<TARGET_FILE:${library}>)
  endforeach()
endif()
"""


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

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The figures of report.json."""
        return report.facts(
            self.net,
            self.plan,
            self.groups,
            whole_bound=self.whole_bound,
            unshared=self.unshared,
            weights=self.blob.nbytes,
            prepared=self.prepared,
        )

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
            "report.json": json.dumps(self.facts, indent=1),
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
        goldens = "".join(
            project.golden_initializer(views, count) for views, count in self._goldens[1]
        )  # fmt: skip
        return {
            "NAME": self.name,
            "GUARD": self.guard,
            "SIGNATURE": project.signature(graph, debug_names=self.debug_names),
            "POOL": joined(["pool"]),
            "ARENA": max(self.plan.nbytes, 64),
            "SCRATCH": self.plan.per_worker,
            "PREPARED": self.prepared,
            "WEIGHTS": self.blob.nbytes,
            "INPUTS": len(graph.inputs),
            "OUTPUTS": len(graph.outputs),
            "INPUT_TYPES": "".join(project.tensor_initializer(v.type) for v in graph.inputs),
            "OUTPUT_TYPES": "".join(project.tensor_initializer(v.type, capacity(v)) for v in graph.outputs),
            "GOLDENS": goldens,
            "GOLDEN_RANGE": self._goldens[0],
            "TOLERANCE": project.TOLERANCE,
            **sealing.words(self.blob, self.name, self.code_key),
            "STRIP_LINE": "" if self.is_readable else "\t$(STRIP) --strip-unneeded $@\n",
            "SHARED_FLAGS": "" if self.is_readable else " -s",
            "CMAKE_STRIP": "" if self.is_readable else CMAKE_STRIP % {"name": self.name},
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
        facts=made.facts,
        summary=report.summary(made.facts),
        settings={} if made.blob.seal is None else {"key": made.blob.seal.key.hex()},
    )


def _laid_out(net: Net) -> int:
    """Give the prepared weights their places; the bytes they take."""
    size = 0
    for item in net.prepared:
        item.buffer.offset = size
        size += item.buffer.nbytes
    return size
