"""Handlers against onnxruntime, at the opsets where an operator changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from mconv import frontends
from mconv.ir import ops
from mconv.ir.errors import UnsupportedError

from .models import code_of, same_as_onnxruntime, single

I64, BOOL = TensorProto.INT64, TensorProto.BOOL
RANDOM = np.random.default_rng(3)


def normal(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


IMAGE = {"x": [1, 4, 9, 8]}
Case = tuple[str, int, dict[str, Any], dict[str, Any], dict[str, Any]]

PADDED = [
    {"auto_pad": mode, "strides": strides, "dilations": dilations}
    for mode in ("SAME_UPPER", "SAME_LOWER", "VALID")
    for strides, dilations in (([2, 3], [1, 1]), ([1, 1], [2, 1]))
]

CASES: list[Case] = [
    *(("Conv", 11, IMAGE, {"w": normal(6, 4, 3, 2)}, attributes) for attributes in PADDED[::2]),
    ("Conv", 7, IMAGE, {"w": normal(8, 1, 3, 3), "b": normal(8)}, {"group": 4, "pads": [1, 0, 2, 1]}),
    ("Conv", 22, {"x": [2, 3, 9]}, {"w": normal(4, 3, 3)}, {"kernel_shape": [3], "strides": [2]}),
    ("Conv", 11, {"x": [1, 2, 4, 5, 6]}, {"w": normal(4, 2, 3, 3, 3)}, {"pads": [1] * 6}),
    ("ConvTranspose", 7, IMAGE, {"w": normal(4, 3, 3, 2), "b": normal(3)}, {"strides": [2, 2], "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 3, 3)}, {"strides": [2, 2], "output_padding": [1, 1]}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 3, 3)}, {"strides": [2, 2], "output_shape": [18, 16]}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 3, 3)}, {"strides": [2, 2], "output_shape": [20, 18]}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 4, 4)}, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 4, 4)}, {"strides": [3, 3], "auto_pad": "SAME_LOWER"}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 3, 3, 3)}, {"strides": [2, 2], "auto_pad": "VALID"}),
    ("ConvTranspose", 11, IMAGE, {"w": normal(4, 2, 3, 3)}, {"group": 2, "dilations": [2, 1]}),
    *(("MaxPool", opset, IMAGE, {}, {"kernel_shape": [3, 2], "strides": [2, 2]}) for opset in (7, 8, 10, 12, 22)),
    *(("MaxPool", 12, IMAGE, {}, {"kernel_shape": [3, 2], **attributes}) for attributes in PADDED[::2]),
    ("MaxPool", 10, IMAGE, {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1] * 4}),
    *(("AveragePool", opset, IMAGE, {}, {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}) for opset in (7, 10, 19)),
    ("AveragePool", 11, IMAGE, {}, {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
    ("AveragePool", 11, IMAGE, {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", 11, IMAGE, {}, {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("LpPool", 11, IMAGE, {}, {"kernel_shape": [3, 2], "p": 3}),
    ("GlobalAveragePool", 7, IMAGE, {}, {}),
    ("GlobalMaxPool", 7, IMAGE, {}, {}),
    ("GlobalLpPool", 7, IMAGE, {}, {"p": 2}),
    ("GlobalLpPool", 7, IMAGE, {}, {"p": 3}),
    ("Upsample", 7, IMAGE, {}, {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}),
    ("Upsample", 9, IMAGE, {"s": np.float32([1, 1, 2, 1.5])}, {"mode": "linear"}),
    ("Resize", 10, IMAGE, {"s": np.float32([1, 1, 0.6, 1.7])}, {"mode": "nearest"}),
    ("Resize", 10, IMAGE, {"s": np.float32([1, 1, 2, 2])}, {"mode": "linear"}),
    ("Softmax", 7, {"x": [2, 3, 4]}, {}, {"axis": 1}),
    ("Softmax", 11, {"x": [2, 3, 4]}, {}, {"axis": -1}),
    ("Softmax", 11, {"x": [2, 3, 4]}, {}, {}),
    ("LogSoftmax", 11, {"x": [2, 3, 4]}, {}, {"axis": 0}),
    ("LogSoftmax", 13, {"x": [2, 3, 4]}, {}, {"axis": 1}),
    ("Hardmax", 13, {"x": [2, 3, 4]}, {}, {}),
    ("Clip", 7, {"x": [3, 4]}, {}, {"min": -0.5}),
    ("Clip", 7, {"x": [3, 4]}, {}, {"max": 0.25}),
    ("Clip", 13, {"x": [3, 4]}, {"a": np.float32(-0.5), "b": np.float32(0.5)}, {}),
    ("Clip", 13, {"x": [3, 4], "a": []}, {"b": np.float32(0.5)}, {}),
    ("Pad", 7, {"x": [2, 3]}, {}, {"pads": [1, 0, 0, 2], "value": 1.5}),
    ("Pad", 11, {"x": [2, 3]}, {"p": ints(1, 0, 0, 2), "v": np.float32(2)}, {}),
    ("Pad", 13, {"x": [2, 3]}, {"p": ints(0, 1, 0, 2)}, {"mode": "reflect"}),
    ("Pad", 13, {"x": [2, 3]}, {"p": ints(1, 1, 1, 2)}, {"mode": "edge"}),
    ("Pad", 13, {"x": [4, 3]}, {"p": ints(-1, 1, -1, 2)}, {}),
    ("Pad", 19, {"x": [2, 3]}, {"p": ints(1, 2), "v": np.float32(2), "a": ints(-1)}, {}),
    ("Slice", 7, {"x": [4, 5, 6]}, {}, {"starts": [1, -3], "ends": [3, 99], "axes": [0, 2]}),
    ("Slice", 7, {"x": [4, 5, 6]}, {}, {"starts": [1], "ends": [-1]}),
    ("Slice", 11, {"x": [4, 5, 6]}, {"s": ints(-1, 1), "e": ints(-99, 5), "a": ints(1, -1), "t": ints(-2, 2)}, {}),
    ("Slice", 13, {"x": [4, 5]}, {"s": ints(1, 0), "e": ints(3, 4)}, {}),
    ("Squeeze", 11, {"x": [1, 3, 1, 2]}, {}, {"axes": [-2]}),
    ("Squeeze", 11, {"x": [1, 3, 1, 2]}, {}, {}),
    ("Squeeze", 13, {"x": [1, 3, 1, 2]}, {"a": ints(0)}, {}),
    ("Unsqueeze", 11, {"x": [3, 2]}, {}, {"axes": [0, 3]}),
    ("Unsqueeze", 13, {"x": [3, 2]}, {"a": ints(-1, 0)}, {}),
    ("Flatten", 9, {"x": [2, 3, 4]}, {}, {"axis": 0}),
    ("Flatten", 13, {"x": [2, 3, 4]}, {}, {"axis": -1}),
    ("Transpose", 7, {"x": [2, 3, 4]}, {}, {}),
    ("Reshape", 13, {"x": [2, 3, 4]}, {"s": ints(0, -1, 2)}, {}),
    ("Reshape", 14, {"x": [2, 0, 4]}, {"s": ints(4, 0)}, {"allowzero": 1}),
    ("Expand", 13, {"x": [3, 1]}, {"s": ints(2, 1, 4)}, {}),
    ("Tile", 13, {"x": [3, 2]}, {"s": ints(2, 3)}, {}),
    ("DepthToSpace", 7, {"x": [1, 8, 2, 3]}, {}, {"blocksize": 2}),
    ("DepthToSpace", 11, {"x": [1, 8, 2, 3]}, {}, {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", 7, {"x": [1, 2, 4, 6]}, {}, {"blocksize": 2}),
    ("Gather", 11, {"x": [3, 4, 5]}, {"i": ints(1, -1)}, {"axis": -2}),
    ("GatherElements", 13, {"x": [3, 2]}, {"i": ints(1, -1).reshape(1, 2)}, {"axis": 0}),
    ("GatherND", 11, {"x": [3, 4, 5]}, {"i": np.array([[0, 1], [2, 3]])}, {}),
    ("Scatter", 9, {"x": [3, 3]}, {"i": np.array([[1, 0, 2]]), "u": normal(1, 3)}, {"axis": 0}),
    ("ScatterElements", 16, {"x": [3, 3]}, {"i": np.array([[1, 1, 2]]), "u": normal(1, 3)}, {"reduction": "add"}),
    ("ScatterND", 11, {"x": [4, 3]}, {"i": np.array([[1], [3]]), "u": normal(2, 3)}, {}),
    ("ReduceMean", 7, {"x": [2, 3, 4]}, {}, {"axes": [1, -1], "keepdims": 0}),
    ("ReduceMean", 18, {"x": [2, 3, 4]}, {"a": ints(-2)}, {}),
    ("ReduceSum", 11, {"x": [2, 3, 4]}, {}, {"axes": [0]}),
    ("ReduceSum", 13, {"x": [2, 3, 4]}, {"a": ints(0, 1)}, {"keepdims": 0}),
    ("ReduceSum", 13, {"x": [2, 3, 4]}, {}, {}),
    ("ReduceSum", 13, {"x": [2, 3, 4]}, {}, {"noop_with_empty_axes": 1}),
    *((f"Reduce{kind}", 13, {"x": [2, 3, 4]}, {}, {"axes": [1]}) for kind in ("Max", "Min", "Prod", "L1", "L2")),
    *((f"Reduce{kind}", 18, {"x": [2, 3]}, {"a": ints(1)}, {}) for kind in ("LogSumExp", "SumSquare")),
    ("BatchNormalization", 7, IMAGE, {k: np.abs(normal(4)) for k in "smvd"}, {"epsilon": 0.01}),
    ("BatchNormalization", 9, {"x": [2, 4]}, {k: np.abs(normal(4)) for k in "smvd"}, {"momentum": 0.5}),
    ("BatchNormalization", 15, IMAGE, {k: np.abs(normal(4)) for k in "smvd"}, {"training_mode": 0}),
    ("InstanceNormalization", 7, IMAGE, {"s": normal(4), "b": normal(4)}, {"epsilon": 0.01}),
    ("LayerNormalization", 17, {"x": [2, 3, 4]}, {"s": normal(3, 4), "b": normal(3, 4)}, {"axis": 1}),
    ("LayerNormalization", 17, {"x": [2, 3, 4]}, {"s": normal(4)}, {}),
    ("LRN", 13, IMAGE, {}, {"size": 3, "alpha": 0.01, "bias": 2.0}),
    ("LpNormalization", 7, {"x": [3, 4]}, {}, {"axis": 0, "p": 1}),
    ("MeanVarianceNormalization", 13, IMAGE, {}, {}),
    ("MeanVarianceNormalization", 13, {"x": [3, 4]}, {}, {"axes": [-1]}),
    ("Gemm", 7, {"x": [3, 4]}, {"b": normal(4, 5), "c": normal(5)}, {}),
    ("Gemm", 11, {"x": [4, 3]}, {"b": normal(5, 4), "c": normal(1, 5)}, {"transA": 1, "transB": 1, "beta": 2.0}),
    ("Gemm", 11, {"x": [3, 4]}, {"b": normal(4, 5), "c": normal(5)}, {"alpha": 0.5}),
    ("Gemm", 11, {"x": [3, 4]}, {"b": normal(4, 5), "c": normal(3, 1)}, {"beta": 0.5}),
    ("Gemm", 11, {"x": [3, 4]}, {"b": normal(4, 5), "c": normal()}, {}),
    ("Gemm", 13, {"x": [3, 4], "b": [5, 4], "c": [3, 5]}, {}, {"transB": 1, "alpha": 2.0, "beta": 3.0}),
    ("MatMul", 9, {"x": [2, 3, 4], "y": [4, 5]}, {}, {}),
    ("Einsum", 12, {"x": [2, 3, 4], "y": [2, 4, 5]}, {}, {"equation": "b i j, b j k -> b i k"}),
    ("Mean", 8, {"x": [2, 3], "y": [3], "z": [1, 1]}, {}, {}),
    ("Sum", 8, {"x": [2, 3], "y": [3], "z": [1, 1]}, {}, {}),
    ("Max", 8, {"x": [2, 3], "y": [3], "z": [2, 1]}, {}, {}),
    ("Min", 12, {"x": [2, 3]}, {}, {}),
    ("Mod", 13, {"x": [2, 3]}, {"y": normal(3)}, {"fmod": 1}),
    ("PRelu", 9, IMAGE, {"s": normal(4, 1, 1)}, {}),
    ("Gelu", 20, {"x": [3, 4]}, {}, {"approximate": "tanh"}),
    ("HardSigmoid", 7, {"x": [3, 4]}, {}, {"alpha": 0.3}),
    ("Selu", 7, {"x": [3, 4]}, {}, {}),
    ("Shrink", 9, {"x": [3, 4]}, {}, {"lambd": 0.3, "bias": 0.1}),
    ("CumSum", 14, {"x": [3, 4]}, {"a": np.int64(-1)}, {"exclusive": 1, "reverse": 1}),
    ("Trilu", 14, {"x": [4, 4]}, {"k": np.int64(-1)}, {"upper": 0}),
    ("EyeLike", 9, {"x": [3, 4]}, {}, {"k": 1}),
    ("ReverseSequence", 10, {"x": [4, 3]}, {"l": ints(1, 4, 2)}, {}),
    ("RoiAlign", 10, IMAGE, {"r": np.float32([[1, 1, 6, 7]]), "i": ints(0)}, {"output_height": 3, "output_width": 2}),
    ("RoiAlign", 16, IMAGE, {"r": np.float32([[1, 1, 6, 7]]), "i": ints(0)}, {"output_height": 3, "sampling_ratio": 2}),
    ("GridSample", 16, IMAGE, {"g": normal(1, 3, 5, 2) * 0.5}, {"mode": "bilinear", "align_corners": 1}),
    ("GridSample", 16, IMAGE, {"g": normal(1, 3, 5, 2) * 0.5}, {"mode": "bicubic", "padding_mode": "border"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_as_onnxruntime(case: Case) -> None:
    op, opset, shapes, fixed, attributes = case
    same_as_onnxruntime(single(op, shapes, opset, fixed, **attributes), tolerance=1e-4)


RESIZES = [
    ("nearest", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    ("nearest", {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}),
    ("linear", {"coordinate_transformation_mode": "align_corners"}),
    ("linear", {"coordinate_transformation_mode": "pytorch_half_pixel"}),
    ("cubic", {"coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.5}),
    ("cubic", {"coordinate_transformation_mode": "half_pixel", "exclude_outside": 1}),
]


@pytest.mark.parametrize("opset", [11, 13, 18, 19])
@pytest.mark.parametrize(("mode", "attributes"), RESIZES)
@pytest.mark.parametrize("by_sizes", [True, False])
def test_resize(opset: int, mode: str, attributes: dict[str, Any], by_sizes: bool) -> None:
    if attributes["coordinate_transformation_mode"] == "align_corners" and not by_sizes:
        pytest.skip("onnxruntime aligns the corners of a rounded size, the specification those of size times scale")
    fixed = {"roi": np.zeros(0, np.float32)}
    fixed |= {"sizes": ints(1, 4, 12, 5)} if by_sizes else {"scales": np.float32([1, 1, 1.5, 0.75])}
    operands = ["x", "roi", "", "sizes"] if by_sizes else ["x", "roi", "scales"]
    if opset == 11:  # an absent operand was an empty one
        fixed |= {"none": np.zeros(0, np.float32)}
        operands = ["none" if name == "" else name for name in operands]
    model = single("Resize", IMAGE, opset, fixed, inputs=operands, mode=mode, **attributes)
    graph = same_as_onnxruntime(model, tolerance=1e-4)
    (resize,) = (node.op for node in graph.nodes)
    assert isinstance(resize, ops.Resize)
    assert resize.axes == (2, 3)


@pytest.mark.parametrize(("opset", "fixed", "attributes"), [
    (7, {}, {}), (11, {}, {"split": [1, 3]}), (13, {"s": ints(1, 3)}, {}), (13, {}, {}), (18, {}, {"num_outputs": 2}),
])  # fmt: skip
def test_split(opset: int, fixed: dict[str, Any], attributes: dict[str, Any]) -> None:
    same_as_onnxruntime(single("Split", {"x": [2, 4]}, opset, fixed, outputs=2, axis=-1, **attributes))


@pytest.mark.parametrize(("opset", "fixed", "attributes"), [
    (7, {}, {"k": 2}), (10, {"k": ints(2)}, {}), (11, {"k": ints(2)}, {"largest": 0}),
])  # fmt: skip
def test_top_k(opset: int, fixed: dict[str, Any], attributes: dict[str, Any]) -> None:
    model = single("TopK", {"x": [3, 4]}, opset, fixed, outputs=2, axis=0, **attributes)
    model.graph.output[1].type.tensor_type.elem_type = I64
    same_as_onnxruntime(model)


@pytest.mark.parametrize(("op", "opset", "attributes"), [
    ("ArgMax", 7, {"axis": -1}), ("ArgMin", 11, {"keepdims": 0}), ("ArgMax", 13, {"select_last_index": 1}),
])  # fmt: skip
def test_positions_of_extremes(op: str, opset: int, attributes: dict[str, Any]) -> None:
    same_as_onnxruntime(single(op, {"x": [3, 4]}, opset, out_type=I64, **attributes))


@pytest.mark.parametrize("opset", [7, 13, 15])
def test_shape_and_size(opset: int) -> None:
    attributes = {"start": 1, "end": -1} if opset == 15 else {}
    model = single("Shape", {"x": [2, 3, 4]}, opset, out_type=I64, **attributes)
    graph = same_as_onnxruntime(model)
    assert graph.outputs[0].is_constant
    same_as_onnxruntime(single("Size", {"x": [2, 3, 4]}, opset, out_type=I64))


@pytest.mark.parametrize(("opset", "mask"), [(7, False), (10, False), (12, False), (12, True), (13, True)])
def test_dropout_at_inference(opset: int, mask: bool) -> None:
    """Before opset 12 the specification does not say what the mask holds."""
    attributes = {"ratio": 0.3} if opset < 12 else {}
    model = single("Dropout", {"x": [3, 4]}, opset, outputs=2 if mask else 1, **attributes)
    if mask:
        model.graph.output[1].type.tensor_type.elem_type = BOOL
    same_as_onnxruntime(model)


@pytest.mark.parametrize("to", [TensorProto.INT32, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.DOUBLE])
def test_cast(to: int) -> None:
    same_as_onnxruntime(single("Cast", {"x": [3, 4]}, 13, out_type=to, to=to))


def recurrent(op: str, direction: str, layout: int, fixed: dict[str, Any], **more: Any) -> onnx.ModelProto:
    gates, count = {"RNN": 1, "GRU": 3, "LSTM": 4}[op], 2 if direction == "bidirectional" else 1
    outputs = 3 if op == "LSTM" else 2
    weights = {"w": normal(count, gates * 3, 5), "r": normal(count, gates * 3, 3), "b": normal(count, gates * 6)}
    shape = [2, 4, 5] if layout else [4, 2, 5]
    names = ["x", "w", "r", "b", *(name for name in ("l", "h", "c", "p") if name in fixed)]
    if layout:
        more["layout"] = layout
    return single(
        op, {"x": shape}, 14, weights | fixed, outputs, inputs=names, direction=direction, hidden_size=3, **more
    )


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_recurrent_layers(op: str, direction: str) -> None:
    count = 2 if direction == "bidirectional" else 1
    fixed = {"l": np.array([4, 2], np.int32), "h": normal(count, 2, 3)}
    if op == "LSTM":
        fixed |= {"c": normal(count, 2, 3), "p": normal(count, 9)}
    same_as_onnxruntime(recurrent(op, direction, 0, fixed), tolerance=1e-4)


def test_recurrent_layers_with_other_activations() -> None:
    numbers = {"activation_alpha": [0.3, 0.4], "activation_beta": [0.6]}
    model = recurrent("LSTM", "forward", 0, {}, activations=["HardSigmoid", "LeakyRelu", "Softsign"], **numbers)
    same_as_onnxruntime(model, tolerance=1e-4)
    same_as_onnxruntime(recurrent("GRU", "forward", 0, {}, linear_before_reset=1, clip=0.5), tolerance=1e-4)


def test_batch_first_is_time_first_between_transposes() -> None:
    """onnxruntime has no kernel for `layout` 1."""
    first = recurrent("LSTM", "bidirectional", 1, {})
    graph = frontends.load(first)
    assert [value.type.shape for value in graph.outputs] == [(2, 4, 2, 3), (2, 2, 3), (2, 2, 3)]


def test_loss_functions_come_from_their_definition() -> None:
    fixed = {"t": ints(0, 2, 1)}
    same_as_onnxruntime(single("SoftmaxCrossEntropyLoss", {"x": [3, 4]}, 13, fixed), tolerance=1e-4)
    same_as_onnxruntime(single("NegativeLogLikelihoodLoss", {"x": [3, 4]}, 13, fixed, reduction="sum"), tolerance=1e-4)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("extra", [{}, {"is_causal": 1}, {"scale": 0.3}, {"softcap": 2.0}])
def test_attention_stays_whole(flat: bool, extra: dict[str, Any]) -> None:
    shapes = (
        {"q": [2, 5, 16], "k": [2, 5, 8], "v": [2, 5, 8]}
        if flat
        else {"q": [2, 4, 5, 4], "k": [2, 2, 5, 4], "v": [2, 2, 5, 4]}
    )
    heads = {"q_num_heads": 4, "kv_num_heads": 2} if flat else {}
    graph = same_as_onnxruntime(single("Attention", shapes, 23, **heads, **extra), tolerance=1e-4)
    assert sum(isinstance(node.op, ops.Attention) for node in graph.nodes) == 1


@pytest.mark.parametrize("axis", [0, 1])
def test_quantize_and_dequantize_along_an_axis(axis: int) -> None:
    count = (3, 4)[axis]
    fixed = {"s": np.float32(RANDOM.random(count) + 0.01), "z": RANDOM.integers(-9, 9, count).astype(np.int8)}
    same_as_onnxruntime(single("QuantizeLinear", {"x": [3, 4]}, 13, fixed, out_type=TensorProto.INT8, axis=axis))
    same_as_onnxruntime(single("DequantizeLinear", {"x": [3, 4]}, 13, fixed, in_type=TensorProto.INT8, axis=axis))


@pytest.mark.parametrize("op", ["QLinearMatMul", "QLinearConv"])
def test_quantized_products(op: str) -> None:
    scales = {"xs": np.float32(0.05), "xz": np.uint8(120)}
    weight = RANDOM.integers(-60, 60, (4, 6) if op == "QLinearMatMul" else (6, 4, 3, 3)).astype(np.int8)
    by_column = {"ws": np.float32(RANDOM.random(6) * 0.02), "wz": np.zeros(6, np.int8)}
    fixed = {**scales, "w": weight, **by_column, "ys": np.float32(0.3), "yz": np.uint8(128)}
    shape = [3, 4] if op == "QLinearMatMul" else [1, 4, 5, 5]
    kind = TensorProto.UINT8
    model = single(op, {"x": shape}, 10, fixed, in_type=kind, out_type=kind)
    same_as_onnxruntime(model, {"x": RANDOM.integers(0, 255, shape).astype(np.uint8)}, steps=1)


@pytest.mark.parametrize(("model", "code"), [
    (single("BatchNormalization", IMAGE, 15, {k: normal(4) for k in "smvd"}, training_mode=1), "MC303"),
    (single("BatchNormalization", IMAGE, 7, {k: normal(4) for k in "smvd"}, spatial=0), "MC303"),
    (single("Resize", IMAGE, 11, {"r": normal(0), "s": np.float32([1, 1, 2, 2])},
            coordinate_transformation_mode="tf_half_pixel_for_nn"), "MC303"),
    (single("Split", {"x": [2, "n"]}, 13, outputs=2, axis=1), "MC306"),
    (single("Cast", {"x": [2]}, 19, to=TensorProto.FLOAT8E4M3FN, out_type=TensorProto.FLOAT8E4M3FN), "MC304"),
    (single("Col2Im", {"x": [1, 4, 4]}, 18, {"b": ints(2, 2)}, inputs=["x", "i", "b"]), "MC213"),
])  # fmt: skip
def test_forms_that_cannot_be_expressed(model: onnx.ModelProto, code: str) -> None:
    with pytest.raises(Exception, match=code) as error:
        frontends.load(model)
    assert code_of(error) == code
    assert code == "MC213" or isinstance(error.value, UnsupportedError)


def test_mel_weights_are_computed_while_reading() -> None:
    fixed = {"n": np.int64(8), "l": np.int64(64), "r": np.int64(8192), "a": np.float32(0), "b": np.float32(4096)}
    graph = same_as_onnxruntime(single("MelWeightMatrix", {}, 17, fixed), tolerance=1e-5)
    assert graph.outputs[0].is_constant


@pytest.mark.parametrize("opset", [18, 21])
def test_group_norm_by_groups_and_by_channels(opset: int) -> None:
    count = 2 if opset == 18 else 4
    fixed = {"s": normal(count), "b": normal(count)}
    same_as_onnxruntime(single("GroupNormalization", IMAGE, opset, fixed, num_groups=2), tolerance=1e-4)


def test_layer_norm_with_its_statistics() -> None:
    model = single("LayerNormalization", {"x": [2, 3, 4]}, 17, {"s": normal(3, 4)}, outputs=3, axis=-2)
    same_as_onnxruntime(model, tolerance=1e-4)


@pytest.mark.parametrize("name", ["value_float", "value_floats", "value"])
def test_constants_in_every_attribute(name: str) -> None:
    values = {
        "value_float": 1.5,
        "value_floats": [1.5, 2.0],
        "value": onnx.numpy_helper.from_array(normal(2, 3)),
    }
    assert same_as_onnxruntime(single("Constant", {}, 17, **{name: values[name]})).outputs[0].is_constant


def test_range_of_half_precision_counts_in_single() -> None:
    fixed = {name: np.float16(value) for name, value in {"a": 0, "b": 4000, "c": 1}.items()}
    graph = frontends.load(single("Range", {}, 27, fixed, out_type=TensorProto.FLOAT16))
    assert [type(node.op).__name__ for node in graph.nodes][-1] == "Cast"
