"""Broken and hostile GraphDefs of TensorFlow: cuts, flips, wiring, sizes, functions, loops; made without TensorFlow."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mconv.frontends.tensorflow.proto import messages

from .case import HARMLESS_TOO, Case, file

FILE = "model.pb"
HUGE = 2**62
_TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10}


class Defs:
    """A GraphDef under construction."""

    def __init__(self) -> None:
        self.message = messages["GraphDef"]()
        self.message.versions.producer = 1000

    def node(self, name: str, op: str, *inputs: str, into: Any = None, **attributes: Any) -> str:
        """Add a node (to the main graph, or ``into`` a function) and return its name."""
        made = self.message.node.add() if into is None else into.node_def.add()
        made.name, made.op = name, op
        made.input.extend(inputs)
        for key, value in attributes.items():
            _set(made.attr[key], value)
        return name

    def input(self, *shape: int, name: str = "x", dtype: int = 1) -> str:
        """Add a Placeholder."""
        return self.node(name, "Placeholder", dtype=Type(dtype), shape=shape)

    def constant(self, name: str, data: Any, **more: Any) -> str:
        """Add a Const."""
        array = np.asarray(data)
        return self.node(name, "Const", value=array, dtype=Type(_TYPES[str(array.dtype)]), **more)

    def function(self, name: str, arguments: Sequence[str], results: dict[str, str]) -> Any:
        """Add a function; its nodes are added with ``into``."""
        made = self.message.library.function.add()
        made.signature.name = name
        for argument in arguments:
            made.signature.input_arg.add(name=argument, type=1)
        for result, source in results.items():
            made.signature.output_arg.add(name=result, type=1)
            made.ret[result] = source
        return made

    def bytes(self) -> bytes:
        """The file."""
        data: bytes = self.message.SerializeToString(deterministic=True)
        return data


class Type(int):
    """TensorFlow's number of an element type, as an attribute."""


class Function(str):
    """A function's name, as an attribute."""

    __slots__ = ()


def _set(attribute: Any, value: Any) -> None:
    if isinstance(value, Type):
        attribute.type = value
    elif isinstance(value, Function):
        attribute.func.name = value
    elif isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        attribute.i = value
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, str):
        attribute.s = value.encode()
    elif isinstance(value, tuple):
        attribute.shape.SetInParent()
        for size in value:
            attribute.shape.dim.add(size=size)
    elif isinstance(value, list):
        attribute.list.SetInParent()
        attribute.list.i.extend(value)
    elif isinstance(value, np.ndarray):
        attribute.tensor.dtype = _TYPES[str(value.dtype)]
        attribute.tensor.tensor_shape.SetInParent()
        for size in value.shape:
            attribute.tensor.tensor_shape.dim.add(size=size)
        attribute.tensor.tensor_content = value.tobytes()
    else:
        attribute.CopyFrom(value)


