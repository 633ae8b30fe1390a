"""Bytes of a TFLite model: one flatbuffer, with the weights' buffers aligned so that the file can be memory-mapped.

A flatbuffer is built from its end to its beginning: what a table points to has to be written before it. The weights
come first, so they lie at the end of the file, and each is copied once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.types import Array

from .model import TYPES, Model, Operation, OptionValue, Quantization, SubGraph, Tensor
from .versions import runtime_version

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
ALIGNMENT = 16
"""Bytes to which a buffer's content is aligned (``force_align`` in the schema)."""
LIMIT = 2**31 - 2**20
"""Bytes a flatbuffer may have: its offsets are signed 32-bit numbers."""
SIGNATURE = "serving_default"
METADATA = "min_runtime_version"


def to_bytes(model: Model) -> memoryview:
    """The file. UnsupportedError (MC346) over 2 GB."""
    import flatbuffers

    arrays = _distinct(model)
    size = sum(array.nbytes + ALIGNMENT for array in arrays) + _overhead(model)
    if size > LIMIT:
        what = f"the model has {size >> 20} MB of weights, and a TFLite file holds 2 GB"
        raise UnsupportedError(Problem("MC346", what, hint="--fp16 stores them in half the space"))
    builder = flatbuffers.Builder(size)
    builder.ForceDefaults(True)
    writer = _Writer(builder)
    writer.model(model, arrays)
    return memoryview(builder.Bytes)[builder.Head() :]


def _distinct(model: Model) -> list[Array]:
    """The arrays of all tensors, each object once."""
    found = {id(t.data): t.data for graph in model.subgraphs for t in graph.tensors if t.data is not None}
    return list(found.values())


def _overhead(model: Model) -> int:
    """About the bytes that everything but the weights takes; the builder grows by itself where it is too few."""
    tensors = sum(200 + 2 * len(t.name) for graph in model.subgraphs for t in graph.tensors)
    scales = sum(24 * len(t.quantization.scale) for g in model.subgraphs for t in g.tensors if t.quantization)
    return 4096 + tensors + scales + sum(200 for graph in model.subgraphs for _ in graph.operations)


