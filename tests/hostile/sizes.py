"""Small files that ask for enormous tensors, or for numbers that do not fit into 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .bases import graph, node, text
from .case import Case, model

TRILLION = 10**12


def _ints(*numbers: int) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.int64)


def _floats(*numbers: float) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.float32)


def sizes() -> Iterator[Case]:
    """Every operator that makes much out of little, each with 10^12 elements or more."""
    x4 = {"x": (1, 4, 8, 8)}
    w = {"w": np.ones((4, 4, 3, 3), np.float32)}
    i64 = {"y": TensorProto.INT64}
    cases = {
        "ConstantOfShape": graph(node("ConstantOfShape", "s", "y"), weights={"s": _ints(10**6, 10**6)}),
        "ConstantOfShape 2^80": graph(node("ConstantOfShape", "s", "y"), weights={"s": _ints(2**40, 2**40)}),
        "ConstantOfShape negative": graph(node("ConstantOfShape", "s", "y"), weights={"s": _ints(-4)}),
        "Expand of a constant": graph(node("Expand", "w s", "y"), weights={"w": _floats(1), "s": _ints(TRILLION)}),
        "Expand of an input": graph(node("Expand", "x s", "y"), weights={"s": _ints(TRILLION, 2, 3)}),
        "Expand to overflow": graph(node("Expand", "x s", "y"), weights={"s": _ints(2**62, 2, 3)}),
        "Tile of a constant": graph(node("Tile", "w s", "y"), weights={"w": _floats(1), "s": _ints(TRILLION)}),
        "Tile of an input": graph(node("Tile", "x s", "y"), weights={"s": _ints(10**6, 10**6)}),
        "Tile negative": graph(node("Tile", "x s", "y"), weights={"s": _ints(-1, 1)}),
        "Range": graph(node("Range", "a b c", "y"), weights={
            "a": np.int64(0), "b": np.int64(TRILLION), "c": np.int64(1)}, types=i64),
        "Range of tiny steps": graph(node("Range", "a b c", "y"), weights={
            "a": np.float32(0), "b": np.float32(1), "c": np.float32(1e-30)}),
        "Resize by scales": graph(node("Resize", "x _ s", "y"), inputs=x4, weights={"s": _floats(1, 1, 1e6, 1e6)}),
        "Resize by sizes": graph(node("Resize", "x _ _ s", "y"), inputs=x4, weights={"s": _ints(1, 4, 10**6, 10**6)}),
        "Resize by 1e30": graph(node("Resize", "x _ s", "y"), inputs=x4, weights={"s": _floats(1, 1, 1e30, 1e30)}),
        "Upsample": graph(node("Upsample", "x s", "y"), inputs=x4, weights={"s": _floats(1, 1, 1e6, 1e6)}, opset=9),
        "Pad": graph(node("Pad", "x p", "y"), weights={"p": _ints(0, TRILLION, 0, 0)}),
        "Pad by 2^62": graph(node("Pad", "x p", "y"), weights={"p": _ints(2**62, 0, 2**62, 0)}),
        "Pad all away": graph(node("Pad", "x p", "y"), weights={"p": _ints(-9, 0, 0, 0)}),
        "OneHot": graph(node("OneHot", "i d v", "y"), weights={
            "i": _ints(1, 2), "d": np.int64(TRILLION), "v": _floats(0, 1)}),
        "EyeLike of a big tensor": graph(
            node("ConstantOfShape", "s", "a"), node("EyeLike", "a", "y"), weights={"s": _ints(10**6, 10**6)}),
        "an outer product": graph(node("MatMul", "x x2", "y"), inputs={"x": (10**7, 1), "x2": (1, 10**7)}),
        "an outer Einsum": graph(
            node("Einsum", "x x x", "y", equation="i,j,k->ijk"), inputs={"x": (10**5,)}),
        "doubled 50 times": graph(
            *(node("Concat", f"v{i} v{i}", f"v{i + 1}", axis=0) for i in range(50)),
            inputs={"v0": (1,)}, outputs=["v50"]),
        "an Expand, tiled": graph(
            node("Expand", "w s", "v"), node("Tile", "v t", "y"),
            weights={"w": _floats(1), "s": _ints(10**6), "t": _ints(10**6)}),
        "an input of 10^12": graph(node("Relu", "x", "y"), inputs={"x": (10**6, 10**6)}),
        "an input of 2^124": graph(node("Relu", "x", "y"), inputs={"x": (2**62, 2**62)}),
        "an input of 2^63-1": graph(node("Relu", "x", "y"), inputs={"x": (2**63 - 1,)}),
        "an input of 60 dimensions": graph(node("Relu", "x", "y"), inputs={"x": (1,) * 60}),
        "a Conv padded by 10^9": graph(node("Conv", "x w", "y", pads=[10**9] * 4), inputs=x4, weights=w),
        "a Conv padded by 2^62": graph(node("Conv", "x w", "y", pads=[2**62] * 4), inputs=x4, weights=w),
        "a Conv dilated by 2^62": graph(node("Conv", "x w", "y", dilations=[2**62] * 2), inputs=x4, weights=w),
        "a ConvTranspose of stride 10^9": graph(
            node("ConvTranspose", "x w", "y", strides=[10**9] * 2), inputs=x4, weights=w),
        "a ConvTranspose to 10^6 x 10^6": graph(
            node("ConvTranspose", "x w", "y", strides=[10**6] * 2, output_shape=[10**6] * 2), inputs=x4, weights=w),
        "a MaxPool of kernel 2^40": graph(node("MaxPool", "x", "y", kernel_shape=[2**40] * 2), inputs=x4),
        "an AveragePool padded by 10^9": graph(
            node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[1, 1, 10**9, 10**9]), inputs=x4),
        "a RoiAlign to 10^6 x 10^6": graph(
            node("RoiAlign", "x r i", "y", output_height=10**6, output_width=10**6), inputs=x4,
            weights={"r": np.ones((1, 4), np.float32), "i": _ints(0)}),
        "a window of 10^12": graph(node("HannWindow", "n", "y"), weights={"n": np.int64(TRILLION)}),
        "a mel matrix": graph(node("MelWeightMatrix", "m n r lo hi", "y"), weights={
            "m": np.int64(10**6), "n": np.int64(10**7), "r": np.int64(8000), "lo": np.float32(0),
            "hi": np.float32(4e3)}),
        "a DFT of length 10^12": graph(
            node("DFT", "x n", "y"), inputs={"x": (1, 8, 1)}, weights={"n": np.int64(TRILLION)}),
        "a Split into 10^9": graph(node("Split", "x", "y", num_outputs=10**9), opset=18),
        "a Loop of 2^62 turns": text("""
            g (float[2] x) => (y) {
              n = Constant <value = int64 {4611686018427387904}> ()
              go = Constant <value = bool {1}> ()
              h, y = Loop (n, go, x) <body = b (int64 i, bool k, float[2] s) => (bool k2, float[2] s2, float[2] t) {
                k2 = Identity (k)  s2 = Relu (s)  t = Neg (s)
              }>
            }"""),
        "an LSTM of hidden size 2^40": graph(
            node("LSTM", "x w w", "y", hidden_size=2**40), inputs={"x": (5, 1, 3)},
            weights={"w": np.zeros((1, 16, 3), "f4")}),
        "a DepthToSpace of 2^40": graph(node("DepthToSpace", "x", "y", blocksize=2**40), inputs=x4),
        "a Reshape to 2^62 x 4": graph(node("Reshape", "x s", "y"), weights={"s": _ints(2**62, 4)}),
        "an Unsqueeze of axis 2^40": graph(node("Unsqueeze", "x a", "y"), weights={"a": _ints(2**40)}),
        "a Flatten of axis 2^40": graph(node("Flatten", "x", "y", axis=2**40)),
        "a Gather of 10^12": graph(
            node("ConstantOfShape", "s", "i"), node("Cast", "i", "j", to=TensorProto.INT64), node("Gather", "x j", "y"),
            weights={"s": _ints(TRILLION)}),
        "an LRN of size 10^9 x 10^12": graph(node("LRN", "x", "y", size=10**18), inputs=x4),
        "a Constant of floats": _constant(),
    }  # fmt: skip
    for name, proto in cases.items():
        yield model("size", name, proto)
    plain = graph(node("Relu", "x", "y"), inputs={"x": ("n", 3)})
    for size in ("1000000000000", "9223372036854775807", "99999999999999999999999"):
        yield model("size", f"--dim n={size}", plain, "--dim", f"n={size}")
        yield model("size", f"--input-shape x:{size},3", plain, "--input-shape", f"x:{size},3")


def _constant() -> onnx.ModelProto:
    value = helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0])
    value.dims[0] = TRILLION
    return graph(node("Constant", "", "y", value=value))
