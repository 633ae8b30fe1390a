"""Broken TFLite files: cuts, flips, and fields of a sound file overwritten, found by way of the schema's accessors."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import tflite

from mconv.backends.tflite import writer
from mconv.backends.tflite.model import Model, Operation, Quantization, SubGraph, Tensor
from mconv.frontends.tflite.schema import fields
from mconv.ir import DType

from .case import HARMLESS_TOO, REFUSED, Case, file

FILE = "model.tflite"
HUGE = 2**31 - 1


def _tensor(name: str, *shape: int, data: Any = None, quantization: Quantization | None = None) -> Tensor:
    dtype = DType.F32 if data is None else DType.of(np.asarray(data).dtype)
    return Tensor(name, dtype, shape, None, data, quantization)


def _ints(name: str, *numbers: int) -> Tensor:
    return _tensor(name, len(numbers), data=np.array(numbers, np.int32))


def network(**changes: Any) -> Model:
    """A convolution, a pool, a reshape, a product and a softmax over a picture of 8 by 8."""
    chance = np.random.default_rng(1)
    numbers = lambda *shape: chance.standard_normal(shape).astype(np.float32)  # noqa: E731
    tensors = [
        _tensor("picture", 1, 8, 8, 3),
        _tensor("filters", 4, 3, 3, 3, data=numbers(4, 3, 3, 3)),
        _tensor("bias", 4, data=numbers(4)),
        _tensor("features", 1, 8, 8, 4),
        _tensor("pooled", 1, 4, 4, 4),
        _ints("shape", 1, 64),
        _tensor("flat", 1, 64),
        _tensor("weights", 5, 64, data=numbers(5, 64)),
        _tensor("offsets", 5, data=numbers(5)),
        _tensor("scores", 1, 5),
        _tensor("parts", 1, 5),
    ]
    window = {"Padding": 0, "StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2}
    operations = [
        Operation("CONV_2D", 1, (0, 1, 2), (3,), "Conv2DOptions", {"Padding": 0, "StrideW": 1, "StrideH": 1}),
        Operation("MAX_POOL_2D", 1, (3,), (4,), "Pool2DOptions", window),
        Operation("RESHAPE", 1, (4, 5), (6,), "ReshapeOptions", {"NewShape": (1, 64)}),
        Operation("FULLY_CONNECTED", 1, (6, 7, 8), (9,), "FullyConnectedOptions", {}),
        Operation("SOFTMAX", 1, (9,), (10,), "SoftmaxOptions", {"Beta": 1.0}),
    ]
    graph = SubGraph("main", tensors, operations, [0], [10])
    for name, change in changes.items():
        change(getattr(graph, name))
    return Model([graph], ("picture",), ("parts",))


def loop(body_calls: int = 2) -> Model:
    """WHILE i < 4: i + 1; ``body_calls`` is the subgraph that it names as its body."""
    number = lambda name: Tensor(name, DType.I32, ())  # noqa: E731
    one, four = (Tensor(n, DType.I32, (), None, np.array(v, np.int32)) for n, v in (("one", 1), ("four", 4)))
    going = Operation("WHILE", 1, (0,), (1,), "WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": body_calls})
    main = SubGraph("main", [number("i"), number("n")], [going], [0], [1])
    less = Operation("LESS", 1, (0, 1), (2,), "LessOptions", {})
    condition = SubGraph("condition", [number("i"), four, Tensor("go", DType.BOOL, ())], [less], [0], [2])
    more = Operation("ADD", 1, (0, 1), (2,), "AddOptions", {})
    body = SubGraph("body", [number("i"), one, number("n")], [more], [0], [2])
    return Model([main, condition, body], ("i",), ("n",))


def integers() -> Model:
    """A convolution of 8-bit integers with scales for each filter."""
    chance = np.random.default_rng(2)
    filters = chance.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    bias = chance.integers(-999, 999, 4).astype(np.int32)
    scales = (0.01, 0.02, 0.03, 0.04)
    tensors = [
        Tensor("picture", DType.I8, (1, 8, 8, 3), None, None, Quantization((0.02,), (3,))),
        Tensor("filters", DType.I8, (4, 3, 3, 3), None, filters, Quantization(scales, (0,) * 4)),
        Tensor("bias", DType.I32, (4,), None, bias, Quantization(tuple(s * 0.02 for s in scales), (0,) * 4)),
        Tensor("features", DType.I8, (1, 8, 8, 4), None, None, Quantization((0.05,), (-7,))),
    ]
    conv = Operation("CONV_2D", 3, (0, 1, 2), (3,), "Conv2DOptions", {"Padding": 0, "StrideW": 1, "StrideH": 1})
    return Model([SubGraph("main", tensors, [conv], [0], [3])], ("picture",), ("features",))


def _bytes(model: Model) -> bytes:
    """The file; also of operators that the writer does not know the age of."""
    with mock.patch.object(writer, "runtime_version", return_value="2.0.0"):
        return bytes(writer.to_bytes(model))


@cache
def bases() -> Mapping[str, bytes]:
    """The sound files."""
    return {name: _bytes(m) for name, m in (("network", network()), ("loop", loop()), ("integers", integers()))}


# Overwriting fields --------------------------------------------------------------------------------------------


class Editor:
    """The bytes of a file, and where its fields are."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.model = tflite.Model.GetRootAs(self.data, 0)
        self.graph = self.model.Subgraphs(0)

    def place(self, table: Any, name: str) -> int:
        """Where a field of a table lies: a number, or the way to what it points to."""
        slot = 4 + 2 * fields(type(table).__name__).index(name)
        offset = table._tab.Offset(slot)
        assert offset, f"{name} is not in the file"
        return int(table._tab.Pos + offset)

    def vector(self, table: Any, name: str) -> int:
        """Where a vector begins, with its length."""
        place = self.place(table, name)
        return int(place + struct.unpack_from("<I", self.data, place)[0])

    def put(self, place: int, number: int, form: str = "<i") -> None:
        """Overwrite a number."""
        struct.pack_into(form, self.data, place, number)

    def slot(self, table: Any, name: str, number: int) -> None:
        """Let a table's vtable say that a field lies ``number`` bytes into the table."""
        start = table._tab.Pos - struct.unpack_from("<i", self.data, table._tab.Pos)[0]
        self.put(start + 4 + 2 * fields(type(table).__name__).index(name), number, "<H")


