"""The bytes of a TFLite file as tensors and operators, decoded when they are asked for.

Format: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs (version 3).
"""

from __future__ import annotations

from typing import Any

import tflite

from mconv.ir.record import Record

from . import errors, schema
from .bounds import Bounds, sound

IDENTIFIER = b"TFL3"
MAX_RANK = 32
MOST_OPERATORS = 100_000


class Quantization(Record):
    """real = (stored - zero_point) * scale; one number each, or one for each element along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int


class Tensor(Record):
    """A tensor as declared. ``type`` is the name of its element type; ``signature`` has -1 for unknown sizes."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    buffer: int
    variable: bool
    quantization: Quantization | None
    sparsity: Any

    @property
    def declared(self) -> tuple[int, ...]:
        """The shape, with -1 for sizes known only at run time."""
        return self.signature if len(self.signature) == len(self.shape) else self.shape


class Operator(Record):
    """An operator: its place in the subgraph, builtin name (or the custom one), tensors, and its options' table."""

    index: int
    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    options_type: str


class SubGraph:
    """A subgraph; its tensors are decoded one by one."""

    def __init__(self, model: Model, table: Any, index: int) -> None:
        self.model, self.index = model, index
        self._table = table
        self._tensors: dict[int, Tensor] = {}
        with sound(f"subgraph {index}"):
            bounds = model.bounds
            self.name = bounds.text(table, "Name")
            self.count = bounds.tables(table, "Tensors")
            self.inputs = bounds.integers(table, "Inputs")
            self.outputs = bounds.integers(table, "Outputs")
            self.operator_count = bounds.tables(table, "Operators")
        if self.operator_count > MOST_OPERATORS:
            raise errors.damaged(f"subgraph {index} has {self.operator_count} operators")

    def tensor(self, index: int) -> Tensor:
        """Tensor ``index``; MC281 where there is none."""
        if not 0 <= index < self.count:
            raise errors.no_such(f"there is no tensor {index} among {self.count}")
        if index not in self._tensors:
            with sound(f"tensor {index}"):
                self._tensors[index] = self._decoded(index)
        return self._tensors[index]

    def _decoded(self, index: int) -> Tensor:
        bounds = self.model.bounds
        table = bounds.table(self._table.Tensors(index))
        name = bounds.text(table, "Name")
        shape = bounds.integers(table, "Shape")
        if len(shape) > MAX_RANK or any(d < 0 for d in shape):
            raise errors.bad_tensor(f"tensor '{name}' has shape {list(shape[: MAX_RANK + 1])}")
        types = schema.names("TensorType")
        return Tensor(
            index,
            name or f"tensor_{index}",
            types.get(table.Type(), f"of number {table.Type()}"),
            shape,
            bounds.integers(table, "ShapeSignature"),
            table.Buffer(),
            table.IsVariable(),
            self._quantization(bounds.table(table.Quantization()), shape, name),
            bounds.table(table.Sparsity()),
        )

    def _quantization(self, table: Any, shape: tuple[int, ...], name: str) -> Quantization | None:
        if table is None:
            return None
        bounds = self.model.bounds
        if table.DetailsType():
            raise errors.form(f"tensor '{name}' is quantized by a custom scheme")
        scales = bounds.numbers(table, "Scale")
        if scales is None or not scales.size:
            return None
        zeros = bounds.integers(table, "ZeroPoint") or (0,) * scales.size
        axis = table.QuantizedDimension()
        along = shape[axis] if 0 <= axis < len(shape) else None
        if len(zeros) not in (1, scales.size) or (scales.size != 1 and scales.size != along):
            what = f"{scales.size} scales and {len(zeros)} zero points along axis {axis} of {list(shape)}"
            raise errors.bad_tensor(f"tensor '{name}' has {what}")
        if any(not 0 <= s < float("inf") for s in scales.tolist()):
            raise errors.bad_tensor(f"tensor '{name}' has a scale that is negative or no number")
        zeros = zeros * scales.size if len(zeros) == 1 else zeros
        return Quantization(tuple(scales.tolist()), zeros, axis if scales.size > 1 else 0)

    def operators(self) -> list[Operator]:
        """All operators, in the order in which they run."""
        return [self._operator(i) for i in range(self.operator_count)]

    def _operator(self, index: int) -> Operator:
        bounds = self.model.bounds
        with sound(f"operator {index}"):
            table = bounds.table(self._table.Operators(index))
            name, custom, version = self.model.code(table.OpcodeIndex())
            inputs, outputs = bounds.integers(table, "Inputs"), bounds.integers(table, "Outputs")
            kind = schema.names("BuiltinOptions").get(table.BuiltinOptionsType(), "?")
            options, kind_2 = table.BuiltinOptions(), "NONE"
            if kind == "NONE":
                kind_2 = schema.names("BuiltinOptions2").get(table.BuiltinOptions2Type(), "?")
                options = table.BuiltinOptions2()
            found = kind if kind != "NONE" else kind_2
            if found == "?":
                raise errors.damaged(f"operator {index} ({name}) has options of an unknown table")
            if found != "NONE" and options is not None:
                options = bounds.table(schema.accessor(found, bounds.data, options.Pos))
            else:
                found, options = "NONE", None
        return Operator(index, name, custom, version, inputs, outputs, options, found)


