"""Operators that work element by element."""

from __future__ import annotations

from mconv.ir import Node
from mconv.ir.ops import Add

from ..backend import cpp
from ..net import Net
from .conditions import f32
from .epilogue import EPILOGUES


@cpp.emits(Add, *EPILOGUES, where=(f32,))
def relu(node: Node, net: Net) -> None:
    """A first one."""
    x = net.planar(node.inputs[0])
    y = net.result(node.result, over=node.inputs)
    n = x.buffer.nbytes // 4
    net.step(f"for (int i = 0; i < {n}; i++) {net.ptr(y)}[i] = {net.ptr(x)}[i] > 0 ? {net.ptr(x)}[i] : 0;", [x], [y])
