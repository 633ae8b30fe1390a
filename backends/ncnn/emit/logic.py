"""Comparisons and logic, which ncnn has no operators for, out of arithmetic that is exact on 0 and 1.

Truth values are held as 1.0 and 0.0. ``Threshold`` gives 1 where its operand exceeds a number.
"""

from __future__ import annotations

import numpy as np

from mconv.ir import Node, Value
from mconv.ir.ops import (
    Add,
    And,
    Attention,
    Concat,
    Equal,
    Expand,
    Flatten,
    Greater,
    GreaterOrEqual,
    Identity,
    Less,
    LessOrEqual,
    Not,
    Or,
    Reshape,
    Slice,
    Softmax,
    Split,
    Squeeze,
    Sub,
    Tile,
    Transpose,
    Unsqueeze,
    Where,
    Xor,
)

from ..backend import ncnn
from ..net import Blob, Net
from .binary import ADD, MAX, MIN, MUL, RSUB, SUB, aligned, binary_layer, scalar_layer
from .conditions import floats_or_bounded

_LARGE = 1e30  # its square is beyond float32


def threshold(net: Net, x: Blob, number: float = 0.0, *, suffix: str = "") -> Blob:
    """1 where x > number, else 0."""
    return net.layer("Threshold", [x], x.shape, {0: float(number)}, suffix=suffix)


def negation(net: Net, x: Blob, *, suffix: str = "") -> Blob:
    """1 - x."""
    return scalar_layer(net, x, RSUB, 1.0, suffix=suffix)


def comparable(node: Node) -> bool | str:
    """the operands are floating-point or truth values, or integers of a known small range."""
    return floats_or_bounded(node)


@ncnn.emits(Greater, Less, GreaterOrEqual, LessOrEqual, where=(comparable,))
def order(node: Node, net: Net) -> None:
    """The difference's sign: a > b is a - b > 0, and a >= b is not a < b."""
    (a, b), shape = aligned(net, node.inputs, node.result)
    kind = SUB if isinstance(node.op, Greater | LessOrEqual) else RSUB
    difference = binary_layer(net, a, b, kind, shape, suffix="difference")
    if isinstance(node.op, Greater | Less):
        net.give(node.result, threshold(net, difference))
    else:
        net.give(node.result, negation(net, threshold(net, difference, suffix="beyond")))


@ncnn.emits(Equal, where=(comparable,))
def equal(node: Node, net: Net) -> None:
    """Not abs(a - b) > 0."""
    (a, b), shape = aligned(net, node.inputs, node.result)
    difference = binary_layer(net, a, b, SUB, shape, suffix="difference")
    distance = net.layer("AbsVal", [difference], shape, {}, suffix="distance")
    net.give(node.result, negation(net, threshold(net, distance, suffix="differs")))


@ncnn.emits(Not)
def not_(node: Node, net: Net) -> None:
    """1 - x."""
    net.give(node.result, negation(net, net.blob(node.inputs[0])))


@ncnn.emits(And, Or, Xor)
def logic(node: Node, net: Net) -> None:
    """The lesser, the greater, the distance of two truth values."""
    (a, b), shape = aligned(net, node.inputs, node.result)
    if isinstance(node.op, Xor):
        difference = binary_layer(net, a, b, SUB, shape, suffix="difference")
        net.give(node.result, net.layer("AbsVal", [difference], shape, {}))
        return
    net.give(node.result, binary_layer(net, a, b, MIN if isinstance(node.op, And) else MAX, shape))


def finite_branches(node: Node) -> bool | str:
    """the branches are finite, or one is nothing but one infinity."""
    infinite = 0
    for value in node.inputs[1:]:
        if value.data is None or value.data.dtype.kind != "f" or np.isfinite(value.data).all():
            continue
        if np.isnan(value.data).any() or len(np.unique(value.data)) > 1:
            return f"%{value.name} holds infinities or NaNs, and the branch not taken is multiplied by 0"
        infinite += 1
    if infinite == 2:
        return "both its branches are infinite"
    if infinite and not _only_softmax_meets(node.result):
        return "ncnn's arithmetic is not made for infinities; only a softmax takes them"
    return floats_or_bounded(node)


_HARMLESS = (Add, Sub, Concat, Expand, Flatten, Identity, Reshape, Slice, Split, Squeeze, Tile, Transpose, Unsqueeze)
_MOST_READERS = 1000


def _only_softmax_meets(value: Value) -> bool:
    """True when infinities in the value are moved and added to, and then a softmax makes zeros of them."""
    waiting, seen = [value], {value}
    while waiting:
        for reader in waiting.pop().readers:
            if isinstance(reader.op, Softmax) or (isinstance(reader.op, Attention) and value is not reader.inputs[0]):
                continue
            if not isinstance(reader.op, _HARMLESS) or len(seen) > _MOST_READERS:
                return False
            new = [result for result in reader.results if result not in seen]
            waiting += new
            seen.update(new)
    return True


@ncnn.emits(Where, where=(finite_branches,))
def where(node: Node, net: Net) -> None:
    """a * condition + b * (1 - condition): exact, as one summand is zero. An infinite branch bounds the other."""
    for number, value in enumerate(node.inputs[1:]):
        if value.data is not None and np.isinf(value.data).all():
            _bounded(node, net, number, float(value.data.reshape(-1)[0]))
            return
    (condition, a, b), shape = aligned(net, node.inputs, node.result)
    taken = binary_layer(net, condition, a, MUL, shape, suffix="taken")
    if _is_zero(node.inputs[2]):
        net.give(node.result, taken)
        return
    other = binary_layer(net, negation(net, condition, suffix="not"), b, MUL, shape, suffix="other")
    net.give(node.result, binary_layer(net, taken, other, ADD, shape))


def _bounded(node: Node, net: Net, number: int, infinity: float) -> None:
    """The least of the finite branch and a bound: -inf where the infinite one is taken, else inf (or mirrored)."""
    condition, a, b = node.inputs
    (mask, other), shape = aligned(net, (condition, b if number == 0 else a), node.result)
    # 1 where the bound must not bind; then times 2, less 1, and twice multiplied out of the range of floats
    free = negation(net, mask, suffix="free") if number == 0 else mask
    sign = 1.0 if infinity < 0 else -1.0
    bound = scalar_layer(net, scalar_layer(net, free, MUL, 2.0, suffix="twice"), SUB, 1.0, suffix="sign")
    for step in ("large", "bound"):
        bound = scalar_layer(net, bound, MUL, _LARGE * (sign if step == "bound" else 1.0), suffix=step)
    net.give(node.result, binary_layer(net, other, bound, MIN if infinity < 0 else MAX, shape))


def _is_zero(value: Value) -> bool:
    return value.data is not None and not value.data.any()


__all__ = ["negation", "threshold"]
