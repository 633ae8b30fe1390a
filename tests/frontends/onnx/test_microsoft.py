"""onnxruntime's own operators, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from mconv.frontends import load
from mconv.frontends.onnx.schema import MICROSOFT
from mconv.ir.errors import UnreadableError
from mconv.ir.interpreter import run

from .models import code_of, feeds_of, same_as_onnxruntime, single

RANDOM = np.random.default_rng(1)
U8, I8 = TensorProto.UINT8, TensorProto.INT8


def normal(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(*shape: int, low: int = 0, high: int = 255, dtype: Any = np.uint8) -> Any:
    return RANDOM.integers(low, high, shape).astype(dtype)


def ms(op: str, shapes: dict[str, Any], fixed: dict[str, Any] | None = None, **more: Any) -> Any:
    return single(op, shapes, initializers=fixed, domain=MICROSOFT, **more)


S, Z = np.float32(0.05), np.uint8(128)
ONE_OPERAND = {"xs": S, "xz": Z, "ys": np.float32(0.06), "yz": np.uint8(120)}


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (4,)])
def test_quantized_sums_and_products(op: str, shape: tuple[int, ...]) -> None:
    fixed = {"as": S, "az": Z, "b": integers(*shape), "bs": S, "bz": Z, "cs": np.float32(0.1), "cz": Z}
    model = ms(op, {"x": [2, 3, 4]}, fixed, in_type=U8, out_type=U8)
    same_as_onnxruntime(model, {"x": integers(2, 3, 4)}, steps=1)


@pytest.mark.parametrize(
    ("op", "shape", "attributes"),
    [
        ("QLinearSigmoid", (3, 4), {}),
        ("QLinearLeakyRelu", (3, 4), {"alpha": 0.2}),
        ("QLinearGlobalAveragePool", (1, 3, 5, 4), {}),
        ("QLinearGlobalAveragePool", (1, 5, 4, 3), {"channels_last": 1}),
        ("QLinearAveragePool", (1, 3, 6, 6), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("QLinearAveragePool", (1, 3, 7, 7), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("QLinearSoftmax", (2, 3, 4), {"axis": 1, "opset": 13}),
        ("QLinearSoftmax", (2, 3, 4), {"axis": 1, "opset": 11}),
    ],
)
def test_quantized_operators_of_one_operand(op: str, shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    version = attributes.pop("opset", None)
    model = ms(op, {"x": list(shape)}, ONE_OPERAND, in_type=U8, out_type=U8, **attributes)
    if version is not None:
        model.graph.node[0].attribute.append(helper.make_attribute("opset", version))
    same_as_onnxruntime(model, {"x": integers(*shape)}, steps=1)


def test_quantized_concat_and_where() -> None:
    fixed = {"ys": S, "yz": Z, "xs": S, "xz": Z, "b": integers(2, 5), "bs": np.float32(0.1), "bz": Z}
    order = ["ys", "yz", "x", "xs", "xz", "b", "bs", "bz"]
    model = ms("QLinearConcat", {"x": [2, 3]}, fixed, axis=-1, inputs=order, in_type=U8, out_type=U8)
    same_as_onnxruntime(model, {"x": integers(2, 3)}, steps=1)
    fixed = {"c": integers(2, 3) > 99, "xs": S, "xz": Z, "b": integers(2, 3), "bs": S, "bz": Z, "ys": S, "yz": Z}
    order = ["c", "x", "xs", "xz", "b", "bs", "bz", "ys", "yz"]
    model = ms("QLinearWhere", {"x": [2, 3]}, fixed, inputs=order, in_type=U8, out_type=U8)
    same_as_onnxruntime(model, {"x": integers(2, 3)}, steps=1)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantized_convolution(last: int, per_channel: bool) -> None:
    scale = np.float32([0.01, 0.02, 0.03, 0.04]) if per_channel else np.float32(0.02)
    zero = np.zeros(4, np.int8) if per_channel else np.int8(0)
    # Without VNNI, onnxruntime adds pairs of products in 16 bits, which larger weights would overflow.
    fixed = {
        "xs": S, "xz": Z, "w": integers(4, 3, 3, 3, low=-60, high=60, dtype=np.int8), "ws": scale, "wz": zero,
        "ys": np.float32(0.3), "yz": Z, "b": integers(4, low=-300, high=300, dtype=np.int32),
    }  # fmt: skip
    shape = [1, 6, 5, 3] if last else [1, 3, 6, 5]
    model = ms("QLinearConv", {"x": shape}, fixed, channels_last=last, pads=[1, 1, 1, 1], in_type=U8, out_type=U8)
    same_as_onnxruntime(model, {"x": integers(*shape)}, steps=1)


@pytest.mark.parametrize("stored", [True, False])
def test_quantized_gemm(stored: bool) -> None:
    fixed = {
        "as": S, "az": Z, "b": integers(6, 4), "bs": np.float32(0.02), "bz": Z,
        "c": integers(6, low=-99, high=99, dtype=np.int32), **({"ys": np.float32(0.4), "yz": Z} if stored else {}),
    }  # fmt: skip
    kind = U8 if stored else TensorProto.FLOAT
    model = ms("QGemm", {"x": [3, 4]}, fixed, transB=1, in_type=U8, out_type=kind)
    same_as_onnxruntime(model, {"x": integers(3, 4)}, steps=1)


@pytest.mark.parametrize("bias", [True, False])
def test_integer_products_to_float(bias: bool) -> None:
    fixed = {"b": integers(4, 5), "as": S, "bs": np.float32(RANDOM.random(5)), "az": Z, "bz": integers(5)}
    fixed |= {"c": normal(5)} if bias else {}
    model = ms("MatMulIntegerToFloat", {"x": [3, 4]}, fixed, in_type=U8)
    same_as_onnxruntime(model, {"x": integers(3, 4)}, tolerance=1e-4)


def test_product_quantized_as_it_runs() -> None:
    fixed = {"b": integers(4, 5), "bs": np.float32(0.02), "bz": Z, "c": normal(5)}
    same_as_onnxruntime(ms("DynamicQuantizeMatMul", {"x": [3, 4]}, fixed), tolerance=1e-4)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [True, False])
def test_product_with_weights_of_few_bits(bits: int, zeros: bool) -> None:
    rows, columns, block = 6, 40, 16
    count = -(-columns // block)
    fixed: dict[str, Any] = {
        "b": integers(rows, count, block * bits // 8),
        "s": np.float32(RANDOM.random(rows * count)),
    }
    if zeros:
        fixed["z"] = integers(rows * -(-count * bits // 8))
    attributes = {"N": rows, "K": columns, "bits": bits, "block_size": block}
    model = ms("MatMulNBits", {"x": [2, columns]}, fixed, **attributes)
    same_as_onnxruntime(model, tolerance=1e-2 if bits == 8 else 1e-3)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint8, np.int8])
def test_quantize_and_dequantize(kind: Any) -> None:
    dtype = TensorProto.DataType.Value(np.dtype(kind).name.upper())
    fixed = {"s": np.float32(0.01), "z": kind(3)}
    same_as_onnxruntime(ms("QuantizeLinear", {"x": [3, 4]}, fixed, out_type=dtype))
    same_as_onnxruntime(ms("DequantizeLinear", {"x": [3, 4]}, fixed, in_type=dtype))


@pytest.mark.parametrize(
    ("activation", "numbers"),
    [("", []), ("Relu", []), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.3, 0.4]), ("Tanh", [])],
)
def test_fused_convolution(activation: str, numbers: list[float]) -> None:
    fixed = {"w": normal(4, 3, 3, 3), "b": normal(4)}
    attributes: dict[str, Any] = {"activation": activation} if activation else {}
    attributes |= {"activation_params": numbers} if numbers else {}
    same_as_onnxruntime(ms("FusedConv", {"x": [1, 3, 6, 6]}, fixed, pads=[1] * 4, **attributes))


def test_fused_convolution_with_a_sum() -> None:
    model = ms("FusedConv", {"x": [1, 3, 6, 6], "z": [1, 4, 4, 4]}, {"w": normal(4, 3, 3, 3), "b": normal(4)},
               inputs=["x", "w", "b", "z"], activation="Relu")  # fmt: skip
    same_as_onnxruntime(model)


def test_fused_gemm_and_matmul() -> None:
    fixed = {"b": normal(4, 5), "c": normal(5)}
    same_as_onnxruntime(
        ms("FusedGemm", {"x": [3, 4]}, fixed, alpha=0.5, beta=2.0, activation="LeakyRelu", activation_alpha=0.2)
    )
    for turned in (0, 1):
        shape = [2, 4, 3] if turned else [2, 3, 4]
        model = ms("FusedMatMul", {"x": shape}, {"b": normal(2, 5, 4)}, alpha=0.3, transA=turned, transB=1)
        same_as_onnxruntime(model)


@pytest.mark.parametrize(
    ("op", "shapes", "attributes"),
    [
        ("Gelu", {"x": [3, 4]}, {}),
        ("BiasGelu", {"x": [3, 4], "b": [4]}, {}),
        ("FastGelu", {"x": [3, 4]}, {}),
        ("FastGelu", {"x": [3, 4], "b": [4]}, {}),
        ("QuickGelu", {"x": [3, 4]}, {}),
        ("QuickGelu", {"x": [3, 4]}, {"alpha": 1.0}),
        ("NhwcMaxPool", {"x": [1, 6, 5, 3]}, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
)
def test_fused_activations(op: str, shapes: dict[str, Any], attributes: dict[str, Any]) -> None:
    kind = I8 if op == "NhwcMaxPool" else TensorProto.FLOAT
    same_as_onnxruntime(ms(op, shapes, in_type=kind, out_type=kind, **attributes), tolerance=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_skip_layer_norms(bias: bool) -> None:
    fixed = {"skip": normal(2, 3, 8), "gamma": normal(8), "beta": normal(8), **({"b": normal(8)} if bias else {})}
    model = ms("SkipLayerNormalization", {"x": [2, 3, 8]}, fixed, outputs=4)
    for index in (1, 2):
        model.graph.node[0].output[index] = ""
    del model.graph.output[1:3]
    same_as_onnxruntime(model, tolerance=1e-4)
    del fixed["beta"]
    same_as_onnxruntime(ms("SkipSimplifiedLayerNormalization", {"x": [2, 3, 8]}, fixed), tolerance=1e-4)


def test_layer_norms_that_the_optimizer_writes_into_old_opsets() -> None:
    scale = {"scale": normal(8)}
    same_as_onnxruntime(single("SimplifiedLayerNormalization", {"x": [2, 8]}, initializers=scale), tolerance=1e-4)
    model = single("LayerNormalization", {"x": [2, 8]}, initializers={**scale, "b": normal(8)}, opset=13, axis=-1)
    same_as_onnxruntime(model, tolerance=1e-4)


@pytest.mark.parametrize("segments", [True, False])
def test_embeddings(segments: bool) -> None:
    fixed = {
        "word": normal(11, 8),
        "position": normal(7, 8),
        "segment": normal(2, 8),
        "gamma": normal(8),
        "beta": normal(8),
    }
    if not segments:
        del fixed["segment"]
    ids = {"ids": [2, 5], **({"kinds": [2, 5]} if segments else {}), "mask": [2, 5]}
    order = [
        "ids",
        "kinds" if segments else "",
        "word",
        "position",
        "segment" if segments else "",
        "gamma",
        "beta",
        "mask",
    ]
    model = ms("EmbedLayerNormalization", ids, fixed, inputs=order, in_type=TensorProto.INT32, outputs=2)
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT32
    feeds = {name: integers(*shape, high=2, dtype=np.int32) for name, shape in ids.items()}
    same_as_onnxruntime(model, feeds, tolerance=1e-4)


def attention(mask: Any = None, past: bool = False, outputs: int = 1, **attributes: Any) -> tuple[Any, dict[str, Any]]:
    fixed: dict[str, Any] = {"w": normal(16, 48), "b": normal(48)}
    shapes: dict[str, Any] = {"x": [2, 5, 16], **({"past": [2, 2, 4, 3, 4]} if past else {})}
    if mask is not None:
        fixed["mask"] = mask
    order = ["x", "w", "b", "mask" if mask is not None else "", "past" if past else ""]
    model = ms("Attention", shapes, fixed, inputs=order, num_heads=4, outputs=outputs, **attributes)
    return model, feeds_of(model)


@pytest.mark.parametrize("attributes", [{}, {"unidirectional": 1}, {"scale": 0.3}])
def test_attention(attributes: dict[str, Any]) -> None:
    same_as_onnxruntime(*attention(**attributes), tolerance=1e-4)


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 5)])
def test_attention_with_masks(shape: tuple[int, ...]) -> None:
    mask = integers(*shape, high=2, dtype=np.int32)
    mask[..., 0] = 1
    same_as_onnxruntime(*attention(mask), tolerance=1e-4)


def test_attention_with_a_past() -> None:
    same_as_onnxruntime(*attention(past=True, outputs=2), tolerance=1e-4)


def test_quantized_attention() -> None:
    fixed = {"w": integers(16, 48), "b": normal(48), "xs": S, "ws": np.float32(0.01)}
    zeros = {"xz": Z, "wz": Z}
    order = ["x", "w", "b", "xs", "ws", "", "xz", "wz"]
    model = ms("QAttention", {"x": [2, 5, 16]}, fixed | zeros, inputs=order, num_heads=4, in_type=U8)
    same_as_onnxruntime(model, {"x": integers(2, 5, 16)}, tolerance=1e-3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("extra", [{}, {"unidirectional": 1}])
def test_multi_head_attention(bias: bool, extra: dict[str, Any]) -> None:
    shapes = {"q": [2, 5, 16], "k": [2, 5, 16], "v": [2, 5, 24]}
    fixed = {"b": normal(16 + 16 + 24)} if bias else {}
    same_as_onnxruntime(ms("MultiHeadAttention", shapes, fixed, num_heads=4, **extra), tolerance=1e-4)


def test_multi_head_attention_of_packed_operands() -> None:
    """onnxruntime has no such kernel on a CPU: the same numbers packed and separate must agree."""
    qkv = normal(2, 5, 4, 3, 8)
    q, k, v = (np.ascontiguousarray(qkv[:, :, :, i]).reshape(2, 5, 32) for i in range(3))
    separate = run(load(ms("MultiHeadAttention", {"q": [2, 5, 32]}, {"k": k, "v": v}, num_heads=4)), {"q": q})
    packed = ms("MultiHeadAttention", {"qkv": [2, 5, 4, 3, 8]}, num_heads=4)
    np.testing.assert_array_equal(run(load(packed), {"qkv": qkv})["y0"], separate["y0"])
    pair = ms("MultiHeadAttention", {"q": [2, 5, 32], "kv": [2, 5, 4, 2, 8]}, num_heads=4)
    feeds = {"q": q, "kv": np.ascontiguousarray(qkv[:, :, :, 1:])}
    np.testing.assert_array_equal(run(load(pair), feeds)["y0"], separate["y0"])


def test_multi_head_attention_with_masks_and_a_past() -> None:
    mask = np.array([[1] * 8, [1] * 6 + [0] * 2], np.int32)
    shapes = {"q": [2, 5, 16], "k": [2, 5, 16], "v": [2, 5, 16], "pk": [2, 4, 3, 4], "pv": [2, 4, 3, 4]}
    fixed = {"mask": mask, "ab": normal(1, 4, 5, 8)}
    order = ["q", "k", "v", "", "mask", "ab", "pk", "pv"]
    model = ms("MultiHeadAttention", shapes, fixed, inputs=order, num_heads=4, outputs=3)
    same_as_onnxruntime(model, tolerance=1e-4)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("one", [True, False])
def test_rotary_embedding(interleaved: int, flat: bool, one: bool) -> None:
    shape = [2, 5, 16] if flat else [2, 4, 5, 4]
    positions = np.array([1]) if one else np.array([[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]])
    fixed = {"p": positions, "c": normal(9, 2), "s": normal(9, 2)}
    model = ms("RotaryEmbedding", {"x": shape}, fixed, interleaved=interleaved)
    same_as_onnxruntime(model)


@pytest.mark.parametrize("attributes", [{"size": 3}, {"size": 2, "dim": 1, "step": 2}, {"size": 4, "dim": -2}])
def test_unfold(attributes: dict[str, Any]) -> None:
    same_as_onnxruntime(ms("UnfoldTensor", {"x": [2, 5, 6]}, **attributes))


@pytest.mark.parametrize(
    ("attributes", "code"),
    [({"size": 7}, "MC219"), ({"size": 2, "step": 0}, "MC219"), ({"size": 1, "dim": 3}, "MC219"), ({}, "MC217")],
)
def test_unfold_that_fits_nothing(attributes: dict[str, Any], code: str) -> None:
    with pytest.raises(UnreadableError) as error:
        load(ms("UnfoldTensor", {"x": [2, 5, 6]}, **attributes))
    assert code_of(error) == code


def test_the_table_of_specifications_is_fresh() -> None:
    pytest.importorskip("onnxruntime")
    from mconv.frontends.onnx import contrib_schema

    from . import contrib_table

    made: dict[str, Any] = {}
    exec(contrib_table.table(), made)
    assert made["CONTRIB"] == contrib_schema.CONTRIB, "run python -m tests.frontends.onnx.contrib_table"
