"""Matrix products.

Measured on one x86 thread: Gemm is about twice as fast as InnerProduct on matrices of a few hundred rows, and
as fast as a 1x1 Convolution; for a single row InnerProduct is as good, and it carries an activation. Of long rows that
are few, Gemm by its own choice takes more at once than the first cache holds (32 KB): with less it is 2 % faster at
197 rows, 8 % at 49.
"""

from __future__ import annotations

from mconv.ir import Node, Value
from mconv.ir.ops import Linear, MatMul
from mconv.ir.types import Dim, Shape, product

from ...base import Refused
from ..backend import ncnn
from ..net import Blob, Net, Param, Weight, numbers
from ..shapes import merge
from .activation import FUSED, activate, fused
from .conditions import constant, floats

FEW, LONG, PIECE = 256, 768, 160
"""Gemm of at most so many rows, at least so long, is told how much of them to take at once."""


@ncnn.emits(Linear, where=(floats, constant("w", "b")), activation=FUSED)
def linear(node: Node, net: Net) -> None:
    """InnerProduct of a single row, else Gemm; the result is held as a matrix, whatever its rank."""
    op, (x, w) = node.op, node.inputs[:2]
    assert isinstance(op, Linear)
    outs, ins = w.type.static_shape
    b = node.operand("b")
    rows = product(x.type.shape[:-1])
    if rows == 1:
        kind, values = fused(op.activation)
        params: dict[int, Param] = {0: outs, 1: int(b is not None), 2: outs * ins, 8: 0, 9: kind, 10: values}
        weights = [numbers(w.constant, tagged=True), *([numbers(b.constant, tagged=False)] if b is not None else [])]
        net.give(node.result, net.layer("InnerProduct", [net.shaped(x, (ins,))], (outs,), params, weights))
        return
    result = gemm(net, net.shaped(x, (rows, ins)), w, b, (rows, outs), suffix="product" if op.activation else "")
    net.give(node.result, activate(net, result, op.activation) if op.activation is not None else result)


def gemm(net: Net, x: Blob, w: Value, b: Value | None, shape: Shape, *, suffix: str = "") -> Blob:
    """x w^T + b, with constants w [O, I] and b [O]."""
    outs, ins = w.type.static_shape
    weights: list[Weight] = [numbers(w.constant, tagged=True)]
    if b is not None:
        weights.append(numbers(b.constant, tagged=True))
    return net.layer(
        "Gemm", [x], shape, gemm_params(shape[0], outs, ins, 4 if b is not None else -1), weights, suffix=suffix
    )


def gemm_params(rows: Dim, outs: int, ins: int, kind_of_c: int) -> dict[int, Param]:
    """Gemm of a computed A and a constant, transposed B; C is constant too (4: one number a column; -1: none)."""
    piece = PIECE if isinstance(rows, int) and rows <= FEW and ins >= LONG else 0
    return {
        0: 1.0, 1: 1.0, 2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: 0, 8: outs, 9: ins, 10: kind_of_c,
        11: 0, 12: 0, 13: 0, 14: 0, 18: 0, 20: 0, 21: 0, 22: piece,
    }  # fmt: skip


def _matrices(node: Node) -> tuple[Shape, Shape]:
    """The operands' shapes with the axes that matmul adds to vectors, and of equal rank."""
    a, b = (v.type.shape for v in node.inputs)
    a = (1, *a) if len(a) == 1 else a
    b = (*b, 1) if len(b) == 1 else b
    rank = max(len(a), len(b))
    return (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b


def _batches(a: Shape, b: Shape) -> tuple[Shape, Shape]:
    """The batch axes of both, merged; at most two remain that broadcast differently."""
    full = tuple(right if left == 1 else left for left, right in zip(a, b, strict=True))
    kinds = [(left == 1, right == 1) for left, right in zip(a, b, strict=True)]
    dims, kept = merge(full, kinds)
    if all(dim == 1 for dim in full):
        return (), ()
    narrow = [[dim, kind] for dim, kind in zip(dims, kept, strict=True)]
    left: list[Dim] = [1 if kind[0] else dim for dim, kind in narrow]  # type: ignore[index, misc]
    right: list[Dim] = [1 if kind[1] else dim for dim, kind in narrow]  # type: ignore[index, misc]
    return tuple(left), tuple(right)


def two_batch_axes(node: Node) -> bool | str:
    """the batch axes merge into two at most."""
    a, b = _matrices(node)
    left, _ = _batches(a[:-2], b[:-2])
    return True if len(left) <= 2 else "its batch axes broadcast in more than two ways, and a Mat holds two"


@ncnn.emits(MatMul, where=(floats, two_batch_axes))
def matmul(node: Node, net: Net) -> None:
    """MatMul on two to four dimensions."""
    a, b = node.inputs
    left, right = _matrices(node)
    batch_a, batch_b = _batches(left[:-2], right[:-2])
    rows, inner, columns = left[-2], left[-1], right[-1]
    if batch_a and all(d == 1 for d in batch_b):  # one matrix for the whole batch: its rows are all rows
        rows, batch_a, batch_b = product((*batch_a, rows)), (), ()
    x, y = net.shaped(a, (*batch_a, rows, inner)), net.shaped(b, (*batch_b, inner, columns))
    batch = tuple(q if p == 1 else p for p, q in zip(batch_a, batch_b, strict=True))
    if len(batch) > 2:
        raise Refused("its batch axes do not merge into two", code="MC322")
    net.give(node.result, net.layer("MatMul", [x, y], (*batch, rows, columns), {0: 0}))