Edit = Callable[[Editor], None]


def _field(find: Callable[[Editor], Any], name: str, number: int, form: str = "<i") -> Edit:
    return lambda e: e.put(e.place(find(e), name), number, form)


def _length(find: Callable[[Editor], Any], name: str, number: int) -> Edit:
    return lambda e: e.put(e.vector(find(e), name), number, "<I")


def _item(find: Callable[[Editor], Any], name: str, index: int, number: int) -> Edit:
    return lambda e: e.put(e.vector(find(e), name) + 4 + 4 * index, number)


def _model(e: Editor) -> Any:
    return e.model


def _graph(e: Editor) -> Any:
    return e.graph


def _conv(e: Editor) -> Any:
    return e.graph.Operators(0)


def _options(e: Editor) -> Any:
    made = tflite.Conv2DOptions()
    union = e.graph.Operators(0).BuiltinOptions()
    made.Init(union.Bytes, union.Pos)
    return made


def _picture(e: Editor) -> Any:
    return e.graph.Tensors(0)


def _filters(e: Editor) -> Any:
    return e.graph.Tensors(1)


def _scales(e: Editor) -> Any:
    return e.graph.Tensors(1).Quantization()


def _weights(e: Editor) -> Any:
    return e.model.Buffers(e.graph.Tensors(1).Buffer())


def _code(e: Editor) -> Any:
    return e.model.OperatorCodes(0)


def _all_to_one(name: str) -> Edit:
    """Let every table of a vector be the first one's neighbour: the same bytes again and again."""

    def edit(e: Editor) -> None:
        start = e.vector(e.graph, name)
        count = struct.unpack_from("<I", e.data, start)[0]
        target = start + 4 + struct.unpack_from("<I", e.data, start + 4)[0]
        for i in range(count):
            place = start + 4 + 4 * i
            e.put(place, target - place, "<I")

    return edit


