"""Matrix products."""

from __future__ import annotations

import math

from mconv.ir import Value
from mconv.ir.ops import Add, Einsum, Gather, Linear, MatMul, Mul, Reshape, Transpose

from ..param import Layer
from ..translate import Translation, layer, mat
from .activation import carried
from .conv import float_weights


@layer("InnerProduct")
def inner_product(t: Translation, each: Layer) -> Value:
    """Linear on the rows of a matrix, or on everything."""
    outs, bias, count = each.whole(0, 0), each.whole(1, 0), each.whole(2, 0)
    float_weights(each)
    each.require(outs > 0 and count % outs == 0, f"{count} weights for {outs} outputs")
    x, ins = t.input(), count // outs
    if not (len(mat(x)) == 2 and mat(x)[1] == ins):
        x = t.add(Reshape((1, math.prod(mat(x)))), x) if len(mat(x)) > 1 else x
    w = t.tagged(outs, ins)
    return carried(t, each, t.add(Linear(), x, w, t.raw(outs) if bias else None))


@layer("Gemm")
def gemm(t: Translation, each: Layer) -> Value:
    """alpha (A B + beta C), each of A, B and C constant or a blob."""
    alpha, beta, turn_a, turn_b = each.real(0, 1.0), each.real(1, 1.0), each.whole(2, 0), each.whole(3, 0)
    fixed = [each.whole(key, 0) for key in (4, 5, 6)]
    m, n, k, kind = (each.whole(key, 0) for key in (7, 8, 9, 10))
    turned = each.whole(14, 0)
    each.ignore(11, 12, 13, 20, 21, 22)
    float_weights(each, 18)
    each.require(min(m, n, k) >= 0 and -1 <= kind <= 4, "its sizes")
    blobs = t.inputs(3 - sum(bool(f) for f in fixed) - (not fixed[2]), 3)
    a = t.tagged(*((k, m) if turn_a else (m, k))) if fixed[0] else _matrix(t, blobs.pop(0))
    b = t.tagged(*((n, k) if turn_b else (k, n))) if fixed[1] else _matrix(t, blobs.pop(0))
    shapes = {0: (1, 1), 1: (m, 1), 2: (m, 1), 3: (m, n), 4: (1, n)}
    c: Value | None = None
    if fixed[2]:
        c = t.tagged(*shapes[kind]) if kind >= 0 else None
    elif blobs:
        c = blobs.pop(0)
        each.require(len(mat(c)) == 2, "C is another blob, not a matrix")
    left = t.add(Transpose((1, 0)), a) if turn_a else a
    if turn_b and b.data is not None:
        result = t.add(Linear(), left, b)
    else:
        result = t.add(MatMul(), left, t.add(Transpose((1, 0)), b) if turn_b else b)
    result = t.add(Reshape((1, *result.type.static_shape)), result)
    if c is not None:
        c = c if beta == 1 else t.add(Mul(), c, t.number(beta))
        result = t.add(Add(), result, c)
    result = result if alpha == 1 else t.add(Mul(), result, t.number(alpha))
    return t.add(Transpose((0, 2, 1)), result) if turned else result


def _matrix(t: Translation, value: Value) -> Value:
    """[1, M, K] or [1, M, 1, K] as [M, K]; a vector is one row."""
    rows, columns = (math.prod(mat(value)[:-1]), mat(value)[-1])
    return t.add(Reshape((rows, columns)), value)


@layer("MatMul")
def matmul(t: Translation, each: Layer) -> Value:
    """MatMul over the inner two dimensions; missing outer ones broadcast."""
    turned = each.whole(0, 0)
    a, b = t.inputs(2)
    ranks = len(mat(a)), len(mat(b))
    if turned and ranks[1] > 1:
        b = t.add(Transpose((*range(ranks[1] - 1), ranks[1], ranks[1] - 1)), b)
    a, b = _as_matrix(t, a, row=True), _as_matrix(t, b, row=False)
    high = max(len(mat(a)), len(mat(b)))
    product = t.add(MatMul(), _ranked(t, a, high), _ranked(t, b, high))
    shape = list(mat(product))
    if ranks[1] == 1:
        del shape[-1]
    if ranks[0] == 1:
        del shape[-1 if ranks[1] == 1 else -2]
    return product if min(ranks) > 1 else t.add(Reshape((1, *(shape or [1]))), product)


def _as_matrix(t: Translation, value: Value, *, row: bool) -> Value:
    if len(mat(value)) > 1:
        return value
    length = mat(value)[0]
    return t.add(Reshape((1, 1, length) if row else (1, length, 1)), value)


def _ranked(t: Translation, value: Value, rank: int) -> Value:
    missing = rank - len(mat(value))
    return t.add(Reshape((1, *(1,) * missing, *mat(value))), value) if missing else value


@layer("Embed")
def embed(t: Translation, each: Layer) -> Value:
    """Gather of a table's rows, plus a bias."""
    width, rows, bias, count = (each.whole(key, 0) for key in (0, 1, 2, 3))
    float_weights(each, 18)
    each.require(width > 0 and rows > 0 and width * rows == count, f"{count} weights")
    indices = t.input()
    table = t.tagged(rows, width)
    result = t.add(Gather(0), table, indices)
    result = result if len(mat(indices)) == 1 else t.add(Reshape((1, math.prod(mat(indices)), width)), result)
    return t.add(Add(), result, t.raw(1, 1, width)) if bias else result


@layer("Einsum")
def einsum(t: Translation, each: Layer) -> Value:
    """The equation, with one more letter in front of each operand for the axis that Mats do not have."""
    codes = each.wholes(0)
    each.require(all(32 <= code < 127 for code in codes), "an equation that is no text")
    text = "".join(map(chr, codes)).replace(" ", "")
    left, arrow, right = text.partition("->")
    free = [letter for letter in "zyxwvutsrqponmlkjihgfedcba" if letter not in text]
    each.require(arrow and free, f"the equation '{text}'")
    batch = free[0]
    equation = ",".join(batch + term for term in left.split(",")) + "->" + batch + right
    result = t.add(Einsum(equation), *t.inputs(1, 8))
    return result if mat(result) else t.add(Reshape((1, 1)), result)
