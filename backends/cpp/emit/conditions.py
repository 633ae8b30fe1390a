"""Conditions that several emitters ask for. Their docstrings are the support table's words."""

from __future__ import annotations

from typing import Any

from mconv.ir import DType, Node


def known(*names: str) -> Any:
    """A condition: the operands of these names have become attributes, or are absent."""

    def holds(node: Node) -> bool | str:
        for name in names:
            if node.operand(name) is not None:
                return f"its operand {name} is computed by the model"
        return True

    words = " and ".join(names)
    holds.__doc__ = f"{words} {'are' if len(names) > 1 else 'is'} known at conversion time"
    return holds


def constant(*names: str) -> Any:
    """A condition: the operands of these names are constants (where they are there)."""

    def holds(node: Node) -> bool | str:
        for name in names:
            value = node.operand(name)
            if value is not None and not value.is_constant:
                return f"its operand {name} is computed by the model"
        return True

    words = " and ".join(names)
    holds.__doc__ = f"{words} {'are' if len(names) > 1 else 'is'} constant"
    return holds


def f32(node: Node) -> bool | str:
    """tensors are of f32"""
    other = [v for v in (*node.inputs, *node.results) if v.type.dtype is not DType.F32]
    return f"%{other[0].name} is of {other[0].type.dtype.value}" if other else True