def _vtable(find: Callable[[Editor], Any], number: int) -> Edit:
    return lambda e: e.put(find(e)._tab.Pos, number)


EDITS: dict[str, Edit] = {
    "another identifier": lambda e: e.data.__setitem__(slice(4, 8), b"TFL2"),
    "a root behind the end": lambda e: e.put(0, 10**9, "<I"),
    "a root at the end": lambda e: e.put(0, len(e.data) - 2, "<I"),
    "a root within itself": lambda e: e.put(0, 0, "<I"),
    "a vtable before the file": _vtable(_model, HUGE),
    "a vtable behind the file": _vtable(_model, -HUGE),
    "a vtable that is the table": _vtable(_model, 0),
    "a subgraph's vtable before the file": _vtable(_graph, HUGE),
    "an operator's vtable elsewhere": _vtable(_conv, -9),
    "options with a vtable elsewhere": _vtable(_options, 12345),
    "a vtable slot out of its table": lambda e: e.slot(e.graph, "Tensors", 65535),
    "a vtable slot into the vtable": lambda e: e.slot(e.graph, "Operators", 1),
    "2^32 - 1 subgraphs": _length(_model, "Subgraphs", 2**32 - 1),
    "no subgraph": _length(_model, "Subgraphs", 0),
    "subgraphs far away": _field(_model, "Subgraphs", HUGE),
    "2^30 tensors": _length(_graph, "Tensors", 2**30),
    "a million tensors": _length(_graph, "Tensors", 10**6),
    "no tensors": _length(_graph, "Tensors", 0),
    "tensors behind the end": _field(_graph, "Tensors", 10**8),
    "2^30 operators": _length(_graph, "Operators", 2**30),
    "no operators": _length(_graph, "Operators", 0),
    "2^31 inputs": _length(_graph, "Inputs", 2**31),
    "no outputs": _length(_graph, "Outputs", 0),
    "an input that is no tensor": _item(_graph, "Inputs", 0, 99),
    "an input of index -1": _item(_graph, "Inputs", 0, -1),
    "an output that is no tensor": _item(_graph, "Outputs", 0, HUGE),
    "an output that nobody makes": _item(_graph, "Inputs", 0, 10),
    "2^28 buffers": _length(_model, "Buffers", 2**28),
    "no buffers": _length(_model, "Buffers", 0),
    "a buffer that is not there": _field(_filters, "Buffer", 77, "<I"),
    "a buffer of index 2^32 - 1": _field(_filters, "Buffer", 2**32 - 1, "<I"),
    "another tensor's buffer": _field(_filters, "Buffer", 2, "<I"),
    "a buffer of 2^32 - 1 bytes": _length(_weights, "Data", 2**32 - 1),
    "a buffer of 3 bytes": _length(_weights, "Data", 3),
    "a buffer of nothing": _length(_weights, "Data", 0),
    "a buffer behind the end": _field(_weights, "Data", HUGE),
    "an operator code that is not there": _field(_conv, "OpcodeIndex", 1000, "<I"),
    "an operator code of 2^32 - 1": _field(_conv, "OpcodeIndex", 2**32 - 1, "<I"),
    "no operator codes": _length(_model, "OperatorCodes", 0),
    **{
        f"operator {name}": _field(_code, "BuiltinCode", getattr(tflite.BuiltinOperator, name))
        for name in ("HASHTABLE", "SVDF", "RFFT2D", "STABLEHLO_WHILE", "CALL", "DELEGATE")
    },
    "an unknown operator": _field(_code, "BuiltinCode", 9999),
    "a custom operator without a name": _field(_code, "BuiltinCode", 32),
    "another operator of the same operands": _field(_code, "BuiltinCode", 17),
    "an operator of other options": _field(_code, "BuiltinCode", 14),
    "options of an unknown table": _field(_conv, "BuiltinOptionsType", 250, "<B"),
    "options of another table": _field(_conv, "BuiltinOptionsType", 8, "<B"),
    "options behind the end": _field(_conv, "BuiltinOptions", HUGE),
    "2^30 operands": _length(_conv, "Inputs", 2**30),
    "no operands": _length(_conv, "Inputs", 0),
    "an operand that is no tensor": _item(_conv, "Inputs", 0, 12),
    "an operand of index -5": _item(_conv, "Inputs", 0, -5),
    "an absent operand": _item(_conv, "Inputs", 0, -1),
    "its own result as operand": _item(_conv, "Inputs", 0, 3),
    "a later result as operand": _item(_conv, "Inputs", 0, 9),
    "a constant as result": _item(_conv, "Outputs", 0, 1),
    "the input as result": _item(_conv, "Outputs", 0, 0),
    "a result that is no tensor": _item(_conv, "Outputs", 0, -7),
    "no results": _length(_conv, "Outputs", 0),
    "a result that another makes": _item(_conv, "Outputs", 0, 6),
    "strides of 0": _field(_options, "StrideW", 0),
    "strides of -1": _field(_options, "StrideW", -1),
    "strides of 2^31 - 1": _field(_options, "StrideH", HUGE),
    "a padding that means nothing": _field(_options, "Padding", 9, "<b"),
    "a shape of 2^30 axes": _length(_picture, "Shape", 2**30),
    "a shape of 9 axes": _length(_picture, "Shape", 9),
    "a scalar picture": _length(_picture, "Shape", 0),
    "a negative size": _item(_picture, "Shape", 1, -8),
    "a size of 2^31 - 1": _item(_picture, "Shape", 1, HUGE),
    "a picture of nothing": _item(_picture, "Shape", 1, 0),
    "another number of channels": _item(_picture, "Shape", 3, 4),
    "filters of negative size": _item(_filters, "Shape", 0, -4),
    "filters of 2^31 - 1": _item(_filters, "Shape", 0, HUGE),
    "filters of another size": _item(_filters, "Shape", 0, 3),
    "a name of 2^32 - 1 letters": _length(_picture, "Name", 2**32 - 1),
    "a name behind the end": _field(_picture, "Name", HUGE),
    "letters outside of UTF-8": lambda e: e.put(e.vector(_picture(e), "Name") + 4, -1),
    "a picture of strings": _field(_picture, "Type", 5, "<b"),
    "a picture of complex numbers": _field(_picture, "Type", 8, "<b"),
    "a picture of a resource": _field(_picture, "Type", 13, "<b"),
    "a picture of an unknown type": _field(_picture, "Type", 99, "<b"),
    "filters of bytes": _field(_filters, "Type", 9, "<b"),
    "all operators the same": _all_to_one("Operators"),
    "all tensors the same": _all_to_one("Tensors"),
    "signatures behind the end": _field(_model, "SignatureDefs", HUGE),
    "2^31 signatures": _length(_model, "SignatureDefs", 2**31),
}
SCALES: dict[str, Edit] = {
    "2^30 scales": _length(_scales, "Scale", 2**30),
    "three scales for four filters": _length(_scales, "Scale", 3),
    "three zero points": _length(_scales, "ZeroPoint", 3),
    "a zero point of 2^40": lambda e: e.put(e.vector(_scales(e), "ZeroPoint") + 4, 2**40, "<q"),
    "a scale that is no number": _item(_scales, "Scale", 0, 0x7FC00000),
    "an infinite scale": _item(_scales, "Scale", 1, 0x7F800000),
    "a negative scale": _item(_scales, "Scale", 2, -0x40800000),
    "scales along axis 9": _field(_scales, "QuantizedDimension", 9),
    "scales along axis -1": _field(_scales, "QuantizedDimension", -1),
    "scales behind the end": _field(_scales, "Scale", HUGE),
    "a bias of bytes": _field(lambda e: e.graph.Tensors(2), "Type", 9, "<b"),
    "a picture without scale": _length(lambda e: e.graph.Tensors(0).Quantization(), "Scale", 0),
}


