"""Each family of operators: what is read computes what LiteRT does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .models import C, In, Operand, Out, agree, single

chance = np.random.default_rng(7)


def f(*shape: int) -> np.ndarray:
    return chance.standard_normal(shape).astype(np.float32)


def i(numbers: Any) -> C:
    return C(np.array(numbers, np.int32))


Case = tuple[str, Sequence[Operand], Sequence[Out], str, dict[str, Any]]
SAME, VALID = 0, 1
IMAGE = In((2, 9, 8, 4))


def conv(padding: int, out: Sequence[int], w: np.ndarray, **options: Any) -> Case:
    given = {"padding": padding, "strideH": 1, "strideW": 1, **options}
    return ("CONV_2D", [IMAGE, C(w), C(f(w.shape[0]))], [Out(out)], "Conv2DOptions", given)


CONVOLUTIONS: list[Case] = [
    conv(SAME, (2, 9, 8, 6), f(6, 3, 3, 4)),
    conv(VALID, (2, 7, 7, 6), f(6, 3, 2, 4), fusedActivationFunction=1),
    conv(SAME, (2, 5, 4, 6), f(6, 3, 3, 4), strideH=2, strideW=2, fusedActivationFunction=3),
    conv(SAME, (2, 9, 8, 6), f(6, 3, 3, 4), dilationHFactor=2, dilationWFactor=3, fusedActivationFunction=2),
    conv(VALID, (2, 7, 6, 6), f(6, 3, 3, 2)),
    ("DEPTHWISE_CONV_2D", [IMAGE, C(f(1, 3, 3, 8)), C(f(8))], [Out((2, 5, 4, 8))], "DepthwiseConv2DOptions",
     {"padding": SAME, "strideH": 2, "strideW": 2, "depthMultiplier": 2}),
    ("TRANSPOSE_CONV", [i([2, 18, 16, 3]), C(f(3, 3, 3, 4)), IMAGE], [Out((2, 18, 16, 3))], "TransposeConvOptions",
     {"padding": SAME, "strideH": 2, "strideW": 2}),
    ("TRANSPOSE_CONV", [i([2, 19, 17, 3]), C(f(3, 3, 3, 4)), IMAGE, C(f(3))], [Out((2, 19, 17, 3))],
     "TransposeConvOptions", {"padding": VALID, "strideH": 2, "strideW": 2}),
    ("TRANSPOSE_CONV", [i([2, 18, 16, 3]), C(f(3, 1, 1, 4)), IMAGE, C(f(3))], [Out((2, 18, 16, 3))],
     "TransposeConvOptions", {"padding": SAME, "strideH": 2, "strideW": 2}),
    ("CONV_3D", [In((1, 5, 6, 7, 2)), C(f(3, 2, 3, 2, 4)), C(f(4))], [Out((1, 3, 3, 4, 4))], "Conv3DOptions",
     {"padding": SAME, "strideD": 2, "strideH": 2, "strideW": 2}),
    ("CONV_3D_TRANSPOSE", [i([1, 6, 8, 10, 3]), C(f(3, 3, 3, 3, 2)), In((1, 3, 4, 5, 2))], [Out((1, 6, 8, 10, 3))],
     "Conv3DOptions", {"padding": SAME, "strideD": 2, "strideH": 2, "strideW": 2}),
    ("FULLY_CONNECTED", [In((3, 8)), C(f(5, 8)), C(f(5))], [Out((3, 5))], "FullyConnectedOptions",
     {"fusedActivationFunction": 1}),
    ("FULLY_CONNECTED", [In((2, 3, 8)), C(f(5, 8))], [Out((6, 5))], "FullyConnectedOptions", {}),
    ("FULLY_CONNECTED", [In((2, 3, 8)), C(f(5, 8)), None], [Out((2, 3, 5))], "FullyConnectedOptions",
     {"keepNumDims": True}),
    ("BATCH_MATMUL", [In((2, 3, 4)), In((2, 4, 5))], [Out((2, 3, 5))], "BatchMatMulOptions", {}),
    ("BATCH_MATMUL", [In((2, 4, 3)), C(f(5, 4))], [Out((2, 3, 5))], "BatchMatMulOptions", {"adjX": True, "adjY": True}),
    ("EMBEDDING_LOOKUP", [In((3,), "int32", low=0, high=4), C(f(5, 6))], [Out((3, 6))], "", {}),
]  # fmt: skip


def pool(name: str, padding: int, out: Sequence[int], stride: int = 2) -> Case:
    given = {"padding": padding, "strideH": stride, "strideW": stride, "filterHeight": 3, "filterWidth": 2}
    return (name, [IMAGE], [Out(out)], "Pool2DOptions", given)


def resize(name: str, size: Sequence[int], **options: Any) -> Case:
    tables = {"RESIZE_BILINEAR": "ResizeBilinearOptions", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions"}
    return (name, [IMAGE, i(size)], [Out((2, *size, 4))], tables[name], options)


SPATIAL: list[Case] = [
    pool("MAX_POOL_2D", SAME, (2, 5, 4, 4)), pool("MAX_POOL_2D", VALID, (2, 4, 4, 4)),
    pool("AVERAGE_POOL_2D", SAME, (2, 5, 4, 4)), pool("AVERAGE_POOL_2D", VALID, (2, 7, 7, 4), 1),
    pool("L2_POOL_2D", SAME, (2, 5, 4, 4)),
    ("DEPTH_TO_SPACE", [IMAGE], [Out((2, 18, 16, 1))], "DepthToSpaceOptions", {"blockSize": 2}),
    ("SPACE_TO_DEPTH", [In((2, 4, 6, 3))], [Out((2, 2, 3, 12))], "SpaceToDepthOptions", {"blockSize": 2}),
    ("LOCAL_RESPONSE_NORMALIZATION", [In((1, 3, 3, 7))], [Out((1, 3, 3, 7))], "LocalResponseNormalizationOptions",
     {"radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}),
    *(resize(name, size, **options) for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
      for size in ((5, 3), (13, 17)) for options in ({}, {"alignCorners": True}, {"halfPixelCenters": True})),
    ("SPACE_TO_BATCH_ND", [In((2, 4, 6, 3)), i([2, 3]), i([[1, 1], [0, 3]])], [Out((12, 3, 3, 3))],
     "SpaceToBatchNDOptions", {}),
    ("BATCH_TO_SPACE_ND", [In((12, 3, 3, 3)), i([2, 3]), i([[1, 1], [0, 2]])], [Out((2, 4, 7, 3))],
     "BatchToSpaceNDOptions", {}),
]  # fmt: skip

UNARY: list[Case] = [
    (name, [In((2, 3), low=low)], [Out((2, 3))], table, {})
    for name, table, low in (
        ("ABS", "AbsOptions", -2), ("NEG", "NegOptions", -2), ("SIGN", "SignOptions", -2), ("CEIL", "", -2),
        ("FLOOR", "", -2), ("ROUND", "", -2), ("SQRT", "", 0.1), ("RSQRT", "", 0.1), ("SQUARE", "SquareOptions", -2),
        ("EXP", "ExpOptions", -2), ("LOG", "", 0.1), ("SIN", "", -2), ("COS", "CosOptions", -2), ("RELU", "", -2),
        ("RELU6", "", -2), ("RELU_N1_TO_1", "", -2), ("RELU_0_TO_1", "", -2), ("LOGISTIC", "", -2), ("TANH", "", -2),
        ("ELU", "", -2), ("HARD_SWISH", "HardSwishOptions", -2), ("LOG_SOFTMAX", "LogSoftmaxOptions", -2),
        ("L2_NORMALIZATION", "L2NormOptions", -2), ("ZEROS_LIKE", "ZerosLikeOptions", -2),
    )
]  # fmt: skip
ROWS, COLUMN = In((2, 3), low=0.5), In((2, 1), low=0.5)
WHOLE, DIVISOR = In((3, 4), "int32", low=-9, high=9), In((4,), "int32", low=1, high=4)
ELEMENTWISE: list[Case] = [
    *((name, [ROWS, COLUMN], [Out((2, 3))], table, {}) for name, table in (
        ("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions"), ("DIV", "DivOptions"),
        ("POW", "PowOptions"), ("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"), ("MAXIMUM", "MaximumMinimumOptions"),
        ("MINIMUM", "MaximumMinimumOptions"), ("FLOOR_DIV", "FloorDivOptions"), ("FLOOR_MOD", "FloorModOptions"))),
    *((name, [WHOLE, DIVISOR], [Out((3, 4), "int32")], table, {}) for name, table in (
        ("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions"), ("DIV", "DivOptions"),
        ("FLOOR_DIV", "FloorDivOptions"), ("FLOOR_MOD", "FloorModOptions"), ("MAXIMUM", "MaximumMinimumOptions"),
        ("BITWISE_XOR", "BitwiseXorOptions"))),
    *((name, [WHOLE, DIVISOR], [Out((3, 4), "bool")], table, {}) for name, table in (
        ("EQUAL", "EqualOptions"), ("NOT_EQUAL", "NotEqualOptions"), ("GREATER", "GreaterOptions"),
        ("GREATER_EQUAL", "GreaterEqualOptions"), ("LESS", "LessOptions"), ("LESS_EQUAL", "LessEqualOptions"))),
    ("ADD", [ROWS, C(f(3))], [Out((2, 3))], "AddOptions", {"fusedActivationFunction": 1}),
    ("ATAN2", [ROWS, In((2, 3))], [Out((2, 3))], "ATan2Options", {}),
    ("LOGICAL_AND", [In((4,), "bool"), In((4,), "bool")], [Out((4,), "bool")], "LogicalAndOptions", {}),
    ("LOGICAL_OR", [In((4,), "bool"), In((4,), "bool")], [Out((4,), "bool")], "LogicalOrOptions", {}),
    ("LOGICAL_NOT", [In((4,), "bool")], [Out((4,), "bool")], "LogicalNotOptions", {}),
    ("RIGHT_SHIFT", [In((4,), "uint8", low=0, high=200), C(np.array([1, 2, 3, 0], np.uint8))], [Out((4,), "uint8")],
     "RightShiftOptions", {}),
    ("ADD_N", [ROWS, In((2, 3)), In((2, 3))], [Out((2, 3))], "AddNOptions", {}),
    ("SELECT", [In((2,), "bool"), In((2, 3)), In((2, 3))], [Out((2, 3))], "SelectOptions", {}),
    ("SELECT_V2", [In((3,), "bool"), In((2, 1)), In((1, 3))], [Out((2, 3))], "SelectV2Options", {}),
    ("CAST", [In((2, 3), low=-9, high=9)], [Out((2, 3), "int32")], "CastOptions", {"outDataType": 2}),
    ("CAST", [WHOLE], [Out((3, 4), "float32")], "CastOptions", {"inDataType": 2}),
    ("BITCAST", [In((2, 3))], [Out((2, 3), "int32")], "BitcastOptions", {}),
    ("SHAPE", [In((2, 3))], [Out((2,), "int64")], "ShapeOptions", {"outType": 4}),
    ("RANK", [In((2, 3))], [Out((), "int32")], "RankOptions", {}),
    ("FILL", [i([2, 3]), C(np.float32(1.5))], [Out((2, 3))], "FillOptions", {}),
    ("RANGE", [i(2), i(11), i(3)], [Out((3,), "int32")], "RangeOptions", {}),
    ("BUCKETIZE", [In((7,))], [Out((7,), "int32")], "BucketizeOptions", {"boundaries": [-1.0, 0.0, 0.5]}),
    ("LEAKY_RELU", [ROWS], [Out((2, 3))], "LeakyReluOptions", {"alpha": 0.3}),
    ("PRELU", [In((1, 4, 4, 3)), C(f(1, 1, 3))], [Out((1, 4, 4, 3))], "", {}),
    ("GELU", [In((2, 3))], [Out((2, 3))], "GeluOptions", {}),
    ("GELU", [In((2, 3))], [Out((2, 3))], "GeluOptions", {"approximate": True}),
    ("SOFTMAX", [In((2, 3))], [Out((2, 3))], "SoftmaxOptions", {"beta": 1.0}),
    ("SOFTMAX", [In((2, 3))], [Out((2, 3))], "SoftmaxOptions", {"beta": 0.5}),
]  # fmt: skip
CUBE = In((3, 4, 5))


def strided(begin: Sequence[int], end: Sequence[int], steps: Sequence[int], out: Sequence[int], **options: Any) -> Case:
    return ("STRIDED_SLICE", [CUBE, i(begin), i(end), i(steps)], [Out(out)], "StridedSliceOptions", options)


MOVEMENT: list[Case] = [
    ("RESHAPE", [CUBE, i([5, -1])], [Out((5, 12))], "ReshapeOptions", {"newShape": [5, -1]}),
    ("RESHAPE", [CUBE], [Out((12, 5))], "ReshapeOptions", {"newShape": [12, 5]}),
    ("TRANSPOSE", [CUBE, i([2, 0, 1])], [Out((5, 3, 4))], "TransposeOptions", {}),
    ("EXPAND_DIMS", [CUBE, i(-1)], [Out((3, 4, 5, 1))], "ExpandDimsOptions", {}),
    ("SQUEEZE", [In((1, 3, 1))], [Out((3,))], "SqueezeOptions", {}),
    ("SQUEEZE", [In((1, 3, 1))], [Out((1, 3))], "SqueezeOptions", {"squeezeDims": [-1]}),
    ("CONCATENATION", [CUBE, C(f(3, 2, 5))], [Out((3, 6, 5))], "ConcatenationOptions", {"axis": -2}),
    ("PACK", [CUBE, In((3, 4, 5))], [Out((3, 2, 4, 5))], "PackOptions", {"valuesCount": 2, "axis": 1}),
    ("UNPACK", [In((2, 3))], [Out((2,))] * 3, "UnpackOptions", {"num": 3, "axis": -1}),
    ("SPLIT", [i(1), CUBE], [Out((3, 2, 5))] * 2, "SplitOptions", {"numSplits": 2}),
    ("SPLIT_V", [CUBE, i([1, -1, 2]), i(2)], [Out((3, 4, 1)), Out((3, 4, 2)), Out((3, 4, 2))], "SplitVOptions",
     {"numSplits": 3}),
    ("SLICE", [CUBE, i([1, 0, 2]), i([2, -1, 3])], [Out((2, 4, 3))], "SliceOptions", {}),
    ("SLICE", [CUBE, In((3,), "int32", low=0, high=1), i([2, 3, 3])], [Out((2, 3, 3))], "SliceOptions", {}),
    strided([0, 1, 1], [3, 4, 5], [1, 1, 2], (3, 3, 2)),
    strided([2, -1], [0, -9], [-1, -2], (2, 2, 5), beginMask=2, endMask=2),
    strided([1, 2], [2, 3], [1, 1], (5,), shrinkAxisMask=3),
    strided([-1], [0], [1], (4, 5), shrinkAxisMask=1),
    strided([0, 0, 1], [0, 0, 3], [1, 1, 1], (3, 4, 1, 2), ellipsisMask=1, newAxisMask=2),
    ("PAD", [CUBE, i([[0, 1], [2, 0], [1, 1]])], [Out((4, 6, 7))], "PadOptions", {}),
    ("PADV2", [CUBE, i([[0, 1], [2, 0], [1, 1]]), C(np.float32(-3))], [Out((4, 6, 7))], "PadV2Options", {}),
    ("MIRROR_PAD", [CUBE, i([[0, 1], [2, 0], [1, 3]])], [Out((4, 6, 9))], "MirrorPadOptions", {"mode": 0}),
    ("MIRROR_PAD", [CUBE, i([[0, 1], [2, 4], [1, 3]])], [Out((4, 10, 9))], "MirrorPadOptions", {"mode": 1}),
    ("TILE", [CUBE, i([1, 2, 3])], [Out((3, 8, 15))], "TileOptions", {}),
    ("BROADCAST_TO 2", [In((4, 1)), i([3, 4, 5])], [Out((3, 4, 5))], "BroadcastToOptions", {}),
    ("BROADCAST_ARGS", [i([3, 1]), i([2, 1, 5])], [Out((3,), "int32")], "", {}),
    ("REVERSE_V2", [CUBE, i([0, 1])], [Out((3, 4, 5))], "ReverseV2Options", {}),
    ("REVERSE_SEQUENCE", [CUBE, i([4, 2, 1])], [Out((3, 4, 5))], "ReverseSequenceOptions",
     {"seqDim": 1, "batchDim": 0}),
    ("REVERSE_SEQUENCE", [CUBE, i([4, 2, 1, 3])], [Out((3, 4, 5))], "ReverseSequenceOptions",
     {"seqDim": 2, "batchDim": 1}),
    ("GATHER", [CUBE, i([[2, 0], [1, 1]])], [Out((3, 2, 2, 5))], "GatherOptions", {"axis": 1}),
    ("GATHER", [CUBE, i([[0, 1], [3, 2], [0, 0]])], [Out((3, 2, 5))], "GatherOptions", {"axis": 1, "batchDims": 1}),
    ("GATHER", [CUBE, i([[0, 1], [3, 2], [0, 0]])], [Out((3, 4, 2))], "GatherOptions", {"axis": 2, "batchDims": 1}),
    ("GATHER_ND", [CUBE, i([[0, 1], [2, 3]])], [Out((2, 5))], "GatherNdOptions", {}),
    ("SCATTER_ND", [i([[0], [2], [0]]), In((3, 4)), i([4, 4])], [Out((4, 4))], "ScatterNdOptions", {}),
    ("DYNAMIC_UPDATE_SLICE", [CUBE, In((1, 2, 5)), In((3,), "int32", low=0, high=9)], [Out((3, 4, 5))],
     "DynamicUpdateSliceOptions", {}),
    ("ONE_HOT", [i([0, -1, 7, 2]), i(3), C(np.float32(2)), C(np.float32(-1))], [Out((4, 3))], "OneHotOptions",
     {"axis": -1}),
    ("WHERE", [In((3, 4), "bool")], [Out((12, 2), "int64")], "WhereOptions", {}),
    ("UNIQUE", [i([3, 1, 3, 2, 1])], [Out((3,), "int32"), Out((5,), "int32")], "UniqueOptions", {"idxOutType": 2}),
    ("MATRIX_DIAG", [In((2, 3))], [Out((2, 3, 3))], "MatrixDiagOptions", {}),
]  # fmt: skip
BOXES = np.sort(chance.uniform(0, 1, (40, 2, 2)), axis=1).reshape(40, 4).astype(np.float32)
REDUCTIONS: list[Case] = [
    *((name, [CUBE, i(axes)], [Out(out)], "ReducerOptions", {"keepDims": keep})
      for name in ("SUM", "MEAN", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN")
      for axes, keep, out in (([1, -1], False, (3,)), (0, True, (1, 4, 5)))),
    ("REDUCE_ANY", [In((3, 4), "bool"), i([1])], [Out((3,), "bool")], "ReducerOptions", {}),
    ("REDUCE_ALL", [In((3, 2), "bool"), i([1])], [Out((3,), "bool")], "ReducerOptions", {}),
    ("ARG_MAX", [CUBE, i(-1)], [Out((3, 4), "int64")], "ArgMaxOptions", {"outputType": 4}),
    ("ARG_MIN", [CUBE, i(1)], [Out((3, 5), "int32")], "ArgMinOptions", {"outputType": 2}),
    ("TOPK_V2", [CUBE, i(2)], [Out((3, 4, 2)), Out((3, 4, 2), "int32")], "TopKV2Options", {}),
    ("CUMSUM", [CUBE, i(1)], [Out((3, 4, 5))], "CumsumOptions", {"exclusive": True, "reverse": True}),
    ("NON_MAX_SUPPRESSION_V4",
     [C(BOXES), In((40,), low=0, high=1), i(10), C(np.float32(0.4)), C(np.float32(0.3))],
     [Out((10,), "int32"), Out((), "int32")], "NonMaxSuppressionV4Options", {}),
    ("NON_MAX_SUPPRESSION_V5",
     [C(BOXES), In((40,), low=0, high=1), i(30), C(np.float32(0.4)), C(np.float32(0.3)), C(np.float32(0))],
     [Out((30,), "int32"), Out((30,)), Out((), "int32")], "NonMaxSuppressionV5Options", {}),
    ("FAKE_QUANT", [In((40,))], [Out((40,))], "FakeQuantOptions", {"min": -1.0, "max": 1.5, "numBits": 8}),
    ("FAKE_QUANT", [In((40,))], [Out((40,))], "FakeQuantOptions",
     {"min": -1.0, "max": 1.5, "numBits": 4}),
]  # fmt: skip
CASES = [*CONVOLUTIONS, *SPATIAL, *UNARY, *ELEMENTWISE, *MOVEMENT, *REDUCTIONS]
ROUGH = {"GELU": 4e-6, "BATCH_MATMUL": 4e-6, "LOG_SOFTMAX": 4e-6, "EXP": 4e-6, "LOG": 4e-6}
"""Operators whose kernels are approximations."""


def names() -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name, *_ in CASES:
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name} {seen[name]}")
    return found


@pytest.mark.parametrize("case", CASES, ids=names())
def test_as_litert(case: Case, tmp_path: Path) -> None:
    told, operands, outs, table, options = case
    name, _, version = told.partition(" ")
    agree(single(name, operands, outs, table, int(version or 1), **options), tmp_path, rtol=ROUGH.get(name, 2e-6))