def network() -> Defs:
    """A convolution, a batch norm, a pool, a reshape, a product and a softmax over a picture of 8 by 8."""
    chance = np.random.default_rng(1)
    numbers = lambda *shape: chance.standard_normal(shape).astype(np.float32)  # noqa: E731
    d = Defs()
    d.input(1, 8, 8, 3)
    d.constant("filters", numbers(3, 3, 3, 4))
    d.node("conv", "Conv2D", "x", "filters", T=Type(1), strides=[1, 1, 1, 1], padding="SAME", data_format="NHWC")
    for name in ("gamma", "beta", "mean"):
        d.constant(name, numbers(4))
    d.constant("variance", np.abs(numbers(4)) + 1)
    d.node("norm", "FusedBatchNormV3", "conv", "gamma", "beta", "mean", "variance", T=Type(1), U=Type(1),
           is_training=False, epsilon=0.001)  # fmt: skip
    d.node("relu", "Relu", "norm", T=Type(1))
    d.node("pool", "MaxPool", "relu", T=Type(1), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
    d.constant("shape", np.array([1, 64], np.int32))
    d.node("flat", "Reshape", "pool", "shape", T=Type(1), Tshape=Type(3))
    d.constant("weights", numbers(64, 5))
    d.node("product", "MatMul", "flat", "weights", T=Type(1))
    d.node("scores", "Softmax", "product", T=Type(1))
    return d


def counting() -> Defs:
    """A While of functions, a call, and TensorFlow 1's loop over the same numbers."""
    d = Defs()
    d.input(2, 3)
    d.constant("zero", np.int32(0))
    less = d.function("less", ["i", "a"], {"go": "go:z:0"})
    d.node("limit", "Const", into=less, value=np.array(4, np.int32), dtype=Type(3))
    d.node("go", "Less", "i", "limit:output:0", into=less, T=Type(3))
    turn = d.function("turn", ["i", "a"], {"j": "j:z:0", "b": "b:z:0"})
    d.node("one", "Const", into=turn, value=np.array(1, np.int32), dtype=Type(3))
    d.node("j", "AddV2", "i", "one:output:0", into=turn, T=Type(3))
    d.node("b", "AddV2", "a", "a", into=turn, T=Type(1))
    d.node("while", "StatelessWhile", "zero", "x", cond=Function("less"), body=Function("turn"))
    d.constant("one", np.int32(1))
    d.constant("four", np.int32(4))
    for name, source in (("i", "zero"), ("a", "while:1")):
        d.node(f"enter_{name}", "Enter", source, frame_name="frame", is_constant=False)
        d.node(f"merge_{name}", "Merge", f"enter_{name}", f"next_{name}")
        d.node(f"switch_{name}", "Switch", f"merge_{name}", "cond")
        d.node(f"exit_{name}", "Exit", f"switch_{name}")
    for name in ("one", "four"):
        d.node(f"enter_{name}", "Enter", name, frame_name="frame", is_constant=True)
    d.node("less", "Less", "merge_i", "enter_four", T=Type(3))
    d.node("cond", "LoopCond", "less")
    d.node("add", "AddV2", "switch_i:1", "enter_one", T=Type(3))
    d.node("double", "AddV2", "switch_a:1", "switch_a:1", T=Type(1))
    d.node("next_i", "NextIteration", "add")
    d.node("next_a", "NextIteration", "double")
    d.node("out", "Identity", "exit_a", T=Type(1))
    return d


# Cases -------------------------------------------------------------------------------------------------------


def graphdefs() -> Iterator[Case]:
    """Every case of this module."""
    yield from _bytes()
    for kind, table in (("tensorflow wiring", _WIRING), ("tensorflow tensor", _TENSORS), ("tensorflow node", _NODES),
                        ("tensorflow function", _FUNCTIONS), ("tensorflow loop", _LOOPS)):  # fmt: skip
        for name, make in table.items():
            d = make()
            case = file(kind, name, d if isinstance(d, bytes) else d.bytes(), FILE)
            yield _quick(case) if name in _HARMLESS else case
    yield from _options()


def _bytes() -> Iterator[Case]:
    for name, data in (("network", network().bytes()), ("loops", counting().bytes())):
        for i in range(1, 13):
            length = len(data) * i // 13
            yield _quick(file("tensorflow cut", f"{name}, {length} of {len(data)} bytes", data[:length], FILE))
        chance = random.Random(name)
        for i in range(25):
            broken = bytearray(data)
            for _ in range(chance.choice((1, 3, 9))):
                broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            yield _quick(file("tensorflow flips", f"{name} {i}", bytes(broken), FILE))


def _quick(case: Case) -> Case:
    """A case that may be harmless, and then is not compared: TensorFlow alone takes longer than a case may."""
    return Case(case.kind, case.name, case.make, HARMLESS_TOO, ("--no-verify",))


def _changed(make: Callable[[], Defs], change: Callable[[dict[str, Any], Defs], Any]) -> Callable[[], Defs]:
    def build() -> Defs:
        d = make()
        change({n.name: n for n in d.message.node}, d)
        return d

    return build


def _input(node: str, index: int, text: str) -> Callable[[], Defs]:
    def change(nodes: dict[str, Any], d: Defs) -> None:
        nodes[node].input[index] = text

    return _changed(network, change)


def _without(node: str) -> Callable[[], Defs]:
    def change(nodes: dict[str, Any], d: Defs) -> None:
        kept = [n for name, n in nodes.items() if name != node]
        copies = [messages["NodeDef"].FromString(n.SerializeToString()) for n in kept]
        del d.message.node[:]
        d.message.node.extend(copies)

    return _changed(network, change)


def _twice() -> Defs:
    d = network()
    d.node("relu", "Relu", "conv", T=Type(1))
    return d


def _circle() -> Defs:
    d = Defs()
    d.input(1)
    d.node("a", "Add", "x", "b", T=Type(1))
    d.node("b", "Add", "a", "x", T=Type(1))
    d.node("out", "Identity", "b", T=Type(1))
    return d


def _chain(length: int, op: str) -> Defs:
    d = Defs()
    last = d.input(2, -1)
    for i in range(length):
        last = d.node(f"n{i}", op, last, T=Type(1))
    d.node("out", "StringJoin", last)
    d.node("end", "Identity", "out", T=Type(7))
    return d


_WIRING: dict[str, Callable[[], Any]] = {
    "no such node": _input("relu", 0, "gone"),
    "no such result": _input("relu", 0, "conv:7"),
    "a result of 10^9": _input("relu", 0, "conv:1000000000"),
    "a negative result": _input("relu", 0, "conv:-1"),
    "an empty name": _input("relu", 0, ""),
    "a colon": _input("relu", 0, ":"),
    "itself": _input("relu", 0, "relu"),
    "an input that is left out": _without("x"),
    "weights that are left out": _without("filters"),
    "a name twice": _twice,
    "a circle": _circle,
    "3,000 nodes before one of strings": lambda: _chain(3000, "Relu"),
    "nothing": lambda: b"\x22\x02\x08\x7b",
    "only constants": lambda: _only(lambda d: d.constant("c", np.zeros(3, np.float32))),
    "only an input": lambda: _only(lambda d: d.input(3)),
}


def _only(fill: Callable[[Defs], Any]) -> Defs:
    d = Defs()
    fill(d)
    return d


def _tensor(node: str, **fields: Any) -> Callable[[], Defs]:
    def change(nodes: dict[str, Any], d: Defs) -> None:
        tensor = nodes[node].attr["value"].tensor
        for name, value in fields.items():
            if name == "shape":
                tensor.tensor_shape.ClearField("dim")
                for size in value:
                    tensor.tensor_shape.dim.add(size=size)
            elif isinstance(value, list):
                tensor.ClearField("tensor_content")
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return _changed(network, change)


_TENSORS: dict[str, Callable[[], Any]] = {
    "content too short": _tensor("filters", tensor_content=bytes(12)),
    "content too long": _tensor("filters", tensor_content=bytes(4096)),
    "no multiple of an element": _tensor("filters", tensor_content=bytes(1301)),
    "2^62 elements": _tensor("filters", shape=[HUGE]),
    "2^80 elements": _tensor("filters", shape=[2**40, 2**40]),
    "10^12 zeros": _tensor("filters", shape=[10**6, 10**6], float_val=[0.0]),
    "10^9 numbers filled up": _tensor("filters", shape=[10**9], float_val=[0.0, 1.0]),
    "negative sizes": _tensor("filters", shape=[-3, -3, 3, 4]),
    "an unknown rank": _changed(network, lambda n, d: setattr(
        n["filters"].attr["value"].tensor.tensor_shape, "unknown_rank", True)),
    "100 axes": _tensor("filters", shape=[1] * 100),
    "more numbers than elements": _tensor("shape", int_val=[1] * 9),
    "strings": _tensor("filters", dtype=7),
    "complex numbers": _tensor("filters", dtype=8),
    "no such type": _tensor("filters", dtype=77),
    "a negative type": _tensor("filters", dtype=-5),
    "a shape of 2^40": _changed(network, lambda n, d: setattr(
        n["shape"].attr["value"].tensor, "tensor_content", np.array([2**30, 2**30], np.int32).tobytes())),
    "no shape attribute at the input": _changed(network, lambda n, d: n["x"].attr.pop("shape")),
    "an input of 2^60": _changed(network, lambda n, d: _set(n["x"].attr["shape"], (2**20, 2**20, 2**20, 3))),
    "an input of strings": _changed(network, lambda n, d: _set(n["x"].attr["dtype"], Type(7))),
    "filters of another depth": _tensor("filters", shape=[3, 3, 2, 6]),
    "weights of another height": _tensor("weights", shape=[32, 10]),
}  # fmt: skip


def _attribute(node: str, name: str, value: Any) -> Callable[[], Defs]:
    def change(nodes: dict[str, Any], d: Defs) -> None:
        nodes[node].attr[name].Clear()
        _set(nodes[node].attr[name], value)

    return _changed(network, change)


def _op(node: str, op: str) -> Callable[[], Defs]:
    return _changed(network, lambda nodes, d: setattr(nodes[node], "op", op))


_NODES: dict[str, Callable[[], Any]] = {
    "no such operator": _op("relu", "Nonesuch"),
    "an operator without a name": _op("relu", ""),
    "code": _op("relu", "PyFunc"),
    "files": _op("relu", "ReadFile"),
    "a table": _op("relu", "HashTableV2"),
    "strings to numbers": _op("relu", "StringToNumber"),
    "random numbers": _op("relu", "RandomUniform"),
    "an assignment": _op("relu", "AssignVariableOp"),
    "a variable without value": _op("filters", "VarHandleOp"),
    "a data set": _op("relu", "IteratorGetNext"),
    "strides of nothing": _attribute("conv", "strides", []),
    "strides of 0": _attribute("conv", "strides", [1, 0, 0, 1]),
    "strides of 2^62": _attribute("conv", "strides", [1, HUGE, HUGE, 1]),
    "negative strides": _attribute("conv", "strides", [1, -1, -1, 1]),
    "strides of the batch": _attribute("conv", "strides", [2, 1, 1, 1]),
    "dilations of 2^62": _attribute("conv", "dilations", [1, HUGE, HUGE, 1]),
    "no such padding": _attribute("conv", "padding", "ROUND"),
    "explicit pads that are left out": _attribute("conv", "padding", "EXPLICIT"),
    "no such data format": _attribute("conv", "data_format", "HWCN"),
    "channels first of last": _attribute("conv", "data_format", "NCHW"),
    "an attribute that nobody knows": _attribute("conv", "rounding", 3),
    "an attribute of another kind": _attribute("conv", "strides", "one"),
    "a window of 2^62": _attribute("pool", "ksize", [1, HUGE, HUGE, 1]),
    "a window larger than the picture": _attribute("pool", "ksize", [1, 99, 99, 1]),
    "too few operands": _changed(network, lambda n, d: n["conv"].input.pop()),
    "too many operands": _changed(network, lambda n, d: n["relu"].input.append("conv")),
    "no operands": _changed(network, lambda n, d: n["scores"].ClearField("input")),
    "a matrix for a bias": _op("product", "BiasAdd"),
    "a loop's part by itself": _op("relu", "NextIteration"),
    "a Merge of one": _op("relu", "Merge"),
}


def _recursive(names: Sequence[str]) -> Defs:
    d = Defs()
    d.input(2)
    for i, name in enumerate(names):
        body = d.function(name, ["a"], {"y": "call:output:0"})
        d.node("call", "PartitionedCall", "a", into=body, f=Function(names[(i + 1) % len(names)]))
    d.node("out", "PartitionedCall", "x", f=Function(names[0]))
    return d


def _bomb(depth: int) -> Defs:
    """Functions that each call the next one twice."""
    d = Defs()
    d.input(2)
    for i in range(depth):
        body = d.function(f"f{i}", ["a"], {"y": "sum:z:0"})
        for side in "ab":
            if i + 1 < depth:
                d.node(side, "StatefulPartitionedCall", "a", into=body, f=Function(f"f{i + 1}"))
        ends = ("a:output:0", "b:output:0") if i + 1 < depth else ("a", "a")
        d.node("sum", "AddV2", *ends, into=body, T=Type(1))
    d.node("out", "StatefulPartitionedCall", "x", f=Function("f0"))
    return d


def _called(**change: Any) -> Defs:
    d = Defs()
    d.input(2)
    body = d.function("f", change.get("arguments", ["a"]), change.get("results", {"y": "y:y:0"}))
    d.node("y", "Relu", change.get("reads", "a"), into=body, T=Type(1))
    d.node("out", change.get("op", "PartitionedCall"), "x", f=Function(change.get("name", "f")))
    return d


_FUNCTIONS: dict[str, Callable[[], Any]] = {
    "itself": lambda: _recursive(["f"]),
    "a circle of three": lambda: _recursive(["f", "g", "h"]),
    "2^40 nodes": lambda: _bomb(40),
    "no such function": lambda: _called(name="g"),
    "no function at all": lambda: _called(name=""),
    "two arguments of one": lambda: _called(arguments=["a", "b"]),
    "no argument of one": lambda: _called(arguments=[]),
    "a result that is not there": lambda: _called(results={"y": "z:y:0"}),
    "a result without source": lambda: _called(results={"y": ""}),
    "a node that reads nothing": lambda: _called(reads="gone:y:0"),
    "a direct call of none": lambda: _called(op="g"),
}


def _loop(change: Callable[[dict[str, Any], Defs], Any]) -> Callable[[], Defs]:
    return _changed(counting, change)


def _rewire(node: str, index: int, text: str) -> Callable[[], Defs]:
    return _loop(lambda nodes, d: nodes[node].input.__setitem__(index, text))


_LOOPS: dict[str, Callable[[], Any]] = {
    "a condition of floats": _loop(lambda n, d: setattr(d.message.library.function[0].node_def[1], "op", "AddV2")),
    "a body that calls the loop": _loop(lambda n, d: _set(n["while"].attr["body"], Function("less"))),
    "no condition": _loop(lambda n, d: _set(n["while"].attr["cond"], Function("none"))),
    "a value fewer": _loop(lambda n, d: n["while"].input.pop()),
    "an Exit of nothing": _rewire("exit_a", 0, "enter_a"),
    "a Merge of two Enters": _rewire("merge_a", 1, "enter_i"),
    "a Switch of another Merge": _rewire("switch_a", 0, "merge_i"),
    "a NextIteration of the Exit": _rewire("next_a", 0, "exit_i"),
    "a condition from outside": _rewire("less", 1, "four"),
    "a LoopCond of a float": _rewire("cond", 0, "x"),
    "an Enter of its own Exit": _rewire("enter_a", 0, "exit_i"),
    "ever wider values": _rewire("next_a", 0, "x"),
    "a NextIteration of nothing": _loop(lambda n, d: n["next_a"].ClearField("input")),
    "an Enter of nothing": _loop(lambda n, d: n["enter_a"].ClearField("input")),
}
_HARMLESS = frozenset({"a condition from outside"})
"""A loop that a stricter reader would refuse, as TensorFlow does."""


def _options() -> Iterator[Case]:
    data = network().bytes()
    for name, options in {
        "an input that is not there": ("--inputs", "gone"),
        "an output that is not there": ("--outputs", "gone"),
        "a result that is not there": ("--outputs", "relu:3"),
        "an input behind the output": ("--inputs", "scores", "--outputs", "relu"),
        "an input that is left out": ("--inputs", "weights", "--outputs", "scores"),
        "a name of 5,000 letters": ("--outputs", "n" * 5000),
    }.items():
        case = file("tensorflow options", name, data, FILE)
        yield Case(case.kind, case.name, case.make, case.statuses, options)
