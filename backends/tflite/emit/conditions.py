"""Conditions that several emitters ask for. Their docstrings are the support table's words."""

from __future__ import annotations

from typing import Any

from mconv.ir import DType, Node

KINDS = {kind.value: kind for kind in DType}
MAX_BROADCAST = 6
"""Axes over which kernels broadcast in every runtime (the reference kernels: 8, the delegates: 6)."""


def takes(kinds: str, *, at: int = 0) -> Any:
    """A condition: the operand ``at`` has one of these element types, as in ``takes("f32 i32")``."""
    allowed = [KINDS[kind] for kind in kinds.split()]
    words = kinds.replace(" ", ", ")

    def holds(node: Node) -> bool | str:
        value = node.operands[at]
        if value is None or value.type.dtype in allowed:
            return True
        return f"%{value.name} is {value.type.dtype.value}, and TFLite's kernel takes {words}"

    holds.__doc__ = f"{'the element type' if at == 0 else f'operand {at}'} is {words.replace(', ', ' or ')}"
    return holds


floats = takes("f32")


def rank(*allowed: int) -> Any:
    """A condition: the first operand has one of these ranks."""

    def holds(node: Node) -> bool | str:
        found = node.inputs[0].type.rank
        return True if found in allowed else f"it is of rank {found}, and TFLite takes {' or '.join(map(str, allowed))}"

    holds.__doc__ = f"the rank is {' or '.join(map(str, allowed))}"
    return holds


def rank_at_most(highest: int) -> Any:
    """A condition: no operand or result has a higher rank."""

    def holds(node: Node) -> bool | str:
        for value in (*node.inputs, *node.results):
            if value.type.rank > highest:
                return f"%{value.name} is of rank {value.type.rank}, and TFLite takes {highest} at most"
        return True

    holds.__doc__ = f"the rank is at most {highest}"
    return holds


def constant(*names: str) -> Any:
    """A condition: the operands of these names are constants (where they are there)."""

    def holds(node: Node) -> bool | str:
        for name in names:
            value = node.operand(name)
            if value is not None and value.data is None:
                return f"its operand {name} is computed, and TFLite wants it constant"
        return True

    holds.__doc__ = f"{' and '.join(names)} are constant" if len(names) > 1 else f"{names[0]} is constant"
    return holds


def static(node: Node) -> bool | str:
    """all sizes are known."""
    for value in (*node.inputs, *node.results):
        if not value.type.is_static:
            return f"the sizes of %{value.name}: {value.type} must be known; fix them with --input-shape or --dim"
    return True


def broadcasts(node: Node) -> bool | str:
    """operands of different shapes have at most 6 axes."""
    shapes = {value.type.shape for value in node.inputs}
    if len(shapes) > 1 and max(map(len, shapes)) > MAX_BROADCAST:
        return f"it broadcasts over more than {MAX_BROADCAST} axes"
    return True
