"""Axes of size one may stand in any order, but which order is meant is not forgotten for that."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir import Builder, DType, Graph, TensorType, Value, ops
from mconv.ir.interpreter import run
from mconv.passes import pipeline
from mconv.passes.base import Context

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


@pytest.mark.parametrize("batch", [1, 2])
def test_squeeze_and_excitation_with_kept_axes_moves_nothing(batch: int) -> None:
    """The mean [N, 1, 1, C] has channels last as it is written, and goes to a convolution of one place."""
    b = Builder(Graph("g"))
    random = np.random.default_rng(0)

    def conv(x: Value, channels: int, size: int) -> Value:
        turned = b.add(ops.Transpose(FIRST), x)
        weight = random.standard_normal((channels, turned.type.shape[1], size, size)).astype(np.float32)
        return b.add(ops.Transpose(LAST), b.add(ops.Conv((1, 1), (size // 2,) * 4, (1, 1)), turned, b.constant(weight)))

    x = b.graph.add_input("x", TensorType(DType.F32, (batch, 8, 8, 16)))
    y = b.add(ops.Relu(), conv(x, 16, 3))
    share = b.add(ops.Relu(), conv(b.add(ops.ReduceMean((1, 2), True), y), 8, 1))
    share = b.add(ops.Clip(0.0, 6.0), b.add(ops.Add(), conv(share, 16, 1), b.constant(np.float32(3))))
    b.output(conv(b.add(ops.Mul(), y, share), 24, 1), "y")
    feeds = {"x": random.standard_normal((batch, 8, 8, 16)).astype(np.float32)}
    before = run(b.graph, feeds)["y"]
    pipeline.run(pipeline.turn(), b.graph, Context(), check=True)
    np.testing.assert_allclose(run(b.graph, feeds)["y"], before, rtol=1e-5, atol=1e-5)
    left = [n for n in b.graph.nodes if isinstance(n.op, ops.Transpose)]
    assert [n.inputs[0].name for n in left[:1]] == ["x"]
    assert len(left) == 2  # at the input and the output, which keep their layout
