"""Matrix products."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, Value, ops
from mconv.ir.types import Array

from ..node import OnnxNode
from ..registry import onnx


@onnx("MatMul")
def matmul(n: OnnxNode, g: Builder) -> Value:
    """MatMul, as numpy's."""
    return g.add(ops.MatMul(), n[0], n[1])


@onnx("MatMulInteger")
def matmul_integer(n: OnnxNode, g: Builder) -> Value:
    """MatMul of 8-bit integers."""
    return g.add(ops.MatMulInteger(), n[0], n[1], n.get(2), n.get(3))


@onnx("Einsum")
def einsum(n: OnnxNode, g: Builder) -> Value:
    """Einsum."""
    return g.add(ops.Einsum(n.text("equation").replace(" ", "")), *n.operands)


@onnx("Gemm")
def gemm(n: OnnxNode, g: Builder) -> Value:
    """alpha A' B' + beta C: one Linear where B is constant, else a product and what is done to it."""
    return general_product(
        g,
        (n[0], n.boolean("transA")),
        (n[1], n.boolean("transB")),
        n.get(2),
        n.number("alpha"),
        n.number("beta"),
    )


def general_product(
    g: Builder, a: tuple[Value, bool], b: tuple[Value, bool], c: Value | None, alpha: float, beta: float
) -> Value:
    """alpha A' B' + beta C, for matrices that may come transposed."""
    x = g.add(ops.Transpose((1, 0)), a[0]) if a[1] else a[0]
    if beta == 0:
        c = None
    weight = b[0].data
    if weight is not None and weight.ndim == 2 and x.type.dtype.is_float:
        return _linear(g, x, weight if b[1] else weight.T, c, alpha, beta)
    if alpha == 1 and _is_dequantized(b[0]):  # a constant too, whose integers are to be kept
        w = b[0] if b[1] else g.add(ops.Transpose((1, 0)), b[0])
        bias = c if c is not None and beta == 1 and c.type.shape == w.type.shape[:1] else None
        y = g.add(ops.Linear(), x, w, bias)
        return y if bias is not None else _plus(g, y, c, beta)
    y = g.add(ops.MatMul(), x, g.add(ops.Transpose((1, 0)), b[0]) if b[1] else b[0])
    return _plus(g, _times(g, y, alpha), c, beta)


def _is_dequantized(b: Value) -> bool:
    node = b.producer
    return node is not None and isinstance(node.op, ops.Dequantize) and b.type.rank == 2 and node.inputs[0].is_constant


def _linear(g: Builder, x: Value, weight: Array, c: Value | None, alpha: float, beta: float) -> Value:
    """``weight`` [O, I] is a view of the file's bytes unless it has to be scaled."""
    if alpha != 1:
        weight = weight * weight.dtype.type(alpha)
    bias = None if c is None else _bias(g, c, weight.shape[0], beta)
    y = g.add(ops.Linear(), x, g.constant(weight), bias)
    return y if bias is not None else _plus(g, y, c, beta)


def _bias(g: Builder, c: Value, size: int, beta: float) -> Value | None:
    """C as one number an output, or None where it is not of that form."""
    if c.data is None:
        return c if beta == 1 and c.type.shape == (size,) else None
    if c.data.size == size and c.type.shape[-1:] == (size,) and beta == 1:
        return c if c.data.ndim == 1 else g.constant(c.data.reshape(size))
    if c.data.size not in (1, size) or (c.data.size == size and c.type.shape[-1:] != (size,)):
        return None
    return g.constant(np.broadcast_to(c.data.reshape(-1) * c.data.dtype.type(beta), size).copy())


def _times(g: Builder, y: Value, factor: float) -> Value:
    return y if factor == 1 else g.add(ops.Mul(), y, g.constant(factor, y.type.dtype))


def _plus(g: Builder, y: Value, c: Value | None, beta: float) -> Value:
    return y if c is None else g.add(ops.Add(), y, _times(g, c, beta))
