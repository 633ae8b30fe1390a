"""The general kernels of the C++ target against onnxruntime: every family in forms that the node tests lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv import frontends
from mconv.backends.cpp.backend import cpp
from mconv.ir.errors import UnsupportedError

from .models import model, numbers, wrong

pytest.importorskip("onnxruntime")

X = numbers(2, 6, 5, 19)


def test_reductions(tmp_path: Path) -> None:
    """All kinds over axes in front, in the middle, behind; of blocked values over pixels."""
    cases: dict[str, Any] = {}
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare"):
        for axes in ([0], [1], [3], [0, 2], [1, 3], [2, 3], [0, 1, 2, 3]):
            cases[f"{op} {axes}"] = model(
                [(f"Reduce{op}", "x a", "y", {"keepdims": len(axes) % 2})], {"x": X}, {"a": np.array(axes)}
            )
        cases[f"{op} of i32"] = model(
            [(f"Reduce{op}", "x a", "y")], {"x": numbers(3, 5, 7, dtype=np.int32) + 1}, {"a": np.array([1])}
        )
    weight = numbers(24, 6, 1, 1) * np.float32(0.3)
    for op in ("Sum", "Mean", "Max", "L2"):
        for axes, keep in (([2, 3], 1), ([3], 0), ([1], 1)):
            cases[f"blocked {op} {axes}"] = model(
                [("Conv", "x w", "c"), (f"Reduce{op}", "c a", "r", {"keepdims": keep}), ("Sin", "r", "y")],
                {"x": X},
                {"w": weight, "a": np.array(axes)},
            )
    assert not wrong({n: c for n, c in cases.items() if n not in ("LogSumExp of i32", "L2 of i32")}, tmp_path)


def test_lines(tmp_path: Path) -> None:
    """Along axes in front and behind, with equal elements."""
    ties = numbers(4, 5, 70, dtype=np.int32)
    cases: dict[str, Any] = {}
    for axis in (0, 1, 2):
        for op in ("ArgMax", "ArgMin"):
            for last in (0, 1):
                options = {"axis": axis, "select_last_index": last}
                cases[f"{op} {axis} {last}"] = model([(op, "x", "y", options)], {"x": ties})
        for largest in (0, 1):
            options = {"axis": axis, "largest": largest}
            cases[f"TopK {axis} {largest}"] = model(
                [("TopK", "x k", "v i", options)], {"x": ties}, {"k": np.array([3])}
            )
        for options in ({}, {"reverse": 1}, {"exclusive": 1}, {"reverse": 1, "exclusive": 1}):
            cases[f"CumSum {axis} {options}"] = model(
                [("CumSum", "x a", "y", options)], {"x": numbers(4, 5, 70)}, {"a": np.array(axis)}
            )
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            cases[f"{op} {axis}"] = model([(op, "x", "y", {"axis": axis})], {"x": numbers(4, 5, 70) * 3})
    cases["Softmax of f64"] = model([("Softmax", "x", "y")], {"x": numbers(3, 37).astype(np.float64)})
    cases["LRN"] = model([("LRN", "x", "y", {"size": 3, "alpha": 0.1})], {"x": X})
    for axis in (1, 2, 3):
        shape = X.shape[axis:]
        cases[f"LayerNorm {axis}"] = model(
            [("LayerNormalization", "x g b", "y", {"axis": axis})],
            {"x": X},
            {"g": numbers(*shape), "b": numbers(*shape, seed=1)},
        )
    cases["InstanceNorm"] = model(
        [("InstanceNormalization", "x g b", "y")], {"x": X}, {"g": numbers(6), "b": numbers(6, seed=1)}
    )
    cases["GroupNorm"] = model(
        [("GroupNormalization", "x g b", "y", {"num_groups": 3})], {"x": X}, {"g": numbers(6), "b": numbers(6, seed=1)}
    )
    cases["LpNorm"] = model([("LpNormalization", "x", "y", {"axis": 1, "p": 1})], {"x": X})
    assert not wrong(cases, tmp_path)


def test_windows(tmp_path: Path) -> None:
    """One, two and three axes, groups, dilations, pads, computed weights, 64-bit floats."""
    cases: dict[str, Any] = {}
    for axes in (1, 2, 3):
        size = (9, 8, 7)[:axes]
        x = numbers(2, 6, *size)
        for options in (
            {},
            {"pads": [1, 2, 0][:axes] + [0, 1, 2][:axes], "strides": [2, 1, 3][:axes]},
            {"dilations": [2] * axes, "pads": [2] * (2 * axes)},
            {"group": 3, "pads": [1] * (2 * axes)},
        ):
            w = numbers(9, 6 // options.get("group", 1), *[3, 2, 3][:axes])
            cases[f"Conv {axes} {options}"] = model(
                [("Conv", "x w b", "y", options)], {"x": x, "w": w}, {"b": numbers(9)}
            )
            turned = numbers(6, 9 // options.get("group", 1), *[3, 2, 3][:axes], seed=1)
            cases[f"ConvTranspose {axes} {options}"] = model(
                [("ConvTranspose", "x w b", "y", options)], {"x": x, "w": turned}, {"b": numbers(9)}
            )
        kernel = [3, 2, 3][:axes]
        for options in ({}, {"pads": [1] * (2 * axes), "strides": [2] * axes}, {"strides": [2] * axes, "ceil_mode": 1}):
            shape = {"kernel_shape": kernel, **options}
            cases[f"MaxPool {axes} {options}"] = model([("MaxPool", "x", "y", shape)], {"x": x})
            cases[f"MaxPool with places {axes} {options}"] = model([("MaxPool", "x", "y i", shape)], {"x": x})
            cases[f"AveragePool {axes} {options}"] = model([("AveragePool", "x", "y", shape)], {"x": x})
            if "ceil_mode" not in options:
                cases[f"LpPool {axes} {options}"] = model([("LpPool", "x", "y", {**shape, "p": 3})], {"x": x})
    for dtype in (np.uint8, np.int8):
        cases[f"ConvInteger {np.dtype(dtype)}"] = model(
            [("ConvInteger", "x w z", "y", {"pads": [1, 1, 1, 1]})],
            {"x": numbers(1, 3, 5, 5, dtype=np.uint8), "w": numbers(4, 3, 3, 3, dtype=dtype)},
            {"z": np.uint8(3)},
        )
    cases["MatMulInteger"] = model(
        [("MatMulInteger", "a b z", "y")],
        {"a": numbers(2, 5, 7, dtype=np.uint8), "b": numbers(7, 9, dtype=np.int8)},
        {"z": np.uint8(4)},
    )
    assert not wrong(cases, tmp_path, 1e-5)


def test_products(tmp_path: Path) -> None:
    """Ranks, broadcast batches, transposed operands, integers."""
    cases: dict[str, Any] = {}
    for a, b in (
        ((7,), (7,)),
        ((7,), (7, 5)),
        ((5, 7), (7,)),
        ((3, 5, 7), (7, 33)),
        ((2, 1, 5, 7), (3, 7, 4)),
        ((4, 5, 7), (4, 7, 1)),
    ):
        for dtype in (np.float32, np.float64, np.int32):
            cases[f"{a} by {b} of {np.dtype(dtype)}"] = model(
                [("MatMul", "a b", "y")], {"a": numbers(*a, dtype=dtype), "b": numbers(*b, seed=1, dtype=dtype)}
            )
    cases["transposed"] = model(
        [("Transpose", "b", "t", {"perm": [0, 2, 1]}), ("MatMul", "a t", "y")],
        {"a": numbers(3, 5, 7), "b": numbers(3, 20, 7, seed=1)},
    )
    cases["Gemm"] = model(
        [("Gemm", "a b c", "y", {"transB": 1, "alpha": 0.5})],
        {"a": numbers(5, 7), "b": numbers(20, 7)},
        {"c": numbers(20)},
    )
    for equation, shapes in (
        ("ij->ji", [(3, 4)]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("ii->i", [(4, 4)]),
        ("...ij->...", [(2, 3, 4)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ijk,k,i->j", [(2, 3, 4), (4,), (2,)]),
    ):
        feeds = {f"x{k}": numbers(*s, seed=k) for k, s in enumerate(shapes)}
        cases[equation] = model([("Einsum", " ".join(feeds), "y", {"equation": equation})], feeds)
    cases["Det"] = model([("Det", "x", "y")], {"x": numbers(3, 6, 6)})
    assert not wrong(cases, tmp_path, 1e-5)


def test_indexing(tmp_path: Path) -> None:
    """Indices from the end, combinations, pads that cut and mirror more than once."""
    x, at = numbers(4, 5, 6), np.array([[0, -1, 2], [3, 1, -4]])
    cases: dict[str, Any] = {}
    for axis in (0, 1, 2):
        cases[f"Gather {axis}"] = model([("Gather", "x i", "y", {"axis": axis})], {"x": x, "i": at})
        inside = np.random.default_rng(axis).integers(-x.shape[axis], x.shape[axis], (3, 4, 5))
        updates = numbers(3, 4, 5, seed=axis)
        cases[f"GatherElements {axis}"] = model([("GatherElements", "x i", "y", {"axis": axis})], {"x": x, "i": inside})
        for how in ("add", "mul", "max", "min"):
            cases[f"ScatterElements {axis} {how}"] = model(
                [("ScatterElements", "x i u", "y", {"axis": axis, "reduction": how})],
                {"x": x, "i": inside, "u": updates},
            )
        cases[f"OneHot {axis}"] = model(
            [("OneHot", "i d v", "y", {"axis": axis})],
            {"i": at},
            {"d": np.array(4), "v": np.array([0.5, 2.0], np.float32)},
        )
    heads = np.array([[0, 1], [3, -1], [0, 1]])
    cases["GatherND"] = model([("GatherND", "x i", "y")], {"x": x, "i": heads})
    cases["GatherND in batches"] = model(
        [("GatherND", "x i", "y", {"batch_dims": 1})], {"x": x, "i": np.array([[[1]], [[0]], [[-1]], [[2]]])}
    )
    for how in ("none", "add"):
        cases[f"ScatterND {how}"] = model(
            [("ScatterND", "x i u", "y", {"reduction": how})], {"x": x, "i": heads[:2], "u": numbers(2, 6)}
        )
    for mode in ("constant", "edge", "reflect", "wrap"):
        pads = np.array([1, 0, 2, 0, 3, 1])
        cases[f"Pad {mode}"] = model([("Pad", "x p", "y", {"mode": mode})], {"x": x}, {"p": pads})
    cases["Pad that cuts"] = model([("Pad", "x p", "y")], {"x": x}, {"p": np.array([-1, 2, 0, 1, -2, -3])})
    for upper in (0, 1):
        cases[f"Trilu {upper}"] = model([("Trilu", "x k", "y", {"upper": upper})], {"x": x, "k": np.array(-1)})
    cases["ReverseSequence"] = model(
        [("ReverseSequence", "x l", "y", {"batch_axis": 1, "time_axis": 0})], {"x": x, "l": np.array([1, 4, 2, 3, 4])}
    )
    for mode in ("DCR", "CRD"):
        cases[f"DepthToSpace {mode}"] = model(
            [("DepthToSpace", "x", "y", {"blocksize": 2, "mode": mode})], {"x": numbers(2, 8, 3, 5)}
        )
    cases["SpaceToDepth"] = model([("SpaceToDepth", "x", "y", {"blocksize": 2})], {"x": numbers(2, 3, 4, 6)})
    assert not wrong(cases, tmp_path)


def test_resampling(tmp_path: Path) -> None:
    """Resize of images, planar and blocked, and of one axis; GridSample; RoiAlign."""
    cases: dict[str, Any] = {}
    for mode in ("nearest", "linear", "cubic"):
        for how in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
            for size in ((1, 3, 11, 5), (1, 3, 4, 9)):
                options = {"mode": mode, "coordinate_transformation_mode": how}
                if mode == "nearest":
                    options["nearest_mode"] = "round_prefer_ceil"
                cases[f"{mode} {how} {size}"] = model(
                    [("Resize", "x", "y", options)], {"x": numbers(1, 3, 6, 7)}, {"s": np.array(size)}
                )
    fixed = {}
    for name, (built, feeds) in cases.items():
        built.graph.node[0].input.extend(["", "", "s"])
        fixed[name] = (built, feeds)
    blocked, feeds = model(
        [("Conv", "x w", "c"), ("Resize", "c", "r", {"mode": "linear"}), ("Sin", "r", "y")],
        {"x": numbers(2, 3, 6, 7)},
        {"w": numbers(24, 3, 1, 1), "s": np.array([2, 24, 12, 14])},
    )
    blocked.graph.node[1].input.extend(["", "", "s"])
    fixed["blocked"] = (blocked, feeds)
    grid = numbers(2, 4, 5, 2) * np.float32(0.7)
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            options = {"mode": mode, "padding_mode": padding, "align_corners": int(mode == "cubic")}
            fixed[f"GridSample {options}"] = model(
                [("GridSample", "x g", "y", options)], {"x": numbers(2, 3, 6, 7), "g": grid}, opset=20
            )
    boxes = np.array([[0, 0, 5, 4], [1.5, 2, 6, 5.5]], np.float32)
    fixed["RoiAlign"] = model(
        [("RoiAlign", "x r b", "y", {"output_height": 3, "output_width": 2, "sampling_ratio": 2})],
        {"x": numbers(2, 3, 6, 7), "r": boxes, "b": np.array([1, 0])},
    )
    assert not wrong(fixed, tmp_path, 1e-5)


def test_recurrent_layers(tmp_path: Path) -> None:
    """Directions, lengths, first states, biases; hidden sizes that do not fill vectors."""
    cases: dict[str, Any] = {}
    steps, n, width, hidden = 5, 3, 4, 19
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction in ("forward", "reverse", "bidirectional"):
            d = 2 if direction == "bidirectional" else 1
            feeds = {
                "x": numbers(steps, n, width),
                "l": np.array([5, 2, 4], np.int32),
                "h": numbers(d, n, hidden, seed=3),
            }
            constants = {
                "w": numbers(d, gates * hidden, width) * np.float32(0.3),
                "r": numbers(d, gates * hidden, hidden) * np.float32(0.3),
                "b": numbers(d, 2 * gates * hidden),
            }
            results = "y yh yc" if op == "LSTM" else "y yh"
            options = {"hidden_size": hidden, "direction": direction}
            for extra in ({}, {"linear_before_reset": 1}) if op == "GRU" else ({},):
                cases[f"{op} {direction} {extra}"] = model(
                    [(op, "x w r b l h", results, {**options, **extra})], feeds, constants
                )
    assert not wrong(cases, tmp_path, 1e-5)


def test_sizes_that_running_tells(tmp_path: Path) -> None:
    """NonZero, Unique, NonMaxSuppression, and computed axes, counts and bounds: the sizes come with the results."""
    x = numbers(3, 4, 5, dtype=np.int64)
    boxes = np.sort(np.abs(numbers(1, 30, 4)), axis=2)
    cases = {
        "NonZero": model([("NonZero", "x", "y")], {"x": x}),
        "Unique": model([("Unique", "x", "y i v c")], {"x": x}),
        "Unique as met": model([("Unique", "x", "y i v c", {"sorted": 0})], {"x": x}),
        "Unique rows": model([("Unique", "x", "y i v c", {"axis": 0})], {"x": numbers(9, 2, dtype=np.int64) // 4}),
        "Compress": model([("Compress", "x c", "y", {"axis": 1})], {"x": x, "c": np.array([True, False, True])}),
        "NonMaxSuppression": model(
            [("NonMaxSuppression", "b s m t l", "y")],
            {"b": boxes, "s": np.abs(numbers(1, 2, 30, seed=1))},
            {"m": np.array([9]), "t": np.array([0.4], np.float32), "l": np.array([0.2], np.float32)},
        ),
        "TopK": model([("TopK", "x k", "v i", {"axis": 1})], {"x": x, "k": np.array([2])}),
        "Slice": model(
            [("Slice", "x s e a t", "y")],
            {"x": x, "s": np.array([-1, 1]), "e": np.array([-99, 4]), "a": np.array([0, 2]), "t": np.array([-2, 1])},
        ),
        "sum over computed axes, and its root": model(
            [("ReduceSum", "x a", "r", {"keepdims": 0}), ("Sqrt", "r", "y")],
            {"x": np.abs(numbers(3, 4, 5)), "a": np.array([-1, 0])},
        ),
    }
    assert not wrong(cases, tmp_path)


def test_control_flow(tmp_path: Path) -> None:
    """Branches and counted loops, whose bodies are compiled with what is around them."""
    from onnx import TensorProto, helper

    def body(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Any:
        values = [[helper.make_tensor_value_info(n, t, s) for n, t, s in some] for some in (inputs, outputs)]
        return helper.make_graph(nodes, name, *values)

    f, shape = TensorProto.FLOAT, [3, 40]
    one = body(
        "one", [helper.make_node("Sin", ["x"], ["u"]), helper.make_node("Exp", ["u"], ["a"])], [], [("a", f, shape)]
    )
    two = body("two", [helper.make_node("Mul", ["x", "x"], ["b"])], [], [("b", f, shape)])
    turn = body(
        "turn",
        [
            helper.make_node("Mul", ["s", "x"], ["p"]),
            helper.make_node("Tanh", ["p"], ["n"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        [("i", TensorProto.INT64, []), ("going", TensorProto.BOOL, []), ("s", f, shape)],
        [("on", TensorProto.BOOL, []), ("n", f, shape)],
    )
    x = numbers(3, 40)
    cases = {
        f"If {c}": model(
            [("If", "c", "r", {"then_branch": one, "else_branch": two}), ("Neg", "r", "y")], {"x": x, "c": np.array(c)}
        )
        for c in (True, False)
    }
    cases["Loop"] = model(
        [("Loop", "trips c x", "r", {"body": turn}), ("Neg", "r", "y")],
        {"x": x, "trips": np.array(7)},
        {"c": np.array(True)},
    )
    assert not wrong(cases, tmp_path)


def test_detectors_end(tmp_path: Path) -> None:
    """DetectionOutput and Proposal, which onnxruntime lacks, as the interpreter has them (tested against Caffe's)."""
    from mconv.ir import DType, Graph, TensorType
    from mconv.ir import ops as o

    from .batch import differences

    rng = np.random.default_rng(1)
    corners = np.sort(rng.random((40, 2, 2)), axis=1).reshape(40, 4)
    priors = np.stack([corners.reshape(-1), np.full(160, 0.1)]).astype(np.float32)[None]
    cases = []
    for code in ("corner", "center_size", "corner_size"):
        for eta, share in ((1.0, True), (0.8, False)):
            op = o.DetectionOutput(
                3, 0, share, code, overlap=0.6, eta=eta, top_k=20, keep_top_k=15, score_threshold=0.2, clip=eta < 1
            )
            kinds = 1 if share else 3
            feeds = [rng.standard_normal((2, 160 * kinds)), rng.random((2, 120)), priors]
            cases.append((f"DetectionOutput {code}", op, [f.astype(np.float32) for f in feeds]))
    feeds = [rng.random((1, 18, 7, 9)), rng.standard_normal((1, 36, 7, 9)) * 0.2, np.array([[112, 144, 1.0]])]
    cases.append(("Proposal", o.Proposal(before=200, after=30), [f.astype(np.float32) for f in feeds]))
    graphs = []
    for name, op, arrays in cases:
        graph = Graph("detector")
        values = [graph.add_input(f"x{k}", TensorType(DType.F32, a.shape)) for k, a in enumerate(arrays)]
        for k, result in enumerate(graph.add(op, values).results):
            graph.add_output(result, f"y{k}")
        graphs.append((name, graph, arrays))
    assert not differences(graphs, tmp_path, 1e-5)


def test_a_size_without_a_bound_is_refused_with_what_would_help() -> None:
    feeds = {"x": numbers(2, 3), "repeats": np.array([2, 1])}
    built, _ = model([("Tile", "x repeats", "y")], feeds)
    with pytest.raises(UnsupportedError, match="MC357") as told:
        cpp.emit(frontends.load(built))
    assert "constants" in told.value.problems[0].hint
    open_input, _ = model([("Relu", "x", "y")], feeds)
    open_input.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    with pytest.raises(UnsupportedError, match="MC357") as told:
        cpp.emit(frontends.load(open_input))
    assert "--dim" in told.value.problems[0].hint
