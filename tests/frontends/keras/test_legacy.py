"""Files of Keras 1 and 2, written by hand; the numbers come from formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed")

from mconv import frontends
from mconv.ir.interpreter import run

from .files import functional, layer, sequential, write

CHANCE = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return CHANCE.normal(0, 0.5, shape).astype(np.float32)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def result(path: Path, *arrays: Any) -> Any:
    graph = frontends.load(path)
    return next(iter(run(graph, {v.name: a for v, a in zip(graph.inputs, arrays, strict=True)}).values()))


def close(found: Any, wanted: Any) -> None:
    assert found.shape == np.shape(wanted)
    assert np.abs(found - wanted).max() < 1e-5 * max(np.abs(wanted).max(), 1)


def correlated(x: Any, kernel: Any) -> Any:
    """A valid convolution of x [N, H, W, C] by [KH, KW, C, O]."""
    height, width = (x.shape[i] - kernel.shape[i - 1] + 1 for i in (1, 2))
    rows = [[np.tensordot(x[:, i : i + kernel.shape[0], j : j + kernel.shape[1]], kernel, ([1, 2, 3], [0, 1, 2]))
             for j in range(width)] for i in range(height)]  # fmt: skip
    return np.moveaxis(np.array(rows), 2, 0)


def test_keras_1_dense_and_dropout(tmp_path: Path) -> None:
    w, b = normal(4, 3), normal(3)
    config = sequential([
        layer("Dense", "d", output_dim=3, init="glorot_uniform", activation="relu", bias=True, input_dim=4,
              W_regularizer=None, b_regularizer=None, W_constraint=None, activity_regularizer=None, b_constraint=None,
              batch_input_shape=[None, 4], input_dtype="float32"),
        layer("Dropout", "o", p=0.5),
    ], as_list=True)  # fmt: skip
    path = write(tmp_path / "m.h5", config, {"d": [w, b], "o": []}, None)
    graph = frontends.load(path)
    assert [v.name for v in graph.inputs] == ["d_input"]
    assert graph.output_names == ("o",)
    x = normal(2, 4)
    close(result(path, x), np.maximum(x @ w + b, 0))


@pytest.mark.parametrize("order", ["tf", "th"])
def test_keras_1_convolution(tmp_path: Path, order: str) -> None:
    kernel, b = normal(3, 2, 4, 5), normal(5)
    shape = [None, 7, 6, 4] if order == "tf" else [None, 4, 7, 6]
    config = sequential([
        layer("Convolution2D", "c", nb_filter=5, nb_row=3, nb_col=2, border_mode="valid", subsample=[1, 1],
              dim_ordering=order, activation="linear", bias=True, init="normal", batch_input_shape=shape),
        layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering=order),
        layer("Flatten", "f"),
    ])  # fmt: skip
    stored = kernel if order == "tf" else kernel.transpose(3, 2, 0, 1)
    path = write(tmp_path / "m.h5", config, {"c": [stored, b], "p": [], "f": []}, "1.2.2")
    x = normal(2, 7, 6, 4)
    y = correlated(x, kernel) + b
    y = np.maximum.reduce([y[:, i:4:2, j:4:2] for i in (0, 1) for j in (0, 1)])
    if order == "th":
        x, y = x.transpose(0, 3, 1, 2), y.transpose(0, 3, 1, 2)
    close(result(path, np.ascontiguousarray(x)), y.reshape(2, -1))


def test_keras_1_merges_in_a_functional_model(tmp_path: Path) -> None:
    w = normal(4, 4)
    layers = [
        layer("InputLayer", "a", [], batch_input_shape=[None, 4], input_dtype="float32", sparse=False),
        layer("Dense", "d", ["a"], output_dim=4, activation="tanh", bias=False),
        layer("Merge", "m", ["a", "d"], mode="concat", concat_axis=-1, dot_axes=-1, mode_type="raw", output_shape=None,
              output_shape_type="raw", output_mask=None, output_mask_type="raw", arguments={}),
        layer("Merge", "s", ["m", "m"], mode="mul", concat_axis=-1, dot_axes=-1, mode_type="raw"),
    ]  # fmt: skip
    path = write(tmp_path / "m.h5", functional(layers, ["a"], ["s"]), {"a": [], "d": [w], "m": [], "s": []}, None)
    x = normal(2, 4)
    both = np.concatenate([x, np.tanh(x @ w)], axis=1)
    close(result(path, x), both * both)


def test_keras_1_lstm_has_a_matrix_a_gate(tmp_path: Path) -> None:
    parts = {gate: (normal(3, 2), normal(2, 2), normal(2)) for gate in "icfo"}
    config = sequential([
        layer("LSTM", "l", output_dim=2, inner_activation="hard_sigmoid", activation="tanh", return_sequences=False,
              go_backwards=False, stateful=False, unroll=False, consume_less="cpu", init="glorot_uniform",
              inner_init="orthogonal", forget_bias_init="one", dropout_W=0.0, dropout_U=0.0, input_dim=3,
              W_regularizer=None, U_regularizer=None, b_regularizer=None, batch_input_shape=[None, 4, 3])])  # fmt: skip
    weights = [array for gate in "icfo" for array in parts[gate]]
    path = write(tmp_path / "m.h5", config, {"l": weights}, "1.0.8")
    x = normal(2, 4, 3)
    h = c = np.zeros((2, 2), np.float32)
    for step in range(4):
        z = {gate: x[:, step] @ w + h @ u + b for gate, (w, u, b) in parts.items()}
        hard = {gate: np.clip(0.2 * z[gate] + 0.5, 0, 1) for gate in "ifo"}
        c = hard["f"] * c + hard["i"] * np.tanh(z["c"])
        h = hard["o"] * np.tanh(c)
    close(result(path, x), h)


def test_keras_2_gru_without_reset_after_and_the_old_hard_sigmoid(tmp_path: Path) -> None:
    w, u, b = normal(3, 6), normal(2, 6), normal(6)
    config = sequential([
        layer("GRU", "g", units=2, activation="tanh", recurrent_activation="hard_sigmoid", use_bias=True,
              return_sequences=False, implementation=1, batch_input_shape=[None, 4, 3], dtype="float32")])  # fmt: skip
    path = write(tmp_path / "m.h5", config, {"g": [w, u, b]}, "2.1.3")
    x = normal(2, 4, 3)
    h = np.zeros((2, 2), np.float32)
    for step in range(4):
        xz, xr, xh = np.split(x[:, step] @ w + b, 3, axis=1)
        uz, ur, uh = np.split(u, 3, axis=1)
        z, r = (np.clip(0.2 * v + 0.5, 0, 1) for v in (xz + h @ uz, xr + h @ ur))
        h = z * h + (1 - z) * np.tanh(xh + (r * h) @ uh)
    close(result(path, x), h)


def test_keras_2_batch_normalization_and_frozen_layers_in_a_model(tmp_path: Path) -> None:
    kernel, gamma, beta, mean, var, out = normal(4, 4), normal(4), normal(4), normal(4), np.abs(normal(4)), normal(4, 2)
    inner = functional([
        layer("InputLayer", "i", [], batch_input_shape=[None, 4], dtype="float32", sparse=False),
        {**layer("Dense", "frozen", ["i"], units=4, activation="linear", use_bias=False), "trainable": False},
        layer("BatchNormalization", "n", ["frozen"], axis=-1, momentum=0.99, epsilon=0.001, center=True, scale=True),
        layer("Dense", "out", ["n"], units=2, activation="linear", use_bias=False),
    ], ["i"], ["out"])  # fmt: skip
    inner["config"]["layers"][1]["config"]["trainable"] = False
    layers = [
        layer("InputLayer", "x", [], batch_input_shape=[None, 4], dtype="float32", sparse=False),
        {**inner, "name": "model_1", "inbound_nodes": [[["x", 0, 0, {}]]]},
    ]
    config = functional(layers, ["x"], ["model_1"])
    config["config"]["output_layers"] = [["model_1", 1, 0]]
    weights = [gamma, beta, out, kernel, mean, var]  # what is trained stands first
    path = write(tmp_path / "m.h5", config, {"x": [], "model_1": weights})
    x = normal(3, 4)
    close(result(path, x), (gamma * (x @ kernel - mean) / np.sqrt(var + 0.001) + beta) @ out)


def test_keras_2_tensorflow_functions(tmp_path: Path) -> None:
    layers = [
        layer("InputLayer", "x", [], batch_input_shape=[None, 4], dtype="float32", sparse=False),
        layer("TFOpLambda", "tf.math.multiply", None, dtype="float32", function="math.multiply"),
        layer("SlicingOpLambda", "tf.getitem", None, dtype="float32", function="__operators__.getitem"),
        layer("TFOpLambda", "tf.concat", None, dtype="float32", function="concat"),
    ]
    calls = [
        [["x", 0, 0, {"y": 2.5, "name": None}]],
        [["tf.math.multiply", 0, 0, {"slice_spec": [
            {"start": None, "stop": None, "step": None}, {"start": 1, "stop": 3, "step": None}]}]],
        [["x", 0, 0, {"axis": 1}], ["tf.getitem", 0, 0, {"axis": 1}]],
    ]  # fmt: skip
    for each, call in zip(layers[1:], calls, strict=True):
        each |= {"name": each["config"]["name"], "inbound_nodes": [call]}
    config = functional(layers, ["x"], ["tf.concat"], "Functional")
    path = write(tmp_path / "m.h5", config, {each["config"]["name"]: [] for each in layers}, "2.4.0")
    x = normal(2, 4)
    close(result(path, x), np.concatenate([x, 2.5 * x[:, 1:3]], axis=1))


def test_keras_2_operators_of_tensorflow_2_0(tmp_path: Path) -> None:
    layers = [
        layer("InputLayer", "x", [], batch_input_shape=[None, 4], dtype="float32", sparse=False),
        layer("TensorFlowOpLayer", "add", ["x"], dtype="float32", constants={"1": 3.0},
              node_def='{"name": "add", "op": "AddV2", "input": ["x", "y"], "attr": {"T": {"type": "DT_FLOAT"}}}'),
        layer("TensorFlowOpLayer", "mean", ["add"], dtype="float32", constants={"1": [1]},
              node_def='{"name": "mean", "op": "Mean", "attr": {"keep_dims": {"b": true}}}'),
    ]  # fmt: skip
    config = functional(layers, ["x"], ["mean"])
    path = write(tmp_path / "m.h5", config, {n: [] for n in ("x", "add", "mean")}, "2.2.4-tf")
    x = normal(2, 4)
    close(result(path, x), (x + 3).mean(axis=1, keepdims=True))


def test_keras_2_cudnn_lstm(tmp_path: Path) -> None:
    w, u, b = normal(3, 8), normal(2, 8), normal(16)
    config = sequential([
        layer("CuDNNLSTM", "l", units=2, return_sequences=False, unit_forget_bias=True,
              batch_input_shape=[None, 4, 3], dtype="float32")])  # fmt: skip
    path = write(tmp_path / "m.h5", config, {"l": [w, u, b]}, "2.2.4")
    # cuDNN keeps each gate's matrix in rows of its outputs
    ws = [part.T.reshape(3, 2, order="F") for part in np.split(w, 4, axis=1)]
    us = [part.T for part in np.split(u, 4, axis=1)]
    bs = np.split(b[:8] + b[8:], 4)
    x = normal(2, 4, 3)
    h = c = np.zeros((2, 2), np.float32)
    for step in range(4):
        i, f, n, o = (x[:, step] @ ws[k] + h @ us[k] + bs[k] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
    close(result(path, x), h)


def test_theano_convolves_where_others_correlate(tmp_path: Path) -> None:
    kernel = normal(3, 3, 2, 1)
    config = sequential([
        layer("Conv2D", "c", filters=1, kernel_size=[3, 3], strides=[1, 1], padding="valid", use_bias=False,
              data_format="channels_last", dilation_rate=[1, 1], activation="linear",
              batch_input_shape=[None, 5, 5, 2], dtype="float32")])  # fmt: skip
    path = write(tmp_path / "m.h5", config, {"c": [kernel]}, "2.0.6", "theano")
    x = normal(1, 5, 5, 2)
    close(result(path, x), correlated(x, kernel[::-1, ::-1]))
