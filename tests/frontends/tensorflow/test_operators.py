"""Each family of operators: what is read computes what TensorFlow does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .models import Make, agree, random, raw, tf, v1

f = random


def c(data: Any, dtype: Any = np.int32) -> Any:
    return tf.constant(np.array(data, dtype))


X = f((2, 9, 8, 4))
V = f((2, 5, 7, 6, 3))
NCHW = f((2, 4, 9, 8))


def conv(w: tuple[int, ...], strides: tuple[int, int] = (1, 1), padding: str = "SAME", **more: Any) -> Make:
    return lambda x, *_: raw.Conv2D(input=x, filter=f(w), strides=[1, *strides, 1], padding=padding, **more)


def test_convolutions(tmp_path: Path) -> None:
    w3 = f((3, 2, 3, 3, 5))
    makes: dict[str, Make] = {
        "same": conv((3, 3, 4, 6)),
        "strides": conv((3, 2, 4, 6), (2, 3)),
        "valid": conv((3, 2, 4, 6), padding="VALID"),
        "dilated": conv((3, 3, 4, 6), dilations=[1, 2, 3, 1]),
        "groups": conv((3, 3, 2, 6)),
        "explicit": conv((3, 3, 4, 6), padding="EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0]),
        "depthwise": lambda x, *_: raw.DepthwiseConv2dNative(
            input=x, filter=f((3, 3, 4, 2)), strides=[1, 2, 2, 1], padding="SAME"),
        "depthwise_dilated": lambda x, *_: tf.nn.depthwise_conv2d(
            x, f((3, 3, 4, 1)), strides=[1, 1, 1, 1], padding="SAME", dilations=[2, 2]),
        "atrous": lambda x, *_: tf.nn.atrous_conv2d(x, f((3, 3, 4, 5)), 2, "VALID"),
        "three": lambda x, v, *_: raw.Conv3D(input=v, filter=w3, strides=[1, 1, 2, 2, 1], padding="SAME"),
        "bias": lambda x, *_: raw.BiasAdd(value=x, bias=f((4,))),
        "bias_first": lambda x, v, y: raw.BiasAdd(value=y, bias=f((4,)), data_format="NCHW"),
        "transposed": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 18, 16, 3], filter=f((3, 3, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"),
        "transposed_odd": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 17, 15, 3], filter=f((4, 4, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"),
        "transposed_valid": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 19, 16, 3], filter=f((3, 2, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1], padding="VALID"),
        "transposed_more": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 20, 17, 3], filter=f((3, 3, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1], padding="VALID"),
        "transposed_explicit": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 17, 14, 3], filter=f((3, 3, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1],
            padding="EXPLICIT", explicit_paddings=[0, 0, 1, 1, 1, 2, 0, 0]),
        "transposed_short": lambda x, *_: raw.Conv2DBackpropInput(
            input_sizes=[2, 18, 16, 3], filter=f((1, 1, 3, 4)), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"),
        "transposed_depthwise": lambda x, *_: raw.DepthwiseConv2dNativeBackpropInput(
            input_sizes=[2, 18, 16, 4], filter=f((3, 3, 4, 1)), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"),
        "transposed_three": lambda x, v, *_: raw.Conv3DBackpropInputV2(
            input_sizes=[2, 10, 14, 12, 2], filter=f((3, 3, 3, 2, 3)), out_backprop=v, strides=[1, 2, 2, 2, 1],
            padding="SAME"),
    }  # fmt: skip
    agree(tmp_path, {"x": X, "v": V, "y": NCHW}, makes)


def test_channels_first(tmp_path: Path) -> None:
    """TensorFlow computes NCHW on processors in fewer operators than it reads; the rest is compared with NHWC."""
    from mconv.frontends.tensorflow.reader import read
    from mconv.ir.interpreter import run

    def pair(x: Any, layout: str) -> list[Any]:
        spread = lambda a, b: [1, a, b, 1] if layout == "NHWC" else [1, 1, a, b]  # noqa: E731
        pads = [0, 0, 1, 2, 0, 1, 0, 0] if layout == "NHWC" else [0, 0, 0, 0, 1, 2, 0, 1]
        common = {"data_format": layout}
        bn = [f((4,)) for _ in range(3)] + [np.abs(f((4,))) + 1]
        return [
            raw.Conv2D(input=x, filter=f((3, 3, 4, 6)), strides=spread(2, 2), padding="SAME", **common),
            raw.Conv2D(input=x, filter=f((3, 3, 4, 6)), strides=spread(1, 1), padding="EXPLICIT",
                       explicit_paddings=pads, **common),
            raw.DepthwiseConv2dNative(input=x, filter=f((3, 3, 4, 2)), strides=spread(1, 1), padding="SAME", **common),
            raw.MaxPool(input=x, ksize=spread(3, 2), strides=spread(2, 2), padding="SAME", **common),
            raw.AvgPool(value=x, ksize=spread(3, 2), strides=spread(2, 2), padding="SAME", **common),
            raw.FusedBatchNormV3(x=x, scale=bn[0], offset=bn[1], mean=bn[2], variance=bn[3], is_training=False,
                                 **common)[0],
            raw.DepthToSpace(input=x, block_size=2, **common),
        ]  # fmt: skip

    graphs = {}
    for layout, shape in (("NHWC", (2, 8, 8, 4)), ("NCHW", (2, 4, 8, 8))):
        graph = tf.Graph()
        with graph.as_default():
            for i, tensor in enumerate(pair(v1.placeholder(tf.float32, shape, "x"), layout)):
                tf.identity(tensor, f"out_{i}")
        path = tmp_path / f"{layout}.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
        graphs[layout] = read(path)
    x = f((2, 8, 8, 4))
    first = run(graphs["NCHW"], {"x": x.transpose(0, 3, 1, 2)})
    for name, wanted in run(graphs["NHWC"], {"x": x}).items():
        np.testing.assert_allclose(first[name], wanted.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-5)


def test_pools_and_normalisations(tmp_path: Path) -> None:
    bn = {"scale": f((4,)), "offset": f((4,)), "mean": f((4,)), "variance": np.abs(f((4,))) + 1}
    empty = {"scale": f((4,)), "offset": f((4,)), "mean": np.zeros(0, "f"), "variance": np.zeros(0, "f")}
    window = {"ksize": [1, 3, 2, 1], "strides": [1, 2, 2, 1]}
    makes: dict[str, Make] = {
        "max_same": lambda x, v: raw.MaxPool(input=x, padding="SAME", **window),
        "max_valid": lambda x, v: raw.MaxPool(input=x, padding="VALID", **window),
        "max_explicit": lambda x, v: raw.MaxPool(input=x, padding="EXPLICIT",
                                                 explicit_paddings=[0, 0, 1, 1, 0, 1, 0, 0], **window),
        "max_v2": lambda x, v: raw.MaxPoolV2(input=x, ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding="SAME"),
        "max_arg": lambda x, v: raw.MaxPoolWithArgmax(input=x, padding="SAME", **window)[0],
        "avg_same": lambda x, v: raw.AvgPool(value=x, padding="SAME", **window),
        "avg_valid": lambda x, v: raw.AvgPool(value=x, padding="VALID", **window),
        "max_three": lambda x, v: raw.MaxPool3D(input=v, ksize=[1, 2, 2, 2, 1], strides=[1, 2, 1, 2, 1],
                                                padding="SAME"),
        "avg_three": lambda x, v: raw.AvgPool3D(input=v, ksize=[1, 2, 2, 2, 1], strides=[1, 2, 1, 2, 1],
                                                padding="SAME"),
        "bn1": lambda x, v: raw.FusedBatchNorm(x=x, is_training=False, **bn)[0],
        "bn2": lambda x, v: raw.FusedBatchNormV2(x=x, is_training=False, epsilon=0.01, **bn)[0],
        "bn3": lambda x, v: raw.FusedBatchNormV3(x=x, is_training=False, **bn)[0],
        "bn_training": lambda x, v: list(raw.FusedBatchNormV3(x=x, is_training=True, **empty)[:2]),
        "lrn": lambda x, v: raw.LRN(input=x, depth_radius=1, bias=2.0, alpha=0.3, beta=0.6),
        "l2_loss": lambda x, v: raw.L2Loss(t=x),
        "softmax": lambda x, v: raw.Softmax(logits=x),
        "log_softmax": lambda x, v: raw.LogSoftmax(logits=x),
        "leaky": lambda x, v: raw.LeakyRelu(features=x, alpha=0.3),
    }  # fmt: skip
    for op in ("Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign"):
        makes[op] = lambda x, v, op=op: getattr(raw, op)(features=x * 4)
    for op in ("Sigmoid", "Tanh"):
        makes[op] = lambda x, v, op=op: getattr(raw, op)(x=x * 4)
    agree(tmp_path, {"x": X, "v": V}, makes)


def test_elementwise(tmp_path: Path) -> None:
    a, b, i, j = f((3, 4)), f((4,)), f((3, 4), np.int32, -20, 20), f((3, 1), np.int32, 1, 5)
    makes: dict[str, Make] = {}
    for op in ("Abs", "Neg", "Sign", "Ceil", "Floor", "Rint", "Round", "Square", "Exp", "Sin", "Cos", "Tan", "Atan",
               "Sinh", "Cosh", "Asinh", "Erf", "Erfc", "Expm1", "Reciprocal", "Inv", "IsNan", "IsInf",
               "IsFinite"):  # fmt: skip
        makes[op] = lambda a, b, i, j, op=op: getattr(raw, op)(x=a)
    for op in ("Sqrt", "Rsqrt", "Log", "Log1p", "Acosh"):
        makes[op] = lambda a, b, i, j, op=op: getattr(raw, op)(x=tf.abs(a) + 1)
    for op in ("Asin", "Acos", "Atanh"):
        makes[op] = lambda a, b, i, j, op=op: getattr(raw, op)(x=a * 0.4)
    for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "SquaredDifference", "FloorDiv",
               "FloorMod", "Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "DivNoNan", "MulNoNan",
               "Mod"):  # fmt: skip
        makes[op] = lambda a, b, i, j, op=op: getattr(raw, op)(x=a, y=b)
    for op in ("Div", "TruncateDiv", "FloorDiv", "FloorMod", "TruncateMod", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
               "LeftShift", "RightShift", "Maximum"):  # fmt: skip
        makes[f"{op}_whole"] = lambda a, b, i, j, op=op: getattr(raw, op)(x=i, y=j)
    makes |= {
        "atan2": lambda a, b, i, j: raw.Atan2(y=a, x=b),
        "pow": lambda a, b, i, j: raw.Pow(x=tf.abs(a), y=b),
        "xdivy": lambda a, b, i, j: raw.Xdivy(x=tf.round(a), y=b),
        "xlogy": lambda a, b, i, j: raw.Xlogy(x=tf.round(a), y=tf.abs(b)),
        "approximate": lambda a, b, i, j: raw.ApproximateEqual(x=a, y=a + 0.2, tolerance=0.3),
        "invert": lambda a, b, i, j: raw.Invert(x=i),
        "not": lambda a, b, i, j: raw.LogicalNot(x=a > 0),
        "and": lambda a, b, i, j: raw.LogicalAnd(x=a > 0, y=b > 0),
        "or": lambda a, b, i, j: raw.LogicalOr(x=a > 0, y=b > 0),
        "add_n": lambda a, b, i, j: raw.AddN(inputs=[a, a, -2 * a, a]),
        "clip": lambda a, b, i, j: raw.ClipByValue(t=a, clip_value_min=-0.5, clip_value_max=1.0),
        "to_int": lambda a, b, i, j: raw.Cast(x=a, DstT=tf.int32),
        "to_half": lambda a, b, i, j: raw.Cast(x=a, DstT=tf.float16),
        "to_bool": lambda a, b, i, j: raw.Cast(x=i, DstT=tf.bool),
        "bits": lambda a, b, i, j: raw.Bitcast(input=a, type=tf.int32),
        "select": lambda a, b, i, j: raw.Select(condition=a > 0, x=a, y=-a),
        "select_rows": lambda a, b, i, j: raw.Select(condition=c([1, 0, 1], bool), x=a, y=-a),
        "select_v2": lambda a, b, i, j: raw.SelectV2(condition=b > 0, t=a, e=b),
        "bucketize": lambda a, b, i, j: raw.Bucketize(input=a, boundaries=[-1.0, 0.0, 1.5]),
        "passed": lambda a, b, i, j: raw.CheckNumerics(
            tensor=raw.StopGradient(input=raw.Snapshot(input=a)), message="no"),
        "ensured": lambda a, b, i, j: raw.EnsureShape(input=a, shape=[3, 4]),
        "several": lambda a, b, i, j: raw.IdentityN(input=[a, i]),
        "default": lambda a, b, i, j: raw.PlaceholderWithDefault(input=c([1, 2], np.float32), shape=[2]) + 1,
    }  # fmt: skip
    agree(tmp_path, {"a": a, "b": b, "i": i, "j": j}, makes)


def test_reductions(tmp_path: Path) -> None:
    a, i = f((3, 4, 5)), f((3, 4, 5), np.int32, -9, 9)
    makes: dict[str, Make] = {}
    for op in ("Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"):
        makes[op] = lambda a, i, op=op: getattr(raw, op)(input=a, axis=[0, -1])
        makes[f"{op}_kept"] = lambda a, i, op=op: getattr(raw, op)(input=a, axis=1, keep_dims=True)
    for op in ("Any", "All"):
        makes[op] = lambda a, i, op=op: getattr(raw, op)(input=a > -1.5, axis=[1])
    makes |= {
        "sum_whole": lambda a, i: raw.Sum(input=i, axis=[1]),
        "arg_max": lambda a, i: raw.ArgMax(input=a, dimension=1),
        "arg_min": lambda a, i: raw.ArgMin(input=a, dimension=-1, output_type=tf.int32),
        "top": lambda a, i: list(raw.TopKV2(input=a, k=3)),
        "cumsum": lambda a, i: raw.Cumsum(x=a, axis=1, exclusive=True, reverse=True),
        "cumprod": lambda a, i: raw.Cumprod(x=a, axis=-1),
    }
    agree(tmp_path, {"a": a, "i": i}, makes)


def test_products(tmp_path: Path) -> None:
    a, b = f((2, 3, 4)), f((2, 5, 4))
    makes: dict[str, Make] = {
        "matmul": lambda a, b: raw.MatMul(a=a[0], b=b[0], transpose_b=True),
        "matmul_a": lambda a, b: raw.MatMul(a=a[0], b=f((3, 6)), transpose_a=True),
        "batch": lambda a, b: raw.BatchMatMul(x=a, y=b, adj_y=True),
        "batch_v2": lambda a, b: raw.BatchMatMulV2(x=a, y=b[0], adj_y=True),
        "batch_v3": lambda a, b: raw.BatchMatMulV3(x=a, y=f((2, 3, 2)), adj_x=True, Tout=tf.float32),
        "einsum": lambda a, b: raw.Einsum(inputs=[a, b], equation="bij,bkj->bik"),
        "dots": lambda a, b: raw.Einsum(inputs=[a, f((4, 6))], equation="...j,jk->...k"),
    }
    agree(tmp_path, {"a": a, "b": b}, makes)


def test_shapes_and_movement(tmp_path: Path) -> None:
    a, i = f((3, 4, 5)), f((6,), np.int32, 0, 5)
    makes: dict[str, Make] = {
        "shape": lambda a, i: raw.Shape(input=a),
        "shape_long": lambda a, i: raw.Shape(input=a, out_type=tf.int64),
        "shapes": lambda a, i: raw.ShapeN(input=[a, a]),
        "size": lambda a, i: raw.Size(input=a),
        "rank": lambda a, i: raw.Rank(input=a),
        "zeros": lambda a, i: raw.ZerosLike(x=a),
        "ones": lambda a, i: raw.OnesLike(x=i),
        "fill": lambda a, i: raw.Fill(dims=[2, 3], value=1.5),
        "range": lambda a, i: raw.Range(start=2, limit=11, delta=3),
        "range_float": lambda a, i: raw.Range(start=0.5, limit=3.0, delta=0.5),
        "lin_space": lambda a, i: raw.LinSpace(start=0.0, stop=1.0, num=5),
        "reshape": lambda a, i: raw.Reshape(tensor=a, shape=[5, -1]),
        "transpose": lambda a, i: raw.Transpose(x=a, perm=[2, 0, 1]),
        "expand": lambda a, i: raw.ExpandDims(input=a, axis=-2),
        "squeeze": lambda a, i: raw.Squeeze(input=a[:, :1, None], axis=[1, -2]),
        "squeeze_all": lambda a, i: raw.Squeeze(input=a[:, :1, None]),
        "concat": lambda a, i: raw.Concat(concat_dim=1, values=[a, a * 2]),
        "concat_v2": lambda a, i: raw.ConcatV2(values=[a, a * 2, a], axis=-1),
        "pack": lambda a, i: raw.Pack(values=[a, a * 2], axis=-1),
        "unpack": lambda a, i: raw.Unpack(value=a, num=4, axis=1),
        "split": lambda a, i: raw.Split(axis=1, value=a, num_split=2),
        "split_v": lambda a, i: raw.SplitV(value=a, size_splits=[1, -1, 2], axis=2, num_split=3),
        "slice": lambda a, i: raw.Slice(input=a, begin=[1, 0, 2], size=[-1, 3, 2]),
        "index": lambda a, i: [a[1], a[..., -1], a[:, None, 1:3, ::2], a[-2:, ::-1], a[0, ..., 1:, None]],
        "pad": lambda a, i: raw.Pad(input=a, paddings=[[0, 1], [2, 0], [1, 1]]),
        "pad_v2": lambda a, i: raw.PadV2(input=a, paddings=[[0, 1], [2, 0], [1, 1]], constant_values=7.0),
        "reflect": lambda a, i: raw.MirrorPad(input=a, paddings=[[0, 1], [2, 0], [1, 3]], mode="REFLECT"),
        "symmetric": lambda a, i: raw.MirrorPad(input=a, paddings=[[0, 3], [2, 0], [1, 3]], mode="SYMMETRIC"),
        "tile": lambda a, i: raw.Tile(input=a, multiples=[1, 2, 3]),
        "broadcast": lambda a, i: raw.BroadcastTo(input=a[:, :1], shape=[2, 3, 4, 5]),
        "broadcast_args": lambda a, i: raw.BroadcastArgs(s0=[4, 1, 3], s1=[5, 1]),
        "reverse": lambda a, i: raw.ReverseV2(tensor=a, axis=[0, -1]),
        "reverse_1": lambda a, i: raw.Reverse(tensor=a, dims=[False, True, False]),
        "reverse_sequence": lambda a, i: raw.ReverseSequence(input=a, seq_lengths=[2, 4, 1], seq_dim=1, batch_dim=0),
        "reverse_sequence_2": lambda a, i: raw.ReverseSequence(
            input=a, seq_lengths=[2, 4, 1, 5], seq_dim=2, batch_dim=1),
        "roll": lambda a, i: raw.Roll(input=a, shift=[1, -2], axis=[0, 2]),
        "invert_permutation": lambda a, i: raw.InvertPermutation(x=[2, 0, 1]),
        "gather": lambda a, i: raw.Gather(params=a, indices=[2, 0]),
        "gather_v2": lambda a, i: raw.GatherV2(params=a, indices=[[2, 0], [1, 1]], axis=2),
        "gather_batch": lambda a, i: raw.GatherV2(params=a, indices=[[2, 0], [1, 1], [0, 3]], axis=2, batch_dims=1),
        "gather_nd": lambda a, i: raw.GatherNd(params=a, indices=[[2, 0], [1, 3]]),
        "scatter_nd": lambda a, i: raw.ScatterNd(indices=[[1], [3], [1]], updates=a[:, 0], shape=[5, 5]),
        "scatter_update": lambda a, i: raw.TensorScatterUpdate(tensor=a, indices=[[1], [0]], updates=a[1:] * 9),
        "scatter_add": lambda a, i: raw.TensorScatterAdd(tensor=a, indices=[[1], [1]], updates=a[1:] * 9),
        "scatter_sub": lambda a, i: raw.TensorScatterSub(tensor=a, indices=[[1], [1]], updates=a[1:] * 9),
        "one_hot": lambda a, i: raw.OneHot(indices=i - 1, depth=4, on_value=2.0, off_value=-1.0),
        "one_hot_first": lambda a, i: raw.OneHot(indices=i, depth=4, on_value=2.0, off_value=-1.0, axis=0),
        "where": lambda a, i: raw.Where(condition=a > 0.5),
        "unique": lambda a, i: list(raw.Unique(x=i)),
        "diag": lambda a, i: raw.MatrixDiag(diagonal=a),
        "diag_v3": lambda a, i: tf.linalg.diag(a),
        "diag_part": lambda a, i: raw.MatrixDiagPart(input=a),
        "diag_part_v3": lambda a, i: tf.linalg.diag_part(a),
        "band": lambda a, i: [raw.MatrixBandPart(input=a, num_lower=1, num_upper=0),
                              raw.MatrixBandPart(input=a, num_lower=-1, num_upper=1)],
    }  # fmt: skip
    agree(tmp_path, {"a": a, "i": i}, makes)


def test_images(tmp_path: Path) -> None:
    makes: dict[str, Make] = {
        "to_space": lambda x, *_: raw.DepthToSpace(input=x, block_size=2),
        "to_depth": lambda x, *_: raw.SpaceToDepth(input=x[:, :8], block_size=2),
        "to_batch": lambda x, *_: raw.SpaceToBatchND(input=x, block_shape=[2, 3], paddings=[[1, 0], [0, 1]]),
        "to_batch_2": lambda x, *_: raw.SpaceToBatch(input=x, block_size=2, paddings=[[1, 0], [0, 0]]),
        "from_batch": lambda x, *_: raw.BatchToSpaceND(
            input=tf.tile(x, [2, 1, 1, 1]), block_shape=[2, 2], crops=[[1, 0], [2, 1]]),
        "from_batch_2": lambda x, *_: raw.BatchToSpace(
            input=tf.tile(x, [2, 1, 1, 1]), block_size=2, crops=[[1, 0], [0, 0]]),
        "crop": lambda x, *_: raw.CropAndResize(
            image=x, boxes=[[0.1, 0.2, 0.8, 0.9], [-0.2, 0.5, 1.3, 0.1], [0.0, 0.0, 1.0, 1.0]], box_ind=[0, 1, 1],
            crop_size=[5, 4], extrapolation_value=3.0),
        "crop_one": lambda x, *_: raw.CropAndResize(
            image=x, boxes=[[0.1, 0.2, 0.8, 0.9]], box_ind=[0], crop_size=[1, 3]),
    }  # fmt: skip
    for op in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"):
        for kind, options in {
            "plain": {}, "corners": {"align_corners": True}, "centers": {"half_pixel_centers": True}
        }.items():  # fmt: skip
            for sizes in ((18, 16), (5, 4), (13, 20), (17, 15)):
                # the weights of cubics come from a table of 1024 places: sizes at which these are exact
                if op == "ResizeBicubic" and sizes != ((17, 15) if kind == "corners" else (18, 16)):
                    continue
                makes[f"{op}_{kind}_{sizes[0]}"] = lambda x, op=op, options=options, sizes=sizes: getattr(raw, op)(
                    images=x, size=sizes, **options)  # fmt: skip
    agree(tmp_path, {"x": X}, makes, tolerance=2e-4)


def test_suppression(tmp_path: Path) -> None:
    corners = f((12, 2), low=0, high=3)
    boxes = np.concatenate([corners, corners + f((12, 3), low=0.5, high=2)[:, :2]], 1)
    boxes[1] = boxes[0] + np.array([0, (boxes[0, 3] - boxes[0, 1]) / 3, 0, (boxes[0, 3] - boxes[0, 1]) / 3])
    scores = f((12,), low=0, high=1)
    makes: dict[str, Make] = {
        "v1": lambda b, s: raw.NonMaxSuppression(boxes=b, scores=s, max_output_size=5, iou_threshold=0.5),
        "v2": lambda b, s: raw.NonMaxSuppressionV2(boxes=b, scores=s, max_output_size=5, iou_threshold=0.3),
        "v3": lambda b, s: raw.NonMaxSuppressionV3(
            boxes=b, scores=s, max_output_size=8, iou_threshold=0.3, score_threshold=0.4),
        "v4": lambda b, s: list(raw.NonMaxSuppressionV4(
            boxes=b, scores=s, max_output_size=10, iou_threshold=0.3, score_threshold=0.4,
            pad_to_max_output_size=True)),
        "v5": lambda b, s: list(raw.NonMaxSuppressionV5(
            boxes=b, scores=s, max_output_size=10, iou_threshold=0.3, score_threshold=0.4, soft_nms_sigma=0.0)),
        "exact": lambda b, s: raw.NonMaxSuppressionV3(
            boxes=c([[0, 0, 2, 2], [0, 0, 1, 2], [0, 5, 1, 6]], np.float32), scores=c([0.9, 0.8, 0.7], np.float32),
            max_output_size=3, iou_threshold=0.5, score_threshold=0.0),
    }  # fmt: skip
    agree(tmp_path, {"b": boxes.astype(np.float32), "s": scores}, makes)


def test_fake_quantization(tmp_path: Path) -> None:
    args = {"min": -1.3, "max": 1.7}
    low, high = -np.abs(f((4,))) - 0.1, np.abs(f((4,))) + 0.2
    makes: dict[str, Make] = {
        "args": lambda x: raw.FakeQuantWithMinMaxArgs(inputs=x, **args),
        "bits": lambda x: raw.FakeQuantWithMinMaxArgs(inputs=x, num_bits=5, **args),
        "narrow": lambda x: raw.FakeQuantWithMinMaxArgs(inputs=x, narrow_range=True, **args),
        "wide": lambda x: raw.FakeQuantWithMinMaxArgs(inputs=x, num_bits=12, **args),
        "vars": lambda x: raw.FakeQuantWithMinMaxVars(inputs=x, **args),
        "positive": lambda x: raw.FakeQuantWithMinMaxVars(inputs=x, min=0.0, max=1.5),
        "channels": lambda x: raw.FakeQuantWithMinMaxVarsPerChannel(inputs=x, min=low, max=high),
        "channels_narrow": lambda x: raw.FakeQuantWithMinMaxVarsPerChannel(
            inputs=x, min=low, max=high, num_bits=7, narrow_range=True),
    }  # fmt: skip
    agree(tmp_path, {"x": X}, makes)


def test_cells(tmp_path: Path) -> None:
    n, i, h = 2, 3, 4
    state = {"x": f((n, i)), "cs_prev": f((n, h)), "h_prev": f((n, h, 1))[..., 0]}
    weights = {"w": f((i + h, 4 * h)), "b": f((4 * h,)), "wci": f((h,)), "wcf": f((h, 1))[:, 0], "wco": f((1, h))[0]}
    makes: dict[str, Make] = {
        "lstm": lambda x, c, h: list(raw.LSTMBlockCell(x=x, cs_prev=c, h_prev=h, **weights)),
        "lstm_peepholes": lambda x, c, h: list(raw.LSTMBlockCell(
            x=x, cs_prev=c, h_prev=h, use_peephole=True, forget_bias=0.5, cell_clip=0.7, **weights)),
        "gru": lambda x, c, h_: list(raw.GRUBlockCell(
            x=x, h_prev=h_, w_ru=f((i + h, 2 * h)), w_c=f((i + h, h)), b_ru=f((2 * h,)), b_c=f((h,)))),
        "layer": lambda x, c, h: raw.BlockLSTM(
            seq_len_max=c64(5), x=f((5, n, i)) * x[None], cs_prev=c, h_prev=h, cell_clip=-1.0, **weights)[6],
        "layer_v2": lambda x, c, h: raw.BlockLSTMV2(
            seq_len_max=c64(5), x=f((5, n, i)) * x[None], cs_prev=c, h_prev=h, use_peephole=True, **weights)[6],
    }  # fmt: skip
    agree(tmp_path, state, makes)


def c64(number: int) -> Any:
    return c(number, np.int64)


def test_sizes_that_only_running_tells(tmp_path: Path) -> None:
    """With placeholders without sizes: shape arithmetic, windows, slices by what is computed."""
    a, k = f((3, 4, 6)), np.array(2, np.int32)
    makes: dict[str, Make] = {
        "flat": lambda a, k: tf.reshape(a, [tf.shape(a)[0], -1]),
        "slice": lambda a, k: raw.Slice(input=a, begin=tf.stack([0, k, 0]), size=[-1, -1, 3]),
        "index": lambda a, k: [a[k], a[:, k:], a[..., :k]],
        "tile": lambda a, k: tf.tile(a, tf.stack([1, k, 1])),
        "zeros": lambda a, k: tf.zeros(tf.shape(a)[:2]),
        "pad": lambda a, k: tf.pad(a, tf.stack([tf.stack([0, k])] * 3)),
        "top": lambda a, k: list(raw.TopKV2(input=a, k=k)),
        "sum": lambda a, k: raw.Sum(input=a, axis=k),
        "range": lambda a, k: tf.range(k, tf.shape(a)[2]),
        "conv": lambda a, k: raw.Conv2D(input=a[..., None], filter=f((3, 3, 1, 2)), strides=[1] * 4, padding="SAME"),
        "resize": lambda a, k: raw.ResizeNearestNeighbor(images=a[..., None], size=tf.shape(a)[1:] * 2),
        "transposed": lambda a, k: raw.Conv2DBackpropInput(
            input_sizes=tf.stack([tf.shape(a)[0], tf.shape(a)[1] * 2, tf.shape(a)[2] * 2, 3]), filter=f((3, 3, 3, 1)),
            out_backprop=a[..., None], strides=[1, 2, 2, 1], padding="SAME"),
    }  # fmt: skip
    agree(tmp_path, {"a": a, "k": k}, makes, unknown=["a"])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "int16", "int64", "uint32", "uint64", "bool"])
def test_constants_of_every_type(tmp_path: Path, dtype: str) -> None:
    data = f((3, 4), dtype, 0, 9)
    same = np.full((3, 4), data.ravel()[0])
    tail = data.copy()
    tail[1:] = tail[0, -1]
    makes: Mapping[str, Make] = {
        "plain": lambda x: tf.constant(data), "one": lambda x: tf.constant(same),
        "listed": lambda x: listed(data), "tail": lambda x: listed(tail), "splat": lambda x: listed(same),
    }  # fmt: skip
    agree(tmp_path, {"x": f((1,))}, makes)


def listed(data: np.ndarray) -> Any:
    """A constant that lists its numbers, of which the last is repeated as often as need be."""
    proto = tf.make_tensor_proto(data)
    flat = data.ravel()
    count = len(flat)
    while count > 1 and flat[count - 1] == flat[count - 2]:
        count -= 1
    field = {"float16": "half_val", "float64": "double_val", "int64": "int64_val", "uint32": "uint32_val",
             "uint64": "uint64_val", "bool": "bool_val"}.get(str(data.dtype), "int_val")  # fmt: skip
    proto.ClearField("tensor_content")
    for name in ("half_val", "double_val", "int64_val", "uint32_val", "uint64_val", "bool_val", "int_val"):
        proto.ClearField(name)
    values = flat[:count].view(np.uint16) if data.dtype == np.float16 else flat[:count]
    getattr(proto, field).extend(values.tolist())
    return raw.Const(value=proto, dtype=tf.as_dtype(data.dtype)) if hasattr(raw, "Const") else node_of(proto)


def node_of(proto: Any) -> Any:
    """A Const of a proto as it is."""
    graph = v1.get_default_graph()
    value = v1.AttrValue(tensor=proto)
    kind = v1.AttrValue(type=proto.dtype)
    return graph.create_op("Const", [], [tf.as_dtype(proto.dtype)], attrs={"value": value, "dtype": kind}).outputs[0]
