"""The model while it is emitted, and its bytes.

Weights never go through protobuf: a TensorProto without its data is serialised, and the field that holds the data is
written around the array's own memory (encoding: https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from mconv.ir import Array, DType, Graph, Node, Symbol, TensorType, Value

from ..base import Chunk

OPSET = 20
IR_VERSION = 9
"""The newest that runtimes of two years ago read; Gelu and the resizing modes need this opset."""
MAX_BYTES = 2**31 - 1
PRODUCER = "mconv"

TENSOR_TYPES: dict[DType, int] = {
    DType.BOOL: TensorProto.BOOL, DType.I8: TensorProto.INT8, DType.I16: TensorProto.INT16,
    DType.I32: TensorProto.INT32, DType.I64: TensorProto.INT64, DType.U8: TensorProto.UINT8,
    DType.U16: TensorProto.UINT16, DType.U32: TensorProto.UINT32, DType.U64: TensorProto.UINT64,
    DType.F16: TensorProto.FLOAT16, DType.BF16: TensorProto.BFLOAT16, DType.F32: TensorProto.FLOAT,
    DType.F64: TensorProto.DOUBLE,
}  # fmt: skip

# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)
_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9


class Scope:
    """The nodes of one graph: the model's own, or a body inside a node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []


class Model:
    """Collects nodes and constants; every name is unique in the whole model, so bodies shadow nothing."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scope = Scope()
        self._names: dict[Value, str] = {}
        self._taken = {v.name for v in graph.inputs} | set(graph.output_names)
        self._constants: dict[str, Array] = {}
        self._by_array: dict[int, str] = {}
        self._node = ""
        self._node_names: set[str] = set()
        for value in graph.inputs:
            self._names[value] = value.name
        for name, value in zip(graph.output_names, graph.outputs, strict=True):
            if value.producer is not None and value not in self._names:
                self._names[value] = name

    def begin(self, node: Node) -> None:
        """What is emitted next belongs to ``node``."""
        self._node = node.name

    def name_of(self, value: Value) -> str:
        """The name of a value in the model; a constant becomes an initializer when it is first asked for."""
        if value.data is not None:
            return self.constant(value.data, value.name)
        if value not in self._names:
            self._names[value] = self.fresh(value.name)
        return self._names[value]

    def bind(self, value: Value, name: str) -> None:
        """Let a value of a body be known by the name of what it stands for outside."""
        self._names[value] = name

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        name, count = stem, 0
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name

    def constant(self, data: Array | np.generic | float | int | Sequence[int], stem: str = "const") -> str:
        """The name of an initializer with this content (integers are i64); equal arrays in memory are one."""
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        known = self._by_array.get(id(array)) if array is data else None
        if known is None:
            known = self.fresh(stem)
            self._constants[known] = array
            self._by_array[id(array)] = known
        return known

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; its first output's name (made up where none is given)."""
        names = list(outputs) or [self.fresh(f"{self._node}.{kind}")]
        called, count = self._node, 1
        while called in self._node_names:
            count += 1
            called = f"{self._node}.{count}"
        self._node_names.add(called)
        while inputs and inputs[-1] == "":
            inputs = inputs[:-1]
        self.scope.nodes.append(helper.make_node(kind, inputs, names, name=called, **attributes))
        return names[0]

    def simple(self, kind: str, node: Node, **attributes: Any) -> None:
        """The IR's node as one ONNX node with the same operands and results."""
        self.node(kind, self.operands(node), [self.name_of(v) for v in node.results], **attributes)

    def operands(self, node: Node) -> list[str]:
        """Names of the node's operands; an absent one has none."""
        return ["" if v is None else self.name_of(v) for v in node.operands]

    def body(self, graph: Graph, inputs: Sequence[Value], emit: Any) -> onnx.GraphProto:
        """A graph inside a node. ``inputs`` are those it declares; all others must be bound before."""
        outer, self.scope = self.scope, Scope()
        for value in inputs:
            self._names[value] = self.fresh(value.name)
        emit(graph, self)
        outputs = []
        for value in graph.outputs:
            name = self.fresh(f"{graph.name}.{value.name}")
            self.node("Identity", [self.name_of(value)], [name])
            outputs.append(_value_info(name, value.type))
        inner, self.scope = self.scope, outer
        declared = [_value_info(self._names[v], v.type) for v in inputs]
        return helper.make_graph(inner.nodes, graph.name, declared, outputs)

    # Bytes -----------------------------------------------------------------------------------------------

    def size(self) -> int:
        """About how many bytes the file takes."""
        weights = sum(a.nbytes for a in self._constants.values())
        return weights + sum(int(n.ByteSize()) for n in self.scope.nodes)

    def chunks(self, name: str) -> Iterator[Chunk]:
        """The bytes of the file."""
        rest = self._graph(name).SerializeToString(deterministic=True)
        weights = [self._tensor(key, array) for key, array in self._constants.items()]
        length = len(rest) + sum(sum(len(head) for head in heads) + array.nbytes for heads, array in weights)
        model = onnx.ModelProto(ir_version=IR_VERSION, producer_name=PRODUCER)
        model.opset_import.add(domain="", version=OPSET)
        yield model.SerializeToString(deterministic=True)
        yield _field(_MODEL_GRAPH, length)
        yield rest
        for heads, array in weights:
            yield from heads
            if array.nbytes:
                data = np.ascontiguousarray(array)
                little = data.astype(data.dtype.newbyteorder("<"), copy=False)
                yield little.reshape(-1).view(np.uint8).data

    def _graph(self, name: str) -> onnx.GraphProto:
        nodes = list(self.scope.nodes)
        made = {output for node in nodes for output in node.output}
        for output, value in zip(self.graph.output_names, self.graph.outputs, strict=True):
            if output not in made:  # an input, a constant, or a value that is returned under two names
                nodes.append(helper.make_node("Identity", [self.name_of(value)], [output], name=f"return {output}"))
        pairs = zip(self.graph.output_names, self.graph.outputs, strict=True)
        return helper.make_graph(
            nodes,
            name,
            [_value_info(v.name, v.type) for v in self.graph.inputs],
            [_value_info(output, value.type) for output, value in pairs],
        )

    def _tensor(self, name: str, array: Array) -> tuple[list[bytes], Array]:
        tensor = TensorProto(name=name, dims=array.shape, data_type=TENSOR_TYPES[DType.of(array.dtype)])
        inner = tensor.SerializeToString(deterministic=True)
        data = _field(_TENSOR_RAW_DATA, array.nbytes)
        whole = len(inner) + len(data) + array.nbytes
        return [_field(_GRAPH_INITIALIZER, whole), inner, data], array


def _field(number: int, length: int) -> bytes:
    """The key and length of a length-delimited field."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def _value_info(name: str, type: TensorType) -> onnx.ValueInfoProto:
    dims: Iterable[int | str] = (d.name if isinstance(d, Symbol) else d for d in type.shape)
    return helper.make_tensor_value_info(name, TENSOR_TYPES[type.dtype], list(dims))


__all__ = ["MAX_BYTES", "OPSET", "TENSOR_TYPES", "Model"]
