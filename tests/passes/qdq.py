"""ONNX models as onnxruntime's quantizer writes them: QuantizeLinear and DequantizeLinear around everything."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A model that is being made; its input is x [1, 3, 8, 8]."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, data: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(data, name))
        return name

    def code(self, step: float, point: int) -> tuple[str, str]:
        return self.constant(np.float32(step)), self.constant(np.uint8(point))

    def through(self, x: str, step: float, point: int) -> str:
        """x as it is after it was stored."""
        code = self.code(step, point)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *code), *code)

    def weight(self, *shape: int, axis: int = 0, per_channel: bool = True) -> tuple[str, np.ndarray]:
        """Of 7 bits: of 8, onnxruntime saturates sums of two products where the processor has no dot product."""
        data = self.random.integers(-64, 64, shape).astype(np.int8)
        scale = self.random.uniform(0.01, 0.03, shape[axis] if per_channel else ()).astype(np.float32)
        zero = np.zeros(scale.shape, np.int8)
        more = {"axis": axis} if per_channel else {}
        parts = (self.constant(data), self.constant(scale), self.constant(zero))
        return self.node("DequantizeLinear", *parts, **more), scale

    def bias(self, scale: np.ndarray, size: int) -> str:
        data = self.random.integers(-2000, 2000, size).astype(np.int32)
        more = {"axis": 0} if scale.ndim else {}
        return self.node("DequantizeLinear", self.constant(data), self.constant(scale), **more)

    def model(self, y: str) -> onnx.ModelProto:
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
        made = helper.make_tensor_value_info(y, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", [given], [made], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def residual() -> onnx.ModelProto:
    """Conv and Relu, a branch that joins again, a pool, Gemm, Softmax: every weight with a scale a channel."""
    n = Net()
    x = n.through("x", 0.02, 128)
    w, scale = n.weight(6, 3, 3, 3)
    y = n.node("Conv", x, w, n.bias(np.float32(0.02) * scale, 6), pads=[1] * 4)
    y = n.through(n.node("Relu", y), 0.03, 0)
    w, scale = n.weight(6, 6, 1, 1)
    z = n.through(n.node("Conv", y, w, n.bias(np.float32(0.03) * scale, 6)), 0.04, 100)
    y = n.through(n.node("Add", y, z), 0.05, 80)
    y = n.through(n.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2]), 0.05, 80)
    y = n.through(n.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]), 0.05, 80)
    y = n.through(n.node("Flatten", y), 0.05, 80)
    w, scale = n.weight(10, 24, per_channel=False)
    y = n.through(n.node("Gemm", y, w, n.bias(np.float32(0.05) * scale, 10), transB=1), 0.1, 120)
    return n.model(n.through(n.node("Softmax", y, axis=1), 1 / 256, 0))
