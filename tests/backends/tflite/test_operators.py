"""Operators in LiteRT against the interpreter, a family a test."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import DType, Op, ops

from ..ncnn.nets import Given, numbers
from .models import operators, refused, same


def whole(*values: int, kind: type[np.generic] = np.int64) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, kind)


SIGNED = np.array([-7, -3, 0, 3, 5, 127], np.int8)


@pytest.mark.parametrize(
    "op",
    [
        ops.Erf(), ops.Tan(), ops.Atan(), ops.Sinh(), ops.Cosh(), ops.Asinh(), ops.Softplus(), ops.Elu(1.3), ops.Selu(),
        ops.Celu(0.7), ops.Mish(), ops.Silu(), ops.HardSigmoid(), ops.HardSwish(),
        ops.ThresholdedRelu(0.5),
        ops.Shrink(bias=0.1, lambd=0.4), ops.Gelu("tanh"), ops.Softsign(), ops.Reciprocal(), ops.IsNaN(), ops.IsInf(),
        ops.Affine(2.0, 1.0), ops.ScaledTanh(1.5, 0.5),
    ],
    ids=lambda op: type(op).__name__,
)  # fmt: skip
def test_functions(op: Op) -> None:
    same(op, (2, 3, 4), rtol=2e-6)


def test_erf_is_accurate_to_a_millionth() -> None:
    same(ops.Erf(), np.linspace(-6, 6, 4001, dtype=np.float32), rtol=1e-6)


@pytest.mark.parametrize("op", [ops.Asin(), ops.Acos(), ops.Atanh()], ids=lambda op: type(op).__name__)
def test_functions_between_minus_one_and_one(op: Op) -> None:
    same(op, np.linspace(-0.99, 0.99, 200, dtype=np.float32), rtol=2e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("op", [ops.Add(), ops.Mul(), ops.Max(), ops.Div(), ops.Mod(), ops.Mod(True), ops.Less()])
def test_integers_of_all_widths(op: Op, dtype: type[np.generic]) -> None:
    a = np.array([1, 7, 120, 100, 9, 55], np.int64).astype(dtype)
    b = np.array([3, 2, 11, 100, 4, 7], np.int64).astype(dtype)
    same(op, a, b)


def test_division_of_64_bits() -> None:
    generator = np.random.default_rng(0)
    a = generator.integers(-(2**62), 2**62, 1000)
    b = np.concatenate([generator.integers(1, 100, 500), generator.integers(-(2**40), -1, 500)])
    same(ops.Div(), a, b)


@pytest.mark.parametrize("to", [DType.F32, DType.F16, DType.I8, DType.U8, DType.I32, DType.I64, DType.BOOL])
@pytest.mark.parametrize("source", [np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_])
def test_casts(source: type[np.generic], to: DType) -> None:
    same(ops.Cast(to), np.array([0, 1, 2, 5, 100], np.float32).astype(source))


def test_integers_wrap_where_they_are_cast_to_narrower_ones() -> None:
    same(ops.Cast(DType.I8), whole(1, 200, -300, 40000, kind=np.int32))


def test_u64_is_refused() -> None:
    assert "u64" in refused(ops.Cast(DType.F32), np.array([1], np.uint64))


def test_bits() -> None:
    a, b = np.array([1, 200, 7], np.uint8), np.array([3, 1, 9], np.uint8)
    for op in (ops.BitShift("left"), ops.BitShift("right"), ops.BitwiseAnd(), ops.BitwiseOr(), ops.BitwiseXor()):
        same(op, a, b)
    wide = whole(5, -9, 2**40)
    for op in (ops.BitwiseAnd(), ops.BitwiseOr(), ops.BitwiseXor()):
        same(op, wide, whole(3, 7, 2**40 + 1))
    same(ops.BitwiseNot(), SIGNED)


INDEXED: dict[str, tuple[Op, tuple[Given, ...]]] = {
    "gather": (ops.Gather(1), ((2, 5, 3), whole(0, -1, 2))),
    "gather elements": (ops.GatherElements(1), ((2, 5), np.array([[0, -1], [2, 3]]))),
    "gather nd": (ops.GatherND(0), ((3, 4, 2), np.array([[0, -1], [2, 3]]))),
    "gather nd of a batch": (ops.GatherND(1), ((3, 4, 2), np.array([[0], [-2], [1]]))),
    "scatter": (ops.ScatterElements(1, "none"), ((2, 5), np.array([[0, -1], [2, 3]]), (2, 2))),
    "scatter that adds": (ops.ScatterND("add"), ((4, 3), np.array([[0], [2], [0]]), (3, 3))),
    "scatter that keeps the greatest": (ops.ScatterND("max"), ((4, 3), np.array([[0, 1], [-1, 2]]), (2,))),
    "one hot": (ops.OneHot(1, 4), (whole(0, -1, 7, 2), None, np.array([2, 5], np.float32))),
    "top": (ops.TopK(1, True, True, 3), ((2, 6),)),
    "least": (ops.TopK(0, False, True, 2), ((4, 3),)),
    "non zero": (ops.NonZero(), (np.array([[1, 0, 2], [0, 0, 3]], np.float32),)),
    "compress": (ops.Compress(1), ((2, 4), np.array([True, False, True, True]))),
    "lower triangle": (ops.Trilu(False, 1), ((3, 4),)),
    "triangle of integers": (ops.Trilu(True, 0), (np.arange(9).reshape(3, 3),)),
    "reverse": (ops.ReverseSequence(1, 0), ((4, 3), whole(2, 4, 1))),
    "hardmax": (ops.Hardmax(1), ((2, 5),)),
    "last of equals": (ops.ArgMax(1, True, True), (np.array([[1, 3, 3], [2, 2, 0]], np.float32),)),
    "where": (ops.Where(), (np.array([[True], [False]]), (2, 3), (3,))),
    "counting": (ops.Range(), (np.int64(9), np.int64(2), np.int64(-2))),
    "nothing to count": (ops.Range(), (np.int64(3), np.int64(9), np.int64(-2))),
}


@pytest.mark.parametrize("name", INDEXED)
def test_indexing(name: str) -> None:
    op, operands = INDEXED[name]
    same(op, *(np.asarray(o) if isinstance(o, np.generic) else o for o in operands))


def test_both_results_of_top_k() -> None:
    same(ops.TopK(0, False, True, 2), (4, 3), results=2)


def test_suppression_drops_what_overlaps_by_more_than_the_threshold() -> None:
    boxes = np.array([[[0, 0, 2, 2], [0, 1, 2, 3], [0, 0, 1, 1], [5, 5, 6, 6]]], np.float32)
    scores = np.array([[[0.9, 0.8, 0.7, 0.1]]], np.float32)
    for overlap in (0.0, 0.25, 1 / 3, 0.5):
        same(
            ops.NonMaxSuppression(), boxes, scores, np.array(10), np.array(overlap, np.float32), np.array(0, np.float32)
        )


WINDOWS: dict[str, tuple[Op, tuple[Given, ...]]] = {
    "convolution over one axis": (ops.Conv((2,), (1, 0), (1,)), ((2, 3, 9), (4, 3, 3), (4,))),
    "convolution with gaps and groups": (ops.Conv((1, 1), (1, 1, 1, 1), (2, 2), 2), ((1, 4, 8, 8), (6, 2, 3, 3))),
    "transposed, one axis": (ops.ConvTranspose((2,), (1, 1), (1,)), ((1, 3, 5), (3, 2, 4))),
    "transposed, gaps": (ops.ConvTranspose((2, 2), (0, 0, 0, 0), (2, 2)), ((1, 3, 4, 4), (3, 2, 3, 3))),
    "transposed, groups": (ops.ConvTranspose((2, 2), (1, 1, 1, 1), (1, 1), 2), ((1, 4, 4, 4), (4, 3, 3, 3), (6,))),
    "transposed, longer": (
        ops.ConvTranspose((3, 3), (0, 0, 0, 0), (1, 1), 1, (1, 2)), ((1, 2, 3, 3), (2, 3, 3, 3), (3,)),
    ),
    "transposed, three axes": (ops.ConvTranspose((2, 2, 2), (0,) * 6, (1, 1, 1)), ((1, 2, 3, 3, 3), (2, 3, 2, 2, 2))),
    "pool over one axis": (ops.MaxPool((3,), (2,), (1, 1), (1,)), ((1, 2, 9),)),
    "pool over three axes": (ops.MaxPool((2, 3, 2), (1, 2, 1), (0, 1, 0, 1, 0, 1), (1, 1, 1)), ((1, 2, 5, 6, 5),)),
    "mean over three axes": (
        ops.AveragePool((2, 3, 2), (1, 2, 1), (0, 1, 0, 1, 0, 1), (1, 1, 1)), ((1, 2, 5, 6, 5),),
    ),
    "mean with gaps": (ops.AveragePool((2, 2), (1, 1), (1, 0, 0, 1), (2, 2), True), ((1, 2, 6, 6),)),
    "mean of powers": (ops.LpPool((2, 2), (1, 1), (0, 0, 0, 0), (1, 1), p=3), ((1, 2, 6, 6),)),
}  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("weights", ["known", "computed"])
def test_windows(name: str, weights: str) -> None:
    op, operands = WINDOWS[name]
    if weights == "computed" and (len(operands) == 1 or "gaps" in name):
        pytest.skip("no weights, or a filter with gaps must be known")
    same(op, *operands, constants=range(1, len(operands)) if weights == "known" else ())


def test_where_maxima_stand() -> None:
    same(ops.MaxPoolIndices((2, 2), (2, 2), (1, 0, 0, 1), (1, 1)), (2, 3, 6, 6), results=2)


RECURRENT: dict[str, tuple[Op, int]] = {
    "rnn": (ops.RNN(4, "bidirectional"), 1),
    "gru": (ops.GRU(4, "reverse"), 3),
    "gru, linear before reset": (ops.GRU(4, "forward", linear_before_reset=True), 3),
    "lstm": (ops.LSTM(4, "bidirectional"), 4),
    "lstm, coupled and clipped": (ops.LSTM(4, "forward", clip=0.3, input_forget=True), 4),
}


@pytest.mark.parametrize("lengths", [None, np.array([5, 2], np.int32)], ids=["all", "some"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent(name: str, lengths: Given) -> None:
    op, gates = RECURRENT[name]
    directions = 2 if op.direction == "bidirectional" else 1  # type: ignore[attr-defined]
    operands: tuple[Given, ...] = (
        (5, 2, 3), (directions, gates * 4, 3), (directions, gates * 4, 4), (directions, 2 * gates * 4), lengths,
    )  # fmt: skip
    same(op, *operands, constants=(1, 2, 3), results=2)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("antialias", [False, True])
def test_resize(mode: str, coordinates: str, antialias: bool) -> None:
    op = ops.Resize(mode, (2, 3), coordinates, antialias=antialias, sizes=(5, 11))
    same(op, (1, 2, 7, 6))


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode: str, padding: str) -> None:
    same(ops.GridSample(mode, padding, False), (2, 3, 5, 6), 1.3 * numbers(2, 4, 3, 2), rtol=1e-4)


def test_transforms() -> None:
    same(ops.DFT(1, length=None), (2, 10, 1))
    same(ops.DFT(1, True, True), (2, 6, 2))
    same(ops.STFT(True, 4, 8), (1, 32, 1), None, (8,), constants=(2,))
    same(ops.Det(), (4, 3, 3))


def test_quantization_with_computed_scales() -> None:
    scale, zero = np.array([0.1, 0.2, 0.05], np.float32), np.array([1, -3, 0], np.int8)
    same(ops.Quantize(DType.I8, 1), (2, 3, 4), scale, zero)
    same(ops.Dequantize(1), np.arange(-12, 12, dtype=np.int8).reshape(2, 3, 4), scale, zero)


def test_integer_products() -> None:
    generator = np.random.default_rng(1)
    a = generator.integers(0, 256, (3, 700)).astype(np.uint8)
    b = generator.integers(-128, 128, (700, 4)).astype(np.int8)
    same(ops.MatMulInteger(), a, b, np.array(128, np.uint8), np.array(-3, np.int8))
    x = generator.integers(0, 256, (1, 3, 6, 6)).astype(np.uint8)
    w = generator.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    same(ops.ConvInteger((1, 1), (1, 1, 1, 1), (1, 1)), x, w, np.array(9, np.uint8), None)


def test_16_bit_floats_are_computed_in_32() -> None:
    x = numbers(2, 3, 4).astype(np.float16)
    content = same(ops.Tanh(), x)
    assert {"CAST"} <= {name for name, _ in operators(content)}
    in_pieces = same(ops.Softmax(1), x, rtol=2e-3)  # each of which rounds, as ONNX defines it
    assert "SOFTMAX" not in {name for name, _ in operators(in_pieces)}
    same(ops.ReduceMean((1,), True), x)
    same(ops.Transpose((2, 0, 1)), x)


def test_64_bit_floats_are_moved_and_not_computed() -> None:
    x = numbers(2, 3).astype(np.float64)
    same(ops.Transpose((1, 0)), x)
    assert "f64" in refused(ops.Exp(), x)


def test_bounds_known_only_at_run_time() -> None:
    same(ops.Slice(axes=(1,)), (2, 6), whole(1), whole(2**62), None, None)
    same(ops.Slice(axes=(2, 0)), (4, 2, 6), whole(-1, 0), whole(-100, 2), None, whole(-2, 1))
    same(ops.Slice(), (4, 2, 6), whole(-1, 0), whole(-100, 2), whole(-1, 0), whole(-2, 1))
    same(ops.Expand(), (3, 1), whole(2, 1, 4))
    same(ops.Tile(), (2, 3), whole(1, 2))
    same(ops.Pad("constant", None, 1.5), (2, 3), whole(0, 1, 2, 0))
    same(ops.ReduceSum(None, False), (2, 3, 4), whole(-1))
    same(ops.CumSum(), (2, 3), np.array(1))
    same(ops.Reshape(), (2, 6), whole(0, -1, 3))
    same(ops.TopK(1), (2, 5), np.array([2]))