class _Writer:
    """Writes tables; each method returns the offset of what it wrote."""

    def __init__(self, builder: Any) -> None:
        import tflite

        self.schema = tflite
        self.builder = builder

    # The model --------------------------------------------------------------------------------------------

    def model(self, model: Model, arrays: Sequence[Array]) -> None:
        """The root table."""
        contents = {id(array): index + 1 for index, array in enumerate(arrays)}
        buffers = [self._table("Buffer")]  # the first is empty: tensors without content name it
        buffers += [self._table("Buffer", Data=self._content(array)) for array in arrays]
        version = runtime_version(model).encode().ljust(ALIGNMENT, b"\0")
        buffers.append(self._table("Buffer", Data=self._content(np.frombuffer(version, np.uint8))))
        codes = list(dict.fromkeys((o.name, o.version) for graph in model.subgraphs for o in graph.operations))
        graphs = [self._subgraph(graph, codes, contents) for graph in model.subgraphs]
        metadata = self._table("Metadata", Name=self._string(METADATA), Buffer=len(buffers) - 1)
        root = self._table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self._offsets([self._code(*code) for code in codes]),
            Subgraphs=self._offsets(graphs),
            Description=self._string("mconv"),
            Buffers=self._offsets(buffers),
            Metadata=self._offsets([metadata]),
            SignatureDefs=self._offsets([self._signature(model)]),
        )
        self.builder.Finish(root, file_identifier=IDENTIFIER)

    def _code(self, name: str, version: int) -> int:
        code = getattr(self.schema.BuiltinOperator, name)
        placeholder = self.schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        fields = {"DeprecatedBuiltinCode": min(code, placeholder), "Version": version, "BuiltinCode": code}
        return self._table("OperatorCode", **fields)

    def _signature(self, model: Model) -> int:
        graph = model.subgraphs[0]
        return self._table(
            "SignatureDef",
            Inputs=self._offsets([self._named(*each) for each in zip(model.input_names, graph.inputs, strict=True)]),
            Outputs=self._offsets([self._named(*each) for each in zip(model.output_names, graph.outputs, strict=True)]),
            SignatureKey=self._string(SIGNATURE),
            SubgraphIndex=0,
        )

    def _named(self, name: str, tensor: int) -> int:
        return self._table("TensorMap", Name=self._string(name), TensorIndex=tensor)

    # A subgraph -------------------------------------------------------------------------------------------

    def _subgraph(self, graph: SubGraph, codes: list[tuple[str, int]], contents: dict[int, int]) -> int:
        places = {code: index for index, code in enumerate(codes)}
        return self._table(
            "SubGraph",
            Tensors=self._offsets([self._tensor(tensor, contents) for tensor in graph.tensors]),
            Inputs=self._integers(graph.inputs),
            Outputs=self._integers(graph.outputs),
            Operators=self._offsets([self._operation(o, places[o.name, o.version]) for o in graph.operations]),
            Name=self._string(graph.name),
        )

    def _tensor(self, tensor: Tensor, contents: dict[int, int]) -> int:
        fields: dict[str, Any] = {
            "Shape": self._integers(tensor.shape),
            "Type": getattr(self.schema.TensorType, TYPES[tensor.dtype]),
            "Buffer": 0 if tensor.data is None else contents[id(tensor.data)],
            "Name": self._string(tensor.name),
            "IsVariable": False,
            "HasRank": True,
        }
        if tensor.quantization is not None:
            fields["Quantization"] = self._quantization(tensor.quantization)
        if tensor.signature is not None:
            fields["ShapeSignature"] = self._integers(tensor.signature)
        return self._table("Tensor", **fields)

    def _quantization(self, quantization: Quantization) -> int:
        return self._table(
            "QuantizationParameters",
            Scale=self.builder.CreateNumpyVector(np.array(quantization.scale, np.float32)),
            ZeroPoint=self.builder.CreateNumpyVector(np.array(quantization.zero_point, np.int64)),
            QuantizedDimension=quantization.axis,
        )

    def _operation(self, operation: Operation, code: int) -> int:
        fields: dict[str, Any] = {
            "OpcodeIndex": code,
            "Inputs": self._integers(operation.inputs),
            "Outputs": self._integers(operation.outputs),
        }
        if operation.options:
            union = "BuiltinOptions" if hasattr(self.schema.BuiltinOptions, operation.options) else "BuiltinOptions2"
            fields[f"{union}Type"] = getattr(getattr(self.schema, union), operation.options)
            fields[union] = self._options(operation.options, operation.values)
        return self._table("Operator", **fields)

    def _options(self, name: str, values: Any) -> int:
        wide = name.startswith("Stablehlo")  # their vectors are of 64-bit numbers
        return self._table(name, **{field: self._option(value, wide) for field, value in values.items()})

    def _option(self, value: OptionValue, wide: bool) -> OptionValue:
        if not isinstance(value, tuple):
            return value
        return int(self.builder.CreateNumpyVector(np.array(value, np.int64))) if wide else self._integers(value)

    # What tables are made of ------------------------------------------------------------------------------

    def _table(self, name: str, **fields: Any) -> int:
        getattr(self.schema, f"{name}Start")(self.builder)
        for field, value in fields.items():
            getattr(self.schema, f"{name}Add{field}")(self.builder, value)
        return int(getattr(self.schema, f"{name}End")(self.builder))

    def _string(self, text: str) -> int:
        return int(self.builder.CreateSharedString(text))

    def _integers(self, numbers: Sequence[int]) -> int:
        return int(self.builder.CreateNumpyVector(np.array(numbers, np.int32)))

    def _offsets(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _content(self, array: Array) -> int:
        """A vector of an array's bytes, little-endian and row-major, aligned."""
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        size = plain.nbytes
        self.builder.StartVector(1, size, ALIGNMENT)
        self.builder.head -= size
        place = np.frombuffer(self.builder.Bytes, np.uint8, size, self.builder.head)
        place[:] = plain.reshape(-1).view(np.uint8)
        return int(self.builder.EndVector())