def _edited(base: str, edit: Edit) -> bytes:
    editor = Editor(bases()[base])
    edit(editor)
    return bytes(editor.data)


def _graphs() -> Iterator[tuple[str, Model]]:
    """Models that are written as they should, and make no sense."""
    yield "a body that calls itself", loop(0)
    yield "a body that is not there", loop(7)
    yield "a body of index -1", loop(-1)
    yield "the condition as body", loop(1)
    relu = Operation("RELU", 1, (4,), (3,))
    yield "a result made twice", network(operations=lambda ops: ops.append(relu))
    yield "operators out of order", network(operations=lambda ops: ops.reverse())
    pads = _tensor("pads", 2, 2, data=np.array([[0, 0], [0, HUGE]], np.int32))
    yield "a pad of 2^31", _with(pads, lambda at: Operation("PAD", 1, (9, at), (10,)))
    for text, numbers in (("a tile of 2^31", (1, HUGE)), ("a tile of -1", (1, -1)), ("a tile of one axis", (2,))):
        yield text, _with(_ints("n", *numbers), lambda at: Operation("TILE", 1, (9, at), (10,)))
    for text, numbers in (
        ("a shape of 2^62", (HUGE, HUGE)),
        ("two -1 in a shape", (-1, -1)),
        ("a shape of -2", (-2, 5)),
    ):
        yield text, _with(_ints("n", *numbers), lambda at: Operation("RESHAPE", 1, (9, at), (10,)))
    yield "an order of axes that is none", _with(_ints("n", 0, 0), lambda at: Operation("TRANSPOSE", 1, (9, at), (10,)))
    yield "a gather outside", _with(_ints("n", 99, -99), lambda at: Operation("GATHER", 1, (9, at), (10,)))
    yield (
        "sizes of 2^31",
        _with(
            _ints("n", HUGE, HUGE),
            lambda at: Operation("RESIZE_BILINEAR", 1, (4, at), (10,), "ResizeBilinearOptions", {}),
        ),
    )
    blocks = _ints("n", 0, 0)
    yield "blocks of nothing", _with(blocks, lambda at: Operation("SPACE_TO_BATCH_ND", 1, (4, at, at), (10,)))
    yield "a fill of 2^62", _with(_ints("n", HUGE, HUGE), lambda at: Operation("FILL", 1, (at, 8), (10,)))


