"""A TFLite model in memory: tensors, operations and subgraphs as the schema has them, before they become bytes.

Format: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs (version 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mconv.ir import DType
from mconv.ir.types import Array

TYPES: dict[DType, str] = {
    DType.BOOL: "BOOL", DType.I8: "INT8", DType.I16: "INT16", DType.I32: "INT32", DType.I64: "INT64",
    DType.U8: "UINT8", DType.U16: "UINT16", DType.U32: "UINT32", DType.U64: "UINT64",
    DType.F16: "FLOAT16", DType.F32: "FLOAT32", DType.F64: "FLOAT64",
}  # fmt: skip
"""Names of the schema's TensorType by element type; bf16 has none that kernels take."""

OptionValue = int | float | bool | tuple[int, ...]


@dataclass(frozen=True)
class Quantization:
    """real = (stored - zero_point) * scale; one number each, or one for each element along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0


@dataclass
class Tensor:
    """A tensor. ``shape`` has 1 for sizes known only at run time, which ``signature`` marks with -1."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    signature: tuple[int, ...] | None = None
    data: Array | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Operation:
    """One operation: the name of its builtin operator, tensor indices (-1 for an absent input), its options table."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str = ""
    values: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass
class SubGraph:
    """Tensors, and operations in the order in which they run."""

    name: str
    tensors: list[Tensor] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


@dataclass
class Model:
    """Subgraphs, the first of which is the model; the names of its inputs and outputs make the signature."""

    subgraphs: list[SubGraph]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
