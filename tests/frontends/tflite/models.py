"""Small TFLite files for tests, written with the schema's object API, and what they must agree with: LiteRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from mconv import frontends, load
from mconv.ir import Graph
from mconv.ir.interpreter import run
from mconv.ir.verify import verify

schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")

NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
TYPES = {
    "float32": "FLOAT32", "float16": "FLOAT16", "float64": "FLOAT64", "int8": "INT8", "uint8": "UINT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "bool": "BOOL", "uint16": "UINT16", "uint32": "UINT32",
}  # fmt: skip

Scales = tuple[Any, Any] | tuple[Any, Any, int]
"""Scale and zero point, or lists of them with their axis."""


@dataclass
class In:
    """An input. ``low`` and ``high`` bound its random numbers."""

    shape: Sequence[int]
    dtype: str = "float32"
    scales: Scales | None = None
    low: float = -2.0
    high: float = 2.0
    unknown: tuple[int, ...] = ()
    """Axes whose size the file does not tell."""


@dataclass
class C:
    """A constant."""

    data: Any
    scales: Scales | None = None
    sparsity: Any = None
    type: str = ""

    @property
    def array(self) -> np.ndarray:
        return np.asarray(self.data)


@dataclass
class State:
    """A tensor that the runtime keeps."""

    shape: Sequence[int]


@dataclass
class Out:
    """A result."""

    shape: Sequence[int]
    dtype: str = "float32"
    scales: Scales | None = None


Operand = In | C | State | None


class Net:
    """A file under construction; tensors are added to its newest subgraph."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.subgraphs, self.model.buffers = [], [], [schema.BufferT()]
        self.inputs: dict[str, In] = {}
        self.subgraph()

    def subgraph(self) -> int:
        """A new subgraph, and its index."""
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs.append(self.graph)
        return len(self.model.subgraphs) - 1

    def tensor(self, what: In | C | State | Out, name: str = "") -> int:
        """A tensor, and its index."""
        t = schema.TensorT()
        index = len(self.graph.tensors)
        t.name = (name or f"t{index}").encode()
        t.buffer = 0
        if isinstance(what, C):
            t.shape, t.type = list(what.array.shape), what.type or TYPES[what.array.dtype.name]
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(what.array).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
            t.sparsity = what.sparsity
            if what.type:
                t.shape = [int(np.prod(what.array.shape)) * 2]
        else:
            t.shape = list(what.shape)
            t.type = TYPES["float32" if isinstance(what, State) else what.dtype]
        t.type = getattr(schema.TensorType, t.type)
        t.isVariable = isinstance(what, State)
        t.hasRank = True
        scales = None if isinstance(what, State) else what.scales
        if scales is not None:
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale = np.atleast_1d(np.asarray(scales[0], np.float32))
            t.quantization.zeroPoint = np.atleast_1d(np.asarray(scales[1], np.int64))
            t.quantization.quantizedDimension = scales[2] if len(scales) > 2 else 0
        if isinstance(what, In) and what.unknown:
            t.shapeSignature = [-1 if a in what.unknown else d for a, d in enumerate(what.shape)]
        self.graph.tensors.append(t)
        return index

    def input(self, what: In, name: str) -> int:
        """A tensor that is an input of the subgraph."""
        index = self.tensor(what, name)
        self.graph.inputs.append(index)
        if len(self.model.subgraphs) == 1:
            self.inputs[name] = what
        return index

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], table: str = "", version: int = 1,
           custom: str = "", **options: Any) -> None:  # fmt: skip
        """An operator; ``table`` is the name of its options."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        if custom:
            code.customCode = custom
        self.model.operatorCodes.append(code)
        o = schema.OperatorT()
        o.opcodeIndex = len(self.model.operatorCodes) - 1
        o.inputs, o.outputs = list(inputs), list(outputs)
        if table:
            made = getattr(schema, f"{table}T")()
            for field, value in options.items():
                assert hasattr(made, field), field
                setattr(made, field, value)
            first = hasattr(schema.BuiltinOptions, table)
            union = schema.BuiltinOptions if first else schema.BuiltinOptions2
            setattr(o, "builtinOptionsType" if first else "builtinOptions2Type", getattr(union, table))
            setattr(o, "builtinOptions" if first else "builtinOptions2", made)
        self.graph.operators.append(o)

    def bytes(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def write(self, folder: Path) -> Path:
        """The file, written."""
        path = folder / "model.tflite"
        path.write_bytes(self.bytes())
        return path


def single(
    name: str, operands: Sequence[Operand], outs: Sequence[Out], table: str = "", version: int = 1, **options: Any
) -> Net:
    """A model of one operator; its inputs are x0, x1, ..., its outputs y0, y1, ..."""
    net = Net()
    places = []
    for index, each in enumerate(operands):
        if each is None:
            places.append(-1)
        elif isinstance(each, In):
            places.append(net.input(each, f"x{index}"))
        else:
            places.append(net.tensor(each, f"c{index}"))
    results = [net.tensor(out, f"y{i}") for i, out in enumerate(outs)]
    net.op(name, places, results, table, version, **options)
    net.graph.outputs = results
    return net


def feeds_of(inputs: Mapping[str, In], seed: int = 0) -> dict[str, np.ndarray]:
    """Random numbers for the inputs."""
    chance = np.random.default_rng(seed)
    found = {}
    for name, each in inputs.items():
        kind = np.dtype(each.dtype)
        if kind.kind == "f":
            found[name] = chance.uniform(each.low, each.high, each.shape).astype(kind)
        elif kind.kind == "b":
            found[name] = chance.integers(0, 2, each.shape).astype(bool)
        elif each.scales is not None:
            info = np.iinfo(kind)
            found[name] = chance.integers(info.min, info.max, each.shape, endpoint=True).astype(kind)
        else:
            found[name] = chance.integers(int(each.low), int(each.high) + 1, each.shape).astype(kind)
    return found


def litert(path: Path, feeds: Mapping[str, np.ndarray], outputs: Sequence[str], *, delegate: bool = True) -> Any:
    """What LiteRT computes, by name."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=kind)
    places = {d["name"]: d["index"] for d in interpreter.get_input_details()}
    for name, array in feeds.items():
        interpreter.resize_tensor_input(places[name], array.shape)
    interpreter.allocate_tensors()
    for name, array in feeds.items():
        interpreter.set_tensor(places[name], array)
    interpreter.invoke()
    ends = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    return {name: np.array(interpreter.get_tensor(ends[name])) for name in outputs}


