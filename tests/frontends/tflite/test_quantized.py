"""Tensors of integers that stand for real numbers, and constants stored in other ways than plain floats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv import frontends, load
from mconv.ir import ops
from mconv.ir.interpreter import run

from .models import C, In, Net, Out, agree, feeds_of, litert, same, schema, single

chance = np.random.default_rng(3)
IN, OUT = (0.02, 3), (0.05, -7)
IMAGE = In((2, 9, 8, 4), "int8", IN)


def i8(*shape: int, low: int = -127) -> np.ndarray:
    return chance.integers(low, 128, shape).astype(np.int8)


def i32(*shape: int, size: int = 3000) -> np.ndarray:
    return chance.integers(-size, size, shape).astype(np.int32)


SCALES = np.array([0.01, 0.02, 0.005, 0.012, 0.03, 0.008])
CONV = {"padding": 0, "strideH": 2, "strideW": 2}
Case = tuple[str, list[Any], list[Out], str, int, dict[str, Any], int]


def plain(name: str, table: str = "", version: int = 2, out: Any = OUT, steps: int = 1, **options: Any) -> Case:
    return (name, [In((3, 8), "int8", IN)], [Out((3, 8), "int8", out)], table, version, options, steps)


def moved(
    name: str, operands: list[Any], shape: Sequence[int], table: str = "", version: int = 2, **options: Any
) -> Case:
    return (name, [In((3, 8), "int8", IN), *operands], [Out(shape, "int8", IN)], table, version, options, 0)


CASES: list[Case] = [
    ("CONV_2D", [IMAGE, C(i8(6, 3, 3, 4), (SCALES, [0] * 6, 0)), C(i32(6), (SCALES * 0.02, [0] * 6, 0))],
     [Out((2, 5, 4, 6), "int8", OUT)], "Conv2DOptions", 3, {**CONV, "fusedActivationFunction": 1}, 1),
    ("DEPTHWISE_CONV_2D", [IMAGE, C(i8(1, 3, 3, 4), (SCALES[:4], [0] * 4, 3)),
                           C(i32(4), (SCALES[:4] * 0.02, [0] * 4, 0))],
     [Out((2, 5, 4, 4), "int8", OUT)], "DepthwiseConv2DOptions", 3, {**CONV, "depthMultiplier": 1}, 1),
    ("CONV_2D", [In((2, 9, 8, 4), "int16", (0.002, 0)), C(i8(6, 3, 3, 4), (SCALES, [0] * 6, 0)),
                 C(i32(6).astype(np.int64), (SCALES * 0.002, [0] * 6, 0))],
     [Out((2, 5, 4, 6), "int16", (0.005, 0))], "Conv2DOptions", 4, CONV, 1),
    ("CONV_2D", [In((2, 9, 8, 4), "uint8", (0.02, 120)), C(i8(6, 3, 3, 4).view(np.uint8), (0.01, 131)),
                 C(i32(6), (0.0002, 0))], [Out((2, 5, 4, 6), "uint8", (0.1, 100))], "Conv2DOptions", 1, CONV, 1),
    ("TRANSPOSE_CONV", [C(np.array([2, 18, 16, 6], np.int32)), C(i8(6, 3, 3, 4), (SCALES, [0] * 6, 0)), IMAGE,
                        C(i32(6), (SCALES * 0.02, [0] * 6, 0))],
     [Out((2, 18, 16, 6), "int8", OUT)], "TransposeConvOptions", 3, CONV, 1),
    ("FULLY_CONNECTED", [In((3, 8), "int8", IN), C(i8(5, 8), (0.01, 0)), C(i32(5), (0.0002, 0))],
     [Out((3, 5), "int8", OUT)], "FullyConnectedOptions", 4, {}, 1),
    ("BATCH_MATMUL", [In((2, 3, 8), "int8", IN), C(i8(2, 8, 5), (0.01, 0))], [Out((2, 3, 5), "int8", OUT)],
     "BatchMatMulOptions", 2, {}, 1),
    *((name, [In((3, 8), "int8", IN), In((3, 8), "int8", (0.03, -5))], [Out((3, 8), "int8", OUT)], table, 2,
       {"fusedActivationFunction": 1}, 1)
      for name, table in (("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions"))),
    ("AVERAGE_POOL_2D", [IMAGE], [Out((2, 5, 4, 4), "int8", IN)], "Pool2DOptions", 2,
     {**CONV, "filterHeight": 2, "filterWidth": 2}, 0),
    ("MAX_POOL_2D", [IMAGE], [Out((2, 5, 4, 4), "int8", IN)], "Pool2DOptions", 2,
     {**CONV, "filterHeight": 2, "filterWidth": 2}, 0),
    ("RESIZE_NEAREST_NEIGHBOR", [IMAGE, C(np.array([18, 5], np.int32))], [Out((2, 18, 5, 4), "int8", IN)],
     "ResizeNearestNeighborOptions", 2, {}, 0),
    ("RESIZE_BILINEAR", [IMAGE, C(np.array([18, 5], np.int32))], [Out((2, 18, 5, 4), "int8", IN)],
     "ResizeBilinearOptions", 2, {}, 1),
    ("DEPTH_TO_SPACE", [IMAGE], [Out((2, 18, 16, 1), "int8", IN)], "DepthToSpaceOptions", 2, {"blockSize": 2}, 0),
    ("MEAN", [IMAGE, C(np.array([1, 2], np.int32))], [Out((2, 4), "int8", (0.01, 1))], "ReducerOptions", 2, {}, 1),
    ("SUM", [IMAGE, C(np.array([3], np.int32))], [Out((2, 9, 8), "int8", OUT)], "ReducerOptions", 2, {}, 1),
    ("REDUCE_MAX", [IMAGE, C(np.array([3], np.int32))], [Out((2, 9, 8), "int8", IN)], "ReducerOptions", 2, {}, 0),
    ("LESS", [In((3, 8), "int8", IN), In((3, 8), "int8", IN)], [Out((3, 8), "bool")], "LessOptions", 2, {}, 0),
    ("ARG_MAX", [In((3, 8), "int8", IN), C(np.int32(1))], [Out((3,), "int32")],
     "ArgMaxOptions", 2, {"outputType": 2}, 0),
    ("TOPK_V2", [In((3, 8), "int8", IN), C(np.int32(3))], [Out((3, 3), "int8", IN), Out((3, 3), "int32")],
     "TopKV2Options", 2, {}, 0),
    plain("RELU"), plain("RELU6"), plain("HARD_SWISH", "HardSwishOptions", 1), plain("ELU", version=1),
    plain("LOGISTIC", out=(1 / 256, -128)), plain("TANH", out=(1 / 128, 0)),
    plain("SOFTMAX", "SoftmaxOptions", out=(1 / 256, -128), beta=1.0),
    plain("LOG_SOFTMAX", "LogSoftmaxOptions", out=(16 / 256, 127)),
    plain("L2_NORMALIZATION", "L2NormOptions", out=(1 / 128, 0)),
    plain("LEAKY_RELU", "LeakyReluOptions", alpha=0.2), plain("ABS", "AbsOptions"),
    plain("QUANTIZE", "QuantizeOptions", version=1),
    ("QUANTIZE", [In((3, 8))], [Out((3, 8), "int8", OUT)], "QuantizeOptions", 1, {}, 0),
    ("QUANTIZE", [In((3, 8))], [Out((3, 8), "int16", (0.001, 0))], "QuantizeOptions", 2, {}, 0),
    ("DEQUANTIZE", [In((3, 8), "int8", IN)], [Out((3, 8))], "DequantizeOptions", 2, {}, 0),
    moved("RESHAPE", [C(np.array([4, 6], np.int32))], (4, 6), "ReshapeOptions", 1),
    moved("TRANSPOSE", [C(np.array([1, 0], np.int32))], (8, 3), "TransposeOptions"),
    moved("PAD", [C(np.array([[1, 0], [0, 2]], np.int32))], (4, 10), "PadOptions"),
    moved("CONCATENATION", [In((2, 8), "int8", IN)], (5, 8), "ConcatenationOptions"),
    moved("GATHER", [C(np.array([7, 1], np.int32))], (3, 2), "GatherOptions", axis=1),
    moved("SLICE", [C(np.array([0, 2], np.int32)), C(np.array([2, -1], np.int32))], (2, 6), "SliceOptions"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{n} {c[0]}" for n, c in enumerate(CASES)])
def test_as_litert(case: Case, tmp_path: Path) -> None:
    name, operands, outs, table, version, options, steps = case
    agree(single(name, operands, outs, table, version, **options), tmp_path, steps=steps)


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_products_of_integers_are_those_of_the_runtime_to_the_last_step(name: str, tmp_path: Path) -> None:
    """Of so many some lie half-way between two integers, where 32-bit sums of real numbers are rounded otherwise."""
    scales = [0.01, 0.02, 0.005, 0.012, 0.03, 0.008, 0.011, 0.004]
    image, point = In((16, 40, 40, 8), "int8", IN), [0] * 8
    bias = C(i32(8), (np.array(scales) * 0.02, point, 0))
    if name == "CONV_2D":
        operands, out = [image, C(i8(8, 3, 3, 8), (scales, point, 0)), bias], Out((16, 40, 40, 8), "int8", (0.13, -7))
        net = single(name, operands, [out], "Conv2DOptions", 3, strideH=1, strideW=1)
    elif name == "DEPTHWISE_CONV_2D":
        operands, out = [image, C(i8(1, 3, 3, 8), (scales, point, 3)), bias], Out((16, 40, 40, 8), "int8", OUT)
        net = single(name, operands, [out], "DepthwiseConv2DOptions", 3, strideH=1, strideW=1, depthMultiplier=1)
    else:
        operands = [In((20000, 30), "int8", IN), C(i8(9, 30), (0.01, 0)), C(i32(9), (0.0002, 0))]
        net = single(name, operands, [Out((20000, 9), "int8", (0.07, 5))], "FullyConnectedOptions", 4)
    path, feeds = net.write(tmp_path), feeds_of(net.inputs)
    graph = load(path)
    assert any(isinstance(node.op, ops.Quantized) for node in graph)
    np.testing.assert_array_equal(run(graph, feeds)["y0"], litert(path, feeds, ["y0"])["y0"])


def test_weights_of_integers_between_real_numbers_are_told(tmp_path: Path) -> None:
    w = C(i8(5, 8), (0.01, 0))
    net = single("FULLY_CONNECTED", [In((3, 8)), w], [Out((3, 5))], "FullyConnectedOptions", 3)
    graph = agree(net, tmp_path, rtol=2e-2)  # the runtime rounds x to 8 bits
    assert "LiteRT quantizes the inputs" in graph.notes[0]
    x = feeds_of(net.inputs)["x0"]
    np.testing.assert_allclose(run(graph, {"x0": x})["y0"], x @ (w.array * 0.01).T, rtol=1e-5, atol=1e-5)


def test_weights_of_16_bit_floats(tmp_path: Path) -> None:
    net = Net()
    x, half = net.input(In((2, 5, 5, 4)), "x"), net.tensor(C(chance.standard_normal((6, 3, 3, 4)).astype(np.float16)))
    wide, y = net.tensor(Out((6, 3, 3, 4))), net.tensor(Out((2, 5, 5, 6)), "y")
    net.op("DEQUANTIZE", [half], [wide], version=2)
    net.op("CONV_2D", [x, wide, net.tensor(C(np.zeros(6, np.float32)))], [y], "Conv2DOptions", strideH=1, strideW=1)
    net.graph.outputs = [y]
    graph = agree(net, tmp_path, rtol=3e-6)
    assert not any(isinstance(n.op, ops.Transpose) and n.inputs[0].is_constant for n in graph)


def test_weights_of_4_bits(tmp_path: Path) -> None:
    packed = np.array([0x21, 0xF3, 0x87], np.uint8)
    net = single(
        "DEQUANTIZE",
        [
            C(packed, (0.5, 0), type="INT4"),
        ],
        [Out((6,))],
        "DequantizeOptions",
        6,
    )
    assert run(frontends.load(net.write(tmp_path)), {})["y0"].tolist() == [0.5, 1, 1.5, -0.5, 3.5, -4]


def dense(size: int) -> Any:
    made = schema.DimensionMetadataT()
    made.format, made.denseSize = 0, size
    return made


def compressed(segments: Sequence[int], indices: Sequence[int], kind: str = "Int32Vector") -> Any:
    made = schema.DimensionMetadataT()
    made.format = 1
    for name, numbers in (("arraySegments", segments), ("arrayIndices", indices)):
        vector = getattr(schema, f"{kind}T")()
        vector.values = list(numbers)
        setattr(made, f"{name}Type", getattr(schema.SparseIndexVector, kind))
        setattr(made, name, vector)
    return made


def sparsity(order: Sequence[int], blocks: Sequence[int], levels: Sequence[Any]) -> Any:
    made = schema.SparsityParametersT()
    made.traversalOrder, made.blockMap, made.dimMetadata = list(order), list(blocks), list(levels)
    return made


ROWS = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]])
BLOCKS = np.kron(np.array([[1, 0, 1], [0, 0, 1]]), np.ones((2, 2))) * chance.integers(1, 9, (4, 6))
FULL = [BLOCKS[r : r + 2, c : c + 2] for r, c in ((0, 0), (0, 4), (2, 4))]
SEGMENTS, INDICES = [0, 2, 3], [0, 2, 2]
TWO = dense(2)
SPARSE = {
    "rows": (ROWS, [1, 2, 3, 4], ([0, 1], [], [dense(3), compressed([0, 2, 2, 4], [1, 3, 0, 3])])),
    "columns, in bytes": (ROWS, [3, 1, 2, 4],
                          ([1, 0], [], [dense(4), compressed([0, 1, 2, 2, 4], [2, 0, 0, 2], "Uint8Vector")])),
    "blocks": (BLOCKS, np.concatenate([b.ravel() for b in FULL]),
               ([0, 1, 2, 3], [0, 1], [TWO, compressed(SEGMENTS, INDICES, "Uint16Vector"), TWO, TWO])),
    "blocks turned": (BLOCKS, np.concatenate([b.T.ravel() for b in FULL]),
                      ([0, 1, 3, 2], [0, 1], [TWO, compressed(SEGMENTS, INDICES), TWO, TWO])),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPARSE)
def test_sparse_constants(kind: str, tmp_path: Path) -> None:
    full, values, levels = SPARSE[kind]
    net = Net()
    x = net.input(In(full.shape), "x")
    stored = C(np.asarray(values, np.float32), sparsity=sparsity(*levels))
    weight, wide, y = net.tensor(stored), net.tensor(Out(full.shape)), net.tensor(Out(full.shape), "y")
    net.graph.tensors[weight].shape = list(full.shape)
    net.op("DENSIFY", [weight], [wide], "DensifyOptions")
    net.op("ADD", [x, wide], [y], "AddOptions")
    net.graph.outputs = [y]
    graph = agree(net, tmp_path)
    zero = np.zeros(full.shape, np.float32)
    assert (run(graph, {"x": zero})["y"] == full).all()


def test_a_result_half_way_between_integers_is_next_to_the_runtimes(tmp_path: Path) -> None:
    one = C(np.array([1], np.int8), (1.0, 0))
    net = single("MUL", [In((50,), "int8", (0.5, 0)), one], [Out((50,), "int8", (1.0, 0))], "MulOptions", 2)
    path = net.write(tmp_path)
    feeds = feeds_of(net.inputs)
    found, wanted = run(frontends.load(path), feeds), litert(path, feeds, ["y0"])
    same(found["y0"], wanted["y0"], 0, 1, "y0")
