"""Trains the digit classifier and writes ``digits.onnx``: run it to make the example's model anew.

A small convolutional network on scikit-learn's handwritten digits (8x8 pixels, ten classes), in plain numpy: two
3x3 convolutions with batch normalisation, a max pool, a linear layer. Training takes seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from data import load
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
EPOCHS, BATCH, RATE, MOMENTUM, EPSILON = 14, 64, 0.05, 0.9, 1e-5


def unfold(x: Array) -> Array:
    """Windows of 3x3 with zero padding: [N, C, H, W] to [N, H, W, C * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(*x.shape[:1], *x.shape[2:], -1)


def fold(columns: Array, channels: int) -> Array:
    """The transpose of ``unfold``: [N, H, W, C * 9] to [N, C, H, W]."""
    n, h, w, _ = columns.shape
    parts = columns.reshape(n, h, w, channels, 3, 3)
    padded = np.zeros((n, channels, h + 2, w + 2), np.float32)
    for i in range(3):
        for j in range(3):
            padded[:, :, i : i + h, j : j + w] += parts[..., i, j].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


class ConvBlock:
    """Convolution without bias, batch normalisation, ReLU; forward keeps what backward needs."""

    def __init__(self, generator: np.random.Generator, inputs: int, outputs: int) -> None:
        scale = np.sqrt(2 / (inputs * 9))
        self.channels = inputs
        self.weight = (generator.standard_normal((outputs, inputs * 9)) * scale).astype(np.float32)
        self.gamma, self.beta = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
        self.mean, self.var = np.zeros(outputs, np.float32), np.ones(outputs, np.float32)

    def forward(self, x: Array) -> Array:
        """[N, C, H, W] to [N, M, H, W], normalised over the batch."""
        self.columns = unfold(x)
        y = self.columns @ self.weight.T
        mean, var = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
        self.mean += 0.1 * (mean - self.mean)
        self.var += 0.1 * (var - self.var)
        self.deviation = np.sqrt(var + EPSILON)
        self.normal = (y - mean) / self.deviation
        self.result = np.maximum(self.normal * self.gamma + self.beta, 0)
        return self.result.transpose(0, 3, 1, 2)

    def backward(self, gradient: Array) -> tuple[Array, list[tuple[Array, Array]]]:
        """The gradient of the operand, and the parameters with theirs."""
        g = gradient.transpose(0, 2, 3, 1) * (self.result > 0)
        d_gamma, d_beta = (g * self.normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))
        count = g.size // g.shape[-1]
        g = (g - d_beta / count - self.normal * d_gamma / count) * self.gamma / self.deviation
        flat, columns = g.reshape(-1, g.shape[-1]), self.columns.reshape(-1, self.columns.shape[-1])
        updates = [(self.weight, flat.T @ columns), (self.gamma, d_gamma), (self.beta, d_beta)]
        return fold((flat @ self.weight).reshape(self.columns.shape), self.channels), updates


class Network:
    """Two blocks, a 2x2 max pool after the first, and a linear layer."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.first, self.second = ConvBlock(generator, 1, 16), ConvBlock(generator, 16, 32)
        self.weight = (generator.standard_normal((10, 32 * 16)) * np.sqrt(1 / 512)).astype(np.float32)
        self.bias = np.zeros(10, np.float32)

    def step(self, x: Array, labels: NDArray[np.int64]) -> list[tuple[Array, Array]]:
        """Parameters with their gradients for one batch."""
        a = self.first.forward(x)
        blocks = a.reshape(*a.shape[:2], 4, 2, 4, 2)
        pooled = blocks.max(axis=(3, 5))
        features = self.second.forward(pooled).reshape(len(x), -1)
        scores = features @ self.weight.T + self.bias
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        g = odds / odds.sum(axis=1, keepdims=True)
        g[np.arange(len(x)), labels] -= 1
        g /= len(x)
        updates = [(self.weight, g.T @ features), (self.bias, g.sum(axis=0))]
        g_pooled, more = self.second.backward((g @ self.weight).reshape(len(x), 32, 4, 4))
        spread = (blocks == pooled[:, :, :, None, :, None]) * g_pooled[:, :, :, None, :, None]
        _, most = self.first.backward(spread.reshape(a.shape).astype(np.float32))
        return updates + more + most


def train() -> Network:
    """A trained network."""
    images, labels, _, _ = load()
    network, generator = Network(), np.random.default_rng(1)
    speed: dict[int, Array] = {}
    for epoch in range(EPOCHS):
        order = generator.permutation(len(images))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for parameter, gradient in network.step(images[chosen], labels[chosen]):
                momentum = speed.setdefault(id(parameter), np.zeros_like(parameter))
                momentum *= MOMENTUM
                momentum -= RATE * (1 - epoch / EPOCHS) * gradient.astype(np.float32)
                parameter += momentum
    return network


def export(network: Network, path: Path) -> None:
    """Write the network as ONNX, batch normalisations as they are."""
    nodes, weights = [], []

    def weight(name: str, data: Array) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(data, np.float32), name))
        return name

    def block(name: str, x: str, layer: ConvBlock) -> str:
        kernel = weight(f"{name}.weight", layer.weight.reshape(-1, layer.channels, 3, 3))
        nodes.append(helper.make_node("Conv", [x, kernel], [f"{name}.conv"], f"{name}.conv", pads=[1, 1, 1, 1]))
        statistics = [weight(f"{name}.{n}", getattr(layer, n)) for n in ("gamma", "beta", "mean", "var")]
        names = [f"{name}.conv", *statistics]
        nodes.append(helper.make_node("BatchNormalization", names, [f"{name}.norm"], f"{name}.norm", epsilon=EPSILON))
        nodes.append(helper.make_node("Relu", [f"{name}.norm"], [f"{name}.relu"], f"{name}.relu"))
        return f"{name}.relu"

    first = block("block1", "image", network.first)
    nodes.append(helper.make_node("MaxPool", [first], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2]))
    second = block("block2", "pool", network.second)
    nodes.append(helper.make_node("Flatten", [second], ["features"], "flatten"))
    names = ["features", weight("linear.weight", network.weight), weight("linear.bias", network.bias)]
    nodes.append(helper.make_node("Gemm", names, ["scores"], "linear", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "digits", [image], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    target = Path(__file__).with_name("digits.onnx")
    export(train(), target)
    print(f"wrote {target.name}, {target.stat().st_size} bytes")