class Model:
    """A TFLite file in memory."""

    def __init__(self, data: memoryview) -> None:
        self.bounds = bounds = Bounds(data)
        with sound("the root table"):
            self._root = bounds.table(tflite.Model.GetRootAs(data, 0))
            self.version = self._root.Version()
            codes = bounds.all_tables(self._root, "OperatorCodes")
            self._codes = [self._code(table) for table in codes]
            graphs = bounds.all_tables(self._root, "Subgraphs")
            self.buffer_count = bounds.tables(self._root, "Buffers")
        if not graphs:
            raise errors.no_such("the file has no subgraph")
        self.subgraphs = [SubGraph(self, table, i) for i, table in enumerate(graphs)]
        with sound("the signatures"):
            self.names = self._signature()

    def _code(self, table: Any) -> tuple[str, bool, int]:
        number = max(table.DeprecatedBuiltinCode(), schema.stored_integer(table, "BuiltinCode"))
        name = schema.names("BuiltinOperator").get(number, f"of number {number}")
        if name == schema.CUSTOM:
            return self.bounds.text(table, "CustomCode") or "without a name", True, table.Version()
        return name, False, table.Version()

    def code(self, index: int) -> tuple[str, bool, int]:
        """Name, whether it is custom, and version of an operator code."""
        if not 0 <= index < len(self._codes):
            raise errors.no_such(f"there is no operator code {index} among {len(self._codes)}")
        return self._codes[index]

    def _signature(self) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Tensor indices and names of the inputs and outputs, where the one signature of the file tells them."""
        bounds = self.bounds
        if bounds.tables(self._root, "SignatureDefs") != 1:
            return [], []
        table = bounds.table(self._root.SignatureDefs(0))
        if table.SubgraphIndex() != 0:
            return [], []
        inputs, outputs = (
            [(each.TensorIndex(), bounds.text(each, "Name")) for each in bounds.all_tables(table, side)]
            for side in ("Inputs", "Outputs")
        )
        return inputs, outputs

    def content(self, index: int) -> memoryview | None:
        """The bytes of buffer ``index``, None where it has none."""
        if not 0 <= index < max(self.buffer_count, 1):
            raise errors.no_such(f"there is no buffer {index} among {self.buffer_count}")
        if index == 0 or index >= self.buffer_count:
            return None
        with sound(f"buffer {index}"):
            table = self.bounds.table(self._root.Buffers(index))
            offset, size = table.Offset(), table.Size()
            if offset > 1:  # beyond the flatbuffer, which holds 2 GB
                if offset + size > len(self.bounds.data):
                    raise errors.damaged(f"buffer {index} lies at {offset}, behind the end of the file")
                return self.bounds.data[offset : offset + size]
            if table.DataIsNone() or not table.DataLength():
                return None
            found: memoryview = table.DataAsNumpy().data
            return found
