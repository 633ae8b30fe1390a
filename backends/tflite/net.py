"""The subgraph under construction: emitters ask it for the tensors of IR values and add operations to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mconv.ir import DType, Graph, Node, Op, TensorType, Value
from mconv.ir.types import Array

from .model import Operation, OptionValue, Quantization, SubGraph, Tensor
from .versions import version_of

ABSENT = -1
"""The index of an optional input that is not there."""
SMALL = 256
"""Constants of at most so many bytes are looked up by their content, and stay 32-bit floats under ``--fp16``."""


class Net:
    """Builds a SubGraph from a Graph, node by node.

    ``fp16`` stores weights as 16-bit floats behind a DEQUANTIZE, which runtimes fold into kernels of that width.
    """

    def __init__(
        self,
        graph: Graph,
        quantizations: dict[Value, Quantization],
        fp16: bool = False,
        siblings: list[SubGraph] | None = None,
    ) -> None:
        self.graph = graph
        self.fp16 = fp16
        self.subgraph = SubGraph(graph.name)
        self.subgraphs = siblings if siblings is not None else []
        """All subgraphs of the model, in their order in the file."""
        self.subgraphs.append(self.subgraph)
        self.notes: list[str] = []
        self.fused: set[Node] = set()
        """Nodes that an earlier node's operation has taken over as its activation."""
        self._quantizations = quantizations
        self._tensors: dict[Value, int] = {}
        self._constants: dict[tuple[object, ...], tuple[int, Array]] = {}
        self._names: set[str] = set()
        for value in graph.inputs:
            self.subgraph.inputs.append(self.tensor(value))

    # Tensors ----------------------------------------------------------------------------------------------

    @property
    def tensors(self) -> dict[Value, int]:
        """Tensor indices of the IR values seen so far."""
        return dict(self._tensors)

    def tensor(self, value: Value | None) -> int:
        """The index of the tensor that holds ``value``; ABSENT for None."""
        if value is None:
            return ABSENT
        if value not in self._tensors:
            if value.data is not None:
                self._tensors[value] = self.constant(value.data, value.name, self._quantizations.get(value))
            else:
                self._tensors[value] = self._new(value.name, value.type, self._quantizations.get(value))
        return self._tensors[value]

    def constant(self, array: Array, name: str = "constant", quantization: Quantization | None = None) -> int:
        """The index of a constant tensor. Small ones are shared by content, others where they are the same memory."""
        content: object = array.tobytes() if array.nbytes <= SMALL else (array.ctypes.data, array.strides)
        key = (array.dtype.str, array.shape, content, quantization)
        if key not in self._constants:
            wide = self.fp16 and array.dtype == np.float32 and array.nbytes > SMALL
            index = self._half(array, name) if wide else self._stored(array, name, quantization)
            self._constants[key] = index, array  # which keeps the memory from being another array's
        return self._constants[key][0]

    def integers(self, numbers: Sequence[int], name: str = "shape", dtype: DType = DType.I32) -> int:
        """The index of a constant vector of integers."""
        return self.constant(np.array(numbers, dtype.numpy), name)

    def scratch(self, like: Value | TensorType, stem: str, quantization: Quantization | None = None) -> int:
        """The index of a new tensor between two operations of one node, of that type."""
        type = like.type if isinstance(like, Value) else like
        return self._new(stem, type, quantization)

    def quantization(self, value: Value) -> Quantization | None:
        """How the integers of ``value`` stand for real numbers, where they do."""
        return self._quantizations.get(value)

    def type_of(self, index: int) -> DType:
        """The element type of a tensor."""
        return self.subgraph.tensors[index].dtype

    def _new(self, name: str, type: TensorType, quantization: Quantization | None) -> int:
        shape = tuple(d if isinstance(d, int) else 1 for d in type.shape)
        signature = None if type.is_static else tuple(d if isinstance(d, int) else -1 for d in type.shape)
        return self._enter(Tensor(name, type.dtype, shape, signature, None, quantization))

    def _stored(self, array: Array, name: str, quantization: Quantization | None = None) -> int:
        return self._enter(Tensor(name, DType.of(array.dtype), array.shape, None, array, quantization))

    def _half(self, array: Array, name: str) -> int:
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float16)
        if np.isinf(narrow).any() and not np.isinf(array).any():
            return self._stored(array, name)  # beyond what 16 bits hold
        half = self._stored(narrow, f"{name}_fp16")
        result = self._enter(Tensor(name, DType.F32, array.shape))
        self.add("DEQUANTIZE", [half], [result], "DequantizeOptions")
        return result

    def _enter(self, tensor: Tensor) -> int:
        tensor.name = self._unique(tensor.name)
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def _unique(self, stem: str) -> str:
        name, count = stem, 0
        while name in self._names:
            count += 1
            name = f"{stem}_{count}"
        self._names.add(name)
        return name

    def combination(self, name: str | None, dtype: DType) -> int:
        """The index of a subgraph of two scalars: the operation ``name`` on them, or None for the second."""
        title = f"{name or 'second'}_{dtype.value}".lower()
        for index, known in enumerate(self.subgraphs):
            if known.name == title and index:
                return index
        graph = SubGraph(title, [Tensor(side, dtype, ()) for side in ("old", "new")], [], [0, 1], [1])
        if name is not None:
            graph.tensors.append(Tensor("both", dtype, ()))
            version = version_of(name, graph.tensors[:2], graph.tensors[2:], {})
            graph.operations.append(Operation(name, version, (0, 1), (2,)))
            graph.outputs = [2]
        self.subgraphs.append(graph)
        return len(self.subgraphs) - 1

    # Operations -------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        inputs: Sequence[Value | int | None],
        outputs: Sequence[Value | int],
        options: str = "",
        **values: OptionValue,
    ) -> None:
        """Append an operation: IR values or tensor indices in the order of the builtin operator's definition."""
        places = tuple(i if isinstance(i, int) else self.tensor(i) for i in inputs)
        results = tuple(o if isinstance(o, int) else self.tensor(o) for o in outputs)
        tensors = self.subgraph.tensors
        version = version_of(
            name, [tensors[i] if i != ABSENT else None for i in places], [tensors[o] for o in results], values
        )
        self.subgraph.operations.append(Operation(name, version, places, results, options, values))

    def alias(self, result: Value, value: Value | int) -> None:
        """Let ``result`` be the same tensor as ``value`` (for an operator that changes nothing)."""
        self._tensors[result] = value if isinstance(value, int) else self.tensor(value)

    def epilogue(self, node: Node, fits: Callable[[Op], bool]) -> tuple[Value, Op | None]:
        """The value that the node's operation should make, and the activation that it should carry.

        That is the node's own result, or that of the one node that reads it, where its operator ``fits``.
        """
        result = node.result
        if self.graph.use_count(result) != 1 or not result.uses:
            return result, None
        ((reader, _),) = result.uses
        if not fits(reader.op):
            return result, None
        self.fused.add(reader)
        return reader.result, reader.op

    def finish(self) -> SubGraph:
        """The subgraph, its outputs named as the graph's."""
        for name, value in zip(self.graph.output_names, self.graph.outputs, strict=True):
            self.subgraph.outputs.append(self._output(name, value))
        return self.subgraph

    def _output(self, name: str, value: Value) -> int:
        index = self.tensor(value)
        tensors = self.subgraph.tensors
        taken = index in self.subgraph.outputs or index in self.subgraph.inputs or tensors[index].data is not None
        if taken:  # a runtime gives out each tensor once, and no constants: copy
            copy = self._new(name, value.type, self._quantizations.get(value))
            self.add("RESHAPE", [index, self.integers(tensors[index].shape)], [copy], "ReshapeOptions",
                     NewShape=tensors[index].shape)  # fmt: skip
            return copy
        if tensors[index].name != name and name not in self._names:
            self._names.add(name)
            tensors[index].name = name
        return index