def _with(extra: Tensor, operation: Callable[[int], Operation]) -> Model:
    """The network whose softmax is another operation, on one more constant."""
    found = network(tensors=lambda tensors: tensors.append(extra))
    graph = found.subgraphs[0]
    graph.operations[-1] = operation(len(graph.tensors) - 1)
    return found


def flat() -> Iterator[Case]:
    """All cases of .tflite."""
    for base, count in (("network", 25), ("loop", 10)):
        data = bases()[base]
        for i in range(count):
            yield file("tflite cut", f"{base}, {len(data) * i // count} bytes", data[: len(data) * i // count], FILE)
    for base, data in bases().items():
        chance = random.Random(base)
        for i in range(20):
            yield file("tflite flipped bits", f"{base} {i}", _flipped(data, chance), FILE, statuses=HARMLESS_TOO)
    for name, edit in EDITS.items():
        yield file("tflite field", name, _edited("network", edit), FILE, statuses=STATUSES.get(name, REFUSED))
    for name, edit in SCALES.items():
        yield file("tflite scales", name, _edited("integers", edit), FILE)
    for name, model in _graphs():
        yield file("tflite graph", name, _bytes(model), FILE)
    many = network(operations=lambda ops: ops.extend(Operation("RELU", 1, (9,), (10,)) for _ in range(10_000)))
    yield file("tflite graph", "10,000 operators with one result", _bytes(many), FILE)
    yield file("tflite field", "an empty table behind the identifier", b"\x08\0\0\0TFL3" + bytes(8), FILE)
    yield file("tflite field", "noise behind the identifier", _noise(), FILE)


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 3, 9))):
        near = chance.randrange(min(1500, len(data)))
        broken[near if chance.random() < 0.8 else chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _noise() -> bytes:
    return b"\x1c\0\0\0TFL3" + random.Random(9).randbytes(4096)


STATUSES = {"letters outside of UTF-8": frozenset({0})}
"""For edits that leave a sound model."""