def agree(net: Net, folder: Path, *, rtol: float = 2e-6, steps: int = 0, delegate: bool = True, seed: int = 0,
          feeds: Mapping[str, np.ndarray] | None = None) -> Graph:  # fmt: skip
    """The graph that is read, after checking that it computes what LiteRT does, also once it is simplified.

    ``rtol`` is relative to the largest number of an output; ``steps`` is what integers with a scale may be apart.
    """
    path = net.write(folder)
    graph = frontends.load(path)
    verify(graph)
    given = feeds_of(net.inputs, seed) if feeds is None else feeds
    wanted = litert(path, given, graph.output_names, delegate=delegate)
    for each in (graph, load(path)):
        found = run(each, given)
        for name, array in wanted.items():
            same(found[name], array, rtol, steps, name)
    return graph


def same(found: np.ndarray, wanted: np.ndarray, rtol: float, steps: int, name: str) -> None:
    """Of one type and shape, and close."""
    assert found.dtype == wanted.dtype, name
    assert found.shape == wanted.shape, name
    if wanted.dtype.kind == "f":
        top = np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-30)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * top, err_msg=name)
    else:
        apart = np.abs(found.astype(np.int64) - wanted.astype(np.int64))
        assert apart.max(initial=0) <= steps, f"{name}: {apart.max()} steps"
