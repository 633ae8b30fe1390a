"""Dropout that a frozen graph of TensorFlow 1 still has, with the probability to keep as an input.

tf.nn.dropout(x, keep) is x / keep * floor(keep + u) with u uniform in [0, 1): for a keep of one, which is how such
graphs are used, it is x.
"""

from __future__ import annotations

from .graph import Body, GNode

_PLUS = frozenset({"Add", "AddV2"})
_PASS = frozenset({"Identity"})


def kept(body: Body) -> dict[GNode, GNode]:
    """The nodes that draw which elements are kept (the floor), with the Placeholder of the probability for each."""
    found = {}
    for node in body.nodes.values():
        if node.op == "Floor" and node.inputs:
            keep = _probability(node.inputs[0].node)
            if keep is not None:
                found[node] = keep
    return found


def _probability(total: GNode) -> GNode | None:
    if total.op not in _PLUS or len(total.inputs) != 2:
        return None
    sides = [_passed(r.node) for r in total.inputs]
    for keep, drawn in (sides, sides[::-1]):
        if keep.op == "Placeholder" and _is_uniform(drawn):
            return keep
    return None


def _passed(node: GNode) -> GNode:
    while node.op in _PASS and node.inputs:
        node = node.inputs[0].node
    return node


def _is_uniform(node: GNode) -> bool:
    """Whether a node is u * (max - min) + min: RandomUniform behind at most an Add and a Mul."""
    for op in (_PLUS, frozenset({"Mul"})):
        if node.op in op:
            node = next((r.node for r in node.inputs if r.node.op in ("RandomUniform", "Mul")), node)
    return node.op == "RandomUniform"
