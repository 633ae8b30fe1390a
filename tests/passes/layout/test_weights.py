"""A picture that is flattened in another order: the weights are reordered, not the picture."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, TensorType, ops
from mconv.ir.interpreter import run
from mconv.passes import pipeline
from mconv.passes.base import Context


def test_a_matrix_behind_a_flattened_picture_is_reordered() -> None:
    b = Builder()
    random = np.random.default_rng(0)

    def constant(*shape: int) -> object:
        return b.constant(random.standard_normal(shape).astype(np.float32))

    x = b.graph.add_input("x", TensorType(DType.F32, (2, 6, 5, 3)))
    y = b.add(ops.Conv((1, 1), (0,) * 4, (1, 1)), b.add(ops.Transpose((0, 3, 1, 2)), x), constant(4, 3, 3, 3))
    y = b.add(ops.Reshape((-1, 48)), b.add(ops.Transpose((0, 2, 3, 1)), y))
    b.output(b.add(ops.MatMul(), y, constant(48, 7)), "y")
    feeds = {"x": random.standard_normal((2, 6, 5, 3)).astype(np.float32)}
    before = run(b.graph, feeds)["y"]
    pipeline.run(pipeline.turn(), b.graph, Context(), check=True)
    np.testing.assert_allclose(run(b.graph, feeds)["y"], before, rtol=1e-5, atol=1e-5)
    assert [n.inputs[0].name for n in b.graph.nodes if isinstance(n.op, ops.Transpose)] == ["x"]
